"""What the network, Kombo or another session can do to a sync: one endpoint fails, the rest goes on, all is told."""

import json
import re
import shutil
import socket

import psycopg
import pytest

from cluster import TEMPLATE, Database
from syncing import (Background, assert_ok, last_run, notices_of, outcome, result_of, rows, same_as_sandbox, status_of,
                     sync_delta, sync_full, wait_until)

GROUPS = "/hris/groups"
EMPLOYEES = "/hris/employees"
KEY = "kmb-9f2c71d4e8a35b60"


@pytest.fixture
def small(hris, sandbox):
    """`hris` with three endpoints, pages of ten, and no retries."""
    hris.subscribe_only(sandbox.integration, EMPLOYEES, GROUPS, "/hris/locations")
    hris.execute("ALTER SERVER kombo_eu OPTIONS (ADD page_size '10')")
    hris.execute("SET kombo_sync.max_retries = 0")
    return hris


def state_of(db, endpoint):
    return db.execute("SELECT * FROM kombo.sync_state WHERE endpoint = %s", [endpoint])[0]


def warning_about(heard, endpoint):
    found = [one for one in heard if endpoint + " " in one.message_primary]
    assert len(found) == 1, [one.message_primary for one in heard]
    return found[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- one endpoint fails ------------------------------------------------------------------------------------------

def test_a_failing_endpoint_leaves_the_others_and_no_partial_rows(small, sandbox):
    sandbox.faults({"path": EMPLOYEES, "skip": 2, "status": 500, "code": "PLATFORM.UNKNOWN_ERROR",
                    "message": "the third page is broken", "times": -1})
    heard = notices_of(small.connection)
    results = sync_full(small)
    assert outcome(results) == {EMPLOYEES: "failed", GROUPS: "ok", "/hris/locations": "ok"}
    assert "the third page is broken" in result_of(results, EMPLOYEES)["error"]
    for table in ("hris_employees", "hris_employments", "hris_join_employees_teams"):
        assert rows(small, table) in ({}, []), table
    assert rows(small, "hris_teams")
    warning = warning_about(heard, EMPLOYEES)
    assert warning.severity == "WARNING" and warning.sqlstate == "HV000" and warning.message_hint
    assert "PLATFORM.UNKNOWN_ERROR" in warning.message_detail and "500" in warning.message_detail


def test_failures_are_counted_and_forgotten_by_a_success(small, sandbox):
    sandbox.faults({"path": EMPLOYEES, "status": 500, "times": 2})
    sync_full(small)
    sync_full(small)
    state = state_of(small, EMPLOYEES)
    assert (state["failures"], state["last_status"], state["watermark"]) == (2, "failed", None) and state["last_error"]
    status = status_of(small, EMPLOYEES)
    assert (status["state"], status["failures"]) == ("failed", 2)
    assert status["reason"] == state["last_error"] and "kombo_sync_delta" in status["next"]
    assert status_of(small, GROUPS)["state"] == "fresh"
    run = last_run(small, EMPLOYEES)
    assert (run["status"], run["error"], run["trigger"]) == ("failed", state["last_error"], "sql")
    assert_ok(sync_full(small))
    state = state_of(small, EMPLOYEES)
    assert (state["failures"], state["last_status"], state["last_error"]) == (0, "ok", None)
    same_as_sandbox(small, sandbox, tables=["hris_employees"])


def test_a_delta_that_fails_keeps_watermark_and_rows(small, sandbox):
    assert_ok(sync_full(small))
    before = state_of(small, GROUPS)
    group = sandbox.dump("hris_teams")[0]
    sandbox.record("change", "hris_teams", group["id"], set={"name": "Renamed"})
    sandbox.faults({"path": GROUPS, "status": 500})
    assert outcome(sync_delta(small, what=GROUPS)) == {GROUPS: "failed"}
    after = state_of(small, GROUPS)
    assert (after["watermark"], after["last_success_at"]) == (before["watermark"], before["last_success_at"])
    assert rows(small, "hris_teams")[group["id"]]["name"] == group["name"]
    assert_ok(sync_delta(small, what=GROUPS))
    assert rows(small, "hris_teams")[group["id"]]["name"] == "Renamed"


# --- the whole integration fails ---------------------------------------------------------------------------------

def test_a_refused_key_fails_the_rest_without_requests(small, sandbox):
    sandbox.settings(api_key="another")
    heard = notices_of(small.connection)
    results = sync_full(small)
    assert set(outcome(results).values()) == {"failed"} and len(results) == 3
    assert len(sandbox.requests()) <= 2, sandbox.paths()  # the next endpoint's may be under way
    assert [one.sqlstate for one in heard] == ["28000"]  # said once, as it concerns them all
    assert "api_key" in heard[0].message_hint and "base_url" in heard[0].message_hint
    assert small.value("SELECT count(*) FROM kombo.sync_runs WHERE status = 'failed'") == 3


@pytest.mark.parametrize("url, said", [("http://127.0.0.1:{closed}/v1", "could not connect: Connection refused"),
                                       ("https://127.0.0.1:{sandbox}/v1", "TLS"),
                                       ("http://no-such-host.invalid/v1", "resolve")])
def test_a_host_out_of_reach_fails_all_at_once(small, sandbox, url, said):
    url = url.format(closed=free_port(), sandbox=sandbox.url.rsplit(":", 1)[1])
    small.execute(f"ALTER SERVER kombo_eu OPTIONS (SET base_url '{url}')")
    heard = notices_of(small.connection)
    results = sync_full(small)
    assert set(outcome(results).values()) == {"failed"} and said in results[0]["error"], results
    assert {one.sqlstate for one in heard} == {"08001"} and "base_url" in heard[0].message_hint
    with pytest.raises(psycopg.Error) as raised:
        small.execute("SELECT kombo.check_connection('kombo_eu')")
    assert raised.value.sqlstate == "08001" and said in str(raised.value)


@pytest.mark.parametrize("pending", [{"setup_status": "FINAL_SYNC_PENDING"}, {"setup_status": "INCOMPLETE"},
                                     {"qa_failed": True},
                                     {"error_code": "INTEGRATION.SETUP_SYNC_PENDING", "error_status": 503}])
def test_before_kombos_own_first_sync_everything_waits(small, sandbox, pending):
    sandbox.change_integration(**pending)
    small.execute("SET kombo_sync.max_retries = 5")
    heard = notices_of(small.connection)
    results = sync_full(small)
    assert set(outcome(results).values()) == {"waiting"} and len(results) == 3
    assert len(sandbox.requests()) <= 2, sandbox.paths()
    state = state_of(small, EMPLOYEES)
    assert (state["last_status"], state["failures"], state["watermark"]) == ("waiting", 0, None)
    assert status_of(small, EMPLOYEES)["state"] == "waiting"
    assert {one.sqlstate for one in heard} == {"55000"}
    sandbox.change_integration(setup_status="COMPLETED", qa_failed=False, error_code=None)
    assert {row["kind"] for row in assert_ok(sync_delta(small))} == {"full"}
    same_as_sandbox(small, sandbox, tables=["hris_employees"])


@pytest.mark.parametrize("setting", ["unavailable_models", "disabled_models"])
def test_a_model_that_the_tool_lacks_is_unavailable_and_the_rest_goes_on(small, sandbox, setting):
    sandbox.change_integration(**{setting: ["hris_teams"]})
    small.execute("SET kombo_sync.max_retries = 5")
    sandbox.clear_requests()
    assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "unavailable", "/hris/locations": "ok"}
    assert len(sandbox.requests(GROUPS)) == 1
    assert (state_of(small, GROUPS)["failures"], status_of(small, GROUPS)["state"]) == (0, "unavailable")


