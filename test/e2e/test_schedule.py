"""What runs by itself at its time, and kombo.request_sync: what somebody asks for and does not wait for."""

import time

import psycopg
import pytest

from worker import asked, runs, until, wait_requested, wait_synced

ENDPOINTS = 15


def subscribe(db, sandbox, endpoint, **intervals):
    """Sets full_interval and delta_interval (None: never) of one endpoint."""
    values = {"full_interval": "7 days", "delta_interval": "3 hours", **intervals}
    db.execute("""
        INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval, delta_interval)
        VALUES (%s, %s, %s, %s)
        ON CONFLICT (integration_id, endpoint) DO UPDATE
        SET full_interval = excluded.full_interval, delta_interval = excluded.delta_interval""",
               [sandbox.integration, endpoint, values["full_interval"], values["delta_interval"]])


def test_a_new_integration_is_fetched_at_once(served, sandbox):
    db = served
    began = time.monotonic()
    db.add_integration(sandbox.integration)
    until(db, lambda: sandbox.requests(), 5, "the first request")
    wait_synced(db)
    assert time.monotonic() - began < 20
    done = runs(db)
    assert len({run["endpoint"] for run in done}) == len(done) == ENDPOINTS
    assert {(run["kind"], run["trigger"], run["status"]) for run in done} == {("full", "schedule", "ok")}


def test_deltas_come_by_their_interval_and_a_tenth_early_at_most(few, sandbox):
    db = few
    subscribe(db, sandbox, "/hris/employees", delta_interval="2 seconds")
    until(db, lambda: len(runs(db, "/hris/employees", kind="delta", trigger="schedule")) >= 4, 30, "four deltas")
    done = runs(db, "/hris/employees", trigger="schedule")
    for before, after in zip(done, done[1:]):
        pause = (after["started_at"] - before["finished_at"]).total_seconds()
        assert 1.7 < pause < 6, done
    assert [run["kind"] for run in runs(db, "/hris/groups")] == ["full"]


def test_full_fetches_come_by_their_interval(few, sandbox):
    db = few
    subscribe(db, sandbox, "/hris/groups", full_interval="2 seconds", delta_interval=None)
    until(db, lambda: len(runs(db, "/hris/groups", trigger="schedule")) >= 4, 30, "four full fetches")
    assert {run["kind"] for run in runs(db, "/hris/groups")} == {"full"}
    assert len(runs(db, "/hris/employees")) == 1


def test_an_interval_of_null_is_none(few, sandbox):
    db = few
    subscribe(db, sandbox, "/hris/employees", full_interval=None, delta_interval=None)
    subscribe(db, sandbox, "/hris/groups", delta_interval="1 second")
    until(db, lambda: len(runs(db, "/hris/groups")) >= 4, 30, "four runs of the other endpoint")
    assert len(runs(db, "/hris/employees")) == 1
    # Somebody else's schedule works beside it.
    db.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['/hris/employees'])", [sandbox.integration])
    until(db, lambda: len(runs(db, "/hris/employees")) == 2, what="the run that was asked for")


def test_never_fetched_is_due_even_without_intervals(served, sandbox):
    db = served
    with db.connection.transaction():
        db.add_integration(sandbox.integration, only=["/hris/groups"])
        db.execute("UPDATE kombo.subscriptions SET full_interval = NULL, delta_interval = NULL")
    wait_synced(db)
    assert [(run["kind"], run["trigger"]) for run in runs(db)] == [("full", "schedule")]


def test_the_state_of_an_integration_is_asked_for_daily(few, sandbox):
    db = few
    path = f"/integrations/{sandbox.integration}"
    before = db.value("SELECT checked_at FROM kombo.integrations")
    assert before is not None
    db.execute("UPDATE kombo.integrations SET checked_at = checked_at - interval '1 day'")
    db.execute("SELECT kombo.wake(true)")
    until(db, lambda: db.value("SELECT checked_at FROM kombo.integrations") > before, what="the daily question")
    assert len([r for r in sandbox.requests() if r["path"].removeprefix("/v1").replace("%3A", ":") == path]) == 1


def test_a_request_takes_effect_at_commit_and_returns_at_once(few, sandbox):
    db = few
    sandbox.settings(latency_ms=300)
    notices = []
    with db.connect(autocommit=False) as user:
        user.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        began = time.monotonic()
        asked_for = user.execute("SELECT kombo.request_sync(%s) AS n", [sandbox.integration]).fetchone()["n"]
        assert asked_for == 2 and time.monotonic() - began < 0.3
        time.sleep(1)
        assert sandbox.requests() == []
        user.commit()
    wait_requested(db, sandbox, "/hris/employees", timeout=3)
    wait_synced(db)
    done = runs(db, trigger="sql")
    assert sorted((run["endpoint"], run["kind"]) for run in done) == [("/hris/employees", "delta"),
                                                                      ("/hris/groups", "delta")]
    assert notices == []


