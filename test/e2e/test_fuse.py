"""The sweep, and the fuse that holds it back when too much would go at once."""

import json

import pytest

from syncing import assert_ok, last_run, notices_of, result_of, rows, same_as_sandbox, status_of, sync_delta, sync_full

EMPLOYEES = "/hris/employees"


@pytest.fixture
def synced(hris, sandbox):
    """A factory: synced(12) leaves just 12 employees at Kombo, here and there alike, of which nobody else knows."""

    def begin(count):
        hris.subscribe_only(sandbox.integration, EMPLOYEES)
        for record in sandbox.dump("hris_employees")[count:]:
            sandbox.record("purge", "hris_employees", record["id"])
        assert_ok(sync_full(hris))
        assert live(hris) == count
        return hris

    return begin


def live(db):
    return db.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NULL")


def purge(sandbox, count):
    """That many employees vanish from Kombo without a trace."""
    gone = [record["id"] for record in sandbox.dump("hris_employees")[:count]]
    sandbox.admin("POST", "records", [{"model": "hris_employees", "op": "purge", "id": one} for one in gone])
    return gone


def full(db):
    return result_of(sync_full(db), EMPLOYEES)


def listing_without(sandbox, *hidden):
    """A fault: the next list of employees lacks these records."""
    records = [r for r in sandbox.dump("hris_employees") if r["id"] not in hidden]
    return {"path": EMPLOYEES, "body": json.dumps({"status": "success", "data": {"results": records, "next": None}})}


@pytest.mark.parametrize("had, gone", [(10, 10), (1, 1), (11, 10), (20, 19), (21, 10), (40, 20)])
def test_a_sweep_that_the_fuse_allows(synced, sandbox, had, gone):
    db = synced(had)
    purge(sandbox, gone)
    result = full(db)
    assert (result["status"], result["deleted"], live(db)) == ("ok", gone, had - gone)


@pytest.mark.parametrize("had, gone", [(11, 11), (20, 20), (21, 11), (40, 21), (40, 40)])
def test_a_sweep_that_the_fuse_holds_back(synced, sandbox, had, gone):
    db = synced(had)
    purge(sandbox, gone)
    result = full(db)
    assert (result["status"], result["deleted"], live(db)) == ("held", 0, had)
    assert f"{gone} of {had}" in result["error"]


def test_an_empty_list_is_not_believed(synced, sandbox):
    db = synced(30)
    sandbox.faults({"path": EMPLOYEES, "body": '{"status":"success","data":{"results":[],"next":null}}'})
    assert full(db)["status"] == "held"
    assert live(db) == 30
    assert full(db)["status"] == "ok"


def test_tombstones_count_neither_as_gone_nor_as_live(synced, sandbox):
    db = synced(30)
    for record in sandbox.dump("hris_employees")[:12]:
        sandbox.record("delete", "hris_employees", record["id"])
    assert full(db)["status"] == "ok"
    purge(sandbox, 12)  # those that were deleted before
    result = full(db)
    assert (result["status"], result["deleted"], live(db)) == ("ok", 0, 18)


def test_what_is_held_commits_rows_and_watermark(synced, sandbox):
    db = synced(30)
    # Kombo's clock shows whole seconds: two fetches may seem to begin at the same time.
    db.execute("UPDATE kombo.sync_state SET watermark = watermark - interval '1 hour'")
    before = db.execute("SELECT * FROM kombo.sync_state WHERE endpoint = %s", [EMPLOYEES])[0]
    purge(sandbox, 20)
    stays = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", stays, set={"job_title": "Chief"})
    new = sandbox.record("create", "hris_employees", set={"first_name": "New"})["id"]
    heard = notices_of(db.connection)
    result = full(db)
    assert (result["status"], result["inserted"], result["deleted"]) == ("held", 1, 0)
    stored = rows(db, "hris_employees")
    assert stored[stays]["job_title"] == "Chief" and new in stored
    after = db.execute("SELECT * FROM kombo.sync_state WHERE endpoint = %s", [EMPLOYEES])[0]
    assert after["watermark"] > before["watermark"] and after["last_full_at"] > before["last_full_at"]
    assert (after["last_status"], after["failures"]) == ("held", 0)
    assert last_run(db, EMPLOYEES)["status"] == "held"
    status = status_of(db, EMPLOYEES)
    assert status["state"] == "held" and "20 of 31" in status["reason"] and "accept_sweep" in status["next"]
    warning = [one for one in heard if "held" in one.message_primary]
    assert len(warning) == 1 and "accept_sweep" in warning[0].message_hint, [one.message_primary for one in heard]
    # Nothing is fetched in full for it, before somebody asks for a full.
    assert result_of(sync_delta(db), EMPLOYEES)["kind"] == "delta"
    assert status_of(db, EMPLOYEES)["state"] == "held", "a delta does not make a held sweep forgotten"


