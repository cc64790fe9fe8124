"""What changes while it is being read: nothing is lost, and nothing newer is undone."""

import json

import pytest

from syncing import Background, assert_ok, one, rows, same_as_sandbox, sync_delta, sync_full, wait_until

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
OLD, NEW = "2025-03-01T10:00:00.000Z", "2025-03-02T10:00:00.000Z"


def group(key, name, changed_at=NEW):
    return json.dumps({"id": key, "remote_id": "r", "name": name, "type": "TEAM", "changed_at": changed_at,
                       "remote_deleted_at": None})


def employee(key, name, changed_at, employments, groups):
    return json.dumps({
        "id": key, "last_name": name, "changed_at": changed_at, "remote_deleted_at": None,
        "employments": [{"id": child, "job_title": name, "changed_at": changed_at, "remote_deleted_at": None}
                        for child in employments],
        "groups": [{"id": other, "name": other, "changed_at": changed_at} for other in groups]})


def serve(sandbox, path, *records):
    """The list ends with these records."""
    for number, record in enumerate(records):
        sandbox.raw(path, f"extra {number}", record)


@pytest.mark.parametrize("sync", [sync_full, sync_delta])
def test_what_changes_while_pages_are_fetched_is_not_lost(hris, sandbox, sync):
    people = [record["id"] for record in sandbox.dump("hris_employees")]
    if sync is sync_delta:
        assert_ok(sync_full(hris, sandbox.integration))
        for person in people:
            sandbox.record("change", "hris_employees", person, {"nationality": "Changed"})
    sandbox.settings(page_size_max=20)
    change = {"model": "hris_employees", "op": "change"}
    child = next(record for record in sandbox.dump("hris_employments") if record["employee_id"] == people[2])
    # Before the second page is read: all of these were on the first, or are new.
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "record_action": [
        {**change, "id": people[0], "set": {"last_name": "Changed"}},
        {**change, "op": "delete", "id": people[1]},
        {**change, "model": "hris_employments", "id": child["id"], "set": {"job_title": "Changed"}},
        {**change, "op": "set_links", "id": people[3], "list": "groups", "ids": []},
        {**change, "op": "create", "set": {"last_name": "Created"}}]})
    assert_ok(sync(hris, sandbox.integration, EMPLOYEES))
    assert one(hris, "hris_employees", people[0])["last_name"] != "Changed"  # the page was read before
    assert_ok(sync_delta(hris, sandbox.integration, EMPLOYEES))
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])
    assert one(hris, "hris_employments", child["id"])["job_title"] == "Changed"


def test_a_live_row_that_a_page_shift_hid_is_not_swept(hris, sandbox):
    sandbox.change_integration(order="changed_at")
    sandbox.settings(page_size_max=20)
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    by_change = sorted(sandbox.dump("hris_employees"), key=lambda record: record["changed_at"])
    gone = by_change[45]["id"]
    sandbox.record("purge", "hris_employees", gone)
    # The first of the list goes to its end: the first of page two is now the last of page one, which was read before.
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "record_action":
                    {"model": "hris_employees", "op": "change", "id": by_change[0]["id"], "set": {"ssn": "1"}}})
    sandbox.clear_requests()
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    asked, = [request["params"]["ids"].split(",") for request in sandbox.requests(EMPLOYEES)
              if "ids" in request["params"]]
    hidden = set(asked) - {gone}
    assert len(asked) == 2 and gone in asked, asked
    assert one(hris, "hris_employees", hidden.pop())["remote_deleted_at"] is None
    assert result["deleted"] == 1
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])


def test_a_hidden_row_survives_an_id_that_kombo_refuses_to_look_up(hris, sandbox):
    """The refused request is halved until what Kombo has is told from what it has not."""
    sandbox.change_integration(order="changed_at")
    sandbox.settings(page_size_max=20)
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    by_change = sorted(sandbox.dump("hris_employees"), key=lambda record: record["changed_at"])
    sandbox.record("purge", "hris_employees", by_change[45]["id"])
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "record_action":
                    {"model": "hris_employees", "op": "change", "id": by_change[0]["id"], "set": {"ssn": "1"}}},
                   {"path": EMPLOYEES, "skip": 2, "status": 404, "code": "PLATFORM.INPUT_INVALID"})
    sandbox.clear_requests()
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    asked = [request["params"]["ids"].count(",") + 1 for request in sandbox.requests(EMPLOYEES)
             if "ids" in request["params"]]
    assert asked == [2, 1, 1]
    assert result["deleted"] == 1
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])


def test_a_row_that_was_written_while_pages_were_fetched_is_not_swept(hris, sandbox):
    sandbox.settings(page_size_max=30)
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    insert = "INSERT INTO kombo.hris_employees (integration_id, id, synced_at) VALUES (%s, %s, %s)"
    began = hris.value("SELECT clock_timestamp()")
    hris.execute(insert, [sandbox.integration, "before", began])
    hris.execute(insert, [sandbox.integration, "never", None])
    sandbox.clear_requests()
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "hang": True})
    syncing = Background(hris, "SELECT * FROM kombo.kombo_sync_full(%s, ARRAY['/hris/employees'])",
                         [sandbox.integration])
    wait_until(lambda: len(sandbox.requests(EMPLOYEES)) == 2, what="the second page's request")
    hris.execute(insert, [sandbox.integration, "since", hris.value("SELECT clock_timestamp()")])
    sandbox.faults()
    result, = assert_ok(syncing.result())
    assert result["deleted"] == 2
    assert [one(hris, "hris_employees", key)["remote_deleted_at"] is None for key in ("before", "never", "since")] \
        == [False, False, True]


