"""Mistakes that a person makes: what is said names the cause and the way out, in the worker as in the functions."""

import re

import psycopg
import pytest

from cluster import TEMPLATE, Database
from lifecycle import EMPLOYEES, GROUPS, first_row, wait_state
from syncing import assert_ok, notices_of, outcome, status_of, sync_full
from worker import integration_of, send_webhook, state_of, until, wait_requested, wait_synced

# What is done to kombo.hris_teams, what is said of it, and how the hint's way out begins.
DAMAGES = {
    "dropped": ("DROP TABLE kombo.hris_teams", 'table kombo.hris_teams does not exist', "SELECT kombo.create_tables"),
    "without a column": ("ALTER TABLE kombo.hris_teams DROP COLUMN name",
                         'column "name" of table kombo.hris_teams does not exist', "If it was renamed"),
    "with a renamed column": ("ALTER TABLE kombo.hris_teams RENAME name TO title",
                              'column "name" of table kombo.hris_teams does not exist', "If it was renamed"),
    "without its primary key": ("ALTER TABLE kombo.hris_teams DROP CONSTRAINT hris_teams_pkey",
                                'table kombo.hris_teams has no primary key on (integration_id, id)',
                                "ALTER TABLE kombo.hris_teams ADD PRIMARY KEY (integration_id, id)")}
