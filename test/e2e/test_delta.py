"""A delta: a changed model asks the right endpoint alone, from the right time, and what changed arrives."""

import datetime
import re

import pytest

from syncing import (assert_ok, last_run, one, outcome, rows, same_as_sandbox, status_of, sync_delta, sync_full,
                     watermark)

EMPLOYEES = "/hris/employees"
STAFFING = "/hris/staffing-entities"
# Lists that take no updated_after: each delta of theirs is a full.
SKILLS = {"hris_skills": "/hris/skills", "hris_employee_skill_proficiency_ratings": "/hris/skill-proficiency-ratings"}

# Changed model: the endpoint to ask, what of a record to change. Each model that a delta of some list shows.
MODELS = {
    "hris_absence_types": ("/hris/absence-types", {"name": "Changed"}),
    "hris_absences": ("/hris/absences", {"employee_note": "Changed"}),
    "hris_employee_document_categories": ("/hris/employee-document-categories", {"name": "Changed"}),
    "hris_employees": (EMPLOYEES, {"last_name": "Changed"}),
    "hris_employments": ("/hris/employments", {"job_title": "Changed"}),
    "hris_legal_entities": ("/hris/legal-entities", {"name": "Changed"}),
    "hris_locations": ("/hris/locations", {"name": "Changed"}),
    "hris_performance_review_cycles": ("/hris/performance-review-cycles", {"name": "Changed"}),
    "hris_performance_reviews": ("/hris/performance-reviews", {"remote_id": "changed"}),
    "hris_staffing_entities": (STAFFING, {"name": "Changed"}),
    "hris_teams": ("/hris/groups", {"name": "Changed"}),
    "hris_time_off_balances": ("/hris/time-off-balances", {"used": 3.25}),
    "hris_timesheets": ("/hris/timesheets", {"comment": "Changed"}),
}
# Join model: the endpoint to ask, the list whose links change, the model that it links to.
JOINS = {
    "hris_join_employees_teams": (EMPLOYEES, "hris_employees", "groups", "hris_teams"),
    "hris_join_staffing_entities_locations": (STAFFING, "hris_staffing_entities", "locations", "hris_locations"),
    "hris_join_staffing_entities_legal_entities":
        (STAFFING, "hris_staffing_entities", "legal_entities", "hris_legal_entities"),
    "hris_join_staffing_entities_groups": (STAFFING, "hris_staffing_entities", "groups", "hris_teams"),
    "hris_join_staffing_entities_skills": (STAFFING, "hris_staffing_entities", "skills", "hris_skills"),
}


def ago(**span):
    """A time before now, as Kombo writes it: ago(days=8)."""
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**span)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def synced(hris, sandbox):
    """The database after a first full sync of everything; the sandbox's log is empty."""
    assert_ok(sync_full(hris, sandbox.integration))
    sandbox.clear_requests()
    return hris


def test_every_model_with_a_delta_is_tried(hris_db):
    found = hris_db.execute("""
        SELECT DISTINCT model FROM kombo.endpoint_models JOIN kombo.endpoints ON path = endpoint
        WHERE category = 'HRIS' AND enabled AND delta""").fetchall()
    assert {model for model, in found} == MODELS.keys() | JOINS.keys() | {"hris_skills"}


@pytest.mark.sandbox(employees=20)
@pytest.mark.parametrize("model", MODELS)
def test_a_changed_model_asks_one_endpoint_and_the_row_arrives(synced, sandbox, model):
    endpoint, change = MODELS[model]
    key = next(iter(rows(synced, model)))
    sandbox.record("change", model, key, change)
    results = assert_ok(sync_delta(synced, sandbox.integration, model))
    assert sandbox.paths() == {endpoint: 1}
    assert [(row["endpoint"], row["kind"]) for row in results] == [(endpoint, "delta")]
    (column, value), = change.items()
    assert one(synced, model, key)[column] == value
    assert (results[0]["inserted"], results[0]["updated"]) == (0, 1)
    same_as_sandbox(synced, sandbox, tables=[model])


@pytest.mark.sandbox(employees=20)
@pytest.mark.parametrize("model", SKILLS)
def test_a_changed_model_whose_list_has_no_deltas_is_read_whole(synced, sandbox, model):
    key = next(iter(rows(synced, model)))
    sandbox.record("change", model, key, {"remote_id": "changed"})
    results = assert_ok(sync_delta(synced, sandbox.integration, model))
    assert sandbox.paths() == {SKILLS[model]: 1}
    assert [(row["endpoint"], row["kind"], row["updated"]) for row in results] == [(SKILLS[model], "full", 1)]
    assert one(synced, model, key)["remote_id"] == "changed"
    same_as_sandbox(synced, sandbox, tables=[model])


