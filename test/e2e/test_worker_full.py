"""Full fetches by the worker: committed batch by batch, resumed after a crash, swept exactly, and giving way."""

import os
import signal

import pytest

from syncing import one, rows, same_as_sandbox
from worker import (WOKEN, Repeating, asked, assert_no_page_twice, end_worker, integration_of, runs, send_webhook,
                    state_of, until, wait_requested, wait_synced, worker_pid, workers_of)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
PAGE = 20
PAGES = 10
FULL = "SELECT kombo.request_sync(%s, 'full', ARRAY['/hris/employees'])"

pytestmark = pytest.mark.sandbox(employees=PAGE * PAGES)


def stored(db):
    return db.value("SELECT count(*) FROM kombo.hris_employees")


def cursors(sandbox):
    """The cursor of each request of employees' own pages since clear_requests(), '' for a first page."""
    return [request["params"].get("cursor", "") for request in asked(sandbox, EMPLOYEES)
            if not {"ids", "updated_after"} & request["params"].keys()]


def hang_at(sandbox, page):
    """The worker gets all pages before this one."""
    sandbox.settings(page_size_max=PAGE)
    sandbox.faults({"path": EMPLOYEES, "skip": page - 1, "hang": True})


def wait_for_batches(db, pages):
    """Waits until all rows of so many pages are committed, with the cursor of the next."""
    until(db, lambda: stored(db) >= pages * PAGE and state_of(db, EMPLOYEES)["full_cursor"],
          what=f"the rows of {pages} pages")


def kill_worker(db):
    """kill -9: PostgreSQL ends every session and starts anew."""
    os.kill(worker_pid(db), signal.SIGKILL)
    db.reconnect()


# --- batch by batch -----------------------------------------------------------------------------------------------

def test_rows_appear_batch_by_batch(served, sandbox):
    hang_at(sandbox, 4)
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_requested(served, sandbox, EMPLOYEES, 4)
    wait_for_batches(served, 3)
    state = state_of(served, EMPLOYEES)
    assert stored(served) == 3 * PAGE
    assert state["full_cursor"] == cursors(sandbox)[3] and state["full_started_at"] and state["full_cursor_at"]
    assert state["watermark"] is None and state["full_watermark"] is not None
    sandbox.faults()
    wait_synced(served)
    state = state_of(served, EMPLOYEES)
    assert state["watermark"] is not None and state["full_started_at"] is state["full_cursor"] is None
    assert served.value("SELECT count(*) FROM kombo.sync_seen") == 0
    same_as_sandbox(served, sandbox, tables=["hris_employees"])


def test_the_watermark_of_a_full_is_its_start_however_long_it_took(few, sandbox):
    hang_at(sandbox, 4)
    began = few.value("SELECT now()")
    few.execute(FULL, [sandbox.integration])
    wait_requested(few, sandbox, EMPLOYEES, 4)
    asked_at = few.value("SELECT now()")
    sandbox.faults()
    wait_synced(few)
    overlap = few.value("SELECT current_setting('kombo_sync.overlap')::interval")
    # The Date header has whole seconds only.
    assert (began - overlap).timestamp() - 2 <= state_of(few, EMPLOYEES)["watermark"].timestamp() \
        <= (asked_at - overlap).timestamp()


# --- resumed ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("end", [end_worker, kill_worker])
def test_a_full_that_was_killed_in_the_middle_goes_on_where_it_was(request, sandbox, end):
    db = request.getfixturevalue("served" if end is end_worker else "own")
    hang_at(sandbox, 6)
    db.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_requested(db, sandbox, EMPLOYEES, 6)
    wait_for_batches(db, 5)
    before = cursors(sandbox)
    sandbox.clear_requests()
    end(db)
    sandbox.faults()
    wait_synced(db)
    after = cursors(sandbox)
    assert after[0] in (before[4], before[5]), f"it went on at {after[0]} after {before}"
    assert len(set(after)) == len(after) or set(after[1:]) == set(after), after
    assert len(set(after)) in (PAGES - 5, PAGES - 4)
    same_as_sandbox(db, sandbox, tables=["hris_employees"])
    assert_no_page_twice(sandbox)


