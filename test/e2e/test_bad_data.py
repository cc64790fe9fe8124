"""Data that is not as it should be is stored all the same, or kept aside, and told; it never fails the page."""

import collections
import json
import random
import string

import pytest

from sandbox import Digits
from syncing import assert_ok, last_run, notices_of, outcome, result_of, rows, same_as_sandbox, sync_full

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"
UNFIT = "value does not fit its column"
SECRET = "078-05-1120"
random.seed(7)
LONG = "".join(random.choices(string.ascii_letters + string.digits, k=12000))


def encode(value):
    """JSON text of a parsed record; numbers with the digits that they came with."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(encode(item) for item in value) + "]"
    return json.dumps(value)


def serve(sandbox, path, model, number=1, **raw):
    """Serves the list's record of that number with some fields as raw JSON text (None: without them); its id."""
    record = sandbox.dump(model)[number]
    changed = {key: encode(value) for key, value in record.items()} | raw
    members = ", ".join(f"{json.dumps(key)}: {value}" for key, value in changed.items() if value is not None)
    sandbox.raw(path, record["id"], "{" + members + "}")
    return record["id"]


def warnings_of(db, endpoint):
    """{(kind, table, key): count} of the last run."""
    return {(w["kind"], w["table"], w["key"]): w["count"] for w in last_run(db, endpoint)["warnings"] or []}


def stored(db, column, table, id):
    return db.value(f'SELECT "{column}"::text FROM kombo.{table} WHERE id = %s', [id])


def assert_settled(db, endpoint):
    """The same data again writes nothing."""
    result = assert_ok(sync_full(db, what=endpoint))[0]
    assert (result["inserted"], result["updated"], result["deleted"]) == (0, 0, 0), result


# column of hris_employees, JSON text sent, text stored, text in extra, kind of warning
VALUES = [
    ("first_name", r'"a\u0000b"', "a\ufffdb", None, "U+0000 replaced by U+FFFD"),
    ("first_name", r'"a\ud800b"', "a\ufffdb", None, "unpaired surrogate replaced by U+FFFD"),
    ("first_name", r'"\udc00\ud83d\ude00"', "\ufffd\U0001f600", None, "unpaired surrogate replaced by U+FFFD"),
    ("custom_fields", r'{"a\u0000": "\ud800"}', '{"a\ufffd": "\ufffd"}', None, "U+0000 replaced by U+FFFD"),
    ("first_name", '"\\\\ \\" \' \\n %s $1 \U0001f600"', "\\ \" ' \n %s $1 \U0001f600", None, None),
    ("first_name", '""', "", None, None),
    ("first_name", "7", None, "7", UNFIT),
    ("first_name", '{"a": 0.10}', None, '{"a": 0.10}', UNFIT),
    ("first_name", '["x"]', None, '["x"]', UNFIT),
    ("first_name", "true", None, "true", UNFIT),
    ("date_of_birth", '"0000-00-00"', None, '"0000-00-00"', UNFIT),
    ("date_of_birth", '"2023-02-29"', None, '"2023-02-29"', UNFIT),
    ("date_of_birth", '"1986-01-01T00:00:00.000Z"', "1986-01-01", None, None),
    ("date_of_birth", '"1986-01-01T13:30:00.000Z"', "1986-01-01", '"1986-01-01T13:30:00.000Z"', None),
    ("date_of_birth", '"0001-01-01"', "0001-01-01", None, None),
    ("date_of_birth", '"unknown"', None, '"unknown"', UNFIT),
    ("date_of_birth", "19860101", None, "19860101", UNFIT),
    ("remote_created_at", '"300000-01-01T00:00:00.000Z"', None, '"300000-01-01T00:00:00.000Z"', UNFIT),
    ("remote_created_at", '"0000-00-00T00:00:00.000Z"', None, '"0000-00-00T00:00:00.000Z"', UNFIT),
    ("remote_created_at", '"infinity"', None, '"infinity"', UNFIT),
    ("remote_created_at", '"2024-05-01T12:00:00+02:00"', "2024-05-01 06:00:00-04", None, None),
    ("changed_at", '"yesterday"', None, '"yesterday"', UNFIT),
    ("remote_deleted_at", "false", None, "false", UNFIT),
    ("weekly_hours", "0.10", "0.10", None, None),
    ("weekly_hours", "12345678901234567890", "12345678901234567890", None, None),
    ("weekly_hours", "-0.000000000000000000000000000001", "-0.000000000000000000000000000001", None, None),
    ("weekly_hours", "1e400000", None, '"1e400000"', UNFIT),
    ("weekly_hours", "1e-400000", None, '"1e-400000"', UNFIT),
    ("weekly_hours", '"40"', None, '"40"', UNFIT),
    ("weekly_hours", "false", None, "false", UNFIT),
    ("custom_fields", '{"a": 0.10, "b": 12345678901234567890}', '{"a": 0.10, "b": 12345678901234567890}', None, None),
    ("custom_fields", '{"a": 1e400000}', '{"a": "1e400000"}', None, "number beyond numeric kept as text"),
    ("custom_fields", '{"a": 1, "a": 2}', '{"a": 2}', None, None),
    ("home_address", '"one line"', '"one line"', None, None),
    ("bank_accounts", "[]", "[]", None, None),
]