def test_a_list_that_kombo_offers_again_is_fetched_in_full(hris, sandbox):
    """Meanwhile its rows came from those who carry them: with fewer fields, and what nobody names was marked."""
    assert_ok(sync_full(hris))
    sandbox.faults({"path": EMPLOYEES, "status": 403, "code": "INTEGRATION.MODEL_NOT_AVAILABLE"})
    assert outcome(sync_delta(hris, what=[EMPLOYEES])) == {EMPLOYEES: "unavailable"}
    assert_ok(sync_full(hris, what=["/hris/performance-reviews"]))
    assert hris.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NOT NULL") > 0
    assert (EMPLOYEES, "full") in [(row["endpoint"], row["kind"]) for row in assert_ok(sync_delta(hris))]
    same_as_sandbox(hris, sandbox)
    # Until that full fetch ended, a carrier may have marked what it had read: the worker fetches once more.
    assert hris.value("SELECT kind FROM kombo.sync_requests WHERE endpoint = %s", [EMPLOYEES]) == "full"
    assert (EMPLOYEES, "delta") in [(row["endpoint"], row["kind"]) for row in assert_ok(sync_delta(hris))]


@pytest.mark.parametrize("off, on", [
    ("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) "
     "VALUES (%(integration)s, %(endpoint)s, false)",
     "DELETE FROM kombo.subscriptions"),
    ("UPDATE kombo.endpoints SET enabled = false WHERE path = %(endpoint)s",
     "UPDATE kombo.endpoints SET enabled = true WHERE path = %(endpoint)s")], ids=["subscription", "catalogue"])
