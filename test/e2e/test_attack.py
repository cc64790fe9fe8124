"""What each role tries in order to become the next one, and what the sync role can lay on its tables for others."""

import re

import psycopg
import pytest

from documents import ROOT
from syncing import assert_ok, sync_full

ROLES = {"nobody": None, "a_reader": "grant_reader", "a_writer": "grant_webhook_writer",
         "a_consumer": "grant_consumer", "operator_without": "grant_operator", "operator_with": "grant_operator",
         "server_owner": None, "kombo_owner": None}

# By whom they may be done after all.
ATTEMPTS = {
    # Other roles.
    "SET ROLE postgres": (), "SET SESSION AUTHORIZATION postgres": (), "ALTER ROLE {me} SUPERUSER": (),
    "CREATE ROLE evil": (), "GRANT kombo_owner TO nobody": (), "GRANT pg_read_all_data TO {me}": (),
    "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO {me}": (),
    "ALTER DATABASE {database} OWNER TO {me}": (), "ALTER DATABASE {database} SET search_path = evil": (),
    "LOAD '$libdir/kombo_sync'": (), "COPY (SELECT 1) TO PROGRAM 'true'": (), "COPY (SELECT 1) TO '/tmp/evil'": (),
    "SELECT pg_read_file('postgresql.conf')": (),
    "CREATE EVENT TRIGGER evil ON ddl_command_end EXECUTE FUNCTION f()": (),
    # Objects of ours.
    "CREATE TABLE kombo.evil ()": (), "CREATE TABLE kombo_internal.evil ()": (),
    "CREATE FUNCTION kombo.pause(text) RETURNS void LANGUAGE sql AS ''": (),
    "CREATE OPERATOR kombo.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)": (),
    "CREATE CAST (text AS kombo.integrations) WITH INOUT AS IMPLICIT": (),
    "CREATE OR REPLACE FUNCTION kombo.pause(integration_id text, reason text DEFAULT NULL) RETURNS void "
    "LANGUAGE sql AS ''": (),
    "ALTER FUNCTION kombo.pause(text, text) SECURITY DEFINER": (),
    "ALTER FUNCTION kombo.erase(text, text, text) RESET search_path": (),
    "CREATE FUNCTION pg_temp.evil(text) RETURNS bigint AS '$libdir/kombo_sync', 'execute_as_sync_role' LANGUAGE c": (),
    "ALTER TABLE kombo.integrations OWNER TO {me}": (), "ALTER VIEW kombo.sync_status OWNER TO {me}": (),
    "ALTER SCHEMA kombo OWNER TO {me}": (), "ALTER EXTENSION kombo_sync ADD TABLE kombo.hris_teams": (),
    "DROP EXTENSION kombo_sync": (), "ALTER EXTENSION kombo_sync UPDATE": (),
    "CREATE TRIGGER evil BEFORE INSERT ON kombo.webhook_inbox FOR EACH ROW EXECUTE FUNCTION "
    "suppress_redundant_updates_trigger()": (),
    "CREATE RULE evil AS ON INSERT TO kombo.webhook_inbox DO INSTEAD NOTHING": (),
    "CREATE POLICY evil ON kombo.integrations": (), "CREATE INDEX ON kombo.integrations (tool)": (),
    "ALTER TABLE kombo.sync_runs ADD COLUMN evil text": (), "TRUNCATE kombo.webhook_inbox": (),
    "CREATE STATISTICS evil ON status, error FROM kombo.webhook_inbox": (), "LOCK TABLE kombo.endpoints": (),
    "CREATE TABLE pg_temp.evil () INHERITS (kombo.webhook_inbox)": (), "COMMENT ON SCHEMA kombo IS 'evil'": (),
    "UPDATE kombo.endpoints SET table_name = 'integrations'": (), "DELETE FROM kombo.excluded_fields": (),
    "INSERT INTO kombo.fields (table_name, column_name, type) VALUES ('hris_teams', 'evil', 'text')": (),
    "SELECT setval('kombo.webhook_inbox_id_seq', 1)": (),
    "INSERT INTO kombo.erased_records VALUES ('personio:x', 'x', 'hris_teams')": ("kombo_owner",),
    "SELECT * FROM kombo.erased_records": ("kombo_owner",),
    "CREATE TRIGGER evil BEFORE INSERT ON kombo.hris_teams FOR EACH ROW EXECUTE FUNCTION "
    "suppress_redundant_updates_trigger()": ("kombo_owner",),
    # Data.
    "SELECT * FROM kombo.hris_employees": ("a_reader", "kombo_owner"),
    "DELETE FROM kombo.hris_employees": ("kombo_owner",), "SELECT body FROM kombo.webhook_inbox": ("kombo_owner",),
    "SELECT * FROM kombo.rejected_records": ("a_reader", "kombo_owner"),
    "SELECT * FROM pg_user_mapping": (), "SELECT * FROM pg_statistic": (),
    # Functions.
    "SELECT kombo_internal.execute_as_sync_role('SELECT 1')": ("kombo_owner",),
    "SELECT kombo.grant_reader('{me}')": (), "SELECT kombo.grant_operator('{me}')": (),
    "SELECT kombo_internal.grant_sync_role('{me}')": (), "SELECT kombo_internal.give_tables('{me}')": (),
    "SELECT kombo.create_tables('HRIS', owner => '{me}')": (), "SELECT kombo.exclude_field('hris_teams', 'name')": (),
    "SELECT kombo.add_field('hris_teams', 'evil', 'text')": (), "SELECT kombo.track_changes('hris_teams')": (),
    "SELECT kombo.erase('personio:x', 'hris_teams', 'x')": ("kombo_owner",),
    "SELECT kombo.readmit('personio:x', 'hris_teams', 'x')": ("kombo_owner",),
    "SELECT * FROM kombo.drift('personio:x')": (),
    "SELECT kombo.remove_integration('{integration}', purge => true)": (),
    # Keys.
    "ALTER SERVER kombo_eu OPTIONS (SET base_url 'https://evil.example')": (),
    "ALTER SERVER theirs OPTIONS (SET base_url 'https://evil.example/v1')": (),
    "ALTER SERVER theirs OPTIONS (ADD proxy 'http://evil.example')": (),
    "CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu": (), "DROP USER MAPPING FOR postgres SERVER kombo_eu": (),
    "CREATE USER MAPPING FOR postgres SERVER theirs OPTIONS (api_key_file '/etc/passwd')": (),
    "SELECT kombo.check_connection('kombo_eu')": ("operator_with",),
    "SELECT kombo.add_integration('personio:y', 'kombo_eu', 'HRIS')": ("operator_with",),
    "SELECT * FROM kombo.kombo_sync_full('{integration}')": ("operator_with",),
}


