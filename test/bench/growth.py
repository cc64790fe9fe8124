"""What grows with the data: memory, and the time of a small delta; and with the number of integrations: the backlog."""

import collections
import contextlib
import dataclasses
import functools
import statistics

from cluster import TEMPLATE, Database
from rows import Point, Row, at_most
from sandbox import WEBHOOK_SECRET, Sandbox
from stand import data_tables, needed, vacuum
from network import first_pages
from worker import Peak, private_kilobytes, serve, until

CHANGED = 10


@dataclasses.dataclass
class Stored:
    """A database in which so many employees are, and what their first full sync took."""
    db: object
    sandbox: object
    seconds: float
    idle: float      # MB
    peak: float      # MB


@functools.cache
def stored(stand, employees):
    """Loaded once in a run."""
    sandbox = stand.sandbox(employees)
    db = stand.kept.enter_context(stand.database(sandbox))
    with db.connect() as connection:
        pid = connection.info.backend_pid
        connection.execute("SELECT 1")
        idle = private_kilobytes(pid)
        with Peak(pid) as peak:
            took, _ = stand.sync(db, connection=connection)
    vacuum(db, data_tables(db))
    return Stored(db, sandbox, took, idle / 1024, peak.kilobytes / 1024)


def memory(stand):
    """Private memory of a backend in its first full sync, by size of the data"""
    few, most = stand.sizes.stored[0], stand.sizes.stored[-1]
    for employees in stand.sizes.stored:
        seen = stored(stand, employees)
        yield Point("memory", "peak of a first full sync", employees, seen.peak)
        yield Point("memory", "an idle backend", employees, seen.idle)
        if employees not in stand.sizes.written:
            yield Point("time", "first full sync", employees, seen.seconds)
    small, big = stored(stand, few), stored(stand, most)
    yield Row("memory", "Peak memory of a first full sync, largest size compared with smallest",
              f"{most:,} and {few:,} employees",
              [big.peak / small.peak], at_most(1.2), ours=[big.peak], theirs=[small.peak], sides="MB")
    yield Row("memory", "Peak memory of the largest first full sync, above an idle backend",
              f"{most:,} employees, {big.seconds:.0f} s",
              [big.peak - big.idle], at_most(100), "MB")


def delta(stand):
    """The same small delta with ever more rows stored, less the HTTP request"""
    databases = {employees: stored(stand, employees).db for employees in stand.sizes.stored}
    # All ask the smallest sandbox, of which the others have more of the same: a large one takes longer to find out what
    # has changed than the delta does. Those who change are nobody's managers: whom they manage would come with them.
    sandbox = stored(stand, stand.sizes.stored[0]).sandbox
    for db in databases.values():
        db.execute(f"ALTER SERVER kombo_eu OPTIONS (SET base_url '{sandbox.base_url}')")
    few = databases[stand.sizes.stored[0]]
    changing = [row["id"] for row in few.execute("""
        SELECT e.id FROM kombo.hris_employees e
        WHERE NOT EXISTS (SELECT FROM kombo.hris_employees r WHERE r.manager_id = e.id)
        ORDER BY e.id LIMIT %s""", [CHANGED])]
    took = {employees: [] for employees in databases}
    for number in range(stand.sizes.deltas + 1):
        sandbox.admin("POST", "records", [{"model": "hris_employees", "op": "change", "id": key,
                                           "set": {"job_title": f"Delta {number}"}} for key in changing])
        order = collections.deque(databases.items())
        order.rotate(number)  # the first to ask for what has changed waits longer
        for employees, db in order:
            sandbox.clear_requests()
            seconds, result = stand.sync(db, "delta", connection=db.connection)
            if number == 0:
                continue  # prepares the statements of its session
            if result["updated"] != len(changing) or result["received"] != len(changing):
                raise RuntimeError(f"the delta is not what was changed: {result}")
            asked = stand.ask(sandbox, first_pages(sandbox))
            took[employees].append((seconds - asked["seconds"]) * 1000)
    medians = {employees: statistics.median(times) for employees, times in took.items()}
    size = ", ".join(f"{employees:,} employees {medians[employees]:.1f} ms" for employees in took)
    yield Row("delta", f"A delta of {CHANGED} records, slowest size compared with fastest", size,
              [max(medians.values()) / min(medians.values())], at_most(1.3))


def pending(stand):
    """First full syncs by the worker with ever more integrations that wait for theirs: runs a second"""
    rates = {count: first_fulls(stand, count) for count in stand.sizes.pending}
    size = ", ".join(f"{count:,} integrations {rate:,.0f} /s" for count, rate in rates.items())
    *fewer, most = rates.values()
    yield Row("pending", "Runs a second while everything waits, best smaller size compared with largest", size,
              [max(fewer) / most], at_most(1.2))


def first_fulls(stand, count):
    """Runs a second. As many for each size as the smallest has in all, so that the tables are of one size, too."""
    sample = stand.sizes.pending[0] * 12
    with crowd(stand, count) as db:
        stand.cluster.configure({"fsync": "off"})  # each page of a full sync waits for the disk
        serve(db)
        until(db, lambda: db.value("SELECT count(*) > %s FROM kombo.sync_runs", [sample]), 600, f"{sample} runs")
        # The first hundred prepare the statements of the session.
        return float(db.value("""
            SELECT (count(*) - 1) / extract(epoch FROM max(r.finished_at) - min(r.finished_at))
            FROM (SELECT finished_at FROM kombo.sync_runs ORDER BY id OFFSET %s LIMIT %s) r""",
                              [sample // 12, sample - sample // 12]))


@contextlib.contextmanager
def crowd(stand, count):
    """A database with so many integrations of ten employees, of which nothing is fetched yet."""
    sandbox = Sandbox(needed("KOMBO_SANDBOX"), integration=[f"hibob:{number}=10" for number in range(count)])
    db = Database(stand.cluster, stand.cluster.new_database(TEMPLATE))
    try:
        db.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
        db.execute("SELECT kombo.add_integration('hibob:' || n, 'kombo_eu', 'HRIS') FROM generate_series(0, %s) n",
                   [count - 1])
        yield db
    finally:
        stand.cluster.reset_settings()
        db.drop()
        sandbox.stop()
