"""The data tables are the user's: constraints, triggers, columns and catalogue rows of his own, dumps, privileges."""

import json

import psycopg
import pytest

from cluster import Database
from syncing import (Background, assert_ok, last_run, notices_of, outcome, result_of, rows, same_as_sandbox, status_of,
                     sync_delta, sync_full, wait_until)

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"


@pytest.fixture
def small(hris, sandbox):
    """`hris` with two endpoints."""
    hris.subscribe_only(sandbox.integration, EMPLOYEES, GROUPS)
    return hris


def parked(db):
    return db.execute("SELECT * FROM kombo.rejected_records ORDER BY record_id")


def create_trigger(db, table, body, when="BEFORE INSERT OR UPDATE"):
    db.execute(f"CREATE FUNCTION public.of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
    db.execute(f"CREATE TRIGGER of_user {when} ON kombo.{table} FOR EACH ROW EXECUTE FUNCTION public.of_{table}()")


# --- records that the database refuses ---------------------------------------------------------------------------

REFUSALS = {
    "a CHECK": ("23514", "ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK (last_name <> 'Refused')",
                "ALTER TABLE kombo.hris_employees DROP CONSTRAINT of_user"),
    "a trigger": ("P0001", """CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                      IF NEW.last_name = 'Refused' THEN RAISE EXCEPTION 'not him'; END IF; RETURN NEW; END $$;
                  CREATE TRIGGER of_user BEFORE INSERT OR UPDATE ON kombo.hris_employees
                      FOR EACH ROW EXECUTE FUNCTION public.refuse()""",
                  "DROP TRIGGER of_user ON kombo.hris_employees"),
    "a unique index": ("23505", "CREATE UNIQUE INDEX of_user ON kombo.hris_employees (coalesce(job_title, id)) "
                                "WHERE last_name = 'Refused' OR job_title = 'Chief'", "DROP INDEX kombo.of_user"),
    "a division by zero": ("22012", "ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK "
                                    "(1 / CASE last_name WHEN 'Refused' THEN 0 ELSE 1 END = 1)",
                           "ALTER TABLE kombo.hris_employees DROP CONSTRAINT of_user"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_one_refused_record_of_a_page_is_parked_and_the_rest_is_stored(small, sandbox, what):
    state, refuse, allow = REFUSALS[what]
    employees = [record["id"] for record in sandbox.dump("hris_employees")]
    sandbox.record("change", "hris_employees", employees[3], set={"job_title": "Chief"})
    bad = sandbox.record("change", "hris_employees", employees[17],
                         set={"last_name": "Refused", "job_title": "Chief", "unknown": 0.5})
    small.execute(refuse)
    heard = notices_of(small.connection)
    results = assert_ok(sync_full(small))
    assert result_of(results, EMPLOYEES)["inserted"] == len(employees) - 1
    assert rows(small, "hris_employees").keys() == set(employees) - {bad["id"]}
    assert [row for row in rows(small, "hris_employments").values() if row["employee_id"] == bad["id"]] == []
    found = parked(small)
    assert [(p["integration_id"], p["endpoint"], p["record_id"], p["sqlstate"]) for p in found] == [
        (sandbox.integration, EMPLOYEES, bad["id"], state)]
    assert found[0]["record"]["last_name"] == "Refused" and found[0]["error"]
    assert found[0]["record"].keys() == bad.keys()
    assert [e["id"] for e in found[0]["record"]["employments"]] == [e["id"] for e in bad["employments"]]
    assert "could not be stored" in heard[0].message_primary and "rejected_records" in heard[0].message_hint
    assert status_of(small, EMPLOYEES)["rejected"] == 1
    # The next full tries it again: while it is refused, it stays parked once, and when it passes, it is gone.
    assert_ok(sync_full(small))
    again = parked(small)
    assert len(again) == 1 and again[0]["rejected_at"] > found[0]["rejected_at"]
    small.execute(allow)
    assert result_of(assert_ok(sync_full(small)), EMPLOYEES)["inserted"] == 1
    assert parked(small) == [] and status_of(small, EMPLOYEES)["rejected"] == 0
    same_as_sandbox(small, sandbox, tables=["hris_employees", "hris_employments"])


def test_a_parked_record_that_comes_good_by_a_delta_is_gone(small, sandbox):
    group = sandbox.dump("hris_teams")[0]["id"]
    sandbox.record("change", "hris_teams", group, set={"name": "Refused"})
    small.execute("ALTER TABLE kombo.hris_teams ADD CHECK (name <> 'Refused')")
    assert_ok(sync_full(small, what=GROUPS))
    assert [p["record_id"] for p in parked(small)] == [group]
    sandbox.record("change", "hris_teams", group, set={"name": "Fine"})
    assert_ok(sync_delta(small, what=GROUPS))
    assert parked(small) == [] and rows(small, "hris_teams")[group]["name"] == "Fine"


def test_a_parked_record_that_kombo_no_longer_has_is_gone_after_a_full(small, sandbox):
    new = sandbox.record("create", "hris_teams", set={"name": "Refused"})["id"]
    small.execute("ALTER TABLE kombo.hris_teams ADD CHECK (name <> 'Refused')")
    assert_ok(sync_full(small, what=GROUPS))
    assert [p["record_id"] for p in parked(small)] == [new]
    sandbox.record("purge", "hris_teams", new)
    assert_ok(sync_full(small, what=GROUPS))
    assert parked(small) == []


def test_a_row_whose_new_version_is_refused_stays_as_it_was(small, sandbox):
    assert_ok(sync_full(small))
    group = sandbox.dump("hris_teams")[0]
    sandbox.record("change", "hris_teams", group["id"], set={"name": "Refused"})
    small.execute("ALTER TABLE kombo.hris_teams ADD CHECK (name <> 'Refused')")
    assert_ok(sync_full(small))
    row = rows(small, "hris_teams")[group["id"]]
    assert (row["name"], row["remote_deleted_at"]) == (group["name"], None)


def test_a_refused_child_parks_its_parent(small, sandbox):
    employee = next(r for r in sandbox.dump("hris_employees") if r["employments"])
    sandbox.record("change", "hris_employments", employee["employments"][0]["id"], set={"job_title": "Refused"})
    small.execute("ALTER TABLE kombo.hris_employments ADD CHECK (job_title <> 'Refused')")
    assert_ok(sync_full(small))
    assert [p["record_id"] for p in parked(small)] == [employee["id"]]
    assert employee["id"] not in rows(small, "hris_employees")
    assert len(rows(small, "hris_employees")) == len(sandbox.dump("hris_employees")) - 1


def test_a_foreign_key_of_the_users_parks_what_comes_too_early(small, sandbox):
    small.execute("ALTER TABLE kombo.hris_employments ADD FOREIGN KEY (integration_id, employee_id) "
                  "REFERENCES kombo.hris_employees (integration_id, id)")
    assert_ok(sync_full(small))  # parents are written before their children
    assert parked(small) == []
    same_as_sandbox(small, sandbox, tables=["hris_employees", "hris_employments"])


@pytest.mark.sandbox(employees=510)
def test_more_than_a_thousand_refusals_fail_the_endpoint_and_park_nothing(hris, sandbox):
    hris.subscribe_only(sandbox.integration, "/hris/absences", GROUPS)
    assert len(sandbox.dump("hris_absences")) > 1000
    hris.execute("ALTER TABLE kombo.hris_absences ADD CONSTRAINT of_user CHECK (id IS NULL)")
    heard = notices_of(hris.connection)
    results = sync_full(hris)
    assert outcome(results) == {"/hris/absences": "failed", GROUPS: "ok"}
    assert parked(hris) == [] and rows(hris, "hris_absences") == []
    warning = [one for one in heard if "/hris/absences " in one.message_primary][0]
    assert "of_user" in warning.message_primary and "constraint" in warning.message_hint


# --- what is no record's fault -----------------------------------------------------------------------------------

def test_a_lock_that_is_not_granted_fails_the_endpoints_that_need_it_alone(small, sandbox):
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    small.execute("SET lock_timeout = '300ms'")
    with small.connect(autocommit=False) as other:
        other.execute("LOCK TABLE kombo.hris_teams")
        assert outcome(sync_full(small)) == {EMPLOYEES: "failed", GROUPS: "failed", "/hris/locations": "ok"}
        assert parked(small) == []
        other.rollback()
    assert_ok(sync_full(small))


@pytest.mark.parametrize("state", ["53100", "42501", "XX000", "40001"])
def test_another_error_of_a_trigger_fails_that_endpoint_alone_and_parks_nothing(small, sandbox, state):
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    create_trigger(small, "hris_teams", f"RAISE EXCEPTION 'of the user' USING ERRCODE = '{state}', HINT = 'Think.';")
    heard = notices_of(small.connection)
    results = sync_full(small, what=["/hris/locations", GROUPS])
    assert outcome(results) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert parked(small) == [] and result_of(results, GROUPS)["error"] == "of the user"
    assert [(one.sqlstate, one.message_hint) for one in heard] == [(state, "Think.")]


@pytest.mark.parametrize("how, statement", [
    ("a deferred constraint trigger", """
        CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER of_user AFTER INSERT OR UPDATE ON kombo.hris_teams DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.late()"""),
    ("a trigger that makes a temporary table", """
        CREATE FUNCTION public.temporary() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            CREATE TEMPORARY TABLE mine (n int); RETURN NEW; END $$;
        CREATE TRIGGER of_user BEFORE INSERT OR UPDATE ON kombo.hris_teams
            FOR EACH ROW EXECUTE FUNCTION public.temporary()""")], ids=["deferred", "temporary"])
def test_what_cannot_run_in_the_restricted_context_fails_with_a_hint(small, sandbox, how, statement):
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    small.execute(statement)
    heard = notices_of(small.connection)
    assert outcome(sync_full(small, what=["/hris/locations", GROUPS])) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert len(heard) == 1 and heard[0].sqlstate == "42501", how
    assert "security-restricted" in heard[0].message_primary and "deferred constraints" in heard[0].message_hint
    assert parked(small) == []
    small.execute("DROP TRIGGER of_user ON kombo.hris_teams")
    assert_ok(sync_full(small))


def test_a_trigger_that_calls_the_sync_is_refused_with_a_hint(small, sandbox):
    small.execute("GRANT EXECUTE ON FUNCTION kombo.kombo_sync_delta(text, text[]) TO kombo_owner")
    create_trigger(small, "hris_teams", "PERFORM kombo.kombo_sync_delta(); RETURN NEW;")
    heard = notices_of(small.connection)
    assert outcome(sync_full(small))[GROUPS] == "failed"
    warning = [one for one in heard if GROUPS + " " in one.message_primary][0]
    assert warning.sqlstate == "55006" and "trigger" in warning.message_hint
    small.execute("DROP TRIGGER of_user ON kombo.hris_teams")
    assert_ok(sync_full(small))


def test_a_table_that_was_dropped_fails_its_endpoint_and_says_how_to_make_it(small, sandbox):
    small.execute("DROP TABLE kombo.hris_teams")
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    heard = notices_of(small.connection)
    assert outcome(sync_full(small, what=["/hris/locations", GROUPS])) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert heard[0].sqlstate == "42P01" and "create_tables" in heard[0].message_hint
    small.execute("SELECT kombo.create_tables('HRIS')")
    assert_ok(sync_full(small))
    same_as_sandbox(small, sandbox, tables=["hris_teams"])


def test_forced_row_security_fails_rather_than_hides_rows(small, sandbox):
    small.execute("ALTER TABLE kombo.hris_teams ENABLE ROW LEVEL SECURITY")
    small.execute("ALTER TABLE kombo.hris_teams FORCE ROW LEVEL SECURITY")
    results = sync_full(small, what=GROUPS)
    assert outcome(results) == {GROUPS: "failed"} and "row-level security" in results[0]["error"]


# --- privileges --------------------------------------------------------------------------------------------------

def test_a_trigger_runs_as_the_sync_role_and_never_as_the_caller(small, sandbox):
    small.execute("ALTER TABLE kombo.hris_teams ADD COLUMN written_by text, ADD COLUMN session text")
    create_trigger(small, "hris_teams", "NEW.written_by := current_user; NEW.session := session_user; RETURN NEW;")
    assert_ok(sync_full(small))
    assert {row["written_by"] for row in rows(small, "hris_teams").values()} == {"kombo_owner"}


@pytest.mark.parametrize("attempt", ["SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "RESET ROLE",
                                     "CREATE ROLE evil SUPERUSER", "ALTER ROLE kombo_owner SUPERUSER",
                                     "COPY pg_authid TO ''/tmp/evil''", "SELECT * FROM pg_authid",
                                     "SET SESSION row_security = on; RESET ROLE"])
def test_a_trigger_cannot_become_somebody_else(small, sandbox, attempt):
    create_trigger(small, "hris_teams", f"EXECUTE '{attempt}'; RETURN NEW;")
    assert outcome(sync_full(small)) == {EMPLOYEES: "failed", GROUPS: "failed"}
    assert small.value("SELECT current_user::text") == "postgres"
    assert small.value("SELECT count(*) FROM pg_roles WHERE rolname IN ('evil', 'kombo_owner') AND rolsuper") == 0


def test_a_callers_search_path_and_settings_do_not_reach_the_sync(small, sandbox):
    small.execute("CREATE SCHEMA evil; CREATE TABLE evil.hris_teams (n int); "
                  "CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'; "
                  "CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS 'SELECT (1/0)::text'; "
                  "GRANT USAGE ON SCHEMA evil TO PUBLIC")
    small.execute("SET search_path = evil, kombo, pg_catalog; SET DateStyle = 'German, DMY'; "
                  "SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -5; "
                  "SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'; "
                  "SET standard_conforming_strings = off; SET row_security = on")
    assert_ok(small.execute("SELECT endpoint, status, error FROM kombo.kombo_sync_full()"))
    small.execute("RESET ALL")
    same_as_sandbox(small, sandbox, tables=["hris_employees", "hris_employments", "hris_teams"])


def test_a_sync_leaves_the_callers_role_and_settings(small, sandbox):
    small.execute("SET search_path = public; SET statement_timeout = '60s'")
    before = small.execute("SELECT name, setting FROM pg_settings ORDER BY name")
    assert_ok(sync_full(small))
    assert small.execute("SELECT name, setting FROM pg_settings ORDER BY name") == before


@pytest.fixture
def operator(small, cluster):
    """A role with grant_operator, and a connection as it."""
    name = f"operator_{small.name}"
    small.execute(f"CREATE ROLE {name} LOGIN")
    small.execute("SELECT kombo.grant_operator(%s)", [name])
    with small.connect(user=name) as connection:
        yield name, connection
    small.execute(f"DROP OWNED BY {name}")
    small.execute(f"DROP ROLE {name}")


def test_an_operator_needs_usage_on_the_server(small, sandbox, operator):
    name, connection = operator
    sandbox.clear_requests()
    for statement in (f"SELECT * FROM kombo.kombo_sync_full('{sandbox.integration}')",
                      "SELECT kombo.check_connection('kombo_eu')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
            connection.execute(statement)
        assert "USAGE" in raised.value.diag.message_hint and "kombo_eu" in str(raised.value)
    assert sandbox.requests() == []
    small.execute(f"GRANT USAGE ON FOREIGN SERVER kombo_eu TO {name}")
    assert_ok(connection.execute("SELECT * FROM kombo.kombo_sync_full()").fetchall())
    same_as_sandbox(small, sandbox, tables=["hris_employees"])


def test_an_operator_syncs_without_seeing_data_or_key(small, sandbox, operator):
    name, connection = operator
    small.execute(f"GRANT USAGE ON FOREIGN SERVER kombo_eu TO {name}")
    assert_ok(connection.execute("SELECT * FROM kombo.kombo_sync_full()").fetchall())
    for relation in ("kombo.hris_employees", "kombo.rejected_records"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM {relation}")
    shown = connection.execute("SELECT umoptions FROM pg_user_mappings").fetchall()
    assert [row["umoptions"] for row in shown] == [None]


def test_somebody_without_grants_may_not_sync(small, sandbox, cluster):
    name = f"nobody_{small.name}"
    small.execute(f"CREATE ROLE {name} LOGIN")
    try:
        with small.connect(user=name) as connection:
            for function in ("kombo_sync_full", "kombo_sync_delta"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"SELECT * FROM kombo.{function}()")
    finally:
        small.execute(f"DROP ROLE {name}")


# --- what the user adds, and dumps -------------------------------------------------------------------------------

USERS_OWN = """
    ALTER TABLE kombo.hris_employees ADD COLUMN note text DEFAULT 'none',
        ADD COLUMN full_name text GENERATED ALWAYS AS (first_name || ' ' || last_name) STORED;
    CREATE INDEX by_full_name ON kombo.hris_employees (lower(full_name));
    CREATE TABLE public.audit (employee_id text, at timestamptz DEFAULT now());
    GRANT INSERT ON public.audit TO kombo_owner;
    CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.audit (employee_id) VALUES (NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER audited AFTER INSERT OR UPDATE ON kombo.hris_employees
        FOR EACH ROW EXECUTE FUNCTION public.audit();
    ALTER TABLE kombo.hris_employees ENABLE ROW LEVEL SECURITY;
    CREATE POLICY only_active ON kombo.hris_employees FOR SELECT USING (employment_status = 'ACTIVE');
    ALTER TABLE kombo.hris_employees ADD CONSTRAINT has_id CHECK (id <> '');
    CREATE VIEW public.staff AS SELECT e.full_name, g.team_id FROM kombo.hris_employees e
        JOIN kombo.hris_join_employees_teams g ON g.employee_id = e.id"""

OBJECTS = """
    SELECT 'column' AS kind, attname::text AS name, pg_get_expr(adbin, adrelid) AS definition FROM pg_attribute
        LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
        WHERE attrelid = 'kombo.hris_employees'::regclass AND attnum > 0
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'kombo' AND tablename = 'hris_employees'
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        AND tgrelid = 'kombo.hris_employees'::regclass
    UNION ALL SELECT 'policy', polname, pg_get_expr(polqual, polrelid) FROM pg_policy
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = 'kombo.hris_employees'::regclass
    UNION ALL SELECT 'row security', relrowsecurity::text, relowner::regrole::text FROM pg_class
        WHERE oid = 'kombo.hris_employees'::regclass
    UNION ALL SELECT 'comment', 'work_email', col_description('kombo.hris_employees'::regclass,
        (SELECT attnum FROM pg_attribute WHERE attrelid = 'kombo.hris_employees'::regclass AND attname = 'work_email'))
    ORDER BY 1, 2, 3"""


def everything(db):
    """The rows of all tables of schema kombo, as text."""
    tables = db.execute("SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'kombo'::regnamespace "
                        "AND relkind = 'r' ORDER BY 1")
    return {t["name"]: [row["r"] for row in db.execute(f"SELECT r::text FROM {t['name']} r ORDER BY r::text")]
            for t in tables}


def test_what_the_user_added_survives_syncs(small, sandbox):
    small.execute(USERS_OWN)
    before = small.execute(OBJECTS)
    assert_ok(sync_full(small))
    employees = rows(small, "hris_employees")
    one = next(iter(employees))
    assert all(e["full_name"] == f'{e["first_name"]} {e["last_name"]}' for e in employees.values()
               if e["first_name"] and e["last_name"])
    assert small.value("SELECT count(*) FROM public.audit") == len(employees)
    small.execute("UPDATE kombo.hris_employees SET note = 'mine' WHERE id = %s", [one])
    sandbox.record("change", "hris_employees", one, set={"last_name": "Renamed"})
    assert_ok(sync_full(small))
    after = rows(small, "hris_employees")[one]
    assert after["note"] == "mine" and after["full_name"].endswith(" Renamed")
    result = result_of(assert_ok(sync_full(small)), EMPLOYEES)
    assert (result["updated"], result["unchanged"]) == (0, len(employees))
    same_as_sandbox(small, sandbox, tables=["hris_employees"])
    small.execute("SELECT kombo.create_tables('HRIS')")
    assert small.execute(OBJECTS) == before


def test_a_dump_restores_to_equal_rows_and_waits_for_resume(small, sandbox, cluster):
    small.execute(USERS_OWN)
    small.execute("INSERT INTO kombo.endpoints (path, category, table_name, enabled) "
                  "VALUES ('/hris/own', 'HRIS', 'own', false)")
    small.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    small.execute("ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK (last_name <> 'Refused')")
    refused, strange = [record["id"] for record in sandbox.dump("hris_employees")[:2]]
    sandbox.record("change", "hris_employees", refused, set={"last_name": "Refused"})
    sandbox.record("change", "hris_employees", strange, set={"new": [1.50], "custom_fields": {"n": 0.5}})
    assert_ok(sync_full(small))
    small.execute("UPDATE kombo.hris_employees SET note = 'mine' WHERE id = (SELECT min(id) FROM kombo.hris_employees)")
    small.execute("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}')")
    dump = cluster.folder / f"{small.name}.sql"
    cluster.program("pg_dump", "-d", small.name, "-f", dump)
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy.name, "-f", dump)
        assert copy.execute(OBJECTS) == small.execute(OBJECTS)
        here, there = everything(small), everything(copy)
        assert here.keys() == there.keys()
        for table, found in here.items():
            assert there[table] == found, table
        assert here["kombo.rejected_records"] and here["kombo.excluded_fields"]
        # It does not call Kombo by itself.
        sandbox.clear_requests()
        status = status_of(copy, EMPLOYEES)
        assert status["state"] == "restored" and "kombo.resume" in status["next"]
        assert status_of(small, EMPLOYEES)["state"] == "fresh"
        assert sync_full(copy) == [] and sync_delta(copy) == [] and sandbox.requests() == []
        copy.execute("SELECT kombo.resume(NULL)")
        copy.execute("ALTER TABLE kombo.hris_employees DROP CONSTRAINT of_user")
        result = result_of(assert_ok(sync_full(copy)), EMPLOYEES)
        assert (result["inserted"], result["updated"]) == (1, 0)
        assert status_of(copy, EMPLOYEES)["state"] == "fresh"
        same_as_sandbox(copy, sandbox, tables=["hris_teams"])
    finally:
        copy.drop()


def test_an_extension_that_is_dropped_leaves_the_data(small, sandbox):
    assert_ok(sync_full(small))
    count = small.value("SELECT count(*) FROM kombo.hris_employees")
    small.execute("DROP EXTENSION kombo_sync CASCADE")
    assert count and small.value("SELECT count(*) FROM kombo.hris_employees") == count


# --- an endpoint by rows alone -----------------------------------------------------------------------------------

INVENTED = """
    INSERT INTO kombo.endpoints (path, category, table_name, comment) VALUES
        ('/hris/assets', 'HRIS', 'hris_assets', 'Things that employees use.');
    INSERT INTO kombo.endpoint_models (endpoint, model, role) VALUES
        ('/hris/assets', 'hris_assets', 'own'), ('/hris/assets', 'hris_asset_repairs', 'own'),
        ('/hris/assets', 'hris_vendors', 'carried');
    INSERT INTO kombo.fields (table_name, position, column_name, type, json_key, key) VALUES
        ('hris_assets', 1, 'remote_id', 'text', 'remote_id', false),
        ('hris_assets', 2, 'label', 'text', 'label', false),
        ('hris_assets', 3, 'price', 'numeric', 'price', false),
        ('hris_assets', 4, 'bought', 'date', 'bought', false),
        ('hris_assets', 5, 'vendor_id', 'text', 'vendor.id', false),
        ('hris_assets', 6, 'specs', 'jsonb', 'specs', false),
        ('hris_asset_repairs', 1, 'asset_id', 'text', 'asset_id', false),
        ('hris_asset_repairs', 2, 'cost', 'numeric', 'cost', false),
        ('hris_vendors', 1, 'name', 'text', 'name', false),
        ('hris_join_assets_users', 1, 'asset_id', 'text', NULL, true),
        ('hris_join_assets_users', 2, 'employee_id', 'text', 'id', true),
        ('hris_join_assets_users', 3, 'since', 'date', 'since', false);
    INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column) VALUES
        ('/hris/assets', 'repairs', 'owned', 'hris_asset_repairs', 'asset_id'),
        ('/hris/assets', 'vendor', 'linked', 'hris_vendors', NULL),
        ('/hris/assets', 'users', 'join', 'hris_join_assets_users', 'asset_id')"""


def asset(id, **changes):
    record = {"id": id, "changed_at": "2024-05-01T00:00:00.000Z", "remote_deleted_at": None, "label": f"Laptop {id}",
              "price": 1299.5, "bought": "2024-04-30T00:00:00.000Z", "specs": {"ram": 32}, "colour": "grey",
              "vendor": {"id": "v1", "name": "ACME"},
              "repairs": [{"id": f"{id}-r1", "cost": 10}, {"id": f"{id}-r2", "cost": 20.25}],
              "users": [{"id": "e1", "since": "2024-05-01"}, {"id": "e2", "since": None}]}
    return {**record, **changes}


def serve(sandbox, *pages):
    """From now on these are the pages of /hris/assets; the last one again and again."""
    sandbox.faults()
    for number, page in enumerate(pages, 1):
        last = number == len(pages)
        data = {"results": page, "next": None if last else f"page{number}"}
        sandbox.faults({"path": "/hris/assets", "times": -1 if last else 1,
                        "body": json.dumps({"status": "success", "data": data})})


def test_an_endpoint_that_is_rows_alone_gets_its_tables_and_is_synced(hris, sandbox):
    hris.execute(INVENTED)
    assert hris.value("SELECT kombo.create_tables('HRIS')") == 4
    serve(sandbox, [asset("a1"), asset("a2")], [asset("a3", vendor={"id": "v2", "name": "Other"}, users=[])])
    sandbox.clear_requests()
    result = result_of(assert_ok(sync_full(hris)), "/hris/assets")
    assert (result["pages"], result["received"], result["inserted"]) == (2, 3, 3)
    assert [r["params"].get("cursor") for r in sandbox.requests("/hris/assets")] == [None, "page1"]
    first = rows(hris, "hris_assets")["a1"]
    assert (first["label"], str(first["price"]), str(first["bought"])) == ("Laptop a1", "1299.5", "2024-04-30")
    assert (first["vendor_id"], first["specs"], first["extra"]) == ("v1", {"ram": 32}, {"colour": "grey"})
    assert {key: (row["asset_id"], str(row["cost"])) for key, row in rows(hris, "hris_asset_repairs").items()} == {
        f"{a}-{r}": (a, cost) for a in ("a1", "a2", "a3") for r, cost in (("r1", "10"), ("r2", "20.25"))}
    assert {key: row["name"] for key, row in rows(hris, "hris_vendors").items()} == {"v1": "ACME", "v2": "Other"}
    assert sorted((r["asset_id"], r["employee_id"], str(r["since"])) for r in rows(hris, "hris_join_assets_users")) == [
        ("a1", "e1", "2024-05-01"), ("a1", "e2", "None"), ("a2", "e1", "2024-05-01"), ("a2", "e2", "None")]
    assert last_run(hris, "/hris/assets")["rows_by_table"]["hris_asset_repairs"]["inserted"] == 6

    # A delta by the name of its model: the list shorter, the join replaced, the linked record's columns.
    serve(sandbox, [asset("a1", label="Renamed", repairs=[{"id": "a1-r2", "cost": 20.25}], users=[{"id": "e3"}],
                          vendor={"id": "v1", "name": "New"}, changed_at="2030-01-01T00:00:00.000Z")])
    sandbox.clear_requests()
    delta = assert_ok(sync_delta(hris, what="hris_asset_repairs"))
    assert [(row["endpoint"], row["kind"], row["updated"]) for row in delta] == [("/hris/assets", "delta", 1)]
    assert "updated_after" in sandbox.requests("/hris/assets")[0]["params"]
    assert rows(hris, "hris_assets")["a1"]["label"] == "Renamed" and rows(hris, "hris_vendors")["v1"]["name"] == "New"
    repairs = rows(hris, "hris_asset_repairs")
    assert repairs["a1-r1"]["remote_deleted_at"] and not repairs["a1-r2"]["remote_deleted_at"]
    assert {r["employee_id"] for r in rows(hris, "hris_join_assets_users") if r["asset_id"] == "a1"} == {"e3"}

    # A full that lacks one: it goes with its children and joins.
    serve(sandbox, [asset("a1"), asset("a3")])
    assert result_of(assert_ok(sync_full(hris)), "/hris/assets")["deleted"] == 1
    assert rows(hris, "hris_assets")["a2"]["remote_deleted_at"]
    assert rows(hris, "hris_asset_repairs")["a2-r1"]["remote_deleted_at"]
    assert [r for r in rows(hris, "hris_join_assets_users") if r["asset_id"] == "a2"] == []


def test_an_endpoint_without_its_tables_fails_alone_and_says_so(small, sandbox):
    small.execute(INVENTED)
    serve(sandbox, [asset("a1")])
    heard = notices_of(small.connection)
    assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "ok", "/hris/assets": "failed"}
    assert heard[0].sqlstate == "42P01" and "create_tables" in heard[0].message_hint


def test_a_catalogue_row_that_names_another_table_is_refused(small, sandbox):
    """The catalogue may name only tables of the sync role."""
    small.execute("CREATE TABLE kombo.hris_foreign (integration_id text, id text, PRIMARY KEY (integration_id, id))")
    small.execute("INSERT INTO kombo.endpoints (path, category, table_name) "
                  "VALUES ('/hris/foreign', 'HRIS', 'hris_foreign')")
    serve(sandbox, [asset("a1")])
    try:
        assert outcome(sync_full(small)).get("/hris/foreign") == "failed"
    except psycopg.Error as error:
        assert "hris_foreign" in str(error) and error.diag.message_hint
    assert small.value("SELECT count(*) FROM kombo.hris_foreign") == 0


# --- one transaction ---------------------------------------------------------------------------------------------

def test_rolling_back_undoes_rows_watermark_and_run_together(small, sandbox):
    with small.connect(autocommit=False) as connection:
        assert_ok(connection.execute("SELECT * FROM kombo.kombo_sync_full()").fetchall())
        assert connection.execute("SELECT count(*) AS n FROM kombo.hris_employees").fetchone()["n"] > 0
        connection.rollback()
    for table in ("hris_employees", "sync_state", "sync_runs"):
        assert small.value(f"SELECT count(*) FROM kombo.{table}") == 0, table
    assert assert_ok(sync_delta(small))[0]["kind"] == "full"


def test_a_row_that_another_session_locks_is_waited_for(small, sandbox):
    assert_ok(sync_full(small))
    group = sandbox.dump("hris_teams")[0]["id"]
    sandbox.record("change", "hris_teams", group, set={"name": "Renamed"})
    with small.connect(autocommit=False) as other:
        other.execute("SELECT FROM kombo.hris_teams WHERE id = %s FOR UPDATE", [group])
        sync = Background(small, "SELECT * FROM kombo.kombo_sync_delta(NULL, ARRAY['/hris/groups'])")
        wait_until(lambda: small.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
                                       [sync.pid]) == "Lock")
        other.rollback()
    assert_ok(sync.result())
    assert rows(small, "hris_teams")[group]["name"] == "Renamed"
