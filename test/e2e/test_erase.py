"""kombo.erase: a record goes with all that belongs to it, and does not come back."""

import time

import psycopg
import pytest

from cluster import Database
from syncing import Background, assert_ok, notices_of, one, rows, sync_delta, sync_full, wait_until
from worker import send_webhook, until, wait_requested, wait_synced


def erase(db, sandbox, id, table="hris_employees"):
    """{table: rows} as kombo.erase returns them."""
    return {row["erased_from"]: row["rows"]
            for row in db.execute("SELECT * FROM kombo.erase(%s, %s, %s)", [sandbox.integration, table, id])}


def about(db, id):
    """Tables that have rows about, or of, the employee."""
    found = db.execute("""SELECT d.table_name, c.column_name FROM kombo.data_tables d CROSS JOIN LATERAL (
                              SELECT f.column_name FROM kombo.fields f
                              WHERE f.table_name = d.table_name AND f.refers_to = 'hris_employees'
                              UNION ALL SELECT 'id' WHERE d.table_name = 'hris_employees') c""")
    return {f"{row['table_name']}.{row['column_name']}" for row in found
            if db.value(f"SELECT EXISTS (SELECT FROM kombo.{row['table_name']} WHERE {row['column_name']} = %s)", [id])}


@pytest.fixture
def manager(hris, sandbox):
    """The id of an employee who has rows of all kinds, and people who report to them."""
    assert_ok(sync_full(hris))
    return hris.value("""SELECT manager_id FROM kombo.hris_employees e
                         WHERE manager_id IN (SELECT employee_id FROM kombo.hris_absences)
                         GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1""")


def test_a_person_goes_with_all_rows_about_them_and_stays_away(hris, sandbox, manager):
    before = about(hris, manager)
    assert {"hris_employees.id", "hris_employees.manager_id", "hris_absences.employee_id",
            "hris_employments.employee_id", "hris_join_employees_teams.employee_id"} <= before
    total = {table: len(rows(hris, table)) for table in ("hris_employees", "hris_absences", "hris_teams")}
    erased = erase(hris, sandbox, manager)
    assert about(hris, manager) == set()
    assert erased["hris_employees"] > 1 and erased["hris_absences"] > 0, "with those who report to them"
    for sync in (sync_delta, sync_full, sync_full):
        assert_ok(sync(hris))
        assert about(hris, manager) == set()
    assert len(rows(hris, "hris_employees")) == total["hris_employees"] - 1
    assert len(rows(hris, "hris_teams")) == total["hris_teams"]
    assert hris.execute("SELECT * FROM kombo.drift(%s)", [sandbox.integration]) == []


def test_a_record_that_is_readmitted_comes_back_with_the_next_full_sync(hris, sandbox, manager):
    before = about(hris, manager)
    erase(hris, sandbox, manager)
    assert hris.value("SELECT kombo.readmit(%s, 'hris_employees', %s)", [sandbox.integration, manager]) == 1
    assert one(hris, "hris_employees", manager) is None
    assert_ok(sync_full(hris))
    assert about(hris, manager) == before


def test_a_candidate_goes_with_applications_and_with_what_belongs_to_these(ats, sandbox):
    assert_ok(sync_full(ats))
    candidate, application = next((row["candidate_id"], row["application_id"]) for row in ats.execute("""
        SELECT a.candidate_id, a.id AS application_id FROM kombo.ats_applications a
        WHERE a.id IN (SELECT application_id FROM kombo.ats_interviews) ORDER BY a.id"""))
    interview = ats.value("SELECT id FROM kombo.ats_interviews WHERE application_id = %s", [application])
    erased = erase(ats, sandbox, candidate, "ats_candidates")
    assert {"ats_candidates", "ats_applications", "ats_interviews", "ats_join_interviews_users"} <= erased.keys()
    kept_out = {(row["table_name"], row["id"]): (row["with_table"], row["with_id"])
                for row in ats.execute("SELECT * FROM kombo.erased_records")}
    assert kept_out[("ats_applications", application)] == ("ats_candidates", candidate)
    assert kept_out[("ats_candidates", candidate)] == (None, None)
    # An application that is new, and an interview of it, which names no candidate.
    sandbox.record("create", "ats_applications", "new-application", {"candidate_id": candidate})
    sandbox.record("create", "ats_interviews", "new-interview", {"application_id": "new-application"})
    for _ in range(2):
        assert_ok(sync_full(ats))
    for table, column, id in (("ats_candidates", "id", candidate), ("ats_applications", "candidate_id", candidate),
                              ("ats_applications", "id", "new-application"), ("ats_interviews", "id", interview),
                              ("ats_interviews", "id", "new-interview"), ("ats_offers", "candidate_id", candidate),
                              ("ats_join_interviews_users", "interview_id", interview),
                              ("ats_join_candidates_tags", "candidate_id", candidate),
                              ("ats_notes", "candidate_id", candidate)):
        assert ats.value(f"SELECT count(*) FROM kombo.{table} WHERE {column} = %s", [id]) == 0, (table, id)
    assert ats.execute("SELECT * FROM kombo.drift(%s)", [sandbox.integration]) == []
    # It takes along what was erased with it, also what was met later.
    assert ats.value("SELECT kombo.readmit(%s, 'ats_candidates', %s)", [sandbox.integration, candidate]) > 2
    assert_ok(sync_full(ats))
    assert one(ats, "ats_interviews", interview) and one(ats, "ats_interviews", "new-interview")


