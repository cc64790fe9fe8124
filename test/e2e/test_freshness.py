"""What Kombo shows late, in pages that move, or by a clock that was put back, arrives all the same."""

import datetime
import json
import time
import urllib.parse

import pytest

from fake_kombo import error
from sandbox import WEBHOOK_SECRET
from syncing import assert_ok, last_run, one, rows, status_of, sync_delta, sync_full, watermark
from worker import (data_changed, inbox, insert_webhooks, integration_of, runs, send_webhook, until, wait_judged,
                    wait_synced, workers_of)

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
FAKE = "personio:fake"


def group(id, name="Old"):
    return {"id": id, "name": name, "changed_at": "2026-01-01T00:00:00Z", "remote_deleted_at": None}


def parameters(query):
    return dict(urllib.parse.parse_qsl(query))


# --- clocks -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("between", [[], ["full"], ["delta"]], ids=["at-once", "full", "delta"])
def test_what_changes_after_kombos_clock_was_put_back_arrives(hris, sandbox, between):
    """The change has an earlier time than what was fetched before."""
    assert_ok(sync_full(hris, sandbox.integration))
    before = watermark(hris, sandbox, EMPLOYEES)
    sandbox.clock(skew_seconds=-600)
    for kind in between:
        assert_ok((sync_full if kind == "full" else sync_delta)(hris, sandbox.integration))
    person = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", person, {"job_title": "Changed"})
    assert_ok(sync_delta(hris, sandbox.integration, EMPLOYEES))
    assert one(hris, "hris_employees", person)["job_title"] == "Changed"
    assert watermark(hris, sandbox, EMPLOYEES) < before
    # What employees imply went back with them, and is vouched for again.
    employment = sandbox.dump("hris_employments")[0]["id"]
    sandbox.record("change", "hris_employments", employment, {"job_title": "Changed"})
    assert_ok(sync_delta(hris, sandbox.integration, "hris_employments"))
    assert one(hris, "hris_employments", employment)["job_title"] == "Changed"


def test_a_delta_that_asked_further_back_says_so(hris, sandbox):
    assert_ok(sync_full(hris, sandbox.integration))
    assert_ok(sync_delta(hris, sandbox.integration, GROUPS))
    assert last_run(hris, GROUPS)["warnings"] is None
    sandbox.clock(skew_seconds=-600)
    sandbox.clear_requests()
    assert_ok(sync_delta(hris, sandbox.integration, GROUPS))
    assert [warning["kind"] for warning in last_run(hris, GROUPS)["warnings"]] == [
        "Kombo's clock is behind the watermark"]
    assert len(sandbox.requests(GROUPS)) == 2


# --- pages that move ----------------------------------------------------------------------------------------------

@pytest.fixture
def moving(db, fake_kombo):
    """(database, fake): deltas of groups have two pages, between which the list moves as often as fake.moves says, so
    that b comes twice and c not at all."""
    def answer(path, query):
        asked = parameters(query)
        if path != GROUPS or "updated_after" not in asked:
            return None
        if "cursor" not in asked:
            return {"results": [group("a"), group("b")], "next": "second"}
        fake.moves -= 1
        return [group("b" if fake.moves >= 0 else "c"), group("d")]

    fake = fake_kombo(answer)
    fake.moves = 0
    db.create_server(fake, name="moving")
    db.add_integration(FAKE, server="moving", category="HRIS", only=[GROUPS])
    assert_ok(sync_full(db, FAKE))
    return db, fake


def mark(db):
    return db.value("SELECT watermark FROM kombo.sync_state WHERE endpoint = %s", [GROUPS])


def an_hour_ago(db):
    db.execute("UPDATE kombo.sync_state SET watermark = now() - interval '1 hour' WHERE endpoint = %s", [GROUPS])
    return mark(db)


def test_a_delta_whose_pages_moved_is_read_once_more(moving):
    db, fake = moving
    fake.moves = 1
    before = an_hour_ago(db)
    assert_ok(sync_delta(db, FAKE))
    assert rows(db, "hris_teams").keys() == {"a", "b", "c", "d"}
    assert mark(db) > before
    assert [w["kind"] for w in last_run(db, GROUPS)["warnings"]] == ["pages moved while a delta was read"]


