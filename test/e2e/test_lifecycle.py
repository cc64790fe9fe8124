"""The worker through the life of a server: settings, signals, shutdowns, crashes, standbys, upgrades. Whatever happens,
it comes back by itself, syncs on, and the log has every cause once."""

import os
import re
import signal
import time

import psycopg
import pytest

from cluster import TEMPLATE, Database, Standby
from lifecycle import (EMPLOYEES, GROUPS, LAUNCHER, assert_a_change_arrives, first_row, in_the_middle_of_a_fetch,
                       seconds, text_of, wait_state)
from syncing import SOON, one, same_as_sandbox
from worker import (WORKER_SETTINGS, inbox, new_served, runs, send_webhook, until, wait_judged, wait_synced, worker_pid,
                    workers_of)


def few_in(cluster, sandbox):
    """As the fixture `few`, in a cluster of the test's own."""
    db = new_served(cluster, sandbox)
    db.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(db)
    sandbox.clear_requests()
    return db


@pytest.fixture
def own(new_cluster, sandbox):
    """As `few`, in a cluster of the test's own, which it may kill and stop."""
    return few_in(new_cluster(WORKER_SETTINGS), sandbox)


# --- reload -------------------------------------------------------------------------------------------------------

def test_off_ends_the_worker_and_on_brings_it_back(few, sandbox):
    few.cluster.configure({"kombo_sync.enabled": "off"})
    until(few, lambda: not workers_of(few), what="the end of the worker")
    row = first_row(few)
    assert (row["state"], row["reason"]) == ("no worker", "kombo_sync.enabled is off")
    assert "pg_reload_conf" in row["next"]
    send_webhook(few, sandbox)
    few.cluster.configure({"kombo_sync.enabled": "on"})
    wait_state(few, "running")
    wait_judged(few)
    assert_a_change_arrives(few, sandbox, "Changed")


def test_the_number_of_workers_follows_the_setting(few, sandbox):
    few.cluster.configure({"kombo_sync.workers": 3})
    until(few, lambda: len(workers_of(few)) == 3, what="three workers")
    names = [row["application_name"] for row in workers_of(few)]
    assert names == [f"kombo_sync worker {n}" for n in (1, 2, 3)]
    first = workers_of(few)[0]["pid"]
    few.cluster.configure({"kombo_sync.workers": 1})
    until(few, lambda: len(workers_of(few)) == 1, what="one worker")
    assert workers_of(few)[0]["pid"] == first
    assert_a_change_arrives(few, sandbox, "Changed")


def test_the_databases_follow_the_setting(few, sandbox):
    cluster = few.cluster
    other = Database(cluster, cluster.new_database(TEMPLATE))
    assert first_row(other)["reason"] == (f"kombo_sync.databases is '{few.name}', which does not name this database, "
                                          f'"{other.name}"')
    cluster.configure({"kombo_sync.databases": f"{few.name}, {other.name}"})
    until(other, lambda: workers_of(other), what="a worker in the other database")
    assert workers_of(few)
    cluster.configure({"kombo_sync.databases": other.name})
    until(few, lambda: not workers_of(few), what="the end of the worker")
    assert workers_of(other)
    other.drop()


def test_a_name_with_capitals_goes_in_double_quotes(few):
    cluster = few.cluster
    few.execute(f'CREATE DATABASE "A, b" TEMPLATE {TEMPLATE}')
    other = Database(cluster, "A, b")
    cluster.configure({"kombo_sync.databases": f'{few.name}, "A, b"'})
    until(other, lambda: workers_of(other), what="the worker")
    assert len(workers_of(few)) == 1
    other.connection.close()
    few.execute('DROP DATABASE "A, b"')
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
        few.execute("""ALTER SYSTEM SET kombo_sync.databases = 'one two'""")
    assert "kombo_sync.databases" in str(raised.value) and raised.value.diag.message_hint


def test_a_reload_in_the_middle_of_a_fetch_takes_effect_at_once(few, sandbox):
    in_the_middle_of_a_fetch(few, sandbox)
    pid = worker_pid(few)
    few.cluster.configure({"kombo_sync.poll_interval": "1s"})
    few.cluster.configure({"kombo_sync.workers": 2})
    until(few, lambda: len(workers_of(few)) == 2, what="the second worker")
    sandbox.faults()
    wait_synced(few)
    assert pid in [row["pid"] for row in workers_of(few)]