def test_every_value_is_stored_as_sent_or_kept_in_extra(hris, sandbox):
    employees = [serve(sandbox, EMPLOYEES, "hris_employees", number, **{column: sent})
                 for number, (column, sent, *_) in enumerate(VALUES)]
    result = assert_ok(sync_full(hris, what=EMPLOYEES))[0]
    assert result["inserted"] == len(sandbox.dump("hris_employees"))
    wrong = []
    kinds = collections.Counter()
    for employee, (column, sent, kept, extra, kind) in zip(employees, VALUES):
        found = (stored(hris, column, "hris_employees", employee),
                 hris.value("SELECT (extra -> %s)::text FROM kombo.hris_employees WHERE id = %s", [column, employee]))
        if found != (kept, extra):
            wrong.append(f"{column} {sent}: {found}, not {(kept, extra)}")
        kinds[kind, "hris_employees", column] += kind is not None
    assert not wrong, "\n".join(wrong)
    told = warnings_of(hris, EMPLOYEES)
    assert {key: told.get(key) for key in kinds if kinds[key]} == {key: count for key, count in kinds.items() if count}
    assert hris.value("SELECT count(*) FROM kombo.rejected_records") == 0
    assert_settled(hris, EMPLOYEES)
    for employee in employees:
        sandbox.raw(EMPLOYEES, employee, None)
    assert_ok(sync_full(hris, what=EMPLOYEES))
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])
    assert hris.value("SELECT count(*) FROM kombo.hris_employees WHERE extra IS NOT NULL") == 0


def test_other_types_of_columns_do_the_same(hris, sandbox):
    values = [("start_date", '"2024-02-30"', None, '"2024-02-30"'), ("start_time", '"24:00:01"', None, '"24:00:01"'),
              ("start_time", '"09:30:00"', "09:30:00", None), ("start_half_day", '"true"', None, '"true"'),
              ("start_half_day", "1", None, "1"), ("amount", "0.50", "0.50", None)]
    absences = [serve(sandbox, "/hris/absences", "hris_absences", number, **{column: sent})
                for number, (column, sent, *_) in enumerate(values)]
    assert_ok(sync_full(hris, what="/hris/absences"))
    for absence, (column, sent, kept, extra) in zip(absences, values):
        found = (stored(hris, column, "hris_absences", absence),
                 hris.value("SELECT (extra -> %s)::text FROM kombo.hris_absences WHERE id = %s", [column, absence]))
        assert found == (kept, extra), (column, sent)
    assert_settled(hris, "/hris/absences")


