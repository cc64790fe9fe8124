"""Several workers of one database: each looks after its share of the integrations, and after those of one that is
gone."""

import os
import signal

import pytest

from worker import WORKERS, serve, until, wait_synced, workers_of

INTEGRATIONS = [f"hibob:{number}" for number in range(24)]


@pytest.fixture
def shared(served, sandbox):
    """Many small integrations, synced, and three workers."""
    serve(served, workers=3)
    for number, integration in enumerate(INTEGRATIONS):
        sandbox.add_integration(integration, employees=2, seed=number)
        served.add_integration(integration, category="HRIS", only=["/hris/groups"])
    wait_synced(served)
    return served


def request_all(db):
    db.execute("SELECT kombo.request_sync(id, 'full') FROM unnest(%s::text[]) id", [INTEGRATIONS])


def owners(db, sandbox):
    """{integration: pid of the worker that syncs it}, of a round of fulls that Kombo answers slowly."""
    sandbox.settings(latency_ms=200)
    request_all(db)
    seen = {}

    def all_seen():
        seen.update({row["integration_id"]: row["pid"] for row in db.execute("SELECT * FROM kombo.sync_progress")})
        return len(seen) == len(INTEGRATIONS)

    until(db, all_seen, what="a sync of each integration")
    sandbox.settings(latency_ms=0)
    wait_synced(db)
    return seen


def test_each_worker_syncs_its_share_again_and_again(shared, sandbox):
    first = owners(shared, sandbox)
    assert set(first.values()) == {row["pid"] for row in workers_of(shared)}
    assert owners(shared, sandbox) == first


def test_what_a_worker_leaves_behind_is_taken_over(shared, sandbox):
    sandbox.settings(latency_ms=300)
    request_all(shared)
    until(shared, lambda: shared.value("SELECT count(DISTINCT pid) FROM kombo.sync_progress") == 3, what="all at work")
    shared.cluster.configure({"kombo_sync.workers": 1})
    left, = until(shared, lambda: len(shared.execute(WORKERS)) == 1 and workers_of(shared), what="one worker")
    sandbox.settings(latency_ms=0)
    wait_synced(shared)
    assert set(owners(shared, sandbox).values()) == {left["pid"]}


@pytest.mark.time_limit(90)
def test_the_share_of_a_worker_that_hangs_is_taken_over_and_given_back(shared, sandbox):
    before = owners(shared, sandbox)
    hanging = before[INTEGRATIONS[0]]
    os.kill(hanging, signal.SIGSTOP)
    try:
        request_all(shared)
        wait_synced(shared, timeout=20)
        assert hanging not in owners(shared, sandbox).values()
    finally:
        os.kill(hanging, signal.SIGCONT)
    until(shared, lambda: owners(shared, sandbox) == before, what="the shares as they were")