# --- terminated ---------------------------------------------------------------------------------------------------

def test_a_terminated_worker_comes_back_and_goes_on(few, sandbox):
    in_the_middle_of_a_fetch(few, sandbox)
    pid = worker_pid(few)
    ended = seconds(lambda: (few.execute("SELECT pg_terminate_backend(%s::integer)", [pid]),
                             until(few, lambda: pid not in [row["pid"] for row in workers_of(few)], what="its end")))
    assert ended < SOON
    sandbox.faults()
    wait_synced(few)
    assert inbox(few) == {"done": 1} and worker_pid(few) != pid
    assert_a_change_arrives(few, sandbox, "Changed")


def test_a_terminated_launcher_comes_back_with_its_workers(own, sandbox):
    pid = own.value(LAUNCHER)
    own.execute("SELECT pg_terminate_backend(%s::integer)", [pid])
    until(own, lambda: own.value(LAUNCHER) not in (None, pid), 20, "another launcher")
    until(own, lambda: len(workers_of(own)) == 1, 20, "a worker")
    assert_a_change_arrives(own, sandbox, "Changed")
    own.cluster.configure({"kombo_sync.enabled": "off"})
    until(own, lambda: not workers_of(own), what="the end of the worker, which the new launcher must know")


@pytest.mark.parametrize("victim", ["a backend", "the launcher"])
def test_after_a_crash_all_come_back(own, sandbox, victim):
    in_the_middle_of_a_fetch(own, sandbox)
    pid = {"a backend": own.connection.info.backend_pid, "the launcher": own.value(LAUNCHER)}[victim]
    os.kill(pid, signal.SIGKILL)
    sandbox.faults()
    own.reconnect()
    wait_synced(own)
    assert inbox(own) == {"done": 1}
    assert_a_change_arrives(own, sandbox, "Changed")


# --- shutdown -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_a_shutdown_does_not_wait_for_kombo(own, sandbox, mode):
    in_the_middle_of_a_fetch(own, sandbox)
    own.connection.close()
    assert seconds(lambda: own.cluster.stop(mode)) < SOON
    sandbox.faults()
    own.cluster.start()
    own.reconnect()
    wait_synced(own)
    assert inbox(own) == {"done": 1}
    same_as_sandbox(own, sandbox, tables=["hris_employees", "hris_employments", "hris_teams"])


# --- slots --------------------------------------------------------------------------------------------------------

def test_a_missing_worker_slot_is_said_and_waited_out(new_cluster, sandbox):
    """Of three slots the launcher has one and PostgreSQL's own launcher for logical replication another."""
    cluster = new_cluster(WORKER_SETTINGS + "max_worker_processes = 3\n")
    db = few_in(cluster, sandbox)
    other = Database(cluster, cluster.new_database(TEMPLATE))
    cluster.configure({"kombo_sync.databases": f"{db.name}, {other.name}"})
    row = until(other, lambda: "slot" in (first_row(other)["reason"] or "") and first_row(other), what="the reason")
    assert row["state"] == "no worker" and "max_worker_processes (now 3)" in row["next"]
    assert first_row(db)["state"] == "running"
    db.cluster.configure({"kombo_sync.workers": 2})
    row = until(db, lambda: "slot" in first_row(db)["reason"] and first_row(db), what="the reason")
    assert row["state"] == "running" and "of 2 wanted" in row["reason"]
    cluster.configure({"kombo_sync.databases": other.name})
    wait_state(other, "running")
    said = [line for line in text_of(cluster.log).splitlines() if "no background worker slot" in line]
    assert len(said) == 2, said  # once of each database


def test_a_launcher_without_a_slot_is_said(new_cluster):
    cluster = new_cluster(WORKER_SETTINGS + "max_worker_processes = 0\n")
    cluster.prepare_template()
    db = Database(cluster, cluster.new_database(TEMPLATE))
    cluster.configure({"kombo_sync.databases": db.name})
    row = until(db, lambda: "launcher" in first_row(db)["reason"] and first_row(db), what="the reason")
    assert row["state"] == "no worker" and "max_worker_processes" in row["next"]


# --- the log ------------------------------------------------------------------------------------------------------

