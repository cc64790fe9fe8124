"""What runs by itself at its time, and kombo.request_sync: what somebody asks for and does not wait for."""

import time

import psycopg
import pytest

from syncing import SOON, notices_of, sync_full
from worker import WOKEN, asked, insert_webhooks, runs, until, wait_judged, wait_requested, wait_synced

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


def count_runs(db, endpoint):
    """Scheduled deltas without news are counted in the row of the last one."""
    return sum(run["repeats"] + 1 for run in runs(db, endpoint))


def test_a_new_integration_is_fetched_at_once(served, sandbox):
    db = served
    db.add_integration(sandbox.integration)
    until(db, lambda: sandbox.requests(), 5, "the first request")
    wait_synced(db)
    done = runs(db)
    assert len({run["endpoint"] for run in done}) == len(done) == ENDPOINTS
    assert {(run["kind"], run["trigger"], run["status"]) for run in done} == {("full", "schedule", "ok")}


def test_deltas_come_by_their_interval_and_a_tenth_early_at_most(few, sandbox):
    db = few
    subscribe(db, sandbox, "/hris/employees", delta_interval="2 seconds")
    seen = {}  # those without news share a row, which tells of the last one

    def four_deltas():
        seen.update({run["started_at"]: run for run in runs(db, "/hris/employees", trigger="schedule")})
        return sum(run["kind"] == "delta" for run in seen.values()) >= 4

    until(db, four_deltas, 30, "four deltas")
    done = [seen[started] for started in sorted(seen)]
    for before, after in zip(done, done[1:]):
        pause = (after["started_at"] - before["finished_at"]).total_seconds()
        assert pause > 1.7, done
    assert [run["kind"] for run in runs(db, "/hris/groups")] == ["full"]


def test_scheduled_deltas_without_news_share_a_row_and_all_others_have_their_own(few, sandbox):
    db = few
    subscribe(db, sandbox, "/hris/groups", delta_interval="1 second")
    until(db, lambda: count_runs(db, "/hris/groups") >= 4, 30, "three deltas")
    first, folded = runs(db, "/hris/groups")
    assert (first["kind"], folded["kind"], folded["received"]) == ("full", "delta", 0) and folded["repeats"] >= 2
    assert folded["started_at"] > first["started_at"]
    sandbox.record("change", "hris_teams", sandbox.dump("hris_teams")[0]["id"], set={"name": "News"})
    until(db, lambda: len(runs(db, "/hris/groups")) >= 4, 30, "the news, and a delta without any after it")
    _, folded, news, after = runs(db, "/hris/groups")[:4]
    assert (news["updated"], news["repeats"], after["updated"]) == (1, 0, 0)
    assert folded["finished_at"] < news["started_at"]
    db.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY['hris_teams'])", [sandbox.integration])
    until(db, lambda: runs(db, "/hris/groups", trigger="sql"), what="the run that was asked for")
    # A row that somebody holds is left alone.
    until(db, lambda: runs(db, "/hris/groups")[-1]["repeats"] > 0, 30, "a row that is shared")
    with db.connect(autocommit=False) as user:
        last = user.execute("SELECT max(id) AS id FROM kombo.sync_runs").fetchone()["id"]
        user.execute("SELECT * FROM kombo.sync_runs FOR UPDATE")
        until(db, lambda: runs(db, "/hris/groups")[-1]["id"] > last, 30, "a row of its own")


def test_the_last_run_of_an_endpoint_is_not_pruned(hris, sandbox):
    hris.subscribe_only(sandbox.integration, "/hris/groups", "/hris/locations")
    for _ in range(2):
        sync_full(hris)
    hris.execute("UPDATE kombo.sync_runs SET started_at = started_at - interval '99 days', "
                 "finished_at = finished_at - interval '99 days'")
    hris.execute("INSERT INTO kombo.sync_runs (integration_id, endpoint, kind, trigger, started_at, finished_at) "
                 "SELECT 'hibob:removed', endpoint, kind, trigger, started_at, finished_at FROM kombo.sync_runs")
    sync_full(hris, what=["/hris/locations"])
    last = hris.value("SELECT max(started_at) FROM kombo.sync_runs WHERE endpoint = '/hris/groups'")
    assert [run["started_at"] for run in runs(hris, "/hris/groups")] == [last]


