#!/usr/bin/env python3
"""Checks the sandbox against the rules of the API that it stands for. Prints TAP.

usage: rules_test.py PATH_TO_KOMBO_SANDBOX
"""
import http.client
import threading
import time

from checks import ONE, KEY, admin, after, api, call, code, first, fresh, moved, op, read, run


def a_wrong_call_gets_its_error_code():
    assert code(api("/hris/employees", key="x")) == (401, "PLATFORM.AUTHENTICATION_INVALID")
    assert code(api("/hris/employees", integration=None)) == (400, "PLATFORM.INPUT_INVALID")
    assert code(api("/hris/employees", integration="no:such")) == (404, "PLATFORM.INTEGRATION_NOT_FOUND")
    assert code(api("/integrations/no:such")) == (404, "PLATFORM.INTEGRATION_NOT_FOUND")
    for bad in ({"page_size": 0}, {"page_size": 251}, {"page_size": "x"}, {"cursor": "abc"}, {"include_deleted": "1"},
                {"updated_after": "2024-01-01T00:00:00+00:00"}, {"updated_after": "yesterday"}):
        assert code(api("/hris/employees", **bad)) == (400, "PLATFORM.INPUT_INVALID"), bad
    for good in ({"updated_after": "2024-01-01"}, {"updated_after": "2024-01-01T00:00:00Z"}, {"unknown": "1"}):
        assert api("/hris/employees", **good)[0] == 200, good


def pages_join_to_the_whole_list():
    fresh()
    rows = read("/hris/employments", size=7)
    assert len(rows) == len({row["id"] for row in rows}) == 130
    assert api("/hris/employments", fresh.id)[1]["data"]["results"] == rows[:100]
    for path in ("/hris/skills", "/hris/skill-proficiency-ratings"):
        assert api(path, fresh.id, page_size=1)[1]["data"]["next"] is None


def a_cursor_knows_its_filters():
    fresh()
    cursor = api("/hris/employees", fresh.id, page_size=10, include_deleted="true")[1]["data"]["next"]
    assert api("/hris/employees", fresh.id, cursor=cursor, include_deleted="true")[0] == 200
    for other in ({}, {"include_deleted": "true", "updated_after": "2020-01-01"}):
        assert code(api("/hris/employees", fresh.id, cursor=cursor, **other)) == (400, "PLATFORM.INPUT_INVALID")
    assert api("/hris/groups", fresh.id, cursor=cursor, include_deleted="true")[0] == 400


def ids_and_remote_ids_select():
    fresh()
    rows = read("/hris/employees")
    got = read("/hris/employees", ids=",".join([rows[5]["id"], "nonsense", rows[50]["id"]]))
    assert [row["id"] for row in got] == [rows[5]["id"], rows[50]["id"]]
    assert [row["id"] for row in read("/hris/employees", remote_ids=rows[9]["remote_id"])] == [rows[9]["id"]]
    assert read("/hris/employees", ids="nonsense") == []
    group = rows[0]["groups"][0]["id"]
    assert all(group in [g["id"] for g in row["groups"]] for row in read("/hris/employees", group_ids=group))


def nested_records_equal_those_of_their_own_lists():
    fresh()
    own = {path: {row["id"]: row for row in read(path)} for path in
           ("/hris/employments", "/hris/time-off-balances", "/hris/groups", "/hris/locations", "/hris/absence-types")}
    seen = 0
    for employee in read("/hris/employees"):
        for employment in employee["employments"]:
            assert own["/hris/employments"][employment["id"]] == employment
            assert employment["employee_id"] == employee["id"]
            seen += 1
        for balance in employee["time_off_balances"]:
            whole = dict(own["/hris/time-off-balances"][balance["id"]])
            assert whole.pop("type") == own["/hris/absence-types"][whole["type_id"]]
            assert whole == balance
        assert own["/hris/locations"][employee["work_location_id"]] == employee["work_location"]
        for group in employee["groups"]:
            assert group.items() <= own["/hris/groups"][group["id"]].items()
        assert employee["teams"] == employee["groups"]
    assert seen == 130


def ids_coincide_between_models():
    fresh()
    assert {row["id"] for row in read("/hris/employees")} & {row["id"] for row in read("/hris/groups")}
    assert {len(row["id"]) for row in read("/hris/absences")} == {23, 24, 25}


