"""An installed earlier version becomes, by ALTER EXTENSION UPDATE, what a fresh CREATE EXTENSION makes, and keeps what
is in it."""

import psycopg
import pytest

import earlier
from cluster import Cluster, Database, needed
from sandbox import WEBHOOK_SECRET
from syncing import rows, sync_delta
from worker import WORKER_SETTINGS, inbox, runs, send_webhook, serve, until, wait_synced, workers_of

OLD = ("0.1.0", "0.2.0")
ROLES = ("up_owner", "up_reader", "up_operator", "up_writer", "up_watcher")

# All that the extension has, a line each. The order of columns is not looked at: those that came later are last.
CATALOGS = {
    "members": """
        SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
        WHERE d.deptype = 'e' AND e.extname = 'kombo_sync'""",
    "functions": """
        SELECT pg_get_functiondef(p.oid) || p.proowner::regrole::text || coalesce(obj_description(p.oid, 'pg_proc'), '')
        FROM pg_proc p WHERE p.pronamespace::regnamespace::text LIKE 'kombo%'""",
    "relations": """
        SELECT concat_ws(' ', c.relkind, c.relname, c.relowner::regrole, c.reloptions::text, c.relpersistence,
                         obj_description(c.oid, 'pg_class'),
                         CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) WHEN 'i' THEN pg_get_indexdef(c.oid) END)
        FROM pg_class c WHERE c.relnamespace::regnamespace::text LIKE 'kombo%'""",
    "columns": """
        SELECT concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                         a.attstorage, pg_get_expr(f.adbin, f.adrelid), col_description(c.oid, a.attnum))
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
        WHERE c.relnamespace::regnamespace::text LIKE 'kombo%' AND a.attnum > 0 AND NOT a.attisdropped""",
    "view columns": """
        SELECT concat_ws(' ', c.relname, a.attnum, a.attname) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace::regnamespace::text LIKE 'kombo%' AND c.relkind = 'v'""",
    "constraints": """
        SELECT concat_ws(' ', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
        FROM pg_constraint c WHERE c.connamespace::regnamespace::text LIKE 'kombo%'""",
    "triggers": """
        SELECT pg_get_triggerdef(t.oid) || t.tgenabled::text || coalesce(obj_description(t.oid, 'pg_trigger'), '')
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace::regnamespace::text LIKE 'kombo%' AND NOT t.tgisinternal""",
    "dumped": """
        SELECT t.relation::regclass || ' ' || t.condition
        FROM pg_extension e, unnest(e.extconfig, e.extcondition) t (relation, condition)
        WHERE e.extname = 'kombo_sync'""",
    "version": "SELECT extversion FROM pg_extension WHERE extname = 'kombo_sync'",
    "catalogue": """
        SELECT to_jsonb(e)::text FROM kombo.endpoints e UNION ALL SELECT to_jsonb(m)::text FROM kombo.endpoint_models m
        UNION ALL SELECT to_jsonb(f)::text FROM kombo.fields f UNION ALL SELECT to_jsonb(n)::text
        FROM kombo.nested_records n""",
    "privileges": """
        SELECT concat_ws(' ', o.name, acl.grantor::regrole, acl.grantee::regrole, acl.privilege_type, acl.is_grantable)
        FROM (SELECT oid::regclass::text AS name, relacl AS acl FROM pg_class
              WHERE relnamespace::regnamespace::text LIKE 'kombo%'
              UNION ALL SELECT attrelid::regclass || '.' || attname, attacl FROM pg_attribute
              WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'kombo%')
              UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc
              WHERE pronamespace::regnamespace::text LIKE 'kombo%'
              UNION ALL SELECT nspname, nspacl FROM pg_namespace WHERE nspname LIKE 'kombo%') o,
             aclexplode(o.acl) acl""",
    # What pg_dump takes for granted.
    "initial privileges": """
        SELECT concat_ws(' ', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.initprivs)
        FROM pg_init_privs i WHERE i.privtype = 'e'""",
}