@pytest.mark.sandbox(employees=20)
@pytest.mark.parametrize("model", JOINS)
def test_a_changed_join_asks_the_endpoint_that_owns_it(synced, sandbox, model):
    endpoint, parent_model, links, target = JOINS[model]
    parent = sandbox.dump(parent_model)[0]["id"]
    wanted = {record["id"] for record in sandbox.dump(target)[-1:]}
    sandbox.record("set_links", parent_model, parent, list=links, ids=sorted(wanted))
    results = assert_ok(sync_delta(synced, sandbox.integration, model))
    assert sandbox.paths() == {endpoint: 1}
    assert [(row["endpoint"], row["kind"]) for row in results] == [(endpoint, "delta")]
    parent_column, target_column = [row["column_name"] for row in synced.execute(
        "SELECT column_name FROM kombo.fields WHERE table_name = %s AND key ORDER BY position", [model])]
    assert {row[target_column] for row in rows(synced, model) if row[parent_column] == parent} == wanted


def test_changed_employees_and_employments_are_one_call_series(synced, sandbox):
    employment = sandbox.dump("hris_employments")[0]
    sandbox.record("change", "hris_employments", employment["id"], {"job_title": "Changed"})
    sandbox.record("change", "hris_employees", employment["employee_id"], {"last_name": "Changed"})
    assert_ok(sync_delta(synced, sandbox.integration, ["hris_employments", "hris_employees"]))
    assert sandbox.paths() == {EMPLOYEES: 1}
    assert one(synced, "hris_employments", employment["id"])["job_title"] == "Changed"
    assert one(synced, "hris_employees", employment["employee_id"])["last_name"] == "Changed"


def test_a_model_that_no_delta_shows_is_read_in_full_at_most_once_per_interval(synced, sandbox):
    """Proficiency scales: no public statement says that a changed one moves the staffing entities with its skill."""
    synced.execute("UPDATE kombo.sync_state SET last_full_at = last_full_at - interval '61 minutes'")
    for kind in ("full", "delta"):
        results = assert_ok(sync_delta(synced, sandbox.integration, "hris_skill_proficiency_scales"))
        assert {row["endpoint"]: row["kind"] for row in results} == {STAFFING: kind, "/hris/skills": "full"}


def test_a_model_that_nothing_subscribed_carries_asks_nothing(synced, sandbox):
    synced.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, %s, false)",
                   [sandbox.integration, "/hris/skill-proficiency-ratings"])
    assert sync_delta(synced, sandbox.integration, "hris_skill_rating_providers") == []
    assert sandbox.requests() == []


def test_a_delta_of_everything_leaves_out_what_employees_imply(synced, sandbox):
    employment = sandbox.dump("hris_employments")[0]["id"]
    balance = sandbox.dump("hris_time_off_balances")[0]["id"]
    sandbox.record("change", "hris_employments", employment, {"job_title": "Changed"})
    sandbox.record("change", "hris_time_off_balances", balance, {"used": 3.25})
    synced.execute("SET kombo_sync.overlap = 0")
    results = assert_ok(sync_delta(synced, sandbox.integration))
    always_full = {row["path"] for row in synced.execute("SELECT path FROM kombo.endpoints WHERE NOT incremental")}
    assert {row["kind"] for row in results if row["endpoint"] not in always_full} == {"delta"}
    assert EMPLOYEES in sandbox.paths()
    assert not {"/hris/employments", "/hris/time-off-balances"} & sandbox.paths().keys()
    same_as_sandbox(synced, sandbox)
    for implied in ("/hris/employments", "/hris/time-off-balances"):
        assert watermark(synced, sandbox, implied) == watermark(synced, sandbox, EMPLOYEES)


def test_an_implied_endpoint_is_left_out_though_the_clock_is_coarse(hris, sandbox):
    """The Date header has whole seconds: what was fetched after the employees can seem to be older than they."""
    earlier = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)
    sandbox.faults({"path": "/hris/employments", "headers": {"Date": f"{earlier:%a, %d %b %Y %H:%M:%S GMT}"}})
    assert_ok(sync_full(hris, sandbox.integration))
    assert watermark(hris, sandbox, "/hris/employments") >= watermark(hris, sandbox, EMPLOYEES)
    assert "/hris/employments" not in {row["endpoint"] for row in sync_delta(hris, sandbox.integration)}


