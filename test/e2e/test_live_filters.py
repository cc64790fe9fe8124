"""Conditions on live tables that are sent to Kombo as filters: they never change what a query returns."""

import json
import pathlib
import random

import pytest

from live_tables import asked, explained, import_lists

FACTS = json.loads((pathlib.Path(__file__).parent.parent / "facts" / "endpoints.json").read_text(encoding="utf-8"))
GROUPS = "/hris/groups"
QUERIES = 12  # per list
MODELS = {"/hris/staffing-entity-skills": "hris_staffing_entity_skills"}  # whose name is not the table's


def filters(db, category):
    return db.execute("""SELECT f.endpoint, f.parameter, f.column_name, f.operator, f.not_null, e.table_name
                         FROM kombo.endpoint_filters f JOIN kombo.endpoints e ON e.path = f.endpoint
                         WHERE e.category = %s AND e.status <> 'deprecated' ORDER BY 1, 2""", [category])


def literal(value):
    return "'" + str(value).replace("'", "''") + "'"


def condition(draw, one, values):
    """A random condition that this filter is made for, or nearly so."""
    column, some = one["column_name"], [value for value in values if value is not None] or ["x"]
    value = draw.choice(some)
    if one["operator"] == "=":
        chosen = draw.sample(some, min(len(some), draw.randint(1, 3)))
        several = ", ".join(literal(v) for v in [*chosen, "none of these"])
        return draw.choice([f"{column} = {literal(value)}", f"{column} IN ({several})",
                            f"{column} = ANY (ARRAY[{several}])", f"lower({column}) = lower({literal(value)})",
                            f"{column} <> {literal(value)}", f"{literal(value)} = {column}"])
    if one["operator"] == "like":
        part = value[1:4] if len(value) > 4 else value
        return draw.choice([f"{column} LIKE {literal('%' + part + '%')}", f"{column} LIKE {literal(value[:3] + '%')}",
                            f"{column} = {literal(value)}", f"{column} ILIKE {literal('%' + part + '%')}",
                            f"{column} LIKE {literal('%' + part.replace(part[:1], '_', 1) + '%')}"])
    if one["operator"] == "@>":
        element = json.loads(value) if isinstance(value, str) else value
        ids = [{"id": e["id"]} for e in element[:2]] or [{"id": "x"}]
        return f"{column} @> {literal(json.dumps(draw.choice([ids, ids[:1]])))}::jsonb"
    operator = draw.choice([one["operator"], one["operator"] + "="])
    bound = f"{column} {operator} {literal(value)}"
    other = f" AND {one['not_null']} IS NOT NULL" if one["not_null"] and draw.random() < 0.7 else ""
    return bound + other


@pytest.mark.time_limit(400)
@pytest.mark.sandbox(employees=150)
@pytest.mark.parametrize("category", ["HRIS", "ATS", "LMS"])
def test_random_conditions_return_what_they_return_of_a_copy(db, sandbox, category):
    sandbox.change_integration(category=category)
    import_lists(db, remote=category.lower(), integration_id=sandbox.integration)
    draw = random.Random(14)
    ours = filters(db, category)
    assert {one["endpoint"] for one in ours} == {row["path"] for row in db.execute(
        "SELECT path FROM kombo.endpoints WHERE category = %s AND status <> 'deprecated'", [category])}
    for path in sorted({one["endpoint"] for one in ours}):
        its = [one for one in ours if one["endpoint"] == path]
        table = its[0]["table_name"]
        for victim in db.execute(f"SELECT id FROM live.{table} LIMIT 2"):
            sandbox.record("delete", MODELS.get(path, table), victim["id"])
        db.execute(f"CREATE TEMP TABLE copy_of_{table} AS SELECT * FROM live.{table}")
        values = {one["column_name"]: [row["v"] for row in db.execute(
            f"SELECT {one['column_name']} AS v FROM copy_of_{table} ORDER BY id")] for one in its}
        sandbox.clear_requests()
        for _ in range(QUERIES):
            chosen = draw.sample(its, min(len(its), draw.randint(1, 2)))
            texts = [condition(draw, one, values[one["column_name"]]) for one in chosen]
            texts += draw.choice([[], [], ["remote_deleted_at IS NULL"], ["remote_deleted_at IS NOT NULL"],
                                  ["changed_at > '2024-06-01'"], ["changed_at >= now() - interval '1 day'"]])
            where = " AND ".join(texts) if draw.random() < 0.9 else " OR ".join(texts)
            rows, copy = [db.execute(f"SELECT to_jsonb(t) AS row FROM {source} t WHERE {where} ORDER BY t.id")
                          for source in (f"live.{table}", f"copy_of_{table}")]
            assert rows == copy, f"{path}: {where}"
        sent = {name for request in asked(sandbox, path) for name in request}
        if len(its) > 2:
            assert sent & {one["parameter"] for one in its if one["operator"] == "="}, f"{path}: nothing was sent"


def test_only_what_is_not_deleted_is_asked_for_if_no_more_is_wanted(imported, sandbox):
    imported.execute("SELECT id FROM live.hris_teams WHERE remote_deleted_at IS NULL")
    imported.execute("SELECT id FROM live.hris_teams WHERE changed_at > '2024-01-31 12:00+00'")
    assert asked(sandbox, GROUPS) == [
        {}, {"include_deleted": "true", "updated_after": "2024-01-31T11:59:59.999Z"}]


def test_dates_of_absences_are_sent_only_where_each_reading_of_kombos_filter_is_safe(imported):
    query = "SELECT id FROM live.hris_absences WHERE start_date >= '2024-03-01'"
    assert "date_from" not in explained(imported, query, "VERBOSE")
    both = explained(imported, query + " AND end_date <= '2024-04-01'", "VERBOSE")
    assert "date_from=2024-03-01" in both and "date_until=2024-04-01" in both


def test_every_filter_of_the_catalogue_is_one_that_kombo_publishes_for_a_column_that_we_have(db):
    for row in db.execute("SELECT DISTINCT lower(category) AS remote FROM kombo.endpoints"):
        import_lists(db, **row)
    for one in db.execute("""SELECT f.*, e.table_name, e.status FROM kombo.endpoint_filters f
                             JOIN kombo.endpoints e ON e.path = f.endpoint"""):
        published = FACTS["endpoints"].get(one["endpoint"])
        assert published is None or one["parameter"] in published["parameters"], one
        columns = {row["attname"] for row in db.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass", [f"live.{one['table_name']}"])}
        assert {one["column_name"], one["not_null"] or "id"} <= columns, one


def test_a_filter_of_your_own_is_a_row(imported, sandbox):
    query = "SELECT id FROM live.hris_employees WHERE last_name = 'Nobody'"
    imported.execute("INSERT INTO kombo.endpoint_filters (endpoint, parameter, column_name, operator) "
                     "VALUES ('/hris/employees', 'last_names', 'last_name', '=')")
    assert "last_names=Nobody" in explained(imported, query, "VERBOSE")
