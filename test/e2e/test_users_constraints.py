"""What a user puts on the data tables meets a sync: foreign keys, other types, functions, partitions, constraints."""

import psycopg
import pytest

from syncing import (assert_ok, last_run, notices_of, outcome, result_of, rows, same_as_sandbox, status_of, sync_delta,
                     sync_full)

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"


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
    for _ in range(2):
        assert_ok(sync_full(small))
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
    assert heard[0].sqlstate == "42703" and '"ssn" of table kombo.hris_employees' in heard[0].message_primary
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


def test_an_index_on_a_wrapper_that_does_not_qualify_names_tells_so(small, sandbox):
    index = """CREATE FUNCTION public.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
               CREATE FUNCTION public.wrapper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT plain($1)';
               SET search_path = public;
               CREATE INDEX ON kombo.hris_teams (public.wrapper(name));
               RESET search_path"""
    if small.connection.info.server_version >= 170000:
        with pytest.raises(psycopg.errors.UndefinedFunction):  # it builds an index with a search_path of its own
            small.execute(index)
        return
    small.execute(index)
    heard = notices_of(small.connection)
    failed = result_of(sync_full(small), GROUPS)
    assert heard[0].sqlstate == "42883" and "search_path" in heard[0].message_hint
    assert "function plain(text) does not exist" in failed["error"] and 'SQL function "wrapper"' in failed["error"]
    assert status_of(small, EMPLOYEES)["state"] == "fresh"
    small.execute("ALTER FUNCTION public.wrapper(text) SET search_path = public")
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
