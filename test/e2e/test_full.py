"""A full sync: the copy equals what Kombo has, and what is equal already is not touched."""

import pytest

from syncing import assert_ok, last_run, one, rows, same_as_sandbox, sync_delta, sync_full, watermark

EMPLOYEES = "/hris/employees"


def data_tables(db):
    return [row["name"] for row in db.execute("""
        SELECT c.relname AS name FROM pg_class c
        WHERE c.relnamespace = 'kombo'::regnamespace AND c.relname LIKE 'hris\\_%' AND c.relkind = 'r'""")]


def versions(db):
    """Where every row of every data table lies, and which transaction wrote it: changes with any write."""
    return {(table, row["ctid"]): row["xmin"] for table in data_tables(db)
            for row in db.execute(f'SELECT ctid::text, xmin::text FROM kombo."{table}"')}


def test_the_first_full_equals_kombo_row_for_row(hris, sandbox):
    results = assert_ok(sync_full(hris, sandbox.integration))
    default = {row["path"] for row in hris.execute(
        "SELECT path FROM kombo.endpoints WHERE category = 'HRIS' AND enabled")}
    assert {row["endpoint"] for row in results} == default
    assert {row["kind"] for row in results} == {"full"}
    same_as_sandbox(hris, sandbox)
    for row in results:
        assert row["inserted"] + row["updated"] + row["unchanged"] == row["received"], row
        assert row["received"] == sandbox.count(row["endpoint"]), row


@pytest.mark.sandbox(employees=40)
def test_a_full_after_changes_of_every_kind_equals_kombo(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration))
    people = [record["id"] for record in sandbox.dump("hris_employees")]
    teams = [record["id"] for record in sandbox.dump("hris_teams")]
    employments = sandbox.dump("hris_employments")
    sandbox.record("change", "hris_employees", people[0], {"last_name": "Ünlü \"O'Hara\"", "weekly_hours": None})
    sandbox.record("delete", "hris_employees", people[1])
    created = sandbox.record("create", "hris_employees", set={"first_name": "New"})
    sandbox.record("set_links", "hris_employees", people[2], list="groups", ids=teams)
    sandbox.record("set_links", "hris_employees", people[3], list="groups", ids=[])
    sandbox.record("change", "hris_employments", employments[0]["id"], {"pay_rate": 4200.5})
    sandbox.record("delete", "hris_employments", employments[1]["id"])
    sandbox.record("create", "hris_employments", employee_id=created["id"])
    sandbox.record("change", "hris_employments", employments[2]["id"], {"employee_id": people[4]})
    sandbox.record("delete", "hris_time_off_balances", sandbox.dump("hris_time_off_balances")[0]["id"])
    sandbox.record("change", "hris_locations", sandbox.dump("hris_locations")[0]["id"], {"name": "Moved"})
    sandbox.record("delete", "hris_teams", teams[0])
    staffing = sandbox.dump("hris_staffing_entities")
    sandbox.record("set_links", "hris_staffing_entities", staffing[0]["id"], list="skills", ids=[])
    sandbox.record("purge", "hris_absences", sandbox.dump("hris_absences")[0]["id"])
    assert_ok(sync_full(hris, sandbox.integration))
    same_as_sandbox(hris, sandbox)
    before = versions(hris)
    assert_ok(sync_full(hris, sandbox.integration))
    assert versions(hris) == before


@pytest.mark.sandbox(employees=200)
def test_a_second_full_writes_nothing(hris, sandbox):
    def written_by_a_full():
        start = hris.value("SELECT pg_current_wal_lsn()")
        results = assert_ok(sync_full(hris, sandbox.integration))
        return results, hris.value("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s::pg_lsn)", [start])

    _, first = written_by_a_full()
    before = versions(hris)
    hris.execute("CHECKPOINT")  # from here on the first write to a page writes all of it
    results, second = written_by_a_full()
    assert versions(hris) == before
    assert [(row["endpoint"], row["inserted"], row["updated"], row["deleted"]) for row in results
            if (row["inserted"], row["updated"], row["deleted"]) != (0, 0, 0)] == []
    assert all(row["unchanged"] == row["received"] for row in results)
    assert second < first / 10, f"{second} bytes of WAL, {first} by the first full"


def test_pages_and_filters_cover_the_whole_list(hris, sandbox):
    """Every filter is repeated with every cursor; the page size is the server's."""
    hris.execute("ALTER SERVER kombo_eu OPTIONS (ADD page_size '7')")
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    asked = sandbox.requests(EMPLOYEES)
    assert result["pages"] == len(asked) == 9  # 60 employees
    assert result["received"] == 60
    assert "cursor" not in asked[0]["params"] and all("cursor" in request["params"] for request in asked[1:])
    filters = [{name: value for name, value in request["params"].items() if name != "cursor"} for request in asked]
    assert filters == [{"page_size": "7", "include_deleted": "true"}] * 9
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])


