"""docs/downstream.md: how other programs learn what changed."""

import pytest

from cluster import Database
from documents import blocks
from syncing import sync_full

PAGE = "docs/downstream.md"


@pytest.fixture
def logical(new_cluster, sandbox):
    """A synced database of a cluster with wal_level = logical."""
    cluster = new_cluster("wal_level = logical\n")
    cluster.run("CREATE ROLE kombo_owner")
    cluster.run("CREATE DATABASE hr")
    db = Database(cluster, "hr")
    db.execute("CREATE EXTENSION kombo_sync")
    db.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
    db.create_server(sandbox)
    db.add_integration(sandbox.integration)
    sync_full(db)
    return db


def changes(db, slot, *options):
    """What the slot has of the data tables, as texts."""
    more = "".join(f", '{option}'" for option in options)
    function = "pg_logical_slot_get_binary_changes" if options else "pg_logical_slot_get_changes"
    column = "encode(data, 'escape')" if options else "data"
    rows = db.execute(f"SELECT {column} AS data FROM {function}('{slot}', NULL, NULL{more})")
    return [row["data"] for row in rows]


def test_a_slot_has_one_change_per_changed_row_and_none_for_unchanged_ones(logical, sandbox):
    logical.execute("CREATE PUBLICATION hr FOR TABLE kombo.hris_teams, kombo.hris_employees")
    logical.execute("SELECT pg_create_logical_replication_slot('decoded', 'test_decoding')")
    logical.execute("SELECT pg_create_logical_replication_slot('published', 'pgoutput')")
    sync_full(logical)
    team = logical.value("SELECT min(id) FROM kombo.hris_teams")
    gone = logical.value("SELECT max(id) FROM kombo.hris_teams")
    sandbox.record("change", "hris_teams", team, set={"name": "Renamed"})
    logical.execute("DELETE FROM kombo.hris_teams WHERE id = %s", [gone])
    sync_full(logical)
    decoded = [text for text in changes(logical, "decoded") if text.startswith("table kombo.hris_teams")]
    assert [text.split(": ")[1] for text in decoded] == ["DELETE", "UPDATE", "INSERT"] or \
        [text.split(": ")[1] for text in decoded] == ["DELETE", "INSERT", "UPDATE"]
    published = changes(logical, "published", "proto_version", "1", "publication_names", "hr")
    assert sorted(text[0] for text in published if text[0] in "IUD") == ["D", "I", "U"]
    assert sum("Renamed" in text for text in published) == 1
    # Nothing of it where nothing changed.
    sync_full(logical)
    assert not any(text[0] in "IUD" for text in changes(logical, "published", "proto_version", "1",
                                                        "publication_names", "hr"))


def test_the_statements_of_the_page_do_what_it_says(logical, sandbox):
    done = {}
    for one in blocks(PAGE):
        script = logical.cluster.folder / "block.sql"
        script.write_text(one.text, encoding="utf-8")
        printed = logical.cluster.program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", logical.name, "-f", script)
        assert "ERROR" not in printed and "WARNING" not in printed, printed
        done[one.text.splitlines()[0]] = printed
        if "LISTEN" in one.text:
            sandbox.record("change", "hris_teams", logical.value("SELECT min(id) FROM kombo.hris_teams"),
                           set={"name": "Renamed"})
            again = logical.cluster.program("psql", "-X", "-d", logical.name, "-f", script)
            assert 'Asynchronous notification "kombo_sync"' in again and '"endpoint": "/hris/groups"' in again
    read = next(text for first, text in done.items() if "track_changes" in first)
    assert "| update" in read and "{name}" in read and "hand" in read
    employee = logical.value("SELECT min(id) FROM kombo.hris_employees WHERE employment_status = 'ACTIVE' "
                             "AND remote_deleted_at IS NULL")
    sandbox.record("change", "hris_employees", employee, set={"employment_status": "INACTIVE"})
    sync_full(logical, what="/hris/employees")
    assert [row["employee_id"] for row in logical.execute("SELECT employee_id FROM public.leavers")] == [employee]
