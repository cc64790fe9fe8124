"""The data tables are the user's: columns, triggers, policies and catalogue rows of his own, dumps."""

import json

import psycopg

from cluster import Database
from syncing import (Background, assert_ok, last_run, notices_of, outcome, result_of, rows, same_as_sandbox,
                     status_of, sync_delta, sync_full, wait_until)

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"


USERS_OWN = """
    ALTER TABLE kombo.hris_employees ADD COLUMN note text DEFAULT 'none',
        ADD COLUMN full_name text GENERATED ALWAYS AS (first_name || ' ' || last_name) STORED;
    CREATE INDEX by_full_name ON kombo.hris_employees (lower(full_name));
    CREATE TABLE public.audit (employee_id text, at timestamptz DEFAULT now());
    GRANT INSERT ON public.audit TO kombo_owner;
    CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.audit (employee_id) VALUES (NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER audited AFTER INSERT OR UPDATE ON kombo.hris_employees
        FOR EACH ROW EXECUTE FUNCTION public.audit();
    ALTER TABLE kombo.hris_employees ENABLE ROW LEVEL SECURITY;
    CREATE POLICY only_active ON kombo.hris_employees FOR SELECT USING (employment_status = 'ACTIVE');
    ALTER TABLE kombo.hris_employees ADD CONSTRAINT has_id CHECK (id <> '');
    CREATE VIEW public.staff AS SELECT e.full_name, g.team_id FROM kombo.hris_employees e
        JOIN kombo.hris_join_employees_teams g ON g.employee_id = e.id"""

OBJECTS = """
    SELECT 'column' AS kind, attname::text AS name, pg_get_expr(adbin, adrelid) AS definition FROM pg_attribute
        LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
        WHERE attrelid = 'kombo.hris_employees'::regclass AND attnum > 0
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'kombo' AND tablename = 'hris_employees'
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        AND tgrelid = 'kombo.hris_employees'::regclass
    UNION ALL SELECT 'policy', polname, pg_get_expr(polqual, polrelid) FROM pg_policy
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = 'kombo.hris_employees'::regclass
    UNION ALL SELECT 'row security', relrowsecurity::text, relowner::regrole::text FROM pg_class
        WHERE oid = 'kombo.hris_employees'::regclass
    UNION ALL SELECT 'comment', 'work_email', col_description('kombo.hris_employees'::regclass,
        (SELECT attnum FROM pg_attribute WHERE attrelid = 'kombo.hris_employees'::regclass AND attname = 'work_email'))
    ORDER BY 1, 2, 3"""


def everything(db):
    """The rows of all tables of schema kombo, as text."""
    tables = db.execute("SELECT oid::regclass::text AS name FROM pg_class WHERE relnamespace = 'kombo'::regnamespace "
                        "AND relkind = 'r' ORDER BY 1")
    return {t["name"]: [row["r"] for row in db.execute(f"SELECT r::text FROM {t['name']} r ORDER BY r::text")]
            for t in tables}


def test_what_the_user_added_survives_syncs(small, sandbox):
    small.execute(USERS_OWN)
    before = small.execute(OBJECTS)
    assert_ok(sync_full(small))
    employees = rows(small, "hris_employees")
    one = next(iter(employees))
    assert all(e["full_name"] == f'{e["first_name"]} {e["last_name"]}' for e in employees.values()
               if e["first_name"] and e["last_name"])
    assert small.value("SELECT count(*) FROM public.audit") == len(employees)
    small.execute("UPDATE kombo.hris_employees SET note = 'mine' WHERE id = %s", [one])
    sandbox.record("change", "hris_employees", one, set={"last_name": "Renamed"})
    assert_ok(sync_full(small))
    after = rows(small, "hris_employees")[one]
    assert after["note"] == "mine" and after["full_name"].endswith(" Renamed")
    result = result_of(assert_ok(sync_full(small)), EMPLOYEES)
    assert (result["updated"], result["unchanged"]) == (0, len(employees))
    same_as_sandbox(small, sandbox, tables=["hris_employees"])
    small.execute("SELECT kombo.create_tables('HRIS')")
    assert small.execute(OBJECTS) == before