def updated_after_follows_the_published_relations():
    table = [  # list, model that changes, does the change move the parent
        ("/hris/absences", "hris_absence_types", True),
        ("/hris/employees", "hris_employments", True),
        ("/hris/employees", "hris_time_off_balances", True),
        ("/hris/employees", "hris_employees", True),
        ("/hris/employees", "hris_teams", False),
        ("/hris/employees", "hris_legal_entities", True),
        ("/hris/employees", "hris_locations", True),
        ("/hris/employees", "hris_absences", False),
        ("/hris/performance-reviews", "hris_performance_review_cycles", True),
        ("/hris/performance-reviews", "hris_employees", True),
        ("/hris/staffing-entities", "hris_locations", True),
        ("/hris/staffing-entities", "hris_legal_entities", True),
        ("/hris/staffing-entities", "hris_teams", True),
        ("/hris/staffing-entities", "hris_skills", True),
        ("/hris/time-off-balances", "hris_absence_types", True),
        ("/hris/timesheets", "hris_employees", False),
        ("/hris/employments", "hris_employees", False),
        ("/hris/absences", "hris_employees", False),
        ("/hris/groups", "hris_employees", False),
    ]
    for path, model, moves in table:
        fresh()
        since = after()
        own = admin("GET", "count", integration=fresh.id, model=path)["count"]
        ids = [row["id"] for row in admin("GET", "records", integration=fresh.id, model=model)["results"]]
        for record_id in ids:
            op(model, "change", record_id, set={"name": "x"})
        got = moved(path, since)
        assert bool(got) == moves, (path, model, len(got), own)


def a_change_moves_only_its_parents():
    fresh()
    since = after()
    employment = first("/hris/employments")
    op("hris_employments", "change", employment["id"], set={"job_title": "Chief"})
    assert moved("/hris/employees", since) == {employment["employee_id"]}
    assert moved("/hris/employments", since) == {employment["id"]}
    parent = read("/hris/employees", ids=employment["employee_id"])[0]
    assert parent["changed_at"] < since and parent["employments"][0]["job_title"] == "Chief"
    manager = read("/hris/employees")[1]["manager_id"]
    since = after()
    op("hris_employees", "change", manager, set={"last_name": "New"})
    reports = {row["id"] for row in read("/hris/employees") if row["manager_id"] == manager}
    assert moved("/hris/employees", since) == reports | {manager}
    assert all(row["manager"]["last_name"] == "New" for row in read("/hris/employees") if row["id"] in reports)


def employees_have_names_of_their_own():
    fresh(employees=1000)
    rows = admin("GET", "records", integration=fresh.id, model="hris_employees")["results"]
    names = [row["display_full_name"] for row in rows]
    assert len(set(names)) == len(names) == 1000
    assert len({name.split()[0] for name in names}) == 64


def added_and_removed_entries_move_the_parent():
    fresh()
    employee = first("/hris/employees")
    since = after()
    made_one = op("hris_employments", "create", None, employee_id=employee["id"], set={"job_title": "Second"})
    assert moved("/hris/employees", since) == {employee["id"]}
    now = read("/hris/employees", ids=employee["id"])[0]
    assert made_one in now["employments"] and len(now["employments"]) == len(employee["employments"]) + 1
    since = after()
    op("hris_employments", "delete", made_one["id"])
    assert moved("/hris/employees", since) == {employee["id"]}
    assert len(read("/hris/employees", ids=employee["id"])[0]["employments"]) == len(employee["employments"])
    since = after()
    groups = [row["id"] for row in read("/hris/groups")]
    op("hris_employees", "set_links", employee["id"], list="groups", ids=groups[:3])
    assert moved("/hris/employees", since) == {employee["id"]}
    now = read("/hris/employees", ids=employee["id"])[0]
    assert [group["id"] for group in now["groups"]] == groups[:3] and now["changed_at"] == employee["changed_at"]
    since = after()
    op("hris_teams", "delete", groups[1])
    assert employee["id"] in moved("/hris/employees", since)
    now = read("/hris/employees", ids=employee["id"])[0]
    assert [group["id"] for group in now["groups"]] == [groups[0], groups[2]]
    moved_on = read("/hris/employees")[3]
    since = after()
    op("hris_employments", "change", employee["employments"][0]["id"], set={"employee_id": moved_on["id"]})
    assert moved("/hris/employees", since) == {employee["id"], moved_on["id"]}
    opening = first("/hris/staffing-entities")
    skill = first("/hris/skills")["id"]
    wanted = {"type": "NUMERIC", "value": 2}
    op("hris_staffing_entities", "set_links", opening["id"], list="skills",
       ids=[{"id": skill, "expected_proficiency": wanted}])
    now = read("/hris/staffing-entities", ids=opening["id"])[0]
    assert [(s["skill_id"], s["expected_proficiency"]) for s in now["skills"]] == [(skill, wanted)]