@pytest.fixture
def roles(hris, sandbox):
    """`hris` with a role of each kind, that may connect."""
    hris.subscribe_only(sandbox.integration, "/hris/groups")
    for role, function in ROLES.items():
        if role != "kombo_owner":
            hris.execute(f"CREATE ROLE {role} LOGIN")
        if function:
            hris.execute(f"SELECT kombo.{function}('{role}')")
    before = hris.value("SELECT CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END FROM pg_roles "
                        "WHERE rolname = 'kombo_owner'")
    hris.execute("ALTER ROLE kombo_owner LOGIN; GRANT USAGE ON FOREIGN SERVER kombo_eu TO operator_with")
    hris.execute("GRANT USAGE ON FOREIGN DATA WRAPPER kombo_sync TO server_owner")
    hris.execute("CREATE SERVER theirs FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1'); "
                 "ALTER SERVER theirs OWNER TO server_owner")
    yield hris
    made = ", ".join(role for role in ROLES if role != "kombo_owner")
    hris.execute(f"ALTER ROLE kombo_owner {before}; DROP OWNED BY {made} CASCADE; DROP ROLE {made}")


def test_no_role_gets_to_the_next_one(roles, sandbox):
    done = {}
    for role in ROLES:
        with roles.connect(user=role, autocommit=False) as session:
            for attempt, allowed in ATTEMPTS.items():
                statement = attempt.replace("{me}", role).replace("{database}", roles.name)
                statement = statement.replace("{integration}", sandbox.integration)
                try:
                    session.execute(statement)
                    if role not in allowed:
                        done.setdefault(role, []).append(statement)
                except psycopg.errors.InsufficientPrivilege:
                    assert role not in allowed, f"{role} may not: {statement}"
                except psycopg.Error as error:
                    # Refused for another reason, before or after the privileges were looked at.
                    refused = (psycopg.errors.InvalidObjectDefinition, psycopg.errors.FdwInvalidAttributeValue,
                               psycopg.errors.UndefinedFunction, psycopg.errors.WrongObjectType)
                    assert isinstance(error, refused), f"{role}: {statement}: {type(error).__name__} {error}"
                session.rollback()
            session.autocommit = True
            for statement in ("ALTER SYSTEM SET kombo_sync.databases = ''", "CREATE DATABASE evil"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement)
    assert done == {}


def test_a_setting_of_superusers_that_is_set_before_the_library_is_loaded_does_not_count(roles):
    with roles.connect(user="operator_with") as operator:
        operator.execute("SET kombo_sync.max_sweep_fraction = 1")
        operator.execute("SELECT kombo.check_connection('kombo_eu')")
        assert operator.execute("SHOW kombo_sync.max_sweep_fraction").fetchone() == {
            "kombo_sync.max_sweep_fraction": "0.5"}