def test_a_delta_whose_pages_move_again_and_again_leaves_its_watermark_to_the_next(moving):
    db, fake = moving
    fake.moves = 2
    before = an_hour_ago(db)
    assert_ok(sync_delta(db, FAKE))
    assert rows(db, "hris_teams").keys() == {"a", "b", "d"}
    assert mark(db) == before
    assert_ok(sync_delta(db, FAKE))
    assert rows(db, "hris_teams").keys() == {"a", "b", "c", "d"}
    assert mark(db) > before


# --- what is shown later than it is told --------------------------------------------------------------------------

@pytest.fixture
def late(served, fake_kombo):
    """(database, fake): a worker and groups, whose deltas show group g under the name fake.name; none: nothing."""
    def answer(path, query):
        if path != GROUPS or ("updated_after" in parameters(query) and fake.name is None):
            return None
        return [group("g", fake.name or "Old")]

    fake = fake_kombo(answer)
    fake.name = None
    served.create_server(fake, name="late", webhook_secret=WEBHOOK_SECRET)
    with served.connection.transaction():
        served.execute("SELECT kombo.add_integration(%s, server => 'late', category => 'HRIS')", [FAKE])
        served.subscribe_only(FAKE, GROUPS)
    wait_synced(served)
    fake.requests.clear()
    return served, fake


def waiting(db):
    return db.execute("SELECT * FROM kombo.sync_requests WHERE not_before > now() ORDER BY id")


def make_due(db):
    """Has what waits asked for now."""
    db.execute("UPDATE kombo.sync_requests SET not_before = now()")
    db.execute("SELECT kombo_internal.wake(false)")


def from_times(fake):
    """updated_after of the deltas that were asked for."""
    return [parameters(query)["updated_after"] for path, query in fake.requests if path == GROUPS]


def wait_for_deltas(db, count):
    until(db, lambda: len(runs(db, GROUPS, kind="delta", status="ok")) == count, what=f"delta {count}")


def test_what_a_webhook_tells_of_before_the_list_shows_it_arrives(late):
    db, fake = late
    # Kombo's clock shows whole seconds: two fetches may seem to begin at the same time.
    db.execute("UPDATE kombo.sync_state SET watermark = watermark - interval '1 minute'")
    first_watermark = mark(db)
    send_webhook(db, None, "hris_teams", integration=FAKE)
    wait_for_deltas(db, 1)
    again, = until(db, lambda: waiting(db), what="a further attempt")
    assert (again["attempt"], again["endpoint"], again["kind"], again["trigger"]) == (1, GROUPS, "delta", "webhook")
    assert again["updated_after"] == first_watermark
    pause = again["not_before"] - db.value("SELECT max(finished_at) FROM kombo.sync_runs")
    assert datetime.timedelta(seconds=10) <= pause < datetime.timedelta(seconds=15)
    status = status_of(db, GROUPS)
    assert (status["state"], status["pending"]) == ("fresh", 0)
    assert "asked again" in status["reason"]
    make_due(db)
    wait_for_deltas(db, 2)
    again, = until(db, lambda: waiting(db), what="the last attempt")
    assert again["attempt"] == 2 and again["updated_after"] == first_watermark < mark(db)
    fake.name = "New"
    make_due(db)
    until(db, lambda: one(db, "hris_teams", "g")["name"] == "New", what="the change")
    wait_synced(db)
    assert waiting(db) == []
    assert len(set(from_times(fake))) == 1, "all of them reach as far back"
    assert status_of(db, GROUPS)["reason"] is None


def test_a_webhook_is_asked_for_three_times_at_most(late):
    db, fake = late
    send_webhook(db, None, "hris_teams", integration=FAKE)
    for attempt in (1, 2):
        wait_for_deltas(db, attempt)
        until(db, lambda: waiting(db), what="a further attempt")
        make_due(db)
    wait_for_deltas(db, 3)
    wait_synced(db)
    assert waiting(db) == [] and len(fake.requests) == 3


