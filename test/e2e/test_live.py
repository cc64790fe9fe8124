"""Foreign tables that answer live: how they are made, and what a SELECT asks Kombo for."""

import psycopg
import pytest

from fake_kombo import error
from live_tables import asked, assert_live_as_stored, import_lists

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
ABSENCES = "/hris/absences"


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
    assert_live_as_stored(imported, "HRIS")


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
    imported.execute("SELECT kombo.kombo_sync_full(%s, ARRAY['/hris/employees'])", [sandbox.integration])
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
