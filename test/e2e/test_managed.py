"""docs/managed.md: the data tables in a PostgreSQL that has no kombo_sync, by each block of the page."""

import os
import subprocess

import pytest

from cluster import PORT, Database
from documents import blocks, replaced
from syncing import assert_ok, sync_delta, sync_full, wait_until

PAGE = "docs/managed.md"
SETTINGS = [one.text for one in blocks(PAGE, "Set it up") if one.text.startswith("wal_level")]


@pytest.fixture
def own(new_cluster, sandbox):
    """A database hr of a cluster that is set as the page says, synced."""
    cluster = new_cluster(SETTINGS[0])
    cluster.run("CREATE ROLE kombo_owner")
    cluster.run("CREATE DATABASE hr")
    db = Database(cluster, "hr")
    db.execute("CREATE EXTENSION kombo_sync")
    db.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
    db.create_server(sandbox)
    db.add_integration(sandbox.integration)
    assert_ok(sync_full(db))
    return db


@pytest.fixture
def managed(new_cluster):
    """A database without the extension in a cluster that does not preload it."""
    cluster = new_cluster()
    cluster.run("CREATE DATABASE app")
    return Database(cluster, "app")


def conninfo(db, user="postgres"):
    return f"host={db.cluster.folder} port={PORT} dbname={db.name} user={user}"


def run_block(block, own, managed):
    """Runs a block as the page says: a script with OWN and MANAGED, or statements in the database that they name."""
    text = block.text
    if block.language == "sh":
        environment = {**os.environ, "OWN": conninfo(own), "MANAGED": conninfo(managed), "LC_ALL": "C.UTF-8",
                       "PATH": f"{own.cluster.bindir}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        assert "ERROR" not in done.stdout and "WARNING" not in done.stdout, done.stdout
        return done.stdout
    db = {"-- in your own PostgreSQL": own, "-- in the managed PostgreSQL": managed}[
        text.splitlines()[0].removesuffix(", with psql")]
    if "CONNECTION" in text:
        text = replaced(text, {"host=kombo.internal port=5432 dbname=hr user=kombo_replica":
                               conninfo(own, "kombo_replica")})
    script = db.cluster.folder / "block.sql"
    script.write_text(text, encoding="utf-8")
    return db.cluster.program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", db.name, "-f", script)


def statements(heading):
    """The blocks under a heading that are run; not the settings, the picture, or the lines that set OWN and MANAGED."""
    return [one for one in blocks(PAGE, heading)
            if not one.text.startswith(("wal_level", "OWN="))]


def tables_of(own):
    return [row["name"] for row in own.execute("SELECT relation::text AS name FROM kombo.data_tables ORDER BY 1")]


def rows_of(db, table):
    return db.execute(f"SELECT to_jsonb(t) AS row FROM {table} t ORDER BY to_jsonb(t)::text")


def unequal(own, managed):
    return [table for table in tables_of(own) if rows_of(own, table) != rows_of(managed, table)]


def wait_equal(own, managed):
    def differing():
        return unequal(own, managed) or "none"
    try:
        wait_until(lambda: differing() == "none", 60, "equal tables")
    except AssertionError as error:
        raise AssertionError(f"{error}; unequal: {differing()}\n{managed.cluster.log_tail()}") from None


def set_up(own, managed):
    for block in statements("Set it up"):
        run_block(block, own, managed)
    wait_equal(own, managed)


@pytest.mark.time_limit(240)
def test_the_data_tables_are_replicated_to_a_postgresql_without_the_extension(own, managed, sandbox):
    set_up(own, managed)
    assert managed.value("SELECT count(*) FROM kombo.hris_employees") == sandbox.count("hris_employees") > 0
    assert managed.value("SELECT count(*) FROM pg_extension WHERE extname = 'kombo_sync'") == 0
    assert managed.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'kombo'::regnamespace AND relkind = 'r'") \
        == len(tables_of(own)), "a table of the configuration was copied"

    changed, gone = [record["id"] for record in sandbox.dump("hris_employees")][:2]
    sandbox.record("change", "hris_employees", changed, {"last_name": "Replicated"})
    sandbox.record("delete", "hris_employees", gone)
    assert_ok(sync_delta(own))
    wait_equal(own, managed)
    assert managed.value("SELECT last_name FROM kombo.hris_employees WHERE id = %s", [changed]) == "Replicated"
    assert managed.value("SELECT remote_deleted_at IS NOT NULL FROM kombo.hris_employees WHERE id = %s", [gone])

    own.execute("DELETE FROM kombo.hris_employees WHERE id = %s", [gone])  # as purge_after does
    own.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    wait_equal(own, managed)
    assert managed.value("SELECT count(ssn) FROM kombo.hris_employees") == 0
    assert managed.value("SELECT count(*) FROM kombo.hris_employees WHERE id = %s", [gone]) == 0
    assert "kombo_data" in run_block(statements("Watch it")[0], own, managed)


def test_the_role_of_the_connection_reads_and_does_not_write(own, managed):
    run_block(statements("Set it up")[0], own, managed)
    for table, may in [("hris_employees", True), ("webhook_inbox", False)]:
        assert own.value("SELECT has_table_privilege('kombo_replica', %s, 'SELECT')", [f"kombo.{table}"]) is may
    assert own.execute("""SELECT relname FROM pg_class WHERE relnamespace = 'kombo'::regnamespace
                            AND has_table_privilege('kombo_replica', oid, 'INSERT, UPDATE, DELETE, TRUNCATE')""") == []


@pytest.mark.time_limit(240)
def test_columns_and_tables_that_an_upgrade_adds_follow(own, managed, sandbox):
    set_up(own, managed)
    # As an upgrade of the extension would.
    own.execute("""INSERT INTO kombo.fields (table_name, column_name, type, json_key, position, comment)
                   VALUES ('hris_employees', 'new_field', 'text', 'job_title', 900, 'A field that was not there.')""")
    own.execute("""INSERT INTO kombo.endpoints (path, category, table_name, comment, enabled)
                   VALUES ('/hris/new-list', 'HRIS', 'hris_new_list', 'A list that was not there.', false)""")
    own.execute("SELECT kombo.create_tables('HRIS')")
    assert_ok(sync_full(own))
    own.execute("INSERT INTO kombo.hris_new_list (integration_id, id) VALUES ('x', '1')")
    for _ in range(2):  # once more does no harm
        for block in statements("After an upgrade"):
            run_block(block, own, managed)
    wait_equal(own, managed)
    assert managed.value("SELECT count(new_field) FROM kombo.hris_employees") > 0
    assert managed.value("SELECT count(*) FROM kombo.hris_new_list") == 1


def test_pushing_replaces_the_rows_without_a_connection_from_outside(own, managed, sandbox):
    definitions, = [one for one in statements("Set it up") if "pg_dump" in one.text]
    run_block(definitions, own, managed)
    push, = statements("Who connects to whom")
    run_block(push, own, managed)
    assert unequal(own, managed) == []
    sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], {"last_name": "Pushed"})
    assert_ok(sync_delta(own))
    assert unequal(own, managed) != []
    run_block(push, own, managed)
    assert unequal(own, managed) == []