def test_a_request_that_is_rolled_back_is_none(few, sandbox):
    db = few
    with db.connect(autocommit=False) as user:
        user.execute("SELECT kombo.request_sync()")
        user.rollback()
    db.execute("SELECT kombo.request_sync(what => ARRAY['hris_teams'])")
    wait_synced(db)
    assert sandbox.paths() == {"/hris/groups": 1}


def test_a_full_fetch_can_be_requested(few, sandbox):
    db = few
    db.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['hris_employees'])", [sandbox.integration])
    wait_synced(db)
    run, = runs(db, trigger="sql")
    assert (run["endpoint"], run["kind"]) == ("/hris/employees", "full")


def test_requests_for_all_leave_out_what_is_paused(few, sandbox):
    db = few
    sandbox.add_integration("hibob:two", employees=5)
    db.add_integration("hibob:two", only=["/hris/groups"])
    wait_synced(db)
    db.execute("SELECT kombo.pause('hibob:two')")
    sandbox.clear_requests()
    assert db.value("SELECT kombo.request_sync(what => ARRAY['hris_teams'])") == 1
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        db.execute("SELECT kombo.request_sync('hibob:two')")
    wait_synced(db, sandbox.integration)
    assert len(asked(sandbox, "/hris/groups", "hibob:two")) == 0
    assert len(asked(sandbox, "/hris/groups", sandbox.integration)) == 1


def test_a_request_for_a_named_integration_is_tried_whatever_backs_off(few, sandbox):
    db = few
    sandbox.change_integration(error_code="PLATFORM.SERVER_ERROR", error_status=500)
    db.cluster.configure({"kombo_sync.max_retries": 0})
    db.execute("SELECT kombo.request_sync(what => ARRAY['hris_teams'])")
    until(db, lambda: db.value("SELECT next_attempt_at > now() FROM kombo.sync_state WHERE endpoint = '/hris/groups'"),
          30, "the back-off")
    sandbox.change_integration(error_code=None)
    db.execute("SELECT kombo.request_sync(%s, what => ARRAY['hris_teams'])", [sandbox.integration])
    wait_synced(db, timeout=5)
    assert [run["status"] for run in runs(db, "/hris/groups", trigger="sql")][-1] == "ok"


def test_requests_are_kept_while_there_is_no_worker(hris, sandbox):
    notices = []
    hris.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    assert hris.value("SELECT kombo.request_sync()") == ENDPOINTS
    assert notices == ["no background worker serves this database"]
    assert hris.value("SELECT count(*) FROM kombo.sync_requests") == ENDPOINTS


def test_of_two_that_look_for_what_is_due_one_asks(hris):
    with hris.connect(autocommit=False) as first, hris.connect() as second:
        due = first.execute("SELECT kombo.request_due() AS due").fetchone()["due"]
        assert second.execute("SELECT kombo.request_due() IS NOT NULL AS due").fetchone()["due"] and due
        assert second.execute("SELECT count(*) AS n FROM kombo.sync_requests").fetchone()["n"] == 0
        first.commit()
    assert hris.value("SELECT count(*) FROM kombo.sync_requests") == ENDPOINTS
    hris.execute("SELECT kombo.request_due()")
    assert hris.value("SELECT count(*) FROM kombo.sync_requests") == ENDPOINTS


def test_a_thousand_integrations_are_looked_through_quickly(db, measured):
    """Without statistics, as a first sync leaves them, and with thousands of requests pending or none."""
    db.execute("""
        INSERT INTO kombo.integrations (integration_id, server, category, checked_at, system_identifier, database_oid)
        SELECT 'personio:' || n, 'kombo_eu', 'HRIS', now(), t.* FROM generate_series(1, 1000) n, kombo.this_database() t
        """)

    def least():
        times = []
        for _ in range(5):
            began = time.monotonic()
            assert db.value("SELECT kombo.request_due() > now()")
            times.append(time.monotonic() - began)
        return min(times)

    assert db.value("SELECT kombo.request_due() > now()")
    assert db.value("SELECT count(*) FROM kombo.sync_requests") == 1000 * ENDPOINTS
    all_pending = least()
    db.execute("""
        INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_success_at, last_full_at)
        SELECT integration_id, endpoint, now(), now(), now() FROM kombo.sync_requests""")
    db.execute("DELETE FROM kombo.sync_requests")
    none_due = least()
    measured(f"schedule of 1,000 integrations: {all_pending * 1000:.0f} ms with all pending, {none_due * 1000:.0f} ms")
    assert max(all_pending, none_due) < 1
