"""Deltas with every kind of error in them, one after the other in one process: its memory stays what it was."""

import itertools

import pytest

from cluster import TEMPLATE, Database
from fake_kombo import error
from syncing import assert_ok, sync_full
from worker import SOAK, private_kilobytes, serve, until, worker_pid

GROUPS = "/hris/groups"
DELTAS = 10_000 if SOAK else 40
FLAT = 1024  # kB: the heap is given out in such pieces; a leak of 200 bytes a delta is twice that in the long round

OK = {"id": "b", "name": "fine", "changed_at": "2024-01-01T00:00:00Z"}


def answers():
    """What a list is answered with, in turns."""
    numbers = itertools.count()
    yield error(500, "PLATFORM.UNKNOWN_ERROR", "server " * 50)
    yield error(400, "PLATFORM.INPUT_INVALID", "no such filter")
    yield 502, {}, b"<html>" + b"gateway " * 2000
    yield error(429, "REMOTE.RATE_LIMIT_EXCEEDED")  # of the tool: the key need not wait
    yield 200, {}, b'{"status":"success","data":{"results":[{"id":"a"}' + b" " * 5000
    yield 200, {}, b'{"status":"success","data":{"results":[{"id":"a","name":tru}],"next":null}}'
    yield 404, {}, b""
    # Refused by a constraint of the user's, beside one that is stored.
    yield [{**OK, "name": f"new {next(numbers)}"}, {**OK, "id": "refused", "name": "x" * 3000}, {"name": "no id"}, 7]
    # Values that fit nowhere, and keys that nobody knows.
    yield [{**OK, "changed_at": "soon", "name": {"a": "\x00"}, f"key {next(numbers)}": [1e300, "\ud800", {"b": []}]}]
    yield {"results": [OK], "next": "the same again"}


@pytest.fixture
def broken(fake_kombo):
    """A Kombo whose /hris/groups is in order once, and then never again."""
    given = itertools.chain([[OK]], itertools.cycle(answers()))
    return fake_kombo(lambda path, query: next(given) if path == GROUPS else None)


def prepare(db):
    db.add_integration("one", category="HRIS", only=[GROUPS])
    db.execute("ALTER TABLE kombo.hris_teams ADD CHECK (id <> 'refused')")


def measure(one_delta, pid):
    """kB of private memory after half of the deltas and after all."""
    for _ in range(DELTAS // 2):
        one_delta()
    half = private_kilobytes(pid)
    for _ in range(DELTAS // 2):
        one_delta()
    return half, private_kilobytes(pid)


@pytest.mark.soak
@pytest.mark.time_limit(3600 if SOAK else 120)
def test_a_session_whose_deltas_fail_again_and_again_does_not_grow(cluster, broken, measured):
    cluster.prepare_template()
    db = Database(cluster, cluster.new_database(TEMPLATE))
    db.create_server(broken)
    prepare(db)
    assert_ok(sync_full(db, what=GROUPS))
    db.execute("SET client_min_messages = error")
    db.execute("SET kombo_sync.max_retries = 0")
    seen = set()

    def one_delta():
        row, = db.execute("SELECT status, left(error, 15) AS error FROM kombo.kombo_sync_delta('one', ARRAY[%s])",
                          [GROUPS])
        seen.add((row["status"], row["error"]))

    half, end = measure(one_delta, db.connection.info.backend_pid)
    measured(f"a session's memory after {DELTAS // 2} and {DELTAS} deltas with errors: {half} and {end} kB")
    assert len(seen) >= 4, seen
    assert end < half + FLAT, (half, end)
    db.drop()


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="a minute or more; ./check soak does it")
@pytest.mark.time_limit(7200)
def test_a_worker_whose_deltas_fail_again_and_again_does_not_grow(worker_cluster, broken, measured):
    worker_cluster.prepare_template()
    db = Database(worker_cluster, worker_cluster.new_database(TEMPLATE))
    db.create_server(broken)
    prepare(db)
    serve(db, max_retries=0)
    until(db, lambda: broken.asked(GROUPS) > 0, what="the first full")
    pid = worker_pid(db)

    def one_delta():
        before = broken.asked(GROUPS)
        for _ in range(3000):
            db.execute("SELECT kombo.request_sync('one', 'delta', ARRAY[%s])", [GROUPS])
            try:
                return until(db, lambda: broken.asked(GROUPS) > before, 0.5)
            except AssertionError:
                continue

    half, end = measure(one_delta, pid)
    measured(f"a worker's memory after {DELTAS // 2} and {DELTAS} deltas with errors: {half} and {end} kB")
    assert worker_pid(db) == pid
    assert end < half + FLAT, (half, end)
    worker_cluster.reset_settings()
    db.drop()
