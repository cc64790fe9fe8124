"""A hundred thousand employees: memory stays what it was, and the speed is told."""

import pathlib
import re
import time

import pytest

from cluster import TEMPLATE, Database
from syncing import assert_ok, result_of, sync_full

EMPLOYEES = "/hris/employees"
MEGABYTE = 1024


def peak_kilobytes(pid):
    """The most memory that the process ever had, shared buffers that it touched included."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)[1])


def full_in_a_new_backend(db):
    """Result, seconds and peak memory of a full sync of the employees by a backend of its own."""
    with db.connect() as connection:
        began = time.monotonic()
        results = connection.execute("SELECT * FROM kombo.kombo_sync_full(NULL, ARRAY[%s])", [EMPLOYEES]).fetchall()
        took = time.monotonic() - began
        return result_of(assert_ok(results), EMPLOYEES), took, peak_kilobytes(connection.info.backend_pid)


def rows_of_last_run(db):
    """Rows of all tables, nested ones included, that the last run inserted or found as they were."""
    return db.value("""SELECT sum((value ->> 'inserted')::bigint + (value ->> 'unchanged')::bigint)::bigint
                       FROM kombo.sync_runs, jsonb_each(rows_by_table)
                       WHERE id = (SELECT max(id) FROM kombo.sync_runs)""")


@pytest.mark.time_limit(400)
def test_memory_is_flat_up_to_a_hundred_thousand_employees(new_cluster, start_sandbox, measured):
    # Few shared buffers, so that what a backend touched of them says nothing about the size of the data.
    cluster = new_cluster("shared_buffers = 4MB\nmax_wal_size = 4GB\n")
    cluster.prepare_template()
    peaks = {}
    sizes = (1000, 100_000)
    for employees in sizes:
        sandbox = start_sandbox(employees=employees)
        db = Database(cluster, cluster.new_database(TEMPLATE))
        db.create_server(sandbox)
        db.add_integration(sandbox.integration)
        first, took, peak = full_in_a_new_backend(db)
        assert first["inserted"] == employees
        rows = rows_of_last_run(db)
        again, took_again, peak_again = full_in_a_new_backend(db)
        assert (again["unchanged"], again["inserted"], again["updated"]) == (employees, 0, 0)
        peaks[employees] = max(peak, peak_again)
        measured(f"{employees} employees: first full {took:.1f} s, {rows / took:.0f} rows/s; "
                 f"unchanged full {took_again:.1f} s, {rows_of_last_run(db) / took_again:.0f} rows/s; "
                 f"peak backend memory {peak / MEGABYTE:.0f} MB and {peak_again / MEGABYTE:.0f} MB")
        gone = sandbox.admin("GET", "records", model="hris_employees", limit=3)["results"]
        sandbox.admin("POST", "records",
                      [{"model": "hris_employees", "op": "purge", "id": record["id"]} for record in gone])
        swept, _, _ = full_in_a_new_backend(db)
        left = employees - len(gone)
        assert (swept["received"], swept["inserted"], swept["deleted"]) == (left, 0, len(gone)), swept
        assert db.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NULL") == left
        if employees == sizes[1]:  # of this many the ids that came go to a temporary file
            db.execute("SET temp_file_limit = '64kB'")
            failed, = sync_full(db, what=EMPLOYEES)
            assert failed["status"] == "failed" and "temp_file_limit" in failed["error"], failed
        db.connection.close()
        sandbox.stop()
    assert peaks[sizes[1]] < peaks[sizes[0]] + 24 * MEGABYTE, peaks
