"""The worker: from webhook to row by itself. What is asked for happens at commit, once, and for all."""

import statistics
import time
import urllib.request

import pytest

from syncing import Background, assert_ok, one, same_as_sandbox, sync_delta
from worker import (SOAK, WOKEN, asked, assert_no_page_twice, data_changed, inbox, insert_webhooks, runs, send_webhook,
                    serve, state_of, until, wait_judged, wait_requested, wait_synced)

EMPLOYEES = "/hris/employees"
EMPLOYMENTS = "/hris/employments"
GROUPS = "/hris/groups"
SECOND = "hibob:second"


def people(sandbox, count, integration=None):
    return [record["id"] for record in sandbox.dump("hris_employees", integration)][:count]


def change(sandbox, key, value, integration=None):
    sandbox.record("change", "hris_employees", key, {"job_title": value}, integration=integration)


def title(db, key):
    return one(db, "hris_employees", key)["job_title"]


def answered(sandbox, path, integration=None):
    """A request that hung is dropped by the sandbox when the fault ends, and sent again: it counts once."""
    return [request for request in asked(sandbox, path, integration) if request["status"] == 200]


def add_second(db, sandbox, **properties):
    """A further integration, of two endpoints, that is fetched once."""
    sandbox.add_integration(SECOND, **{"employees": 20, "seed": 2, **properties})
    db.add_integration(SECOND, only=[EMPLOYEES, GROUPS])
    wait_synced(db, SECOND)


# --- from webhook to row ------------------------------------------------------------------------------------------

def test_a_new_integration_is_fetched_by_itself(served, sandbox):
    served.add_integration(sandbox.integration)
    wait_requested(served, sandbox, EMPLOYEES, timeout=WOKEN)
    wait_synced(served)
    same_as_sandbox(served, sandbox)
    assert {(run["kind"], run["trigger"], run["status"]) for run in runs(served)} == {("full", "schedule", "ok")}
    assert_no_page_twice(sandbox)


def test_a_webhook_becomes_rows_without_anybody_calling_anything(live, sandbox):
    person, = people(sandbox, 1)
    change(sandbox, person, "Changed")
    row = send_webhook(live, sandbox, "hris_employees")
    until(live, lambda: title(live, person) == "Changed", WOKEN, "the row")
    wait_synced(live)
    kept = live.execute("SELECT * FROM kombo.webhook_inbox WHERE id = %s", [row])[0]
    assert (kept["status"], kept["webhook_type"], kept["integration_id"], kept["error"]) \
        == ("done", "data-changed", sandbox.integration, None) and kept["webhook_id"] and kept["processed_at"]
    run, = runs(live, trigger="webhook")
    assert (run["endpoint"], run["kind"], run["status"], run["updated"]) == (EMPLOYEES, "delta", "ok", 1)
    assert sandbox.paths() == {EMPLOYEES: 1}


@pytest.mark.soak
def test_from_webhook_to_row_takes_little_more_than_the_http_request(few, sandbox, measured):
    """Measured in the insert's own thread, from before the insert until the row is seen to be committed."""
    person, = people(sandbox, 1)
    took = []
    for number in range(500 if SOAK else 100):
        change(sandbox, person, f"Change {number}")
        began = time.monotonic()
        send_webhook(few, sandbox)
        while title(few, person) != f"Change {number}":
            assert time.monotonic() < began + WOKEN, f"change {number} is no row after {WOKEN} s"
        took.append(time.monotonic() - began)
    alone = []
    query = asked(sandbox, EMPLOYEES)[-1]["query"]
    for _ in range(len(took)):
        request = urllib.request.Request(f"{sandbox.base_url}{EMPLOYEES}?{query}", headers={
            "Authorization": f"Bearer {sandbox.api_key}", "X-Integration-Id": sandbox.integration})
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
        alone.append(time.monotonic() - began)
    measured("webhook to row: median {:.1f} ms, p99 {:.1f} ms; the HTTP request alone: median {:.1f} ms, p99 {:.1f} ms"
             .format(*(1000 * value for times in (took, alone)
                       for value in (statistics.median(times), statistics.quantiles(times, n=100)[98]))))