REPAIRS = {"dropped": "SELECT kombo.create_tables('HRIS')",
           "without a column": "SELECT kombo.create_tables('HRIS')",
           "with a renamed column": "ALTER TABLE kombo.hris_teams RENAME title TO name",
           "without its primary key": "ALTER TABLE kombo.hris_teams ADD PRIMARY KEY (integration_id, id)"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_worker_and_function_say_the_same_of_a_table_that_is_not_as_it_was(few, sandbox, damage):
    statement, said, way_out = DAMAGES[damage]
    few.execute(statement)
    few.execute("SELECT kombo.request_sync(%s, 'full', ARRAY[%s])", [sandbox.integration, GROUPS])
    row = until(few, lambda: (r := status_of(few, GROUPS))["state"] == "failed" and state_of(few, GROUPS)["attempts"]
                and r, what="the failure")
    assert row["reason"].startswith(said) and way_out in row["next"], row
    # In the worker's stead.
    few.execute("DELETE FROM kombo.sync_requests")
    few.cluster.configure({"kombo_sync.databases": ""})
    wait_state(few, "no worker")
    heard = notices_of(few.connection)
    result, = sync_full(few, what=GROUPS)
    assert result["status"] == "failed" and result["error"] == said
    assert heard[-1].message_hint.startswith(way_out)
    row = status_of(few, GROUPS)
    assert row["reason"].startswith(said) and way_out in row["next"] and "tried again" not in row["next"], row
    few.execute(REPAIRS[damage])
    assert_ok(sync_full(few, what=GROUPS))
    assert status_of(few, GROUPS)["state"] == "fresh" and state_of(few, GROUPS)["last_hint"] is None


def test_tables_of_two_owners_are_told_alike_and_one_call_gives_them_to_one(few, sandbox):
    few.execute("CREATE ROLE somebody")
    try:
        few.execute("ALTER TABLE kombo.hris_teams OWNER TO somebody")
        with pytest.raises(psycopg.Error) as refused:
            sync_full(few)
        row = wait_state(few, "not working")
        assert row["reason"] == refused.value.diag.message_primary
        assert row["next"] == refused.value.diag.message_hint
        assert "kombo.create_tables('HRIS', owner => " in row["next"]
        assert few.value("SELECT kombo.create_tables('HRIS', owner => 'somebody')") == 0
        wait_state(few, "running")
        sandbox.record("change", "hris_teams", sandbox.dump("hris_teams")[0]["id"], set={"name": "Ours"})
        send_webhook(few, sandbox, "hris_teams")
        until(few, lambda: few.value("SELECT count(*) FROM kombo.hris_teams WHERE name = 'Ours'"), what="the change")
        wait_synced(few)
    finally:
        few.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
        few.execute("DROP OWNED BY somebody; DROP ROLE somebody")


def test_a_new_owner_has_all_that_syncing_needs_and_the_former_one_nothing(small):
    small.execute("CREATE ROLE new_owner; CREATE ROLE reading")
    try:
        small.execute("SELECT kombo.grant_reader('reading')")
        heard = notices_of(small.connection)
        small.execute("SELECT kombo.create_tables('HRIS', owner => 'new_owner')")
        assert [(one.severity, one.message_primary) for one in heard] == [
            ("NOTICE", "all data tables belong to role new_owner now")]
        assert "kombo_owner" in heard[0].message_detail and "grant_reader" in heard[0].message_hint
        assert_ok(sync_full(small))
        assert small.value("SELECT bool_and(owner = 'new_owner'::regrole) FROM kombo.data_tables")
        assert small.execute("""
            SELECT c.oid::regclass FROM pg_class c
            WHERE c.relnamespace = 'kombo'::regnamespace AND c.relkind IN ('r', 'v') AND (
                has_table_privilege('kombo_owner', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
                OR has_any_column_privilege('kombo_owner', c.oid, 'SELECT, INSERT, UPDATE'))""") == []
        assert small.value("SELECT has_table_privilege('reading', 'kombo.hris_teams', 'SELECT')")
    finally:
        small.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
        small.execute("DROP OWNED BY new_owner, reading; DROP ROLE new_owner, reading")
    assert_ok(sync_full(small))


def test_who_is_no_member_of_both_roles_gives_no_tables_away(small):
    small.execute("CREATE ROLE clerk LOGIN; CREATE ROLE new_owner; GRANT new_owner TO clerk")
    try:
        small.execute("SELECT kombo.grant_operator('clerk')")
        small.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kombo, kombo_internal TO clerk")
        with small.connect(user="clerk") as clerk:
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
                clerk.execute("SELECT kombo.create_tables('HRIS', owner => 'new_owner')")
        assert "kombo_owner" in refused.value.diag.message_detail and "both roles" in refused.value.diag.message_hint
        assert small.value("SELECT bool_and(owner = 'kombo_owner'::regrole) FROM kombo.data_tables")
    finally:
        small.execute("DROP OWNED BY clerk, new_owner; DROP ROLE clerk, new_owner")


@pytest.mark.parametrize("columns, detail", [
    ("id integer", 'It has no column "integration_id".'),
    ("integration_id text, id integer, PRIMARY KEY (integration_id, id)", 'Its column "id" is of type integer.'),
    ("integration_id text, id text, PRIMARY KEY (id)", None)])
def test_a_table_of_somebody_elses_is_not_taken_for_a_data_table(db, columns, detail):
    db.execute("DROP TABLE kombo.hris_teams")
    db.execute(f"CREATE TABLE kombo.hris_teams ({columns}); ALTER TABLE kombo.hris_teams OWNER TO kombo_owner")
    with pytest.raises(psycopg.errors.DuplicateTable) as refused:
        db.execute("SELECT kombo.create_tables('HRIS')")
    said = refused.value.diag
    assert "hris_teams" in said.message_primary and said.message_detail == detail
    assert "another schema" in said.message_hint
    assert db.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'kombo.hris_teams'::regclass AND attnum > 0"
                    ) == columns.split(", PRIMARY")[0].count(",") + 1


REFUSED = {"path": GROUPS, "status": 400, "code": "PLATFORM.INPUT_INVALID"}


def test_what_a_function_failed_at_the_worker_tries_again(few, sandbox):
    sandbox.faults(REFUSED)
    assert outcome(sync_full(few, what=GROUPS)) == {GROUPS: "failed"}
    until(few, lambda: status_of(few, GROUPS)["state"] == "fresh", 20, "the fetch of what failed")
    kinds = few.execute("SELECT kind, trigger, status FROM kombo.sync_runs WHERE endpoint = %s ORDER BY id", [GROUPS])
    assert [tuple(run.values()) for run in kinds][1:] == [("full", "sql", "failed"), ("full", "schedule", "ok")]


def test_what_a_function_failed_at_is_left_where_nothing_is_fetched_by_itself(few, sandbox):
    few.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval, delta_interval) "
                "VALUES (%s, %s, NULL, NULL) ON CONFLICT (integration_id, endpoint) DO UPDATE "
                "SET full_interval = NULL, delta_interval = NULL", [sandbox.integration, GROUPS])
    sandbox.faults(REFUSED)
    assert outcome(sync_full(few, what=GROUPS)) == {GROUPS: "failed"}
    few.execute("UPDATE kombo.subscriptions SET delta_interval = '1 second' WHERE endpoint = %s", [EMPLOYEES])
    sandbox.clear_requests()
    wait_requested(few, sandbox, EMPLOYEES, 3)
    advice = f"SELECT kombo.request_sync('{sandbox.integration}')"
    row = status_of(few, GROUPS)
    assert row["state"] == "failed" and row["pending"] == 0
    assert row["next"] == f"not tried again by itself; at once: {advice}"
    few.execute(advice)
    wait_synced(few)