def catalogs(db):
    return {name: sorted(row[0] for row in db.connection.cursor(row_factory=psycopg.rows.tuple_row).execute(query))
            for name, query in CATALOGS.items()}


def differences(found, wanted):
    return {name: {"only upgraded": [line for line in found[name] if line not in wanted[name]],
                   "only fresh": [line for line in wanted[name] if line not in found[name]]}
            for name in CATALOGS if found[name] != wanted[name]}


@pytest.fixture(scope="module")
def old_versions():
    """A cluster in which earlier versions can be installed."""
    cluster = Cluster(needed("KOMBO_PGBIN"), WORKER_SETTINGS)
    for version in OLD:
        earlier.offer(cluster, version)
    for role in ROLES:
        cluster.run(f"CREATE ROLE {role} LOGIN")
    yield cluster
    cluster.close()


def install(cluster, version=None):
    """A database with the extension, in that version, its tables, and a role of each kind."""
    db = Database(cluster, cluster.new_database())
    db.execute("CREATE EXTENSION kombo_sync" + (f" VERSION '{version}'" if version else ""))
    db.execute("SELECT kombo.create_tables('HRIS', owner => 'up_owner')")
    for function, role in [("grant_reader", "up_reader"), ("grant_operator", "up_operator"),
                           ("grant_webhook_writer", "up_writer")]:
        db.execute(f"SELECT kombo.{function}('{role}')")
    return db


@pytest.fixture(params=OLD)
def old(old_versions, request):
    db = install(old_versions, request.param)
    yield db
    old_versions.reset_settings()
    db.drop()


@pytest.fixture
def fresh(old_versions):
    db = install(old_versions)
    yield db
    db.drop()


def upgrade(db):
    db.execute("ALTER EXTENSION kombo_sync UPDATE")


def test_an_upgraded_extension_is_the_same_as_a_fresh_one(old, fresh):
    assert differences(catalogs(old), catalogs(fresh)).keys() >= {"functions", "columns", "triggers", "privileges"}
    upgrade(old)
    # A column of data stays, also where the catalogue has it no more.
    kept = "hris_employee_skill_proficiency_ratings current_level "
    upgraded = catalogs(old)
    assert any(line.startswith(kept) for line in upgraded["columns"])
    upgraded["columns"] = [line for line in upgraded["columns"] if not line.startswith(kept)]
    assert differences(upgraded, catalogs(fresh)) == {}
    webhooks = "SELECT * FROM kombo.webhook_endpoints ORDER BY 1, 2"
    assert old.execute(webhooks) == fresh.execute(webhooks) != []


def test_what_was_granted_revoked_and_built_on_it_stays(old):
    old.execute("GRANT EXECUTE ON FUNCTION kombo.verify_webhook(text, text) TO PUBLIC")
    old.execute("REVOKE EXECUTE ON FUNCTION kombo.accept_sweep(text, text) FROM up_operator")
    old.execute("GRANT USAGE ON SCHEMA kombo TO up_watcher")
    old.execute("GRANT SELECT ON kombo.sync_status TO up_watcher")
    old.execute("GRANT EXECUTE ON FUNCTION kombo.this_database() TO up_watcher")
    old.execute("CREATE VIEW public.not_fresh AS SELECT * FROM kombo.sync_status WHERE state <> 'fresh'")
    old.execute("CREATE INDEX my_index ON kombo.sync_runs (status)")
    upgrade(old)
    for role, function, allowed in [
            ("up_writer", "verify_webhook(text, text)", True), ("up_watcher", "verify_webhook(text, text)", True),
            ("up_watcher", "request_sync(text, text, text[])", False),
            ("up_reader", "accept_sweep(text, text)", False)]:
        assert old.value("SELECT has_function_privilege(%s, %s, 'EXECUTE')", [role, f"kombo.{function}"]) is allowed
    assert old.value("SELECT state FROM public.not_fresh WHERE integration_id IS NULL") == "no worker"
    assert old.value("SELECT count(*) FROM pg_indexes WHERE indexname = 'my_index'") == 1
    with old.connect(user="up_watcher") as watcher:
        assert watcher.execute("SELECT state FROM kombo.sync_status").fetchone() == {"state": "no worker"}