def test_a_sweep_that_is_held_asks_for_no_ids(synced, sandbox):
    db = synced(30)
    purge(sandbox, 20)
    sandbox.clear_requests()
    assert full(db)["status"] == "held"
    assert [r for r in sandbox.requests() if "ids" in r["params"]] == []


def test_accept_sweep_lets_exactly_one_full_pass(synced, sandbox):
    db = synced(60)
    purge(sandbox, 31)
    assert full(db)["status"] == "held"
    db.execute("SELECT kombo.accept_sweep(%s, %s)", [sandbox.integration, EMPLOYEES])
    assert_ok(sync_delta(db, what=EMPLOYEES))  # a delta does not use it up
    result = full(db)
    assert (result["status"], result["deleted"], live(db)) == ("ok", 31, 29)
    purge(sandbox, 20)
    assert full(db)["status"] == "held"
    assert live(db) == 29


def test_accept_sweep_outlives_a_full_that_fails(synced, sandbox):
    db = synced(30)
    purge(sandbox, 20)
    assert full(db)["status"] == "held"
    db.execute("SELECT kombo.accept_sweep(%s, %s)", [sandbox.integration, EMPLOYEES])
    sandbox.faults({"path": EMPLOYEES, "status": 403})
    assert full(db)["status"] == "failed"
    assert full(db)["status"] == "ok"
    assert live(db) == 10


def test_the_fraction_is_a_setting(synced, sandbox):
    db = synced(30)
    purge(sandbox, 5)
    db.execute("SET kombo_sync.max_sweep_fraction = 0.1")
    assert full(db)["status"] == "held"
    db.execute("SET kombo_sync.max_sweep_fraction = 0.2")
    assert full(db)["status"] == "ok"


def test_on_missing_delete_removes_rows_with_children_and_joins(synced, sandbox):
    db = synced(30)
    db.execute("UPDATE kombo.subscriptions SET on_missing = 'delete' WHERE endpoint = %s", [EMPLOYEES])
    gone = purge(sandbox, 4)
    result = full(db)
    assert (result["status"], result["deleted"]) == ("ok", 4)
    for table, column in (("hris_employees", "id"), ("hris_employments", "employee_id"),
                          ("hris_time_off_balances", "employee_id"), ("hris_join_employees_teams", "employee_id")):
        assert db.value(f"SELECT count(*) FROM kombo.{table} WHERE {column} = ANY (%s)", [gone]) == 0, table
    same_as_sandbox(db, sandbox, tables=["hris_employees"])


def test_on_missing_mark_marks_rows_and_children_and_removes_joins(synced, sandbox):
    db = synced(30)
    gone = purge(sandbox, 4)
    assert full(db)["deleted"] == 4
    for table, column in (("hris_employees", "id"), ("hris_employments", "employee_id"),
                          ("hris_time_off_balances", "employee_id")):
        left = db.execute(f"SELECT remote_deleted_at FROM kombo.{table} WHERE {column} = ANY (%s)", [gone])
        assert left and None not in [row["remote_deleted_at"] for row in left], table
    assert db.value("SELECT count(*) FROM kombo.hris_join_employees_teams WHERE employee_id = ANY (%s)", [gone]) == 0
    result = full(db)
    assert (result["deleted"], result["updated"]) == (0, 0)