def test_what_names_the_person_in_others_rows_goes_and_the_rest_of_these_stays(hris, sandbox, manager):
    report = hris.value("SELECT id FROM kombo.hris_employees WHERE manager_id = %s LIMIT 1", [manager])
    extra = {"manager_of_tomorrow": {"id": manager, "nickname": "Quix"}, "shoe_size": 43}
    sandbox.record("change", "hris_employees", report, extra)
    assert_ok(sync_full(hris))
    assert one(hris, "hris_employees", report)["extra"] == extra
    erase(hris, sandbox, manager)
    for _ in range(2):
        row = one(hris, "hris_employees", report)
        assert (row["extra"], row["manager_id"]) == ({"shoe_size": 43}, None)
        assert_ok(sync_full(hris))
    sandbox.record("change", "hris_employees", report, {"first_name": "New", "boss": {"id": manager, "name": "Quix"}})
    assert_ok(sync_delta(hris))
    assert one(hris, "hris_employees", report)["extra"] == {"shoe_size": 43}


def test_parked_records_that_name_the_person_are_deleted_and_parked_anew_without_them(hris, sandbox, manager):
    report = hris.value("SELECT id FROM kombo.hris_employees WHERE manager_id = %s LIMIT 1", [manager])
    hris.execute("ALTER TABLE kombo.hris_employees ADD CHECK (first_name <> 'Refused')")
    for id in (manager, report):
        sandbox.record("change", "hris_employees", id, {"first_name": "Refused"})
    sync_full(hris)
    parked = "SELECT record_id, record FROM kombo.rejected_records ORDER BY record_id"
    assert [row["record_id"] for row in hris.execute(parked)] == sorted([manager, report])
    assert erase(hris, sandbox, manager)["rejected_records"] == 2
    sync_full(hris)
    assert hris.execute(parked) == [{"record_id": report, "record": None}]
    assert about(hris, manager) == set()


def test_consumers_of_the_change_feed_learn_of_the_deletion_alone(hris, sandbox, manager):
    hris.execute("SELECT kombo.track_changes('hris_employees')")
    sandbox.record("change", "hris_employees", manager, {"first_name": "New"})
    assert_ok(sync_delta(hris))
    feed = f"SELECT operation FROM kombo.read_changes('us') WHERE id = '{manager}'"
    assert [row["operation"] for row in hris.execute(feed)] == ["update"]
    assert erase(hris, sandbox, manager)["changes"] == 1
    assert [row["operation"] for row in hris.execute(feed)] == ["delete"]


# --- at the same time -----------------------------------------------------------------------------------------------

def test_an_erasure_waits_for_the_sync_of_another_session_and_takes_what_that_stored(hris, sandbox, manager):
    with hris.connect(autocommit=False) as session:
        sandbox.record("change", "hris_employees", manager, {"first_name": "Late"})
        sandbox.record("create", "hris_absences", "late", {"employee_id": manager})
        assert_ok(session.execute("SELECT * FROM kombo.kombo_sync_delta()").fetchall())
        waiting = Background(hris, "SELECT * FROM kombo.erase(%s, 'hris_employees', %s)",
                             [sandbox.integration, manager])
        wait_until(lambda: hris.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [waiting.pid]))
        session.commit()
        waiting.result()
    assert about(hris, manager) == set()


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_erased_record_is_not_stored_by_a_transaction_that_began_before(hris, sandbox, isolation):
    assert_ok(sync_full(hris, what=["/hris/employees"]))
    with hris.connect(autocommit=False) as older:
        older.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        older.execute("SELECT count(*) FROM kombo.erased_records")
        erase(hris, sandbox, "new-one")
        sandbox.record("create", "hris_employees", "new-one", {"first_name": "Quix"})
        done = older.execute("SELECT status, inserted FROM kombo.kombo_sync_delta(NULL, ARRAY['/hris/employees'])")
        assert done.fetchall() == [{"status": "ok", "inserted": 0}]
        older.commit()
        older.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            older.execute("SELECT * FROM kombo.erase(%s, 'hris_employees', 'x')", [sandbox.integration])
    assert one(hris, "hris_employees", "new-one") is None


