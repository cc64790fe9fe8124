"""The fault matrix, what happens to the database: see test_faults.py. Which page is under way makes no difference
there, and foreign tables write nothing."""

import contextlib
import os
import pathlib
import re
import resource
import subprocess
import sys

import psycopg
import pytest

from cluster import needed
from sandbox import Sandbox
from syncing import notices_of, wait_until
from worker import WORKER_SETTINGS, new_served, private_kilobytes, serve, until, wait_synced, worker_pid

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "faults"))

from database_faults import DATABASE  # noqa: E402
from fronts import Worker, expect  # noqa: E402
from http_faults import changed  # noqa: E402
from place import EMPLOYEES, Place  # noqa: E402


def new_tried(cluster, number):
    """A Worker of a new database with one place, of that number."""
    kombo = Sandbox(needed("KOMBO_SANDBOX"), employees=60)
    db = new_served(cluster, kombo)
    serve(db, max_retries=0)
    place = Place(db, kombo, number, None, None)
    db.add_integration(kombo.integration, only=["/hris/groups"])
    wait_synced(db)
    return Worker(db, kombo, [place], kombo.integration)


@pytest.fixture(scope="module")
def tried(worker_cluster):
    new = new_tried(worker_cluster, 200)
    yield new
    new.places[0].close()
    worker_cluster.reset_settings()
    new.db.drop()
    new.sandbox.stop()


@contextlib.contextmanager
def broken(db, cell):
    for statement in cell.breaking:
        db.execute(statement)
    db.cluster.reload(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in cell.settings.items()))
    with db.connect(autocommit=False) as session:
        for statement in cell.held:
            session.execute(statement)
        try:
            yield
        finally:
            session.rollback()
            db.cluster.reload(*(f"ALTER SYSTEM RESET {name}" for name in cell.settings))
            for statement in cell.mending:
                db.execute(statement)


def call(place, kind):
    """The list's row, and the SQLSTATEs of what is said; the worker may be at it."""
    with place.db.connect() as session:
        session.execute("SET statement_timeout = '20s'")
        heard = notices_of(session)

        def sync():
            heard.clear()
            row, = session.execute(f"SELECT * FROM kombo.kombo_sync_{kind}(%s, ARRAY[%s])",
                                   [place.integration, EMPLOYEES]).fetchall()
            return row["status"] != "skipped" and row

        return wait_until(sync, what="a turn"), [one.sqlstate for one in heard]


def of_worker(tried, place):
    """What sync_status says once the worker has tried."""
    before = tried.attempts(place)
    tried.request(place, "full")
    until(tried.db, lambda: tried.attempts(place) != before, what="the end of the fetch")
    return tried.status(place)


@pytest.mark.parametrize("cell", DATABASE, ids=[cell.what for cell in DATABASE])
def test_what_happens_to_the_database_is_survived(tried, cell):
    place, = tried.places
    pid = worker_pid(tried.db)
    mark, watermark = place.change(), place.watermark()
    with broken(tried.db, cell):
        row, said = call(place, "full")
        expect(row["status"] == cell.status, row, said)
        if cell.state:
            expect(cell.state in said and re.search(cell.says, row["error"]), row["error"], said)
            expect(place.watermark() == watermark, "the watermark of a list that failed has moved")
        elif not cell.parked:
            expect(place.marked(mark) == set(place.ids), "not all was stored")
        expect(tried.db.value("SELECT count(*) FROM kombo.rejected_records") == cell.parked, "records were parked")
        place.change()
        status = of_worker(tried, place)
        expect(re.search(cell.says, status["reason"] or "") if cell.state or cell.parked
               else status["state"] == "fresh", status)
        tried.serves_others()
    tried.db.execute("SELECT kombo.resume(%s)", [place.integration])
    row, said = call(place, "full")
    expect(row["status"] == "ok", row, said)
    place.assert_equal()
    expect(tried.db.value("SELECT count(*) FROM kombo.rejected_records") == 0, "records are parked still")
    tried.request(place, "full")
    tried.settled(place)
    expect(worker_pid(tried.db) == pid, "the worker has ended")


def test_without_free_connections_the_worker_goes_on(tried):
    with contextlib.ExitStack() as taken:
        with pytest.raises(psycopg.OperationalError, match="too many clients|remaining connection slots"):
            for _ in range(200):
                taken.enter_context(contextlib.closing(tried.db.connect()))
        tried.serves_others()


# --- memory -------------------------------------------------------------------------------------------------------

def padded(answer):
    """A page of 60 MB."""
    answer.body = answer.body.replace(b'"results":', b" " * 60_000_000 + b'"results":', 1)


