"""What a role that grant_operator or grant_reader was called for can do, and what it cannot, whatever it tries."""

import psycopg
import pytest

from syncing import notices_of, sync_full
from worker import inbox, until, wait_judged

DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def roles(hris):
    """`hris` with roles that may connect: its operator without USAGE on the server, its operator with it, a reader."""
    for role, function in (("op_without", "operator"), ("op_with", "operator"), ("some_reader", "reader")):
        hris.execute(f"CREATE ROLE {role} LOGIN")
        hris.execute(f"SELECT kombo.grant_{function}('{role}')")
    hris.execute("GRANT USAGE ON FOREIGN SERVER kombo_eu TO op_with")
    yield hris
    hris.execute("DROP OWNED BY op_without, op_with, some_reader CASCADE; DROP ROLE op_without, op_with, some_reader")


@pytest.mark.parametrize("change", ["integration_id = 'personio:other'", "category = 'ATS'", "server = 'kombo_eu2'",
                                    "system_identifier = 1", "database_oid = 1"])
def test_what_decides_whom_a_key_is_used_for_takes_usage_on_the_server(roles, sandbox, change):
    roles.create_server(sandbox, "kombo_eu2")
    with roles.connect(user="op_without") as operator:
        with pytest.raises(DENIED):
            operator.execute(f"UPDATE kombo.integrations SET {change}")
        operator.execute("UPDATE kombo.integrations SET tool = 'mine', server = server")
        with pytest.raises(DENIED):
            operator.execute("INSERT INTO kombo.integrations (integration_id, server, category) "
                             "VALUES ('personio:other', 'kombo_eu', 'HRIS')")


def test_an_operator_cannot_wait_for_a_server_that_somebody_makes_later(roles, sandbox):
    insert = "INSERT INTO kombo.integrations (integration_id, server, category) VALUES ('personio:x', 'later', 'HRIS')"
    with roles.connect(user="op_with") as operator:
        with pytest.raises(psycopg.errors.UndefinedObject):
            operator.execute(insert)
        with pytest.raises(psycopg.errors.UndefinedObject):
            operator.execute("UPDATE kombo.integrations SET server = 'later'")
    roles.execute(insert)  # as a restore does


def test_subscriptions_take_usage_on_the_server_and_have_a_floor(roles, sandbox):
    insert = "INSERT INTO kombo.subscriptions (integration_id, endpoint, delta_interval) VALUES (%s, %s, %s)"
    with roles.connect(user="op_with") as operator:
        operator.execute(insert, [sandbox.integration, "/hris/groups", "1 minute"])
        for short in ("1 microsecond", "0", "-1 day", "59 seconds"):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                operator.execute(insert, [sandbox.integration, "/hris/employees", short])
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                operator.execute("UPDATE kombo.subscriptions SET full_interval = %s", [short])
    with roles.connect(user="op_without") as operator:
        operator.execute("SET check_function_bodies = off")  # as a restore does
        for statement in ("UPDATE kombo.subscriptions SET enabled = false", "DELETE FROM kombo.subscriptions",
                          insert % (f"'{sandbox.integration}'", "'/hris/employees'", "'1 day'")):
            with pytest.raises(DENIED):
                operator.execute(statement)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        roles.execute(insert, [sandbox.integration, "/hris/employees", "999 milliseconds"])


def test_short_intervals_of_the_catalogue_count_as_a_second(hris):
    hris.execute("UPDATE kombo.endpoints SET delta_interval = '1 microsecond', full_interval = '1 microsecond'")
    hris.execute("""INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_success_at, last_full_at)
                    SELECT i.integration_id, e.path, now(), now(), now()
                    FROM kombo.integrations i, kombo.endpoints e""")
    hris.execute("UPDATE kombo.integrations SET checked_at = now()")
    hris.execute("BEGIN; SELECT kombo_internal.request_due()")
    try:
        assert hris.value("SELECT count(*) FROM kombo.sync_requests") == 0
    finally:
        hris.execute("ROLLBACK")


@pytest.mark.parametrize("column", ["full_interval", "delta_interval", "purge_after"])
def test_a_span_beyond_all_dates_stops_nothing(hris, sandbox, column):
    hris.subscribe_only(sandbox.integration, "/hris/groups")
    hris.execute(f"UPDATE kombo.subscriptions SET {column} = '1000000 years'")
    assert sync_full(hris)[0]["status"] == "ok"
    hris.execute("SELECT kombo_internal.request_due()")
    assert hris.execute("SELECT state FROM kombo.sync_status WHERE endpoint = '/hris/groups'") == [{"state": "fresh"}]


