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


# --- a user's foreign keys, types and functions ------------------------------------------------------------------

def refer_to(db, employee):
    db.execute("""CREATE TABLE public.app_users (integration_id text, employee_id text, CONSTRAINT app_user_is_employed
                  FOREIGN KEY (integration_id, employee_id) REFERENCES kombo.hris_employees (integration_id, id))""")
    db.execute("INSERT INTO public.app_users SELECT integration_id, id FROM kombo.hris_employees WHERE id = %s",
               [employee])


def warned(db, endpoint, kind):
    return [(w["table"], w["key"], w["count"]) for w in last_run(db, endpoint)["warnings"] or []
            if w["kind"].startswith(kind) and w["hint"]]


def test_a_row_that_a_foreign_key_refers_to_is_marked_where_others_are_deleted(small, sandbox):
    assert_ok(sync_full(small))
    people = sorted(record["id"] for record in sandbox.dump("hris_employees"))
    referred = people[1]
    refer_to(small, referred)
    small.execute("UPDATE kombo.subscriptions SET on_missing = 'delete' WHERE endpoint = %s", [EMPLOYEES])
    for person in people[:3]:
        sandbox.record("purge", "hris_employees", person)
    result = result_of(assert_ok(sync_full(small)), EMPLOYEES)
    assert result["deleted"] == 3
    left = rows(small, "hris_employees")
    assert left.keys() == set(people) - {people[0], people[2]} and left[referred]["remote_deleted_at"]
    assert warned(small, EMPLOYEES, "row kept") == [("hris_employees", "app_user_is_employed", 1)]
    small.execute("DELETE FROM public.app_users")
    assert result_of(assert_ok(sync_full(small)), EMPLOYEES)["deleted"] == 0


def test_a_row_that_a_foreign_key_refers_to_outlives_purge_after(small, sandbox):
    assert_ok(sync_full(small))
    people = sorted(record["id"] for record in sandbox.dump("hris_employees"))
    refer_to(small, people[0])
    small.execute("UPDATE kombo.subscriptions SET purge_after = '1 day' WHERE endpoint = %s", [EMPLOYEES])
    for person in people[:2]:
        sandbox.record("delete", "hris_employees", person, at="2020-01-01T00:00:00.000Z")
    for sync in (sync_delta, sync_full, sync_full):  # the first meets it in its page
        assert_ok(sync(small))
        left = rows(small, "hris_employees")
        assert left.keys() == set(people) - {people[1]} and left[people[0]]["remote_deleted_at"]
        assert warned(small, EMPLOYEES, "row kept")
    same_as_sandbox(small, sandbox, tables=["hris_teams"])
    small.execute("DELETE FROM public.app_users")
    assert_ok(sync_full(small))
    assert rows(small, "hris_employees").keys() == set(people[2:])


def test_a_link_that_a_foreign_key_refers_to_stays_and_its_record_is_stored(small, sandbox):
    assert_ok(sync_full(small))
    link = rows(small, "hris_join_employees_teams")[0]
    small.execute("""CREATE TABLE public.seats (integration_id text, employee_id text, team_id text, FOREIGN KEY
                     (integration_id, employee_id, team_id) REFERENCES kombo.hris_join_employees_teams)""")
    small.execute("INSERT INTO public.seats VALUES (%s, %s, %s)",
                  [link["integration_id"], link["employee_id"], link["team_id"]])
    sandbox.record("set_links", "hris_employees", link["employee_id"], list="groups", ids=[])
    sandbox.record("change", "hris_employees", link["employee_id"], set={"last_name": "Renamed"})
    assert_ok(sync_delta(small))
    assert rows(small, "hris_employees")[link["employee_id"]]["last_name"] == "Renamed"
    assert small.value("SELECT count(*) FROM kombo.rejected_records") == 0
    assert [row["team_id"] for row in rows(small, "hris_join_employees_teams")
            if row["employee_id"] == link["employee_id"]] == [link["team_id"]]
    assert warned(small, EMPLOYEES, "row kept")


