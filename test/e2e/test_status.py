"""kombo.sync_status and kombo.sync_progress beside a worker: words that say what is, why, and what comes next."""

import psycopg
import pytest

from cluster import TEMPLATE, Database
from lifecycle import EMPLOYEES, GROUPS, first_row, in_the_middle_of_a_fetch, wait_state
from worker import (WOKEN, deliver, integration_of, send_webhook, state_of, until, wait_judged, wait_requested,
                    wait_synced, worker_pid, workers_of)


def row_of(db, endpoint):
    return db.execute("SELECT * FROM kombo.sync_status WHERE endpoint = %s", [endpoint])[0]


def clock(db, instant):
    """A time as the view writes it."""
    return db.value("SELECT date_trunc('second', %s::timestamptz)::text", [instant])


def test_a_running_worker_has_its_pid_and_since_when_it_runs(few):
    row = first_row(few)
    assert (row["state"], row["next"]) == ("running", None)
    assert row["reason"] == f"pid {worker_pid(few)}; no webhook has come yet"
    started = few.value("SELECT backend_start FROM pg_stat_activity WHERE pid = %s", [worker_pid(few)])
    assert abs((row["since"] - started).total_seconds()) < 60 and row["pending"] == 0
    few.cluster.configure({"kombo_sync.workers": 2})
    until(few, lambda: first_row(few)["reason"].startswith("pids "), what="two pids")
    assert all(str(worker["pid"]) in first_row(few)["reason"] for worker in workers_of(few))


def test_the_first_row_tells_of_the_latest_authentic_webhook(few, sandbox):
    assert first_row(few)["reason"].endswith("; no webhook has come yet")
    few.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{}', 'forged')")
    wait_synced(few)
    assert first_row(few)["reason"].endswith("; none of the latest 10000 webhooks is authentic")
    number = send_webhook(few, sandbox)
    few.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{}', 'forged')")
    wait_synced(few)
    at = few.value("SELECT received_at FROM kombo.webhook_inbox WHERE id = %s", [number])
    assert first_row(few)["reason"].endswith(f"; last authentic webhook at {clock(few, at)}")


def test_a_database_that_is_not_served_is_told_how_to_be(few):
    other = Database(few.cluster, few.cluster.new_database(TEMPLATE))
    row = first_row(other)
    assert row["state"] == "no worker" and other.name in row["next"] and "kombo_sync.databases" in row["next"]
    other.drop()


def test_the_advice_for_a_database_whose_name_has_capitals_works_as_it_stands(few):
    few.cluster.run('CREATE DATABASE "HR" TEMPLATE ' + TEMPLATE)
    other = Database(few.cluster, "HR")
    advice = first_row(other)["next"]
    assert advice.startswith(f"""add it: ALTER SYSTEM SET kombo_sync.databases = '{few.name}, "HR"'""")
    few.cluster.reload(advice.removeprefix("add it: ").split(";")[0])
    until(other, lambda: first_row(other)["state"] == "running" and first_row(few)["state"] == "running",
          what="workers")
    few.cluster.configure({"kombo_sync.databases": few.name})
    until(other, lambda: not workers_of(other), what="the end of the worker")
    other.connection.close()
    few.cluster.run('DROP DATABASE "HR" WITH (FORCE)')


def test_data_tables_that_were_given_to_another_role_ask_for_create_tables(few, sandbox):
    few.execute("CREATE ROLE new_owner")
    try:
        few.execute("REASSIGN OWNED BY kombo_owner TO new_owner")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            few.execute("SELECT kombo.kombo_sync_delta()")
        assert "new_owner" in refused.value.diag.message_primary and "create_tables" in refused.value.diag.message_hint
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            few.execute("SELECT kombo.request_sync()")
        assert "create_tables" in refused.value.diag.message_hint
        sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], set={"job_title": "New"})
        send_webhook(few, sandbox)
        row = until(few, lambda: first_row(few)["state"] == "not working" and first_row(few), what="the trouble")
        assert "new_owner" in row["reason"] and "kombo.create_tables" in row["next"]
        few.execute("SELECT kombo.create_tables('HRIS')")
        few.execute("SELECT kombo.resume(NULL)")
        wait_synced(few)
    finally:
        few.execute("REASSIGN OWNED BY new_owner TO kombo_owner; DROP OWNED BY new_owner; DROP ROLE new_owner")


