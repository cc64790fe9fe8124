"""The catalogue of all categories and the tables made from it hold everything that Kombo publishes.

test/facts/endpoints.json: of each list its flags, relations ([relation, added or removed, linked record changed]: does
it move the record into updated_after?), query parameters and fields. A field is "type[?][ (format)][ VALUE|VALUE[|*]]":
`?` may be null, `|*` other values are to be expected; [] goes into a list, <X> is the variant X of a union.
"""

import json
import pathlib
import re

import pytest

FACTS = json.loads((pathlib.Path(__file__).parent.parent / "facts" / "endpoints.json").read_text(encoding="utf-8"))
ENDPOINTS = FACTS["endpoints"]

# Columns that every model table has without a row in kombo.fields.
IMPLICIT = {
    "integration_id": "text",
    "id": "text",
    "changed_at": "timestamp with time zone",
    "remote_deleted_at": "timestamp with time zone",
    "custom_fields": "jsonb",
    "remote_data": "jsonb",
    "extra": "jsonb",
    "synced_at": "timestamp with time zone",
}
IMPLICIT_OF_JOIN = {"integration_id", "extra", "synced_at"}
COLUMN_TYPE = {"time": "time without time zone", "timestamptz": "timestamp with time zone"}

# Kombo publishes no field of these models, or none by which their records could be told apart (roles come without ids,
# in a list of their user), so there is nothing to make a table of.
WITHOUT_FIELDS = {"hris_skill_rating_providers", "ats_join_users_roles", "ats_join_user_job_role_assignments"}


def rows(conn, sql):
    return conn.execute(sql).fetchall()


@pytest.fixture
def all_tables(hris_db):
    for category in ("ATS", "LMS", "ASSESSMENT"):
        hris_db.execute("SELECT kombo.create_tables(%s)", [category])
    return hris_db


@pytest.fixture
def catalogue(all_tables):
    return Catalogue(all_tables)


class Catalogue:
    def __init__(self, conn):
        self.endpoints = {
            path: {"table": table, "enabled": enabled, "paginated": paginated, "incremental": incremental,
                   "on_missing": on_missing, "status": status}
            for path, table, enabled, paginated, incremental, on_missing, status in rows(conn, """
                SELECT path, table_name, enabled, paginated, incremental, on_missing, status
                  FROM kombo.endpoints WHERE shipped""")
        }
        self.fields, self.keys, self.comments = {}, {}, {}
        self.fallback_keys = {}
        for table, column, field_type, json_key, fallback_keys, key, comment in rows(conn, """
                SELECT table_name, column_name, type, json_key, fallback_keys, key, comment
                  FROM kombo.fields WHERE shipped ORDER BY table_name, position"""):
            self.fields.setdefault(table, {})[column] = (field_type, json_key)
            self.fallback_keys[table, column] = fallback_keys
            self.comments[table, column] = comment
            if key:
                self.keys.setdefault(table, []).append(column)
        self.nested = {}
        for endpoint, path, relation, table, parent_column in rows(conn, """
                SELECT endpoint, json_path, relation, table_name, parent_column
                  FROM kombo.nested_records WHERE shipped"""):
            self.nested.setdefault((endpoint, path), []).append((relation, table, parent_column))
        self.models = {
            (endpoint, model): (role, delta)
            for endpoint, model, role, delta in rows(conn, """
                SELECT endpoint, model, role, delta FROM kombo.endpoint_models
                 WHERE shipped""")
        }
        self.columns = {}
        for table, column, sql_type in rows(conn, """
                SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
                  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                 WHERE c.relnamespace = 'kombo'::regnamespace
                   AND c.relkind IN ('r', 'p')
                   AND c.relname ~ '^(hris|ats|lms|assessment)_'
                   AND a.attnum > 0 AND NOT a.attisdropped"""):
            self.columns.setdefault(table, {})[column] = sql_type

    def tables(self):
        return (set(self.fields) | {e["table"] for e in self.endpoints.values()}
                | {table for targets in self.nested.values() for _, table, _ in targets})

    def place(self, endpoint, path, description):
        """None if the field has a place, else what is wrong with the one that was looked for."""
        return self._place_in(endpoint, self.endpoints[endpoint]["table"], [], path, description)

    def _place_in(self, endpoint, table, outer, path, description):
        # `outer` leads from the endpoint's record to the record that `table` holds, `path` from there to the field.
        key = ".".join(path)
        found = self._column_of(table, key)
        if found:
            return self._type_mismatch(table, *found, expected_type(path[-1], description))
        if any(json_key and json_key.startswith(key + ".") for _, json_key in self.fields.get(table, {}).values()):
            return None  # an object whose values are columns
        for end in range(1, len(path)):
            free_form = self._column_of(table, ".".join(path[:end]))
            if free_form and free_form[1] == "jsonb":
                return None
        problems = []
        for end in range(1, len(path) + 1):
            for _, target, _ in self.nested.get((endpoint, ".".join(outer + path[:end])), []):
                if end == len(path):
                    return None
                problem = self._place_in(endpoint, target, outer + path[:end], path[end:], description)
                if problem is None:
                    return None
                problems.append(problem)
        # The container of a nested record that is one level further down (skills of skills.skill).
        prefix = ".".join(outer + path) + "."
        if any(e == endpoint and p.startswith(prefix) for e, p in self.nested):
            return None
        return "; ".join(problems) or f'"{key}" is no field of {table} and in no nested record'

    def _column_of(self, table, key):
        for column, (field_type, json_key) in self.fields.get(table, {}).items():
            if json_key == key or key in self.fallback_keys[table, column]:
                return column, COLUMN_TYPE.get(field_type, field_type)
        if table not in self.keys and key in IMPLICIT:
            return key, IMPLICIT[key]
        return None

    def _type_mismatch(self, table, column, catalogued, expected):
        made = self.columns.get(table, {}).get(column)
        if expected == catalogued == made:
            return None
        return f"{table}.{column} should be {expected}, is {catalogued} in the catalogue and {made} in the table"


