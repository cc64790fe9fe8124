"""A copy of a database does not call Kombo until it is told to; then it goes on where its rows stand."""

import pytest

from cluster import Database
from syncing import one, same_as_sandbox
from worker import (asked, runs, send_webhook, serve, state_of, until, wait_judged, wait_requested, wait_synced,
                    workers_of)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"


@pytest.fixture(autouse=True)
def one_try(worker_cluster):
    """What fails ends the run at once: repeated requests are tested elsewhere."""
    worker_cluster.configure({"kombo_sync.max_retries": 0})


def status_of(db, endpoint, integration=None):
    return db.execute("""SELECT * FROM kombo.sync_status
                         WHERE endpoint = %s AND (%s::text IS NULL OR integration_id = %s)
                         ORDER BY integration_id""", [endpoint, integration, integration])[0]


def change_person(sandbox, value, integration=None):
    key = sandbox.dump("hris_employees", integration)[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": value}, integration=integration)
    return key


def test_a_dump_restored_elsewhere_stays_quiet_until_resume_and_goes_on_where_its_rows_stand(few, sandbox):
    cluster = few.cluster
    dump = cluster.folder / f"{few.name}.dump"
    cluster.program("pg_dump", "-Fc", "-f", dump, few.name)
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("pg_restore", "-d", copy.name, dump)
        serve(copy)  # and the original no more
        until(few, lambda: workers_of(few) == [], what="the end of the original's worker")
        key = change_person(sandbox, "Changed")
        sandbox.clear_requests()
        send_webhook(copy, sandbox)
        copy.execute("INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger) "
                     "VALUES (%s, %s, 'full', 'sql')", [sandbox.integration, GROUPS])
        wait_judged(copy)
        assert status_of(copy, EMPLOYEES)["state"] == "restored"
        send_webhook(copy, sandbox, "hris_teams")
        wait_judged(copy)
        assert sandbox.requests() == []
        copy.execute("DELETE FROM kombo.sync_requests WHERE kind = 'full'")
        copy.execute("SELECT kombo.resume(NULL)")
        until(copy, lambda: one(copy, "hris_employees", key)["job_title"] == "Changed", what="the row")
        wait_synced(copy)
        same_as_sandbox(copy, sandbox, tables=["hris_employees", "hris_teams"])
        began = [run["kind"] for run in runs(copy)]
        assert began.count("full") == 2, f"it began anew: {began}"
        assert all("updated_after" in r["params"] for r in sandbox.requests() if r["path"].startswith("/hris/"))
    finally:
        copy.drop()
        dump.unlink()


@pytest.mark.sandbox(employees=100)
def test_a_restored_copy_of_a_database_with_an_open_full_goes_on_with_it(few, sandbox):
    cluster = few.cluster
    sandbox.settings(page_size_max=10)
    sandbox.faults({"path": EMPLOYEES, "skip": 5, "hang": True})
    few.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['hris_employees'])", [sandbox.integration])
    wait_requested(few, sandbox, EMPLOYEES, 6)
    cursor = sandbox.requests(EMPLOYEES)[5]["params"]["cursor"]
    until(few, lambda: state_of(few, EMPLOYEES)["full_cursor"] == cursor, what="five batches")
    dump = cluster.folder / f"{few.name}.dump"
    cluster.program("pg_dump", "-Fc", "-f", dump, few.name)
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("pg_restore", "-d", copy.name, dump)
        serve(copy)
        until(few, lambda: workers_of(few) == [], what="the end of the original's worker")
        sandbox.clear_requests()
        sandbox.faults()
        copy.execute("SELECT kombo.resume(NULL)")
        wait_synced(copy)
        pages = [r["params"].get("cursor") for r in asked(sandbox, EMPLOYEES) if "updated_after" not in r["params"]]
        assert pages[0] == cursor and len(pages) == 5, pages
        same_as_sandbox(copy, sandbox, tables=["hris_employees"])
    finally:
        copy.drop()
        dump.unlink()