def a_tombstone_is_hidden_then_wiped_then_gone():
    fresh()
    group = first("/hris/groups")["id"]
    since = after()
    op("hris_teams", "delete", group)
    assert not read("/hris/groups", ids=group)
    dead = read("/hris/groups", ids=group, include_deleted="true")[0]
    assert dead["remote_deleted_at"] and dead["name"] and group in moved("/hris/groups", since)
    admin("POST", "clock", {"advance_seconds": 14 * 86400})
    wiped = read("/hris/groups", ids=group, include_deleted="true")[0]
    admin("POST", "clock", {"skew_seconds": 0})
    assert {key for key, value in wiped.items() if value is not None} == {"id", "changed_at", "remote_deleted_at"}
    op("hris_teams", "purge", group)
    assert not read("/hris/groups", ids=group, include_deleted="true")
    op("hris_teams", "undelete", group)
    back = read("/hris/groups", ids=group)[0]
    assert back["remote_deleted_at"] is None and back["name"]
    op("hris_teams", "wipe", group)
    assert read("/hris/groups", ids=group, include_deleted="true")[0]["name"] is None


def deleted_children_are_shown_on_demand():
    fresh(nested_deleted=True)
    employee = first("/hris/employees")
    op("hris_employments", "delete", employee["employments"][0]["id"])
    now = read("/hris/employees", ids=employee["id"])[0]
    assert now["employments"][0]["remote_deleted_at"]


def setup_states_answer_409():
    fresh(setup_status="FINAL_SYNC_PENDING")
    for fields, wanted in (({}, (409, "INTEGRATION.SETUP_SYNC_PENDING")),
                           ({"setup_status": "INCOMPLETE"}, (409, "INTEGRATION.SETUP_INCOMPLETE")),
                           ({"setup_status": "COMPLETED", "qa_failed": True}, (409, "INTEGRATION.QA_FAILED")),
                           ({"qa_failed": False, "unavailable_models": ["hris_employees"]},
                            (400, "INTEGRATION.MODEL_NOT_AVAILABLE")),
                           ({"unavailable_models": [], "disabled_models": ["hris_employees"]},
                            (400, "INTEGRATION.MODEL_DISABLED")),
                           ({"disabled_models": [], "error_code": "X.Y", "error_status": 418}, (418, "X.Y"))):
        admin("PATCH", "integrations", fields, id=fresh.id)
        assert code(api("/hris/employees", fresh.id)) == wanted, fields
    admin("PATCH", "integrations", {"error_code": None}, id=fresh.id)
    assert api("/hris/employees", fresh.id)[0] == 200


def a_page_shift_hides_a_row():
    fresh(order="changed_at")
    since = [row["id"] for row in read("/hris/employees", size=10)]
    page = api("/hris/employees", fresh.id, page_size=50)[1]["data"]
    op("hris_employees", "change", page["results"][0]["id"], set={"first_name": "Late"})
    rest = api("/hris/employees", fresh.id, page_size=50, cursor=page["next"])[1]["data"]["results"]
    missed = set(since) - {row["id"] for row in page["results"] + rest}
    assert len(missed) == 1, missed


def raw_records_are_served_as_they_are():
    fresh()
    one = first("/hris/groups")["id"]
    admin("POST", "raw", {"integration": fresh.id, "path": "/hris/groups", "id": one,
                          "json": '{"id":"%s","name":"a\\u0000b","n":1e400}' % one})
    admin("POST", "raw", {"integration": fresh.id, "path": "/hris/groups", "id": "", "json": '{"name":"no id"}'})
    rows = read("/hris/groups")
    assert rows[0]["name"] == "a\0b" and rows[-1] == {"name": "no id"}
    employee = first("/hris/employees")["id"]
    admin("POST", "raw", {"integration": fresh.id, "id": employee, "list_null": "employments", "list_absent": "groups"})
    row = first("/hris/employees")
    assert row["employments"] is None and "groups" not in row and "teams" in row


