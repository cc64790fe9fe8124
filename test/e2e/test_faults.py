"""The fault matrix: every fault of test/faults, at the first, a middle or the last page, in a call, in the worker and
in a query on a live table. ./check soak tries all combinations, a short round each fault once."""

import pathlib
import shutil
import sys

import psycopg
import pytest

from cluster import TEMPLATE, Database, needed
from sandbox import Sandbox
from syncing import assert_ok, sync_delta
from worker import new_served, serve, until, wait_synced

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "faults"))

from body_faults import Endless  # noqa: E402
from certificates import Certificates  # noqa: E402
from database_faults import DATABASE  # noqa: E402
from fronts import Call, Live, Worker, turns  # noqa: E402
from groups import GROUPS  # noqa: E402
from http2_faults import Http2  # noqa: E402
from place import Place  # noqa: E402
from print_faults import database_table, table  # noqa: E402

SLOTS = 8


@pytest.fixture(scope="module")
def kombo():
    started = Sandbox(needed("KOMBO_SANDBOX"), employees=60)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def http2(certificates):
    """None where there is no node."""
    started = Http2(certificates) if shutil.which("node") else None
    yield started
    if started:
        started.close()


@pytest.fixture(scope="module")
def at_sessions(cluster, kombo, certificates, http2):
    """A place for calls and queries."""
    cluster.prepare_template()
    db = Database(cluster, cluster.new_database(TEMPLATE))
    place = Place(db, kombo, 100, certificates, http2)
    assert_ok(sync_delta(db, place.integration))
    yield place
    place.close()
    db.drop()


@pytest.fixture(scope="module")
def at_worker(worker_cluster, kombo, certificates, http2):
    db = new_served(worker_cluster, kombo)
    serve(db, max_retries=0, max_concurrency=16)
    places = [Place(db, kombo, number, certificates, http2) for number in range(SLOTS)]
    db.add_integration(kombo.integration, only=["/hris/groups"])
    wait_synced(db)
    yield Worker(db, kombo, places, kombo.integration)
    for place in places:
        place.close()
    worker_cluster.reset_settings()
    db.drop()


def name(cell, page, kind):
    return f"{cell.what} (page {page}, {kind})"


def needs(place, group):
    if group == "http2" and not place.http2:
        pytest.skip("there is no node")


def tell(wrong):
    assert not wrong, f"{len(wrong)} cells:\n" + "\n".join(f"  {cell}: {error}" for cell, error in wrong.items())


@pytest.mark.time_limit(3000)
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("front", [Call, Live])
def test_a_session_survives_every_fault(at_sessions, front, group):
    needs(at_sessions, group)
    tried, wrong = front(at_sessions), {}
    for cell, page, kind in turns(GROUPS[group], front.__name__.lower()):
        try:
            tried.run(cell, page, kind)
        except Exception as error:  # of whatever kind: the cell has to be named
            wrong[name(cell, page, kind)] = error
    tried.session.close()
    tell(wrong)


@pytest.mark.time_limit(3000)
@pytest.mark.parametrize("group", GROUPS)
def test_the_worker_survives_every_fault(at_worker, group):
    needs(at_worker.places[0], group)
    todo, wrong = list(turns(GROUPS[group], "worker")), {}
    for begin in range(0, len(todo), SLOTS):
        batch = todo[begin:begin + SLOTS]
        wrong.update({name(*batch[number]): error for number, error in at_worker.run(batch).items()})
    tell(wrong)


def test_a_list_without_end_is_read_until_the_call_is_ended_and_holds_up_no_other_in_the_worker(at_sessions, at_worker):
    call = Call(at_sessions)
    at_sessions.middle.arm(Endless(), 2)
    call.session.execute("SET statement_timeout = '1s'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        call.sync("full", 0)
    at_sessions.middle.disarm()
    call.session.execute("SET statement_timeout = '20s'")
    call.well("delta")
    call.session.close()
    place = at_worker.places[0]
    place.middle.arm(Endless(), 2)
    at_worker.request(place, "full")
    until(at_worker.db, lambda: place.middle.hits > 5, what="some pages")
    at_worker.serves_others()
    place.middle.disarm()
    at_worker.settled(place)


def test_the_tables_of_faults_in_the_docs_are_those_of_these_tests():
    docs = (pathlib.Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    for text in (*map(table, GROUPS.values()), database_table(DATABASE)):
        assert text in docs, text
