"""What a backup, a restore or a replica brings back: edits of the catalogue, and every row, in whatever order."""

import psycopg
import pytest

from cluster import Database
from syncing import assert_ok, sync_delta, sync_full, wait_until

EMPLOYEES = "/hris/employees"
MEMBERS = """SELECT c.oid::regclass::text AS name FROM pg_extension e, unnest(e.extconfig) m (oid)
             JOIN pg_class c ON c.oid = m.oid AND c.relkind = 'r' WHERE e.extname = 'kombo_sync' ORDER BY 1"""
EDITS = """
    SELECT kombo.add_field('hris_employees', 'shoe_size', 'numeric');
    UPDATE kombo.endpoints SET delta_interval = '15 min', on_missing = 'delete' WHERE path = '/hris/employees';
    UPDATE kombo.endpoints SET enabled = true WHERE path = '/hris/teams';
    UPDATE kombo.endpoint_models SET delta = false WHERE (endpoint, model) = ('/hris/absences', 'hris_absences');
    UPDATE kombo.fields SET comment = 'mine', json_key = 'other'
    WHERE (table_name, column_name) = ('hris_teams', 'name');
    UPDATE kombo.nested_records SET relation = relation, parent_column = 'mine'
        WHERE (endpoint, json_path, relation) = ('/hris/absences', 'type', 'linked');
    INSERT INTO kombo.endpoints (path, category, table_name, enabled) VALUES ('/hris/own', 'HRIS', 'own', false);
    INSERT INTO kombo.endpoint_models (endpoint, model, role) VALUES ('/hris/own', 'own', 'own');
    INSERT INTO kombo.fields (table_name, column_name, type) VALUES ('own', 'name', 'text');
    INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name)
        VALUES ('/hris/own', 'it', 'linked', 'hris_teams');
    INSERT INTO kombo.webhook_endpoints (type, endpoint) VALUES ('own-received', '/hris/own');
"""


def rows_of(db, *tables):
    """{table: its rows as text} of the extension's own tables."""
    names = [f"kombo.{table}" for table in tables] or [row["name"] for row in db.execute(MEMBERS)]
    return {name: sorted(str(row) for row in db.execute(f"SELECT * FROM {name}")) for name in names}


CATALOGUE = ("endpoints", "endpoint_models", "fields", "nested_records", "webhook_endpoints")


@pytest.fixture
def copies(cluster):
    """A factory: copies(db, "-j4") -> a copy of db, by pg_dump and pg_restore with these options."""
    made = []

    def restore(db, *restore_options, dump_options=()):
        dump = cluster.folder / f"{db.name}.dump"
        cluster.program("pg_dump", "-Fc", *dump_options, "-f", dump, db.name)
        copy = Database(cluster, cluster.new_database())
        made.append(copy)
        said = cluster.program("pg_restore", "-d", copy.name, *restore_options, dump)
        dump.unlink()
        assert said == ""
        return copy

    yield restore
    for copy in made:
        copy.drop()


# --- edits of the catalogue -----------------------------------------------------------------------------------------

def test_edits_of_shipped_rows_survive_dump_and_restore_and_are_marked(hris_db, cluster, copies):
    original = Database(cluster, hris_db.info.dbname)
    original.execute(EDITS)
    edited = {row["path"]: row["edited"] for row in
              original.execute("SELECT path, edited FROM kombo.endpoints WHERE edited <> '{}'")}
    assert edited == {EMPLOYEES: ["delta_interval", "on_missing"], "/hris/teams": ["enabled"]}
    for options in ((), ("--inserts",)):
        copy = copies(original, dump_options=options)
        assert rows_of(copy, *CATALOGUE) == rows_of(original, *CATALOGUE)
        assert rows_of(copies(copy), *CATALOGUE) == rows_of(original, *CATALOGUE)
    original.connection.close()


def test_of_a_restored_edit_only_the_edited_columns_count(hris_db):
    """The row may be shipped otherwise by the version that it is restored in."""
    hris_db.execute("SET check_function_bodies = off")
    hris_db.execute("""INSERT INTO kombo.endpoints (path, category, table_name, enabled, comment, shipped, edited)
                       VALUES ('/hris/employees', 'HRIS', 'hris_employees', false, 'of old', true, '{enabled}')""")
    found = hris_db.execute("SELECT enabled, comment, edited FROM kombo.endpoints WHERE path = '/hris/employees'")
    enabled, comment, edited = found.fetchone()
    assert (enabled, edited) == (False, ["enabled"]) and comment.startswith("Employees, one row per person")