def faults_break_what_they_name():
    fresh()
    admin("POST", "faults", {"path": "/hris/groups", "skip": 1, "times": 2, "status": 503, "code": "A.B",
                             "headers": {"Retry-After": "7"}})
    answers = [api("/hris/groups", fresh.id) for _ in range(4)]
    assert [a[0] for a in answers] == [200, 503, 503, 200] and answers[1][2]["Retry-After"] == "7"
    admin("POST", "faults", [{"html": True}, {"other_json": True}, {"body": "", "status": 500}, {"close": True}])
    assert api("/hris/groups", fresh.id)[0] == 502
    assert api("/hris/groups", fresh.id)[1]["hello"] == "world"
    assert api("/hris/groups", fresh.id)[0] == 500
    for fault in ({"close": True}, {"truncate": 100}):
        admin("DELETE", "faults")
        admin("POST", "faults", fault)
        try:
            api("/hris/groups", fresh.id)
            assert False, fault
        except (http.client.HTTPException, OSError):
            pass
    admin("POST", "faults", {"truncate": 100, "no_length": True})
    try:
        api("/hris/groups", fresh.id)
        assert False
    except ValueError:
        pass
    admin("POST", "faults", {"drip": True, "drip_ms": 10, "drip_bytes": 200})
    start = time.time()
    assert api("/hris/groups", fresh.id)[0] == 200 and time.time() - start > 0.05
    admin("POST", "faults", {"repeat_cursor": True, "skip": 1, "times": -1})
    page = api("/hris/employees", fresh.id, page_size=10)[1]["data"]["next"]
    assert api("/hris/employees", fresh.id, page_size=10, cursor=page)[1]["data"]["next"] == page
    admin("DELETE", "faults")
    admin("POST", "faults", {"path": "/hris/employees", "loop_cursors": 2, "times": -1})
    seen = [None]
    for _ in range(6):
        seen.append(api("/hris/employees", fresh.id, page_size=10,
                        **({"cursor": seen[-1]} if seen[-1] else {}))[1]["data"]["next"])
    assert seen[3] == seen[1] and seen[4] == seen[2] and seen[1] != seen[2]
    admin("DELETE", "faults")


def a_hanging_request_ends_with_the_faults():
    fresh()
    admin("POST", "faults", {"hang": True})
    threading.Timer(0.3, lambda: admin("DELETE", "faults")).start()
    start = time.time()
    try:
        api("/hris/groups", fresh.id)
        assert False
    except (http.client.HTTPException, OSError):
        pass
    assert 0.2 < time.time() - start < 2


def a_fault_can_change_a_record_between_pages():
    fresh()
    victim = first("/hris/employees")["id"]
    admin("POST", "faults", {"path": "/hris/employees", "skip": 1,
                             "record_action": {"model": "hris_employees", "op": "delete", "id": victim}})
    assert victim in [row["id"] for row in read("/hris/employees", size=50)]
    assert victim not in [row["id"] for row in read("/hris/employees", size=50)]


def the_rate_limit_answers_429():
    fresh()
    admin("POST", "settings", {"rate_limit": 2})
    answers = [api("/hris/groups", fresh.id) for _ in range(3)]
    admin("POST", "settings", {"rate_limit": 0})
    assert [a[0] for a in answers] == [200, 200, 429]
    assert answers[2][1]["error"]["code"] == "PLATFORM.RATE_LIMIT_EXCEEDED"
    assert [a[2]["ratelimit-remaining"] for a in answers] == ["1", "0", "0"]
    assert 0 < int(answers[2][2]["ratelimit-reset"]) <= 61