@pytest.mark.parametrize("end", [end_worker, kill_worker])
def test_the_sweep_after_a_resume_is_exact(request, sandbox, end):
    """What Kombo lost before the first page and while the fetch lay still is swept; what the first half saw stays."""
    db = request.getfixturevalue("served" if end is end_worker else "own")
    db.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_synced(db)
    keys = [record["id"] for record in sandbox.dump("hris_employees")]
    lost = [keys[3], keys[3 * PAGE + 1], keys[8 * PAGE + 5]]
    for key in lost:
        sandbox.record("purge", "hris_employees", key)
    sandbox.clear_requests()
    hang_at(sandbox, 6)
    db.execute(FULL, [sandbox.integration])
    wait_requested(db, sandbox, EMPLOYEES, 6)
    until(db, lambda: db.value("SELECT count(*) FROM kombo.sync_seen") and
          (state_of(db, EMPLOYEES)["full_cursor"] or "") == cursors(sandbox)[5], what="five pages")
    # One that the first half has seen and is gone now; one of the second half; and one that is new.
    sandbox.record("purge", "hris_employees", keys[9 * PAGE + 3])
    sandbox.record("create", "hris_employees", set={"job_title": "New"})
    end(db)
    sandbox.faults()
    wait_synced(db)
    swept = db.execute("SELECT id FROM kombo.hris_employees WHERE remote_deleted_at IS NOT NULL")
    wanted = {*lost, keys[9 * PAGE + 3]}
    dead = {record["id"] for record in sandbox.dump("hris_employees") if record["remote_deleted_at"]}
    assert {row["id"] for row in swept} - dead == wanted
    same_as_sandbox(db, sandbox, tables=["hris_employees"])
    full = runs(db, EMPLOYEES, trigger="sql", status="ok")[-1]
    assert (full["kind"], full["deleted"]) == ("full", len(wanted))


def test_a_sweep_that_was_all_that_was_left_is_done_after_a_kill(own, sandbox):
    """The confirmation of what seems gone hangs: every page is here, and none is asked for again."""
    sandbox.settings(page_size_max=PAGE)
    own.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_synced(own)
    key = sandbox.dump("hris_employees")[7]["id"]
    sandbox.record("purge", "hris_employees", key)
    sandbox.clear_requests()
    sandbox.faults({"path": EMPLOYEES, "skip": PAGES, "hang": True})
    own.execute(FULL, [sandbox.integration])
    wait_requested(own, sandbox, EMPLOYEES, PAGES + 1)
    until(own, lambda: state_of(own, EMPLOYEES)["full_cursor"] == "", what="the last batch")
    until(own, lambda: own.value("SELECT count(*) FROM kombo.sync_progress WHERE phase = 'confirming'") == 1,
          what="the question")
    sandbox.clear_requests()
    kill_worker(own)
    sandbox.faults()
    wait_synced(own)
    assert len(cursors(sandbox)) <= 1
    assert one(own, "hris_employees", key)["remote_deleted_at"]
    same_as_sandbox(own, sandbox, tables=["hris_employees"])


def test_what_is_asked_for_while_no_worker_runs_is_not_answered_by_a_full_that_is_resumed(few, sandbox):
    key = sandbox.dump("hris_employees")[0]["id"]
    hang_at(sandbox, 3)
    few.execute(FULL, [sandbox.integration])
    wait_for_batches(few, 2)
    few.cluster.configure({"kombo_sync.enabled": "off"})
    until(few, lambda: not workers_of(few), what="the end of the worker")
    sandbox.faults()
    few.execute("DELETE FROM kombo.hris_employees WHERE id = %s", [key])
    for _ in range(3):
        few.execute(FULL, [sandbox.integration])
    assert few.value("SELECT count(*) FROM kombo.sync_requests") == 2, "later ones are as one"
    few.cluster.configure({"kombo_sync.enabled": "on"})
    wait_synced(few)
    same_as_sandbox(few, sandbox, tables=["hris_employees"])


def test_a_user_who_deletes_rows_while_a_full_lies_still_gets_them_back_by_the_next(few, sandbox):
    hang_at(sandbox, 6)
    few.execute(FULL, [sandbox.integration])
    wait_requested(few, sandbox, EMPLOYEES, 6)
    few.execute("DELETE FROM kombo.hris_employees")
    sandbox.faults()
    wait_synced(few)
    few.execute(FULL, [sandbox.integration])
    wait_synced(few)
    same_as_sandbox(few, sandbox, tables=["hris_employees"])


# --- begun anew ---------------------------------------------------------------------------------------------------

