"""What judging does beside asking: it ends back-offs and pauses, passes over what somebody has locked, survives
mistakes in the catalogue, and old rows go."""

import pytest

from judging import ONE, add_paused, asked_for, judge, judge_all, webhook
from worker import (WOKEN, data_changed, inbox, insert_webhooks, integration_of, runs, send_webhook, sign, state_of,
                    until, wait_judged, wait_synced, workers_of)


@pytest.fixture
def paused(served):
    """A database with the integration personio:one, which its operator has paused."""
    add_paused(served, ONE)
    # By then the worker has read the key, which is new to it and ends back-offs.
    judge(served, webhook("sync-finished", {"integration_id": ONE}), "abc")
    served.execute("DELETE FROM kombo.webhook_inbox")
    return served


# --- signs of life ------------------------------------------------------------------------------------------------

def test_a_webhook_ends_the_back_off_of_its_integration_and_of_no_other(paused):
    db = paused
    add_paused(db, "personio:two")
    db.execute("""
        INSERT INTO kombo.sync_state (integration_id, endpoint, last_status, failures, attempts, next_attempt_at)
        SELECT i, e, s, 3, 3, now() + interval '1 hour'
        FROM unnest(ARRAY['personio:one', 'personio:two']) i,
             (VALUES ('/hris/employees', 'failed'), ('/hris/groups', 'waiting'),
                     ('/hris/absences', 'unavailable'), ('/hris/timesheets', 'unavailable')) v (e, s)""")

    def put_off(integration):
        return {endpoint for endpoint in ("/hris/employees", "/hris/groups", "/hris/absences", "/hris/timesheets")
                if db.value("SELECT next_attempt_at > now() + interval '2 minutes' FROM kombo.sync_state "
                            "WHERE (integration_id, endpoint) = (%s, %s)", [integration, endpoint])}

    judge(db, data_changed(ONE, "hris_pets"), "abc")
    assert len(put_off(ONE)) == 4
    judge(db, webhook("sync-finished", {"integration_id": ONE}))
    # News of other endpoints do not make the tool have this one.
    assert put_off(ONE) == {"/hris/absences", "/hris/timesheets"}
    judge(db, data_changed(ONE, "hris_absences"))
    assert put_off(ONE) == {"/hris/timesheets"}
    judge(db, webhook("integration-state-changed", {"integration_id": ONE}))
    assert put_off(ONE) == set()
    assert len(put_off("personio:two")) == 4
    assert state_of(db, "/hris/employees", ONE)["attempts"] == 3


def test_a_webhook_that_is_sent_again_and_again_has_nothing_tried_again_and_again(few, sandbox):
    db = few
    db.cluster.configure({"kombo_sync.max_retries": 0})
    sandbox.faults({"path": "/hris/employees", "status": 500, "times": -1})
    send_webhook(db, sandbox, "hris_employees")
    until(db, lambda: (state_of(db, "/hris/employees") or {}).get("failures"), what="a failure")

    def put_off():
        db.execute("UPDATE kombo.sync_state SET next_attempt_at = now() + interval '1 hour' WHERE failures > 0")
        db.execute("SELECT kombo_internal.wake(true)")
        return state_of(db, "/hris/employees")

    before = put_off()
    for _ in range(5):
        judge(db, data_changed(sandbox.integration, "hris_skills", id="captured"))  # nothing subscribed carries these
    assert inbox(db)["ignored"] == 5 and state_of(db, "/hris/employees") == before
    send_webhook(db, sandbox, "hris_employees")
    until(db, lambda: state_of(db, "/hris/employees")["failures"] == before["failures"] + 1, what="one more attempt")
    before = put_off()
    # Those of the next minute have it tried at the end of that minute.
    for _ in range(5):
        judge(db, data_changed(sandbox.integration, "hris_employees"))
    after = state_of(db, "/hris/employees")
    assert after["failures"] == before["failures"]
    assert db.value("SELECT %s BETWEEN now() AND now() + interval '1 minute'", [after["next_attempt_at"]])


def test_what_backs_off_is_fetched_at_once_when_a_webhook_comes(few, sandbox):
    db = few
    db.cluster.configure({"kombo_sync.max_retries": 0})
    sandbox.faults({"path": "/hris/employees", "status": 500, "code": "PLATFORM.UNKNOWN_ERROR", "message": "no",
                    "times": -1})
    send_webhook(db, sandbox, "hris_employees")
    until(db, lambda: (state_of(db, "/hris/employees") or {}).get("next_attempt_at"), what="the back-off")
    sandbox.faults()
    send_webhook(db, sandbox, "hris_teams")
    until(db, lambda: runs(db, "/hris/employees", trigger="webhook", status="ok"), WOKEN, "the fetch of the employees")


def test_a_webhook_has_an_automatic_pause_tried_at_once_and_leaves_the_operators(few, sandbox):
    db = few
    add_paused(db, ONE)
    db.execute("UPDATE kombo.integrations SET paused_at = now(), paused_by = 'kombo_sync', pause_reason = 'a test', "
               "next_attempt_at = now() + interval '1 day' WHERE integration_id = %s", [sandbox.integration])
    send_webhook(db, sandbox, "hris_employees")
    judge(db, webhook("integration-state-changed", {"integration_id": ONE}))
    until(db, lambda: integration_of(db, sandbox.integration)["paused_at"] is None, what="the end of the pause")
    wait_synced(db, sandbox.integration)
    assert len(runs(db, "/hris/employees", trigger="webhook")) == 1
    assert integration_of(db, ONE)["paused_by"] == "operator"