@contextlib.contextmanager
def little_memory(pid):
    """The process gets no more than some MB."""
    with open(f"/proc/{pid}/statm", encoding="utf-8") as statm:
        has = int(statm.read().split()[0]) * resource.getpagesize()
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (has + 20_000_000, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_that_memory_does_not_suffice_for_fails_the_list_and_nothing_else(tried, page):
    place, = tried.places
    with place.db.connect() as session:
        session.execute("SET kombo_sync.max_retries = 0")
        sync = f"SELECT * FROM kombo.kombo_sync_full('{place.integration}', ARRAY['{EMPLOYEES}'])"
        session.execute(sync)  # what a session needs once
        mark = place.change()
        place.middle.arm(changed(padded), page)
        with little_memory(session.info.backend_pid):
            row, = session.execute(sync).fetchall()
        expect(row["status"] == "failed" and "out of memory" in row["error"], row)
        expect(place.marked(mark) == set(), "rows of a list that failed were stored")
        place.middle.disarm()
        row, = session.execute(sync).fetchall()
        expect(row["status"] == "ok", row)
        place.assert_equal()


@pytest.mark.parametrize("page", [1, 3])
def test_a_page_that_the_workers_memory_does_not_suffice_for_fails_the_list_and_nothing_else(tried, page):
    place, = tried.places
    pid = worker_pid(tried.db)
    mark = place.change()
    place.middle.arm(changed(padded), page)
    with little_memory(pid):
        status = of_worker(tried, place)
        expect(status["state"] == "failed" and "out of memory" in status["reason"], status)
        expect(place.marked(mark) == place.of_pages(*range(1, page)), "stored are not the pages before")
        tried.serves_others()
    place.middle.disarm()
    tried.db.execute("SELECT kombo.resume(%s)", [place.integration])
    tried.settled(place)
    expect(worker_pid(tried.db) == pid, "the worker has ended")
    expect(private_kilobytes(pid) < 100_000, "the worker keeps the memory")


# --- a full disk --------------------------------------------------------------------------------------------------

# The server gets a file system of its own. PostgreSQL refuses root: so a user namespace within the one that mounts.
START_WITH_SMALL_DISK = ('mount -t tmpfs -o size=16M,mode=1777 tmpfs "$1" && '
                         'exec unshare --user --map-user="$2" --map-group="$3" "$4" -D "$5" -l "$6" -w -s start')


@pytest.fixture
def small_disk(new_cluster):
    """A cluster with a tablespace of 16 MB, `small`; skips where that needs more rights."""
    cluster = new_cluster(WORKER_SETTINGS)
    cluster.stop()
    folder = cluster.folder / "small"
    folder.mkdir()
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", START_WITH_SMALL_DISK, "sh", folder, str(os.getuid()),
                           str(os.getgid()), cluster.bindir / "pg_ctl", cluster.data, cluster.log],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    cluster.run(f"CREATE TABLESPACE small LOCATION '{folder}'")
    return cluster


def fill(db):
    db.execute("CREATE TABLE public.filler (text text) TABLESPACE small")
    for size in (1_000_000, 100_000, 8_000, 100):
        with contextlib.suppress(psycopg.errors.DiskFull):
            for _ in range(300):
                db.execute("ALTER TABLE public.filler ALTER text SET STORAGE EXTERNAL")
                db.execute(f"INSERT INTO public.filler VALUES (repeat('x', {size}))")


def test_a_full_disk_fails_the_lists_whose_tables_are_on_it(small_disk):
    tried = new_tried(small_disk, 300)
    db, place, pid = tried.db, tried.places[0], worker_pid(tried.db)
    for table in ("hris_employees", "hris_employments"):
        db.execute(f"ALTER TABLE kombo.{table} SET TABLESPACE small")
        db.execute(f"ALTER TABLE kombo.{table} ALTER remote_data SET STORAGE EXTERNAL")
    fill(db)
    place.sandbox.admin("POST", "records", [
        {"integration": place.integration, "model": "hris_employees", "op": "change", "id": key,
         "set": {"remote_data": {"text": "y" * 20_000}}} for key in place.ids])
    watermark = place.watermark()
    row, said = call(place, "full")
    expect(row["status"] == "failed" and "53100" in said and "could not extend file" in row["error"], row, said)
    status = of_worker(tried, place)
    expect(status["state"] == "failed" and "could not extend file" in status["reason"], status)
    expect(place.watermark() == watermark, "the watermark of a list that failed has moved")
    tried.serves_others()
    db.execute("DROP TABLE public.filler")
    db.execute("SELECT kombo.resume(%s)", [place.integration])
    tried.settled(place)
    expect(worker_pid(db) == pid, "the worker has ended")
    expect(db.value("SELECT count(*) FROM kombo.rejected_records") == 0, "records were parked")
    place.close()
    tried.sandbox.stop()