def test_unknown_keys_go_to_extra_and_are_counted(hris, sandbox):
    groups = [record["id"] for record in sandbox.dump("hris_teams")]
    for one in groups:
        sandbox.record("change", "hris_teams", one, set={"colour": "red", "budget": {"amount": 1}})
    assert_ok(sync_full(hris, what=GROUPS))
    assert {str(row["extra"]) for row in rows(hris, "hris_teams").values()} == {
        str({"budget": {"amount": 1}, "colour": "red"})}
    assert warnings_of(hris, GROUPS) == {("unknown key", "hris_teams", "colour"): len(groups),
                                         ("unknown key", "hris_teams", "budget"): len(groups)}
    assert_settled(hris, GROUPS)


def test_a_missing_key_is_null(hris, sandbox):
    employee = serve(sandbox, EMPLOYEES, "hris_employees", first_name=None, weekly_hours=None, custom_fields=None)
    assert_ok(sync_full(hris, what=EMPLOYEES))
    row = rows(hris, "hris_employees")[employee]
    assert (row["first_name"], row["weekly_hours"], row["custom_fields"]) == (None, None, None)


def test_a_repeated_key_does_no_harm(hris, sandbox):
    group = sandbox.dump("hris_teams")[1]
    sandbox.raw(GROUPS, group["id"], f'{{"id": "{group["id"]}", "name": "first", "new": 1, "name": "last", "new": 2}}')
    assert_ok(sync_full(hris, what=GROUPS))
    row = rows(hris, "hris_teams")[group["id"]]
    assert row["name"] in ("first", "last") and row["extra"] in ({"new": 1}, {"new": 2})
    assert_settled(hris, GROUPS)


def test_records_with_two_ids_each_do_no_harm(hris, sandbox):
    for n in range(2):
        sandbox.raw(GROUPS, "", f'{{"id": "Twice", "name": "x", "id": "Other{n}"}}')
    assert_ok(sync_full(hris, what=GROUPS))
    groups = rows(hris, "hris_teams")
    assert groups.keys() >= {record["id"] for record in sandbox.dump("hris_teams")}
    assert groups.keys() & {"Twice", "Other0", "Other1"} or hris.value("SELECT count(*) FROM kombo.rejected_records")


def test_records_without_an_id_are_parked_and_the_rest_is_stored(hris, sandbox):
    texts = ["{}", '{"name": "no id"}', '{"id": null, "name": "x"}', '{"id": 7}', '{"id": ""}', '{"id": {"a": 1}}', "7",
             "null", '"text"', "[]", '[{"id": "x"}]', '{"a": 0.10, "id": false}']
    groups = [record["id"] for record in sandbox.dump("hris_teams")]
    for text in texts:
        sandbox.raw(GROUPS, "", text)
    heard = notices_of(hris.connection)
    result = assert_ok(sync_full(hris, what=GROUPS))[0]
    assert rows(hris, "hris_teams").keys() == set(groups)
    assert result["received"] == len(groups) + len(texts)
    parked = hris.execute("SELECT *, record::text AS record FROM kombo.rejected_records ORDER BY id")
    assert {(p["endpoint"], p["record_id"], p["sqlstate"]) for p in parked} == {(GROUPS, None, "23502")}
    assert sorted(p["record"] for p in parked) == sorted(texts) and all(p["error"] for p in parked)
    assert f"{len(texts)} records" in heard[0].message_primary
    assert_settled(hris, GROUPS)
    assert hris.value("SELECT count(*) FROM kombo.rejected_records") == len(texts)
    sandbox.raw(GROUPS, "", None)
    assert_settled(hris, GROUPS)
    assert hris.value("SELECT count(*) FROM kombo.rejected_records") == 0


def test_ids_are_any_text(hris, sandbox):
    ids = ["a'b\"c\\d", "%s $1 ; DROP", " x ", "\U0001f600", "x" * 500, "NULL", "{}", "0", "a,b"]
    for one in ids:
        sandbox.raw(GROUPS, one, json.dumps({"id": one, "name": "strange"}))
    assert_ok(sync_full(hris, what=GROUPS))
    assert {key for key, row in rows(hris, "hris_teams").items() if row["name"] == "strange"} == set(ids)
    assert_settled(hris, GROUPS)


