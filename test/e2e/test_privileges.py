"""Who may do what, and as whom the SQL of a sync runs."""

import psycopg
import pytest

from syncing import assert_ok, create_trigger, outcome, rows, same_as_sandbox, sync_full

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"


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
    assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "failed"}
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