def test_what_stays_wrong_is_said_once(few):
    """A database that does not exist, one that allows no connections; reloads do not repeat it."""
    cluster = few.cluster
    before = len(text_of(cluster.log))
    cluster.configure({"kombo_sync.databases": f"{few.name}, nowhere, template0"})
    until(few, lambda: "template0" in text_of(cluster.log)[before:], what="the warning")
    for workers in (2, 1, 2, 1):
        cluster.configure({"kombo_sync.workers": workers})
        until(few, lambda n=workers: len(workers_of(few)) == n, what="the workers")
    said = re.findall(r"could not run all workers of kombo_sync in database \"(\w+)\": (.*)",
                      text_of(cluster.log)[before:])
    assert sorted(said) == [("nowhere", "there is no such database"),
                            ("template0", "the database does not allow connections")]


def test_a_worker_that_cannot_live_is_started_ever_more_seldom(own):
    """Here somebody ends it whenever it is there."""
    ended = set()

    def end_it():
        ended.update(row["pid"] for row in own.execute("SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
                                                       "WHERE backend_type = 'kombo_sync worker'"))
        row = first_row(own)
        return "soon after its start" in (row["reason"] or "") and row

    row = until(own, end_it, what="the reason")
    assert row["state"] == "no worker" and "log" in row["next"]
    began = time.monotonic()
    until(own, lambda: end_it() and time.monotonic() > began + 8, what="eight seconds")
    assert len(ended) <= 5, ended
    assert text_of(own.cluster.log).count("could not run all workers") == 1
    wait_state(own, "running", 60)


# --- standby ------------------------------------------------------------------------------------------------------

def test_a_standby_has_no_worker_until_it_is_promoted(own, sandbox):
    standby = Standby(own.cluster)
    try:
        copy = Database(standby, own.name)
        row = first_row(copy)
        assert (row["state"], row["reason"]) == ("no worker", "this server is a standby")
        assert copy.value(LAUNCHER) is None
        assert_a_change_arrives(own, sandbox, "Changed")
        person = sandbox.dump("hris_employees")[0]["id"]
        until(copy, lambda: one(copy, "hris_employees", person)["job_title"] == "Changed", what="replication")
        assert copy.execute("SELECT * FROM kombo.sync_progress") == []
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            send_webhook(copy, sandbox)
        own.connection.close()
        own.cluster.stop("immediate")
        standby.promote()
        wait_state(copy, "running")
        assert_a_change_arrives(copy, sandbox, "After the promotion")
        assert runs(copy, trigger="webhook", kind="full") == []
    finally:
        standby.close()


# --- upgrade ------------------------------------------------------------------------------------------------------

@pytest.mark.time_limit(240)
def test_no_worker_acts_during_pg_upgrade(new_cluster, sandbox):
    settings = WORKER_SETTINGS + "log_min_messages = debug1\n"
    old = new_cluster(settings)
    db = few_in(old, sandbox)
    assert "kombo_sync launcher" in text_of(old.log)
    name, has = db.name, db.value("SELECT count(*) FROM kombo.hris_employees")
    # The servers of pg_upgrade read the configuration, too.
    settings += f"kombo_sync.databases = '{name}'\n"
    db.connection.close()
    old.stop()
    new = new_cluster(settings)
    new.run("CREATE ROLE kombo_owner")
    new.run("DROP ROLE kombo_owner")
    new.stop()
    sandbox.clear_requests()
    new.program("pg_upgrade", "-b", old.bindir, "-B", new.bindir, "-d", old.data, "-D", new.data, "-s", new.folder,
                "-U", "postgres", "--retain", cwd=new.folder)
    logs = list(new.data.glob("pg_upgrade_output.d/*/log/pg_upgrade_server.log"))
    assert logs and not [log for log in logs if "kombo_sync launcher" in text_of(log)]
    assert sandbox.requests() == []
    new.start()
    upgraded = Database(new, name)
    wait_state(upgraded, "running")
    assert upgraded.value("SELECT count(*) FROM kombo.hris_employees") == has
    # It is another cluster: whether it is to go on is for the operator to say, who may have tried it on a copy.
    assert {row["state"] for row in upgraded.execute("SELECT * FROM kombo.sync_status")} == {"running", "restored"}
    upgraded.execute("SELECT kombo.resume(NULL)")
    assert_a_change_arrives(upgraded, sandbox, "Changed")
    assert {run["kind"] for run in runs(upgraded, trigger="webhook")} == {"delta"}