def test_a_dump_restores_to_equal_rows_and_waits_for_resume(small, sandbox, cluster):
    small.execute(USERS_OWN)
    small.execute("INSERT INTO kombo.endpoints (path, category, table_name, enabled) "
                  "VALUES ('/hris/own', 'HRIS', 'own', false)")
    small.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    small.execute("ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK (last_name <> 'Refused')")
    refused, strange = [record["id"] for record in sandbox.dump("hris_employees")[:2]]
    sandbox.record("change", "hris_employees", refused, set={"last_name": "Refused"})
    sandbox.record("change", "hris_employees", strange, set={"new": [1.50], "custom_fields": {"n": 0.5}})
    assert_ok(sync_full(small))
    small.execute("UPDATE kombo.hris_employees SET note = 'mine' WHERE id = (SELECT min(id) FROM kombo.hris_employees)")
    small.execute("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}')")
    dump = cluster.folder / f"{small.name}.sql"
    cluster.program("pg_dump", "-d", small.name, "-f", dump)
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy.name, "-f", dump)
        assert copy.execute(OBJECTS) == small.execute(OBJECTS)
        here, there = everything(small), everything(copy)
        assert here.keys() == there.keys()
        for table, found in here.items():
            assert there[table] == found, table
        assert here["kombo.rejected_records"] and here["kombo.excluded_fields"]
        # It does not call Kombo by itself.
        sandbox.clear_requests()
        status = status_of(copy, EMPLOYEES)
        assert status["state"] == "restored" and "kombo.resume" in status["next"]
        assert status_of(small, EMPLOYEES)["state"] == "fresh"
        assert sync_full(copy) == [] and sync_delta(copy) == [] and sandbox.requests() == []
        copy.execute("SELECT kombo.resume(NULL)")
        copy.execute("ALTER TABLE kombo.hris_employees DROP CONSTRAINT of_user")
        result = result_of(assert_ok(sync_full(copy)), EMPLOYEES)
        assert (result["inserted"], result["updated"]) == (1, 0)
        assert status_of(copy, EMPLOYEES)["state"] == "fresh"
        same_as_sandbox(copy, sandbox, tables=["hris_teams"])
    finally:
        copy.drop()


def test_an_extension_that_is_dropped_leaves_the_data(small, sandbox):
    assert_ok(sync_full(small))
    count = small.value("SELECT count(*) FROM kombo.hris_employees")
    small.execute("DROP EXTENSION kombo_sync CASCADE")
    assert count and small.value("SELECT count(*) FROM kombo.hris_employees") == count


def test_fields_that_were_excluded_stay_excluded_when_the_extension_is_made_again(small, sandbox):
    assert_ok(sync_full(small))
    assert small.value("SELECT count(ssn) FROM kombo.hris_employees")
    small.execute("COMMENT ON COLUMN kombo.hris_employees.ssn IS 'Ours.'")
    small.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    said = """SELECT col_description('kombo.hris_employees'::regclass, attnum) FROM pg_attribute
              WHERE attrelid = 'kombo.hris_employees'::regclass AND attname = 'ssn'"""
    assert small.value(said) == "Excluded by kombo.exclude_field, always NULL. Ours."
    excluded = small.execute("SELECT table_name, column_name FROM kombo.excluded_fields ORDER BY 1, 2")
    small.execute("DROP EXTENSION kombo_sync CASCADE")
    heard = notices_of(small.connection)
    small.execute("CREATE EXTENSION kombo_sync")
    again = [notice for notice in heard if notice.message_primary.startswith("fields that were excluded before")]
    assert len(again) == 1 and "hris_employees.ssn" in again[0].message_primary
    assert small.execute("SELECT table_name, column_name FROM kombo.excluded_fields ORDER BY 1, 2") == excluded
    small.create_server(sandbox)
    small.add_integration(sandbox.integration, only=[EMPLOYEES])
    assert_ok(sync_full(small))
    assert small.value("SELECT count(*) FROM kombo.hris_employees")
    assert small.value("SELECT count(ssn) FROM kombo.hris_employees") == 0
    # Who wants it back deletes the row.
    small.execute("DELETE FROM kombo.excluded_fields")
    assert small.value(said) == "Ours."
    assert_ok(sync_full(small))
    assert small.value("SELECT count(ssn) FROM kombo.hris_employees")


def test_a_field_that_is_excluded_before_its_table_is_made_is_marked_when_it_is(small):
    small.execute("DROP TABLE kombo.hris_locations")
    small.execute("SELECT kombo.exclude_field('hris_locations', 'address')")
    small.execute("SELECT kombo.create_tables('HRIS')")
    assert small.value("SELECT col_description('kombo.hris_locations'::regclass, attnum) FROM pg_attribute WHERE "
                       "attrelid = 'kombo.hris_locations'::regclass AND attname = 'address'").startswith("Excluded by ")