def test_columns_of_other_types_are_compared_as_they_store_and_told(small, sandbox):
    assert_ok(sync_full(small))
    small.execute("""ALTER TABLE kombo.hris_employments ALTER pay_rate TYPE integer;
                     ALTER TABLE kombo.hris_employees ALTER weekly_hours TYPE numeric(12, 2),
                         ALTER changed_at TYPE timestamptz(0), ALTER remote_created_at TYPE timestamp,
                         ALTER last_name TYPE varchar(60), ALTER gender TYPE char(40), ALTER home_address TYPE json,
                         ALTER start_date TYPE text""")
    assert_ok(sync_full(small))
    before = {table: rows(small, table) for table in ("hris_employees", "hris_employments")}
    result = result_of(assert_ok(sync_full(small)), EMPLOYEES)
    assert (result["inserted"], result["updated"]) == (0, 0)
    assert last_run(small, EMPLOYEES)["rows_by_table"]["hris_employments"]["updated"] == 0
    assert before == {table: rows(small, table) for table in before}
    assert sorted((table, key) for table, key, _ in warned(small, EMPLOYEES, "column of another type")) == [
        ("hris_employees", "changed_at: timestamp(0) with time zone, not timestamp with tim"),
        ("hris_employees", "gender: character(40), not text"),
        ("hris_employees", "home_address: json, not jsonb"),
        ("hris_employees", "last_name: character varying(60), not text"),
        ("hris_employees", "remote_created_at: timestamp without time zone, not timestamp w"),
        ("hris_employees", "start_date: text, not date"),
        ("hris_employees", "weekly_hours: numeric(12,2), not numeric"),
        ("hris_employments", "pay_rate: integer, not numeric")]
    # What differs is written all the same, and what such a column refuses is parked.
    person, other = sorted(before["hris_employees"])[:2]
    sandbox.record("change", "hris_employees", person, set={"weekly_hours": 12.345})
    sandbox.record("change", "hris_employees", other, set={"last_name": "x" * 61})
    assert_ok(sync_delta(small))
    assert str(rows(small, "hris_employees")[person]["weekly_hours"]) == "12.35"
    assert small.value("SELECT record_id FROM kombo.rejected_records WHERE sqlstate = '22001'") == other


def test_a_column_that_is_gone_is_named_with_both_ways_out(small, sandbox):
    assert_ok(sync_full(small))
    small.execute("ALTER TABLE kombo.hris_employees DROP COLUMN ssn")
    heard = notices_of(small.connection)
    assert outcome(sync_full(small)) == {EMPLOYEES: "failed", GROUPS: "ok"}
    assert heard[0].sqlstate == "42703" and "hris_employees.ssn" in heard[0].message_primary
    assert "create_tables" in heard[0].message_hint and "exclude_field" in heard[0].message_hint
    small.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    assert_ok(sync_full(small))


def test_an_error_in_a_users_function_tells_where_and_why(small, sandbox):
    small.execute("""CREATE TABLE public.hr_audit (id text);
                     GRANT INSERT ON public.hr_audit TO kombo_owner;
                     CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS
                         $$ BEGIN INSERT INTO hr_audit VALUES (NEW.id); RETURN NULL; END $$;
                     CREATE TRIGGER audited AFTER INSERT ON kombo.hris_teams
                         FOR EACH ROW EXECUTE FUNCTION public.audit()""")
    heard = notices_of(small.connection)
    failed = result_of(sync_full(small), GROUPS)
    assert "PL/pgSQL function public.audit() line 1" in failed["error"]
    assert failed["error"] == status_of(small, GROUPS)["reason"].split(";")[0]
    assert heard[0].sqlstate == "42P01" and "search_path" in heard[0].message_hint
    assert '"kombo_owner"' in heard[0].message_hint
    small.execute("ALTER FUNCTION public.audit() SET search_path = public")
    assert_ok(sync_full(small))


def test_a_table_without_a_partition_for_the_integration_fails_and_parks_nothing(small, sandbox):
    small.execute("""ALTER TABLE kombo.hris_teams RENAME TO old;
                     CREATE TABLE kombo.hris_teams (LIKE kombo.old INCLUDING DEFAULTS, PRIMARY KEY (integration_id, id))
                         PARTITION BY LIST (integration_id);
                     ALTER TABLE kombo.hris_teams OWNER TO kombo_owner;
                     DROP TABLE kombo.old""")
    heard = notices_of(small.connection)
    assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "failed"}
    assert "no partition" in heard[0].message_primary and "PARTITION OF" in heard[0].message_hint
    assert small.value("SELECT count(*) FROM kombo.rejected_records") == 0
    assert status_of(small, GROUPS)["state"] == "failed"
    small.execute("""CREATE TABLE kombo.hris_teams_rest PARTITION OF kombo.hris_teams DEFAULT;
                     ALTER TABLE kombo.hris_teams_rest OWNER TO kombo_owner""")
    assert_ok(sync_full(small))
    same_as_sandbox(small, sandbox, tables=["hris_teams"])


def test_a_list_of_which_the_database_refuses_most_is_not_fresh(small, sandbox):
    small.execute("ALTER TABLE kombo.hris_teams ADD CONSTRAINT nothing CHECK (name = 'x')")
    assert_ok(sync_full(small))
    status = status_of(small, GROUPS)
    count = len(sandbox.dump("hris_teams"))
    assert status["state"] == "rejecting" and "rejected_records" in status["next"]
    assert status["reason"] == f"the database refused {count} of {count} records"
    assert status_of(small, EMPLOYEES)["state"] == "fresh"
    small.execute("ALTER TABLE kombo.hris_teams DROP CONSTRAINT nothing")
    assert_ok(sync_full(small))
    assert status_of(small, GROUPS)["state"] == "fresh"