def the_window_of_the_rate_limit_can_be_short():
    fresh()
    admin("POST", "settings", {"rate_limit": 1, "rate_window_s": 2})
    assert [api("/hris/groups", fresh.id)[0] for _ in range(2)] == [200, 429]
    refused = api("/hris/groups", fresh.id)[2]
    assert refused["ratelimit-reset"] in ("1", "2", "3") and refused["ratelimit-limit"] == "1"
    time.sleep(2.1)
    assert api("/hris/groups", fresh.id)[0] == 200
    admin("POST", "settings", {"rate_limit": 0, "rate_window_s": 60})


def the_clock_moves_the_date_header():
    fresh()
    admin("POST", "clock", {"skew_seconds": 600})
    ahead = api("/hris/groups", fresh.id)[2]["Date"]
    admin("POST", "clock", {"skew_seconds": 0})
    parse = lambda text: time.mktime(time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT"))
    assert 590 < parse(ahead) - parse(api("/hris/groups", fresh.id)[2]["Date"]) < 610


def requests_are_logged():
    fresh()
    admin("DELETE", "requests")
    api("/hris/groups", fresh.id, page_size=3)
    log = admin("GET", "requests")
    entry = log["requests"][0]
    assert (entry["path"], entry["params"], entry["status"]) == ("/hris/groups", {"page_size": "3"}, 200)
    assert log["max_in_flight"] == {fresh.id + " /hris/groups": 1}

def requests_in_flight_are_counted():
    fresh()
    admin("DELETE", "concurrency")
    admin("POST", "faults", {"delay_ms": 2000, "times": 4})
    pages = [(fresh.id, 1), (fresh.id, 1), (fresh.id, 2), (ONE, 1)]
    askers = [threading.Thread(target=api, args=("/hris/groups", integration), kwargs={"page_size": size})
              for integration, size in pages]
    for asker in askers:
        asker.start()
    end = time.time() + 1.5
    while (now := admin("GET", "concurrency"))["in_flight"] < 4 and time.time() < end:
        time.sleep(0.02)
    assert sorted((r["integration"], r["path"], r["query"]) for r in now["requests"]) == sorted(
        (integration, "/hris/groups", f"page_size={size}") for integration, size in pages)
    for asker in askers:
        asker.join()
    all_in_all = admin("GET", "concurrency")
    counted = lambda flight: (flight["in_flight"], flight["max_in_flight"], flight["same_page_twice"])
    assert counted(all_in_all) == (0, 4, 1)
    assert counted(all_in_all["integrations"][fresh.id]) == (0, 3, 1)
    assert counted(all_in_all["integrations"][ONE]) == (0, 1, 0)
    assert counted(all_in_all["streams"][fresh.id + " /hris/groups"]) == (0, 3, 1)
    admin("DELETE", "concurrency")
    assert counted(admin("GET", "concurrency")) == (0, 0, 0)


def a_client_that_leaves_is_no_longer_in_flight():
    fresh()
    admin("POST", "faults", {"delay_ms": 20000})
    try:
        headers = {"Authorization": "Bearer " + KEY, "X-Integration-Id": fresh.id}
        call("GET", "/v1/hris/groups", headers=headers, timeout=0.2)
        assert False
    except OSError:
        pass
    end = time.time() + 5
    while admin("GET", "concurrency")["in_flight"] and time.time() < end:
        time.sleep(0.02)
    assert admin("GET", "concurrency")["in_flight"] == 0
    assert admin("GET", "requests")["requests"][-1]["status"] == 0


def a_deleted_integration_is_not_found_and_can_come_back():
    fresh()
    admin("PATCH", "integrations", {"deleted": True}, id=fresh.id)
    for path in ("/hris/groups", "/integrations/" + fresh.id):
        assert code(api(path, fresh.id)) == (404, "PLATFORM.INTEGRATION_NOT_FOUND")
    expired = "2026-01-02T03:04:05.000Z"
    admin("PATCH", "integrations", {"deleted": False, "status": "INVALID", "data_expired_at": expired}, id=fresh.id)
    now = api("/integrations/" + fresh.id)[1]["data"]
    assert (now["status"], now["data_expired_at"]) == ("INVALID", expired)
    admin("PATCH", "integrations", {"data_expired_at": None}, id=fresh.id)
    assert api("/integrations/" + fresh.id)[1]["data"]["data_expired_at"] is None


def an_integration_may_have_a_size_of_its_own():
    assert admin("GET", "count", integration="sized:seven", model="hris_employees")["count"] == 7


run(globals())
