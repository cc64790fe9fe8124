"""One integration of very many employees beside ten of ten: everybody's webhooks are rows within seconds."""

import statistics
import time

import pytest

from syncing import SOON, one
from worker import (SOAK, Watch, runs, send_webhook, state_of, until, wait_requested, wait_synced, worker_pid,
                    private_kilobytes)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
EMPLOYED = 1_000_000 if SOAK else 60_000
MEGABYTE = 1024


def webhook_to_row(db, sandbox, integration, key, value):
    """Seconds from the insert of a webhook to the row."""
    sandbox.record("change", "hris_employees", key, {"job_title": value}, integration=integration)
    began = time.monotonic()
    send_webhook(db, sandbox, integration=integration)
    until(db, lambda: (one(db, "hris_employees", key) or {}).get("job_title") == value, 30, f"the row of {integration}")
    return time.monotonic() - began


@pytest.mark.soak
@pytest.mark.time_limit(3600 if SOAK else 240)
@pytest.mark.sandbox(employees=EMPLOYED)
def test_a_big_integration_starves_nobody_not_even_itself(served, sandbox, measured):
    small = [f"hibob:{number}" for number in range(10)]
    keys = {}
    for number, integration in enumerate(small):
        sandbox.add_integration(integration, employees=10, seed=number)
        served.add_integration(integration, category="HRIS", only=[EMPLOYEES, GROUPS])
        keys[integration] = sandbox.dump("hris_employees", integration)[0]["id"]
    wait_synced(served)
    before = private_kilobytes(worker_pid(served))
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_requested(served, sandbox, EMPLOYEES, 5, sandbox.integration)
    # Of the first page, and of the very end, where the full has not been.
    page = sandbox.admin("GET", "records", integration=sandbox.integration, model="hris_employees", offset=EMPLOYED - 1,
                         limit=1)
    keys[sandbox.integration] = page["results"][0]["id"]
    took = {integration: [] for integration in keys}
    with Watch(served) as watch:
        began = time.monotonic()
        rounds = 0
        while rounds == 0 or (state_of(served, EMPLOYEES, sandbox.integration) or {}).get("full_started_at"):
            rounds += 1
            for integration, key in keys.items():
                took[integration].append(webhook_to_row(served, sandbox, integration, key, f"Round {rounds}"))
            sandbox.clear_requests()
        lasted = time.monotonic() - began
    wait_synced(served, timeout=600)
    after = private_kilobytes(worker_pid(served))
    own = took.pop(sandbox.integration)
    others = [seconds for times in took.values() for seconds in times]
    full, = runs(served, EMPLOYEES, sandbox.integration, kind="full")
    measured(f"{EMPLOYED} employees: first full by the worker "
             f"{(full['finished_at'] - full['started_at']).total_seconds():.0f} s; meanwhile {len(others)} webhooks of "
             f"ten small integrations: rows after {statistics.median(others):.2f} s (median), {max(others):.2f} s "
             f"(longest); {len(own)} of its own: {statistics.median(own):.2f} s, {max(own):.2f} s; longest transaction "
             f"{watch.oldest:.2f} s; worker's memory {before / MEGABYTE:.0f} MB before, {watch.peak / MEGABYTE:.0f} MB "
             f"at most, {after / MEGABYTE:.0f} MB afterwards")
    assert full["inserted"] >= EMPLOYED - len(own) and full["status"] == "ok"
    assert rounds > 1, "the big one was done before anything could be seen"
    assert max(others + own) < lasted / 2, "one waited for the big one"
    assert watch.oldest < SOON, f"{watch.oldest} s: {watch.doing}"
    assert watch.xmins == [], watch.xmins[:3]
    assert watch.peak < before + 48 * MEGABYTE
    assert served.value("SELECT count(*) FROM kombo.hris_employees WHERE integration_id = %s",
                        [sandbox.integration]) == EMPLOYED
    assert sandbox.count("hris_employees") == EMPLOYED


def add_many(db, sandbox, numbers):
    for number in numbers:
        sandbox.add_integration(f"hibob:{number}", employees=1, seed=number)
    db.execute("SELECT kombo.add_integration('hibob:' || n, 'kombo_eu', 'HRIS') FROM unnest(%s::int[]) n",
               [list(numbers)])


@pytest.mark.time_limit(120)
@pytest.mark.sandbox(employees=1)
def test_integrations_that_wait_hold_no_locks_and_those_that_are_done_no_memory(served, sandbox, measured):
    served.execute("UPDATE kombo.endpoints SET enabled = path IN (%s, %s)", [GROUPS, "/hris/locations"])
    few, many = range(50), range(50, 650)
    add_many(served, sandbox, few)
    wait_synced(served)
    pid = worker_pid(served)
    before = private_kilobytes(pid)
    add_many(served, sandbox, many)
    locks = [0]

    def all_done():
        locks.append(served.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND objsubid = 3", [pid]))
        return served.value("""SELECT NOT EXISTS (SELECT FROM kombo.sync_requests) AND count(*) = %s
                               FROM kombo.sync_runs""", [2 * (len(few) + len(many))])

    until(served, all_done, 60, "the first fulls")
    bound = before + 2 * len(many)
    until(served, lambda: private_kilobytes(pid) < bound, 10, f"less than {bound} kB of memory")
    measured(f"worker's memory {before / MEGABYTE:.1f} MB with {len(few)} integrations, "
             f"{private_kilobytes(pid) / MEGABYTE:.1f} MB with {len(few) + len(many)}; {max(locks)} locked at once")
    assert max(locks) <= 72, "64 under way, and some that are about to be closed"