def test_a_dead_cursor_starts_the_fetch_anew_as_often_as_it_takes_and_pauses_nothing(served, sandbox):
    served.cluster.configure({"kombo_sync.max_retries": 0})
    sandbox.settings(page_size_max=PAGE * 5)
    deaths = 4
    # The fault counts what reaches it: the k-th is there for the second page after k first pages.
    sandbox.faults(*({"path": EMPLOYEES, "skip": k, "status": 400, "code": "PLATFORM.INPUT_INVALID"}
                     for k in range(1, deaths + 1)))
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    waits = []
    for death in range(1, deaths + 1):
        until(served, lambda death=death: sandbox.admin("GET", "faults")["left"] == deaths - death
              and (state_of(served, EMPLOYEES) or {}).get("next_attempt_at"), what=f"death {death}")
        state = state_of(served, EMPLOYEES)
        waits.append((state["next_attempt_at"] - served.value("SELECT now()")).total_seconds())
        assert integration_of(served, sandbox.integration)["paused_at"] is None
        assert not state["full_cursor"] and waits[-1] < 3600
        served.execute("SELECT kombo.resume(%s)", [sandbox.integration])  # tries at once
        until(served, lambda death=death: len([c for c in cursors(sandbox) if not c]) > death, what="a first page")
    wait_synced(served)
    same_as_sandbox(served, sandbox, tables=["hris_employees"])
    assert cursors(sandbox).count("") == deaths + 1
    assert max(waits) > 1, f"no back-off: {waits}"


@pytest.mark.parametrize("meanwhile", [
    ["UPDATE kombo.sync_state SET full_cursor_at = full_cursor_at - interval '61 minutes'"],
    # Other lists, which carry its model with fewer fields, write its rows while it is off.
    ["UPDATE kombo.subscriptions SET enabled = false WHERE endpoint = '/hris/employees'",
     "UPDATE kombo.hris_employees SET job_title = NULL, nationality = NULL",
     "UPDATE kombo.subscriptions SET enabled = true WHERE endpoint = '/hris/employees'"]],
    ids=["its cursor is old", "its list was off"])
def test_a_full_fetch_that_broke_off_begins_anew_if_its_pages_no_longer_count(served, sandbox, meanwhile):
    hang_at(sandbox, 6)
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_requested(served, sandbox, EMPLOYEES, 6)
    wait_for_batches(served, 5)
    served.cluster.configure({"kombo_sync.enabled": "off"})
    until(served, lambda: workers_of(served) == [], what="the end of the worker")
    for statement in meanwhile:
        served.execute(statement)
    sandbox.clear_requests()
    sandbox.faults()
    served.cluster.configure({"kombo_sync.enabled": "on"})
    wait_synced(served)
    assert cursors(sandbox)[0] == "" and len(cursors(sandbox)) == PAGES
    same_as_sandbox(served, sandbox, tables=["hris_employees"])


def test_a_full_whose_question_has_changed_begins_anew(served, sandbox):
    """Another page size is another query: its cursor would be refused, or worse, accepted."""
    hang_at(sandbox, 6)
    served.add_integration(sandbox.integration, only=[EMPLOYEES])
    wait_requested(served, sandbox, EMPLOYEES, 6)
    wait_for_batches(served, 5)
    sandbox.clear_requests()
    served.execute("ALTER SERVER kombo_eu OPTIONS (ADD page_size '15')")
    end_worker(served)
    sandbox.faults()
    wait_synced(served)
    assert cursors(sandbox)[0] == ""
    same_as_sandbox(served, sandbox, tables=["hris_employees"])