def steps(path):
    """The keys of a published path, with the marks of lists and variants taken off."""
    return re.sub(r"\[\]|<[^>]*>", "", path).split(".")


def expected_type(name, description):
    """The column type that a published field asks for, decided without the catalogue."""
    kind = re.match(r"\w+", description).group()
    published_format = re.search(r"\((.*?)\)", description)
    published_format = published_format.group(1) if published_format else None
    if kind == "string":
        if published_format in ("date", "date-time") and (name.endswith("_date") or name == "date_of_birth"):
            return "date"
        return {"date-time": "timestamp with time zone", "time": "time without time zone"}.get(published_format, "text")
    return {"boolean": "boolean", "number": "numeric", "integer": "numeric"}.get(kind, "jsonb")


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_every_published_field_has_a_place(catalogue, endpoint):
    assert endpoint in catalogue.endpoints, f"{endpoint} is not in kombo.endpoints"
    problems = {}
    for path, description in ENDPOINTS[endpoint]["fields"].items():
        # What a list holds is placed with the list.
        problem = catalogue.place(endpoint, steps(path), "array" if path.endswith("[]") else description)
        if problem:
            problems[path] = problem
    assert not problems


def test_a_field_that_the_catalogue_lacks_is_found(catalogue):
    assert catalogue.place("/hris/employees", ["shoe_size"], "number?")
    assert catalogue.place("/hris/employees", ["employments", "shoe_size"], "number?")
    assert catalogue.place("/hris/staffing-entities", ["skills", "skill", "shoe_size"], "number?")
    assert catalogue.place("/hris/employees", ["weekly_hours"], "string?")
    assert catalogue.place("/hris/employees", ["first_name"], "map?")


def test_the_catalogue_has_no_endpoint_or_field_that_nobody_published(catalogue):
    assert set(catalogue.endpoints) == set(ENDPOINTS)
    published = {}
    for endpoint, facts in ENDPOINTS.items():
        for path in facts["fields"]:
            whole = steps(path)
            published.setdefault(catalogue.endpoints[endpoint]["table"], set()).add(".".join(whole))
            for end in range(1, len(whole)):
                for _, table, _ in catalogue.nested.get((endpoint, ".".join(whole[:end])), []):
                    published.setdefault(table, set()).add(".".join(whole[end:]))
    invented = [f"{table}.{column}" for table, fields in catalogue.fields.items()
                for column, (_, own_key) in fields.items()
                for json_key in [own_key, *catalogue.fallback_keys[table, column]]
                if json_key is not None and json_key not in published.get(table, set())]
    assert not invented


