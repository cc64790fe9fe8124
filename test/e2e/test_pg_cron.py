"""The README's lines for pg_cron, run by the real pg_cron. A job fires at the next full minute, so what came of them is
looked at by a test that runs after all others."""

import pathlib
import re

import pytest

from cluster import TEMPLATE, Cluster, Database, needed
from sandbox import Sandbox
from syncing import assert_ok, sync_full
from worker import WORKER_SETTINGS, how_it_stands, new_served, runs, until, wait_synced

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
FUNCTIONS = ("kombo_sync_delta", "kombo_sync_full", "request_sync")


def readme_line(function):
    """The README's cron.schedule line that calls this function."""
    found = re.findall(rf"^SELECT cron\.schedule\(.*kombo\.{function}\(.*$", README, re.MULTILINE)
    assert found, f"the README schedules no kombo.{function} in one line"
    return found[0].rstrip("; ")


@pytest.fixture(scope="session")
def scheduled():
    """{function: Database} where a job of the README's is to run every minute, each in a database of its own, so that
    it is plain whose doing a run is; kombo_sync serves that of request_sync. "cron" is pg_cron's own."""
    cluster = Cluster(needed("KOMBO_PGBIN"), WORKER_SETTINGS.replace("'kombo_sync'", "'kombo_sync, pg_cron'")
                      + "cron.use_background_workers = on\n")
    sandbox = Sandbox(needed("KOMBO_SANDBOX"), employees=20)
    cluster.prepare_template()
    cluster.run("CREATE EXTENSION pg_cron")
    databases = {"cron": Database(cluster, "postgres")}
    for function in FUNCTIONS:
        db = databases[function] = new_served(cluster, sandbox) if function == "request_sync" else \
            Database(cluster, cluster.new_database(TEMPLATE))
        if function != "request_sync":
            db.create_server(sandbox)
        db.add_integration(sandbox.integration, only=["/hris/employees", "/hris/groups"])
        if function == "request_sync":
            wait_synced(db)
        else:
            assert_ok(sync_full(db))
        db.execute("DELETE FROM kombo.sync_runs")
        job = databases["cron"].value(readme_line(function))
        databases["cron"].execute("SELECT cron.alter_job(%s, schedule => '* * * * *', database => %s)", [job, db.name])
    yield databases
    cluster.close()
    sandbox.stop()


def test_the_readmes_lines_are_statements_that_pg_cron_takes(scheduled):
    jobs = scheduled["cron"].execute("SELECT * FROM cron.job WHERE active")
    assert {job["database"] for job in jobs} == {scheduled[function].name for function in FUNCTIONS}
    for function in FUNCTIONS:
        assert len([job for job in jobs if f"kombo.{function}(" in job["command"]]) == 1, jobs


@pytest.mark.late
@pytest.mark.parametrize("function, kinds", [("kombo_sync_delta", {"delta"}), ("kombo_sync_full", {"full"}),
                                             ("request_sync", {"delta", "full"})])
def test_a_job_fires_and_its_run_is_in_sync_runs(scheduled, function, kinds):
    db = scheduled[function]

    def fired():
        return scheduled["cron"].execute("""SELECT * FROM cron.job_run_details
                                            WHERE database = %s AND status IN ('succeeded', 'failed')""", [db.name])

    job = until(db, fired, 75, "the end of the job")[0]
    assert job["status"] == "succeeded" and f"kombo.{function}" in job["command"], job
    until(db, lambda: len(runs(db, status="ok")) >= 2, what="two runs")
    done = runs(db)
    assert {run["trigger"] for run in done} == {"sql"} and {run["status"] for run in done} == {"ok"}, how_it_stands(db)
    assert {run["kind"] for run in done} <= kinds
    assert {run["endpoint"] for run in done} == {"/hris/employees", "/hris/groups"}
