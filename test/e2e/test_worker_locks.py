"""The worker and the locks of others: only what is locked waits, and sync_status says for whom."""

import collections

import pytest

from syncing import SOON, Background, create_trigger, one, same_as_sandbox, wait_until
from worker import (Churn, Repeating, Watch, asked, inbox, runs, send_webhook, state_of, until, wait_judged,
                    wait_requested, wait_synced, worker_pid)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
SECOND = "hibob:second"
# lock_timeout is 2 s, which others may have to wait; then the batch is tried again later.
FLOWS = 5
AFTERWARDS = 15


@pytest.fixture
def pair(few, sandbox):
    """`few` and a second integration of the same two endpoints."""
    sandbox.add_integration(SECOND, employees=20, seed=2)
    few.add_integration(SECOND, only=[EMPLOYEES, GROUPS])
    wait_synced(few)
    sandbox.clear_requests()
    return few


@pytest.fixture
def user(pair):
    """A session of somebody who begins a transaction and goes for lunch."""
    with pair.connect(autocommit=False) as connection:
        yield connection
        connection.rollback()


def change(sandbox, model, index, value, integration=None):
    """Changes the index-th record; its id."""
    key = sandbox.dump(model, integration)[index]["id"]
    column = "job_title" if model == "hris_employees" else "name"
    sandbox.record("change", model, key, {column: value}, integration=integration)
    return key


def has(db, table, key, value):
    row = one(db, table, key)
    return row is not None and value in (row.get("job_title"), row.get("name"))


def flows(db, sandbox, model, integration=None):
    """A change of that model still becomes a row at once."""
    table = {EMPLOYEES: "hris_employees", GROUPS: "hris_teams"}[model]
    key = change(sandbox, table, 1, "Flows", integration)
    send_webhook(db, sandbox, table, integration=integration)
    until(db, lambda: has(db, table, key, "Flows"), FLOWS, f"the row of {table} of {integration or 'the first'}")


def says_who_blocks(db, sandbox, user):
    """sync_status names the pid of the session that holds the lock."""
    pid = str(user.info.backend_pid)
    until(db, lambda: pid in (db.value("""SELECT concat_ws(' ', reason, next) FROM kombo.sync_status
                                          WHERE (integration_id, endpoint) = (%s, %s)""",
                                       [sandbox.integration, EMPLOYEES]) or ""), 10, f"pid {pid} in sync_status")


@pytest.mark.parametrize("lock", ["a row", "the table", "a child's row"])
def test_only_what_a_user_locks_waits(pair, sandbox, user, lock):
    key = change(sandbox, "hris_employees", 0, "Changed")
    child = next(r for r in sandbox.dump("hris_employments") if r["employee_id"] == key)["id"]
    sandbox.record("change", "hris_employments", child, {"job_title": "Changed"})
    user.execute({"a row": f"SELECT FROM kombo.hris_employees WHERE id = '{key}' FOR UPDATE",
                  "the table": "LOCK TABLE kombo.hris_employees IN SHARE MODE",
                  "a child's row": f"UPDATE kombo.hris_employments SET extra = extra WHERE id = '{child}'"}[lock])
    with Watch(pair) as watch:
        send_webhook(pair, sandbox, "hris_employees")
        says_who_blocks(pair, sandbox, user)
        flows(pair, sandbox, GROUPS)
        flows(pair, sandbox, GROUPS, SECOND)
        if lock != "the table":
            flows(pair, sandbox, EMPLOYEES, SECOND)
        assert not has(pair, "hris_employees", key, "Changed")
        user.rollback()
        until(pair, lambda: has(pair, "hris_employees", key, "Changed"), AFTERWARDS, "the row")
        wait_synced(pair)
    same_as_sandbox(pair, sandbox, tables=["hris_employees", "hris_teams"])
    assert one(pair, "hris_employments", child)["job_title"] == "Changed"
    # Whoever waits 2 s for a lock has a transaction that old, and no older.
    assert watch.oldest < SOON and watch.xmins == [], (watch.oldest, watch.xmins)
    assert {run["status"] for run in runs(pair)} == {"ok"}