def test_flags_follow_what_the_endpoint_takes(catalogue):
    for path, facts in ENDPOINTS.items():
        row, parameters = catalogue.endpoints[path], set(facts["parameters"])
        assert row["status"] == facts["status"], path
        # No delta of another list shows a renamed stage.
        wanted = facts["status"] in ("stable", "open_beta") or path == "/ats/application-stages"
        assert row["enabled"] == wanted, path
        assert row["paginated"] == facts["paginated"] == ({"cursor", "page_size"} <= parameters), path
        takes_delta = {"updated_after", "include_deleted"} <= parameters
        assert row["incremental"] == facts["updated_after"] == takes_delta, path
        # An order that is done is no open order any more.
        assert "ids" in parameters or row["on_missing"] == "delete", f"{path}: a sweep is confirmed by ids"
        # Kombo refreshes two months of timesheets only.
        assert row["on_missing"] == {"/hris/timesheets": "keep", "/assessment/orders/open": "delete"}.get(path, "mark")


def test_every_changed_model_is_known_and_its_deltas_are_those_published(catalogue):
    known = {model for _, model in catalogue.models}
    assert known == set(FACTS["changed_models_delta_endpoints"])
    for model, expected in FACTS["changed_models_delta_endpoints"].items():
        # /hris/teams is the deprecated twin of /hris/groups, which the facts leave out.
        deltas = {e for (e, m), (_, delta) in catalogue.models.items() if m == model and delta} - {"/hris/teams"}
        assert deltas == set(expected), model
        owners = {e for (e, m), (role, _) in catalogue.models.items() if m == model and role == "own"} - {"/hris/teams"}
        assert len(owners) <= 1, model
        assert model in catalogue.tables() or model in WITHOUT_FIELDS, model


def test_relations_that_move_the_parent_agree_with_the_delta_flags(catalogue):
    response_key = {"group_memberships": "groups", "interviewers": "users"}
    lists = {row["table"] for row in catalogue.endpoints.values()}
    for path, facts in ENDPOINTS.items():
        for relation, added_or_removed, linked_record in facts["relations"]:
            if relation == "system_role_assignment" or (path, relation) in {("/ats/notes", "application"),
                                                                            ("/ats/notes", "candidate")}:
                continue  # roles come without ids; a note has ids alone
            json_path = response_key.get(relation, relation)
            outer = [kind for end in range(1, len(json_path.split(".")))
                     for kind, _, _ in catalogue.nested[path, ".".join(json_path.split(".")[:end])]]
            targets = [target for (e, p), found in catalogue.nested.items()
                       if e == path and (p == json_path or p == json_path + ".skill") for target in found]
            assert targets, f"{path}: {relation} unfolds nowhere"
            for kind, table, _ in targets:
                role, delta = catalogue.models[path, table]
                assert delta == (added_or_removed if kind == "join" else linked_record), (path, relation, table)
                shown_by = {endpoint for endpoint, model in catalogue.models if model == table}
                is_own = table == catalogue.endpoints[path]["table"] or table not in lists and (
                    kind in ("join", "owned") and "linked" not in outer or shown_by == {path})
                assert (role == "own") == is_own, (path, table)


def test_every_table_and_column_of_the_catalogue_is_made(catalogue):
    for table in catalogue.tables():
        implicit = IMPLICIT_OF_JOIN if table in catalogue.keys else set(IMPLICIT)
        expected = {column: IMPLICIT[column] for column in implicit}
        for column, (field_type, _) in catalogue.fields[table].items():
            expected[column] = COLUMN_TYPE.get(field_type, field_type)
        made = catalogue.columns.get(table, {})
        assert {column: made.get(column) for column in expected} == expected, table


def test_nested_records_lead_to_columns_that_exist(catalogue):
    for (endpoint, path), targets in catalogue.nested.items():
        for relation, table, parent_column in targets:
            assert table in catalogue.fields, (endpoint, path)
            assert (relation == "join") == (table in catalogue.keys), (endpoint, path, table)
            if relation == "owned" or relation == "linked" and parent_column:
                assert parent_column in catalogue.fields[table], (endpoint, path)
            elif relation == "join":
                assert parent_column == catalogue.keys[table][0], (endpoint, path)
                assert catalogue.fields[table][parent_column][0] == "text", (endpoint, path)
            else:
                assert parent_column is None, (endpoint, path)


def test_every_shipped_field_and_endpoint_has_a_comment(catalogue, all_tables):
    assert [name for name, comment in catalogue.comments.items() if not comment] == []
    assert rows(all_tables, "SELECT path FROM kombo.endpoints WHERE shipped AND coalesce(comment, '') = ''") == []


def test_every_column_of_a_data_table_has_a_comment(all_tables):
    assert rows(all_tables, """
        SELECT c.relname, a.attname
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'kombo'::regnamespace AND c.relkind IN ('r', 'p')
           AND c.oid IN (SELECT relation FROM kombo.data_tables)
           AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL""") == []
