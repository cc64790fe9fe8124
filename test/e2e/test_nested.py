"""Records within records: owned lists, joins, linked records, and a subscription to the outer list alone."""

import json
import pytest

from syncing import assert_ok, deleted, last_run, one, rows, same_as_sandbox, sync_delta, sync_full

EMPLOYEES = "/hris/employees"
STAFFING = "/hris/staffing-entities"


@pytest.fixture
def employees_only(hris, sandbox):
    """Subscribed to /hris/employees alone, after a first full; the sandbox's log is empty."""
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    assert_ok(sync_full(hris, sandbox.integration))
    sandbox.clear_requests()
    return hris


def employee_with(sandbox, list_name, least=1):
    return next(record for record in sandbox.dump("hris_employees") if len(record[list_name]) >= least)


def delta(db, sandbox, what=EMPLOYEES):
    """The one row that the sync returned."""
    result, = assert_ok(sync_delta(db, sandbox.integration, what))
    return result


def of_employee(db, table, employee):
    return db.execute(f"SELECT * FROM kombo.{table} WHERE employee_id = %s", [employee])


def test_employees_alone_bring_what_hangs_on_them(employees_only, sandbox):
    db = employees_only
    assert {row["endpoint"] for row in sync_delta(db, sandbox.integration)} == {EMPLOYEES}
    assert sandbox.paths() == {EMPLOYEES: 1}
    same_as_sandbox(db, sandbox, tables=["hris_employees"])
    for table in ("hris_employments", "hris_time_off_balances"):
        assert rows(db, table).keys() == {record["id"] for record in sandbox.dump(table)}
    served = sandbox.dump("hris_employees")
    for table, linked in (("hris_teams", [group for record in served for group in record["groups"]]),
                          ("hris_legal_entities", [record["legal_entity"] for record in served]),
                          ("hris_locations", [record["work_location"] for record in served])):
        wanted = {record["id"]: record["name"] for record in linked if record}
        assert {key: row["name"] for key, row in rows(db, table).items()} == wanted != {}


@pytest.mark.parametrize("table, list_name, length", [("hris_employments", "employments", 2),
                                                      ("hris_time_off_balances", "time_off_balances", 1)])
def test_a_child_that_left_the_list_of_its_parent_is_marked_deleted(employees_only, sandbox, table, list_name, length):
    db = employees_only
    parent = employee_with(sandbox, list_name, length)
    gone, *kept = [child["id"] for child in parent[list_name]]
    before = one(db, table, gone)
    sandbox.record("delete", table, gone)
    assert delta(db, sandbox)["unchanged"] == 1
    after = one(db, table, gone)
    assert after["remote_deleted_at"] is not None
    assert {**after, "remote_deleted_at": None, "synced_at": before["synced_at"]} == before
    assert all(one(db, table, key)["remote_deleted_at"] is None for key in kept)
    assert last_run(db, EMPLOYEES)["rows_by_table"][table]["deleted"] == 1
    sandbox.record("undelete", table, gone)
    delta(db, sandbox)
    assert one(db, table, gone)["remote_deleted_at"] is None


def test_an_empty_list_marks_all_children_deleted_and_ends_all_joins(employees_only, sandbox):
    db = employees_only
    parent = next(record for record in sandbox.dump("hris_employees") if record["groups"] and record["employments"])
    for child in parent["employments"]:
        sandbox.record("delete", "hris_employments", child["id"])
    sandbox.record("set_links", "hris_employees", parent["id"], list="groups", ids=[])
    delta(db, sandbox)
    children = of_employee(db, "hris_employments", parent["id"])
    assert len(children) == len(parent["employments"])
    assert all(child["remote_deleted_at"] is not None for child in children)
    assert of_employee(db, "hris_join_employees_teams", parent["id"]) == []


@pytest.mark.parametrize("how", ["list_null", "list_absent"])
@pytest.mark.parametrize("table, list_name", [("hris_employments", "employments"),
                                              ("hris_time_off_balances", "time_off_balances"),
                                              ("hris_join_employees_teams", "groups")])