def test_a_row_of_ones_own_that_is_shipped_now_is_restored_as_an_edit(hris_db):
    own = """INSERT INTO kombo.endpoints (path, category, table_name, enabled)
             VALUES ('/hris/teams', 'HRIS', 'mine', true)"""
    with pytest.raises(psycopg.errors.UniqueViolation):
        hris_db.execute(own)
    hris_db.execute(own + " ON CONFLICT DO NOTHING")
    read = "SELECT table_name, enabled, shipped, edited FROM kombo.endpoints WHERE path = '/hris/teams'"
    assert hris_db.execute(read).fetchone() == ("hris_teams", False, True, [])
    hris_db.execute("SET check_function_bodies = off")
    hris_db.execute(own)
    name, enabled, shipped, edited = hris_db.execute(read).fetchone()
    assert (name, enabled, shipped) == ("mine", True, True) and {"table_name", "enabled"} <= set(edited)


def test_a_shipped_row_can_be_put_back_and_is_not_deleted(hris_db):
    hris_db.execute("UPDATE kombo.endpoints SET enabled = true WHERE path = '/hris/teams'")
    hris_db.execute("UPDATE kombo.endpoints SET edited = '{}' WHERE path = '/hris/teams'")
    assert hris_db.execute("SELECT count(*) FROM kombo.endpoints WHERE edited <> '{}'").fetchone() == (0,)
    for statement in ("DELETE FROM kombo.endpoints WHERE path = '/hris/teams'",
                      "DELETE FROM kombo.fields WHERE (table_name, column_name) = ('hris_teams', 'name')",
                      "UPDATE kombo.endpoint_models SET model = 'x' WHERE model = 'hris_skills'"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
            hris_db.execute(statement)
        assert "exclude_field" in refused.value.diag.message_hint


def test_what_lies_below_an_endpoint_of_ones_own_goes_with_it(hris_db):
    hris_db.execute(EDITS)
    below = """SELECT (SELECT count(*) FROM kombo.endpoint_models WHERE endpoint = %(path)s)
                    + (SELECT count(*) FROM kombo.nested_records WHERE endpoint = %(path)s)
                    + (SELECT count(*) FROM kombo.webhook_endpoints WHERE endpoint = %(path)s)"""
    hris_db.execute("UPDATE kombo.endpoints SET path = '/hris/mine' WHERE path = '/hris/own'")
    assert hris_db.execute(below, {"path": "/hris/mine"}).fetchone() == (3,)
    hris_db.execute("DELETE FROM kombo.endpoints WHERE path = '/hris/mine'")
    assert hris_db.execute(below, {"path": "/hris/mine"}).fetchone() == (0,)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        hris_db.execute("INSERT INTO kombo.endpoint_models (endpoint, model, role) VALUES ('/hris/no', 'x', 'own')")


# --- whole, in any order --------------------------------------------------------------------------------------------

@pytest.mark.time_limit(300)
def test_a_parallel_restore_is_whole(hris, sandbox, copies):
    hris.execute("""INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled)
                    SELECT %s, path, path = '/hris/groups' FROM kombo.endpoints WHERE category = 'HRIS' AND enabled""",
                 [sandbox.integration])
    hris.execute("UPDATE kombo.subscriptions SET enabled = true WHERE endpoint = '/hris/employees'")
    hris.execute(EDITS)
    hris.execute("ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK (last_name <> 'Refused')")
    sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], set={"last_name": "Refused"})
    assert_ok(sync_full(hris))
    hris.execute("INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger) "
                 "VALUES (%s, '/hris/groups', 'delta', 'sql')", [sandbox.integration])
    hris.execute("INSERT INTO kombo.sync_seen VALUES (%s, '/hris/groups', 1, '\\x00')", [sandbox.integration])
    hris.execute("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}')")
    there = rows_of(hris)
    assert all(there[f"kombo.{name}"] for name in ("subscriptions", "sync_state", "sync_seen", "rejected_records"))
    for _ in range(5):
        assert rows_of(copies(hris, "-j4")) == there


def test_the_tables_restore_in_the_order_that_foreign_keys_would_refuse(hris, sandbox, cluster):
    assert hris.execute("SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'f' "
                        "AND connamespace = 'kombo'::regnamespace") == []
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval) "
                 "VALUES (%s, '/hris/groups', '2 days')", [sandbox.integration])
    hris.execute(EDITS)
    dump = cluster.folder / f"{hris.name}.dump"
    listed = cluster.folder / f"{hris.name}.list"
    cluster.program("pg_dump", "-Fc", "-f", dump, hris.name)
    entries = cluster.program("pg_restore", "-l", dump).splitlines()
    data = [entry for entry in entries if " TABLE DATA kombo " in entry]
    # The children first.
    last = [entry for entry in data if any(f" {name} " in entry for name in ("integrations", "endpoints"))]
    ordered = [entry for entry in entries if entry not in data] + [e for e in data if e not in last] + last
    listed.write_text("\n".join(ordered), encoding="utf-8")
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("pg_restore", "-d", copy.name, "-L", listed, dump)
        assert rows_of(copy) == rows_of(hris)
    finally:
        copy.drop()
        dump.unlink()
        listed.unlink()