def test_a_list_that_is_switched_on_again_is_fetched_in_full(hris, sandbox, off, on):
    names = {"integration": sandbox.integration, "endpoint": EMPLOYEES}
    assert_ok(sync_full(hris))
    hris.execute(off, names)
    assert_ok(sync_full(hris, what=["/hris/performance-reviews"]))
    assert hris.value("SELECT count(*) FROM kombo.hris_employees WHERE remote_deleted_at IS NOT NULL") > 0
    hris.execute(on, names)
    assert (EMPLOYEES, "full") in [(row["endpoint"], row["kind"]) for row in assert_ok(sync_delta(hris))]
    same_as_sandbox(hris, sandbox)
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, full_interval) VALUES "
                 "(%(integration)s, %(endpoint)s, '1 day')", names)
    assert (EMPLOYEES, "delta") in [(row["endpoint"], row["kind"]) for row in assert_ok(sync_delta(hris))]


# --- retries -----------------------------------------------------------------------------------------------------

PASSING = [{"status": 500}, {"status": 503}, {"status": 408}, {"close": True}, {"html": True}, {"other_json": True},
           {"html": True, "status": 200}, {"truncate": 300}, {"truncate": 300, "no_length": True}, {"body": ""},
           {"status": 500, "code": "PLATFORM.TASK_TIMED_OUT"}, {"status": 400, "code": "REMOTE.SERVICE_UNAVAILABLE"},
           {"status": 599, "code": "NEVER.HEARD_OF"}]
LASTING = [{"status": 403}, {"status": 400, "code": "PLATFORM.INPUT_INVALID"},
           {"status": 418, "code": "NEVER.HEARD_OF"}, {"status": 404, "code": "PLATFORM.INTEGRATION_NOT_FOUND"},
           {"status": 503, "code": "PLATFORM.IP_NOT_WHITELISTED"},
           {"status": 302, "headers": {"Location": "/v1/hris/groups"}}]


def test_what_may_pass_is_tried_again(small, sandbox):
    small.execute("SET kombo_sync.max_retries = 2")
    count = len(sandbox.dump("hris_teams"))
    for fault in PASSING:
        sandbox.faults({"path": GROUPS, **fault})
        sandbox.clear_requests()
        result = assert_ok(sync_full(small, what=GROUPS))[0]
        assert (len(sandbox.requests(GROUPS)), result["received"], result["pages"]) == (2, count, 1), fault
        # A connection that is lost before it was used is libcurl's to make anew.
        assert last_run(small, GROUPS)["retries"] == 1 or "close" in fault, fault


