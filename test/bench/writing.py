"""Beside COPY: what writing costs, the transfer taken off."""

import dataclasses
import functools
import time

from rows import Point, Row, at_most, ratios
from stand import EMPLOYEES, data_tables, empty, vacuum, whole_list

CANDIDATES, APPLICATIONS = "/ats/candidates", "/ats/applications"


@dataclasses.dataclass
class Written:
    """Seconds, a value a round each, but for the WAL."""
    first: list = dataclasses.field(default_factory=list)      # a full sync into empty tables
    unchanged: list = dataclasses.field(default_factory=list)  # the same again
    transfer: list = dataclasses.field(default_factory=list)   # the pages alone
    copy: list = dataclasses.field(default_factory=list)       # binary COPY of the same rows
    wal: list = dataclasses.field(default_factory=list)        # bytes a record of `unchanged`
    records: int = 0
    tables: int = 0
    rows: int = 0

    def without_transfer(self, took):
        return [max(a - b, 0.001) for a, b in zip(took, self.transfer, strict=True)]


@functools.cache
def written(stand, size, path=EMPLOYEES):
    """Rounds of all four with a list of a sandbox of this size."""
    sandbox = stand.sandbox(size, category="HRIS" if path == EMPLOYEES else "ATS")
    seen = Written()
    files = {}
    with stand.database(sandbox, *(() if path == EMPLOYEES else (path, CANDIDATES, APPLICATIONS))) as db:
        for _ in range(stand.sizes.rounds):
            seen.first.append(stand.sync(db, path=path)[0])
            files = files or copied_out(stand, db)
            vacuum(db, files)
            seen.transfer.append(stand.ask(sandbox, whole_list(sandbox, path))["seconds"])
            db.execute("CHECKPOINT")
            before = db.value("SELECT pg_current_wal_lsn()")
            took, result = stand.sync(db, path=path)
            if result["unchanged"] != result["received"] or not result["received"]:
                raise RuntimeError(f"not all were unchanged: {result}")
            seen.records = result["received"]
            seen.unchanged.append(took)
            seen.wal.append(db.value("SELECT (pg_current_wal_lsn() - %s::pg_lsn)::float", [before]) / seen.records)
            empty(db, files)
            seen.copy.append(copy(db, files))
            seen.tables = len(files)
            seen.rows = sum(db.value(f'SELECT count(*) FROM kombo."{name}"') for name in files)
            empty(db, files)
    for file in files.values():
        file.unlink()
    return seen


def copied_out(stand, db):
    """{table: file} of all rows."""
    files = {name: stand.folder / f"{name}.copy" for name in data_tables(db)}
    for name, file in files.items():
        db.execute(f"""COPY kombo."{name}" TO '{file}' (FORMAT binary)""")
    return files


def copy(db, files):
    """Seconds that COPY takes for these files, in one transaction of a backend of its own."""
    with db.connect(autocommit=False) as connection:
        began = time.monotonic()
        for name, file in files.items():
            connection.execute(f"""COPY kombo."{name}" FROM '{file}' (FORMAT binary)""")
        connection.commit()
        return time.monotonic() - began


def size(seen, path=EMPLOYEES):
    return f"{seen.records:,} {path.rpartition('/')[2]}, {seen.rows:,} rows in {seen.tables} tables"


def lists(stand):
    """Those that are measured: the path, and what was seen of it."""
    yield EMPLOYEES, written(stand, stand.sizes.written[-1])
    for path in (CANDIDATES, APPLICATIONS):
        yield path, written(stand, stand.sizes.recruiting, path)


def first(stand):
    """First full sync without latency, beside binary COPY of the same rows"""
    for employees in stand.sizes.written:
        yield from points(employees, written(stand, employees))
    for path, seen in lists(stand):
        ours = seen.without_transfer(seen.first)
        yield Row("first", "First full sync less the transfer, compared with `COPY` of the same rows",
                  size(seen, path), ratios(ours, seen.copy), at_most(1.3), ours=ours, theirs=seen.copy)


def points(employees, seen):
    for series, took in (("first full sync", seen.first), ("full sync, nothing changed", seen.unchanged),
                         ("the transfer alone", seen.transfer), ("COPY of the same rows", seen.copy)):
        yield Point("time", series, employees, sorted(took)[len(took) // 2])


def unchanged(stand):
    """Full sync with nothing changed, beside that COPY; and the WAL that it writes"""
    for path, seen in lists(stand):
        ours = seen.without_transfer(seen.unchanged)
        yield Row("unchanged", "Full sync with nothing changed less the transfer, compared with `COPY` of the same "
                  "rows", size(seen, path), ratios(ours, seen.copy), at_most(0.5), ours=ours, theirs=seen.copy)
        yield Row("unchanged", "WAL a record, nothing changed", size(seen, path), seen.wal, at_most(16), "bytes")


def changed(stand):
    """Full sync with 1 % changed, beside one with nothing changed"""
    employees = stand.sizes.changed
    sandbox = stand.sandbox(employees)
    some, none = [], []
    with stand.database(sandbox) as db:
        stand.sync(db)
        ids = [row["id"] for row in db.execute("SELECT id FROM kombo.hris_employees ORDER BY md5(id) LIMIT %s",
                                               [max(1, employees // 100)])]
        for number in range(stand.sizes.rounds):
            sandbox.admin("POST", "records", [{"model": "hris_employees", "op": "change", "id": key,
                                               "set": {"job_title": f"Round {number}"}} for key in ids])
            took, result = stand.sync(db)
            if result["updated"] != len(ids):
                raise RuntimeError(f"not all that had changed were updated: {result}")
            some.append(took)
            none.append(stand.sync(db)[0])
    yield Row("changed", "Full sync with 1 % changed, compared with one with nothing changed",
              f"{employees:,} employees", ratios(some, none), at_most(1.1), ours=some, theirs=none)
