"""Cancel, statement_timeout and termination act within a second, wherever a sync waits."""

import os
import pathlib
import subprocess
import sys
import textwrap

import psycopg
import pytest

from cluster import TEMPLATE, Database
from lifecycle import seconds
from syncing import SOON, Background, assert_ok, rows, same_as_sandbox, sync_full, wait_until

GROUPS = "/hris/groups"
SYNC = "SELECT * FROM kombo.kombo_sync_full()"
# Where a sync may be caught: faults, and whether the sandbox then has a request that it has not answered.
PLACES = {
    "the server hangs": ([{"path": GROUPS, "hang": True}], True),
    "a body drips": ([{"path": GROUPS, "drip": True}], False),
    "a back-off": ([{"path": GROUPS, "status": 503, "headers": {"Retry-After": "50"}}], False),
    "the confirmation by ids": ([{"path": GROUPS, "body": '{"status":"success","data":{"results":[],"next":null}}'},
                                 {"path": GROUPS, "hang": True}], True),
}


@pytest.fixture
def small(hris, sandbox):
    """`hris` with two endpoints, synced once; employees come before groups."""
    hris.subscribe_only(sandbox.integration, "/hris/employees", GROUPS)
    assert_ok(sync_full(hris))
    return hris


def caught_in(db, sandbox, place, before=None):
    """A sync in another session that has come to that place."""
    faults, unanswered = PLACES[place]
    sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], set={"job_title": "Changed"})
    sandbox.faults(*faults)
    sandbox.clear_requests()
    sync = Background(db, SYNC, before=before)
    wait_until(lambda: sandbox.admin("GET", "faults")["left"] == 0
               and bool([r for r in sandbox.requests(GROUPS) if r["status"] is None]) == unanswered, what=place)
    # Written before the wait, so that there is something to undo.
    wait_until(lambda: db.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [sync.pid])
               == "Extension", what="the wait")
    return sync


def assert_undone_and_usable(db, sandbox, connection):
    sandbox.faults()
    assert not [row for row in rows(db, "hris_employees").values() if row["job_title"] == "Changed"]
    assert db.value("SELECT count(*) FROM kombo.sync_runs") == 2
    results = connection.execute(SYNC).fetchall()
    assert_ok(results)
    same_as_sandbox(db, sandbox, tables=["hris_employees", "hris_teams"])


@pytest.mark.parametrize("place", PLACES)
def test_cancel_acts_at_once(small, sandbox, place):
    sync = caught_in(small, sandbox, place)
    small.execute("SELECT pg_cancel_backend(%s::integer)", [sync.pid])
    sync.wait(SOON)
    assert isinstance(sync.error, psycopg.errors.QueryCanceled), sync.error or sync.rows
    assert_undone_and_usable(small, sandbox, sync.connection)


@pytest.mark.parametrize("place", PLACES)
def test_termination_acts_at_once(small, sandbox, place):
    sync = caught_in(small, sandbox, place)
    small.execute("SELECT pg_terminate_backend(%s::integer)", [sync.pid])
    sync.wait(SOON)
    assert isinstance(sync.error, psycopg.OperationalError), sync.error or sync.rows
    # The integration is free at once: the session's lock went with it.
    assert_undone_and_usable(small, sandbox, small.connection)


@pytest.mark.parametrize("place", PLACES)
def test_statement_timeout_acts_by_its_time(small, sandbox, place):
    sync = caught_in(small, sandbox, place, before="SET statement_timeout = '2s'")
    sync.wait(SOON)
    assert isinstance(sync.error, psycopg.errors.QueryCanceled) and "statement timeout" in str(sync.error), sync.error
    sync.connection.execute("RESET statement_timeout")
    assert_undone_and_usable(small, sandbox, sync.connection)


