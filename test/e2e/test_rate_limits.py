"""Limits that Kombo, or something in between, sets: whom they hold up, for how long, what is said, and what ends it."""

import datetime
import threading

import pytest

from fake_kombo import error
from worker import runs, state_of, until, wait_synced

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
LOCATIONS = "/hris/locations"
KEYS_LIMIT = "PLATFORM.RATE_LIMIT_EXCEEDED"
ONE, TWO, THREE = "hibob:one", "hibob:two", "hibob:three"


class Lists:
    """What a fake answers: an empty list, and for a path in `instead`, or for all by `*`, that."""

    def __init__(self):
        self.instead = {}

    def __call__(self, path, query):
        answer = self.instead.get(path, self.instead.get("*"))
        return answer(path, query) if callable(answer) else answer


@pytest.fixture
def lists():
    return Lists()


@pytest.fixture
def fake(fake_kombo, lists):
    return fake_kombo(lists)


@pytest.fixture
def limited(served, fake, lists):
    """A served database whose integration ONE has met a 429 of an hour; Kombo is well again at once."""
    served.create_server(fake, name="fake")
    lists.instead[GROUPS] = error(429, KEYS_LIMIT, "slow down", {"Retry-After": "3600"})
    served.add_integration(ONE, "fake", "HRIS", only=[GROUPS])
    until(served, lambda: status_of(served, GROUPS, ONE)["state"] == "failed", what="the 429")
    lists.instead.clear()
    return served


def status_of(db, endpoint, integration):
    """The endpoint's row of kombo.sync_status."""
    return db.execute("SELECT * FROM kombo.sync_status WHERE (integration_id, endpoint) = (%s, %s)",
                      [integration, endpoint])[0]


def waits_for_limit(db, endpoint, integration):
    """The row of sync_status, once it says that it waits for a limit; it names the end, and what ends it sooner."""
    row = until(db, lambda: "rate limit until" in ((s := status_of(db, endpoint, integration))["reason"] or "") and s,
                what="the limit in sync_status")
    assert f"kombo.resume('{integration}')" in row["next"], row
    return row


def test_a_429_holds_up_the_key_for_minutes_at_most_and_every_row_that_waits_says_so(limited, fake):
    limited.add_integration(TWO, "fake", "HRIS", only=[EMPLOYEES, LOCATIONS])
    for endpoint in (EMPLOYEES, LOCATIONS):
        waits_for_limit(limited, endpoint, TWO)
    waits_for_limit(limited, GROUPS, ONE)
    until(limited, lambda: limited.value("SELECT until FROM kombo_internal.rate_limits()"), what="the limit")
    left = limited.value("SELECT until - now() FROM kombo_internal.rate_limits()")
    assert datetime.timedelta(minutes=4) < left <= datetime.timedelta(minutes=5)
    assert fake.asked(EMPLOYEES) == 0


@pytest.mark.parametrize("end", ["SELECT kombo.resume('hibob:two')", "SELECT kombo.resume(NULL)",
                                 "SELECT kombo.request_sync('hibob:two')"])
def test_resume_and_a_named_request_end_the_wait_of_the_whole_key(limited, end):
    limited.add_integration(TWO, "fake", "HRIS", only=[EMPLOYEES])
    limited.add_integration(THREE, "fake", "HRIS", only=[LOCATIONS])
    waits_for_limit(limited, EMPLOYEES, TWO)
    waits_for_limit(limited, LOCATIONS, THREE)
    limited.execute(end)
    wait_synced(limited, TWO, THREE)


def test_a_request_that_names_nobody_does_not_end_it(limited, fake):
    limited.add_integration(TWO, "fake", "HRIS", only=[EMPLOYEES])
    waits_for_limit(limited, EMPLOYEES, TWO)
    limited.execute("SELECT kombo.request_sync(NULL)")
    waits_for_limit(limited, EMPLOYEES, TWO)
    assert fake.asked(EMPLOYEES) == 0


def test_while_a_key_is_refused_a_session_may_sync(limited):
    limited.add_integration(TWO, "fake", "HRIS", only=[EMPLOYEES])
    waits_for_limit(limited, EMPLOYEES, TWO)

    def synced():
        return {row["status"] for row in limited.execute("SELECT status FROM kombo.kombo_sync_delta('hibob:two')")}
    until(limited, lambda: synced() == {"ok"}, what="a sync by a session")
    assert status_of(limited, EMPLOYEES, TWO)["state"] == "fresh"