def test_an_operator_changes_of_the_state_only_what_operating_takes(roles):
    assert sync_full(roles, what=["/hris/groups"])[0]["status"] == "ok"
    with roles.connect(user="op_with") as operator:
        operator.execute("UPDATE kombo.sync_state SET watermark = NULL, accept_sweep = true, failures = 0, "
                         "attempts = 0, "
                         "next_attempt_at = NULL")
        for column in ("full_cursor", "last_status", "last_error", "integration_id"):
            with pytest.raises(DENIED):
                operator.execute(f"UPDATE kombo.sync_state SET {column} = 'x'")
        operator.execute("SELECT kombo.resume(NULL)")


@pytest.mark.parametrize("its_id", ["", " a", "a ", "a\tb", "a\x01", "a\x85b", "x" * 201, ".", ".."])
def test_an_id_that_cannot_be_one_is_refused_by_table_and_function(roles, its_id):
    with roles.connect(user="op_with") as operator:
        with pytest.raises(psycopg.errors.CheckViolation):
            operator.execute("INSERT INTO kombo.integrations (integration_id, server, category) "
                             "VALUES (%s, 'kombo_eu', 'HRIS')", [its_id])
        with pytest.raises(psycopg.errors.CheckViolation):
            operator.execute("UPDATE kombo.integrations SET integration_id = %s", [its_id])
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            operator.execute("SELECT kombo.add_integration(%s, 'kombo_eu', 'HRIS')", [its_id])


@pytest.mark.parametrize("path", ["", "hris", "/a b", "/a\x01", "/a\x85", "/../keys", "/hris/..", "/a/./b", "/a?b=c",
                                  "/" + "x" * 200])
def test_a_path_that_cannot_be_one_is_refused(hris, path):
    with pytest.raises(psycopg.errors.CheckViolation):
        hris.execute("INSERT INTO kombo.endpoints (path, category, table_name) VALUES (%s, 'HRIS', 'own')", [path])
    hris.execute("INSERT INTO kombo.endpoints (path, category, table_name) VALUES ('/hris/a.b/..c', 'HRIS', 'own')")


def test_a_reader_sees_no_parked_record_of_a_table_with_row_security(roles, sandbox):
    park = """INSERT INTO kombo.rejected_records (integration_id, endpoint, record, error)
              VALUES (%s, '/hris/employees', '{"ssn": "secret"}', 'secret')"""
    roles.execute(park, [sandbox.integration])
    with roles.connect(user="some_reader") as reader:
        assert reader.execute("SELECT record FROM kombo.rejected_records").fetchone()["record"] == {"ssn": "secret"}
    roles.execute("ALTER TABLE kombo.hris_employees ENABLE ROW LEVEL SECURITY")
    heard = notices_of(roles.connection)
    roles.execute("SELECT kombo.grant_reader('some_reader')")
    assert "hris_employees" in heard[0].message_detail and "GRANT SELECT" in heard[0].message_hint
    with roles.connect(user="some_reader") as reader:
        for column in ("*", "record", "record_id", "error"):
            with pytest.raises(DENIED):
                reader.execute(f"SELECT {column} FROM kombo.rejected_records")
        rejected = reader.execute("SELECT endpoint, count(*) FROM kombo.rejected_records GROUP BY 1").fetchone()
        assert rejected["count"] == 1
        assert reader.execute("SELECT rejected FROM kombo.sync_status WHERE endpoint = '/hris/employees'"
                              ).fetchone()["rejected"] == 1
    assert roles.execute("SELECT DISTINCT reader::text FROM kombo_internal.readers()") == [{"reader": "some_reader"}]


# --- what the worker does for others ---------------------------------------------------------------------------------

def active(integration):
    return {"id": integration, "tool": {"id": "personio"}, "category": "HRIS", "status": "ACTIVE"}


def test_a_request_of_the_sync_role_registers_nothing(served, sandbox):
    ask = """INSERT INTO kombo.sync_requests (integration_id, kind, trigger, server)
             VALUES (%s, 'integration', 'webhook', 'kombo_eu')"""
    with served.connect() as own:
        own.execute("SET ROLE kombo_owner")
        own.execute(ask, [sandbox.integration])
    until(served, lambda: served.value("SELECT count(*) FROM kombo.sync_requests") == 0, what="the end of the request")
    assert served.execute("SELECT * FROM kombo.integrations") == [] and sandbox.requests() == []
    served.execute("ALTER SERVER kombo_eu OPTIONS (ADD auto_register 'on')")
    served.execute(ask, [sandbox.integration])
    until(served, lambda: served.execute("SELECT * FROM kombo.integrations"), what="the integration")


def test_an_unsigned_webhook_registers_nothing(served, sandbox):
    served.execute("ALTER SERVER kombo_eu OPTIONS (ADD auto_register 'on', ADD accept_unsigned 'on')")
    webhook = sandbox.webhook(type="integration-created")
    served.execute("INSERT INTO kombo.webhook_inbox (body) VALUES (%s)", [webhook.body])
    wait_judged(served)
    assert inbox(served) == {"rejected": 1} and sandbox.requests() == []
    assert served.execute("SELECT * FROM kombo.integrations") == []
