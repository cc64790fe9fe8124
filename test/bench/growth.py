"""What grows with the data: memory, and the time of a small delta."""

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
    ids: list        # of those that change
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
    ids = [row["id"] for row in db.execute("SELECT id FROM kombo.hris_employees ORDER BY id LIMIT %s", [CHANGED])]
    return Stored(db, sandbox, ids, took, idle / 1024, peak.kilobytes / 1024)


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
    took = {employees: [] for employees in stand.sizes.stored}
    for number in range(stand.sizes.deltas + 1):
        for employees, times in took.items():
            seen = stored(stand, employees)
            seen.sandbox.clear_requests()
            seen.sandbox.admin("POST", "records", [
                {"model": "hris_employees", "op": "change", "id": key, "set": {"job_title": f"Delta {number}"}}
                for key in seen.ids])
            seconds, result = stand.sync(seen.db, "delta", connection=seen.db.connection)
            if result["updated"] != len(seen.ids):
                raise RuntimeError(f"the delta is not what was changed: {result}")
            asked = stand.ask(seen.sandbox, first_pages(seen.sandbox))
            if number > 0:  # the first one prepares the statements of its session
                times.append((seconds - asked["seconds"]) * 1000)
    medians = {employees: statistics.median(times) for employees, times in took.items()}
    size = ", ".join(f"{employees:,} employees {medians[employees]:.1f} ms" for employees in took)
    yield Row("delta", f"A delta of {CHANGED} records, the slowest size beside the fastest", size,
              [max(medians.values()) / min(medians.values())], at_most(1.3))