def test_a_page_that_was_fetched_before_an_erasure_does_not_undo_it(few, sandbox):
    person = few.value("SELECT id FROM kombo.hris_employees ORDER BY id LIMIT 1")
    with few.connect(autocommit=False) as blocking:
        blocking.execute("LOCK TABLE kombo.hris_employees IN SHARE MODE")
        sandbox.record("change", "hris_employees", person, {"first_name": "Fetched"})
        send_webhook(few, sandbox)
        wait_requested(few, sandbox, "/hris/employees")
        until(few, lambda: few.value("SELECT count(*) FROM kombo.sync_progress"), what="a page that waits")
        waiting = Background(few, "SELECT * FROM kombo.erase(%s, 'hris_employees', %s)",
                             [sandbox.integration, person])
        until(few, lambda: few.value("""SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted
                                        AND relation = 'kombo.hris_employees'::regclass""", [waiting.pid]),
              what="the erasure to have the integration's lock")
        blocking.commit()
        waiting.result()
    wait_synced(few)
    assert one(few, "hris_employees", person) is None
    few.execute("SELECT kombo.request_sync(NULL, 'full')")
    wait_synced(few)
    assert one(few, "hris_employees", person) is None


def test_the_list_of_erased_records_travels_with_a_dump(hris, sandbox, cluster, manager):
    erase(hris, sandbox, manager)
    dump = cluster.folder / "erased.dump"
    cluster.program("pg_dump", "-Fc", "-f", dump, hris.name)
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("pg_restore", "-d", copy.name, dump)
        read = "SELECT * FROM kombo.erased_records"
        assert copy.execute(read) == hris.execute(read) != []
        hris.execute("SELECT kombo.pause(%s)", [sandbox.integration])
        copy.execute("SELECT kombo.resume(NULL)")
        copy.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (api_key '{sandbox.api_key}')"
                     if not copy.value("SELECT count(*) FROM pg_user_mappings") else "SELECT 1")
        assert_ok(sync_full(copy, sandbox.integration))
        assert about(copy, manager) == set()
        with copy.connect() as owner:
            owner.execute("SET ROLE kombo_owner")
            owner.execute("SELECT * FROM kombo.erase(%s, 'hris_employees', 'x')", [sandbox.integration])
    finally:
        copy.drop()
        dump.unlink()


# --- what it costs, and who may -------------------------------------------------------------------------------------

def test_a_sync_costs_nothing_more_where_nobody_is_erased_and_little_beside_100000(hris, sandbox, measured):
    assert_ok(sync_full(hris))

    def seconds():
        began = time.monotonic()
        assert_ok(sync_full(hris, what=["/hris/employees"]))
        return time.monotonic() - began

    seconds()
    without = min(seconds() for _ in range(3))
    hris.execute("""INSERT INTO kombo.erased_records (integration_id, id, table_name)
                    SELECT %s, md5(n::text), 'hris_employees' FROM generate_series(1, 100000) n""",
                 [sandbox.integration])
    seconds()
    beside = min(seconds() for _ in range(3))
    measured(f"an unchanged full sync of 60 employees: {without * 1000:.0f} ms, with 100,000 erased records beside "
             f"{beside * 1000:.0f} ms")
    plan = hris.execute("EXPLAIN SELECT e.id FROM kombo.erased_records e WHERE e.integration_id = 'x' "
                        "AND e.id = ANY ('{a,b}')")
    assert "erased_records_pkey" in str(plan)


def test_what_cannot_be_erased_is_refused_and_nothing_is_done(hris, sandbox, manager):
    for table, id, error in (("hris_join_employees_teams", "x", psycopg.errors.UndefinedTable),
                             ("integrations", "x", psycopg.errors.UndefinedTable),
                             (None, "x", psycopg.errors.NullValueNotAllowed),
                             ("hris_employees", None, psycopg.errors.NullValueNotAllowed)):
        with pytest.raises(error):
            erase(hris, sandbox, id, table)
    hris.execute("CREATE TABLE public.desks (integration_id text, person text, "
                 "FOREIGN KEY (integration_id, person) REFERENCES kombo.hris_employees)")
    hris.execute("INSERT INTO public.desks VALUES (%s, %s)", [sandbox.integration, manager])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        erase(hris, sandbox, manager)
    assert len(about(hris, manager)) > 3 and hris.execute("SELECT * FROM kombo.erased_records") == []
    heard = notices_of(hris.connection)
    assert erase(hris, sandbox, "nobody") == {}
    assert "nothing of record" in heard[0].message_primary and "readmit" in heard[0].message_hint