def test_the_counts_of_a_run_are_exact(hris, sandbox):
    first, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    people = [record["id"] for record in sandbox.dump("hris_employees")]
    gone = people[-1]  # the manager of nobody: no other record changes with this one
    assert [first[key] for key in ("received", "inserted", "updated", "unchanged", "deleted")] == [60, 60, 0, 0, 0]
    tables = last_run(hris, EMPLOYEES)["rows_by_table"]
    assert tables["hris_employees"] == {"inserted": 60, "updated": 0, "unchanged": 0, "deleted": 0}
    assert tables["hris_employments"]["inserted"] == len(rows(hris, "hris_employments"))
    assert tables["hris_join_employees_teams"]["inserted"] == len(rows(hris, "hris_join_employees_teams"))
    assert "hris_teams" not in tables, "their own list writes them"

    for person in people[:3]:
        sandbox.record("change", "hris_employees", person, {"job_title": "Something else"})
    sandbox.record("delete", "hris_employees", people[3])
    sandbox.record("purge", "hris_employees", gone)
    sandbox.record("create", "hris_employees", set={"first_name": "New"})
    owned = hris.value("SELECT count(*) FROM kombo.hris_employments WHERE employee_id = %s", [gone])
    joined = hris.value("SELECT count(*) FROM kombo.hris_join_employees_teams WHERE employee_id = %s", [gone])
    assert owned > 0 and joined > 0

    second, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    wanted = {"received": 60, "inserted": 1, "updated": 4, "unchanged": 55, "deleted": 1}
    assert {key: second[key] for key in wanted} == wanted
    run = last_run(hris, EMPLOYEES)
    assert {key: run[key] for key in wanted} == wanted
    assert (run["kind"], run["trigger"], run["status"], run["retries"]) == ("full", "sql", "ok", 0)
    assert run["pages"] == second["pages"] and run["bytes"] > 10_000
    assert run["started_at"] == second["started_at"] <= run["finished_at"] == second["finished_at"]
    tables = run["rows_by_table"]
    assert tables["hris_employees"] == {"inserted": 1, "updated": 4, "unchanged": 55, "deleted": 1}
    assert tables["hris_employments"]["deleted"] == owned
    assert tables["hris_join_employees_teams"]["deleted"] == joined
    assert (tables["hris_employments"]["inserted"], tables["hris_employments"]["updated"]) == (0, 0)


@pytest.mark.parametrize("on_missing", ["mark", "delete", "keep"])
def test_what_kombo_no_longer_returns_goes_as_on_missing_says(hris, sandbox, on_missing):
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, on_missing) VALUES (%s, %s, %s)",
                 [sandbox.integration, EMPLOYEES, on_missing])
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    gone = next(row["employee_id"] for row in rows(hris, "hris_join_employees_teams"))
    before = one(hris, "hris_employees", gone)
    sandbox.record("purge", "hris_employees", gone)
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    after = one(hris, "hris_employees", gone)
    children = hris.execute("SELECT * FROM kombo.hris_employments WHERE employee_id = %s", [gone])
    joins = hris.execute("SELECT * FROM kombo.hris_join_employees_teams WHERE employee_id = %s", [gone])
    if on_missing == "keep":
        assert after == before and children and joins and result["deleted"] == 0
        assert all(child["remote_deleted_at"] is None for child in children)
        return
    assert result["deleted"] == 1 and joins == []
    if on_missing == "delete":
        assert after is None and children == []
    else:
        assert after["remote_deleted_at"] is not None and after["synced_at"] > before["synced_at"]
        assert {**after, "remote_deleted_at": None, "synced_at": before["synced_at"]} == before
        assert children and all(child["remote_deleted_at"] is not None for child in children)


def test_the_sweep_asks_for_what_is_missing_by_ids_before_it_removes_it(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    people = [record["id"] for record in sandbox.dump("hris_employees")]
    sandbox.record("purge", "hris_employees", people[0])
    sandbox.record("purge", "hris_employees", people[1])
    sandbox.clear_requests()
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    confirming = [request["params"] for request in sandbox.requests(EMPLOYEES) if "ids" in request["params"]]
    assert len(confirming) == 1 and set(confirming[0]["ids"].split(",")) == set(people[:2])
    assert confirming[0]["include_deleted"] == "true" and "updated_after" not in confirming[0]


@pytest.mark.parametrize("status", [400, 404])
def test_an_id_that_kombo_refuses_to_look_up_counts_as_missing(hris, sandbox, status):
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    gone = [record["id"] for record in sandbox.dump("hris_employees")[:3]]
    for person in gone:
        sandbox.record("purge", "hris_employees", person)
    # All three, then halves: one, two, and the two singly.
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "times": 5, "status": status, "code": "PLATFORM.INPUT_INVALID",
                    "message": "an id is invalid"})
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert result["deleted"] == 3
    assert all(one(hris, "hris_employees", person)["remote_deleted_at"] for person in gone)