def test_a_webhook_whose_delta_brought_something_is_not_asked_for_again(late):
    db, fake = late
    fake.name = "New"
    send_webhook(db, None, "hris_teams", integration=FAKE)
    wait_for_deltas(db, 1)
    wait_synced(db)
    assert waiting(db) == []
    # Nor is what no webhook asked for.
    db.execute("SELECT kombo.request_sync(%s)", [FAKE])
    wait_for_deltas(db, 2)
    wait_synced(db)
    assert waiting(db) == []


def test_many_webhooks_share_the_further_attempts(late):
    db, fake = late
    began = time.monotonic()
    for number in range(10):
        send_webhook(db, None, "hris_teams", integration=FAKE)
        wait_for_deltas(db, number + 1)
    wait_synced(db)
    assert 1 <= len(waiting(db)) <= 1 + (time.monotonic() - began) / 5


def test_a_further_attempt_survives_the_end_of_the_worker_and_a_delta_of_somebody_else(late):
    db, fake = late
    send_webhook(db, None, "hris_teams", integration=FAKE)
    until(db, lambda: waiting(db), what="a further attempt")
    db.cluster.configure({"kombo_sync.enabled": "off"})
    until(db, lambda: not workers_of(db), what="the end of the worker")
    assert_ok(sync_delta(db, FAKE))
    assert db.value("SELECT attempt FROM kombo.sync_requests") == 1
    fake.name = "New"
    db.cluster.configure({"kombo_sync.enabled": "on"})
    make_due(db)
    until(db, lambda: one(db, "hris_teams", "g")["name"] == "New", what="the change")


# --- a new integration --------------------------------------------------------------------------------------------

@pytest.fixture
def registering(served, fake_kombo):
    """(database, fake): a server with auto_register, which knows the integration where fake.known."""
    def answer(path, query):
        if path.startswith("/integrations/"):
            if not fake.known:
                return error(404, "INTEGRATION_NOT_FOUND", "no such")
            return {"id": FAKE, "tool": {"id": "personio"}, "category": "HRIS", "status": "ACTIVE",
                    "setup_status": "COMPLETED", "data_expired_at": None}
        return None

    fake = fake_kombo(answer)
    fake.known = False
    served.create_server(fake, name="late", webhook_secret=WEBHOOK_SECRET, auto_register="on")
    return served, fake


def announce(db):
    body = json.dumps({"id": "w1", "type": "integration-created",
                       "data": {"id": FAKE, "tool": "personio", "category": "HRIS", "end_user": {}}})
    insert_webhooks(db, [body])
    wait_judged(db)


def wait_asked(db, fake, count):
    until(db, lambda: sum(path.startswith("/integrations/") for path, _ in fake.requests) >= count,
          what=f"question {count}")


def test_an_integration_that_kombo_knows_a_little_later_is_registered(registering):
    db, fake = registering
    announce(db)
    wait_asked(db, fake, 1)
    again, = until(db, lambda: waiting(db), what="a further question")
    assert (again["kind"], again["attempt"], again["server"]) == ("integration", 1, "late")
    fake.known = True
    make_due(db)
    until(db, lambda: db.value("SELECT count(*) FROM kombo.integrations"), what="the integration")
    assert integration_of(db, FAKE)["server"] == "late"
    assert db.value("SELECT error FROM kombo.webhook_inbox") is None


def test_an_integration_that_kombo_never_knows_is_given_up_with_the_reason(registering):
    db, fake = registering
    announce(db)
    pauses = []
    for question in range(1, 5):
        wait_asked(db, fake, question)
        again, = until(db, lambda: waiting(db), what="a further question")
        pauses.append((again["not_before"] - db.value("SELECT now()")).total_seconds())
        make_due(db)
    wait_asked(db, fake, 5)
    why = until(db, lambda: db.value("SELECT error FROM kombo.webhook_inbox"), what="the reason")
    assert why.startswith("the integration was not registered: ") and "no such" in why
    assert inbox(db) == {"done": 1} and db.value("SELECT count(*) FROM kombo.sync_requests") == 0
    assert pauses == sorted(pauses) and 2 < pauses[0] <= 5 and 30 < pauses[-1] <= 40
    assert "was not registered" in db.cluster.log_tail(200)