def test_what_waits_is_counted(few, sandbox):
    few.cluster.configure({"kombo_sync.enabled": "off"})
    until(few, lambda: not workers_of(few), what="the end of the worker")
    send_webhook(few, sandbox)
    send_webhook(few, sandbox)
    few.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY[%s])", [sandbox.integration, EMPLOYEES])
    assert (first_row(few)["pending"], row_of(few, EMPLOYEES)["pending"], row_of(few, GROUPS)["pending"]) == (2, 1, 0)
    few.execute("UPDATE kombo.sync_state SET watermark = watermark - interval '9 days', "
                "last_success_at = last_success_at - interval '9 days'")
    row = row_of(few, EMPLOYEES)
    assert row["state"] == "behind" and "asked for at" in row["reason"]
    assert row["next"] == f"SELECT * FROM kombo.kombo_sync_delta('{sandbox.integration}')"
    few.cluster.configure({"kombo_sync.enabled": "on"})
    wait_synced(few)
    assert (first_row(few)["pending"], row_of(few, EMPLOYEES)["pending"]) == (0, 0)


def test_what_is_being_fetched_asks_for_nothing(served, sandbox):
    sandbox.faults({"path": EMPLOYEES, "hang": True})
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_requested(served, sandbox, EMPLOYEES)
    row = until(served, lambda: "under way" in row_of(served, EMPLOYEES)["reason"] and row_of(served, EMPLOYEES),
                what="the fetch")
    assert row["state"] == "never synced" and row["next"] == "nothing to do: it is at work"
    assert row["reason"] == "no fetch has succeeded yet; a full fetch is under way: page 0, 0 records"
    sandbox.faults()
    wait_synced(served)


def test_a_failure_says_when_it_is_tried_again_and_how_at_once(few, sandbox):
    few.cluster.configure({"kombo_sync.max_retries": 0})
    sandbox.faults({"path": EMPLOYEES, "status": 500, "times": 10, "message": "out of order"})
    send_webhook(few, sandbox)
    until(few, lambda: row_of(few, EMPLOYEES)["state"] == "failed", what="the failure")
    row, state = row_of(few, EMPLOYEES), state_of(few, EMPLOYEES)
    assert "500" in row["reason"] or "out of order" in row["reason"]
    assert row["next"] == (f"tried again at {clock(few, state['next_attempt_at'])}; "
                           f"at once: SELECT kombo.resume('{sandbox.integration}')")
    sandbox.faults()
    few.execute("SELECT kombo.resume(%s)", [sandbox.integration])
    wait_synced(few)
    assert (row_of(few, EMPLOYEES)["state"], row_of(few, EMPLOYEES)["next"]) == ("fresh", None)


def test_a_pause_of_kombo_syncs_own_says_why_and_until_when(few, sandbox):
    sandbox.settings(api_key="another")
    send_webhook(few, sandbox)
    until(few, lambda: row_of(few, EMPLOYEES)["state"] == "paused", what="the pause")
    row, integration = row_of(few, EMPLOYEES), integration_of(few, sandbox.integration)
    assert row["reason"].startswith("paused by kombo_sync: ") and row["since"] == integration["paused_at"]
    assert row["next"] == (f"tried again at {clock(few, integration['next_attempt_at'])}; "
                           f"at once: SELECT kombo.resume('{sandbox.integration}')")
    few.execute("SELECT kombo.pause(%s, 'moving house')", [sandbox.integration])
    row = row_of(few, EMPLOYEES)
    assert row["reason"] == "paused by operator: moving house"
    assert row["next"] == f"SELECT kombo.resume('{sandbox.integration}')"