def test_a_run_that_cannot_be_pruned_undoes_nothing(hris, sandbox):
    hris.subscribe_only(sandbox.integration, "/hris/groups")
    sync_full(hris)
    hris.execute("CREATE TABLE public.notes (run bigint REFERENCES kombo.sync_runs)")
    hris.execute("INSERT INTO public.notes SELECT id FROM kombo.sync_runs")
    hris.execute("UPDATE kombo.sync_runs SET started_at = started_at - interval '99 days', "
                 "finished_at = finished_at - interval '99 days'")
    heard = notices_of(hris.connection)
    assert [run["status"] for run in sync_full(hris)] == ["ok"]
    warnings = [(w.sqlstate, "sync_runs" in w.message_primary) for w in heard if w.severity == "WARNING"]
    assert warnings == [("23503", True)]
    assert len(runs(hris, "/hris/groups")) == 2


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
    until(db, lambda: count_runs(db, "/hris/groups") >= 4, 30, "four runs of the other endpoint")
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
    db.execute("SELECT kombo_internal.wake(true)")
    until(db, lambda: db.value("SELECT checked_at FROM kombo.integrations") > before, what="the daily question")
    assert len([r for r in sandbox.requests() if r["path"].removeprefix("/v1").replace("%3A", ":") == path]) == 1


def test_a_request_takes_effect_at_commit_and_returns_at_once(few, sandbox):
    db = few
    sandbox.faults({"path": "*", "hang": True})
    notices = []
    with db.connect(autocommit=False) as user:
        user.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        asked_for = user.execute("SELECT kombo.request_sync(%s) AS n", [sandbox.integration]).fetchone()["n"]
        assert asked_for == 2
        insert_webhooks(db, ["{}"])
        wait_judged(db)  # the worker has looked around since
        assert sandbox.requests() == []
        user.commit()
    wait_requested(db, sandbox, "/hris/employees", timeout=WOKEN)
    sandbox.faults()
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
        due = first.execute("SELECT kombo_internal.request_due() AS due").fetchone()["due"]
        assert second.execute("SELECT kombo_internal.request_due() IS NOT NULL AS due").fetchone()["due"] and due
        assert second.execute("SELECT count(*) AS n FROM kombo.sync_requests").fetchone()["n"] == 0
        first.commit()
    assert hris.value("SELECT count(*) FROM kombo.sync_requests") == ENDPOINTS
    hris.execute("SELECT kombo_internal.request_due()")
    assert hris.value("SELECT count(*) FROM kombo.sync_requests") == ENDPOINTS


def test_a_thousand_integrations_are_looked_through_quickly(db, measured):
    """Without statistics, as a first sync leaves them, and with thousands of requests pending or none."""
    db.execute("""
        INSERT INTO kombo.integrations (integration_id, server, category, checked_at, system_identifier, database_oid)
        SELECT 'personio:' || n, 'kombo_eu', 'HRIS', now(), t.*
        FROM generate_series(1, 1000) n, kombo_internal.this_database() t
        """)

    def least():
        times = []
        for _ in range(5):
            began = time.monotonic()
            assert db.value("SELECT kombo_internal.request_due() > now()")
            times.append(time.monotonic() - began)
        return min(times)

    assert db.value("SELECT kombo_internal.request_due() > now()")
    assert db.value("SELECT count(*) FROM kombo.sync_requests") == 1000 * ENDPOINTS
    all_pending = least()
    db.execute("""
        INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_success_at, last_full_at)
        SELECT integration_id, endpoint, now(), now(), now() FROM kombo.sync_requests""")
    db.execute("DELETE FROM kombo.sync_requests")
    none_due = least()
    measured(f"schedule of 1,000 integrations: {all_pending * 1000:.0f} ms with all pending, {none_due * 1000:.0f} ms")
    assert max(all_pending, none_due) < SOON