def test_an_exclusive_lock_of_a_table_holds_up_its_readers_and_nobody_else(pair, sandbox, user):
    key = change(sandbox, "hris_employees", 0, "Changed")
    user.execute("LOCK TABLE kombo.hris_employees IN ACCESS EXCLUSIVE MODE")
    send_webhook(pair, sandbox, "hris_employees")
    says_who_blocks(pair, sandbox, user)
    flows(pair, sandbox, GROUPS)
    flows(pair, sandbox, GROUPS, SECOND)
    user.rollback()
    until(pair, lambda: has(pair, "hris_employees", key, "Changed"), AFTERWARDS, "the row")


def test_a_row_of_the_inbox_that_a_user_locks_is_passed_over(pair, sandbox, user):
    with pair.connect() as quiet:  # wakes nobody, so that the row is still new when it is locked
        quiet.execute("SET session_replication_role = replica")
        pair.cluster.configure({"kombo_sync.poll_interval": "1h"})
        row = send_webhook(pair, sandbox, "hris_employees", connection=quiet)
    user.execute("SELECT FROM kombo.webhook_inbox WHERE id = %s FOR UPDATE", [row])
    flows(pair, sandbox, GROUPS)
    flows(pair, sandbox, EMPLOYEES, SECOND)
    assert inbox(pair) == {"new": 1, "done": 2} and asked(sandbox, EMPLOYEES, sandbox.integration) == []
    user.rollback()
    flows(pair, sandbox, GROUPS)
    until(pair, lambda: inbox(pair) == {"done": 4}, AFTERWARDS, "the judgement of the row")
    wait_synced(pair)
    assert len(asked(sandbox, EMPLOYEES, sandbox.integration)) == 1


def test_a_lock_on_the_inbox_does_not_hold_up_what_is_asked_for_in_sql(pair, sandbox, user):
    user.execute("LOCK TABLE kombo.webhook_inbox IN ACCESS EXCLUSIVE MODE")
    key = change(sandbox, "hris_teams", 0, "Changed")
    pair.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY['hris_teams'])", [sandbox.integration])
    until(pair, lambda: has(pair, "hris_teams", key, "Changed"), 5, "the row")
    user.rollback()
    flows(pair, sandbox, EMPLOYEES)


@pytest.mark.parametrize("held", ["state", "configuration"])
def test_a_row_of_our_own_tables_that_a_user_locks_holds_up_what_it_is_about(pair, sandbox, user, held):
    key = change(sandbox, "hris_employees", 0, "Changed")
    user.execute({"state": "UPDATE kombo.sync_state SET failures = 0 WHERE (integration_id, endpoint) = (%s, %s)",
                  "configuration": "UPDATE kombo.integrations SET tool = tool WHERE integration_id = %s AND %s <> ''"}
                 [held], [sandbox.integration, EMPLOYEES])
    send_webhook(pair, sandbox, "hris_employees")
    flows(pair, sandbox, GROUPS, SECOND)
    flows(pair, sandbox, EMPLOYEES, SECOND)
    user.rollback()
    until(pair, lambda: has(pair, "hris_employees", key, "Changed"), AFTERWARDS, "the row")
    wait_synced(pair)


def test_a_callers_open_sync_holds_up_its_own_integration_alone(pair, sandbox, user):
    """One process at a time: the function's lock lasts until its transaction ends."""
    user.execute("SELECT * FROM kombo.kombo_sync_delta(%s)", [sandbox.integration])
    sandbox.clear_requests()
    key = change(sandbox, "hris_employees", 0, "Changed")
    send_webhook(pair, sandbox, "hris_employees")
    flows(pair, sandbox, EMPLOYEES, SECOND)
    wait_judged(pair)
    assert asked(sandbox, EMPLOYEES, sandbox.integration) == []
    user.commit()
    until(pair, lambda: has(pair, "hris_employees", key, "Changed"), AFTERWARDS, "the row")


def test_a_function_finds_an_integration_that_the_worker_syncs_skipped_and_the_next_one_free(pair, sandbox):
    sandbox.faults({"path": EMPLOYEES, "integration": sandbox.integration, "hang": True})
    send_webhook(pair, sandbox, "hris_employees")
    wait_requested(pair, sandbox, EMPLOYEES)
    results = pair.execute("SELECT * FROM kombo.kombo_sync_delta()")
    by_integration = {row["integration_id"]: row for row in results}
    assert by_integration[sandbox.integration]["status"] == "skipped"
    assert str(worker_pid(pair)) in by_integration[sandbox.integration]["error"]
    assert by_integration[SECOND]["status"] == "ok"
    sandbox.faults()
    wait_synced(pair)