def test_whether_a_limit_is_over_is_tried_with_one_request(limited, fake, lists):
    go_on = threading.Event()
    for number in range(4):
        limited.add_integration(f"hibob:more{number}", "fake", "HRIS", only=[EMPLOYEES, LOCATIONS])
        waits_for_limit(limited, EMPLOYEES, f"hibob:more{number}")
    before = len(fake.requests)

    def slow(path, query):
        go_on.wait(8)
    lists.instead["*"] = slow
    limited.execute("SELECT kombo.resume(NULL)")
    until(limited, lambda: len(fake.requests) > before, what="the one request")
    until(limited, lambda: limited.value("SELECT count(*) FROM kombo.sync_progress WHERE phase = 'limited'") > 1,
          what="the others, which wait")
    assert len(fake.requests) == before + 1
    go_on.set()
    wait_synced(limited)


def test_a_limit_of_the_customers_tool_holds_up_that_integration_alone(served, fake, lists):
    served.create_server(fake, name="fake")
    served.add_integration(ONE, "fake", "HRIS", only=[GROUPS, LOCATIONS])
    served.add_integration(TWO, "fake", "HRIS", only=[EMPLOYEES])
    wait_synced(served)
    lists.instead[GROUPS] = lists.instead[LOCATIONS] = error(429, "REMOTE.RATE_LIMIT_EXCEEDED", "slow down",
                                                             {"Retry-After": "600", "ratelimit-remaining": "0",
                                                              "ratelimit-reset": "600"})
    served.execute("SELECT kombo.request_sync('hibob:one')")
    for endpoint in (GROUPS, LOCATIONS):
        until(served, lambda endpoint=endpoint: state_of(served, endpoint, ONE)["next_attempt_at"], what="the back-off")
    served.execute("SELECT kombo.request_sync(NULL)")
    wait_synced(served, TWO)
    assert served.execute("SELECT * FROM kombo_internal.rate_limits()") == []
    assert fake.asked(GROUPS) + fake.asked(LOCATIONS) <= 4


def test_a_window_that_claims_to_be_long_is_not_waited_for_longer_than_minutes(served, fake, lists):
    served.create_server(fake, name="fake")
    served.add_integration(ONE, "fake", "HRIS", only=[GROUPS])
    wait_synced(served)
    used_up = {"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "100000000"}
    lists.instead[GROUPS] = 200, used_up, b'{"status":"success","data":{"results":[],"next":null}}'
    served.execute("SELECT kombo.request_sync('hibob:one')")
    until(served, lambda: len(runs(served, GROUPS, ONE)) == 2, what="the second run")
    served.execute("SELECT kombo.request_sync(NULL)")
    waits_for_limit(served, GROUPS, ONE)
    assert served.value("SELECT max(until) - now() <= interval '5 minutes' FROM kombo_internal.rate_limits()")
    lists.instead.clear()
    served.execute("SELECT kombo.resume('hibob:one')")
    wait_synced(served)


@pytest.mark.parametrize("headers", [{"Retry-After": "0"}, {"Retry-After": "Sun, 06 Nov 1994 08:40:00 GMT"}])
@pytest.mark.parametrize("code", [429, 503])
def test_a_demand_to_wait_no_time_does_not_end_the_back_off(served, fake, lists, headers, code):
    served.cluster.configure({"kombo_sync.max_retries": 0})
    served.create_server(fake, name="fake")
    lists.instead[GROUPS] = (code, headers, b"busy")
    served.add_integration(ONE, "fake", "HRIS", only=[GROUPS])
    for attempts in (1, 2):
        state = until(served, lambda n=attempts: (s := state_of(served, GROUPS, ONE)) and s["attempts"] >= n and s,
                      what=f"failure {attempts}")
        last = runs(served, GROUPS, ONE)[-1]["finished_at"]
        assert (state["next_attempt_at"] - last).total_seconds() >= 2.4 * 2 ** (state["attempts"] - 1), state


@pytest.mark.parametrize("code", [307, 400, 401, 403, 404, 407, 413, 421, 425, 499])
def test_an_answer_that_is_not_kombos_is_tried_again_soon_and_pauses_nobody(served, fake, lists, code):
    served.cluster.configure({"kombo_sync.max_retries": 0})
    served.create_server(fake, name="fake")
    lists.instead[GROUPS] = (code, {}, b"<html>nginx</html>")
    served.add_integration(ONE, "fake", "HRIS", only=[GROUPS])
    failed = until(served, lambda: (s := status_of(served, GROUPS, ONE))["state"] == "failed" and s, what="the failure")
    assert "unexpected response from Kombo" in failed["reason"], failed
    assert served.value("SELECT next_attempt_at - now() < interval '6 s' FROM kombo.sync_state")
    assert served.value("SELECT paused_by FROM kombo.integrations") is None
    lists.instead.clear()
    wait_synced(served)


def test_a_key_that_kombo_itself_refuses_pauses_the_server(served, fake, lists):
    served.create_server(fake, name="fake")
    lists.instead[GROUPS] = error(401, "PLATFORM.AUTHENTICATION_INVALID")
    served.add_integration(ONE, "fake", "HRIS", only=[GROUPS])
    until(served, lambda: served.value("SELECT paused_by FROM kombo.integrations") == "kombo_sync", what="the pause")
