"""Foreign tables that answer live: which integrations, with whose key, what fails, and what EXPLAIN and ANALYZE say."""

import time

import psycopg
import pytest

from live_tables import explained, import_lists

EMPLOYEES = "/hris/employees"


# --- integrations --------------------------------------------------------------------------------------------------

def test_without_a_condition_all_integrations_of_the_server_are_read(db, sandbox):
    sandbox.add_integration("hibob:two", employees=30, seed=5)
    import_lists(db)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as none:
        db.execute("SELECT * FROM live.hris_employees")
    assert "add_integration" in none.value.diag.message_hint
    db.add_integration(sandbox.integration)
    db.add_integration("hibob:two")
    counts = "SELECT integration_id, count(*) FROM live.hris_employees{} GROUP BY 1 ORDER BY 1"
    assert [(row["integration_id"], row["count"]) for row in db.execute(counts.format(""))] \
        == [("hibob:two", 30), (sandbox.integration, 60)]
    sandbox.clear_requests()
    only = db.execute(counts.format(" WHERE integration_id = 'hibob:two'"))
    assert [row["count"] for row in only] == [30]
    assert {r["integration"] for r in sandbox.requests()} == {"hibob:two"}
    both = db.execute(counts.format(" WHERE integration_id IN ('hibob:two', %s)"), [sandbox.integration])
    assert len(both) == 2
    assert db.execute(counts.format(" WHERE integration_id = 'hibob:two' AND integration_id = 'x'")) == []


def test_several_integrations_are_read_side_by_side(db, sandbox):
    for i in range(6):
        sandbox.add_integration(f"hibob:{i}", employees=20, seed=i)
    import_lists(db)
    for i in range(6):
        db.add_integration(f"hibob:{i}")
    sandbox.settings(latency_ms=200)
    sandbox.admin("DELETE", "concurrency")
    assert db.value("SELECT count(*) FROM live.hris_employees") == 120
    assert 4 <= sandbox.admin("GET", "concurrency")["max_in_flight"] <= 8


def test_an_integration_that_fails_fails_the_query_or_is_left_out(db, sandbox):
    sandbox.add_integration("hibob:two", employees=30, setup_status="FINAL_SYNC_PENDING")
    import_lists(db)
    import_lists(db, "lenient", on_error="skip")
    db.add_integration(sandbox.integration)
    db.add_integration("hibob:two", category="HRIS")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as raised:
        db.execute("SELECT id FROM live.hris_employees")
    assert "hibob:two" in raised.value.diag.message_detail
    notices = []
    db.connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
    assert db.value("SELECT count(*) FROM lenient.hris_employees") == 60
    assert notices and notices[0][0] == "WARNING" and '"hibob:two" is left out' in notices[0][1]


# --- who -----------------------------------------------------------------------------------------------------------

def test_the_mapping_is_that_of_the_reader_or_of_the_owner_of_the_view(imported, sandbox):
    imported.execute("CREATE ROLE live_reader LOGIN")
    imported.execute("GRANT USAGE ON SCHEMA live TO live_reader")
    imported.execute("GRANT SELECT ON live.hris_teams TO live_reader")
    imported.execute("CREATE VIEW public.masked WITH (security_barrier) AS SELECT id, name FROM live.hris_teams "
                     "WHERE type = 'TEAM'")
    imported.execute("GRANT SELECT ON public.masked TO live_reader")
    with imported.connect("live_reader") as reader:
        with pytest.raises(psycopg.errors.FdwUnableToCreateReply) as raised:
            reader.execute("SELECT id FROM live.hris_teams")
        assert "live_reader" in raised.value.diag.message_detail and sandbox.api_key not in str(raised.value)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT id FROM live.hris_employees")
        assert len(reader.execute("SELECT * FROM public.masked WHERE name LIKE '%e%'").fetchall()) > 0
    imported.execute(f"CREATE USER MAPPING FOR live_reader SERVER kombo_eu OPTIONS (api_key '{sandbox.api_key}')")
    with imported.connect("live_reader") as reader:
        assert len(reader.execute("SELECT id FROM live.hris_teams").fetchall()) > 0
    imported.execute("DROP OWNED BY live_reader")
    imported.execute("DROP ROLE live_reader")


# --- errors and interrupts -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("statement", ["INSERT INTO live.hris_teams (id) VALUES ('x')",
                                       "UPDATE live.hris_teams SET name = 'x'", "DELETE FROM live.hris_teams"])
def test_a_live_table_cannot_be_written(imported, statement):
    with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
        imported.execute(statement)
    assert 'cannot change foreign table "hris_teams"' in str(raised.value)


def test_a_live_table_has_no_tablesample(imported):
    with pytest.raises(psycopg.errors.Error) as raised:
        imported.execute("SELECT * FROM live.hris_teams TABLESAMPLE system (10)")
    assert "TABLESAMPLE" in str(raised.value)


