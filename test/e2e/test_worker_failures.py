"""What the worker does when Kombo, the key or the network fails: it waits, tries again, pauses with a reason, and goes
on by itself."""

import datetime

import pytest

from syncing import one, same_as_sandbox
from worker import (WOKEN, asked, deliver, inbox, integration_of, runs, send_webhook, serve, state_of, until,
                    wait_judged, wait_requested, wait_synced, worker_pid)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
ABSENCES = "/hris/absences"
SECOND = "hibob:second"
# A changed key is no row of ours and wakes nobody by itself: it is found by the next poll at the latest.
POLLED = 25
DELTA = "SELECT kombo.request_sync(%s, 'delta')"


@pytest.fixture(autouse=True)
def one_try(worker_cluster):
    """What fails ends the run at once: repeated requests are tested elsewhere."""
    worker_cluster.configure({"kombo_sync.max_retries": 0})


def status_of(db, endpoint, integration=None):
    return db.execute("""SELECT * FROM kombo.sync_status
                         WHERE endpoint = %s AND (%s::text IS NULL OR integration_id = %s)
                         ORDER BY integration_id""", [endpoint, integration, integration])[0]


def seconds_until_next_attempt(db, row):
    assert row["next_attempt_at"], row
    return (row["next_attempt_at"] - db.value("SELECT clock_timestamp()")).total_seconds()


def wait_for_state(db, endpoint, state, integration=None, timeout=15):
    return until(db, lambda: (s := status_of(db, endpoint, integration))["state"] == state and s, timeout,
                 f"{endpoint} to be {state}")