def test_an_implied_endpoint_without_a_watermark_is_fetched_in_full(synced, sandbox):
    synced.execute("UPDATE kombo.sync_state SET watermark = NULL WHERE endpoint = '/hris/employments'")
    results = {row["endpoint"]: row["kind"] for row in assert_ok(sync_delta(synced, sandbox.integration))}
    assert results["/hris/employments"] == "full" and "/hris/time-off-balances" not in results


def test_an_implied_endpoint_that_lags_behind_loses_nothing(synced, sandbox):
    """The delta of /hris/employees shows what changed since its own watermark, and no more."""
    employment = sandbox.dump("hris_employments")[0]["id"]
    sandbox.record("change", "hris_employments", employment, {"job_title": "Changed"}, at=ago(hours=1))
    synced.execute("UPDATE kombo.sync_state SET watermark = watermark - interval '2 hours' "
                   "WHERE endpoint = '/hris/employments'")
    assert_ok(sync_delta(synced, sandbox.integration))
    assert one(synced, "hris_employments", employment)["job_title"] == "Changed"


def test_an_implied_endpoint_that_failed_is_fetched_and_is_fresh_then(synced, sandbox):
    """Otherwise it would be told of as failed until its next full fetch."""
    balances = "/hris/time-off-balances"
    sandbox.faults({"path": balances, "status": 404})
    assert outcome(sync_delta(synced, sandbox.integration, balances)) == {balances: "failed"}
    assert status_of(synced, balances)["state"] == "failed"
    assert balances in outcome(sync_delta(synced, sandbox.integration))
    assert status_of(synced, balances)["state"] == "fresh"
    assert balances not in outcome(sync_delta(synced, sandbox.integration))


@pytest.mark.sandbox(employees=20)
def test_a_record_is_followed_from_its_creation_to_its_erasure(hris, sandbox):
    def stored():
        return one(hris, "hris_employees", person)

    def sync(function=sync_delta):
        result, = assert_ok(function(hris, sandbox.integration, EMPLOYEES))
        return {key: result[key] for key in ("inserted", "updated", "deleted") if result[key]}

    sync(sync_full)
    hris.execute("SET kombo_sync.overlap = 0")
    person = sandbox.record("create", "hris_employees", set={"first_name": "Ada", "ssn": "12 3456"})["id"]
    sandbox.record("set_links", "hris_employees", person, list="groups", ids=[sandbox.dump("hris_teams")[0]["id"]])
    assert sync() == {"inserted": 1}
    assert (stored()["first_name"], stored()["remote_deleted_at"]) == ("Ada", None)

    sandbox.record("change", "hris_employees", person, {"first_name": "Grace"})
    assert sync() == {"updated": 1}
    assert stored()["first_name"] == "Grace"

    sandbox.record("delete", "hris_employees", person)
    assert sync() == {"updated": 1}
    assert stored()["remote_deleted_at"] is not None and stored()["first_name"] == "Grace"
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])

    sandbox.record("undelete", "hris_employees", person)
    assert sync() == {"updated": 1}
    assert stored()["remote_deleted_at"] is None and stored()["first_name"] == "Grace"

    sandbox.record("delete", "hris_employees", person)
    sync()
    sandbox.clock(advance_seconds=14 * 86400 + 60)
    assert sync(sync_full) == {"updated": 1}
    wiped = {column: value for column, value in stored().items() if value is not None}
    assert wiped.keys() == {"integration_id", "id", "changed_at", "remote_deleted_at", "synced_at"}
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])
    assert sync(sync_full) == {}

    before = stored()
    sandbox.record("purge", "hris_employees", person)
    assert sync(sync_full) == {}
    assert stored() == before


def test_a_record_that_returns_after_the_sweep_is_alive_again(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    person = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("purge", "hris_employees", person)
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert one(hris, "hris_employees", person)["remote_deleted_at"] is not None
    sandbox.record("undelete", "hris_employees", person)
    assert_ok(sync_delta(hris, sandbox.integration, EMPLOYEES))
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])
    assert one(hris, "hris_employees", person)["remote_deleted_at"] is None