@pytest.mark.parametrize("fault", [{"status": 503}, {"close": True}, {"truncate": 300}, {"html": True}])
@pytest.mark.sandbox(employees=600)
def test_a_page_that_fails_once_is_asked_for_again(imported, sandbox, fault):
    sandbox.faults({"path": EMPLOYEES, "skip": 1, **fault})
    assert imported.value("SELECT count(*) FROM live.hris_employees") == 600


@pytest.mark.parametrize("fault, state", [({"status": 401, "code": "PLATFORM.AUTHENTICATION_INVALID"}, "28000"),
                                          ({"status": 503}, "HV000"), ({"close": True}, "08006"),
                                          ({"repeat_cursor": True}, "08P01")])
@pytest.mark.sandbox(employees=600)
def test_a_page_that_goes_on_failing_fails_the_query_as_it_fails_a_sync(imported, sandbox, fault, state):
    imported.execute("SET kombo_sync.max_retries = 1")
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "times": -1, **fault})
    with pytest.raises(psycopg.Error) as raised:
        imported.execute("SELECT id FROM live.hris_employees")
    assert raised.value.sqlstate == state
    assert imported.value("SELECT count(*) FROM live.hris_teams") > 0


def test_a_cancel_and_a_timeout_act_while_kombo_is_silent(imported, sandbox):
    sandbox.faults({"path": EMPLOYEES, "hang": True, "times": -1})
    imported.execute("SET statement_timeout = '300ms'")
    began = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        imported.execute("SELECT id FROM live.hris_employees")
    assert time.monotonic() - began < 30
    imported.execute("RESET statement_timeout")
    sandbox.faults()
    assert imported.value("SELECT count(*) FROM live.hris_employees") == 60


# --- EXPLAIN and ANALYZE -------------------------------------------------------------------------------------------

def test_explain_asks_nothing_and_says_what_would_be_asked(imported, sandbox):
    plan = explained(imported, "SELECT * FROM live.hris_employees WHERE employment_status = 'ACTIVE'", "VERBOSE")
    assert "GET /hris/employees?page_size=250&include_deleted=true&employment_statuses=ACTIVE" in plan
    assert sandbox.integration in plan and "Filter:" in plan
    assert sandbox.requests() == []
    plan = explained(imported, "SELECT * FROM live.hris_employees WHERE employment_status = 'ACTIVE'", "ANALYZE")
    for label in ("Kombo Pages: 1", "Kombo Records:", "Kombo Bytes:", "Kombo Retries: 0", "Kombo Network Time:"):
        assert label in plan


@pytest.mark.sandbox(employees=600)
def test_analyze_samples_the_list_and_estimates_follow(imported, sandbox):
    said = []
    imported.connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    imported.execute("ANALYZE VERBOSE live.hris_employees")
    assert any("600 rows" in text for text in said), said
    assert imported.value("SELECT reltuples FROM pg_class WHERE oid = 'live.hris_employees'::regclass") == 600
    assert imported.value("SELECT n_distinct FROM pg_stats WHERE schemaname = 'live' AND attname = 'id'") == -1


# --- partitions ----------------------------------------------------------------------------------------------------

def test_partitions_by_integration_are_read_side_by_side(db, sandbox):
    db.execute("CREATE SCHEMA live")
    db.execute("CREATE TABLE live.people (integration_id text, id text, first_name text) PARTITION BY LIST "
               "(integration_id)")
    for i in range(3):
        sandbox.add_integration(f"hibob:{i}", employees=300, seed=i)
        db.execute(f"CREATE FOREIGN TABLE live.people_{i} PARTITION OF live.people FOR VALUES IN ('hibob:{i}') SERVER "
                   f"kombo_eu OPTIONS (endpoint '/hris/employees', integration_id 'hibob:{i}', page_size '100')")
    sandbox.settings(latency_ms=100)
    sandbox.admin("DELETE", "concurrency")
    assert explained(db, "SELECT * FROM live.people").count("Async Foreign Scan") == 3
    counts = db.execute("SELECT integration_id, count(*) FROM live.people WHERE first_name <> '' GROUP BY 1 ORDER BY 1")
    assert [row["count"] for row in counts] == [300] * 3
    assert sandbox.admin("GET", "concurrency")["max_in_flight"] >= 3
    sandbox.clear_requests()
    assert db.value("SELECT count(*) FROM live.people WHERE integration_id = 'hibob:1'") == 300
    assert {r["integration"] for r in sandbox.requests()} == {"hibob:1"}
    sandbox.faults({"path": EMPLOYEES, "hang": True, "times": -1})
    db.execute("SET statement_timeout = '300ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        db.execute("SELECT * FROM live.people")
    db.execute("RESET statement_timeout")
    sandbox.faults()
    sandbox.settings(latency_ms=0)
    assert db.value("SELECT count(*) FROM live.people") == 900