def test_a_list_that_is_null_or_absent_says_nothing(employees_only, sandbox, how, table, list_name):
    db = employees_only
    parent = employee_with(sandbox, list_name)["id"]
    before = of_employee(db, table, parent)
    assert before
    sandbox.admin("POST", "raw", {"path": EMPLOYEES, "id": parent, how: list_name})
    for sync in (sync_delta, sync_full):
        result, = assert_ok(sync(db, sandbox.integration, EMPLOYEES))
        assert result["received"] > 0 and result["updated"] == 0
        assert of_employee(db, table, parent) == before
    assert one(db, "hris_employees", parent)["extra"] is None


def test_deleted_children_that_kombo_still_lists_are_stored_as_tombstones(hris, sandbox):
    """Whether Kombo's nested lists hold deleted children is unknown."""
    sandbox.change_integration(nested_deleted=True)
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    child = employee_with(sandbox, "employments")["employments"][0]["id"]
    sandbox.record("delete", "hris_employments", child)
    assert_ok(sync_full(hris, sandbox.integration))
    wanted = {record["id"]: record["remote_deleted_at"] is None for record in sandbox.dump("hris_employments")}
    stored = {key: row["remote_deleted_at"] is None for key, row in rows(hris, "hris_employments").items()}
    assert stored == wanted and not stored[child]


@pytest.mark.parametrize("page_size", [1, 250])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_child_that_moves_to_another_parent_stays_alive(employees_only, sandbox, page_size, backwards):
    db = employees_only
    sandbox.settings(page_size_max=page_size)
    people = [record["id"] for record in sandbox.dump("hris_employees") if record["employments"]]
    source, target = (people[-1], people[0]) if backwards else (people[0], people[-1])
    child = of_employee(db, "hris_employments", source)[0]["id"]
    sandbox.record("change", "hris_employments", child, {"employee_id": target})
    assert delta(db, sandbox)["received"] == 2
    moved = one(db, "hris_employments", child)
    assert (moved["employee_id"], moved["remote_deleted_at"]) == (target, None)