class Calls(Repeating):
    """Calls of a sync function, again and again."""

    def __init__(self, db, sync):
        super().__init__(0.01)
        self.db, self.sync = db, sync
        self.results = collections.Counter()

    def once(self):
        self.connection = self.connection or self.db.connect()
        self.results.update((row["status"], row["error"]) if row["status"] not in ("ok", "skipped") else row["status"]
                            for row in self.connection.execute(f"SELECT * FROM kombo.{self.sync}()"))


def test_two_callers_and_the_worker_share_an_integration(served, sandbox):
    """Each has its turn or skips it, none fails, and nothing is lost."""
    served.add_integration(sandbox.integration)
    wait_synced(served)
    before = len(runs(served, trigger="webhook"))
    with Calls(served, "kombo_sync_delta") as deltas, Calls(served, "kombo_sync_full") as fulls, \
            Churn(served, sandbox, seed=7) as churn:
        until(served, lambda: churn.webhooks > 60 and len(runs(served, trigger="webhook")) > before + 3
              and all(calls.results["ok"] > 30 for calls in (deltas, fulls)), 60, "turns of all three")
    wait_synced(served)
    for calls in (deltas, fulls):
        assert set(calls.results) <= {"ok", "skipped"}, calls.results
    same_as_sandbox(served, sandbox)


# --- what users do to their tables --------------------------------------------------------------------------------

def test_a_record_that_a_users_trigger_refuses_is_parked_and_the_rest_goes_on(few, sandbox):
    keys = [change(sandbox, "hris_employees", index, "Changed") for index in range(10)]
    create_trigger(few, "hris_employees", f"IF NEW.id = '{keys[3]}' THEN RAISE 'not this one'; END IF; RETURN NEW;")
    send_webhook(few, sandbox, "hris_employees")
    wait_synced(few)
    assert [has(few, "hris_employees", key, "Changed") for key in keys] == [n != 3 for n in range(10)]
    parked, = few.execute("SELECT * FROM kombo.rejected_records")
    assert (parked["record_id"], parked["sqlstate"]) == (keys[3], "P0001") and "not this one" in parked["error"]
    assert few.value("SELECT rejected FROM kombo.sync_status WHERE endpoint = %s", [EMPLOYEES]) == 1
    few.execute("DROP TRIGGER of_user ON kombo.hris_employees")
    few.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['hris_employees'])", [sandbox.integration])
    wait_synced(few)
    assert few.value("SELECT count(*) FROM kombo.rejected_records") == 0
    same_as_sandbox(few, sandbox, tables=["hris_employees"])


def test_a_column_an_index_and_a_policy_of_the_users_come_and_go_under_the_worker(few, sandbox):
    for statement in ("ALTER TABLE kombo.hris_employees ADD COLUMN mine int",
                      "CREATE INDEX ON kombo.hris_employees (mine, job_title)",
                      "ALTER TABLE kombo.hris_employees ENABLE ROW LEVEL SECURITY",
                      "CREATE POLICY nobody ON kombo.hris_employees USING (false)",
                      "ALTER TABLE kombo.hris_employees DROP COLUMN mine",
                      "VACUUM FULL kombo.hris_employees"):
        few.execute(statement)
        key = change(sandbox, "hris_employees", 2, statement)
        send_webhook(few, sandbox, "hris_employees")
        until(few, lambda key=key, statement=statement: has(few, "hris_employees", key, statement), 5, statement)


# --- what needs the integration's lock gets it --------------------------------------------------------------------

@pytest.fixture
def hanging(pair, sandbox):
    """`pair`, where the worker waits for the third page of a full fetch, and will not get it."""
    sandbox.settings(page_size_max=10)
    sandbox.faults({"path": EMPLOYEES, "integration": sandbox.integration, "skip": 2, "hang": True})
    pair.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['hris_employees'])", [sandbox.integration])
    wait_requested(pair, sandbox, EMPLOYEES, 3)
    until(pair, lambda: state_of(pair, EMPLOYEES, sandbox.integration)["full_cursor"], what="the first batch")
    return pair