def test_what_an_index_cannot_hold_is_parked(hris, sandbox):
    too_long = [{"id": "x", "remote_id": LONG}, {"id": LONG, "name": "too long a key"}]
    groups = [record["id"] for record in sandbox.dump("hris_teams")]
    for record in too_long:
        sandbox.raw(GROUPS, record["id"], json.dumps(record))
    assert_ok(sync_full(hris, what=GROUPS))
    parked = hris.execute("SELECT * FROM kombo.rejected_records ORDER BY length(record_id)")
    assert [(p["record"], p["sqlstate"]) for p in parked] == [(record, "54000") for record in too_long]
    assert [p["record_id"] for p in parked] == ["x", None]  # nor can the index of the parked ones
    assert rows(hris, "hris_teams").keys() == set(groups)


@pytest.mark.parametrize("innermost", ["", "none"])
def test_json_that_is_nested_deeply_does_not_fail_the_page(hris, sandbox, innermost):
    deep = 3000
    group = serve(sandbox, GROUPS, "hris_teams", deep="[" * deep + innermost + "]" * deep)
    assert_ok(sync_full(hris, what=GROUPS))
    parked = hris.value("SELECT count(*) FROM kombo.rejected_records WHERE record_id = %s", [group])
    assert parked == 1 or stored(hris, "extra", "hris_teams", group).count("[") == deep
    assert len(rows(hris, "hris_teams")) + parked == len(sandbox.dump("hris_teams"))


# --- nested records ----------------------------------------------------------------------------------------------

def test_a_nested_list_that_is_none_is_kept_in_extra_and_says_nothing(hris, sandbox):
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    assert_ok(sync_full(hris))
    tables = ("hris_employments", "hris_join_employees_teams")
    before = [hris.value(f"SELECT count(*) FROM kombo.{table}") for table in tables]
    sent = [(name, text) for name in ("employments", "groups") for text in ('"text"', "7", "true")]
    employees = [serve(sandbox, EMPLOYEES, "hris_employees", number, **{name: text})
                 for number, (name, text) in enumerate(sent)]
    assert_ok(sync_full(hris))
    for employee, (name, text) in zip(employees, sent):
        assert rows(hris, "hris_employees")[employee]["extra"] == {name: json.loads(text)}
    assert [hris.value(f"SELECT count(*) FROM kombo.{table}") for table in tables] == before
    assert hris.value("SELECT count(*) FROM kombo.hris_employments WHERE remote_deleted_at IS NOT NULL") == 0
    assert_settled(hris, EMPLOYEES)


def test_nested_records_that_cannot_be_rows_stay_with_the_parent(hris, sandbox):
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    employee = serve(sandbox, EMPLOYEES, "hris_employees",
                     employments='[{"job_title": "no id"}, 7, null, {"id": "Good", "job_title": "Chief"}]')
    assert_ok(sync_full(hris))
    assert rows(hris, "hris_employments")["Good"]["employee_id"] == employee
    kept = rows(hris, "hris_employees")[employee]["extra"]["employments"]
    assert {"job_title": "no id"} in kept and 7 in kept, kept
    assert_settled(hris, EMPLOYEES)


def test_a_linked_record_that_is_none_is_kept_in_extra(hris, sandbox):
    absence = serve(sandbox, "/hris/absences", "hris_absences", type='"holiday"')
    assert_ok(sync_full(hris, what="/hris/absences"))
    assert rows(hris, "hris_absences")[absence]["extra"] == {"type": "holiday"}
    assert_settled(hris, "/hris/absences")


# --- a field of 100 MB -------------------------------------------------------------------------------------------