def test_what_does_not_pass_is_not_tried_again(small, sandbox):
    small.execute("SET kombo_sync.max_retries = 5")
    for fault in LASTING:
        sandbox.faults({"path": GROUPS, **fault})
        sandbox.clear_requests()
        assert outcome(sync_full(small, what=GROUPS)) == {GROUPS: "failed"}, fault
        assert len(sandbox.requests()) == 1, fault


def test_a_rate_limit_is_waited_for_as_long_as_kombo_says(small, sandbox):
    small.execute("SET kombo_sync.max_retries = 1")
    for headers in ({"Retry-After": "1"}, {"ratelimit-reset": "1"}, {"retry-after-ms": "1000"}):
        sandbox.faults({"path": GROUPS, "status": 429, "code": "PLATFORM.RATE_LIMIT_EXCEEDED", "headers": headers})
        result = assert_ok(sync_full(small, what=GROUPS))[0]
        took = (result["finished_at"] - result["started_at"]).total_seconds()
        assert took >= 0.99, f"{headers}: {took} s"
        assert last_run(small, GROUPS)["retries"] == 1


def test_a_wait_of_more_than_a_minute_fails_at_once(small, sandbox):
    small.execute("SET kombo_sync.max_retries = 5")
    for headers in ({"Retry-After": "61"}, {"ratelimit-reset": "3600"},
                    {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}):
        sandbox.faults({"path": GROUPS, "status": 429, "code": "PLATFORM.RATE_LIMIT_EXCEEDED", "headers": headers})
        sandbox.clear_requests()
        heard = notices_of(small.connection)
        result = sync_full(small, what=GROUPS)[0]
        assert result["status"] == "failed" and (result["finished_at"] - result["started_at"]).total_seconds() < 60
        assert len(sandbox.requests()) == 1, headers
        assert warning_about(heard, GROUPS).sqlstate == "53400"


def test_retries_end_after_max_retries(small, sandbox):
    small.execute("SET kombo_sync.max_retries = 2")
    sandbox.faults({"path": GROUPS, "status": 500, "times": -1, "headers": {"Retry-After": "0"}})
    sandbox.clear_requests()
    assert outcome(sync_full(small, what=GROUPS)) == {GROUPS: "failed"}
    assert len(sandbox.requests()) == 3
    assert last_run(small, GROUPS)["retries"] == 2


# --- answers that are not Kombo's --------------------------------------------------------------------------------

def test_an_answer_of_another_shape_says_so(small, sandbox):
    bodies = ["null", '{"status":"success","data":{"results":{},"next":null}}', '{"status":"success","data":[]}',
              '{"status":"success","data":{"results":[],"next":7}}', '{"status":"success"}', "[]", "hello",
              '{"status":"success","data":{"results":[],"next":null}} and more', '{"data":{"results":[],"next":null}}']
    for fault in [{"html": True, "status": 200}, {"other_json": True}, *({"body": body} for body in bodies)]:
        sandbox.faults({"path": GROUPS, **fault})
        heard = notices_of(small.connection)
        assert outcome(sync_full(small, what=GROUPS)) == {GROUPS: "failed"}, fault
        warning = warning_about(heard, GROUPS)
        assert warning.sqlstate == "08P01" and "base_url" in warning.message_hint, warning
    assert rows(small, "hris_teams") == []


def test_an_error_envelope_with_status_200_is_an_error(small, sandbox):
    sandbox.faults({"path": GROUPS, "status": 200, "body": '{"status":"error","error":{"code":null,"message":"oops"}}'})
    result = sync_full(small, what=GROUPS)[0]
    assert result["status"] == "failed" and "oops" in result["error"]