# --- locks --------------------------------------------------------------------------------------------------------

def test_a_row_that_somebody_locks_is_passed_over(paused):
    db = paused
    db.cluster.configure({"kombo_sync.enabled": "off"})
    until(db, lambda: not workers_of(db), what="the end of the workers")
    first = insert_webhooks(db, [data_changed(ONE, "hris_teams")])
    insert_webhooks(db, [data_changed(ONE, "hris_absences") for _ in range(5)])
    with db.connect(autocommit=False) as user:
        user.execute("SELECT FROM kombo.webhook_inbox WHERE id = %s FOR UPDATE", [first])
        db.cluster.configure({"kombo_sync.enabled": "on"})
        until(db, lambda: inbox(db) == {"new": 1, "done": 5}, what="the judgement of the others")
        assert asked_for(db) == {"/hris/absences delta"}
        user.rollback()
    wait_judged(db)
    assert asked_for(db) == {"/hris/groups delta"}


@pytest.mark.parametrize("table", ["webhook_inbox", "sync_requests"])
def test_a_locked_table_stops_nothing_but_what_needs_it(few, sandbox, table):
    db = few
    with db.connect(autocommit=False) as user:
        user.execute(f"LOCK TABLE kombo.{table} IN SHARE MODE")
        if table == "sync_requests":
            send_webhook(db, sandbox, "hris_employees")
            until(db, lambda: workers_of(db), what="a worker")
            assert inbox(db) == {"new": 1}
        else:
            db.execute("SELECT kombo.request_sync(what => ARRAY['hris_teams'])")
            until(db, lambda: runs(db, "/hris/groups", trigger="sql"), what="the fetch of the groups")
            user.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                         [body := data_changed(sandbox.integration, "hris_employees"), sign(body)])
        user.commit()
    until(db, lambda: runs(db, "/hris/employees", trigger="webhook"), what="the fetch of the employees")


def test_rows_of_state_that_somebody_locks_do_not_stop_the_judgement(paused):
    db = paused
    db.execute("INSERT INTO kombo.sync_state (integration_id, endpoint, last_status, next_attempt_at) "
               "VALUES (%s, '/hris/groups', 'failed', now() + interval '1 hour')", [ONE])
    with db.connect(autocommit=False) as user:
        user.execute("SELECT FROM kombo.integrations FOR UPDATE")
        user.execute("SELECT FROM kombo.sync_state FOR UPDATE")
        assert judge(db, data_changed(ONE, "hris_teams"))["status"] == "done"
        user.rollback()
    assert asked_for(db) == {"/hris/groups delta"}


# --- faults and pruning -------------------------------------------------------------------------------------------

def test_a_mistake_in_the_catalogue_rejects_what_needs_it_and_nothing_else(paused):
    db = paused
    db.execute("INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/zoo/keepers', 'ZOO', 'zoo_keepers')")
    db.execute("INSERT INTO kombo.endpoint_models VALUES ('/zoo/keepers', 'zoo_keepers', 'own')")
    db.execute("SELECT kombo.create_tables('ZOO')")
    with db.connection.transaction():
        db.add_integration("noah:zoo", category="ZOO")
        db.execute("SELECT kombo.pause('noah:zoo')")
    assert judge(db, data_changed("noah:zoo", "zoo_keepers"))["status"] == "done"
    db.execute("INSERT INTO kombo.fields (table_name, column_name, type) "
               "SELECT 'zoo_keepers', 'field_' || n, 'text' FROM generate_series(1, 600) n")
    rows = judge_all(db, [(body := data_changed("noah:zoo", "zoo_keepers"), sign(body)),
                          (body := data_changed(ONE, "hris_teams"), sign(body)),
                          (body := webhook("sync-finished", {"integration_id": "noah:zoo"}), sign(body))])
    assert [row["status"] for row in rows] == ["rejected", "done", "done"]
    assert rows[0]["error"] == 'it could not be judged: table kombo.zoo_keepers has too many fields'


def test_judged_rows_are_pruned_in_batches_and_new_ones_never(paused):
    db = paused
    db.execute("""
        INSERT INTO kombo.webhook_inbox (body, status, received_at, processed_at)
        SELECT 'old', (ARRAY['done', 'ignored', 'rejected'])[1 + n % 3], now() - interval '99 days',
               now() - interval '99 days' FROM generate_series(1, 2500) n""")
    db.execute("INSERT INTO kombo.webhook_inbox (body, status, processed_at) VALUES ('recent', 'done', now())")
    db.execute("INSERT INTO kombo.webhook_inbox (body, received_at) VALUES ('{}', now() - interval '99 days')")
    wait_judged(db)
    for worker in workers_of(db):
        db.execute("SELECT pg_terminate_backend(%s::integer)", [worker["pid"]])
    until(db, lambda: db.value("SELECT count(*) FROM kombo.webhook_inbox WHERE body = 'old'") == 0, 30, "the pruning")
    assert db.value("SELECT count(*) FROM kombo.webhook_inbox") == 2