def test_a_join_list_is_replaced_as_a_set(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    person = employee_with(sandbox, "groups")
    other = [row for row in rows(hris, "hris_join_employees_teams") if row["employee_id"] != person["id"]]
    new = [sandbox.record("create", "hris_teams", set={"name": name, "type": "TEAM"})["id"] for name in "AB"]
    stays = person["groups"][0]["id"]
    before = hris.execute("SELECT xmin::text FROM kombo.hris_join_employees_teams WHERE (employee_id, team_id) = "
                          "(%s, %s)", [person["id"], stays])
    for wanted in ([stays, *new], [stays, new[1]], [new[0]]):
        sandbox.record("set_links", "hris_employees", person["id"], list="groups", ids=wanted)
        delta(hris, sandbox)
        stored = {row["team_id"] for row in of_employee(hris, "hris_join_employees_teams", person["id"])}
        assert stored == set(wanted)
        if stays in wanted:
            assert before == hris.execute("SELECT xmin::text FROM kombo.hris_join_employees_teams "
                                          "WHERE (employee_id, team_id) = (%s, %s)", [person["id"], stays])
    counts = last_run(hris, EMPLOYEES)["rows_by_table"]["hris_join_employees_teams"]
    assert (counts["inserted"], counts["deleted"]) == (1, 2)
    assert [row for row in rows(hris, "hris_join_employees_teams") if row["employee_id"] != person["id"]] == other


def test_a_join_row_follows_the_columns_that_it_carries(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    entity = sandbox.dump("hris_staffing_entities")[0]["id"]
    skill = sandbox.dump("hris_skills")[0]["id"]
    for proficiency in ({"type": "NUMERIC", "value": 2}, {"type": "NUMERIC", "value": 4}):
        sandbox.record("set_links", "hris_staffing_entities", entity, list="skills",
                       ids=[{"id": skill, "expected_proficiency": proficiency}])
        delta(hris, sandbox, STAFFING)
        stored = [(row["skill_id"], row["expected_proficiency"])
                  for row in rows(hris, "hris_join_staffing_entities_skills") if row["staffing_entity_id"] == entity]
        assert stored == [(skill, proficiency)]


def test_the_joins_of_a_list_are_no_business_of_another(hris, sandbox):
    """Groups are in two lists; each has its own join table."""
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    before = rows(hris, "hris_join_staffing_entities_groups")
    person = employee_with(sandbox, "groups")["id"]
    sandbox.record("set_links", "hris_employees", person, list="groups", ids=[])
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert rows(hris, "hris_join_staffing_entities_groups") == before != []


def test_a_linked_record_stores_nothing_where_its_own_list_is_subscribed(hris, sandbox):
    """Not even before that list was ever fetched: it will come."""
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    for table in ("hris_teams", "hris_legal_entities", "hris_locations"):
        assert not rows(hris, table), table
    assert_ok(sync_full(hris, sandbox.integration))
    same_as_sandbox(hris, sandbox)
    person = sandbox.dump("hris_employees")[0]["id"]
    location = sandbox.record("create", "hris_locations", set={"name": "New site"})["id"]
    sandbox.record("change", "hris_employees", person, {"work_location_id": location})
    delta(hris, sandbox)
    assert one(hris, "hris_locations", location) is None
    assert one(hris, "hris_employees", person)["work_location_id"] == location
    delta(hris, sandbox, "hris_locations")
    assert one(hris, "hris_locations", location)["name"] == "New site"
    assert set(last_run(hris, EMPLOYEES)["rows_by_table"]) == {
        "hris_employees", "hris_employments", "hris_time_off_balances", "hris_join_employees_teams"}


def test_a_person_whom_kombo_keeps_out_of_its_list_gets_no_row_from_a_review(hris, sandbox):
    """Employee filters: the reviewer comes with id and remote_id, and all else null."""
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, on_missing) VALUES (%s, %s, 'delete')",
                 [sandbox.integration, EMPLOYEES])
    review = sandbox.dump("hris_performance_reviews")[0]["id"]
    hidden = '{"id": "Hidden", "remote_id": "77", "first_name": null, "remote_deleted_at": null}'
    sandbox.raw("/hris/performance-reviews", review, f'{{"id": "{review}", "reviewer": {hidden}}}')
    for _ in range(2):
        assert_ok(sync_full(hris, sandbox.integration))
        assert rows(hris, "hris_employees").keys() == {record["id"] for record in sandbox.dump("hris_employees")}
        stored = one(hris, "hris_performance_reviews", review)
        assert (stored["reviewer_id"], stored["extra"]) == ("Hidden", None)


def test_a_manager_whom_kombo_keeps_out_of_its_list_is_an_id(hris, sandbox):
    """As a reviewer is. What the manager's own list would have written is not kept elsewhere."""
    person = sandbox.dump("hris_employees")[0]["id"]
    hidden = json.dumps({"id": "Hidden", "remote_id": "77", "first_name": "Pat", "work_email": "pat@example.com",
                         "shoe_size": 44})
    sandbox.raw(EMPLOYEES, person, f'{{"id": "{person}", "manager_id": "Hidden", "manager": {hidden}}}')
    for _ in range(2):
        assert_ok(sync_full(hris, sandbox.integration))
        stored = one(hris, "hris_employees", person)
        assert (stored["manager_id"], stored["extra"]) == ("Hidden", {"manager": {"id": "Hidden", "shoe_size": 44}})
        assert one(hris, "hris_employees", "Hidden") is None


