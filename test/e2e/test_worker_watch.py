"""Watching the worker: what it does can be seen, no secret can, and while it is idle it costs nothing."""

import json
import re

import pytest

from cluster import API_KEY
from sandbox import WEBHOOK_SECRET
from worker import (WORKER_SETTINGS, new_served, runs, send_webhook, until, wait_requested, wait_synced, worker_pid,
                    workers_of)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"


def people(sandbox, count, integration=None):
    return [record["id"] for record in sandbox.dump("hris_employees", integration)][:count]


def change(sandbox, key, value, integration=None):
    sandbox.record("change", "hris_employees", key, {"job_title": value}, integration=integration)


@pytest.mark.sandbox(employees=100)
def test_a_fetch_that_hangs_is_seen_in_progress_and_holds_nothing(few, sandbox):
    """After its first two pages were written: no transaction, no snapshot, nothing that holds vacuum back."""
    sandbox.settings(page_size_max=20)
    sandbox.faults({"path": EMPLOYEES, "skip": 2, "hang": True})
    few.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['hris_employees'])", [sandbox.integration])
    wait_requested(few, sandbox, EMPLOYEES, 3)
    line = until(few, lambda: few.execute("SELECT * FROM kombo.sync_progress WHERE pages = 2 AND rows = 40 "
                                          "AND phase = 'fetching'"), what="the line of progress")[0]
    worker, = workers_of(few)
    assert (line["pid"], line["integration_id"], line["endpoint"], line["kind"], line["trigger"]) \
        == (worker["pid"], sandbox.integration, EMPLOYEES, "full", "sql")
    assert line["bytes"] > 10_000 and line["rows_per_second"] > 0 and line["started_at"] and line["blocked_by"] is None
    assert worker["application_name"] == "kombo_sync worker 1"
    assert (worker["state"], worker["xact_start"], worker["backend_xmin"]) == ("idle", None, None)
    assert re.fullmatch(rf"{sandbox.integration} {EMPLOYEES} page [23]", worker["query"]), worker["query"]
    assert few.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype NOT IN ('advisory', 'virtualxid')",
                     [worker["pid"]]) == 0
    sandbox.faults()
    wait_synced(few)
    assert few.execute("SELECT * FROM kombo.sync_progress") == []


def test_the_first_row_of_sync_status_says_that_a_worker_lives(few, sandbox):
    first = few.execute("SELECT * FROM kombo.sync_status")[0]
    assert first["integration_id"] is None and first["state"] == "running", first
    assert str(worker_pid(few)) in f"{first['reason']} {first['next']}"


def test_sync_status_tells_how_far_a_first_fetch_is(served, sandbox):
    sandbox.settings(page_size_max=20)
    sandbox.faults({"path": EMPLOYEES, "skip": 2, "hang": True})
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_requested(served, sandbox, EMPLOYEES, 3)

    def status():
        return served.execute("SELECT * FROM kombo.sync_status WHERE endpoint = %s", [EMPLOYEES])[0]

    until(served, lambda: "2" in f"{status()['reason']} {status()['next']}", what="the number of pages")
    assert status()["state"] == "never synced"
    sandbox.faults()
    wait_synced(served)
    assert status()["reason"] is None


def test_a_notification_for_each_run_that_changed_rows(few, sandbox):
    few.cluster.configure({"kombo_sync.notify": "on"})
    person, = people(sandbox, 1)
    with few.connect() as listener:
        listener.execute("LISTEN kombo_sync")
        send_webhook(few, sandbox, "hris_teams")  # nothing changed there
        wait_synced(few)
        change(sandbox, person, "Changed")
        send_webhook(few, sandbox, "hris_employees")
        wait_synced(few)
        few.execute("NOTIFY kombo_sync, 'end'")
        heard = []
        for notification in listener.notifies():
            if notification.payload == "end":
                break
            heard.append(json.loads(notification.payload))
    assert heard == [{"integration_id": sandbox.integration, "endpoint": EMPLOYEES, "changed": 1}]


def test_nothing_is_notified_unless_it_is_switched_on(few, sandbox):
    person, = people(sandbox, 1)
    with few.connect() as listener:
        listener.execute("LISTEN kombo_sync")
        change(sandbox, person, "Changed")
        send_webhook(few, sandbox)
        wait_synced(few)
        few.execute("NOTIFY kombo_sync, 'end'")
        assert next(listener.notifies()).payload == "end"


def test_no_secret_is_anywhere(few, sandbox):
    """After a success, a refused key and an error of the API; neither the key nor the secret of the webhooks."""
    send_webhook(few, sandbox)
    wait_synced(few)
    few.cluster.configure({"kombo_sync.max_retries": 0})
    sandbox.faults({"path": GROUPS, "status": 500, "message": "failed"})
    send_webhook(few, sandbox, "hris_teams")
    until(few, lambda: runs(few, status="failed"), what="the failure")
    sandbox.settings(api_key="another")
    few.execute("SELECT kombo.request_sync()")
    until(few, lambda: few.value("SELECT paused_by FROM kombo.integrations") == "kombo_sync", what="the pause")
    relations = [row["name"] for row in few.execute("""
        SELECT format('kombo.%I', relname) AS name FROM pg_class
        WHERE relnamespace = 'kombo'::regnamespace AND relkind IN ('r', 'v')""")]
    texts = [str(few.execute(f"SELECT * FROM {name}")) for name in [*relations, "pg_stat_activity"]]
    texts.append("\n".join(line for line in few.cluster.log.read_text(encoding="utf-8").splitlines()
                           if "CREATE USER MAPPING" not in line))
    for secret in (API_KEY, WEBHOOK_SECRET):
        assert [text for text in texts if secret in text] == []


# --- it costs nothing while it is idle ----------------------------------------------------------------------------

@pytest.fixture
def idle(new_cluster, sandbox):
    """A database with a worker that polls ten times a second and has nothing to do, and pg_stat_statements."""
    cluster = new_cluster(WORKER_SETTINGS.replace("'kombo_sync'", "'kombo_sync, pg_stat_statements'")
                          + "kombo_sync.poll_interval = 100ms\npg_stat_statements.track = all\n"
                            "checkpoint_timeout = 1h\nbgwriter_delay = 10s\n")
    db = new_served(cluster, sandbox)
    db.execute("CREATE EXTENSION pg_stat_statements")
    db.add_integration(sandbox.integration)
    wait_synced(db)
    return db


def test_idle_polls_add_no_statement_and_no_wal(idle):
    def wakes():
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return int(next(line for line in status if line.startswith("voluntary_ctxt")).split()[1])

    def look():
        return (idle.execute("SELECT calls, query FROM pg_stat_statements(true) s JOIN pg_database d ON d.oid = s.dbid "
                             "WHERE d.datname = current_database() AND query !~ 'pg_stat|pg_current_wal' "
                             "ORDER BY 2, 1"), idle.value("SELECT pg_current_wal_insert_lsn()"))

    pid = worker_pid(idle)
    # A running transactions record is written every 15 s where something was written before: not the worker's doing.
    idle.execute("CHECKPOINT")
    before, began = look(), wakes()
    until(idle, lambda: wakes() >= began + 30, 30, "thirty wake-ups")
    assert look()[0] == before[0]
    written = idle.value("SELECT pg_wal_lsn_diff(%s, %s)", [look()[1], before[1]])
    assert written < 1000, f"{written} bytes of WAL"
