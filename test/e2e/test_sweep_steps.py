"""A sweep of more rows than one of its steps takes: all that is gone goes, and nothing else."""

import pytest

from syncing import assert_ok, create_trigger, one, result_of, sync_full
from worker import end_worker, runs, send_webhook, state_of, until, wait_synced

EMPLOYEES = "/hris/employees"
EMPLOYED = 12_000
GONE = 2_300
GHOSTS = 11_000
WITHOUT_PARENT = "SELECT count(*) FROM kombo.hris_join_employees_teams WHERE employee_id LIKE 'ghost%%'"

pytestmark = [pytest.mark.sandbox(employees=EMPLOYED), pytest.mark.time_limit(240)]


def leave(db, sandbox):
    """Thousands leave without a trace, and as many memberships of nobody are here; the ids that left."""
    ids = [row["id"] for row in db.execute("SELECT id FROM kombo.hris_employees ORDER BY md5(id) LIMIT %s", [GONE])]
    sandbox.admin("POST", "records", [{"model": "hris_employees", "op": "purge", "id": key} for key in ids])
    db.execute("""INSERT INTO kombo.hris_join_employees_teams (integration_id, employee_id, team_id)
                  SELECT %s, 'ghost' || n, 'team' || team FROM generate_series(1, %s) n, generate_series(1, 2) team""",
               [sandbox.integration, GHOSTS])
    return ids


def assert_swept(db, sandbox, ids):
    live = {row["id"] for row in db.execute("SELECT id FROM kombo.hris_employees WHERE remote_deleted_at IS NULL")}
    assert len(live) == EMPLOYED - GONE and not live & set(ids)
    assert db.value(WITHOUT_PARENT) == 0
    # Memberships of those who left go with them; all others are as Kombo has them.
    assert db.value("SELECT count(*) FROM kombo.hris_join_employees_teams WHERE employee_id = ANY (%s)", [ids]) == 0
    assert db.value("SELECT count(*) FROM kombo.hris_join_employees_teams") == \
        sandbox.count("hris_join_employees_teams")
    left = db.execute("""SELECT count(*) FILTER (WHERE m.remote_deleted_at IS NULL) AS live, count(*) AS all
                         FROM kombo.hris_employments m WHERE m.employee_id = ANY (%s)""", [ids])[0]
    assert left["live"] == 0 and left["all"] > GONE / 2


def test_a_call_sweeps_thousands(hris, sandbox):
    assert_ok(sync_full(hris, what=EMPLOYEES))
    ids = leave(hris, sandbox)
    result = result_of(assert_ok(sync_full(hris, what=EMPLOYEES)), EMPLOYEES)
    # Whoever has lost a manager is updated.
    assert (result["deleted"], result["unchanged"] + result["updated"]) == (GONE, EMPLOYED - GONE)
    assert_swept(hris, sandbox, ids)


def test_the_worker_sweeps_thousands_in_many_commits(served, sandbox):
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_synced(served, timeout=60)
    ids = leave(served, sandbox)
    served.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
    until(served, lambda: served.value("SELECT count(*) FROM kombo.sync_requests") == 0, 60, "the full fetch")
    run = runs(served, EMPLOYEES, kind="full")[-1]
    assert (run["status"], run["deleted"], run["unchanged"] + run["updated"]) == ("ok", GONE, EMPLOYED - GONE)
    assert_swept(served, sandbox, ids)
    # Each commit has its own xmin.
    times = served.value("SELECT count(DISTINCT xmin::text) FROM kombo.hris_employees WHERE id = ANY (%s)", [ids])
    assert times >= GONE / 1000
    assert state_of(served, EMPLOYEES)["full_started_at"] is None
    assert served.value("SELECT count(*) FROM kombo.sync_seen") == 0


def test_a_sweep_that_the_end_of_the_worker_cuts_short_goes_on_and_counts_all(served, sandbox):
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_synced(served, timeout=60)
    ids = leave(served, sandbox)
    with served.connect(autocommit=False) as user:
        user.execute("SELECT FROM kombo.hris_employees WHERE id = %s FOR UPDATE", [max(ids)])
        served.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
        until(served, lambda: served.value("SELECT count(*) FROM kombo.sync_progress WHERE phase = 'locked'") == 1, 60,
              "the step with the locked row")
        assert 0 < served.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NOT NULL") < GONE
        end_worker(served)
        user.rollback()
    until(served, lambda: served.value("SELECT count(*) FROM kombo.sync_requests") == 0, 60, "the full fetch")
    run = runs(served, EMPLOYEES, kind="full")[-1]
    assert (run["status"], run["deleted"]) == ("ok", GONE)
    assert_swept(served, sandbox, ids)


def test_a_webhook_of_another_integration_is_served_between_two_steps(served, sandbox):
    """Between two steps nothing is waited for; an answer that has come is noticed all the same."""
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_synced(served, timeout=60)
    leave(served, sandbox)
    sandbox.add_integration("hibob:small", employees=10)
    served.add_integration("hibob:small", category="HRIS", only=[EMPLOYEES])
    wait_synced(served, timeout=60)
    create_trigger(served, "hris_employees", """
        IF OLD.remote_deleted_at IS NULL AND NEW.remote_deleted_at IS NOT NULL THEN PERFORM pg_sleep(0.002); END IF;
        RETURN NEW;""", when="BEFORE UPDATE")
    served.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
    until(served, lambda: served.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NOT NULL"),
          60, "the first step of the sweep")
    key = sandbox.dump("hris_employees", "hibob:small")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": "Changed"}, integration="hibob:small")
    send_webhook(served, sandbox, integration="hibob:small")
    until(served, lambda: (one(served, "hris_employees", key) or {}).get("job_title") == "Changed", 60, "the row")
    wait_synced(served, timeout=60)
    full = runs(served, EMPLOYEES, sandbox.integration, kind="full")[-1]
    delta = runs(served, EMPLOYEES, "hibob:small", kind="delta")[-1]
    assert full["deleted"] == GONE and delta["id"] < full["id"]
