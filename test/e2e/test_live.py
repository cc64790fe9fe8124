"""Foreign tables that answer live: IMPORT FOREIGN SCHEMA, and what a SELECT asks Kombo for."""

import time

import psycopg
import pytest

from fake_kombo import error

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
ABSENCES = "/hris/absences"


@pytest.fixture
def imported(db, sandbox):
    """`db` with schema live, whose tables are those of the sandbox's integration."""
    import_lists(db, integration_id=sandbox.integration)
    sandbox.clear_requests()
    return db


def import_lists(db, schema="live", remote="hris", only="", **options):
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    listed = ", ".join(f"{name} '{value}'" for name, value in options.items())
    db.execute(f"IMPORT FOREIGN SCHEMA {remote} {only} FROM SERVER kombo_eu INTO {schema}"
               + (f" OPTIONS ({listed})" if listed else ""))


def asked(sandbox, path=EMPLOYEES):
    """The parameters of the requests, without the size of pages."""
    return [{k: v for k, v in r["params"].items() if k != "page_size"} for r in sandbox.requests(path)]


def explained(db, query, *options):
    wanted = ", ".join(("COSTS off", *options))
    return "\n".join(row["QUERY PLAN"] for row in db.execute(f"EXPLAIN ({wanted}) {query}"))


@pytest.fixture
def faked(db, fake_kombo):
    """`db` with schema live of server fake: `db.answers` is what it answers by path."""
    answers = {}
    fake = fake_kombo(lambda path, query: answers[path](query) if callable(answers.get(path)) else answers.get(path))
    db.create_server(fake, name="fake")
    db.execute("SET kombo_sync.max_retries = 0")
    db.execute("CREATE SCHEMA live")
    db.execute("IMPORT FOREIGN SCHEMA hris FROM SERVER fake INTO live")
    db.answers, db.fake = answers, fake
    return db


# --- import --------------------------------------------------------------------------------------------------------