def test_a_linked_record_of_an_unknown_shape_is_kept_with_its_parent(hris, sandbox):
    person = sandbox.dump("hris_employees")[0]["id"]
    place = '{"id": "L1", "name": "HQ", "floor": 3}'
    sandbox.raw(EMPLOYEES, person, f'{{"id": "{person}", "work_location": {place}, "legal_entity": {{"name": "X"}}}}')
    assert_ok(sync_full(hris, sandbox.integration))
    assert one(hris, "hris_employees", person)["extra"] == {"work_location": {"id": "L1", "floor": 3},
                                                            "legal_entity": {"name": "X"}}


def test_records_that_come_linked_are_stored_while_kombo_does_not_offer_their_list(hris, sandbox):
    sandbox.faults({"path": "/hris/locations", "times": -1, "status": 403, "code": "INTEGRATION.MODEL_NOT_AVAILABLE"})
    sync_full(hris, sandbox.integration)
    assert hris.value("SELECT last_status FROM kombo.sync_state WHERE endpoint = '/hris/locations'") == "unavailable"
    # What was fetched before this was known is asked for again, once.
    asked = hris.execute("SELECT endpoint, kind FROM kombo.sync_requests ORDER BY endpoint")
    assert [(row["endpoint"], row["kind"]) for row in asked] == [(EMPLOYEES, "full"), (STAFFING, "full")]
    sync_full(hris, sandbox.integration)
    assert hris.value("SELECT count(*) FROM kombo.sync_requests") == 0
    wanted = {record["work_location"]["id"] for record in sandbox.dump("hris_employees") if record["work_location"]}
    assert wanted and wanted <= rows(hris, "hris_locations").keys()
    # Its changes come by those who carry it, too.
    location = sorted(wanted)[0]
    sandbox.record("change", "hris_locations", location, {"name": "Renamed"})
    ran = sync_delta(hris, sandbox.integration, "hris_locations")
    assert {row["endpoint"] for row in ran} >= {EMPLOYEES, "/hris/locations"}
    assert one(hris, "hris_locations", location)["name"] == "Renamed"
    # Once Kombo has the list, it is the one writer again.
    sandbox.faults()
    assert_ok(sync_full(hris, sandbox.integration))
    same_as_sandbox(hris, sandbox)
    assert "hris_locations" in last_run(hris, "/hris/locations")["rows_by_table"]
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert "hris_locations" not in last_run(hris, EMPLOYEES)["rows_by_table"]


def test_a_linked_record_is_updated_where_its_own_list_is_not_subscribed(employees_only, sandbox):
    db = employees_only
    person = next(record for record in sandbox.dump("hris_employees") if record["work_location"])
    location = person["work_location"]["id"]
    sandbox.record("change", "hris_locations", location, {"name": "Renamed"})
    delta(db, sandbox)
    assert one(db, "hris_locations", location)["name"] == "Renamed"


def test_a_linked_record_leaves_the_columns_that_it_does_not_carry(employees_only, sandbox):
    """The groups of an employee come without parent_id."""
    db = employees_only
    person = employee_with(sandbox, "groups")
    group = person["groups"][0]
    assert "parent_id" not in group
    db.execute("UPDATE kombo.hris_teams SET parent_id = 'from elsewhere'")
    sandbox.record("change", "hris_teams", group["id"], {"name": "Renamed"})
    assert_ok(sync_full(db, sandbox.integration))
    stored = one(db, "hris_teams", group["id"])
    assert (stored["name"], stored["parent_id"]) == ("Renamed", "from elsewhere")


def test_a_linked_record_within_a_join_is_stored_with_what_it_links_to(hris, sandbox):
    """Skills of a staffing entity, and the scale of each: two levels down, and in no list of their own."""
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, '/hris/skills', "
                 "false)",
                 [sandbox.integration])
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    links = [skill["skill"] for record in sandbox.dump("hris_staffing_entities") for skill in record["skills"]]
    scales = {skill["proficiency_scale"]["id"] for skill in links if skill["proficiency_scale"]}
    assert rows(hris, "hris_skills").keys() == {skill["id"] for skill in links} != set()
    assert rows(hris, "hris_skill_proficiency_scales").keys() == scales != set()
    stored = rows(hris, "hris_skills")
    for skill in links:
        scale = skill["proficiency_scale"]
        assert stored[skill["id"]]["proficiency_scale_id"] == (scale and scale["id"])