# --- an endpoint by rows alone -----------------------------------------------------------------------------------

INVENTED = """
    INSERT INTO kombo.endpoints (path, category, table_name, comment) VALUES
        ('/hris/assets', 'HRIS', 'hris_assets', 'Things that employees use.');
    INSERT INTO kombo.endpoint_models (endpoint, model, role) VALUES
        ('/hris/assets', 'hris_assets', 'own'), ('/hris/assets', 'hris_asset_repairs', 'own'),
        ('/hris/assets', 'hris_vendors', 'carried');
    INSERT INTO kombo.fields (table_name, position, column_name, type, json_key, key) VALUES
        ('hris_assets', 1, 'remote_id', 'text', 'remote_id', false),
        ('hris_assets', 2, 'label', 'text', 'label', false),
        ('hris_assets', 3, 'price', 'numeric', 'price', false),
        ('hris_assets', 4, 'bought', 'date', 'bought', false),
        ('hris_assets', 5, 'vendor_id', 'text', 'vendor.id', false),
        ('hris_assets', 6, 'specs', 'jsonb', 'specs', false),
        ('hris_asset_repairs', 1, 'asset_id', 'text', 'asset_id', false),
        ('hris_asset_repairs', 2, 'cost', 'numeric', 'cost', false),
        ('hris_vendors', 1, 'name', 'text', 'name', false),
        ('hris_join_assets_users', 1, 'asset_id', 'text', NULL, true),
        ('hris_join_assets_users', 2, 'employee_id', 'text', 'id', true),
        ('hris_join_assets_users', 3, 'since', 'date', 'since', false);
    INSERT INTO kombo.nested_records (endpoint, json_path, relation, table_name, parent_column) VALUES
        ('/hris/assets', 'repairs', 'owned', 'hris_asset_repairs', 'asset_id'),
        ('/hris/assets', 'vendor', 'linked', 'hris_vendors', NULL),
        ('/hris/assets', 'users', 'join', 'hris_join_assets_users', 'asset_id')"""


def asset(id, **changes):
    record = {"id": id, "changed_at": "2024-05-01T00:00:00.000Z", "remote_deleted_at": None, "label": f"Laptop {id}",
              "price": 1299.5, "bought": "2024-04-30T00:00:00.000Z", "specs": {"ram": 32}, "colour": "grey",
              "vendor": {"id": "v1", "name": "ACME"},
              "repairs": [{"id": f"{id}-r1", "cost": 10}, {"id": f"{id}-r2", "cost": 20.25}],
              "users": [{"id": "e1", "since": "2024-05-01"}, {"id": "e2", "since": None}]}
    return {**record, **changes}


def serve(sandbox, *pages):
    """From now on these are the pages of /hris/assets; the last one again and again."""
    sandbox.faults()
    for number, page in enumerate(pages, 1):
        last = number == len(pages)
        data = {"results": page, "next": None if last else f"page{number}"}
        sandbox.faults({"path": "/hris/assets", "times": -1 if last else 1,
                        "body": json.dumps({"status": "success", "data": data})})