def test_resume_has_what_failed_be_fetched(few, sandbox):
    sandbox.faults({**REFUSED, "times": 2})
    assert outcome(sync_full(few, what=GROUPS)) == {GROUPS: "failed"}
    until(few, lambda: state_of(few, GROUPS)["next_attempt_at"], 20, "the worker's own attempt")
    assert re.match("tried again at .*; at once: SELECT kombo.resume", status_of(few, GROUPS)["next"])
    few.execute("SELECT kombo.resume(%s)", [sandbox.integration])
    until(few, lambda: status_of(few, GROUPS)["state"] == "fresh", 20, "the fetch of what failed")


# --- an integration that Kombo does not sync ----------------------------------------------------------------------

@pytest.mark.parametrize("state, way_out", [("INVALID", "connected again"), ("INACTIVE", "Switch it on")])
def test_an_integration_that_is_not_active_is_told_of_at_once_and_paused(served, sandbox, state, way_out):
    sandbox.change_integration(status=state)
    heard = notices_of(served.connection)
    served.execute("SELECT kombo.add_integration(%s, 'kombo_eu')", [sandbox.integration])
    warning = heard[-1]
    assert warning.severity == "WARNING" and way_out in warning.message_hint
    assert warning.message_primary == f'Kombo says that integration "{sandbox.integration}" is {state}'
    until(served, lambda: integration_of(served, sandbox.integration)["paused_by"] == "kombo_sync", what="the pause")
    assert state in status_of(served, EMPLOYEES)["reason"]


def test_without_a_worker_an_integration_that_is_not_active_is_told_of_and_can_be_fetched(db, sandbox):
    sandbox.change_integration(status="INVALID")
    heard = notices_of(db.connection)
    db.execute("SELECT kombo.add_integration(%s, 'kombo_eu')", [sandbox.integration])
    assert "is INVALID" in heard[-1].message_primary and "kombo_sync_full" in heard[-1].message_hint
    assert_ok(sync_full(db, what=GROUPS))


def test_an_active_integration_is_added_without_a_word(db, sandbox):
    heard = notices_of(db.connection)
    db.execute("SELECT kombo.add_integration(%s, 'kombo_eu')", [sandbox.integration])
    assert heard == [] and integration_of(db, sandbox.integration)["checked_at"]


# --- settings -----------------------------------------------------------------------------------------------------

def test_a_restart_that_was_forgotten_is_told_of(new_cluster):
    cluster = new_cluster()
    cluster.prepare_template()
    db = Database(cluster, cluster.new_database(TEMPLATE))
    assert first_row(db)["reason"] == "kombo_sync is not in shared_preload_libraries"
    db.execute("CREATE ROLE reading LOGIN")
    db.execute("SELECT kombo.grant_reader('reading')")
    db.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements, kombo_sync")
    with db.connect(user="reading") as reader:
        row = reader.execute("SELECT * FROM kombo.sync_status").fetchone()
    assert row["state"] == "no worker" and row["next"] == "restart PostgreSQL"
    assert "has not been restarted since" in row["reason"]
    db.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
    assert first_row(db)["reason"] == "kombo_sync is not in shared_preload_libraries"


def test_a_database_that_is_mistyped_in_the_settings_is_shown_as_it_was_typed(worker_cluster):
    worker_cluster.prepare_template()
    db = Database(worker_cluster, worker_cluster.new_database(TEMPLATE))
    try:
        worker_cluster.configure({"kombo_sync.databases": "hrr;crm"})
        row = wait_state(db, "no worker")
        assert row["reason"] == f"kombo_sync.databases is 'hrr;crm', which does not name this database, \"{db.name}\""
        worker_cluster.configure({"kombo_sync.databases": ""})
        until(db, lambda: first_row(db)["reason"] == "kombo_sync.databases is empty", what="the reason")
    finally:
        worker_cluster.reset_settings()
        db.drop()