def test_a_hundred_webhooks_make_one_fetch_and_the_first_of_a_burst_is_fetched_at_once(few, sandbox):
    sandbox.faults({"path": EMPLOYEES, "hang": True})
    send_webhook(few, sandbox)
    wait_requested(few, sandbox, EMPLOYEES, timeout=WOKEN)
    person, = people(sandbox, 1)
    for number in range(100):
        change(sandbox, person, f"Change {number}")
        send_webhook(few, sandbox)
    wait_judged(few)
    assert len(sandbox.requests(EMPLOYEES)) == 1
    sandbox.faults()
    wait_synced(few)
    assert title(few, person) == "Change 99"
    assert inbox(few) == {"done": 101}
    assert len(answered(sandbox, EMPLOYEES)) == 2, sandbox.requests(EMPLOYEES)
    assert len(runs(few, trigger="webhook")) == 2
    assert_no_page_twice(sandbox)


def test_a_webhook_during_a_fetch_is_fetched_after_it(few, sandbox):
    """The record changes once more after its page was read; the fetch that is under way cannot show it."""
    first, second = people(sandbox, 2)
    sandbox.settings(page_size_max=1)
    change(sandbox, first, "Early")
    change(sandbox, second, "Early")
    sandbox.faults({"path": EMPLOYEES, "skip": 1, "hang": True})
    send_webhook(few, sandbox)
    wait_requested(few, sandbox, EMPLOYEES, 2)
    change(sandbox, first, "Late")
    send_webhook(few, sandbox)
    wait_judged(few)
    assert few.value("SELECT count(*) FROM kombo.sync_requests") == 2
    sandbox.faults()
    wait_synced(few)
    assert (title(few, first), title(few, second)) == ("Late", "Early")
    assert [run["status"] for run in runs(few, trigger="webhook")] == ["ok", "ok"]


def test_employees_and_employments_of_one_webhook_are_one_call_series(live, sandbox):
    send_webhook(live, sandbox, "hris_employees", "hris_employments", "hris_time_off_balances")
    wait_synced(live)
    assert sandbox.paths() == {EMPLOYEES: 1}


def test_webhooks_may_be_duplicated_and_out_of_order(few, sandbox):
    persons = people(sandbox, 3)
    bodies = []
    for person in persons:
        change(sandbox, person, "Changed")
        bodies.append(data_changed(sandbox.integration, "hris_employees"))
    insert_webhooks(few, [bodies[2], bodies[0], bodies[2], bodies[1], bodies[0]])
    wait_synced(few)
    assert inbox(few) == {"done": 3, "ignored": 2}
    assert [title(few, person) for person in persons] == ["Changed"] * 3
    insert_webhooks(few, bodies)
    wait_synced(few)
    assert inbox(few) == {"done": 3, "ignored": 5}
    assert len(sandbox.requests()) <= 2


def test_a_webhook_whose_transaction_commits_late_is_not_passed_over(few, sandbox):
    """Its row has a smaller id than those that were judged before it was there."""
    person, = people(sandbox, 1)
    with few.connect(autocommit=False) as slow:
        early = send_webhook(few, sandbox, "hris_employees", connection=slow)
        late = send_webhook(few, sandbox, "hris_teams")
        assert early < late
        wait_synced(few)
        assert sandbox.paths() == {GROUPS: 1} and inbox(few) == {"done": 1}
        change(sandbox, person, "Changed")
        slow.commit()
    until(few, lambda: title(few, person) == "Changed", WOKEN, "the row")


def test_a_webhook_that_is_rolled_back_was_never_there(few, sandbox):
    with few.connect(autocommit=False) as front_end:
        send_webhook(few, sandbox, "hris_employees", connection=front_end)
        front_end.rollback()
    send_webhook(few, sandbox, "hris_teams")
    wait_synced(few)
    assert sandbox.paths() == {GROUPS: 1}


def test_a_bad_webhook_holds_up_nobody(few, sandbox):
    few.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{', 'x'), (%s, NULL), (%s, 'forged')",
                [data_changed(sandbox.integration, "hris_employees")] * 2)
    insert_webhooks(few, [data_changed("personio:unknown", "hris_employees"), "no JSON",
                          data_changed(sandbox.integration, "hris_teams")])
    wait_synced(few)
    assert inbox(few) == {"rejected": 5, "done": 1}
    assert few.value("SELECT count(*) FROM kombo.webhook_inbox WHERE status = 'rejected' AND error IS NULL") == 0
    assert sandbox.paths() == {GROUPS: 1}


def test_rows_that_wake_nobody_are_found_by_the_poll(few, sandbox):
    """As those that logical replication inserts."""
    few.cluster.configure({"kombo_sync.poll_interval": "200ms"})
    person, = people(sandbox, 1)
    change(sandbox, person, "Changed")
    with few.connect() as silent:
        silent.execute("SET session_replication_role = replica")
        send_webhook(few, sandbox, connection=silent)
        until(few, lambda: title(few, person) == "Changed", what="the row")
        silent.execute("INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger) "
                       "VALUES (%s, %s, 'delta', 'sql')", [sandbox.integration, GROUPS])
    wait_synced(few)
    assert len(sandbox.requests(GROUPS)) == 1