def test_timesheets_that_kombo_no_longer_returns_stay(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, "/hris/timesheets"))
    gone = sandbox.dump("hris_timesheets")[0]["id"]
    sandbox.record("purge", "hris_timesheets", gone)
    result, = assert_ok(sync_full(hris, sandbox.integration, "/hris/timesheets"))
    assert result["deleted"] == 0
    assert one(hris, "hris_timesheets", gone)["remote_deleted_at"] is None


def test_join_rows_without_a_parent_go_with_a_full(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    hris.execute("INSERT INTO kombo.hris_join_employees_teams (integration_id, employee_id, team_id) "
                 "VALUES (%s, 'nobody', 'nothing'), ('other:integration', 'nobody', 'nothing')", [sandbox.integration])
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    left = hris.execute("SELECT integration_id FROM kombo.hris_join_employees_teams WHERE employee_id = 'nobody'")
    assert left == [{"integration_id": "other:integration"}]


def test_a_rollback_undoes_rows_watermarks_and_runs_together(hris, sandbox):
    with hris.connect(autocommit=False) as session:
        session.execute("SELECT * FROM kombo.kombo_sync_full(%s)", [sandbox.integration])
        seen = session.execute("SELECT count(*) AS n FROM kombo.hris_employees").fetchone()["n"]
        marks = session.execute("SELECT count(watermark) AS n FROM kombo.sync_state").fetchone()["n"]
        assert (seen, marks) == (60, 15)
        session.rollback()
    assert hris.value("SELECT count(*) FROM kombo.hris_employees") == 0
    assert hris.value("SELECT count(*) FROM kombo.sync_state WHERE watermark IS NOT NULL") == 0
    assert hris.value("SELECT count(*) FROM kombo.sync_runs") == 0
    # What was rolled back is fetched again, as a full.
    result, = assert_ok(sync_delta(hris, sandbox.integration, EMPLOYEES))
    assert (result["kind"], result["inserted"]) == ("full", 60)


def test_a_rolled_back_delta_is_made_up_for_by_the_next(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    before = watermark(hris, sandbox, EMPLOYEES)
    person = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", person, {"last_name": "Changed"})
    with hris.connect(autocommit=False) as session:
        session.execute("SAVEPOINT a")
        session.execute("SELECT * FROM kombo.kombo_sync_delta(%s)", [sandbox.integration])
        session.execute("ROLLBACK TO a")
        session.commit()
    assert watermark(hris, sandbox, EMPLOYEES) == before
    assert_ok(sync_delta(hris, sandbox.integration, EMPLOYEES))
    assert one(hris, "hris_employees", person)["last_name"] == "Changed"
    assert watermark(hris, sandbox, EMPLOYEES) >= before


def test_lists_without_pages_and_deltas_are_read_whole(hris, sandbox):
    for sync in (sync_full, sync_delta):
        sandbox.clear_requests()
        results = assert_ok(sync(hris, sandbox.integration, ["/hris/skills", "/hris/skill-proficiency-ratings"]))
        assert {row["kind"] for row in results} == {"full"}
        assert [request["params"] for request in sandbox.requests()] == [{}, {}]
    for table in ("hris_skills", "hris_employee_skill_proficiency_ratings"):
        assert rows(hris, table).keys() == {record["id"] for record in sandbox.dump(table)} != set()


def test_what_lies_in_a_record_that_kombo_has_purged_goes(hris, sandbox):
    """As long as Kombo shows the tombstone, it shows what lies in it."""
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    assert_ok(sync_full(hris))
    parent = hris.value("SELECT min(employee_id) FROM kombo.hris_employments WHERE remote_deleted_at IS NULL")
    sandbox.record("delete", "hris_employees", parent)
    assert_ok(sync_delta(hris))
    alive = "SELECT count(*) FROM kombo.hris_employments WHERE employee_id = %s AND remote_deleted_at IS NULL"
    assert one(hris, "hris_employees", parent)["remote_deleted_at"] and hris.value(alive, [parent]) > 0
    assert_ok(sync_full(hris))
    assert hris.value(alive, [parent]) > 0
    sandbox.record("purge", "hris_employees", parent)
    found = hris.execute("SELECT * FROM kombo.drift(%s)", [sandbox.integration])
    assert "hris_employments" in {row["table_name"] for row in found if row["difference"] == "surplus"}
    assert_ok(sync_full(hris))
    assert hris.value(alive, [parent]) == 0
    assert not hris.execute("SELECT * FROM kombo.drift(%s)", [sandbox.integration])