@pytest.mark.parametrize("first, second, stays", [(NEW, OLD, "first"), (OLD, NEW, "second"), (NEW, NEW, "second")])
def test_an_older_page_does_not_undo_a_newer_row(hris, sandbox, first, second, stays):
    """The second page was asked for before the first was written, so it may be the older of the two."""
    path = "/hris/employee-document-categories"
    for record in sandbox.dump(path):
        sandbox.record("purge", path, record["id"])
    sandbox.settings(page_size_max=1)
    serve(sandbox, path, group("twice", "first", first), group("twice", "second", second))
    result, = assert_ok(sync_full(hris, sandbox.integration, path))
    assert (result["pages"], result["received"], result["inserted"]) == (2, 2, 1)
    assert one(hris, "hris_employee_document_categories", "twice")["name"] == stays


def test_an_older_page_does_not_mark_the_children_of_a_newer_row(hris, sandbox):
    for record in sandbox.dump("hris_employees"):
        sandbox.record("purge", "hris_employees", record["id"])
    sandbox.settings(page_size_max=1)
    serve(sandbox, EMPLOYEES, employee("twice", "first", NEW, ["a", "b"], ["g", "h"]),
          employee("twice", "second", OLD, ["a"], ["g"]))
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert one(hris, "hris_employees", "twice")["last_name"] == "first"
    assert {key: (row["job_title"], row["remote_deleted_at"]) for key, row in rows(hris, "hris_employments").items()} \
        == {"a": ("first", None), "b": ("first", None)}
    assert {row["team_id"] for row in rows(hris, "hris_join_employees_teams")} == {"g", "h"}


@pytest.mark.parametrize("first, second, stays", [(NEW, OLD, "first"), (OLD, NEW, "second"), (NEW, NEW, "second")])
def test_the_same_record_twice_in_a_page_the_later_change_wins_with_its_lists(hris, sandbox, first, second, stays):
    for record in sandbox.dump("hris_employees"):
        sandbox.record("purge", "hris_employees", record["id"])
    serve(sandbox, EMPLOYEES, employee("twice", "first", first, ["both", "of first"], ["g", "of first"]),
          employee("between", "between", NEW, ["c"], ["g"]),
          employee("twice", "second", second, ["both", "of second"], ["g", "of second"]))
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert (result["pages"], result["received"], result["inserted"], result["unchanged"]) == (1, 3, 2, 0)
    assert one(hris, "hris_employees", "twice")["last_name"] == stays
    children = hris.execute("SELECT id, job_title, remote_deleted_at FROM kombo.hris_employments "
                            "WHERE employee_id = 'twice'")
    assert {child["id"] for child in children} == {"both", f"of {stays}"}
    assert all((child["job_title"], child["remote_deleted_at"]) == (stays, None) for child in children)
    joined = hris.execute("SELECT team_id FROM kombo.hris_join_employees_teams WHERE employee_id = 'twice'")
    assert {row["team_id"] for row in joined} == {"g", f"of {stays}"}
    before = rows(hris, "hris_employees"), rows(hris, "hris_employments")
    result, = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert (result["updated"], result["unchanged"]) == (0, 2)
    assert (rows(hris, "hris_employees"), rows(hris, "hris_employments")) == before


def test_three_of_the_same_record_in_a_page_leave_the_latest(hris, sandbox):
    serve(sandbox, GROUPS, group("thrice", "a", OLD), group("thrice", "b", NEW), group("thrice", "c", OLD))
    result, = assert_ok(sync_full(hris, sandbox.integration, GROUPS))
    assert result["received"] == sandbox.count(GROUPS) and result["inserted"] == result["received"] - 2
    assert one(hris, "hris_teams", "thrice")["name"] == "b"


def test_the_child_of_two_parents_in_a_page_is_the_later_changes(hris, sandbox):
    for record in sandbox.dump("hris_employees"):
        sandbox.record("purge", "hris_employees", record["id"])
    serve(sandbox, EMPLOYEES, employee("one", "newer", NEW, ["shared"], []),
          employee("two", "older", OLD, ["shared"], []))
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    child = one(hris, "hris_employments", "shared")
    assert (child["employee_id"], child["job_title"], child["remote_deleted_at"]) == ("one", "newer", None)


def test_a_row_with_a_change_time_in_the_future_is_no_obstacle(hris, sandbox):
    """changed_at guards only what was written since the page was asked for."""
    assert_ok(sync_full(hris, sandbox.integration, GROUPS))
    hris.execute("UPDATE kombo.hris_teams SET name = 'by hand', changed_at = '2090-01-01', "
                 "synced_at = now() + interval '1 year'")
    assert_ok(sync_full(hris, sandbox.integration, GROUPS))
    same_as_sandbox(hris, sandbox, tables=["hris_teams"])
