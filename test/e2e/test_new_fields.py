"""Kombo moves on: keys that the catalogue does not know become columns, without asking Kombo again."""

import psycopg
import pytest

from syncing import UTC, assert_ok, one, sync_delta, sync_full

EMPLOYEES = "/hris/employees"


def unknown(db):
    return {(row["table_name"], row["json_key"]): row for row in db.execute("SELECT * FROM kombo.unknown_fields")}


@pytest.fixture
def with_unknown(hris, sandbox):
    """Three employees with keys of tomorrow, after a first full."""
    first, second, third = [record["id"] for record in sandbox.dump("hris_employees")[:3]]
    sandbox.record("change", "hris_employees", first,
                   {"shoe_size": 42.5, "badge_issued_at": "2024-02-29T12:00:00.000Z"})
    sandbox.record("change", "hris_employees", second, {"shoe_size": "large", "hobbies": ["chess"]})
    sandbox.raw(EMPLOYEES, third, f'{{"id": "{third}", "manager": {{"id": "{first}", "nickname": "Al"}}}}')
    assert_ok(sync_full(hris, sandbox.integration))
    hris.people = first, second, third
    return hris


def test_what_kombo_sends_without_a_column_is_shown_with_the_call_that_makes_one(with_unknown):
    seen = unknown(with_unknown)
    assert {key: (row["json_type"], row["rows"], row["add_field"]) for key, row in seen.items()} == {
        ("hris_employees", "shoe_size"): (
            "number, string", 2, "SELECT kombo.add_field('hris_employees', 'shoe_size', 'jsonb');"),
        ("hris_employees", "badge_issued_at"): (
            "string", 1, "SELECT kombo.add_field('hris_employees', 'badge_issued_at', 'timestamptz');"),
        ("hris_employees", "hobbies"): (
            "array", 1, "SELECT kombo.add_field('hris_employees', 'hobbies', 'jsonb');"),
        ("hris_employees", "manager.nickname"): (
            "string", 1, "SELECT kombo.add_field('hris_employees', 'manager_nickname', 'text', 'manager.nickname');")}
    assert all(row["since"] for row in seen.values())


def test_an_added_field_takes_its_values_from_extra_and_needs_no_full(with_unknown, sandbox):
    db = with_unknown
    first, second, third = db.people
    sandbox.clear_requests()
    for row in unknown(db).values():
        if row["json_key"] != "shoe_size":
            assert db.value(row["add_field"]) == 1
    assert db.value("SELECT kombo.add_field('hris_employees', 'shoes', 'numeric', 'shoe_size')") == 1
    assert sandbox.requests() == []
    stored = one(db, "hris_employees", first)
    assert (str(stored["shoes"]), stored["badge_issued_at"].astimezone(UTC).isoformat(), stored["extra"]) == (
        "42.5", "2024-02-29T12:00:00+00:00", None)
    stored = one(db, "hris_employees", second)
    assert (stored["shoes"], stored["hobbies"], stored["extra"]) == (None, ["chess"], {"shoe_size": "large"})
    stored = one(db, "hris_employees", third)
    assert (stored["manager_nickname"], stored["extra"]) == ("Al", None)
    assert unknown(db) == {}
    # A full finds it as it would have written it, and a delta writes the column.
    ran = assert_ok(sync_full(db, sandbox.integration, EMPLOYEES))
    assert ran[0]["updated"] == 0
    sandbox.record("change", "hris_employees", first, {"shoe_size": 43})
    assert_ok(sync_delta(db, sandbox.integration, EMPLOYEES))
    assert one(db, "hris_employees", first)["shoes"] == 43


def test_values_can_be_moved_in_steps(with_unknown):
    db = with_unknown
    assert db.value("SELECT kombo.add_field('hris_employees', 'shoe_size', 'jsonb', fill => false)") == 0
    assert [db.value("SELECT kombo.fill_field('hris_employees', 'shoe_size', 1)") for _ in range(3)] == [1, 1, 0]


