"""The figures of docs/cost.md: the query is run, and what is measured here is near what the page says."""

import re

import pytest

from documents import block, page
from syncing import assert_ok, sync_delta, sync_full
from worker import SOAK, private_kilobytes, runs, send_webhook, wait_synced, worker_pid

PAGE = "docs/cost.md"
EMPLOYEES = "/hris/employees"
MEASURED = 10_000 if SOAK else 1_000


def figure(name):
    """The figure that the page's table has in the row of that name, without its unit."""
    found = re.findall(rf"^\| {re.escape(name)} \| \**([\d.,]+)", page(PAGE), re.MULTILINE)
    assert len(found) == 1, f"{PAGE} has {len(found)} rows {name!r}"
    return float(found[0].replace(",", ""))


def near(measured_value, name, factor):
    """Whether it is at most so many times more or less than the page says."""
    said = figure(name)
    assert said / factor <= measured_value <= said * factor, f"{name}: the page says {said}, measured {measured_value}"


# --- requests -----------------------------------------------------------------------------------------------------

def requests_a_day(db):
    return db.execute(block(PAGE, "AS requests_a_day"))


def function_schema(db, name):
    return db.value("SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = %s", [name])


@pytest.mark.time_limit(300)
def test_the_query_counts_what_the_schedule_asks_for(hris):
    """Fourteen days in steps of 20 minutes: all times of the state move back by that much before each step."""
    hris.execute("""
        INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_success_at, last_full_at)
        SELECT i.integration_id, e.path, now(), now(), now()
        FROM kombo.integrations i JOIN kombo.endpoints e USING (category) WHERE e.enabled""")
    hris.execute("UPDATE kombo.integrations SET checked_at = now()")
    hris.execute(f"""
        CREATE FUNCTION public.day_by_day() RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE
            a_step CONSTANT interval := '20 minutes';
            asked bigint := 0;
        BEGIN
            FOR step IN 1 .. 14 * 72 LOOP
                UPDATE kombo.sync_state SET watermark = watermark - a_step, last_success_at = last_success_at - a_step,
                                            last_full_at = last_full_at - a_step;
                UPDATE kombo.integrations SET checked_at = checked_at - a_step;
                PERFORM {function_schema(hris, "request_due")}.request_due();
                asked := asked + (SELECT count(*) FROM kombo.sync_requests);
                -- What was asked for is done at once, and with the employees what they imply.
                UPDATE kombo.sync_state s SET watermark = now(), last_success_at = now(),
                    last_full_at = CASE WHEN r.kind = 'full' OR NOT e.incremental THEN now() ELSE last_full_at END
                FROM kombo.sync_requests r JOIN kombo.endpoints e ON e.path = r.endpoint
                WHERE s.endpoint = r.endpoint OR (r.kind = 'delta' AND r.endpoint = '/hris/employees'
                                                  AND s.endpoint IN ('/hris/employments', '/hris/time-off-balances'));
                IF EXISTS (SELECT FROM kombo.sync_requests WHERE kind = 'integration') THEN
                    UPDATE kombo.integrations SET checked_at = now();
                END IF;
                DELETE FROM kombo.sync_requests;
            END LOOP;
            RETURN asked;
        END $$""")
    asked = hris.value("SELECT public.day_by_day()") / 14
    said, = requests_a_day(hris)
    # Steps of 20 minutes put each request off by ten minutes of three hours on average.
    assert 0.85 * float(said["requests_a_day"]) < asked < 1.05 * float(said["requests_a_day"]), (asked, said)
    assert figure("Requests a day, nothing changes, every list one page") == float(said["requests_a_day"])
    hris.execute("""INSERT INTO kombo.sync_runs (integration_id, endpoint, kind, trigger, status, started_at, pages)
                    VALUES (%s, '/hris/employees', 'full', 'sql', 'ok', now(), 247 - 14)""",
                 [hris.value("SELECT integration_id FROM kombo.integrations")])
    said, = requests_a_day(hris)
    near(float(said["requests_a_day"]), "Requests a day, nothing changes, 10,000 employees", 1.05)


def test_the_query_minds_what_is_switched_off_and_how_long_the_lists_are(hris, sandbox):
    before, = requests_a_day(hris)
    sandbox.settings(page_size_max=20)
    assert_ok(sync_full(hris))
    longer, = requests_a_day(hris)
    assert longer["deltas"] >= before["deltas"] and longer["fulls"] > before["fulls"], (before, longer)
    hris.subscribe_only(sandbox.integration, EMPLOYEES)
    fewer, = requests_a_day(hris)
    assert fewer["deltas"] < 9 and fewer["requests_a_day"] < before["requests_a_day"] / 5, fewer


def test_deltas_without_news_are_one_request_a_list(hris, sandbox):
    assert_ok(sync_full(hris))
    sandbox.clear_requests()
    assert_ok(sync_delta(hris))
    assert set(sandbox.paths().values()) == {1}
    assert len(sandbox.paths()) == figure("Requests of a delta of everything, nothing changed")


