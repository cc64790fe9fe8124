"""What ./bench compares the extension with stores the same data."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from syncing import assert_ok, sync_full

BENCH = pathlib.Path(__file__).parent.parent / "bench"
sys.path.insert(0, str(BENCH))

from pages import fetch_pages  # noqa: E402
from sql_upsert import stage_pages, targets, upsert_rows, upsert_sql  # noqa: E402


@pytest.fixture
def pages(sandbox):
    return fetch_pages(sandbox.base_url, sandbox.api_key, sandbox.integration, page_size=25)


@pytest.fixture
def synced(small, sandbox):
    """What a full sync of /hris/employees has stored, by table. The tables are empty again."""
    small.subscribe_only(sandbox.integration, "/hris/employees")
    assert_ok(sync_full(small))
    found = stored(small)
    small.execute("TRUNCATE " + ", ".join(f"kombo.{table}" for table in found))
    return found


def test_a_statement_a_page_stores_what_a_sync_stores(synced, small, sandbox, pages):
    assert stage_pages(small.connection, pages) > 0
    assert upsert_sql(small.connection, sandbox.integration) > 0
    assert_same(stored(small), synced)
    before = small.value("SELECT max(synced_at) FROM kombo.hris_employees")
    upsert_sql(small.connection, sandbox.integration, skip_equal=True)
    assert small.value("SELECT max(synced_at) FROM kombo.hris_employees") == before, "equal rows were written"


def test_a_statement_a_record_stores_what_a_sync_stores(synced, small, sandbox, pages):
    assert upsert_rows(small.connection, sandbox.integration, pages) > 0
    assert_same(stored(small), synced)


def test_the_guides_service_stores_what_a_sync_stores(synced, small, sandbox):
    folder = os.environ.get("KOMBO_GUIDE")
    if not folder:
        pytest.skip("KOMBO_GUIDE is not set: no folder of stage_guide here")
    small.execute((BENCH / "guide.sql").read_text(encoding="utf-8"))
    sandbox.clear_requests()
    told = guide(folder, small, sandbox)
    assert told["records"] == 60 and told["requests"] == len(sandbox.requests("/hris/employees")) == 3, told
    assert_same(stored(small, "guide"), synced)
    sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], {"last_name": "New"})
    told = guide(folder, small, sandbox, "--updated-after", "2025-01-01T00:00:00Z")
    assert 1 <= told["records"] < 60, told
    assert small.value("SELECT count(*) FROM guide.hris_employees WHERE last_name = 'New'") == 1


def guide(folder, db, sandbox, *options):
    done = subprocess.run(["node", BENCH / "guide.mjs", "--base-url", sandbox.base_url, "--api-key", sandbox.api_key,
                           "--integration", sandbox.integration, "--database", db.connection.info.dsn,
                           "--page-size", "25", *options],
                          cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def stored(db, schema="kombo"):
    """{table: rows, in order} of the tables that the endpoint feeds, without what each writer says for itself. JSON's
    numbers are compared as such: Python and JavaScript lose their last zeros."""
    found = {}
    for target in targets(db.connection):
        names = [f'"{column.name}"' for column in target.columns]
        found[target.table] = [row["row"] for row in db.execute(
            f"SELECT jsonb_build_array({', '.join(names)}) AS row FROM {schema}.{target.table} "
            f"ORDER BY {', '.join(name for name, column in zip(names, target.columns) if column.key)}")]
    return found


def assert_same(mine, synced):
    for table, rows in synced.items():
        assert rows, f"a sync stored nothing in {table}"
        assert len(mine[table]) == len(rows), f"{table}: {len(mine[table])} rows, a sync stored {len(rows)}"
        for my_row, row in zip(mine[table], rows):
            assert my_row == row, table