@pytest.mark.parametrize("sync", [sync_full, sync_delta])
def test_purge_after_deletes_old_tombstones_and_does_not_take_them_again(hris, sandbox, sync):
    old, recent = [record["id"] for record in sandbox.dump("hris_employees")[:2]]
    for person, days in ((old, 8), (recent, 6)):
        sandbox.record("delete", "hris_employees", person, at=ago(days=days))
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert one(hris, "hris_employees", old)["remote_deleted_at"] is not None
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, purge_after) VALUES (%s, %s, '7 days')",
                 [sandbox.integration, EMPLOYEES])
    for how in (sync_full, sync):
        result, = assert_ok(how(hris, sandbox.integration, EMPLOYEES))
        assert (result["inserted"], result["deleted"]) == (0, 0)
        assert one(hris, "hris_employees", old) is None
        assert one(hris, "hris_employees", recent)["remote_deleted_at"] is not None
    for table in ("hris_employments", "hris_time_off_balances", "hris_join_employees_teams"):
        assert hris.value(f"SELECT count(*) FROM kombo.{table} WHERE employee_id = %s", [old]) == 0


@pytest.mark.parametrize("path, table, linked", [("/hris/locations", "hris_locations", "work_location"),
                                                 ("/hris/legal-entities", "hris_legal_entities", "legal_entity")])
def test_a_purged_tombstone_does_not_return_as_a_linked_record(hris, sandbox, path, table, linked):
    """Kombo goes on showing it in its employees: a location with remote_deleted_at, a legal entity without."""
    gone = next(record[linked]["id"] for record in sandbox.dump("hris_employees") if record[linked])
    sandbox.record("delete", table, gone, at=ago(days=8))
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, purge_after) VALUES (%s, %s, '7 days')",
                 [sandbox.integration, path])
    assert_ok(sync_full(hris, sandbox.integration))
    assert one(hris, table, gone) is None
    for sync in (sync_full, sync_delta):
        assert_ok(sync(hris, sandbox.integration, EMPLOYEES))
        assert one(hris, table, gone) is None


@pytest.mark.parametrize("age, kind", [("12 days 23 hours", "delta"), ("13 days 1 minute", "full"),
                                       ("14 days", "full")])
def test_a_delta_from_a_watermark_of_more_than_13_days_is_a_full(synced, sandbox, age, kind):
    missed = sandbox.dump("hris_teams")[0]["id"]
    sandbox.record("purge", "hris_teams", missed)
    synced.execute("UPDATE kombo.sync_state SET watermark = now() - %s::interval", [age])
    result, = assert_ok(sync_delta(synced, sandbox.integration, "/hris/groups"))
    asked, = [request["params"] for request in sandbox.requests("/hris/groups") if "ids" not in request["params"]]
    assert result["kind"] == kind == last_run(synced, "/hris/groups")["kind"]
    assert ("updated_after" in asked) == (kind == "delta")
    # Only a full shows what vanished.
    assert (one(synced, "hris_teams", missed)["remote_deleted_at"] is not None) == (kind == "full")


def test_a_delta_without_a_watermark_is_a_full(hris, sandbox):
    result, = assert_ok(sync_delta(hris, sandbox.integration, "/hris/groups"))
    assert result["kind"] == "full"
    result, = assert_ok(sync_delta(hris, sandbox.integration, "/hris/groups"))
    assert result["kind"] == "delta"


def test_updated_after_is_the_watermark_in_utc_with_milliseconds(synced, sandbox):
    synced.execute("UPDATE kombo.sync_state SET watermark = date_trunc('second', now()) - interval '1 day 0.000001 s'")
    for zone in ("Asia/Kathmandu", "UTC"):
        synced.execute(f"SET timezone = '{zone}'")
        sandbox.clear_requests()
        wanted = watermark(synced, sandbox, "/hris/groups").astimezone(datetime.timezone.utc)
        assert_ok(sync_delta(synced, sandbox.integration, "/hris/groups"))
        asked, = sandbox.requests("/hris/groups")
        sent = asked["params"]["updated_after"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent)
        # Rounded down: a record of the same millisecond is not missed.
        assert sent == wanted.strftime("%Y-%m-%dT%H:%M:%S.") + f"{wanted.microsecond // 1000:03}Z"
        assert asked["params"]["include_deleted"] == "true"


