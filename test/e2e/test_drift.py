"""What somebody wrote by hand into the copy, a full sync repairs."""

import pytest

from syncing import assert_ok, last_run, result_of, rows, same_as_sandbox, sync_delta, sync_full

FAR = "'2099-01-01T00:00:00Z'::timestamptz"
EDITS = {
    "a text": "SET last_name = 'Drift'",
    "NULL": "SET last_name = NULL, work_email = NULL",
    "a date": "SET date_of_birth = coalesce(date_of_birth, current_date) + 1",
    "the digits of a number": "SET weekly_hours = coalesce(weekly_hours, 1) + 0.00000",
    "a jsonb": "SET home_address = '{\"city\": \"Nowhere\"}'",
    "extra": "SET extra = '{\"drift\": true}'",
    "no changed_at": "SET changed_at = NULL",
    "changed_at in the future": f"SET last_name = 'Drift', changed_at = {FAR}",
    "synced_at in the future": f"SET last_name = 'Drift', synced_at = {FAR}",
    "both in the future": f"SET last_name = 'Drift', changed_at = {FAR}, synced_at = {FAR}",
    "synced_at NULL": "SET last_name = 'Drift', synced_at = NULL",
    "infinite times": "SET last_name = 'Drift', changed_at = 'infinity', synced_at = 'infinity'",
    "a tombstone": "SET remote_deleted_at = now()",
}

OTHERS = {
    "text": "coalesce({column}, '') || 'x'",
    "boolean": "CASE WHEN {column} THEN NULL ELSE true END",
    "numeric": "coalesce({column}, 1) + 0.00000",
    "date": "coalesce({column}, current_date) + 1",
    "time without time zone": "coalesce({column}, '1:00') + interval '1 microsecond'",
    "timestamp with time zone": "coalesce({column}, now()) - interval '1 microsecond'",
    "jsonb": "jsonb_build_array({column})",
}


@pytest.fixture
def full(hris, sandbox):
    """`hris` after a first full sync."""
    assert_ok(sync_full(hris))
    same_as_sandbox(hris, sandbox)
    return hris


def first_id(db, table):
    return db.value(f"SELECT id FROM kombo.{table} WHERE remote_deleted_at IS NULL ORDER BY id LIMIT 1")


def invent(db, table, new_id, changes="'{}'"):
    """A copy of the table's first row under another id."""
    db.execute(f"""INSERT INTO kombo.{table}
                   SELECT (jsonb_populate_record(t, jsonb_build_object('id', %s::text) || {changes}::jsonb)).*
                   FROM kombo.{table} t ORDER BY t.id LIMIT 1""", [new_id])


def images(db, table):
    """Which row versions a table has."""
    return db.execute(f"SELECT ctid::text, xmin::text FROM kombo.{table} ORDER BY ctid")


def repaired(db, sandbox):
    assert_ok(sync_full(db))
    same_as_sandbox(db, sandbox)


def test_edited_employees_are_repaired(full, sandbox):
    edited = dict(zip(sorted(rows(full, "hris_employees")), EDITS.values()))
    for employee, edit in edited.items():
        full.execute(f"UPDATE kombo.hris_employees {edit} WHERE id = %s", [employee])
    result = assert_ok(sync_full(full, what="/hris/employees"))[0]
    same_as_sandbox(full, sandbox)
    assert (result["updated"], result["inserted"], result["deleted"]) == (len(EDITS), 0, 0)


def test_each_column_of_each_table_is_repaired(full, sandbox):
    """One after the other, in one row: rows are compared by a hash, which must have all of them in it."""
    met = set()
    for endpoint in full.execute("""SELECT table_name, path FROM kombo.endpoints
                                    WHERE path IN (SELECT endpoint FROM kombo.sync_state) ORDER BY path"""):
        table, path = endpoint["table_name"], endpoint["path"]
        columns = full.execute("""SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
                                  FROM pg_attribute a
                                  WHERE a.attrelid = ('kombo.' || %s)::regclass AND a.attnum > 0 AND a.attname NOT IN
                                        ('integration_id', 'id', 'synced_at', 'remote_deleted_at')""", [table])
        for column in columns:
            met.add(column["type"])
            edit = f'{column["name"]} = {OTHERS[column["type"]].format(column=column["name"])}'
            full.execute(f"UPDATE kombo.{table} SET {edit} WHERE id = %s", [first_id(full, table)])
            result = result_of(assert_ok(sync_full(full, what=path)), path)
            assert (result["updated"], result["inserted"]) == (1, 0), (table, edit, result)
    assert met == set(OTHERS)
    same_as_sandbox(full, sandbox)