def test_a_webhook_costs_a_request_for_each_list_that_it_names(live, sandbox):
    sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], {"last_name": "New"})
    send_webhook(live, sandbox, "hris_employees", "hris_employments", "hris_join_employees_teams")
    wait_synced(live)
    assert sandbox.paths() == {EMPLOYEES: 1}


# --- disk and WAL -------------------------------------------------------------------------------------------------

SIZES = """
    SELECT sum(pg_relation_size(relation)) AS heap, sum(pg_indexes_size(relation)) AS indexes,
           sum(pg_total_relation_size(relation) - pg_relation_size(relation) - pg_indexes_size(relation)) AS toast
    FROM kombo.data_tables"""


class Wal:
    """Bytes of WAL since it was made."""

    def __init__(self, db):
        self.db = db
        self.start = db.value("SELECT pg_current_wal_lsn()")

    def bytes(self):
        return float(self.db.value("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", [self.start]))


@pytest.mark.soak
@pytest.mark.time_limit(600)
@pytest.mark.sandbox(employees=MEASURED)
def test_disk_and_wal_of_an_employee_are_as_the_page_says(hris, sandbox, measured):
    hris.execute("CHECKPOINT")
    wal = Wal(hris)
    assert_ok(sync_full(hris))
    first = wal.bytes()
    hris.execute("VACUUM (ANALYZE)")
    size = hris.execute(SIZES)[0]
    wal = Wal(hris)
    assert_ok(sync_full(hris))
    unchanged = wal.bytes()
    for record in sandbox.dump("hris_employees")[:100]:
        sandbox.record("change", "hris_employees", record["id"], {"job_title": "Changed"})
    wal = Wal(hris)
    assert_ok(sync_delta(hris, what=EMPLOYEES))
    changed = wal.bytes()
    total = float(sum(size.values()))
    records = sum(sandbox.count(row["path"]) for row in
                  hris.execute("SELECT path FROM kombo.endpoints WHERE category = 'HRIS' AND enabled"))
    measured(f"{MEASURED} employees, {records} records: kB an employee {total / MEASURED / 1000:.2f} "
             f"({', '.join(f'{k} {float(v) / MEASURED / 1000:.2f}' for k, v in size.items())}); WAL kB an employee: "
             f"first {first / MEASURED / 1000:.2f}, nothing changed {unchanged / MEASURED / 1000:.3f}; "
             f"kB a changed employee {changed / 100 / 1000:.2f}")
    near(total / MEASURED / 1000, "Disk of an employee, all lists", 1.4)
    near(first / MEASURED / 1000, "WAL of the first full sync, an employee", 1.5)
    assert unchanged / MEASURED < 100, unchanged
    near(changed / 100 / 1000, "WAL of a changed employee", 2.5)


# --- memory and connections ---------------------------------------------------------------------------------------

@pytest.mark.soak
@pytest.mark.time_limit(600)
def test_memory_of_the_worker_is_as_the_page_says_with_one_and_with_many_integrations(served, sandbox, measured):
    served.add_integration(sandbox.integration)
    wait_synced(served)
    one = private_kilobytes(worker_pid(served))
    others = 1000 if SOAK else 100
    for number in range(others):
        sandbox.add_integration(f"hibob:{number}", employees=10, seed=number)
    served.execute("SELECT kombo.add_integration('hibob:' || n, 'kombo_eu', 'HRIS') FROM generate_series(0, %s) n",
                   [others - 1])
    wait_synced(served, timeout=300)
    many = private_kilobytes(worker_pid(served))
    state = served.value("""SELECT sum(pg_total_relation_size(c)) FROM unnest(
                                ARRAY['kombo.integrations', 'kombo.sync_state', 'kombo.sync_runs']::regclass[]) c""")
    measured(f"worker: {one / 1000:.1f} MB with one integration, {many / 1000:.1f} MB with {others + 1}, "
             f"{(many - one) / others:.1f} kB each; state on disk {float(state) / (others + 1) / 1000:.1f} kB each")
    near(one / 1000, "Memory of a worker", 1.5)
    near(many / 1000, "Memory of a worker", 1.7)
    near(float(state) / (others + 1) / 1000, "Disk of the state of an integration", 2)


def test_the_worker_takes_no_connection_of_the_users_and_few_of_kombos(live, sandbox):
    assert live.value("""SELECT count(*) FROM pg_stat_activity
                         WHERE application_name LIKE 'kombo_sync%' AND backend_type = 'client backend'""") == 0
    sandbox.clear_concurrency()
    sandbox.settings(latency_ms=50)
    live.execute("SELECT kombo.request_sync(NULL, 'full')")
    wait_synced(live)
    assert 1 < sandbox.concurrency()["max_in_flight"] <= figure("Connections to Kombo of a worker, at most")
    assert {run["status"] for run in runs(live)} == {"ok"}