def test_cursors_that_repeat_or_loop_are_an_error_and_not_an_endless_list(small, sandbox):
    for fault in ({"repeat_cursor": True}, {"loop_cursors": 1}, {"loop_cursors": 3}):
        sandbox.faults({"path": EMPLOYEES, "times": -1, **fault})
        sandbox.clear_requests()
        heard = notices_of(small.connection)
        assert outcome(sync_full(small, what=EMPLOYEES)) == {EMPLOYEES: "failed"}, fault
        assert "cursor" in warning_about(heard, EMPLOYEES).message_primary
        assert rows(small, "hris_employees") == [] and len(sandbox.requests(EMPLOYEES)) < 8
        sandbox.faults()


def test_an_answer_beyond_max_response_size_fails_at_once_and_names_the_option(small, sandbox):
    small.execute("ALTER SERVER kombo_eu OPTIONS (ADD max_response_size '64kB', SET page_size '250')")
    small.execute("SET kombo_sync.max_retries = 5")
    sandbox.clear_requests()
    heard = notices_of(small.connection)
    assert outcome(sync_full(small)) == {EMPLOYEES: "failed", GROUPS: "ok", "/hris/locations": "ok"}
    assert len(sandbox.requests(EMPLOYEES)) == 1
    warning = warning_about(heard, EMPLOYEES)
    assert "max_response_size" in warning.message_primary + warning.message_hint


def test_a_slow_answer_ends_with_request_timeout(small, sandbox):
    small.execute("ALTER SERVER kombo_eu OPTIONS (ADD request_timeout '1s')")
    sandbox.faults({"path": GROUPS, "drip": True, "drip_ms": 200})
    heard = notices_of(small.connection)
    assert outcome(sync_full(small)) == {EMPLOYEES: "ok", GROUPS: "failed", "/hris/locations": "ok"}
    warning = warning_about(heard, GROUPS)
    assert warning.sqlstate == "08006" and "timed out" in warning.message_primary


# --- secrets -----------------------------------------------------------------------------------------------------

@pytest.mark.sandbox(api_key=KEY)
def test_the_key_is_nowhere_but_in_the_user_mapping(small, sandbox, cluster):
    """Not even where the server at the other end repeats it in its error."""
    small.execute("SELECT 1")  # the last statement that pg_stat_activity shows is not CREATE USER MAPPING
    written = cluster.log.stat().st_size
    said = []
    heard = notices_of(small.connection)
    faults = [{"status": 401, "message": f"The key {KEY} is wrong."}, {"status": 500, "message": f"Bearer {KEY}"},
              {"body": f"<html>Authorization: Bearer {KEY}</html>"}, {"close": True}, {"truncate": 40},
              {"status": 429, "headers": {"Retry-After": "100"}}, {"status": 403, "code": KEY},
              {"status": 400, "body": json.dumps({"status": "error",
                                                  "error": {"message": "m", "title": KEY, "log_url": KEY}})}]
    for fault in faults:
        sandbox.faults({"path": "*", "times": -1, **fault})
        said += [row["error"] for row in sync_full(small)]
        with pytest.raises(psycopg.Error) as raised:
            small.execute("SELECT kombo.check_connection('kombo_eu')")
        said += [str(raised.value), raised.value.diag.message_detail or "", raised.value.diag.message_hint or ""]
        sandbox.faults()
    assert len(said) == len(faults) * 6 and None not in said
    sandbox.faults({"path": GROUPS, "hang": True})
    hanging = Background(small, "SELECT * FROM kombo.kombo_sync_full(NULL, ARRAY['/hris/groups'])")
    wait_until(lambda: [r for r in sandbox.requests(GROUPS) if r["status"] is None])
    said += [str(row) for row in small.execute("SELECT * FROM pg_stat_activity")]
    sandbox.faults()
    hanging.wait()
    for one in heard:
        said += [one.message_primary, one.message_detail or "", one.message_hint or "", one.context or ""]
    for relation in ("kombo.sync_runs", "kombo.sync_state", "kombo.sync_status", "kombo.integrations",
                     "kombo.rejected_records"):
        said += [str(row) for row in small.execute(f"SELECT * FROM {relation}")]
    said.append(cluster.log.read_text(encoding="utf-8")[written:])
    leaks = [re.sub(f".*(.{{60}}){KEY}.*", r"…\1KEY", text, flags=re.DOTALL) for text in said if KEY in text]
    assert not leaks, "\n".join(leaks[:10])