@pytest.mark.parametrize("storage", ["main", "extended", "external"])
def test_values_that_lie_elsewhere_or_compressed_are_no_change(hris, sandbox, storage):
    employees = [record["id"] for record in sandbox.dump("hris_employees")][:6]
    texts = ["x", "x" * 126, "x" * 127, "x" * 5000, "".join(chr(33 + i * 7919 % 90) for i in range(9000)), "ä" * 90000]
    for employee, text in zip(employees, texts):
        sandbox.record("change", "hris_employees", employee,
                       set={"last_name": text, "custom_fields": {"a": text}, "new_at_kombo": [text]})
    for column in ("last_name", "custom_fields", "extra"):
        hris.execute(f"ALTER TABLE kombo.hris_employees ALTER {column} SET STORAGE {storage}")
    assert_ok(sync_full(hris, what="/hris/employees"))
    same_as_sandbox(hris, sandbox, tables=["hris_employees"])
    again = result_of(assert_ok(sync_full(hris, what="/hris/employees")), "/hris/employees")
    assert again["unchanged"] == sandbox.count("hris_employees"), again
    hris.execute("UPDATE kombo.hris_employees SET last_name = last_name || 'x'")
    again = result_of(assert_ok(sync_full(hris, what="/hris/employees")), "/hris/employees")
    assert again["updated"] == sandbox.count("hris_employees"), again


def test_extra_of_a_record_with_unknown_keys_is_repaired(hris, sandbox):
    employee = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", employee, set={"new_at_kombo": "kept"})
    assert_ok(sync_full(hris, what="/hris/employees"))
    assert rows(hris, "hris_employees")[employee]["extra"] == {"new_at_kombo": "kept"}
    for drift in (None, '{"new_at_kombo": "drift"}', "{}", "[]", '"text"'):
        hris.execute("UPDATE kombo.hris_employees SET extra = %s WHERE id = %s", [drift, employee])
        assert result_of(sync_full(hris, what="/hris/employees"), "/hris/employees")["updated"] == 1
        assert rows(hris, "hris_employees")[employee]["extra"] == {"new_at_kombo": "kept"}


def test_deleted_and_invented_rows_are_repaired(full, sandbox):
    tables = ["hris_employees", "hris_teams", "hris_employments", "hris_absences", "hris_staffing_entities",
              "hris_performance_reviews"]
    for table in tables:
        full.execute(f"DELETE FROM kombo.{table} WHERE id = (SELECT min(id) FROM kombo.{table})")
        invent(full, table, "Invented1")
        invent(full, table, "Invented2", f"jsonb_build_object('changed_at', {FAR}, 'synced_at', {FAR})")
        invent(full, table, "Invented3", "jsonb_build_object('changed_at', NULL, 'synced_at', NULL)")
    repaired(full, sandbox)
    for table in tables:
        gone = [row["remote_deleted_at"] for key, row in rows(full, table).items() if key.startswith("Invented")]
        assert len(gone) == 3 and None not in gone, table


def test_an_emptied_table_is_filled_again(full, sandbox):
    full.execute("DELETE FROM kombo.hris_employees")
    full.execute("TRUNCATE kombo.hris_join_employees_teams, kombo.hris_employments")
    repaired(full, sandbox)


def test_an_id_changed_by_hand_is_repaired(full, sandbox):
    employee = first_id(full, "hris_employees")
    full.execute("UPDATE kombo.hris_employees SET id = 'Renamed' WHERE id = %s", [employee])
    repaired(full, sandbox)
    stored = rows(full, "hris_employees")
    assert stored[employee]["remote_deleted_at"] is None and stored["Renamed"]["remote_deleted_at"] is not None


def test_a_tombstone_that_was_revived_by_hand_dies_again(hris, sandbox):
    employee = sandbox.dump("hris_employees")[3]["id"]
    sandbox.record("delete", "hris_employees", employee)
    assert_ok(sync_full(hris))
    hris.execute("UPDATE kombo.hris_employees SET remote_deleted_at = NULL WHERE id = %s", [employee])
    repaired(hris, sandbox)
    assert rows(hris, "hris_employees")[employee]["remote_deleted_at"] is not None