def test_an_import_makes_the_tables_of_a_category_with_columns_and_comments_of_the_data_tables(imported):
    ours = {row["relname"] for row in imported.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'live'::regnamespace AND relkind = 'f'")}
    lists = {row["table_name"] for row in imported.execute(
        "SELECT DISTINCT table_name FROM kombo.endpoints WHERE category = 'HRIS'")}
    assert ours == lists
    columns = """SELECT attname, format_type(atttypid, atttypmod) AS type, col_description(attrelid, attnum) AS comment
                 FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
    stored = {row["attname"]: row for row in imported.execute(columns, ["kombo.hris_employees"])}
    live = {row["attname"]: row for row in imported.execute(columns, ["live.hris_employees"])}
    assert set(stored) - set(live) == {"synced_at"}
    assert set(live) - set(stored) == {"employments", "time_off_balances", "groups", "legal_entity", "work_location",
                                       "manager", "teams"}
    assert all(live[name] == stored[name] for name in stored if name != "synced_at")
    assert live["employments"]["type"] == "jsonb" and "hris_employments" in live["employments"]["comment"]
    assert "/hris/employees" in imported.value("SELECT obj_description('live.hris_employees'::regclass)")


def test_an_import_takes_limit_to_and_except_and_refuses_what_is_not_there(db):
    import_lists(db, only="LIMIT TO (hris_teams)")
    import_lists(db, "rest", only="EXCEPT (hris_teams, hris_skills)")
    made = {(row["schema"], row["relname"]) for row in db.execute(
        "SELECT relnamespace::regnamespace::text AS schema, relname FROM pg_class WHERE relkind = 'f'")}
    assert ("live", "hris_teams") in made and ("rest", "hris_employees") in made
    assert ("rest", "hris_teams") not in made and len([one for one in made if one[0] == "live"]) == 1
    with pytest.raises(psycopg.errors.FdwSchemaNotFound) as unknown:
        import_lists(db, remote="payroll")
    assert "hris" in unknown.value.diag.message_hint
    with pytest.raises(psycopg.errors.DuplicateTable):
        import_lists(db, only="LIMIT TO (hris_teams)")
    with pytest.raises(psycopg.errors.FdwInvalidOptionName):
        import_lists(db, "more", base_url="https://api.kombo.dev/v1")


def test_excluded_fields_are_no_columns_and_in_no_value(db, sandbox):
    import_lists(db, "before", only="LIMIT TO (hris_employees)", integration_id=sandbox.integration)
    db.execute("SELECT kombo.exclude_field('hris_employees', 'first_name')")
    db.execute("SELECT kombo.exclude_field('hris_employments', 'pay_rate')")
    import_lists(db, only="LIMIT TO (hris_employees)", integration_id=sandbox.integration)
    columns = {row["attname"] for row in db.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'live.hris_employees'::regclass AND attnum > 0")}
    assert "first_name" not in columns and "remote_data" not in columns
    for schema in ("before", "live"):
        rows = db.execute(f"SELECT to_jsonb(e)::text AS text, employments FROM {schema}.hris_employees e")
        assert any(row["employments"] for row in rows)
        for row in rows:
            assert "pay_rate" not in row["text"]
            assert '"first_name"' not in row["text"].replace('"first_name": null', "")
            assert all("job_title" in one for one in row["employments"] or [])


# --- reading -------------------------------------------------------------------------------------------------------

@pytest.mark.sandbox(employees=600)
def test_a_list_is_read_page_by_page_before_anything_is_copied(imported, sandbox):
    rows = imported.execute("SELECT id, first_name, date_of_birth, employments, extra FROM live.hris_employees")
    assert len(rows) == 600 and len({row["id"] for row in rows}) == 600
    assert sandbox.paths() == {EMPLOYEES: 3}
    assert imported.value("SELECT count(*) FROM kombo.hris_employees") == 0


def test_a_live_row_has_the_values_that_a_sync_stores(imported, sandbox):
    imported.add_integration(sandbox.integration)
    imported.execute("SELECT kombo.kombo_sync_full()")
    for (table,) in [(row["relname"],) for row in imported.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'live'::regnamespace AND relkind = 'f'")]:
        common = ", ".join(row["column"] for row in imported.execute("""
            SELECT quote_ident(a.attname) AS column FROM pg_attribute a
            JOIN pg_attribute b ON b.attname = a.attname AND b.attrelid = %s::regclass AND NOT b.attisdropped
            WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND a.attname <> 'extra'""",
                                                                           [f"kombo.{table}", f"live.{table}"]))
        for one, other in (("live", "kombo"), ("kombo", "live")):
            differing = imported.execute(f"SELECT {common} FROM {one}.{table} EXCEPT ALL "
                                         f"SELECT {common} FROM {other}.{table}")
            assert differing == [], f"only in {one}.{table}: {differing[:2]}"


@pytest.mark.sandbox(employees=600)
def test_a_limit_reads_one_page_of_that_many(imported, sandbox):
    assert len(imported.execute("SELECT id FROM live.hris_employees LIMIT 10")) == 10
    assert [r["params"]["page_size"] for r in sandbox.requests(EMPLOYEES)] == ["10"]
    sandbox.clear_requests()
    # What is checked here may leave less of a page.
    assert len(imported.execute("SELECT id FROM live.hris_employees WHERE length(first_name) > 3 LIMIT 10")) == 10
    assert sandbox.requests(EMPLOYEES)[0]["params"]["page_size"] == "250"


@pytest.mark.sandbox(employees=900)
def test_a_cursor_reads_pages_as_they_are_wanted(imported, sandbox):
    with imported.connection.transaction():
        imported.execute("DECLARE c CURSOR FOR SELECT id FROM live.hris_employees")
        assert len(imported.execute("FETCH 10 FROM c")) == 10
        assert len(sandbox.requests(EMPLOYEES)) <= 2
        assert len(imported.execute("FETCH ALL FROM c")) == 890
    with imported.connection.transaction():
        imported.execute("DECLARE c CURSOR WITH HOLD FOR SELECT id FROM live.hris_employees")
    assert len(imported.execute("FETCH ALL FROM c")) == 900


def test_a_column_of_a_new_field_is_read_by_its_name_and_the_rest_is_in_extra(imported, sandbox):
    employee = imported.value("SELECT id FROM live.hris_employees LIMIT 1")
    sandbox.record("change", "hris_employees", employee, set={"shoe_size": "43", "hat": {"size": 7}})
    query = "SELECT extra FROM live.hris_employees WHERE id = %s"
    assert imported.value(query, [employee]) == {"shoe_size": "43", "hat": {"size": 7}}
    imported.execute("ALTER FOREIGN TABLE live.hris_employees ADD COLUMN shoe_size text")
    assert imported.value("SELECT shoe_size FROM live.hris_employees WHERE id = %s", [employee]) == "43"
    assert imported.value(query, [employee]) == {"hat": {"size": 7}}


def test_a_column_of_a_type_that_kombo_has_no_values_of_is_an_error(imported):
    imported.execute("ALTER FOREIGN TABLE live.hris_employees ADD COLUMN shoe_size point")
    with pytest.raises(psycopg.errors.FdwInvalidDataType) as raised:
        imported.execute("SELECT * FROM live.hris_employees")
    assert "shoe_size" in str(raised.value)


# --- what is asked for ---------------------------------------------------------------------------------------------

def test_an_id_is_asked_for_and_ids_in_hundreds(imported, sandbox):
    ids = [row["id"] for row in imported.execute("SELECT id FROM live.hris_absences")]
    assert len(ids) > 110
    sandbox.clear_requests()
    for number, requests in ((1, 1), (100, 1), (101, 2), (110, 2)):
        wanted = ids[:number]
        assert sorted(row["id"] for row in imported.execute("SELECT id FROM live.hris_absences WHERE id = ANY (%s)",
                                                            [wanted])) == sorted(wanted)
        seen = sandbox.requests(ABSENCES)
        assert len(seen) == requests and all(len(r["params"]["ids"].split(",")) <= 100 for r in seen)
        sandbox.clear_requests()
    assert imported.execute("SELECT id FROM live.hris_absences WHERE id = NULL") == []
    assert imported.execute("SELECT id FROM live.hris_absences WHERE id = ANY (%s::text[])", [[]]) == []
    assert imported.execute("SELECT id FROM live.hris_absences WHERE id = %s AND id = %s", ids[:2]) == []
    assert sandbox.requests(ABSENCES) == []


def test_ids_that_kombo_refuses_are_found_by_halving(faked):
    def answer(query):
        ids = query.split("ids=")[1].split("&")[0].split("%2C")
        return error(404, message="unknown id") if "bad" in ids else [{"id": one} for one in ids]
    faked.answers[GROUPS] = answer
    found = faked.execute("SELECT id FROM live.hris_teams WHERE integration_id = 'hibob:x' AND id = ANY (%s)",
                          [["a", "b", "bad", "c", "d"]])
    assert sorted(row["id"] for row in found) == ["a", "b", "c", "d"]
    assert faked.execute("SELECT id FROM live.hris_teams WHERE integration_id = 'hibob:x' AND id = 'bad'") == []


def test_a_tool_that_cannot_filter_gives_each_row_once(faked):
    faked.answers[GROUPS] = [{"id": f"t{i}", "remote_id": f"r{i}"} for i in range(200)]
    wanted = [f"r{i}" for i in range(150)]
    found = faked.execute("SELECT remote_id FROM live.hris_teams WHERE integration_id = 'hibob:x' "
                          "AND remote_id = ANY (%s)", [wanted])
    assert sorted(row["remote_id"] for row in found) == sorted(wanted)
    assert faked.fake.asked(GROUPS) == 2
    assert all("ignore_unsupported_filters=true" in query for _, query in faked.fake.requests)


def test_values_that_cannot_be_sent_are_checked_here(faked):
    faked.answers[GROUPS] = [{"id": "a,b", "name": "N"}, {"id": " c"}, {"id": "d", "type": "Büro"}]
    for wanted in ("a,b", " c"):
        assert len(faked.execute("SELECT id FROM live.hris_teams WHERE integration_id = 'hibob:x' AND id = %s",
                                 [wanted])) == 1
    # Kombo refuses a value that it does not know.
    assert len(faked.execute("SELECT id FROM live.hris_teams WHERE integration_id = 'hibob:x' AND type = 'Büro'")) == 1
    assert not any("ids=" in query or "types=" in query for _, query in faked.fake.requests)


def test_prepared_statements_ask_with_their_parameters(imported, sandbox):
    ids = [row["id"] for row in imported.execute("SELECT id FROM live.hris_teams")]
    sandbox.clear_requests()
    imported.execute("PREPARE one (text) AS SELECT id FROM live.hris_teams WHERE id = $1")
    imported.execute("SET plan_cache_mode = force_generic_plan")
    for wanted in ids[:3]:
        assert imported.value(f"EXECUTE one ('{wanted}')") == wanted
    assert [one["ids"] for one in asked(sandbox, GROUPS)] == ids[:3]


def test_a_nested_loop_asks_for_the_rows_of_the_other_side(imported, sandbox):
    imported.execute("CREATE TABLE public.some AS SELECT id AS team FROM live.hris_teams LIMIT 1")
    imported.execute("INSERT INTO public.some SELECT team FROM public.some")
    imported.execute("ANALYZE public.some")
    sandbox.clear_requests()
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_material"):
        imported.execute(f"SET {setting} = off")
    found = imported.execute("SELECT t.id FROM public.some s JOIN live.hris_teams t ON t.id = s.team")
    assert len(found) == 2
    # The second row wants what the first one has read.
    assert len([one for one in asked(sandbox, GROUPS) if "ids" in one]) == 1


def test_a_rescan_reads_what_it_has(imported, sandbox):
    imported.execute("SET enable_hashjoin = off")
    imported.execute("SET enable_mergejoin = off")
    imported.execute("SET enable_material = off")
    imported.execute("CREATE TABLE public.numbers AS SELECT generate_series(1, 5) AS n")
    teams = imported.value("SELECT count(*) FROM live.hris_teams")
    sandbox.clear_requests()
    assert imported.value("SELECT count(*) FROM public.numbers, live.hris_teams t WHERE length(t.id) > n - 10") \
        == 5 * teams
    assert len(sandbox.requests(GROUPS)) == 1


def test_live_and_stored_tables_can_be_joined(imported, sandbox):
    imported.add_integration(sandbox.integration)
    imported.execute("SELECT kombo.kombo_sync_full(%s, ARRAY['/hris/employees', '/hris/groups'])", [sandbox.integration])
    sandbox.clear_requests()
    stale = imported.execute("""SELECT l.id FROM live.hris_employees l JOIN kombo.hris_employees s USING
                                (integration_id, id) WHERE l.changed_at > s.changed_at""")
    assert stale == []
    employee = imported.value("SELECT id FROM kombo.hris_employees LIMIT 1")
    sandbox.record("change", "hris_employees", employee, set={"first_name": "Newer"})
    stale = imported.execute("""SELECT l.id, l.first_name FROM live.hris_employees l JOIN kombo.hris_employees s USING
                                (integration_id, id) WHERE l.changed_at > s.changed_at""")
    assert stale == [{"id": employee, "first_name": "Newer"}]


def test_a_dump_has_the_tables_their_options_and_comments_and_no_key(imported, sandbox):
    dump = imported.cluster.program("pg_dump", "-d", imported.name, "-n", "live")
    assert "CREATE FOREIGN TABLE live.hris_teams" in dump and "endpoint '/hris/groups'" in dump
    assert "COMMENT ON COLUMN live.hris_teams.name" in dump and sandbox.api_key not in dump


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