def test_a_lock_is_named_with_its_holder(few, sandbox):
    person = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", person, {"job_title": "Changed"})
    with few.connect(autocommit=False) as user:
        user.execute("SELECT FROM kombo.hris_employees WHERE id = %s FOR UPDATE", [person])
        send_webhook(few, sandbox)
        pid = user.info.backend_pid
        until(few, lambda: few.value("SELECT blocked_by FROM kombo.sync_progress WHERE phase = 'locked'") == pid,
              what="blocked_by")
        row = row_of(few, EMPLOYEES)
        assert row["reason"] == f"waits for a lock that pid {pid} holds"
        assert f"pg_terminate_backend({pid})" in row["next"]
        user.rollback()
    wait_synced(few)
    assert row_of(few, EMPLOYEES)["reason"] is None


def test_a_worker_between_two_fetches_is_not_taken_for_an_open_transaction(few, sandbox):
    few.cluster.configure({"kombo_sync.max_concurrency": 1})
    path = f"/integrations/{sandbox.integration}"
    sandbox.faults({"path": path, "hang": True})
    deliver(few, sandbox.webhook(type="integration-state-changed"))
    wait_requested(few, sandbox, path)
    send_webhook(few, sandbox)
    wait_judged(few)
    row = row_of(few, EMPLOYEES)
    assert row["pending"] == 1 and row["reason"] is None, row
    sandbox.faults()
    wait_synced(few)


def test_progress_is_of_this_database_alone(few, sandbox):
    other = Database(few.cluster, few.cluster.new_database(TEMPLATE))
    in_the_middle_of_a_fetch(few, sandbox)
    until(few, lambda: few.execute("SELECT * FROM kombo.sync_progress"), what="a line")
    assert other.execute("SELECT * FROM kombo.sync_progress") == []
    sandbox.faults()
    other.drop()


@pytest.mark.parametrize("grant", ["grant_reader", "grant_operator"])
def test_readers_and_operators_see_it_and_nobody_else_does(few, grant):
    name = f"watcher_{few.name}"
    few.execute(f"CREATE ROLE {name} LOGIN")
    few.execute(f"GRANT USAGE ON SCHEMA kombo TO {name}")
    with few.connect(user=name) as connection:
        for relation in ("sync_status", "sync_progress"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM kombo.{relation}")
        few.execute(f"SELECT kombo.{grant}(%s)", [name])
        assert connection.execute("SELECT state FROM kombo.sync_status").fetchone()["state"] == "running"
        assert connection.execute("SELECT * FROM kombo.sync_progress").fetchall() == []
    few.execute(f"DROP OWNED BY {name}")
    few.execute(f"DROP ROLE {name}")


def test_a_front_end_wakes_the_worker_without_any_right_to(few, sandbox):
    """It may insert into the inbox, and nothing else; the trigger is not its to call."""
    name = f"front_{few.name}"
    few.execute(f"CREATE ROLE {name} LOGIN")
    few.execute("SELECT kombo.grant_webhook_writer(%s)", [name])
    with few.connect(user=name) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT kombo_internal.wake(true)")
        send_webhook(few, sandbox, connection=connection)
    wait_requested(few, sandbox, EMPLOYEES, timeout=WOKEN)
    wait_synced(few)
    few.execute(f"DROP OWNED BY {name}")
    few.execute(f"DROP ROLE {name}")


def test_no_data_tables_idle_the_worker_and_say_so(worker_cluster):
    db = Database(worker_cluster, worker_cluster.new_database())
    try:
        db.execute("CREATE EXTENSION kombo_sync")
        worker_cluster.configure({"kombo_sync.databases": db.name})
        row = wait_state(db, "not working")
        assert "create_tables" in row["next"]
    finally:
        worker_cluster.reset_settings()
        db.drop()
