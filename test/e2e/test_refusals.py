"""What the database refuses: records that are parked, and errors that are no record's fault."""

import pytest

from syncing import (assert_ok, create_trigger, notices_of, outcome, result_of, rows, same_as_sandbox, status_of,
                     sync_delta, sync_full)

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"


def parked(db):
    return db.execute("SELECT * FROM kombo.rejected_records ORDER BY record_id")


REFUSALS = {
    "a CHECK": ("23514", "ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK (last_name <> 'Refused')",
                "ALTER TABLE kombo.hris_employees DROP CONSTRAINT of_user"),
    "a trigger": ("P0001", """CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                      IF NEW.last_name = 'Refused' THEN RAISE EXCEPTION 'not him'; END IF; RETURN NEW; END $$;
                  CREATE TRIGGER of_user BEFORE INSERT OR UPDATE ON kombo.hris_employees
                      FOR EACH ROW EXECUTE FUNCTION public.refuse()""",
                  "DROP TRIGGER of_user ON kombo.hris_employees"),
    "a unique index": ("23505", "CREATE UNIQUE INDEX of_user ON kombo.hris_employees (coalesce(job_title, id)) "
                                "WHERE last_name = 'Refused' OR job_title = 'Chief'", "DROP INDEX kombo.of_user"),
    "a division by zero": ("22012", "ALTER TABLE kombo.hris_employees ADD CONSTRAINT of_user CHECK "
                                    "(1 / CASE last_name WHEN 'Refused' THEN 0 ELSE 1 END = 1)",
                           "ALTER TABLE kombo.hris_employees DROP CONSTRAINT of_user"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_one_refused_record_of_a_page_is_parked_and_the_rest_is_stored(small, sandbox, what):
    state, refuse, allow = REFUSALS[what]
    employees = [record["id"] for record in sandbox.dump("hris_employees")]
    sandbox.record("change", "hris_employees", employees[3], set={"job_title": "Chief"})
    bad = sandbox.record("change", "hris_employees", employees[17],
                         set={"last_name": "Refused", "job_title": "Chief", "unknown": 0.5})
    small.execute(refuse)
    heard = notices_of(small.connection)
    results = assert_ok(sync_full(small))
    assert result_of(results, EMPLOYEES)["inserted"] == len(employees) - 1
    assert rows(small, "hris_employees").keys() == set(employees) - {bad["id"]}
    assert [row for row in rows(small, "hris_employments").values() if row["employee_id"] == bad["id"]] == []
    found = parked(small)
    assert [(p["integration_id"], p["endpoint"], p["record_id"], p["sqlstate"]) for p in found] == [
        (sandbox.integration, EMPLOYEES, bad["id"], state)]
    assert found[0]["record"]["last_name"] == "Refused" and found[0]["error"]
    assert found[0]["record"].keys() == bad.keys()
    assert [e["id"] for e in found[0]["record"]["employments"]] == [e["id"] for e in bad["employments"]]
    assert "could not be stored" in heard[0].message_primary and "rejected_records" in heard[0].message_hint
    assert status_of(small, EMPLOYEES)["rejected"] == 1
    # The next full tries it again: while it is refused, it stays parked once, and when it passes, it is gone.
    assert_ok(sync_full(small))
    again = parked(small)
    assert len(again) == 1 and again[0]["rejected_at"] > found[0]["rejected_at"]
    small.execute(allow)
    assert result_of(assert_ok(sync_full(small)), EMPLOYEES)["inserted"] == 1
    assert parked(small) == [] and status_of(small, EMPLOYEES)["rejected"] == 0
    same_as_sandbox(small, sandbox, tables=["hris_employees", "hris_employments"])


def test_a_parked_record_that_comes_good_by_a_delta_is_gone(small, sandbox):
    group = sandbox.dump("hris_teams")[0]["id"]
    sandbox.record("change", "hris_teams", group, set={"name": "Refused"})
    small.execute("ALTER TABLE kombo.hris_teams ADD CHECK (name <> 'Refused')")
    assert_ok(sync_full(small, what=GROUPS))
    assert [p["record_id"] for p in parked(small)] == [group]
    sandbox.record("change", "hris_teams", group, set={"name": "Fine"})
    assert_ok(sync_delta(small, what=GROUPS))
    assert parked(small) == [] and rows(small, "hris_teams")[group]["name"] == "Fine"


def test_a_parked_record_that_kombo_no_longer_has_is_gone_after_a_full(small, sandbox):
    new = sandbox.record("create", "hris_teams", set={"name": "Refused"})["id"]
    small.execute("ALTER TABLE kombo.hris_teams ADD CHECK (name <> 'Refused')")
    assert_ok(sync_full(small, what=GROUPS))
    assert [p["record_id"] for p in parked(small)] == [new]
    sandbox.record("purge", "hris_teams", new)
    assert_ok(sync_full(small, what=GROUPS))
    assert parked(small) == []


def test_a_row_whose_new_version_is_refused_stays_as_it_was(small, sandbox):
    assert_ok(sync_full(small))
    group = sandbox.dump("hris_teams")[0]
    sandbox.record("change", "hris_teams", group["id"], set={"name": "Refused"})
    small.execute("ALTER TABLE kombo.hris_teams ADD CHECK (name <> 'Refused')")
    assert_ok(sync_full(small))
    row = rows(small, "hris_teams")[group["id"]]
    assert (row["name"], row["remote_deleted_at"]) == (group["name"], None)


def test_a_refused_child_parks_its_parent(small, sandbox):
    employee = next(r for r in sandbox.dump("hris_employees") if r["employments"])
    sandbox.record("change", "hris_employments", employee["employments"][0]["id"], set={"job_title": "Refused"})
    small.execute("ALTER TABLE kombo.hris_employments ADD CHECK (job_title <> 'Refused')")
    assert_ok(sync_full(small))
    assert [p["record_id"] for p in parked(small)] == [employee["id"]]
    assert employee["id"] not in rows(small, "hris_employees")
    assert len(rows(small, "hris_employees")) == len(sandbox.dump("hris_employees")) - 1


def test_a_foreign_key_of_the_users_parks_what_comes_too_early(small, sandbox):
    small.execute("ALTER TABLE kombo.hris_employments ADD FOREIGN KEY (integration_id, employee_id) "
                  "REFERENCES kombo.hris_employees (integration_id, id)")
    assert_ok(sync_full(small))  # parents are written before their children
    assert parked(small) == []
    same_as_sandbox(small, sandbox, tables=["hris_employees", "hris_employments"])


@pytest.mark.sandbox(employees=510)
def test_more_than_a_thousand_refusals_fail_the_endpoint_and_park_nothing(hris, sandbox):
    hris.subscribe_only(sandbox.integration, "/hris/absences", GROUPS)
    assert len(sandbox.dump("hris_absences")) > 1000
    hris.execute("ALTER TABLE kombo.hris_absences ADD CONSTRAINT of_user CHECK (id IS NULL)")
    heard = notices_of(hris.connection)
    results = sync_full(hris)
    assert outcome(results) == {"/hris/absences": "failed", GROUPS: "ok"}
    assert parked(hris) == [] and rows(hris, "hris_absences") == []
    warning = [one for one in heard if "/hris/absences " in one.message_primary][0]
    assert "of_user" in warning.message_primary and "constraint" in warning.message_hint


# --- what is no record's fault -----------------------------------------------------------------------------------

def test_a_lock_that_is_not_granted_fails_the_endpoints_that_need_it_alone(small, sandbox):
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    small.execute("SET lock_timeout = '300ms'")
    with small.connect(autocommit=False) as other:
        other.execute("LOCK TABLE kombo.hris_teams")
        assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "failed", "/hris/locations": "ok"}
        assert parked(small) == []
        other.rollback()
    assert_ok(sync_full(small))


@pytest.mark.parametrize("state", ["53100", "42501", "XX000", "40001"])
def test_another_error_of_a_trigger_fails_that_endpoint_alone_and_parks_nothing(small, sandbox, state):
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    create_trigger(small, "hris_teams", f"RAISE EXCEPTION 'of the user' USING ERRCODE = '{state}', HINT = 'Think.';")
    heard = notices_of(small.connection)
    results = sync_full(small, what=["/hris/locations", GROUPS])
    assert outcome(results) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert parked(small) == [] and result_of(results, GROUPS)["error"].startswith("of the user (in ")
    assert [(one.sqlstate, one.message_hint) for one in heard] == [(state, "Think.")]


@pytest.mark.parametrize("how, statement", [
    ("a deferred constraint trigger", """
        CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER of_user AFTER INSERT OR UPDATE ON kombo.hris_teams DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.late()"""),
    ("a trigger that makes a temporary table", """
        CREATE FUNCTION public.temporary() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            CREATE TEMPORARY TABLE mine (n int); RETURN NEW; END $$;
        CREATE TRIGGER of_user BEFORE INSERT OR UPDATE ON kombo.hris_teams
            FOR EACH ROW EXECUTE FUNCTION public.temporary()""")], ids=["deferred", "temporary"])
def test_what_cannot_run_in_the_restricted_context_fails_with_a_hint(small, sandbox, how, statement):
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    small.execute(statement)
    heard = notices_of(small.connection)
    assert outcome(sync_full(small, what=["/hris/locations", GROUPS])) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert len(heard) == 1 and heard[0].sqlstate == "42501", how
    assert "security-restricted" in heard[0].message_primary and "deferred constraints" in heard[0].message_hint
    assert parked(small) == []
    small.execute("DROP TRIGGER of_user ON kombo.hris_teams")
    assert_ok(sync_full(small))


def test_a_trigger_that_calls_the_sync_is_refused_with_a_hint(small, sandbox):
    small.execute("GRANT EXECUTE ON FUNCTION kombo.kombo_sync_delta(text, text[]) TO kombo_owner")
    create_trigger(small, "hris_teams", "PERFORM kombo.kombo_sync_delta(); RETURN NEW;")
    heard = notices_of(small.connection)
    assert outcome(sync_full(small))[GROUPS] == "failed"
    warning = [one for one in heard if GROUPS + " " in one.message_primary][0]
    assert warning.sqlstate == "55006" and "trigger" in warning.message_hint
    small.execute("DROP TRIGGER of_user ON kombo.hris_teams")
    assert_ok(sync_full(small))


def test_a_table_that_was_dropped_fails_its_endpoint_and_says_how_to_make_it(small, sandbox):
    small.execute("DROP TABLE kombo.hris_teams")
    small.execute("DELETE FROM kombo.subscriptions WHERE endpoint = '/hris/locations'")
    heard = notices_of(small.connection)
    assert outcome(sync_full(small, what=["/hris/locations", GROUPS])) == {GROUPS: "failed", "/hris/locations": "ok"}
    assert heard[0].sqlstate == "42P01" and "create_tables" in heard[0].message_hint
    small.execute("SELECT kombo.create_tables('HRIS')")
    assert_ok(sync_full(small))
    same_as_sandbox(small, sandbox, tables=["hris_teams"])


def test_forced_row_security_fails_rather_than_hides_rows(small, sandbox):
    small.execute("ALTER TABLE kombo.hris_teams ENABLE ROW LEVEL SECURITY")
    small.execute("ALTER TABLE kombo.hris_teams FORCE ROW LEVEL SECURITY")
    results = sync_full(small, what=GROUPS)
    assert outcome(results) == {GROUPS: "failed"} and "row-level security" in results[0]["error"]