LAID = """
CREATE TABLE public.ran (what text, who text);
GRANT INSERT ON public.ran TO PUBLIC;
CREATE FUNCTION public.note(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    -- A cast and an index may be evaluated where nothing can be written.
    IF current_user <> 'kombo_owner' THEN
        RAISE WARNING 'ran as %: %', current_user, what;
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION public.noting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM public.note('trigger ' || TG_OP); RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER noting BEFORE INSERT OR UPDATE OR DELETE ON kombo.hris_employees
    FOR EACH ROW EXECUTE FUNCTION public.noting();
CREATE TRIGGER noting BEFORE INSERT OR UPDATE OR DELETE ON kombo.hris_absences
    FOR EACH ROW EXECUTE FUNCTION public.noting();
ALTER TABLE kombo.hris_absences ADD CHECK (public.note('check'));
ALTER TABLE kombo.hris_absences ENABLE ROW LEVEL SECURITY;
CREATE POLICY laid ON kombo.hris_absences USING (public.note('policy'));
CREATE TYPE public.laid AS ENUM ('{}', '{"a": 1}');
CREATE FUNCTION public.to_jsonb(laid) RETURNS jsonb IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM public.note('cast to jsonb'); RETURN $1::text::jsonb; END $$;
CREATE CAST (laid AS jsonb) WITH FUNCTION public.to_jsonb(laid) AS IMPLICIT;
CREATE FUNCTION public.to_text(laid) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM public.note('cast to text'); RETURN 'x'; END $$;
CREATE CAST (laid AS text) WITH FUNCTION public.to_text(laid) AS IMPLICIT;
ALTER TABLE kombo.hris_absences ALTER extra TYPE laid USING '{"a": 1}', ALTER custom_fields TYPE laid USING '{"a": 1}',
    ALTER approver_id TYPE laid USING '{}';
CREATE RULE laid AS ON DELETE TO kombo.hris_timesheets DO ALSO SELECT public.note('rule');
"""


def test_what_the_sync_role_lays_on_its_tables_runs_as_the_sync_role(hris, sandbox):
    assert_ok(sync_full(hris, what=["/hris/employees", "/hris/absences", "/hris/timesheets"]))
    hris.execute("GRANT CREATE ON SCHEMA public TO kombo_owner")
    with hris.connect() as owner:
        owner.execute("SET SESSION AUTHORIZATION kombo_owner")
        owner.execute(LAID)
    someone = hris.value("SELECT employee_id FROM kombo.hris_absences LIMIT 1")
    heard = []
    hris.connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    used = ["SELECT * FROM kombo.unknown_fields", "SELECT * FROM kombo.sync_status",
            "SELECT * FROM kombo.integration_status",
            "SELECT kombo.add_field('hris_absences', 'a', 'numeric')", "SELECT kombo.fill_field('hris_absences', 'a')",
            "SELECT kombo.custom_field('hris_absences', 'a')", "SELECT kombo.track_changes('hris_employees')",
            "SELECT kombo.exclude_field('hris_absences', 'employee_note')",
            "SELECT kombo.exclude_field('hris_absences', 'approver_id')",
            f"SELECT * FROM kombo.drift('{sandbox.integration}', ARRAY['/hris/absences'])",
            f"SELECT * FROM kombo.erase('{sandbox.integration}', 'hris_employees', '{someone}')",
            f"SELECT kombo.readmit('{sandbox.integration}', 'hris_employees', '{someone}')",
            "SELECT kombo.create_tables('HRIS')", "SELECT * FROM kombo.kombo_sync_full()",
            "CREATE ROLE laid_reader", "SELECT kombo.grant_reader('laid_reader')", "DROP OWNED BY laid_reader",
            "DROP ROLE laid_reader", f"SELECT kombo.remove_integration('{sandbox.integration}', purge => true)"]
    for statement in used:
        try:
            hris.execute(statement)
        except psycopg.Error as error:  # the types do not fit, which is the sync role's own affair
            heard.append(str(error))
    assert [text for text in heard if "ran as" in text] == []
    assert hris.value("SELECT count(*) FROM kombo.hris_employees") == 0, "the last one was done"
    with hris.connection.transaction():  # the trap is one
        hris.execute("UPDATE kombo.hris_absences SET extra = extra")
        hris.execute("SELECT public.note('at all')")
    assert "ran as postgres: at all" in heard


def test_the_catalogue_reaches_no_table_but_those_of_the_sync_role(hris):
    hris.execute("CREATE TABLE kombo.theirs (integration_id text, id text, PRIMARY KEY (integration_id, id))")
    hris.execute("INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/hris/theirs', 'HRIS', 'theirs')")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="different owners"):
        sync_full(hris)
    hris.execute("DELETE FROM kombo.endpoints WHERE path = '/hris/theirs'")
    hris.execute("INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/hris/x', 'HRIS', 'integrations')")
    with pytest.raises(psycopg.Error, match="belongs to the extension|contradict"):
        hris.execute("SELECT kombo.create_tables('HRIS')")


def test_signatures_are_compared_by_one_function_in_constant_time():
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.cpp")}
    comparing = [path.name for path, text in sources.items() if "CRYPTO_memcmp(" in text]
    assert comparing == ["webhook.cpp"], "nothing else compares digests"
    hmac = [path.name for path, text in sources.items() if re.search(r"\bHMAC\(", text)]
    assert hmac == ["webhook.cpp"], "nothing else makes one"
    its = sources[ROOT / "src" / "kombo" / "webhook.cpp"]
    assert not re.search(r"(?<!CRYPTO_)memcmp|expected ==|== expected|claimed_ ==|== \*claimed_", its)
