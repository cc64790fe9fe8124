"""kombo.integration_status, one row per integration; and what is left out or parked is told."""

import psycopg
import pytest

from cluster import Database
from syncing import assert_ok, notices_of, status_of, sync_delta, sync_full

EMPLOYEES, GROUPS = "/hris/employees", "/hris/groups"


def summary(db, integration):
    return db.execute("SELECT * FROM kombo.integration_status WHERE integration_id = %s", [integration])[0]


def test_an_integration_is_as_fresh_as_its_worst_list(small, sandbox):
    assert summary(small, sandbox.integration)["state"] == "never synced"
    assert_ok(sync_full(small))
    row = summary(small, sandbox.integration)
    assert (row["state"], row["lists"], row["fresh"], row["reason"], row["next"]) == ("fresh", 2, 2, None, None)
    assert row["data_as_of"] == small.value("SELECT min(greatest(last_success_at, watermark)) FROM kombo.sync_state")
    sandbox.faults({"path": GROUPS, "status": 403, "message": "no"})
    sync_delta(small)
    row = summary(small, sandbox.integration)
    failed = status_of(small, row["endpoint"])
    assert (row["state"], row["fresh"]) == (failed["state"], 1) and failed["state"] != "fresh"
    assert (row["reason"], row["next"]) == (failed["reason"], failed["next"])


def test_a_model_that_the_tool_lacks_makes_no_integration_look_bad(small, sandbox):
    assert_ok(sync_full(small))
    small.execute("UPDATE kombo.sync_state SET last_status = 'unavailable' WHERE endpoint = %s", [GROUPS])
    row = summary(small, sandbox.integration)
    assert (row["state"], row["lists"], row["fresh"]) == ("fresh", 1, 1)
    small.execute("UPDATE kombo.sync_state SET last_status = 'unavailable'")
    assert summary(small, sandbox.integration)["state"] == "unavailable"
    small.execute("UPDATE kombo.subscriptions SET enabled = false")
    row = summary(small, sandbox.integration)
    assert row["state"] == "no lists" and "kombo.subscriptions" in row["next"]


def test_parked_records_show_in_a_list_that_is_fresh(small, sandbox):
    one = sandbox.dump("hris_employees")[0]
    small.execute("ALTER TABLE kombo.hris_employees ADD CONSTRAINT not_him CHECK (id <> %s)" % repr(one["id"]))
    assert_ok(sync_full(small))
    row = status_of(small, EMPLOYEES)
    assert (row["state"], row["reason"]) == ("fresh", "1 record is parked in kombo.rejected_records")
    assert "kombo.rejected_records" in row["next"] and "kombo.kombo_sync_full" in row["next"]
    assert summary(small, sandbox.integration)["rejected"] == 1
    small.execute("ALTER TABLE kombo.hris_employees DROP CONSTRAINT not_him")
    assert_ok(sync_full(small))
    row = status_of(small, EMPLOYEES)
    assert (row["reason"], row["next"]) == (None, None)


def test_a_list_whose_table_is_gone_is_not_fresh(small, sandbox):
    assert_ok(sync_full(small))
    small.execute("DROP TABLE kombo.hris_employees")
    row = status_of(small, EMPLOYEES)
    assert (row["state"], row["reason"]) == ("failed", "table kombo.hris_employees does not exist")
    assert row["next"].startswith("SELECT kombo.create_tables('HRIS')")
    small.execute("SELECT kombo.create_tables('HRIS')")
    assert_ok(sync_full(small))
    assert status_of(small, EMPLOYEES)["state"] == "fresh"


CALLS = ["SELECT * FROM kombo.kombo_sync_delta()", "SELECT * FROM kombo.kombo_sync_full()",
         "SELECT kombo.request_sync()"]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_for_all_says_whom_it_leaves_out(small, sandbox, call):
    small.execute("SELECT kombo.pause(%s)", [sandbox.integration])
    small.execute("INSERT INTO kombo.integrations (integration_id, server, category, system_identifier) "
                  "VALUES ('copied', 'kombo_eu', 'HRIS', 1)")
    heard = notices_of(small.connection)
    small.execute(call)
    told = [notice for notice in heard if "left out" in notice.message_primary]
    assert [notice.message_primary for notice in told] == ["2 of 2 integrations were left out"]
    assert told[0].message_detail == ("1 paused by an operator, 1 enabled in another database, of which this one is a "
                                      "copy.")
    assert "kombo.integration_status" in told[0].message_hint


@pytest.mark.parametrize("call", CALLS)
def test_a_call_for_all_without_integrations_says_so(db, call):
    heard = notices_of(db.connection)
    db.execute(call)
    assert [notice.message_primary for notice in heard] == ["there are no integrations to sync"]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_for_all_without_tables_is_an_error(cluster, call):
    bare = Database(cluster, cluster.new_database())
    try:
        bare.execute("CREATE EXTENSION kombo_sync")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
            bare.execute(call)
        assert "kombo.create_tables" in refused.value.diag.message_hint
    finally:
        bare.drop()