def test_a_client_that_cancels_several_times_in_a_row_finds_a_usable_backend(small, sandbox):
    with small.connect() as connection:
        for _ in range(5):
            sandbox.faults({"path": "*", "hang": True})
            sandbox.clear_requests()
            connection.execute("SET statement_timeout = '300ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(SYNC)
            sandbox.faults()
        connection.execute("RESET statement_timeout")
        assert_ok(connection.execute(SYNC).fetchall())


def test_a_cancelled_sync_in_a_savepoint_leaves_the_transaction_usable(small, sandbox):
    with small.connect(autocommit=False) as connection:
        connection.execute("CREATE TEMPORARY TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        sandbox.faults({"path": GROUPS, "hang": True})
        connection.execute("SAVEPOINT s; SET LOCAL statement_timeout = '500ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(SYNC)
        connection.execute("ROLLBACK TO s")
        sandbox.faults()
        assert_ok(connection.execute(SYNC).fetchall())
        assert connection.execute("SELECT count(*) AS n FROM kept").fetchone()["n"] == 1
        connection.commit()


def test_a_cancel_is_not_an_endpoints_failure(small, sandbox):
    """No row `failed`: the statement itself ends, and leaves no trace of the endpoint."""
    sync = caught_in(small, sandbox, "the server hangs")
    small.execute("SELECT pg_cancel_backend(%s::integer)", [sync.pid])
    sync.wait()
    assert sync.rows is None
    assert small.value("SELECT count(*) FROM kombo.sync_state WHERE failures > 0") == 0


def test_the_hanging_request_is_dropped_when_the_sync_is_cancelled(small, sandbox):
    sync = caught_in(small, sandbox, "the server hangs")
    small.execute("SELECT pg_cancel_backend(%s::integer)", [sync.pid])
    sync.wait()
    wait_until(lambda: [r["status"] for r in sandbox.requests(GROUPS)] == [0], 5, "the end of the request")


@pytest.mark.parametrize("statement", ["SELECT kombo.check_connection('kombo_eu')",
                                       "SELECT kombo.add_integration('hibob:two', server => 'kombo_eu')"])
def test_other_calls_that_ask_kombo_can_be_cancelled(small, sandbox, statement):
    sandbox.faults({"path": "*", "hang": True})
    sandbox.clear_requests()
    call = Background(small, statement)
    wait_until(sandbox.requests)
    small.execute("SELECT pg_cancel_backend(%s::integer)", [call.pid])
    call.wait(SOON)
    assert isinstance(call.error, psycopg.errors.QueryCanceled), call.error


def test_the_server_stops_at_once_while_a_sync_hangs(new_cluster, sandbox):
    cluster = new_cluster()
    cluster.prepare_template()
    db = Database(cluster, TEMPLATE)
    db.create_server(sandbox)
    db.add_integration(sandbox.integration)
    for mode in ("fast", "immediate"):
        sandbox.faults({"path": "*", "hang": True})
        sandbox.clear_requests()
        sync = Background(db, SYNC)
        wait_until(sandbox.requests)
        assert seconds(lambda mode=mode: cluster.stop(mode)) < SOON, mode
        sync.wait()
        assert isinstance(sync.error, psycopg.OperationalError), sync.error
        sandbox.faults()
        cluster.start()


# --- DNS ---------------------------------------------------------------------------------------------------------

# In namespaces of its own: a name server that never answers, and a postmaster that asks it. PostgreSQL refuses root,
# so the postmaster gets a user namespace inside the one that may mount.
SILENT_DNS = textwrap.dedent(r"""
    import socket, subprocess, sys
    folder, uid, gid, *start = sys.argv[1:]
    with open(folder + "/resolv.conf", "w") as conf:
        conf.write("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    with open(folder + "/nsswitch.conf", "w") as conf:
        conf.write("hosts: dns\n")
    for name in ("resolv.conf", "nsswitch.conf"):
        subprocess.run(["mount", "--bind", folder + "/" + name, "/etc/" + name], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    subprocess.run(["unshare", "--user", "--map-user=" + uid, "--map-group=" + gid, *start], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print("started", flush=True)
    while True:
        server.recv(512)
        with open(folder + "/asked", "a") as asked:
            asked.write("once more\n")
""")


@pytest.fixture
def silent_dns(new_cluster):
    """A cluster whose name server is silent, and notes each question in a file; skips where that needs more rights."""
    cluster = new_cluster()
    cluster.stop()
    script = cluster.folder / "silent_dns.py"
    script.write_text(SILENT_DNS, encoding="utf-8")
    probe = subprocess.run(["unshare", "-Urnm", "sh", "-c", "mount --bind /etc/hosts /etc/hosts && ip link set lo up"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           check=False)
    if probe.returncode != 0:
        pytest.skip(f"namespaces cannot be made here: {probe.stdout.strip()}")
    start = [cluster.bindir / "pg_ctl", "-D", cluster.data, "-l", cluster.log, "-w", "-s", "start"]
    command = ["unshare", "-Urnm", sys.executable, script, cluster.folder, str(os.getuid()), str(os.getgid()), *start]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n", "the cluster did not start in namespaces"
        yield cluster
        cluster.stop("immediate")
        process.terminate()


def test_interrupts_act_at_once_while_dns_is_silent(silent_dns, sandbox):
    silent_dns.prepare_template()
    db = Database(silent_dns, TEMPLATE)
    db.create_server(sandbox, base_url="https://api.kombo.dev/v1", connect_timeout="60s")
    db.add_integration("personio:x", category="HRIS")
    asked = silent_dns.folder / "asked"
    asked.touch()
    with db.connect() as connection:
        for how in ("cancel", "terminate", "statement_timeout"):
            questions = asked.stat().st_size
            before = "SET statement_timeout = '2s'" if how == "statement_timeout" else None
            sync = Background(db, SYNC, before=before)
            wait_until(lambda: asked.stat().st_size > questions, what="a question to the name server")
            if how != "statement_timeout":
                connection.execute(f"SELECT pg_{how}_backend(%s)", [sync.pid])
            sync.wait(SOON)
            if how == "terminate":
                wait_until(lambda: not pathlib.Path(f"/proc/{sync.pid}").exists(), SOON, "the end of the process")
            else:
                assert isinstance(sync.error, psycopg.errors.QueryCanceled), sync.error
                assert sync.connection.execute("SELECT 1 AS one").fetchone()["one"] == 1