# --- giving way ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", [True, False], ids=["the first full", "a later full"])
def test_a_delta_of_the_same_endpoint_runs_between_two_pages_of_a_full(request, sandbox, first):
    db = request.getfixturevalue("served" if first else "few")
    sandbox.settings(page_size_max=PAGE // 4, latency_ms=50)  # 40 pages, 2 s
    sandbox.clear_requests()
    if first:
        db.add_integration(sandbox.integration, only=[EMPLOYEES])
    else:
        db.execute(FULL, [sandbox.integration])
    wait_requested(db, sandbox, EMPLOYEES, 3)
    # The last of the list: the full will not have come to it.
    key = sandbox.dump("hris_employees")[-1]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": "Changed"})
    send_webhook(db, sandbox)
    until(db, lambda: (one(db, "hris_employees", key) or {}).get("job_title") == "Changed", WOKEN, "the row")
    assert state_of(db, EMPLOYEES)["full_started_at"], "the full has ended before the row came"
    wait_synced(db)
    kinds = ["delta" if "updated_after" in request["params"] else "full" for request in asked(sandbox, EMPLOYEES)]
    assert "full" in kinds[:kinds.index("delta")] and "full" in kinds[kinds.index("delta"):], kinds
    assert kinds.count("full") == 4 * PAGES, "the full began anew"
    assert {(run["kind"], run["status"]) for run in runs(db, EMPLOYEES)} == {("full", "ok"), ("delta", "ok")}
    same_as_sandbox(db, sandbox, tables=["hris_employees"])
    assert_no_page_twice(sandbox)


class Webhooks(Repeating):
    """The next one comes before the delta that the one before asked for has ended."""

    def __init__(self, db, sandbox):
        super().__init__(0.02)
        self.db, self.sandbox, self.connection = db, sandbox, db.connect()

    def once(self):
        send_webhook(self.db, self.sandbox, connection=self.connection)


def test_a_full_begins_although_a_delta_of_its_endpoint_is_always_under_way(few, sandbox):
    sandbox.settings(page_size_max=PAGE, latency_ms=20)
    # So that each delta has many pages: they overlap by a minute.
    sandbox.admin("POST", "records", [{"model": "hris_employees", "op": "change", "id": record["id"],
                                       "set": {"job_title": "Changed"}} for record in sandbox.dump("hris_employees")])
    with Webhooks(few, sandbox):
        until(few, lambda: len(runs(few, EMPLOYEES, kind="delta")) > 2, what="deltas")
        few.execute(FULL, [sandbox.integration])
        until(few, lambda: len(runs(few, EMPLOYEES, kind="full")) > 1, 30, "the full")
    wait_synced(few)


def test_a_delta_during_a_full_leaves_nothing_for_the_sweep_to_undo(few, sandbox):
    """A record that is made and one that is purged while the full has passed their place."""
    sandbox.settings(page_size_max=PAGE // 4, latency_ms=50)
    few.execute(FULL, [sandbox.integration])
    wait_requested(few, sandbox, EMPLOYEES, 8)
    keys = [record["id"] for record in sandbox.dump("hris_employees")]
    made = sandbox.record("create", "hris_employees", set={"job_title": "Made"})["id"]
    sandbox.record("delete", "hris_employees", keys[2])
    send_webhook(few, sandbox)
    until(few, lambda: one(few, "hris_employees", made), WOKEN, "the row")
    sandbox.record("purge", "hris_employees", made)  # the full may or may not come to see it
    wait_synced(few)
    assert one(few, "hris_employees", keys[2])["remote_deleted_at"]
    few.execute(FULL, [sandbox.integration])
    wait_synced(few)
    same_as_sandbox(few, sandbox, tables=["hris_employees"])


def test_the_other_endpoints_of_an_integration_do_not_wait_for_its_full(few, sandbox):
    hang_at(sandbox, 4)
    few.execute(FULL, [sandbox.integration])
    wait_requested(few, sandbox, EMPLOYEES, 4)
    key = sandbox.dump("hris_teams")[0]["id"]
    sandbox.record("change", "hris_teams", key, {"name": "Renamed"})
    send_webhook(few, sandbox, "hris_teams")
    until(few, lambda: rows(few, "hris_teams")[key]["name"] == "Renamed", WOKEN, "the row of the other endpoint")
    sandbox.faults()
    wait_synced(few)


def test_a_full_of_unchanged_data_writes_next_to_nothing(few, sandbox):
    sandbox.settings(page_size_max=PAGE)
    before = few.execute("SELECT id, xmin::text, ctid::text FROM kombo.hris_employees ORDER BY id")
    few.execute(FULL, [sandbox.integration])
    wait_synced(few)
    assert few.execute("SELECT id, xmin::text, ctid::text FROM kombo.hris_employees ORDER BY id") == before
    assert runs(few, EMPLOYEES)[-1]["unchanged"] == PAGE * PAGES


def test_a_table_is_analysed_after_its_first_full_fetch(few):
    few.execute("SELECT pg_stat_force_next_flush()")
    until(few, lambda: few.value("SELECT last_analyze FROM pg_stat_user_tables "
                                 "WHERE relid = 'kombo.hris_employees'::regclass"), what="the analysis")
    assert few.value("SELECT reltuples FROM pg_class WHERE oid = 'kombo.hris_employees'::regclass") == PAGE * PAGES


def test_what_the_worker_writes_is_reported_to_the_statistics(few, sandbox):
    """Or autovacuum and autoanalyze would never see these tables."""
    few.execute(FULL, [sandbox.integration])
    wait_synced(few)
    until(few, lambda: few.value("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'hris_employees'")
          >= PAGE * PAGES, what="the count of inserted rows")