@pytest.mark.time_limit(300)
def test_ten_thousand_webhooks_for_a_hundred_integrations_make_few_fetches_and_miss_nothing(served, sandbox, measured):
    integrations = [f"hibob:{number:03d}" for number in range(100)]
    with served.connection.transaction():
        for number, integration in enumerate(integrations):
            sandbox.add_integration(integration, employees=10, seed=number)
            served.add_integration(integration, category="HRIS", only=[EMPLOYEES, GROUPS])
    wait_synced(served, timeout=60)
    for integration in integrations:
        person, = people(sandbox, 1, integration)
        change(sandbox, person, "Changed", integration)
    sandbox.clear_requests()
    bodies = [data_changed(integrations[number * 37 % 100], "hris_employees") for number in range(10_000)]
    began = time.monotonic()
    for first in range(0, len(bodies), 500):
        insert_webhooks(served, bodies[first:first + 500])
    until(served, lambda: inbox(served) == {"done": 10_000}, 60, "the judgement of all")
    judged = time.monotonic() - began
    wait_synced(served, timeout=60)
    took = time.monotonic() - began
    for integration in integrations:
        same_as_sandbox(served, sandbox, integration, tables=["hris_employees"])
    requests = len(sandbox.requests())
    measured(f"10,000 webhooks for 100 integrations: {requests} requests; judged in {judged:.1f} s, "
             f"all rows after {took:.1f} s")
    assert {request["integration"] for request in sandbox.requests(EMPLOYEES)} == set(integrations)
    # One that runs and one that is asked for, again and again while webhooks come in twenty commits: never one each.
    assert requests <= 1000
    assert_no_page_twice(sandbox)


# --- what is asked for in SQL takes effect at commit --------------------------------------------------------------

@pytest.mark.parametrize("kind", ["delta", "full"])
def test_request_sync_takes_effect_at_commit_and_not_at_rollback(few, sandbox, kind):
    statement = "SELECT kombo.request_sync(%s, %s, ARRAY['hris_employees']) AS n"
    for end in ("rollback", "commit"):
        sandbox.clear_requests()
        with few.connect(autocommit=False) as user:
            assert user.execute(statement, [sandbox.integration, kind]).fetchone()["n"] == 1
            send_webhook(few, sandbox, "hris_teams")
            wait_synced(few)
            assert sandbox.paths() == {GROUPS: 1}
            getattr(user, end)()
        if end == "rollback":
            send_webhook(few, sandbox, "hris_teams")
            wait_synced(few)
            assert sandbox.paths() == {GROUPS: 2}
    wait_requested(few, sandbox, EMPLOYEES, timeout=WOKEN)
    wait_synced(few)
    run, = runs(few, EMPLOYEES, trigger="sql")
    assert (run["kind"], run["status"]) == (kind, "ok")


def test_request_sync_of_everything_asks_for_what_a_sync_function_would_do(live, sandbox):
    assert live.value("SELECT kombo.request_sync(NULL, 'full')") \
        == live.value("SELECT count(*) FROM kombo.sync_status WHERE endpoint IS NOT NULL")
    wait_synced(live)
    by_worker = {run["endpoint"] for run in runs(live, trigger="sql")}
    assert by_worker == {row["endpoint"] for row in live.execute("SELECT endpoint FROM kombo.sync_status "
                                                                 "WHERE endpoint IS NOT NULL")}
    same_as_sandbox(live, sandbox)


def test_a_pause_takes_effect_at_commit_and_what_came_meanwhile_is_fetched_upon_resume(few, sandbox):
    add_second(few, sandbox)
    sandbox.clear_requests()
    person, = people(sandbox, 1)
    with few.connect(autocommit=False) as user:
        user.execute("SELECT kombo.pause(%s, 'a migration')", [sandbox.integration])
        user.rollback()
        send_webhook(few, sandbox, "hris_teams")
        wait_synced(few)
        assert sandbox.paths() == {GROUPS: 1}
        user.execute("SELECT kombo.pause(%s, 'a migration')", [sandbox.integration])
        user.commit()
        change(sandbox, person, "Changed")
        send_webhook(few, sandbox, "hris_employees")
        send_webhook(few, sandbox, integration=SECOND)
        wait_judged(few)
        wait_synced(few, SECOND)
        assert asked(sandbox, EMPLOYEES, sandbox.integration) == [] and asked(sandbox, EMPLOYEES, SECOND)
        assert inbox(few) == {"done": 3}
        status = few.execute("SELECT * FROM kombo.sync_status WHERE (integration_id, endpoint) = (%s, %s)",
                             [sandbox.integration, EMPLOYEES])[0]
        assert status["state"] == "paused" and "a migration" in status["reason"]
        user.execute("SELECT kombo.resume(%s)", [sandbox.integration])
        user.commit()
    until(few, lambda: title(few, person) == "Changed", WOKEN, "the row")