def test_roles_of_before_may_do_what_they_may_do_now(old, sandbox):
    old.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    old.execute("GRANT USAGE ON FOREIGN SERVER kombo_eu TO up_operator")
    old.add_integration(sandbox.integration, category="HRIS")
    upgrade(old)
    with old.connect(user="up_reader") as reader:
        for relation in ("sync_requests", "sync_progress", "sync_status", "hris_employees"):
            reader.execute(f"SELECT * FROM kombo.{relation}")
    with old.connect(user="up_operator") as operator:
        assert operator.execute("SELECT kombo.request_sync() AS n").fetchone()["n"] > 0
        operator.execute("SELECT * FROM kombo.sync_progress")
        operator.execute("SELECT kombo.pause(%s)", [sandbox.integration])
        operator.execute("SELECT kombo.resume(%s)", [sandbox.integration])
        operator.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES (%s, '/hris/groups')",
                         [sandbox.integration])
        operator.execute("UPDATE kombo.sync_state SET watermark = NULL, accept_sweep = true")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.execute("UPDATE kombo.sync_state SET full_progress = '{}'")
        operator.execute("SELECT kombo.remove_integration(%s)", [sandbox.integration])
    with old.connect(user="up_writer") as writer:
        writer.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{}', 'x') RETURNING id")


def test_a_dump_of_an_upgraded_database_has_the_grants(old, old_versions):
    upgrade(old)
    dumped = old_versions.program("pg_dump", "-s", "-d", old.name)
    for grant in ("FUNCTION kombo.pause(integration_id text, reason text) TO up_operator",
                  "FUNCTION kombo.request_sync(integration_id text, kind text, what text[]) TO up_operator",
                  "TABLE kombo.sync_requests TO up_reader", "TABLE kombo.sync_seen TO up_owner",
                  "SCHEMA kombo TO up_writer", "TABLE kombo.hris_employees TO up_reader"):
        assert f" ON {grant};" in dumped, grant


def test_rows_and_watermarks_stay_and_the_next_delta_goes_on_from_there(old, sandbox):
    old.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    old.add_integration(sandbox.integration, category="HRIS")
    old.subscribe_only(sandbox.integration, "/hris/groups")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
        old.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    assert "ALTER EXTENSION kombo_sync UPDATE" in refused.value.diag.message_hint
    old.execute("INSERT INTO kombo.excluded_fields (table_name, column_name) VALUES ('hris_employees', 'ssn')")
    old.execute("""INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_status, last_success_at)
                   VALUES (%s, '/hris/groups', now() - interval '1 hour', 'ok', now() - interval '1 hour')""",
                [sandbox.integration])
    old.execute("INSERT INTO kombo.hris_teams (integration_id, id, name) VALUES (%s, 'mine', 'mine')",
                [sandbox.integration])
    tables = ("integrations", "subscriptions", "excluded_fields", "sync_state", "hris_teams")
    before = {table: old.execute(f"SELECT * FROM kombo.{table} ORDER BY 1, 2") for table in tables}
    upgrade(old)
    assert old.value("SELECT col_description('kombo.hris_employees'::regclass, attnum) FROM pg_attribute "
                     "WHERE attrelid = 'kombo.hris_employees'::regclass AND attname = 'ssn'").startswith("Excluded by ")
    for table in tables:
        after = old.execute(f"SELECT * FROM kombo.{table} ORDER BY 1, 2")
        # The list of skill ratings has another path now.
        moved = {"/hris/employee-skill-assignments": "/hris/skill-proficiency-ratings"}
        wanted = sorted(({key: moved.get(value, value) if isinstance(value, str) else value
                          for key, value in row.items()} for row in before[table]),
                        key=lambda row: list(row.values())[:2])
        assert [{key: row[key] for key in before[table][0]} for row in after] == wanted
    sandbox.record("change", "hris_teams", sandbox.dump("hris_teams", sandbox.integration)[0]["id"],
                   integration=sandbox.integration, set={"name": "changed"})
    done = sync_delta(old)
    assert [(run["endpoint"], run["kind"], run["status"], run["received"]) for run in done] == \
        [("/hris/groups", "delta", "ok", 1)]
    assert {row["name"] for row in rows(old, "hris_teams").values()} == {"mine", "changed"}