@pytest.mark.parametrize("synced_at", ["now()", FAR, "NULL::timestamptz"])
def test_invented_and_deleted_join_rows_are_repaired(full, sandbox, synced_at):
    """Of members with groups, of members without, of an employee who does not exist, to a group that does not."""
    full.execute("DELETE FROM kombo.hris_join_employees_teams WHERE ctid = "
                 "(SELECT min(ctid) FROM kombo.hris_join_employees_teams)")
    full.execute(f"""INSERT INTO kombo.hris_join_employees_teams (integration_id, employee_id, team_id, synced_at)
                     SELECT integration_id, id, 'InventedGroup', {synced_at} FROM kombo.hris_employees
                     UNION ALL VALUES (%s, 'InventedEmployee', 'InventedGroup', {synced_at})""", [sandbox.integration])
    full.execute(f"""INSERT INTO kombo.hris_join_staffing_entities_groups
                     (integration_id, staffing_entity_id, group_id, synced_at)
                     SELECT integration_id, 'InventedEntity', id, {synced_at} FROM kombo.hris_teams""")
    repaired(full, sandbox)


def test_a_column_of_a_join_row_is_repaired(full, sandbox):
    assert full.value("SELECT count(*) FROM kombo.hris_join_staffing_entities_skills") > 0
    full.execute("UPDATE kombo.hris_join_staffing_entities_skills SET expected_proficiency = '{\"drift\": 1}'")
    repaired(full, sandbox)


@pytest.mark.parametrize("synced_at", ["now()", FAR, "NULL::timestamptz"])
def test_nested_children_are_repaired_where_only_their_parents_are_subscribed(hris, sandbox, synced_at):
    hris.subscribe_only(sandbox.integration, "/hris/employees")
    assert_ok(sync_full(hris))
    children = ["hris_employments", "hris_time_off_balances"]
    tables = ["hris_employees", *children]
    same_as_sandbox(hris, sandbox, tables=tables)
    changed = f"jsonb_build_object('synced_at', {synced_at})"
    for table in children:
        hris.execute(f"DELETE FROM kombo.{table} WHERE id = (SELECT min(id) FROM kombo.{table})")
        hris.execute(f"UPDATE kombo.{table} SET remote_id = 'drift' WHERE id = (SELECT min(id) FROM kombo.{table})")
        invent(hris, table, "Invented", changed)
        invent(hris, table, "Orphan", changed + " || '{\"employee_id\": \"InventedEmployee\"}'")
    assert_ok(sync_full(hris))
    same_as_sandbox(hris, sandbox, tables=tables)


def test_a_child_that_was_given_to_another_parent_goes_back(hris, sandbox):
    hris.subscribe_only(sandbox.integration, "/hris/employees")
    assert_ok(sync_full(hris))
    hris.execute("""UPDATE kombo.hris_employments SET employee_id = (SELECT max(id) FROM kombo.hris_employees)
                    WHERE employee_id = (SELECT min(employee_id) FROM kombo.hris_employments)""")
    assert_ok(sync_full(hris))
    same_as_sandbox(hris, sandbox, tables=["hris_employees", "hris_employments"])


def test_drift_of_another_integration_is_left_alone(full, sandbox):
    full.execute("""INSERT INTO kombo.hris_teams (integration_id, id, name) SELECT 'other', id, 'Not yours'
                    FROM kombo.hris_teams""")
    repaired(full, sandbox)
    assert {row["name"] for row in rows(full, "hris_teams", "other").values()} == {"Not yours"}


def test_the_full_sync_after_a_repair_writes_nothing(full, sandbox):
    full.execute("UPDATE kombo.hris_employees SET last_name = 'Drift'")
    full.execute("DELETE FROM kombo.hris_join_employees_teams")
    repaired(full, sandbox)
    tables = [row["table_name"] for row in full.execute("SELECT table_name FROM kombo.data_tables")]
    before = {table: images(full, table) for table in tables}
    for result in assert_ok(sync_full(full)):
        assert (result["inserted"], result["updated"], result["deleted"]) == (0, 0, 0), result
    for table in tables:
        assert images(full, table) == before[table], table
    counts = last_run(full, "/hris/employees")["rows_by_table"]
    assert not [table for table, count in counts.items() if sum(count.values()) != count["unchanged"]], counts


def test_a_delta_does_not_look_for_drift_but_corrects_what_it_receives(full, sandbox):
    here, there = sorted(rows(full, "hris_employees"))[:2]
    full.execute(f"UPDATE kombo.hris_employees SET first_name = 'Drift', changed_at = {FAR}, synced_at = {FAR}")
    sandbox.record("change", "hris_employees", here, set={"job_title": "Chief"})
    assert_ok(sync_delta(full, what="/hris/employees"))
    stored = rows(full, "hris_employees")
    assert stored[here]["first_name"] != "Drift" and stored[there]["first_name"] == "Drift"