def test_a_field_of_100_mb_is_refused_by_default_and_stored_where_that_is_raised(hris, sandbox):
    hris.subscribe_only(sandbox.integration, GROUPS, "/hris/locations")
    assert_ok(sync_full(hris))
    size = 100 * 1024 * 1024
    group = serve(sandbox, GROUPS, "hris_teams", name='"' + "x" * size + '"')
    heard = notices_of(hris.connection)
    results = sync_full(hris)
    assert outcome(results) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert "max_response_size" in result_of(results, GROUPS)["error"] and "max_response_size" in heard[0].message_hint
    assert len(result_of(results, GROUPS)["error"]) < 500
    assert len(rows(hris, "hris_teams")[group]["name"]) < 100
    hris.execute("ALTER SERVER kombo_eu OPTIONS (ADD max_response_size '256MB')")
    assert_ok(sync_full(hris))
    assert hris.value("SELECT length(name) FROM kombo.hris_teams WHERE id = %s", [group]) == size


def test_a_record_too_large_to_be_kept_aside_is_parked_by_its_id_alone(hris, sandbox):
    hris.subscribe_only(sandbox.integration, GROUPS)
    hris.execute("ALTER TABLE kombo.hris_teams ADD CHECK (length(name) < 1000)")
    large = serve(sandbox, GROUPS, "hris_teams", name='"' + "x" * (17 * 1024 * 1024) + '"')
    assert_ok(sync_full(hris))
    parked, = hris.execute("SELECT record_id, record, sqlstate FROM kombo.rejected_records")
    assert parked == {"record_id": large, "record": None, "sqlstate": "23514"}
    assert len(rows(hris, "hris_teams")) == len(sandbox.dump("hris_teams")) - 1


@pytest.mark.time_limit(600)
def test_a_container_that_jsonb_cannot_hold_is_refused(hris, sandbox):
    """24 million zeros: 8 bytes each, which fits, and as many entries of 4 bytes, which does not."""
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    hris.execute("ALTER SERVER kombo_eu OPTIONS (ADD max_response_size '256MB')")
    many = "[" + ",".join(["0"] * 24_000_000) + "]"
    large = serve(sandbox, EMPLOYEES, "hris_employees", remote_data=f'["first", {many}]')
    assert_ok(sync_full(hris))
    parked, = hris.execute("SELECT record_id, record, sqlstate, error FROM kombo.rejected_records")
    assert (parked["record_id"], parked["record"], parked["sqlstate"]) == (large, None, "54000")
    assert "268435455" in parked["error"]
    assert len(rows(hris, "hris_employees")) == len(sandbox.dump("hris_employees")) - 1


# --- excluded fields ---------------------------------------------------------------------------------------------

def places_of(db, text):
    """The tables of schema kombo in which some row has the text anywhere."""
    tables = db.execute("SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'kombo'::regnamespace "
                        "AND relkind = 'r' ORDER BY 1")
    return [t["name"] for t in tables if db.value(f"SELECT count(*) FROM {t['name']} r WHERE r::text LIKE %s",
                                                  [f"%{text}%"])]


# Ways in which a record may hold a value of the excluded hris_employees.ssn.
HIDING = [{"ssn": f'"{SECRET}0"'},
          {"ssn": f'{{"number": "{SECRET}1"}}'},
          {"first_name": f'"x", "ssn": "{SECRET}2"', "ssn": f'"{SECRET}2"'},
          {"ssn": None, "first_name": f'"x", "ss\\u006e": "{SECRET}3"'},
          {"remote_data": f'{{"anything": ["{SECRET}4"]}}'},
          {"id": "null", "ssn": f'"{SECRET}5"'},
          {"id": "7", "ssn": None, "first_name": f'"x", "ss\\u006e": "{SECRET}6"'},
          {"manager": f'{{"id": "Boss", "ssn": "{SECRET}7"}}'}]


def hide(sandbox):
    for number, raw in enumerate(HIDING):
        serve(sandbox, EMPLOYEES, "hris_employees", number, **raw)
    reviewee = json.dumps({"id": "Reviewee", "ssn": SECRET + "8", "first_name": "R"})
    serve(sandbox, "/hris/performance-reviews", "hris_performance_reviews", 0, reviewee=reviewee)