@pytest.mark.sandbox(employees=10)
def test_a_worker_waits_for_the_upgrade_and_then_does_what_was_left(old, sandbox):
    old.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    old.add_integration(sandbox.integration, category="HRIS")
    send_webhook(old, sandbox, "hris_employees")
    serve(old)
    pid = workers_of(old)[0]["pid"]
    upgrade(old)
    wait_synced(old)
    until(old, lambda: inbox(old) == {"done": 1}, what="the judgement of a webhook of before")
    assert workers_of(old)[0]["pid"] == pid
    assert {run["trigger"] for run in runs(old)} <= {"schedule", "webhook"}


def test_edits_of_the_catalogue_stay_and_the_rest_becomes_what_is_shipped_now(old, fresh, old_versions):
    old.execute("UPDATE kombo.endpoints SET delta_interval = '15 min' WHERE path = '/hris/employees'")
    old.execute("UPDATE kombo.fields SET comment = 'mine' WHERE (table_name, column_name) = ('hris_teams', 'name')")
    old.execute("UPDATE kombo.nested_records SET relation = 'copy' WHERE (endpoint, json_path) = ('/hris/absences', "
                "'type')")
    old.execute("INSERT INTO kombo.endpoints (path, category, table_name, enabled) VALUES ('/hris/own', 'HRIS', "
                "'own', false)")
    old.execute("DELETE FROM kombo.endpoints WHERE path = '/hris/timesheets'")
    upgrade(old)
    catalogue = ("endpoints", "endpoint_models", "fields", "nested_records")
    edited = {table: [row["edited"] for row in old.execute(f"SELECT edited FROM kombo.{table} WHERE edited <> '{{}}'")]
              for table in catalogue}
    assert edited == {"endpoints": [["delta_interval"], ["enabled"]], "endpoint_models": [], "fields": [["comment"]],
                      "nested_records": []}
    # Part of the key: the row is the user's own now, and the shipped one is there again.
    assert old.execute("SELECT relation, shipped FROM kombo.nested_records WHERE (endpoint, json_path) = "
                       "('/hris/absences', 'type') ORDER BY 1") == [{"relation": "copy", "shipped": False},
                                                                    {"relation": "linked", "shipped": True}]
    assert old.value("SELECT delta_interval::text FROM kombo.endpoints WHERE path = '/hris/employees'") == "00:15:00"
    assert old.value("SELECT enabled FROM kombo.endpoints WHERE path = '/hris/timesheets'") is False
    copy = Database(old_versions, old_versions.new_database())
    dump = old_versions.folder / f"{old.name}.sql"
    try:
        old_versions.program("pg_dump", "-f", dump, old.name)
        old_versions.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy.name, "-f", dump)
        for table in catalogue:
            everything = f"SELECT to_jsonb(t) AS row FROM kombo.{table} t ORDER BY t::text"
            assert copy.execute(everything) == old.execute(everything), table
        untouched = "SELECT * FROM kombo.fields WHERE table_name <> 'hris_teams' ORDER BY 1, 2"
        assert old.execute(untouched) == fresh.execute(untouched)
    finally:
        copy.drop()


def test_an_integration_whose_id_cannot_be_one_is_taken_out_with_a_warning(old):
    for its_id in ("", "a\x01b", "fine"):
        old.execute("INSERT INTO kombo.integrations (integration_id, server, category) VALUES (%s, 'none', 'HRIS')",
                    [its_id])
    heard = []
    old.connection.add_notice_handler(lambda notice: heard.append((notice.severity, notice.message_primary)))
    upgrade(old)
    assert len([text for severity, text in heard if severity == "WARNING" and "is removed" in text]) == 2
    assert [row["integration_id"] for row in old.execute("SELECT integration_id FROM kombo.integrations")] == ["fine"]
