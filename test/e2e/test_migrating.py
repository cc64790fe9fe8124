"""docs/migrating.md: from the guide's service, and from a pipeline, by the statements of the page."""

import pathlib

import pytest

from documents import block
from syncing import assert_ok, one, same_as_sandbox, sync_full
from worker import asked, runs, until, wait_synced

PAGE = "docs/migrating.md"
GUIDE = pathlib.Path(__file__).parents[1] / "bench" / "guide.sql"
EMPLOYEES = "/hris/employees"


def run(db, text):
    script = db.cluster.folder / "migrating.sql"
    script.write_text(text, encoding="utf-8")
    return db.cluster.program("psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", db.name, "-f", script)


@pytest.fixture
def guided(served, sandbox):
    """A database with a worker, no integration, and the tables of the guide's service as this left them when it last
    fetched: what Kombo returns without include_deleted."""
    served.add_integration(sandbox.integration)
    wait_synced(served)
    served.execute(GUIDE.read_text(encoding="utf-8"))
    for name in [row["tablename"] for row in served.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'guide' AND tablename LIKE 'hris%'")]:
        served.execute(f"INSERT INTO guide.{name} SELECT * FROM kombo.{name}")
        served.execute(f"ALTER TABLE guide.{name} DROP COLUMN extra, DROP COLUMN synced_at")
    served.execute("DELETE FROM guide.hris_employees WHERE remote_deleted_at IS NOT NULL")
    served.execute("DELETE FROM guide.hris_employments WHERE remote_deleted_at IS NOT NULL")
    served.execute("SELECT kombo.remove_integration(%s, purge => true)", [sandbox.integration])
    assert served.value("SELECT count(*) FROM kombo.hris_employees") == 0
    served.execute("""INSERT INTO guide.integrations (kombo_integration_id, last_fetched_from_kombo_at)
                      VALUES (%s, now())""", [sandbox.integration])
    return served


def test_the_rows_of_the_guides_service_are_taken_over_without_fetching_them_again(guided, sandbox):
    changed, gone, gone_before = [row["id"] for row in
                                  guided.execute("SELECT id FROM guide.hris_employees ORDER BY id LIMIT 3")]
    sandbox.record("delete", "hris_employees", gone_before, at="2026-01-01T00:00:00Z")
    sandbox.record("change", "hris_employees", changed, {"last_name": "After"})
    sandbox.record("delete", "hris_employees", gone)
    sandbox.record("create", "hris_employees", "the-new-one", {"last_name": "Newly"})
    stored = guided.value("SELECT count(*) FROM guide.hris_employees")
    sandbox.clear_requests()

    run(guided, block(PAGE, "guide.integrations;\n\n"))
    wait_synced(guided)
    first, = asked(sandbox, EMPLOYEES)
    assert "updated_after" in first["params"], first
    its, = runs(guided, EMPLOYEES)
    assert its["kind"] == "delta" and its["status"] == "ok" and its["received"] < stored / 2, its
    assert {run["kind"] for run in runs(guided, "/hris/groups")} == {"full"}, "a list that was not carried over"
    assert one(guided, "hris_employees", changed)["last_name"] == "After"
    assert one(guided, "hris_employees", "the-new-one")["last_name"] == "Newly"
    assert one(guided, "hris_employees", gone)["remote_deleted_at"]
    assert one(guided, "hris_employees", gone_before)["remote_deleted_at"] is None, "the page says that it looks alive"

    guided.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
    wait_synced(guided)
    assert one(guided, "hris_employees", gone_before)["remote_deleted_at"]
    same_as_sandbox(guided, sandbox)


def test_what_the_service_did_not_store_is_filled_by_the_first_full_sync(guided, sandbox):
    guided.execute("ALTER TABLE guide.hris_employees DROP COLUMN job_title")
    run(guided, block(PAGE, "guide.integrations;\n\n"))
    wait_synced(guided)
    assert guided.value("SELECT count(job_title) FROM kombo.hris_employees") == 0
    guided.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
    wait_synced(guided)
    same_as_sandbox(guided, sandbox)


def test_a_time_of_the_service_that_is_too_long_ago_leads_to_a_full_sync(guided, sandbox):
    guided.execute("UPDATE guide.integrations SET last_fetched_from_kombo_at = now() - interval '13 days 1 hour'")
    run(guided, block(PAGE, "guide.integrations;\n\n"))
    wait_synced(guided)
    until(guided, lambda: "full" in {run["kind"] for run in runs(guided, EMPLOYEES)}, what="a full sync")
    same_as_sandbox(guided, sandbox)


def test_a_copy_of_a_pipelines_is_compared_and_switched(hris, sandbox):
    assert_ok(sync_full(hris))
    hris.execute("CREATE SCHEMA airbyte")
    hris.execute("""CREATE TABLE airbyte.employees AS
                    SELECT gen_random_uuid() AS _airbyte_raw_id, now() AS _airbyte_extracted_at, id, first_name,
                           last_name, work_email, employment_status, start_date
                    FROM kombo.hris_employees WHERE remote_deleted_at IS NULL""")
    compare = block(PAGE, "AS only_new")
    assert run(hris, compare).strip() == "0|0|0"
    changed, missing = [row["id"] for row in hris.execute("SELECT id FROM airbyte.employees ORDER BY id LIMIT 2")]
    hris.execute("UPDATE airbyte.employees SET last_name = 'Stale' WHERE id = %s", [changed])
    hris.execute("DELETE FROM airbyte.employees WHERE id = %s", [missing])
    hris.execute("INSERT INTO airbyte.employees (id, last_name) VALUES ('deleted-long-ago', 'Gone')")
    assert run(hris, compare).strip() == "1|1|1"

    run(hris, block(PAGE, "RENAME TO employees_old"))
    assert run(hris, compare).strip() == "0|0|0"
    alive = sandbox.count("hris_employees", include_deleted=False)
    assert hris.value("SELECT count(*) FROM airbyte.employees") == alive