def test_with_employees_alone_a_renamed_group_needs_a_full_once_per_interval(employees_only, sandbox):
    db = employees_only
    group = employee_with(sandbox, "groups")["groups"][0]["id"]
    sandbox.record("change", "hris_teams", group, {"name": "Renamed"})
    db.execute("UPDATE kombo.sync_state SET last_full_at = last_full_at - interval '61 minutes'")
    result = delta(db, sandbox, "hris_teams")
    assert (result["endpoint"], result["kind"]) == (EMPLOYEES, "full")
    assert sandbox.paths() == {EMPLOYEES: 1}
    assert one(db, "hris_teams", group)["name"] == "Renamed"

    sandbox.record("change", "hris_teams", group, {"name": "Renamed again"})
    assert delta(db, sandbox, "hris_teams")["kind"] == "delta"
    assert one(db, "hris_teams", group)["name"] == "Renamed"
    db.execute("SET kombo_sync.min_full_interval = 0")
    assert delta(db, sandbox, "hris_teams")["kind"] == "full"
    assert one(db, "hris_teams", group)["name"] == "Renamed again"


def test_with_employees_alone_a_changed_employment_comes_by_their_delta(employees_only, sandbox):
    db = employees_only
    child = sandbox.dump("hris_employments")[0]
    sandbox.record("change", "hris_employments", child["id"], {"job_title": "Changed"})
    result = delta(db, sandbox, "hris_employments")
    assert (result["endpoint"], result["kind"], result["received"]) == (EMPLOYEES, "delta", 1)
    assert sandbox.paths() == {EMPLOYEES: 1}
    assert one(db, "hris_employments", child["id"])["job_title"] == "Changed"
    new = sandbox.record("create", "hris_employments", employee_id=child["employee_id"])["id"]
    delta(db, sandbox, "hris_employments")
    assert one(db, "hris_employments", new)["employee_id"] == child["employee_id"]


def test_with_employees_alone_a_changed_location_comes_by_their_delta(employees_only, sandbox):
    db = employees_only
    location = next(record["work_location"]["id"] for record in sandbox.dump("hris_employees")
                    if record["work_location"])
    sandbox.record("change", "hris_locations", location, {"name": "Renamed"})
    assert delta(db, sandbox, "hris_locations")["kind"] == "delta"
    assert one(db, "hris_locations", location)["name"] == "Renamed"


@pytest.mark.parametrize("parent", ["nobody", None])
def test_children_whose_parent_is_not_there_go_where_nothing_else_tells_of_them(employees_only, sandbox, parent):
    db = employees_only
    db.execute("INSERT INTO kombo.hris_employments (integration_id, id, employee_id) VALUES (%s, 'orphan', %s)",
               [sandbox.integration, parent])
    found = db.execute("SELECT table_name, id, difference FROM kombo.drift(%s)", [sandbox.integration])
    assert [tuple(row.values()) for row in found] == [("hris_employments", "orphan", "surplus")]
    assert_ok(sync_full(db, sandbox.integration))
    assert one(db, "hris_employments", "orphan")["remote_deleted_at"] is not None


# --- records that come linked alone ------------------------------------------------------------------------------

def link_skills(sandbox, entity, *skills):
    sandbox.record("set_links", "hris_staffing_entities", entity, list="skills",
                   ids=[{"id": skill, "expected_proficiency": None} for skill in skills])


def staffing_with_one_skill(db, sandbox):
    """The skill that one staffing entity alone has; the entity; another skill. The list of skills is not fetched."""
    db.execute("SET kombo_sync.min_full_interval = 0")
    db.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, '/hris/skills', false)",
               [sandbox.integration])
    for record in sandbox.dump("hris_staffing_entities"):
        link_skills(sandbox, record["id"])
    entity = sandbox.dump("hris_staffing_entities")[0]["id"]
    skill, other = [record["id"] for record in sandbox.dump("hris_skills")[:2]]
    link_skills(sandbox, entity, skill, other)
    assert_ok(sync_full(db, sandbox.integration, STAFFING))
    return skill, entity, other