def test_accept_sweep_takes_effect_at_commit(few, sandbox):
    for person in people(sandbox, 40):
        sandbox.record("purge", "hris_employees", person)
    request = "SELECT kombo.request_sync(%s, 'full', ARRAY['/hris/employees'])"
    few.execute(request, [sandbox.integration])
    wait_synced(few, states=("fresh", "held"))
    assert state_of(few, EMPLOYEES)["held"]
    with few.connect() as user:
        with user.transaction():
            user.execute("SELECT kombo.accept_sweep(%s, %s)", [sandbox.integration, EMPLOYEES])
            user.execute(request, [sandbox.integration])
    wait_synced(few)
    same_as_sandbox(few, sandbox, tables=["hris_employees"])
    assert [run["status"] for run in runs(few, EMPLOYEES, trigger="sql")] == ["held", "ok"]


# --- fair, and one process at a time ------------------------------------------------------------------------------

def test_an_integration_whose_api_hangs_holds_up_nobody_else(live, sandbox):
    add_second(live, sandbox)
    sandbox.clear_requests()
    sandbox.faults({"integration": sandbox.integration, "hang": True, "times": -1})
    live.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
    wait_requested(live, sandbox, EMPLOYEES)
    person, = people(sandbox, 1, SECOND)
    change(sandbox, person, "Changed", SECOND)
    send_webhook(live, sandbox, integration=SECOND)
    until(live, lambda: title(live, person) == "Changed", WOKEN, "the row of the other integration")
    sandbox.faults()


def test_no_more_requests_than_max_concurrency_are_under_way(served, sandbox):
    served.cluster.configure({"kombo_sync.max_concurrency": 3})
    sandbox.faults({"hang": True, "times": -1})
    for number in range(4):
        sandbox.add_integration(f"hibob:{number}", employees=10, seed=number)
        served.add_integration(f"hibob:{number}", category="HRIS")
    until(served, lambda: unanswered_in_all(sandbox) == 3, what="the third request")
    send_webhook(served, sandbox, integration="hibob:3")
    wait_judged(served)
    assert unanswered_in_all(sandbox) == 3
    sandbox.faults()
    wait_synced(served)
    assert sandbox.admin("GET", "concurrency")["max_in_flight"] <= 3


def unanswered_in_all(sandbox):
    return len([request for request in sandbox.requests() if request["status"] is None])


@pytest.mark.soak
@pytest.mark.sandbox(employees=200)
@pytest.mark.time_limit(240)
def test_two_workers_and_two_callers_never_ask_for_one_page_twice_at_the_same_time(served, sandbox):
    serve(served, workers=2)
    sandbox.settings(page_size_max=20)
    others = [f"hibob:{number}" for number in range(3)]
    for number, integration in enumerate(others):
        sandbox.add_integration(integration, employees=100, seed=number)
        served.add_integration(integration, only=[EMPLOYEES, GROUPS])
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    integrations = [*others, sandbox.integration]
    calls = ["SELECT * FROM kombo.kombo_sync_delta()", "SELECT * FROM kombo.kombo_sync_full()"]
    for number in range(30 if SOAK else 6):
        callers = [Background(served, statement) for statement in calls]
        for integration in integrations:
            person = people(sandbox, 10, integration)[number % 10]
            change(sandbox, person, f"Round {number}", integration)
            send_webhook(served, sandbox, integration=integration)
        served.execute("SELECT kombo.request_sync(NULL, 'full')")
        for caller in callers:
            assert {row["status"] for row in caller.result(60)} <= {"ok", "skipped"}
    wait_synced(served, timeout=60)
    for integration in integrations:
        same_as_sandbox(served, sandbox, integration, tables=["hris_employees", "hris_teams"])
    assert {run["status"] for run in runs(served)} == {"ok"}
    assert_no_page_twice(sandbox)


def test_the_sync_functions_go_on_working_beside_the_worker(few, sandbox):
    person, = people(sandbox, 1)
    change(sandbox, person, "Changed")
    assert_ok(sync_delta(few, sandbox.integration))
    assert title(few, person) == "Changed"
    assert runs(few)[-1]["trigger"] == "sql"