# --- two sessions ------------------------------------------------------------------------------------------------

def test_of_two_sessions_one_syncs_and_the_other_says_who_does(small, sandbox):
    sandbox.faults({"path": GROUPS, "hang": True})
    first = Background(small, "SELECT * FROM kombo.kombo_sync_full()")
    wait_until(lambda: [r for r in sandbox.requests(GROUPS) if r["status"] is None])
    sandbox.clear_requests()
    heard = notices_of(small.connection)
    for results in (sync_full(small), sync_delta(small)):
        assert set(outcome(results).values()) == {"skipped"} and len(results) == 3
        assert all(f"pid {first.pid}" in row["error"] for row in results), results[0]["error"]
        assert all(row["pages"] == 0 for row in results)
    assert sandbox.requests() == []
    assert heard and {one.sqlstate for one in heard} == {"55P03"}
    sandbox.faults()
    assert_ok(first.result())
    assert_ok(sync_full(small))


def test_a_sync_that_was_skipped_is_not_a_failure(small, sandbox):
    assert_ok(sync_full(small))
    with small.connect(autocommit=False) as other:
        other.execute("SELECT * FROM kombo.kombo_sync_delta()")  # the lock is held until the transaction ends
        assert set(outcome(sync_full(small)).values()) == {"skipped"}
        other.rollback()
    assert {status_of(small, path)["state"] for path in (EMPLOYEES, GROUPS)} == {"fresh"}
    assert state_of(small, EMPLOYEES)["failures"] == 0


def test_two_integrations_sync_side_by_side(small, sandbox):
    sandbox.add_integration("hibob:two", employees=30, seed=5)
    small.add_integration("hibob:two")
    sandbox.faults({"path": GROUPS, "integration": sandbox.integration, "hang": True})
    first = Background(small, "SELECT * FROM kombo.kombo_sync_full(%s)", [sandbox.integration])
    wait_until(lambda: [r for r in sandbox.requests(GROUPS) if r["status"] is None])
    assert_ok(sync_full(small, "hibob:two"))
    same_as_sandbox(small, sandbox, "hibob:two")
    sandbox.faults()
    assert_ok(first.result())


# --- where nothing can be written --------------------------------------------------------------------------------

@pytest.mark.parametrize("function", ["kombo_sync_full", "kombo_sync_delta"])
def test_a_read_only_transaction_is_refused_before_any_request(small, sandbox, function):
    sandbox.clear_requests()
    with small.connect(autocommit=False) as other:
        other.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            other.execute(f"SELECT * FROM kombo.{function}()")
    assert sandbox.requests() == []


def test_a_standby_says_that_it_cannot_sync(new_cluster, sandbox):
    primary = new_cluster("wal_level = replica\nmax_wal_senders = 3\n")
    primary.prepare_template()
    db = Database(primary, TEMPLATE)
    db.create_server(sandbox)
    db.add_integration(sandbox.integration)
    assert_ok(sync_full(db))
    standby = new_cluster()
    standby.stop()
    shutil.rmtree(standby.data)
    primary.program("pg_basebackup", "-D", standby.data, "-R", "-c", "fast", "-X", "stream")
    with open(standby.data / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"unix_socket_directories = '{standby.folder}'\n")
    standby.start()
    sandbox.clear_requests()
    copy = Database(standby, TEMPLATE)
    assert copy.value("SELECT pg_is_in_recovery()")
    for function in ("kombo_sync_full", "kombo_sync_delta"):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as raised:
            copy.execute(f"SELECT * FROM kombo.{function}()")
        assert "recovery" in str(raised.value) and function in str(raised.value)
    states = copy.execute("SELECT DISTINCT state FROM kombo.sync_status WHERE endpoint IS NOT NULL")
    assert [row["state"] for row in states] == ["fresh"]
    assert sandbox.requests() == []
