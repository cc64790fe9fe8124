"""The fault matrix, what happens to the database: see test_faults.py. Which page is under way makes no difference
there, and foreign tables write nothing."""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

import psycopg
import pytest

from cluster import needed
from sandbox import Sandbox
from syncing import notices_of, same_as_sandbox, wait_until
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
    # Or a worker would be at what a call has failed at, and the next call would find it so.
    db.execute("UPDATE kombo.subscriptions SET delta_interval = NULL, full_interval = NULL "
               "WHERE (integration_id, endpoint) = (%s, %s)", [place.integration, EMPLOYEES])
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

def within(cluster):
    """The command that starts it in namespaces. PostgreSQL refuses root: so a user namespace within theirs."""
    return ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", cluster.bindir / "pg_ctl",
            "-D", cluster.data, "-l", cluster.log, "-w", "-s", "start"]


# The server gets a file system of its own, which this process keeps, as the server may end.
MOUNT = 'mount -t tmpfs -o size="$2",mode=1777 tmpfs "$1" && echo mounted && exec sleep infinity'


class SmallDisk:
    """A file system in a folder, for a cluster that is started by start(). It is `seen` by us elsewhere."""

    def __init__(self, cluster, folder, size):
        self.cluster = cluster
        self.folder = folder
        # pylint: disable-next=consider-using-with
        self.keeper = subprocess.Popen(["unshare", "-Urm", "sh", "-c", MOUNT, "sh", self.folder, size], text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = self.keeper.stdout.readline()
        if said != "mounted\n":
            self.keeper.wait()
            pytest.skip(f"a file system cannot be mounted here: {said.strip()}")
        self.seen = pathlib.Path(f"/proc/{self.keeper.pid}/root{self.folder}")

    def start(self):
        subprocess.run(["nsenter", "--target", str(self.keeper.pid), "--user", "--mount", "--preserve-credentials",
                        *within(self.cluster)],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

    def fill(self):
        with contextlib.suppress(OSError), open(self.seen / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)

    def make_room(self):
        (self.seen / "filler").unlink()


@pytest.fixture
def small_disk(new_cluster):
    """small_disk(folder, size): one in a folder below that of a stopped cluster; skips where that needs more rights."""
    disks = []

    def make(folder, size):
        cluster = new_cluster(WORKER_SETTINGS)
        cluster.stop()
        whole = cluster.folder / folder
        whole.mkdir(parents=True, exist_ok=True)
        disks.append(SmallDisk(cluster, whole, size))
        return disks[-1]

    yield make
    for disk in disks:
        disk.cluster.stop("immediate")
        disk.keeper.kill()
        disk.keeper.wait()


def test_a_full_disk_fails_the_lists_whose_tables_are_on_it(small_disk):
    disk = small_disk("small", "16M")
    disk.start()
    disk.cluster.run(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
    tried = new_tried(disk.cluster, 300)
    db, place, pid = tried.db, tried.places[0], worker_pid(tried.db)
    for table in ("hris_employees", "hris_employments"):
        db.execute(f"ALTER TABLE kombo.{table} SET TABLESPACE small")
        db.execute(f"ALTER TABLE kombo.{table} ALTER remote_data SET STORAGE EXTERNAL")
    disk.fill()
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
    disk.make_room()
    db.execute("SELECT kombo.resume(%s)", [place.integration])
    tried.settled(place)
    expect(worker_pid(db) == pid, "the worker has ended")
    expect(db.value("SELECT count(*) FROM kombo.rejected_records") == 0, "records were parked")
    place.close()
    tried.sandbox.stop()


ABSENCES = "/hris/absences"


@pytest.mark.sandbox(employees=34_000)  # of which each has two absences: more ids than are kept in memory
def test_a_full_disk_of_temporary_files_fails_the_full_fetch_until_there_is_room(small_disk, sandbox):
    disk = small_disk("data/base/pgsql_tmp", "1M")
    disk.start()
    db = new_served(disk.cluster, sandbox)
    pid = worker_pid(db)
    disk.fill()
    db.add_integration(sandbox.integration, only=[ABSENCES])
    status, = until(db, lambda: db.execute("SELECT * FROM kombo.sync_status WHERE state = 'failed'"), 120, "a failure")
    expect("could not write to temporary file" in status["reason"], status)
    disk.make_room()
    db.execute("SELECT kombo.resume(%s)", [sandbox.integration])
    wait_synced(db, timeout=60)
    expect(db.value("SELECT count(*) FROM kombo.hris_absences") == 68_000, "rows are missing")
    expect(worker_pid(db) == pid, "the worker has ended")


def test_a_full_disk_of_wal_ends_the_server_and_costs_no_row(small_disk, sandbox):
    """That the server ends then is PostgreSQL's way."""
    disk = small_disk("data/pg_wal", "80M")
    cluster = disk.cluster
    shutil.copytree(disk.folder, disk.seen, dirs_exist_ok=True)
    disk.start()
    db = new_served(cluster, sandbox)
    db.add_integration(sandbox.integration)
    db.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, delta_interval) VALUES (%s, %s, '1s')",
               [sandbox.integration, EMPLOYEES])
    wait_synced(db)
    sandbox.churn(50, models=["hris_employees"], ops={"change": 1})
    disk.fill()
    with pytest.raises(psycopg.OperationalError):
        for _ in range(100):
            db.execute("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 4000000))")
    wait_until(lambda: "No space left on device" in cluster.log.read_text(encoding="utf-8"), what="the lack of room")
    with contextlib.suppress(RuntimeError):  # it may have ended by itself
        cluster.stop("immediate")
    disk.make_room()
    disk.start()
    db.reconnect(restarted=False)
    sandbox.stop_churn()
    db.execute("SELECT kombo.request_sync()")
    wait_synced(db, timeout=60)
    same_as_sandbox(db, sandbox)


# --- a transaction that lasts too long ----------------------------------------------------------------------------

def test_transaction_timeout_ends_a_call_and_not_the_worker(tried):
    """A call is one transaction; PostgreSQL ends its session."""
    db, place = tried.db, tried.places[0]
    if db.connection.info.server_version < 170000:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    pid, mark = worker_pid(db), place.change()
    place.sandbox.settings(latency_ms=1000)
    try:
        with db.connect() as session, pytest.raises(psycopg.Error, match="transaction timeout"):
            session.execute("SET transaction_timeout = '1s'")
            wait_until(lambda: session.execute(
                f"SELECT status FROM kombo.kombo_sync_full('{place.integration}', ARRAY['{EMPLOYEES}'])").fetchone()[
                    "status"] != "skipped", what="a turn")
        expect(place.marked(mark) == set(), "rows of a call that was ended were stored")
        # Three pages take longer, and no other statement here takes as long.
        db.cluster.reload("ALTER SYSTEM SET transaction_timeout = '2800ms'")
        tried.request(place, "full")
        tried.settled(place)
    finally:
        db.cluster.reload("ALTER SYSTEM RESET transaction_timeout")
        place.sandbox.settings(latency_ms=0)
    place.assert_equal()
    expect(worker_pid(db) == pid, "the worker has ended")


# --- no way out ---------------------------------------------------------------------------------------------------

def test_without_a_route_to_kombo_all_waits_and_goes_on_with_one(new_cluster, sandbox):
    """In a network namespace of its own without any route, not even to itself."""
    cluster = new_cluster(WORKER_SETTINGS)
    db = new_served(cluster, sandbox)
    db.add_integration(sandbox.integration)
    wait_synced(db)
    cluster.stop()
    probe = subprocess.run(["unshare", "-Urn", "unshare", "--user", "true"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"namespaces cannot be made here: {probe.stdout.strip()}")
    subprocess.run(["unshare", "-Urn", *within(cluster)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   check=True)
    db.reconnect(restarted=False)
    watermarks = db.execute("SELECT endpoint, watermark FROM kombo.sync_state ORDER BY endpoint")
    heard = notices_of(db.connection)
    db.execute("SET kombo_sync.max_retries = 0")
    statuses = {row["status"] for row in db.execute("SELECT status FROM kombo.kombo_sync_delta()")}
    expect(statuses == {"failed"} and heard[0].sqlstate == "08001", statuses, heard[0].message_primary)
    sandbox.churn(1000, count=50, models=["hris_employees"], ops={"change": 1})
    wait_until(lambda: all(stream["done"] >= 50 for stream in sandbox.churning()), what="changes")
    db.execute("SELECT kombo.request_sync(NULL)")
    until(db, lambda: "unreachable" in (db.value("SELECT max(reason) FROM kombo.sync_status WHERE state = 'failed'")
                                        or ""), what="what the worker says")
    expect(db.execute("SELECT endpoint, watermark FROM kombo.sync_state ORDER BY endpoint") == watermarks,
           "the watermark of a list that failed has moved")
    cluster.restart()
    db.reconnect(restarted=False)
    db.execute("SELECT kombo.resume(NULL)")
    wait_synced(db, timeout=60)
    same_as_sandbox(db, sandbox)