def test_an_endpoint_that_is_rows_alone_gets_its_tables_and_is_synced(hris, sandbox):
    hris.execute(INVENTED)
    assert hris.value("SELECT kombo.create_tables('HRIS')") == 4
    serve(sandbox, [asset("a1"), asset("a2")], [asset("a3", vendor={"id": "v2", "name": "Other"}, users=[])])
    sandbox.clear_requests()
    result = result_of(assert_ok(sync_full(hris)), "/hris/assets")
    assert (result["pages"], result["received"], result["inserted"]) == (2, 3, 3)
    assert [r["params"].get("cursor") for r in sandbox.requests("/hris/assets")] == [None, "page1"]
    first = rows(hris, "hris_assets")["a1"]
    assert (first["label"], str(first["price"]), str(first["bought"])) == ("Laptop a1", "1299.5", "2024-04-30")
    assert (first["vendor_id"], first["specs"], first["extra"]) == ("v1", {"ram": 32}, {"colour": "grey"})
    assert {key: (row["asset_id"], str(row["cost"])) for key, row in rows(hris, "hris_asset_repairs").items()} == {
        f"{a}-{r}": (a, cost) for a in ("a1", "a2", "a3") for r, cost in (("r1", "10"), ("r2", "20.25"))}
    assert {key: row["name"] for key, row in rows(hris, "hris_vendors").items()} == {"v1": "ACME", "v2": "Other"}
    assert sorted((r["asset_id"], r["employee_id"], str(r["since"])) for r in rows(hris, "hris_join_assets_users")) == [
        ("a1", "e1", "2024-05-01"), ("a1", "e2", "None"), ("a2", "e1", "2024-05-01"), ("a2", "e2", "None")]
    assert last_run(hris, "/hris/assets")["rows_by_table"]["hris_asset_repairs"]["inserted"] == 6

    # A delta by the name of its model: the list shorter, the join replaced, the linked record's columns.
    serve(sandbox, [asset("a1", label="Renamed", repairs=[{"id": "a1-r2", "cost": 20.25}], users=[{"id": "e3"}],
                          vendor={"id": "v1", "name": "New"}, changed_at="2030-01-01T00:00:00.000Z")])
    sandbox.clear_requests()
    delta = assert_ok(sync_delta(hris, what="hris_asset_repairs"))
    assert [(row["endpoint"], row["kind"], row["updated"]) for row in delta] == [("/hris/assets", "delta", 1)]
    assert "updated_after" in sandbox.requests("/hris/assets")[0]["params"]
    assert rows(hris, "hris_assets")["a1"]["label"] == "Renamed" and rows(hris, "hris_vendors")["v1"]["name"] == "New"
    repairs = rows(hris, "hris_asset_repairs")
    assert repairs["a1-r1"]["remote_deleted_at"] and not repairs["a1-r2"]["remote_deleted_at"]
    assert {r["employee_id"] for r in rows(hris, "hris_join_assets_users") if r["asset_id"] == "a1"} == {"e3"}

    # A full that lacks one: it goes with its children and joins.
    serve(sandbox, [asset("a1"), asset("a3")])
    assert result_of(assert_ok(sync_full(hris)), "/hris/assets")["deleted"] == 1
    assert rows(hris, "hris_assets")["a2"]["remote_deleted_at"]
    assert rows(hris, "hris_asset_repairs")["a2-r1"]["remote_deleted_at"]
    assert [r for r in rows(hris, "hris_join_assets_users") if r["asset_id"] == "a2"] == []


def test_an_endpoint_without_its_tables_fails_alone_and_says_so(small, sandbox):
    small.execute(INVENTED)
    serve(sandbox, [asset("a1")])
    heard = notices_of(small.connection)
    assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "ok", "/hris/assets": "failed"}
    assert heard[0].sqlstate == "42P01" and "create_tables" in heard[0].message_hint


def test_a_catalogue_row_that_names_another_table_is_refused(small, sandbox):
    """The catalogue may name only tables of the sync role."""
    small.execute("CREATE TABLE kombo.hris_foreign (integration_id text, id text, PRIMARY KEY (integration_id, id))")
    small.execute("INSERT INTO kombo.endpoints (path, category, table_name) "
                  "VALUES ('/hris/foreign', 'HRIS', 'hris_foreign')")
    serve(sandbox, [asset("a1")])
    try:
        assert outcome(sync_full(small)).get("/hris/foreign") == "failed"
    except psycopg.Error as error:
        assert "hris_foreign" in str(error) and error.diag.message_hint
    assert small.value("SELECT count(*) FROM kombo.hris_foreign") == 0


# --- one transaction ---------------------------------------------------------------------------------------------

def test_rolling_back_undoes_rows_watermark_and_run_together(small, sandbox):
    with small.connect(autocommit=False) as connection:
        assert_ok(connection.execute("SELECT * FROM kombo.kombo_sync_full()").fetchall())
        assert connection.execute("SELECT count(*) AS n FROM kombo.hris_employees").fetchone()["n"] > 0
        connection.rollback()
    for table in ("hris_employees", "sync_state", "sync_runs"):
        assert small.value(f"SELECT count(*) FROM kombo.{table}") == 0, table
    assert assert_ok(sync_delta(small))[0]["kind"] == "full"


def test_a_row_that_another_session_locks_is_waited_for(small, sandbox):
    assert_ok(sync_full(small))
    group = sandbox.dump("hris_teams")[0]["id"]
    sandbox.record("change", "hris_teams", group, set={"name": "Renamed"})
    with small.connect(autocommit=False) as other:
        other.execute("SELECT FROM kombo.hris_teams WHERE id = %s FOR UPDATE", [group])
        sync = Background(small, "SELECT * FROM kombo.kombo_sync_delta(NULL, ARRAY['/hris/groups'])")
        wait_until(lambda: small.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
                                       [sync.pid]) == "Lock")
        other.rollback()
    assert_ok(sync.result())
    assert rows(small, "hris_teams")[group]["name"] == "Renamed"
