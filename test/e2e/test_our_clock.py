"""Our own clock jumps, while Kombo's goes right: nothing is lost, and nothing waits for a time that the clock has
said before."""

import pathlib
import sys

import pytest

from cluster import Cluster, needed
from syncing import one, same_as_sandbox, sync_delta
from worker import (WORKER_SETTINGS, deliver, new_served, send_webhook, state_of, until, wait_requested, wait_synced,
                    worker_pid)

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "faults"))

from our_clock import OurClock  # noqa: E402

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
HOUR, YEAR = 3600, 366 * 86400
JUMPS = [HOUR, -HOUR, YEAR, -YEAR]


@pytest.fixture(scope="module")
def clock():
    return OurClock()


@pytest.fixture(scope="module")
def cluster_with_clock(clock):
    cluster = Cluster(needed("KOMBO_PGBIN"), WORKER_SETTINGS, clock)
    yield cluster
    cluster.close()


@pytest.fixture
def served(cluster_with_clock, clock, sandbox):
    db = new_served(cluster_with_clock, sandbox)
    db.add_integration(sandbox.integration)
    yield db
    clock.jump(0)
    cluster_with_clock.reset_settings()
    db.drop()


def change(sandbox, text):
    key = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": text})
    return key


def assert_in_step(db, sandbox, text):
    """The schedule alone, a webhook and a call each bring a change."""
    def call():  # the worker may be at it
        until(db, lambda: [row["status"] for row in sync_delta(db, what=EMPLOYEES)] == ["ok"], what="a turn")

    for way, ask in (("by itself", lambda: None), ("by a webhook", lambda: send_webhook(db, sandbox)),
                     ("by a call", call)):
        key = change(sandbox, f"{text}, {way}")
        ask()
        until(db, lambda: one(db, "hris_employees", key)["job_title"] == f"{text}, {way}", 30, f"{text}, {way}")
    wait_synced(db)
    same_as_sandbox(db, sandbox)


def often(db, sandbox, endpoint):
    """Has it fetched each second."""
    db.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, delta_interval) VALUES (%s, %s, '1s')",
               [sandbox.integration, endpoint])


def wait_noticed(db, sandbox, endpoint):
    """The worker looks at the clock each second, and fetches this as often. There and back within one is no jump."""
    sandbox.clear_requests()
    wait_requested(db, sandbox, endpoint, 4)


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_clock_that_jumps_between_fetches_keeps_nothing_waiting(served, sandbox, clock, seconds):
    often(served, sandbox, EMPLOYEES)
    wait_synced(served)
    pid = worker_pid(served)
    for name, away in (("the jump", seconds), ("the jump back", 0)):
        clock.jump(away)
        assert_in_step(served, sandbox, f"after {name}")
        wait_noticed(served, sandbox, EMPLOYEES)
    assert worker_pid(served) == pid


def jump_within_a_fetch(db, sandbox, clock, seconds):
    sandbox.settings(latency_ms=300)
    db.execute("SELECT kombo.request_sync(%s, 'full', %s)", [sandbox.integration, [EMPLOYEES]])
    until(db, lambda: (db.value("SELECT max(pages) FROM kombo.sync_progress WHERE endpoint = %s",
                                [EMPLOYEES]) or 0) > 0, what="a page")
    clock.jump(seconds)
    sandbox.settings(latency_ms=0)
    wait_synced(db)


@pytest.mark.sandbox(employees=900)
def test_a_clock_that_is_put_right_within_a_fetch_takes_no_row_for_a_later_one(served, sandbox, clock):
    """What is no longer in a list goes, unless it was written after the page was asked for."""
    often(served, sandbox, GROUPS)
    wait_synced(served)
    clock.jump(-HOUR)
    wait_noticed(served, sandbox, GROUPS)
    for record in sandbox.dump("hris_employees"):
        sandbox.record("set_links", "hris_employees", record["id"], list="groups", ids=[])
    jump_within_a_fetch(served, sandbox, clock, 0)
    same_as_sandbox(served, sandbox)


@pytest.mark.sandbox(employees=900)
@pytest.mark.parametrize("seconds", JUMPS)
def test_a_clock_that_jumps_within_fetches_loses_nothing(served, sandbox, clock, seconds):
    often(served, sandbox, EMPLOYEES)
    wait_synced(served)
    pid = worker_pid(served)
    for away in (seconds, 0):
        for record in sandbox.dump("hris_employees"):
            sandbox.record("change", "hris_employees", record["id"], {"job_title": f"at {away}"})
        jump_within_a_fetch(served, sandbox, clock, away)
        same_as_sandbox(served, sandbox)
        wait_noticed(served, sandbox, EMPLOYEES)
    assert worker_pid(served) == pid


@pytest.mark.parametrize("seconds", [HOUR, YEAR])
def test_what_failed_before_the_clock_was_put_back_is_tried_again_as_soon(served, sandbox, clock, seconds):
    served.cluster.configure({"kombo_sync.max_retries": 0})
    often(served, sandbox, GROUPS)
    wait_synced(served)
    clock.jump(seconds)
    wait_noticed(served, sandbox, GROUPS)
    sandbox.faults({"path": GROUPS, "status": 500})
    until(served, lambda: state_of(served, GROUPS)["last_status"] == "failed", what="the failure")
    sandbox.faults()
    sandbox.record("change", "hris_teams", sandbox.dump("hris_teams")[0]["id"], {"name": "after all"})
    clock.jump(0)
    until(served, lambda: state_of(served, GROUPS)["last_status"] == "ok", what="the next attempt")
    wait_synced(served)
    same_as_sandbox(served, sandbox)


@pytest.mark.parametrize("seconds", [HOUR, YEAR])
def test_a_question_that_failed_before_the_clock_was_put_back_is_asked_again_as_soon(served, sandbox, clock, seconds):
    served.cluster.configure({"kombo_sync.max_retries": 0})
    wait_synced(served)
    question = f"/integrations/{sandbox.integration}"

    def paused():
        return served.value("SELECT paused_by FROM kombo.integrations") is not None

    def state_changed(status):
        sandbox.change_integration(status=status, reads_when_inactive=False)
        deliver(served, sandbox.webhook(type="integration-state-changed"))

    state_changed("INACTIVE")
    until(served, paused, what="the pause")
    clock.jump(seconds)
    sandbox.faults({"path": question, "status": 500, "times": -1})
    sandbox.clear_requests()
    state_changed("ACTIVE")
    until(served, lambda: 500 in {request["status"] for request in sandbox.requests(question)}, what="the question")
    clock.jump(0)
    sandbox.faults()
    until(served, lambda: not paused(), 30, "the end of the pause")
    wait_synced(served)