def test_a_linked_record_that_no_record_names_any_more_goes_with_the_next_full(hris, sandbox):
    skill, entity, other = staffing_with_one_skill(hris, sandbox)
    scale = one(hris, "hris_skills", skill)["proficiency_scale_id"]
    link_skills(sandbox, entity, other)
    assert_ok(sync_delta(hris, sandbox.integration, STAFFING))
    assert not deleted(hris, "hris_skills", skill), "a delta says nothing of those who did not change"
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    assert deleted(hris, "hris_skills", skill) and not deleted(hris, "hris_skills", other)
    if scale != one(hris, "hris_skills", other)["proficiency_scale_id"]:
        assert deleted(hris, "hris_skill_proficiency_scales", scale)
    assert last_run(hris, STAFFING)["rows_by_table"]["hris_skills"]["deleted"] == 1
    before = rows(hris, "hris_skills")
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    assert rows(hris, "hris_skills") == before, "which is once for all"
    # It is named again.
    link_skills(sandbox, entity, skill)
    assert_ok(sync_delta(hris, sandbox.integration, STAFFING))
    assert not deleted(hris, "hris_skills", skill)
    assert scale is None or not deleted(hris, "hris_skill_proficiency_scales", scale)
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    assert not deleted(hris, "hris_skills", skill) and deleted(hris, "hris_skills", other)


def test_a_linked_record_goes_as_its_own_list_would_have_it(hris, sandbox):
    skill, entity, other = staffing_with_one_skill(hris, sandbox)
    hris.execute("UPDATE kombo.subscriptions SET on_missing = 'keep' WHERE endpoint = '/hris/skills'")
    link_skills(sandbox, entity)
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    assert not deleted(hris, "hris_skills", skill)
    hris.execute("UPDATE kombo.subscriptions SET on_missing = 'delete' WHERE endpoint = '/hris/skills'")
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    assert not rows(hris, "hris_skills")


def test_a_linked_record_of_a_record_that_is_gone_goes_too(hris, sandbox):
    skill, entity, other = staffing_with_one_skill(hris, sandbox)
    sandbox.record("purge", "hris_staffing_entities", entity)
    assert_ok(sync_full(hris, sandbox.integration, STAFFING))
    assert deleted(hris, "hris_skills", skill) and deleted(hris, "hris_skills", other)


def test_a_linked_record_stays_until_all_lists_that_carry_it_were_read(employees_only, sandbox):
    db = employees_only
    place = next(record["work_location"]["id"] for record in sandbox.dump("hris_employees")
                 if record["work_location"])
    db.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, %s, true) "
               "ON CONFLICT (integration_id, endpoint) DO UPDATE SET enabled = true", [sandbox.integration, STAFFING])
    for person in sandbox.dump("hris_employees"):
        if person["work_location"] and person["work_location"]["id"] == place:
            sandbox.record("change", "hris_employees", person["id"], {"work_location_id": None})
    for record in sandbox.dump("hris_staffing_entities"):
        sandbox.record("set_links", "hris_staffing_entities", record["id"], list="locations", ids=[])
    assert_ok(sync_full(db, sandbox.integration, EMPLOYEES))
    assert not deleted(db, "hris_locations", place)
    assert_ok(sync_full(db, sandbox.integration, STAFFING))
    assert deleted(db, "hris_locations", place)


def test_without_the_column_that_names_them_linked_records_stay(employees_only, sandbox):
    db = employees_only
    before = rows(db, "hris_locations").keys()
    db.execute("SELECT kombo.exclude_field('hris_employees', 'work_location_id')")
    assert_ok(sync_full(db, sandbox.integration, EMPLOYEES))
    assert before and not any(row["remote_deleted_at"] for row in rows(db, "hris_locations").values())