@pytest.mark.parametrize("statement", ["SELECT kombo.exclude_field('hris_employees', 'ssn')",
                                       "SELECT kombo.create_tables('HRIS')"])
def test_what_changes_the_tables_gets_through_while_a_big_full_is_running(hanging, sandbox, statement):
    Background(hanging, statement).result(5)
    flows(hanging, sandbox, EMPLOYEES, SECOND)
    sandbox.faults()
    wait_synced(hanging)
    same_as_sandbox(hanging, sandbox, tables=["hris_employees"])
    if "ssn" in statement:
        assert hanging.value("SELECT count(ssn) FROM kombo.hris_employees") == 0


def test_a_field_that_is_excluded_in_the_middle_of_a_full_is_in_none_of_its_pages(hanging, sandbox):
    for person in sandbox.dump("hris_employees"):
        sandbox.record("change", "hris_employees", person["id"], {"ssn": "secret"})
    Background(hanging, "SELECT kombo.exclude_field('hris_employees', 'ssn')").result(5)
    sandbox.faults()
    wait_synced(hanging)
    assert hanging.value("SELECT count(*) FROM kombo.hris_employees e WHERE e::text LIKE '%%secret%%'") == 0


@pytest.mark.parametrize("purge", [False, True])
def test_an_integration_can_be_removed_while_its_full_is_running(hanging, sandbox, purge):
    kept = hanging.value("SELECT count(*) FROM kombo.hris_employees WHERE integration_id = %s", [sandbox.integration])
    assert kept > 0
    Background(hanging, "SELECT kombo.remove_integration(%s, %s)", [sandbox.integration, purge]).result(5)
    sandbox.faults()
    flows(hanging, sandbox, EMPLOYEES, SECOND)
    wait_synced(hanging)
    assert hanging.value("SELECT count(*) FROM kombo.hris_employees WHERE integration_id = %s",
                         [sandbox.integration]) == (0 if purge else kept)
    for table in ("integrations", "sync_state", "sync_seen", "sync_requests", "sync_progress"):
        assert hanging.value(f"SELECT count(*) FROM kombo.{table} WHERE integration_id = %s",
                             [sandbox.integration]) == 0, table


def test_an_integration_is_added_again_after_its_removal_and_begins_anew(pair, sandbox):
    pair.execute("SELECT kombo.remove_integration(%s, true)", [sandbox.integration])
    pair.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(pair)
    same_as_sandbox(pair, sandbox, tables=["hris_employees", "hris_teams"])


def test_a_paused_integrations_full_stops_and_goes_on_upon_resume(hanging, sandbox):
    hanging.execute("SELECT kombo.pause(%s)", [sandbox.integration])
    sandbox.faults()
    flows(hanging, sandbox, EMPLOYEES, SECOND)
    wait_until(lambda: hanging.execute("SELECT FROM kombo.sync_progress WHERE integration_id = %s",
                                       [sandbox.integration]) == [], what="the end of the fetch")
    assert state_of(hanging, EMPLOYEES, sandbox.integration)["full_started_at"]
    hanging.execute("SELECT kombo.resume(%s)", [sandbox.integration])
    wait_synced(hanging)
    same_as_sandbox(hanging, sandbox, tables=["hris_employees"])
    assert runs(hanging, EMPLOYEES, sandbox.integration)[-1]["kind"] == "full"


def test_a_refusal_that_a_lock_kept_from_being_noted_pauses_nobody_who_was_resumed_since(pair, sandbox, user):
    user.execute("SELECT FROM kombo.integrations FOR UPDATE")
    sandbox.faults({"path": EMPLOYEES, "status": 401, "code": "PLATFORM.AUTHENTICATION_INVALID"})
    key = change(sandbox, "hris_employees", 0, "Changed")
    send_webhook(pair, sandbox, "hris_employees")
    until(pair, lambda: pair.value("SELECT count(*) FROM kombo.sync_progress WHERE phase = 'locked'") == 1,
          what="a refusal that cannot be noted")
    resume = Background(pair, "SELECT kombo.resume(%s)", [sandbox.integration])
    until(pair, lambda: pair.value("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s",
                                   [resume.pid]), what="a wait for the lock")
    user.rollback()
    resume.wait(10)
    wait_synced(pair)
    assert has(pair, "hris_employees", key, "Changed")
