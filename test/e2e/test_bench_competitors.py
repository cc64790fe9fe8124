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


def stored(db, schema="kombo"):
    """{table: rows as text, in order} of the tables that the endpoint feeds, without what each writer says for itself."""
    found = {}
    for target in targets(db.connection):
        names = ", ".join(f"""nullif("{column.name}"::text, 'null')""" for column in target.columns)
        found[target.table] = [list(row.values()) for row in
                               db.execute(f"SELECT ARRAY[{names}] AS row FROM {schema}.{target.table} ORDER BY 1")]
    return found


def assert_same(mine, synced):
    for table, rows in synced.items():
        assert rows, f"a sync stored nothing in {table}"
        assert len(mine[table]) == len(rows), f"{table}: {len(mine[table])} rows, a sync stored {len(rows)}"
        for my_row, row in zip(mine[table], rows):
            assert my_row == row, table