def test_an_integration_that_is_deleted_by_hand_takes_its_state_along(hris, sandbox):
    assert_ok(sync_full(hris, what=["/hris/groups"]))
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES (%s, '/hris/groups')",
                 [sandbox.integration])
    hris.execute("INSERT INTO kombo.rejected_records (integration_id, endpoint) VALUES (%s, '/hris/groups')",
                 [sandbox.integration])
    hris.execute("INSERT INTO kombo.sync_seen VALUES (%s, '/hris/groups', 1, '\\x00')", [sandbox.integration])
    hris.execute("CREATE ROLE may_delete LOGIN")
    try:
        hris.execute("GRANT USAGE ON SCHEMA kombo TO may_delete")
        hris.execute("GRANT SELECT, DELETE ON kombo.integrations TO may_delete")
        with hris.connect(user="may_delete") as other:
            other.execute("DELETE FROM kombo.integrations")
        for table in ("subscriptions", "sync_state", "sync_seen", "rejected_records", "sync_requests"):
            assert hris.value(f"SELECT count(*) FROM kombo.{table}") == 0, table
        assert hris.value("SELECT count(*) FROM kombo.hris_teams") > 0
    finally:
        hris.execute("DROP OWNED BY may_delete; DROP ROLE may_delete")


def test_names_that_are_not_there_are_refused_to_who_types_them(hris, sandbox):
    for integration, endpoint in (("personio:none", "/hris/groups"), (sandbox.integration, "/hris/group")):
        with pytest.raises(psycopg.errors.UndefinedObject):
            hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES (%s, %s)",
                         [integration, endpoint])


# --- logical replication --------------------------------------------------------------------------------------------

@pytest.mark.time_limit(240)
def test_resume_leaves_a_sequence_alone_that_is_not_behind(db):
    """Between the question and setval another session might take a number, which would be given out twice."""
    db.execute("INSERT INTO kombo.webhook_inbox (body) VALUES ('?')")
    # What is written ahead of need: setval takes it back to none.
    reserved = "SELECT log_cnt FROM kombo.webhook_inbox_id_seq"
    before = db.value(reserved)
    db.execute("SELECT kombo.resume(NULL)")
    assert db.value(reserved) == before > 0


def test_a_publication_of_all_tables_is_copied_whole_and_resume_sets_the_sequences(new_cluster, sandbox):
    cluster = new_cluster("wal_level = logical\nmax_replication_slots = 30\nmax_wal_senders = 30\n"
                          "max_logical_replication_workers = 12\nmax_worker_processes = 20\n")
    cluster.run("CREATE ROLE kombo_owner")
    source, target = (Database(cluster, cluster.new_database()) for _ in range(2))
    source.execute("CREATE EXTENSION kombo_sync")
    source.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
    source.create_server(sandbox)
    source.add_integration(sandbox.integration)
    source.execute(EDITS)
    assert_ok(sync_full(source, what=["/hris/groups"]))
    source.execute("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}'), ('{}'), ('{}')")
    schema = cluster.folder / "schema.sql"
    cluster.program("pg_dump", "-s", "-f", schema, source.name)
    cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", target.name, "-f", schema)
    source.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    source.execute("SELECT pg_create_logical_replication_slot('everything', 'pgoutput')")
    target.execute(f"""CREATE SUBSCRIPTION everything
                       CONNECTION 'host={cluster.folder} port=5432 dbname={source.name} user=postgres'
                       PUBLICATION everything
                       WITH (create_slot = false)""")
    wait_until(lambda: target.value("SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"), 120,
               "the copy of all tables")
    source.execute("UPDATE kombo.endpoints SET delta_interval = '20 min' WHERE path = '/hris/absences'")
    wait_until(lambda: rows_of(target) == rows_of(source), 60, "equal tables")
    target.execute("ALTER SUBSCRIPTION everything DISABLE")
    target.execute("ALTER SUBSCRIPTION everything SET (slot_name = NONE)")
    target.execute("DROP SUBSCRIPTION everything")
    target.execute("SELECT kombo.resume(NULL)")
    top = target.value("SELECT max(id) FROM kombo.webhook_inbox")
    assert target.value("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}') RETURNING id") == top + 1
    assert_ok(sync_delta(target, what=["/hris/groups"]))
    target.execute("SELECT kombo.resume(NULL)")
    assert target.value("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}') RETURNING id") == top + 2