# --- headway ------------------------------------------------------------------------------------------------------

class Busy:
    """A list of so many pages, one request at a time, and, while `streaming`, always a further webhook before a delta
    of the list is answered. `broken`: the second page of a full fetch cannot be had."""

    def __init__(self, db, fake_kombo, pages):
        self.db, self.pages = db, pages
        self.streaming, self.broken, self.deltas = False, False, 0
        self.webhooks = db.connect()
        db.create_server(fake_kombo(self.answer), name="busy", webhook_secret=WEBHOOK_SECRET)
        with db.connection.transaction():
            db.execute("SELECT kombo.add_integration(%s, server => 'busy', category => 'HRIS')", [FAKE])
            db.subscribe_only(FAKE, GROUPS)
        db.cluster.configure({"kombo_sync.max_concurrency": 1})

    def answer(self, path, query):
        asked = parameters(query)
        if path != GROUPS:
            return None
        if "updated_after" in asked:
            self.deltas += 1
            if self.streaming:
                self.send_webhook()
            return [group("g", f"delta {self.deltas}")]
        page = int(asked.get("cursor", 0))
        if page == 1 and self.broken:
            return error(500)
        return {"results": [group(f"g{page}")], "next": str(page + 1) if page + 1 < self.pages else None}

    def send_webhook(self):
        insert_webhooks(self.db, [data_changed(FAKE, "hris_teams")], self.webhooks)

    def stream(self):
        """From now on a delta is always asked for; returns when some have run."""
        self.streaming = True
        self.send_webhook()
        until(self.db, lambda: self.deltas > 5, what="some deltas")

    def fulls(self):
        return [run["pages"] for run in runs(self.db, GROUPS, kind="full") if run["status"] == "ok"]

    def wait_fulls(self, count):
        until(self.db, lambda: len(self.fulls()) == count, 60, f"{count} full fetches")

    def end(self):
        self.streaming = False
        wait_synced(self.db)
        self.webhooks.close()


@pytest.fixture
def busy(served, fake_kombo):
    return lambda pages: Busy(served, fake_kombo, pages)


def test_a_full_fetch_makes_headway_however_many_webhooks_come(served, busy):
    server = busy(1)
    wait_synced(served)
    server.pages, server.streaming = 6, True
    served.execute("SELECT kombo.request_sync(%s, 'full')", [FAKE])
    server.send_webhook()
    server.wait_fulls(2)
    assert 1 <= server.deltas and server.fulls() == [1, 6]
    server.end()


def test_a_full_fetch_begins_and_ends_in_the_midst_of_a_stream_of_webhooks(served, busy):
    server = busy(1)
    wait_synced(served)
    server.pages = 6
    server.stream()
    served.execute("SELECT kombo.request_sync(%s, 'full')", [FAKE])
    server.wait_fulls(2)
    assert server.fulls() == [1, 6]
    server.end()


def test_a_first_full_fetch_that_broke_off_is_gone_on_with_in_a_stream_of_webhooks(served, busy):
    """A webhook asked for it, so no request for a full fetch is left."""
    served.cluster.configure({"kombo_sync.enabled": "off"})
    until(served, lambda: not workers_of(served), what="the end of the worker")
    server = busy(6)
    server.broken = True
    server.send_webhook()
    served.cluster.configure({"kombo_sync.enabled": "on"})
    until(served, lambda: served.value("SELECT bool_and(last_status = 'failed') FROM kombo.sync_state"),
          what="a failure")
    server.stream()
    server.broken = False
    server.wait_fulls(1)
    assert server.fulls() == [6]
    server.end()
    assert server.fulls() == [6]