def due_now(db):
    """As if the time of every next attempt had come."""
    with db.connection.transaction():
        db.execute("UPDATE kombo.sync_state SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
        db.execute("UPDATE kombo.integrations SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
        db.execute("SELECT kombo_internal.wake(true)")


def change_person(sandbox, value, integration=None):
    key = sandbox.dump("hris_employees", integration)[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": value}, integration=integration)
    return key


def gets_row(db, sandbox, integration=None, timeout=WOKEN):
    """A webhook's change becomes a row."""
    key = change_person(sandbox, "Arrived", integration)
    send_webhook(db, sandbox, integration=integration)
    until(db, lambda: (one(db, "hris_employees", key) or {}).get("job_title") == "Arrived", timeout, "the row")


def key_of(db, api_key):
    db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (SET api_key '{api_key}')")


# --- Kombo is not ready -------------------------------------------------------------------------------------------

def test_before_kombos_own_first_sync_the_worker_waits_and_asks_again_after_minutes(served, sandbox):
    sandbox.change_integration(setup_status="FINAL_SYNC_PENDING")
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    status = wait_for_state(served, EMPLOYEES, "waiting")
    state = state_of(served, EMPLOYEES)
    first = seconds_until_next_attempt(served, state)
    assert 140 < first < 300, f"{first} s"  # 5 minutes less up to a half, and what has passed
    assert (state["failures"], status["failures"]) == (0, 0) and state["attempts"] >= 1
    assert integration_of(served, sandbox.integration)["paused_at"] is None
    assert status["next"], status
    # The waits grow, to an hour at most.
    waits = [first]
    for _ in range(6):
        attempts = state_of(served, EMPLOYEES)["attempts"]
        due_now(served)
        until(served, lambda attempts=attempts: state_of(served, EMPLOYEES)["attempts"] > attempts, what="a try")
        waits.append(seconds_until_next_attempt(served, state_of(served, EMPLOYEES)))
    assert max(waits) > 1500 and max(waits) < 4000, waits
    sandbox.change_integration(setup_status="COMPLETED")
    due_now(served)
    wait_synced(served)
    same_as_sandbox(served, sandbox, tables=["hris_employees"])
    assert state_of(served, EMPLOYEES)["attempts"] == 0


def test_a_webhook_ends_the_waiting_at_once(served, sandbox):
    sandbox.change_integration(setup_status="FINAL_SYNC_PENDING")
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_for_state(served, EMPLOYEES, "waiting")
    sandbox.change_integration(setup_status="COMPLETED")
    deliver(served, sandbox.webhook(type="integration-state-changed"))
    wait_synced(served, timeout=5)
    same_as_sandbox(served, sandbox, tables=["hris_employees"])


def test_a_model_that_the_tool_lacks_is_tried_daily_and_the_rest_goes_on(few, sandbox):
    sandbox.change_integration(unavailable_models=["hris_teams"])
    few.execute(DELTA, [sandbox.integration])
    status = wait_for_state(few, GROUPS, "unavailable")
    assert 12 * 3600 < seconds_until_next_attempt(few, state_of(few, GROUPS)) <= 25 * 3600
    assert status["failures"] == 0 and state_of(few, EMPLOYEES)["last_status"] == "ok"
    gets_row(few, sandbox)
    sandbox.change_integration(unavailable_models=[])
    due_now(few)
    wait_synced(few)
    same_as_sandbox(few, sandbox, tables=["hris_teams"])


# --- the key ------------------------------------------------------------------------------------------------------

@pytest.fixture
def two_servers(few, start_sandbox):
    """`few`, and a second server with an integration of its own at another sandbox."""
    other = start_sandbox(employees=20, integration=[SECOND])
    few.create_server(other, "kombo_us", webhook_secret="other-secret")
    few.add_integration(SECOND, server="kombo_us", only=[EMPLOYEES, GROUPS])
    wait_synced(few)
    return few, other


def test_a_refused_key_pauses_all_of_its_servers_integrations_and_no_others(two_servers, sandbox):
    db, other = two_servers
    sandbox.add_integration("hibob:third", employees=10)
    db.add_integration("hibob:third", only=[EMPLOYEES, GROUPS])
    wait_synced(db)
    sandbox.settings(api_key="changed")
    sandbox.clear_requests()
    send_webhook(db, sandbox)
    for integration in (sandbox.integration, "hibob:third"):
        until(db, lambda integration=integration: integration_of(db, integration)["paused_by"] == "kombo_sync",
              what=f"the pause of {integration}")
        paused = integration_of(db, integration)
        assert "key" in paused["pause_reason"]
        assert 12 * 3600 < seconds_until_next_attempt(db, paused) <= 25 * 3600
        status = status_of(db, EMPLOYEES, integration)
        assert status["state"] == "paused" and "kombo_sync" in status["reason"] and status["next"], status
    assert integration_of(db, SECOND)["paused_at"] is None
    key = change_person(other, "Changed", SECOND)
    db.execute(DELTA, [SECOND])
    until(db, lambda: one(db, "hris_employees", key)["job_title"] == "Changed", what="the row of the other server")
    assert len(sandbox.requests()) <= 8, "the key is refused, and asked with again and again"


def test_a_changed_key_ends_the_pause_at_once_and_brings_what_was_missed(few, sandbox):
    sandbox.settings(api_key="changed")
    key = change_person(sandbox, "Missed")
    send_webhook(few, sandbox)
    until(few, lambda: integration_of(few, sandbox.integration)["paused_at"], what="the pause")
    key_of(few, "changed")
    until(few, lambda: one(few, "hris_employees", key)["job_title"] == "Missed", POLLED, "the row")
    assert integration_of(few, sandbox.integration)["paused_at"] is None
    wait_synced(few)


def test_a_change_of_one_server_has_nothing_be_tried_at_another(two_servers, sandbox):
    db, other = two_servers
    for kombo in (sandbox, other):
        kombo.faults({"path": GROUPS, "status": 403, "code": "PLATFORM.SOMETHING_FINAL", "times": -1})
    for integration in (sandbox.integration, SECOND):
        db.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY[%s])", [integration, GROUPS])
        wait_for_state(db, GROUPS, "failed", integration)
    for kombo in (sandbox, other):
        kombo.clear_requests()
    db.execute("ALTER SERVER kombo_us OPTIONS (ADD max_response_size '1MB')")
    until(db, lambda: asked(other, GROUPS), what="another try at the server that was changed")
    assert 12 * 3600 < seconds_until_next_attempt(db, state_of(db, GROUPS, sandbox.integration))
    assert asked(sandbox, GROUPS) == []


def test_a_key_that_is_right_again_is_found_by_the_daily_try(few, sandbox):
    sandbox.settings(api_key="changed")
    key = change_person(sandbox, "Missed")
    send_webhook(few, sandbox)
    until(few, lambda: integration_of(few, sandbox.integration)["paused_at"], what="the pause")
    due_now(few)  # in vain
    until(few, lambda: (integration_of(few, sandbox.integration)["next_attempt_at"] or few.value("SELECT now()"))
          > few.value("SELECT now() + interval '1 hour'"), what="the next day")
    assert integration_of(few, sandbox.integration)["paused_by"] == "kombo_sync"
    sandbox.settings(api_key=sandbox.api_key)
    due_now(few)
    until(few, lambda: one(few, "hris_employees", key)["job_title"] == "Missed", what="the row")
    assert integration_of(few, sandbox.integration)["paused_at"] is None


@pytest.mark.parametrize("who", ["a webhook", "resume"])
def test_an_automatic_pause_ends_by_a_webhook_or_by_resume(few, sandbox, who):
    sandbox.settings(api_key="changed")
    send_webhook(few, sandbox)
    until(few, lambda: integration_of(few, sandbox.integration)["paused_at"], what="the pause")
    wait_judged(few)
    sandbox.settings(api_key=sandbox.api_key)
    if who == "resume":
        few.execute("SELECT kombo.resume(%s)", [sandbox.integration])
        wait_synced(few)
    gets_row(few, sandbox, timeout=5)
    assert integration_of(few, sandbox.integration)["paused_at"] is None


def test_a_named_function_call_tries_in_spite_of_an_automatic_pause_and_ends_it(few, sandbox):
    sandbox.settings(api_key="changed")
    send_webhook(few, sandbox)
    until(few, lambda: integration_of(few, sandbox.integration)["paused_at"], what="the pause")
    sandbox.settings(api_key=sandbox.api_key)
    results = few.execute("SELECT * FROM kombo.kombo_sync_delta(%s)", [sandbox.integration])
    assert {row["status"] for row in results} == {"ok"}


@pytest.mark.parametrize("webhook", ["data-changed", "integration-state-changed", "integration-created",
                                     "sync-finished"])
def test_no_webhook_lifts_an_operators_pause(few, sandbox, webhook):
    few.execute("SELECT kombo.pause(%s, 'mine')", [sandbox.integration])
    sandbox.clear_requests()
    deliver(few, sandbox.webhook(type=webhook))
    send_webhook(few, sandbox)
    wait_judged(few)
    # The worker has seen it: what was inserted later is done, too.
    few.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES ('{}', 'x')")
    until(few, lambda: inbox(few).get("rejected") == 1, what="the judgement of a later one")
    paused = integration_of(few, sandbox.integration)
    assert (paused["paused_by"], paused["pause_reason"]) == ("operator", "mine")
    assert asked(sandbox, EMPLOYEES) == asked(sandbox, GROUPS) == []
    few.execute("SELECT kombo.resume(%s)", [sandbox.integration])
    wait_synced(few)
    assert [run["status"] for run in runs(few, EMPLOYEES, trigger="webhook")] == ["ok"]


# --- errors that pass ---------------------------------------------------------------------------------------------

def test_an_error_that_may_pass_is_tried_again_after_growing_waits(few, sandbox):
    sandbox.faults({"path": EMPLOYEES, "status": 503, "times": -1})
    key = change_person(sandbox, "Changed")
    send_webhook(few, sandbox)
    status = wait_for_state(few, EMPLOYEES, "failed")
    assert "503" in status["reason"] or "error" in status["reason"], status
    waits = []
    for failures in range(1, 7):
        if failures > 1:  # not after the last: that attempt comes when the fault is gone
            due_now(few)
        until(few, lambda failures=failures: state_of(few, EMPLOYEES)["failures"] == failures, what="a failure")
        waits.append(seconds_until_next_attempt(few, state_of(few, EMPLOYEES)))
    assert waits[-1] > 2 * waits[0] and max(waits) <= 3700, waits
    assert state_of(few, GROUPS)["failures"] == 0 and integration_of(few, sandbox.integration)["paused_at"] is None
    sandbox.faults()
    due_now(few)
    until(few, lambda: one(few, "hris_employees", key)["job_title"] == "Changed", what="the row")
    state = state_of(few, EMPLOYEES)
    assert (state["failures"], state["attempts"], state["next_attempt_at"], state["last_error"]) == (0, 0, None, None)
    wait_synced(few)


def test_what_failed_is_tried_again_by_itself(few, sandbox):
    sandbox.faults({"path": EMPLOYEES, "status": 503})
    key = change_person(sandbox, "Changed")
    send_webhook(few, sandbox)
    until(few, lambda: one(few, "hris_employees", key)["job_title"] == "Changed", 60, "the row")
    assert [run["status"] for run in runs(few, EMPLOYEES, trigger="webhook")] == ["failed", "ok"]


def test_a_webhook_does_not_wait_for_the_end_of_a_back_off(few, sandbox):
    few.cluster.configure({"kombo_sync.max_retries": 0})
    sandbox.faults({"path": EMPLOYEES, "status": 500, "times": 1})
    few.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY[%s])", [sandbox.integration, EMPLOYEES])
    until(few, lambda: state_of(few, EMPLOYEES)["failures"] == 1, what="a failure")
    few.execute("UPDATE kombo.sync_state SET next_attempt_at = now() + interval '1 hour' WHERE endpoint = %s",
                [EMPLOYEES])
    few.execute("SELECT kombo_internal.wake(true)")
    gets_row(few, sandbox)


def test_as_long_as_kombo_says_nothing_is_asked(few, sandbox):
    sandbox.faults({"path": GROUPS, "status": 429, "code": "PLATFORM.RATE_LIMIT_EXCEEDED",
                    "headers": {"Retry-After": "3", "ratelimit-remaining": "0", "ratelimit-reset": "3"}})
    send_webhook(few, sandbox, "hris_teams")
    wait_requested(few, sandbox, GROUPS)
    change_person(sandbox, "Changed")
    send_webhook(few, sandbox)
    wait_requested(few, sandbox, EMPLOYEES)
    wait_requested(few, sandbox, GROUPS, 2)
    wait_synced(few)
    times = sorted(request["at"] for request in sandbox.requests())
    assert (parsed(times[1]) - parsed(times[0])).total_seconds() >= 2.9, times


def parsed(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_a_host_out_of_reach_is_tried_again_and_found(two_servers, sandbox):
    db, other = two_servers
    db.execute("ALTER SERVER kombo_us OPTIONS (SET base_url 'http://127.0.0.1:1/v1')")
    key = change_person(other, "Missed", SECOND)
    db.execute(DELTA, [SECOND])
    status = wait_for_state(db, EMPLOYEES, "failed", SECOND)
    assert "connect" in status["reason"], status
    gets_row(db, sandbox)
    db.execute(f"ALTER SERVER kombo_us OPTIONS (SET base_url '{other.base_url}')")
    due_now(db)
    until(db, lambda: one(db, "hris_employees", key)["job_title"] == "Missed", what="the row")
    wait_synced(db)


# --- errors that last ---------------------------------------------------------------------------------------------

def test_a_final_error_pauses_that_endpoint_alone_and_is_tried_daily(few, sandbox):
    sandbox.faults({"path": GROUPS, "status": 403, "code": "PLATFORM.SOMETHING_FINAL", "times": -1})
    send_webhook(few, sandbox, "hris_teams")
    status = wait_for_state(few, GROUPS, "failed")
    assert status["reason"] and status["next"], status
    assert 12 * 3600 < seconds_until_next_attempt(few, state_of(few, GROUPS)) <= 25 * 3600
    gets_row(few, sandbox)
    assert integration_of(few, sandbox.integration)["paused_at"] is None
    sandbox.faults()
    due_now(few)
    wait_synced(few)


@pytest.mark.parametrize("status", ["INACTIVE", "INVALID"])
def test_an_integration_that_is_switched_off_at_kombo_is_paused_and_comes_back_by_itself(few, sandbox, status):
    sandbox.change_integration(status=status, reads_when_inactive=False)
    deliver(few, sandbox.webhook(type="integration-state-changed"))
    until(few, lambda: integration_of(few, sandbox.integration)["paused_by"] == "kombo_sync", what="the pause")
    seen = wait_for_state(few, EMPLOYEES, "paused")
    assert status.lower() in seen["reason"].lower() and seen["next"], seen
    assert asked(sandbox, f"/integrations/{sandbox.integration}")
    key = change_person(sandbox, "Missed")
    sandbox.change_integration(status="ACTIVE")
    deliver(few, sandbox.webhook(type="integration-state-changed"))
    until(few, lambda: integration_of(few, sandbox.integration)["paused_at"] is None, what="the end of the pause")
    send_webhook(few, sandbox)
    until(few, lambda: one(few, "hris_employees", key)["job_title"] == "Missed", what="the row")
    wait_synced(few)


def test_a_webhook_that_says_deleted_is_a_hint_and_kombos_answer_is_believed(few, sandbox):
    """Anybody with the secret of webhooks could say so; and such a webhook may be late."""
    deliver(few, sandbox.webhook(type="integration-deleted"))
    wait_requested(few, sandbox, f"/integrations/{sandbox.integration}")
    gets_row(few, sandbox)
    assert integration_of(few, sandbox.integration)["paused_at"] is None


def test_an_integration_that_is_gone_at_kombo_is_paused_and_keeps_its_rows(few, sandbox):
    stored = few.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NULL")
    webhook = sandbox.webhook(type="integration-deleted")
    sandbox.admin("DELETE", "integrations", id=sandbox.integration)
    deliver(few, webhook)
    until(few, lambda: integration_of(few, sandbox.integration)["paused_by"] == "kombo_sync", what="the pause")
    assert integration_of(few, sandbox.integration)["pause_reason"]
    assert few.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NULL") == stored > 0
    # Connected anew it has another id, and everybody would be here twice.
    remove = f"SELECT kombo.remove_integration('{sandbox.integration}', purge => true)"
    assert remove in few.value("SELECT next FROM kombo.sync_status WHERE endpoint = %s", [EMPLOYEES])
    few.execute(remove)
    assert few.value("SELECT count(*) FROM kombo.hris_employees") == 0


def test_a_new_integration_is_registered_by_its_webhook_where_that_is_on(few, sandbox):
    sandbox.add_integration("hibob:new", employees=10)
    created = sandbox.webhook(type="integration-created", integration="hibob:new")
    deliver(few, created)
    wait_judged(few)
    assert few.value("SELECT count(*) FROM kombo.integrations") == 1
    few.execute("ALTER SERVER kombo_eu OPTIONS (ADD auto_register 'on')")
    deliver(few, sandbox.webhook(type="integration-created", integration="hibob:new"))
    until(few, lambda: few.value("SELECT count(*) FROM kombo.integrations") == 2, what="the registration")
    wait_synced(few)
    same_as_sandbox(few, sandbox, "hibob:new")
    # One that Kombo does not know is not believed.
    deliver(few, sandbox.webhook(type="integration-created", integration="hibob:invented"))
    wait_requested(few, sandbox, "/integrations/hibob:invented")
    wait_synced(few)
    assert few.value("SELECT count(*) FROM kombo.integrations") == 2


def test_data_that_is_no_longer_expired_is_fetched_in_full(few, sandbox):
    sandbox.change_integration(data_expired_at="2026-01-01T00:00:00.000Z")
    deliver(few, sandbox.webhook(type="integration-state-changed"))
    until(few, lambda: integration_of(few, sandbox.integration)["data_expired_at"], what="the mark")
    wait_synced(few)
    before = len(runs(few, kind="full"))
    sandbox.change_integration(data_expired_at=None)
    deliver(few, sandbox.webhook(type="integration-state-changed"))
    until(few, lambda: len(runs(few, kind="full", status="ok")) == before + 2, what="two full fetches")
    assert integration_of(few, sandbox.integration)["data_expired_at"] is None


def test_a_server_that_was_dropped_fails_its_integrations_and_nobody_else(two_servers, sandbox):
    db, other = two_servers
    db.execute("DROP SERVER kombo_us CASCADE")
    db.execute("INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger) "
               "VALUES (%s, %s, 'delta', 'sql')", [SECOND, EMPLOYEES])
    row = wait_for_state(db, EMPLOYEES, "failed", SECOND)
    assert "kombo_us" in row["reason"]
    remedy = "if the server was renamed: UPDATE kombo.integrations SET server = '...' WHERE server = 'kombo_us'"
    assert remedy in row["next"]
    gets_row(db, sandbox)
    db.create_server(other, "kombo_us", webhook_secret="other-secret")
    key = change_person(other, "Missed", SECOND)
    db.execute(DELTA, [SECOND])
    until(db, lambda: one(db, "hris_employees", key)["job_title"] == "Missed", what="the row")


# --- the limit that Kombo reports ---------------------------------------------------------------------------------

@pytest.mark.sandbox(employees=400, latency_ms=5)
@pytest.mark.time_limit(200)
def test_the_budget_is_never_exceeded_and_webhooks_come_first(served, sandbox):
    """Two workers share it; a big full uses it up, and the last tenth is kept for webhooks."""
    window = 4
    sandbox.settings(page_size_max=10, rate_limit=40, rate_window_s=window)
    sandbox.add_integration(SECOND, employees=10)
    served.add_integration(SECOND, only=[EMPLOYEES, GROUPS])
    wait_synced(served)
    serve(served, workers=2)
    sandbox.clear_requests()
    served.add_integration(sandbox.integration)
    wait_requested(served, sandbox, EMPLOYEES, 3, sandbox.integration)
    for number in range(3):
        key = change_person(sandbox, f"Change {number}", SECOND)
        send_webhook(served, sandbox, integration=SECOND)
        until(served, lambda key=key, number=number: one(served, "hris_employees", key)["job_title"]
              == f"Change {number}", WOKEN + window, "the row of the small one")
        assert served.value("SELECT count(*) FROM kombo.sync_progress WHERE integration_id = %s AND kind = 'full'",
                            [sandbox.integration]) > 0, "the big one has ended"
    refused = [request for request in sandbox.requests() if request["status"] == 429]
    assert refused == [], f"{len(refused)} of {len(sandbox.requests())} requests were over the limit"
    sandbox.settings(rate_limit=100_000)
    wait_synced(served, timeout=60)


@pytest.mark.sandbox(employees=100)
def test_a_kombo_that_no_longer_tells_its_limit_is_not_waited_for(served, sandbox):
    """Its answers had the headers, and have them no more."""
    sandbox.settings(page_size_max=10, rate_limit=20, rate_window_s=2)
    served.add_integration(sandbox.integration)
    wait_requested(served, sandbox, EMPLOYEES, 2)
    sandbox.settings(rate_limit=0)
    wait_synced(served)


def test_a_first_429_is_the_last(served, sandbox):
    """Nothing was known of the limit; somebody else with the same key has used it up."""
    served.cluster.configure({"kombo_sync.max_concurrency": 1})  # or several would be under way before the first answer
    sandbox.settings(rate_limit=2, rate_window_s=2)
    for _ in range(2):
        sandbox.call("GET", "/v1/check-api-key", headers={"Authorization": f"Bearer {sandbox.api_key}"})
    served.add_integration(sandbox.integration, category="HRIS", only=[GROUPS])
    wait_synced(served, timeout=60)
    statuses = [request["status"] for request in sandbox.requests()][2:]
    assert statuses.count(429) <= 1, statuses


@pytest.mark.sandbox(employees=34_000)  # of which each has two absences: more ids than a worker keeps in memory
def test_too_little_room_for_temporary_files_fails_the_full_fetch_until_there_is_more(served, sandbox, worker_cluster):
    worker = worker_pid(served)
    worker_cluster.configure({"temp_file_limit": "64kB"})
    served.add_integration(sandbox.integration, only=[ABSENCES])
    failed = wait_for_state(served, ABSENCES, "failed", timeout=60)
    assert "temp_file_limit" in failed["reason"]
    assert seconds_until_next_attempt(served, state_of(served, ABSENCES)) <= 5
    assert served.value("SELECT count(*) FROM kombo.hris_absences") == 68_000
    before = len(asked(sandbox, ABSENCES))
    worker_cluster.configure({"temp_file_limit": "-1"})
    wait_synced(served, timeout=60)
    assert len(asked(sandbox, ABSENCES)) == before, "the pages that were committed are not asked for again"
    assert worker_pid(served) == worker