@pytest.mark.time_limit(240)
def test_an_excluded_value_is_nowhere(hris, sandbox):
    hide(sandbox)
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    for _ in range(2):
        assert_ok(sync_full(hris))
        assert places_of(hris, SECRET) == []
    assert "Reviewee" in {row["reviewee_id"] for row in rows(hris, "hris_performance_reviews").values()}
    assert hris.value("SELECT count(DISTINCT record) FROM kombo.rejected_records") == 2


def test_a_value_that_is_stored_is_gone_once_it_is_excluded(hris, sandbox):
    hide(sandbox)
    assert_ok(sync_full(hris))
    assert places_of(hris, SECRET) == ["kombo.hris_employees", "kombo.rejected_records"]
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    assert places_of(hris, SECRET) == []
    assert_ok(sync_full(hris))
    assert places_of(hris, SECRET) == []


def test_an_excluded_value_is_not_in_parked_records_nor_in_warnings(hris, sandbox):
    serve(sandbox, EMPLOYEES, "hris_employees", ssn=f'"{SECRET}"')
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    hris.execute("ALTER TABLE kombo.hris_employees ADD CHECK (remote_id IS NULL)")
    heard = notices_of(hris.connection)
    assert_ok(sync_full(hris, what=EMPLOYEES))
    assert hris.value("SELECT count(*) FROM kombo.rejected_records") == len(sandbox.dump("hris_employees"))
    assert places_of(hris, SECRET) == []
    said = " ".join(f"{one.message_primary} {one.message_detail} {one.context}" for one in heard)
    assert SECRET not in said
    assert hris.value("SELECT count(*) FROM kombo.rejected_records WHERE record ? 'ssn'") == 0


def test_an_excluded_field_of_nested_records_is_nowhere(hris, sandbox):
    pay = 987654.21
    children = [{"id": "Good", "job_title": "Chief", "pay_rate": pay}, {"job_title": "no id", "pay_rate": pay}]
    serve(sandbox, EMPLOYEES, "hris_employees", employments=json.dumps(children))
    hris.execute("SELECT kombo.exclude_field('hris_employments', 'pay_rate')")
    hris.execute("ALTER TABLE kombo.hris_employees ADD CHECK (first_name IS NULL)")
    assert_ok(sync_full(hris, what=EMPLOYEES))
    assert hris.value("SELECT count(*) FROM kombo.rejected_records") > 0
    assert places_of(hris, str(pay)) == []
    hris.execute("ALTER TABLE kombo.hris_employees DROP CONSTRAINT hris_employees_first_name_check")
    assert_ok(sync_full(hris, what=EMPLOYEES))
    assert rows(hris, "hris_employments")["Good"]["pay_rate"] is None
    assert places_of(hris, str(pay)) == []


def test_excluding_custom_fields_and_remote_data_works_alike(hris, sandbox):
    serve(sandbox, EMPLOYEES, "hris_employees", custom_fields=f'{{"a": "{SECRET}"}}', remote_data=f'["{SECRET}"]')
    assert_ok(sync_full(hris, what=EMPLOYEES))
    assert places_of(hris, SECRET) == ["kombo.hris_employees"]
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'custom_fields')")
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'remote_data')")
    assert places_of(hris, SECRET) == []
    assert_ok(sync_full(hris, what=EMPLOYEES))
    assert places_of(hris, SECRET) == []


def test_caught_errors_leave_no_memory_behind(hris, sandbox):
    """Each refused record is an error that is caught, and each half of the page that it is found in."""
    hris.execute("ALTER TABLE kombo.hris_employees ADD CHECK (remote_id IS NULL)")
    used = """SELECT sum(used_bytes) FROM pg_backend_memory_contexts
              WHERE name IN ('TopMemoryContext', 'kombo_sync error')"""
    for _ in range(2):  # what is cached once
        sync_full(hris, sandbox.integration, EMPLOYEES)
    before = hris.value(used)
    for _ in range(4):
        result = sync_full(hris, sandbox.integration, EMPLOYEES)
    assert result[0]["status"] == "ok" and hris.value("SELECT count(*) FROM kombo.rejected_records") == 60
    errors = 4 * (2 * 60 - 1)
    assert hris.value(used) - before < errors * 20, f"{errors} errors"
