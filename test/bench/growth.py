"""What grows with the data: memory, and the time of a small delta."""

import collections
import dataclasses
import functools
import statistics

from rows import Point, Row, at_most
from stand import EMPLOYEES, data_tables, vacuum
from network import first_pages
from worker import Peak, private_kilobytes

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
    db = stand.kept.enter_context(stand.database(sandbox, EMPLOYEES))
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
    yield Row("memory", "Peak memory of a first full sync, largest beside smallest", f"{most:,} and {few:,} employees",
              [big.peak / small.peak], at_most(1.2), ours=[big.peak], theirs=[small.peak], sides="MB")
    yield Row("memory", "The largest, above an idle backend", f"{most:,} employees, {big.seconds:.0f} s",
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
    yield Row("delta", f"A delta of {CHANGED} records, the slowest size beside the fastest", size,
              [max(medians.values()) / min(medians.values())], at_most(1.3))