def test_a_delta_repeats_every_filter_with_every_cursor(synced, sandbox):
    for person in sandbox.dump("hris_employees"):
        sandbox.record("change", "hris_employees", person["id"], {"last_name": "Changed"})
    sandbox.settings(page_size_max=9)
    mark = watermark(synced, sandbox, EMPLOYEES)
    result, = assert_ok(sync_delta(synced, sandbox.integration, EMPLOYEES))
    assert (result["received"], result["updated"], result["pages"]) == (60, 60, 7)
    asked = [request["params"] for request in sandbox.requests(EMPLOYEES)]
    assert len(asked) == 7 and all("cursor" in params for params in asked[1:])
    filters = [{name: value for name, value in params.items() if name != "cursor"} for params in asked]
    assert filters == [filters[0]] * 7 and filters[0].keys() == {"page_size", "include_deleted", "updated_after"}
    sent = datetime.datetime.fromisoformat(filters[0]["updated_after"].replace("Z", "+00:00"))
    assert abs(sent - mark) < datetime.timedelta(milliseconds=1)


def test_the_watermark_is_the_start_of_the_fetch_less_the_overlap(hris, sandbox):
    sandbox.settings(page_size_max=30)
    for overlap in (60, 600):
        sandbox.faults({"path": EMPLOYEES, "skip": 1, "delay_ms": 1500})  # the second and last page comes late
        hris.execute("DELETE FROM kombo.sync_state")
        hris.execute(f"SET kombo_sync.overlap = {overlap}")
        start = hris.value("SELECT clock_timestamp()")
        run, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
        late = (run["finished_at"] - start).total_seconds() - 1.5  # at most, the first request was sent
        behind = (start - watermark(hris, sandbox, EMPLOYEES)).total_seconds() - overlap
        # The Date header has no fraction of a second; the time that the request took is taken off, too.
        assert -late <= behind < 1 + late, f"{behind} s before the start less the overlap"


def test_the_watermark_is_the_start_of_the_last_fetch_less_overlap_also_where_that_is_earlier(synced, sandbox):
    marks = {row["endpoint"]: row["watermark"] for row in synced.execute("SELECT * FROM kombo.sync_state")}
    synced.execute("SET kombo_sync.overlap = '1 h'")
    assert_ok(sync_full(synced, sandbox.integration))
    half_an_hour = datetime.timedelta(minutes=30)
    assert all(row["watermark"] < marks[row["endpoint"]] - half_an_hour
               for row in synced.execute("SELECT * FROM kombo.sync_state"))


def test_a_failed_fetch_leaves_the_watermark(synced, sandbox):
    before = watermark(synced, sandbox, EMPLOYEES)
    for person in sandbox.dump("hris_employees"):
        sandbox.record("change", "hris_employees", person["id"], {"last_name": "Changed"})
    sandbox.settings(page_size_max=20)
    sandbox.faults({"path": EMPLOYEES, "skip": 2, "status": 403, "code": "INTEGRATION.PERMISSION_MISSING"})
    result, = sync_delta(synced, sandbox.integration, EMPLOYEES)
    assert result["status"] == "failed" and watermark(synced, sandbox, EMPLOYEES) == before
    assert synced.value("SELECT count(*) FROM kombo.hris_employees WHERE last_name = 'Changed'") == 0
    result, = assert_ok(sync_delta(synced, sandbox.integration, EMPLOYEES))
    assert result["updated"] == 60


@pytest.mark.sandbox(employees=40)
@pytest.mark.parametrize("skew", [-600, 600])
def test_a_clock_that_is_ten_minutes_off_loses_nothing(hris, sandbox, skew):
    sandbox.clock(skew_seconds=skew)
    people = [record["id"] for record in sandbox.dump("hris_employees")]
    sandbox.settings(page_size_max=15)
    # One change while the first full runs, others right after it, and again for a second delta.
    change = {"model": "hris_employees", "op": "change"}
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "record_action": {**change, "id": people[0], "set": {"ssn": "1"}}})
    assert_ok(sync_full(hris, sandbox.integration))
    sandbox.record("change", "hris_employees", people[1], {"ssn": "2"})
    sandbox.record("delete", "hris_employees", people[2])
    sandbox.record("create", "hris_employees", set={"ssn": "3"})
    assert_ok(sync_delta(hris, sandbox.integration))
    same_as_sandbox(hris, sandbox)
    sandbox.record("change", "hris_employees", people[1], {"ssn": "4"})
    sandbox.record("undelete", "hris_employees", people[2])
    assert_ok(sync_delta(hris, sandbox.integration))
    same_as_sandbox(hris, sandbox)