def test_on_missing_keep_removes_nothing_and_asks_for_nothing(synced, sandbox):
    db = synced(30)
    db.execute("UPDATE kombo.subscriptions SET on_missing = 'keep' WHERE endpoint = %s", [EMPLOYEES])
    purge(sandbox, 30)
    sandbox.clear_requests()
    result = full(db)
    assert (result["status"], result["deleted"], live(db)) == ("ok", 0, 30)
    assert len(sandbox.requests(EMPLOYEES)) == 1


def test_timesheets_are_kept_by_default(hris, sandbox):
    hris.subscribe_only(sandbox.integration, "/hris/timesheets")
    hris.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/timesheets'")
    assert_ok(sync_full(hris))
    before = hris.value("SELECT count(*) FROM kombo.hris_timesheets WHERE remote_deleted_at IS NULL")
    assert before > 5
    for record in sandbox.dump("hris_timesheets")[:5]:
        sandbox.record("purge", "hris_timesheets", record["id"])
    assert result_of(sync_full(hris), "/hris/timesheets")["deleted"] == 0
    assert hris.value("SELECT count(*) FROM kombo.hris_timesheets WHERE remote_deleted_at IS NULL") == before


def test_what_kombo_still_has_when_asked_by_id_stays(synced, sandbox):
    db = synced(30)
    hidden = [record["id"] for record in sandbox.dump("hris_employees")[:3]]
    gone = purge(sandbox, 4)[-1]
    for one in hidden:
        sandbox.record("undelete", "hris_employees", one)
    sandbox.faults(listing_without(sandbox, *hidden))
    sandbox.clear_requests()
    result = full(db)
    assert (result["status"], result["deleted"]) == ("ok", 1)
    asked = sandbox.requests(EMPLOYEES)[1]["params"]
    assert set(asked["ids"].split(",")) == {*hidden, gone} and asked["include_deleted"] == "true"
    stored = rows(db, "hris_employees")
    assert [one for one in hidden if stored[one]["remote_deleted_at"]] == [] and stored[gone]["remote_deleted_at"]


@pytest.mark.parametrize("status", [400, 404])
def test_refused_ids_are_halved_until_the_one_at_fault_is_found(synced, sandbox, status):
    """Of four ids asked for two are still there; a single one that is refused counts as not returned."""
    db = synced(30)
    gone = set(purge(sandbox, 4))
    hidden = set(sorted(gone)[:2])
    for one in hidden:
        sandbox.record("undelete", "hris_employees", one)
    sandbox.faults(listing_without(sandbox, *hidden), {"path": EMPLOYEES, "status": status, "times": 3})
    sandbox.clear_requests()
    result = full(db)
    asked = [set(r["params"]["ids"].split(",")) for r in sandbox.requests(EMPLOYEES)[1:]]
    assert [len(ids) for ids in asked][:3] == [4, 2, 1] and len(asked) == 5 and set().union(*asked) == gone, asked
    removed = gone - (hidden - asked[2])
    assert (result["status"], result["deleted"]) == ("ok", len(removed))
    assert {key for key, row in rows(db, "hris_employees").items() if row["remote_deleted_at"]} == removed


def test_a_confirmation_that_fails_otherwise_fails_the_endpoint_and_removes_nothing(synced, sandbox):
    db = synced(30)
    purge(sandbox, 4)
    sandbox.faults({"path": EMPLOYEES, "status": 403, "skip": 1})
    result = full(db)
    assert (result["status"], live(db)) == ("failed", 30)


@pytest.mark.sandbox(employees=400)
def test_many_missing_rows_are_confirmed_a_hundred_at_a_time(synced, sandbox):
    db = synced(400)
    purge(sandbox, 190)
    sandbox.clear_requests()
    assert full(db)["deleted"] == 190
    asked = [len(r["params"]["ids"].split(",")) for r in sandbox.requests(EMPLOYEES) if "ids" in r["params"]]
    assert sorted(asked) == [90, 100]
    assert max(len(r["query"]) for r in sandbox.requests(EMPLOYEES)) < 4000
