"""kill -9 of worker, backend and postmaster at random moments: nothing is lost, and nothing has to be repaired."""

import os
import random
import signal
import time

import psycopg
import pytest

from cluster import TEMPLATE, Database
from sandbox import WEBHOOK_SECRET
from syncing import Background, same_as_sandbox
from worker import (SOAK, Churn, asked, assert_no_page_twice, inbox, insert_webhooks, data_changed, runs, send_webhook,
                    until, wait_judged, wait_requested, wait_synced, worker_pid, workers_of)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
ROUNDS = 50 if SOAK else 6
VICTIMS = ("worker", "backend", "postmaster")


def kill(db, victim):
    """kill -9 of that process; waits until the server takes connections again."""
    if victim == "postmaster":
        os.kill(db.cluster.postmaster_pid(), signal.SIGKILL)
        db.cluster.start_again()
    else:
        # A backend in the middle of a sync of its own, or at least of the wait for one.
        pid = worker_pid(db) if victim == "worker" else Background(db, "SELECT kombo.kombo_sync_delta()").pid
        os.kill(pid, signal.SIGKILL)
    db.reconnect()


@pytest.mark.soak
@pytest.mark.sandbox(employees=150)
@pytest.mark.time_limit(1800 if SOAK else 180)
def test_kills_at_random_moments_under_a_stream_of_changes_lose_nothing(own, sandbox, measured):
    """The first ones meet the first full fetch, the later ones deltas. No full repairs anything afterwards."""
    seed = 20_240_607
    chance = random.Random(seed)
    sandbox.settings(page_size_max=25, latency_ms=2)
    with own.connection.transaction():
        own.add_integration(sandbox.integration)
        own.execute("""INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval, delta_interval)
                       SELECT %s, path, NULL, NULL FROM kombo.endpoints WHERE category = 'HRIS' AND enabled""",
                    [sandbox.integration])
    began = time.monotonic()
    with Churn(own, sandbox, seed) as churn:
        for number in range(ROUNDS):
            if number == 2:  # the rest belongs to deltas
                until(own, lambda: own.value("SELECT count(*) = 0 FROM kombo.sync_status WHERE state = 'never synced'"),
                      60, "the end of the first full fetches")
            enough = churn.webhooks + chance.randint(1, 12)
            until(own, lambda enough=enough: churn.webhooks >= enough or churn.error, what="some changes")
            kill(own, VICTIMS[number % 3])
    last = len(runs(own, kind="full"))
    wait_synced(own, timeout=60)
    fulls = [run for run in runs(own, kind="full") if run["status"] == "ok"]
    measured(f"{ROUNDS} kills, {churn.changes} changes, {churn.webhooks} webhooks in {time.monotonic() - began:.0f} s: "
             f"{len(runs(own))} runs")
    assert "new" not in inbox(own) and "rejected" not in inbox(own)
    same_as_sandbox(own, sandbox)
    # Each endpoint was fetched in full once; what the kills broke was made good by deltas.
    again = [{name: str(run[name]) for name in ("id", "endpoint", "trigger", "started_at", "finished_at", "pages")}
             for run in fulls
             if [other["endpoint"] for other in fulls].count(run["endpoint"]) > 1]
    assert not again, "\n".join(map(str, again))
    assert len(runs(own, kind="full")) == last
    assert own.value("SELECT count(*) FROM kombo.sync_seen") == 0


def test_the_worker_is_back_after_the_crash_of_any_backend_and_takes_up_what_was_queued(own, sandbox):
    """With a fetch under way and webhooks in the inbox that nobody has judged."""
    own.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(own)
    sandbox.faults({"hang": True, "times": -1})
    key = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": "Changed"})
    sandbox.clear_requests()
    send_webhook(own, sandbox)
    wait_requested(own, sandbox, EMPLOYEES)
    with own.connection.transaction():  # at once with its end the server goes down
        insert_webhooks(own, [data_changed(sandbox.integration, "hris_teams")] * 3)
    kill(own, "backend")
    sandbox.faults()
    until(own, lambda: len(workers_of(own)) == 1, 10, "the worker")
    wait_synced(own)
    same_as_sandbox(own, sandbox, tables=["hris_employees", "hris_teams"])
    assert inbox(own) == {"done": 2, "ignored": 2}
    assert asked(sandbox, GROUPS)
    assert_no_page_twice(sandbox)


def test_a_killed_worker_leaves_no_lock_and_no_progress(own, sandbox):
    own.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(own)
    sandbox.faults({"path": EMPLOYEES, "hang": True})
    send_webhook(own, sandbox)
    wait_requested(own, sandbox, EMPLOYEES)
    own.cluster.configure({"kombo_sync.enabled": "off"})
    until(own, lambda: workers_of(own) == [], what="the end of the worker")
    assert own.execute("SELECT * FROM kombo.sync_progress") == []
    assert {row["status"] for row in own.execute("SELECT status FROM kombo.kombo_sync_delta()")} == {"ok"}
    own.cluster.configure({"kombo_sync.enabled": "on"})
    sandbox.faults()
    wait_synced(own)


def test_a_database_whose_worker_is_killed_again_and_again_does_no_harm_to_another(own, sandbox):
    """pg_terminate_backend as fast as it goes; the launcher brings the worker back, less and less often."""
    other = Database(own.cluster, own.cluster.new_database(TEMPLATE))
    other.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    own.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(own)
    own.cluster.configure({"kombo_sync.databases": f"{own.name}, {other.name}"})
    until(other, lambda: workers_of(other), what="the other's worker")
    for _ in range(2):
        pid = worker_pid(other)
        other.execute("SELECT pg_terminate_backend(%s::integer)", [pid])
        until(other, lambda pid=pid: [w for w in workers_of(other) if w["pid"] != pid], what="the next worker")
    key = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": "Changed"})
    send_webhook(own, sandbox)
    wait_synced(own)
    same_as_sandbox(own, sandbox, tables=["hris_employees"])
    other.drop()


def test_what_a_front_end_was_told_is_committed_survives_the_postmaster(own, sandbox):
    """The webhook's row was answered for; the worker had no time to see it."""
    own.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(own)
    key = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": "Changed"})
    send_webhook(own, sandbox)
    kill(own, "postmaster")
    wait_judged(own)
    wait_synced(own)
    assert own.value("SELECT job_title FROM kombo.hris_employees WHERE id = %s", [key]) == "Changed"
    with pytest.raises(psycopg.errors.UniqueViolation):  # the inbox goes on counting where it was
        own.execute("INSERT INTO kombo.webhook_inbox (id, body) SELECT max(id), 'x' FROM kombo.webhook_inbox")