def test_an_added_field_survives_a_dump_as_a_row_of_the_catalogue(with_unknown):
    db = with_unknown
    db.execute("SELECT kombo.add_field('hris_employees', 'shoe_size', 'jsonb')")
    assert db.value("SELECT shipped FROM kombo.fields WHERE column_name = 'shoe_size'") is False
    assert db.value("SELECT c.filter FROM pg_extension, unnest(extconfig, extcondition) c (oid, filter) "
                    "WHERE extname = 'kombo_sync' AND c.oid = 'kombo.fields'::regclass") == \
        "WHERE NOT shipped OR edited <> '{}'"


@pytest.mark.parametrize("call, error", [
    ("'nothing', 'a', 'text'", psycopg.errors.UndefinedTable),
    ("'hris_employees', 'a', 'money'", psycopg.errors.InvalidParameterValue),
    ("'hris_employees', 'first_name', 'text', 'b'", psycopg.errors.DuplicateColumn),
    ("'hris_employees', 'id', 'text', 'b'", psycopg.errors.DuplicateColumn),
    ("'hris_employees', 'a', 'text', 'first_name'", psycopg.errors.DuplicateObject),
    ("'hris_employees', 'a', 'text', 'b..c'", psycopg.errors.InvalidObjectDefinition),
    ("'hris_employees', NULL, 'text'", psycopg.errors.NullValueNotAllowed),
])
def test_a_field_that_cannot_be_is_refused_with_the_reason(hris, call, error):
    with pytest.raises(error):
        hris.execute(f"SELECT kombo.add_field({call})")
    assert not hris.execute("SELECT FROM kombo.fields WHERE NOT shipped")


def test_a_custom_field_is_a_column_that_follows(hris, sandbox):
    person = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", person, {"custom_fields": {
        "Shirt": "M", "badge": 17.50, "remote": True, "joined": "2024-02-29T00:00:00.000Z",
        "seen": "2024-12-31T23:59:59.250Z", "odd day": "2024-02-99", "more": {"a": 1}}})
    assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    for name, kind, column in (("Shirt", "text", "shirt"), ("badge", "numeric", None),
                               ("remote", "boolean", "is_remote"), ("joined", "date", None),
                               ("seen", "timestamptz", None),
                               ("more", "jsonb", None),
                               ("odd day", "date", "odd_day"), ("Shirt", "numeric", "shirt_number")):
        hris.execute("SELECT kombo.custom_field('hris_employees', %s, %s, %s)", [name, kind, column])
    stored = one(hris, "hris_employees", person)
    assert (stored["shirt"], str(stored["badge"]), stored["is_remote"], stored["joined"].isoformat(),
            stored["seen"].astimezone(UTC).isoformat(), stored["more"], stored["odd_day"], stored["shirt_number"]) == (
        "M", "17.5", True, "2024-02-29", "2024-12-31T23:59:59.250000+00:00", {"a": 1}, None, None)
    hris.execute("CREATE INDEX ON kombo.hris_employees (shirt)")
    sandbox.record("change", "hris_employees", person, {"custom_fields": {"Shirt": "L"}})
    assert_ok(sync_delta(hris, sandbox.integration, EMPLOYEES))
    stored = one(hris, "hris_employees", person)
    assert (stored["shirt"], stored["badge"]) == ("L", None)
    ran = assert_ok(sync_full(hris, sandbox.integration, EMPLOYEES))
    assert (ran[0]["inserted"], ran[0]["updated"]) == (0, 0)


@pytest.mark.parametrize("call, error", [
    ("'nothing', 'a'", psycopg.errors.UndefinedTable),
    ("'hris_join_employees_teams', 'a'", psycopg.errors.UndefinedTable),
    ("'hris_employees', 'a', 'money'", psycopg.errors.InvalidParameterValue),
    ("'hris_employees', ''", psycopg.errors.NullValueNotAllowed),
    ("'hris_employees', 'first_name'", psycopg.errors.DuplicateColumn),
])
def test_a_custom_field_that_cannot_be_is_refused_with_the_reason(hris, call, error):
    with pytest.raises(error):
        hris.execute(f"SELECT kombo.custom_field({call})")
