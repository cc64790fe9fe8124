"""The worker and the life of a database: extension made, dropped, updated; database dropped, copied, renamed."""

import time

import pytest

from cluster import TEMPLATE, Database
from lifecycle import (EMPLOYEES, GROUPS, assert_a_change_arrives, first_row, in_the_middle_of_a_fetch, seconds,
                       text_of, wait_state)
from sandbox import WEBHOOK_SECRET
from syncing import SOON, one, same_as_sandbox, wait_until
from worker import (inbox, runs, send_webhook, serve, until, wait_judged, wait_requested, wait_synced, worker_pid,
                    workers_of)


@pytest.fixture
def bare(worker_cluster):
    """A database without the extension, and a worker in it."""
    db = Database(worker_cluster, worker_cluster.new_database())
    serve(db)
    yield db
    worker_cluster.reset_settings()
    db.drop()


# --- the extension ------------------------------------------------------------------------------------------------

def test_a_worker_waits_for_the_extension(bare, sandbox):
    worker_cluster = bare.cluster
    before = len(text_of(worker_cluster.log))
    pid = worker_pid(bare)
    bare.execute("CREATE EXTENSION kombo_sync")
    assert pid == worker_pid(bare)
    bare.execute("CREATE ROLE kombo_bare_owner")
    bare.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_bare_owner')")
    bare.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    bare.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(bare)
    assert_a_change_arrives(bare, sandbox, "Changed")
    assert worker_pid(bare) == pid
    assert "ERROR" not in text_of(worker_cluster.log)[before:]
    bare.execute("DROP EXTENSION kombo_sync CASCADE")
    bare.execute("DROP OWNED BY kombo_bare_owner")
    bare.execute("DROP ROLE kombo_bare_owner")


def test_a_schema_of_that_name_that_is_not_ours_does_no_harm(bare, sandbox):
    before = len(text_of(bare.cluster.log))
    bare.execute("""CREATE SCHEMA kombo CREATE TABLE webhook_inbox (mine integer)
                    CREATE TABLE sync_requests (mine integer) CREATE TABLE integrations (mine integer)
                    CREATE TABLE sync_state (mine integer)""")
    bare.execute("INSERT INTO kombo.webhook_inbox VALUES (1); INSERT INTO kombo.sync_requests VALUES (1)")
    pid = worker_pid(bare)
    bare.cluster.configure({"kombo_sync.poll_interval": "100ms"})
    bare.execute("SELECT pg_terminate_backend(%s::integer)", [pid])
    until(bare, lambda: worker_pid(bare) != pid, what="another worker")
    pid = worker_pid(bare)
    time.sleep(1)  # ten polls
    assert worker_pid(bare) == pid
    assert "ERROR" not in text_of(bare.cluster.log)[before:]
    bare.execute("DROP SCHEMA kombo CASCADE")
    bare.execute("CREATE EXTENSION kombo_sync")
    until(bare, lambda: "data tables" in first_row(bare)["reason"], what="the worker's notice of the extension")


@pytest.mark.sandbox(employees=600)
def test_dropping_the_extension_does_not_wait_for_kombo_and_leaves_whole_rows(served, sandbox):
    """In the middle of a full fetch whose next page does not come."""
    sandbox.faults({"path": EMPLOYEES, "hang": True, "skip": 1})
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_requested(served, sandbox, EMPLOYEES, 2)
    pid = worker_pid(served)
    assert seconds(lambda: served.execute("DROP EXTENSION kombo_sync CASCADE")) < SOON
    sandbox.faults()
    rows = served.value("SELECT count(*) FROM kombo.hris_employees")
    assert rows in (0, 250), rows
    before = len(text_of(served.cluster.log))
    sandbox.clear_requests()
    served.execute("CREATE EXTENSION kombo_sync")
    served.execute("SELECT kombo.create_tables('HRIS')")
    served.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    served.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(served)
    same_as_sandbox(served, sandbox, tables=["hris_employees", "hris_teams"])
    assert worker_pid(served) == pid
    assert "ERROR" not in text_of(served.cluster.log)[before:]


def test_creating_and_dropping_it_again_and_again_fills_no_log(bare):
    before = len(text_of(bare.cluster.log))
    pid = worker_pid(bare)
    bare.cluster.configure({"kombo_sync.poll_interval": "100ms"})
    for _ in range(20):
        bare.execute("CREATE EXTENSION kombo_sync")
        bare.execute("SELECT kombo_internal.wake(true)")
        assert seconds(lambda: bare.execute("DROP EXTENSION kombo_sync")) < SOON
    bare.execute("CREATE EXTENSION kombo_sync")
    until(bare, lambda: "data tables" in first_row(bare)["reason"], what="the worker's notice of the extension")
    assert worker_pid(bare) == pid
    said = text_of(bare.cluster.log)[before:]
    assert said.count("ERROR") + said.count("WARNING") <= 1, said


def test_sql_objects_of_another_version_idle_the_worker_and_say_so(few, sandbox):
    before = len(text_of(few.cluster.log))
    interface = few.value("SELECT kombo_internal.interface_number()")
    few.execute("CREATE OR REPLACE FUNCTION kombo_internal.interface_number() RETURNS integer LANGUAGE sql IMMUTABLE "
                "SET search_path = pg_catalog, pg_temp AS 'SELECT 999'")
    few.execute("SELECT kombo_internal.wake(true)")
    row = wait_state(few, "not working")
    assert "version" in row["reason"] and row["next"]
    sandbox.clear_requests()
    send_webhook(few, sandbox)
    few.execute("SELECT kombo_internal.wake(true)")
    assert first_row(few)["state"] == "not working" and inbox(few) == {"new": 1}
    few.execute("CREATE OR REPLACE FUNCTION kombo_internal.interface_number() RETURNS integer LANGUAGE sql IMMUTABLE "
                f"SET search_path = pg_catalog, pg_temp AS 'SELECT {interface}'")
    few.execute("SELECT kombo_internal.wake(true)")
    wait_state(few, "running")
    wait_judged(few)
    wait_synced(few)
    assert_a_change_arrives(few, sandbox, "Changed")
    assert text_of(few.cluster.log)[before:].count("of different versions") <= 1


@pytest.mark.parametrize("scope", ["SYSTEM", "DATABASE"])
def test_a_worker_writes_nothing_where_the_settings_say_read_only(few, sandbox, scope):
    target = scope if scope == "SYSTEM" else f"DATABASE {few.name}"
    few.execute("SET default_transaction_read_only = off")  # this session goes on
    few.cluster.reload(f"ALTER {target} SET default_transaction_read_only = on")
    try:
        row = wait_state(few, "not working")
        assert "default_transaction_read_only" in row["reason"] and "pg_reload_conf" in row["next"]
        person = sandbox.dump("hris_employees")[0]["id"]
        sandbox.record("change", "hris_employees", person, {"job_title": "Changed"})
        send_webhook(few, sandbox)
        few.execute("SELECT kombo_internal.wake(true)")
        wait_state(few, "not working")
        assert inbox(few) == {"new": 1}
    finally:
        few.cluster.reload(f"ALTER {target} RESET default_transaction_read_only")
    wait_state(few, "running")
    until(few, lambda: one(few, "hris_employees", person)["job_title"] == "Changed", what="the change")


def test_no_timeout_of_the_database_ends_the_worker_or_its_work(few, sandbox):
    found = few.execute("SELECT name FROM pg_settings WHERE name ~ '_timeout$' AND unit = 'ms' AND context = 'user'")
    timeouts = [row["name"] for row in found if not row["name"].startswith("kombo_sync.")]
    assert {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} <= set(timeouts)
    for name in timeouts:
        few.cluster.run(f"ALTER DATABASE {few.name} SET {name} = 1")
    before = worker_pid(few)
    few.execute("SELECT pg_terminate_backend(%s::integer, 10000)", [before])
    until(few, lambda: worker_pid(few) != before, what="another worker")
    pid = worker_pid(few)
    assert_a_change_arrives(few, sandbox, "Changed")
    assert worker_pid(few) == pid


def test_a_database_that_is_named_before_it_is_there_is_served_once_it_has_the_extension(worker_cluster):
    name = worker_cluster.new_name()
    worker_cluster.configure({"kombo_sync.databases": name})
    worker_cluster.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    db = Database(worker_cluster, name)
    try:
        db.execute("CREATE EXTENSION kombo_sync")
        until(db, lambda: workers_of(db), 6, "a worker before the launcher looks by itself, every ten seconds")
    finally:
        worker_cluster.reset_settings()
        db.drop()


# --- the database -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_dropping_any_other_database_goes_at_once(few, sandbox, busy):
    """Every process must answer the barrier that DROP DATABASE raises."""
    name = few.cluster.new_database()
    if busy:
        in_the_middle_of_a_fetch(few, sandbox)
    assert seconds(lambda: few.execute(f"DROP DATABASE {name}")) < SOON
    sandbox.faults()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("force", [False, True], ids=["plain", "force"])
def test_the_database_itself_can_be_dropped(few, sandbox, busy, force):
    """Without FORCE the worker leaves when it sees that somebody waits for it. It is not started on what is gone."""
    cluster = few.cluster
    before = len(text_of(cluster.log))
    if busy:
        in_the_middle_of_a_fetch(few, sandbox)
    few.connection.close()
    with cluster.connect() as connection:
        wait_until(lambda: not connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
            [few.name]).fetchall(), what="the end of our own session")
        took = seconds(lambda: connection.execute(f"DROP DATABASE {few.name}" + (" WITH (FORCE)" if force else "")))
    assert took < SOON
    sandbox.faults()
    with cluster.connect() as connection:
        while few.name not in text_of(cluster.log)[before:].partition("could not run all workers")[2]:
            time.sleep(0.05)
        assert connection.execute("SELECT count(*) AS n FROM pg_stat_activity "
                                  "WHERE backend_type = 'kombo_sync worker'").fetchone()["n"] == 0
    said = text_of(cluster.log)[before:]
    assert said.count("could not run all workers") == 1 and said.count("FATAL") <= 1, said


def test_a_database_that_is_made_again_is_served_again(few, sandbox):
    cluster = few.cluster
    few.connection.close()
    cluster.run(f"DROP DATABASE {few.name} WITH (FORCE)")
    cluster.run(f"CREATE DATABASE {few.name} TEMPLATE {TEMPLATE}")
    again = Database(cluster, few.name)
    wait_state(again, "running")
    again.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    again.add_integration(sandbox.integration, only=[EMPLOYEES, GROUPS])
    wait_synced(again)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_the_database_can_be_copied_as_a_template(few, sandbox, busy):
    if busy:
        in_the_middle_of_a_fetch(few, sandbox)
    few.connection.close()
    copy = few.cluster.new_name()
    with few.cluster.connect() as connection:
        assert seconds(lambda: connection.execute(f"CREATE DATABASE {copy} TEMPLATE {few.name}")) < SOON
    sandbox.faults()
    few.reconnect(restarted=False)
    wait_state(few, "running")
    wait_synced(few)
    assert_a_change_arrives(few, sandbox, "Changed")
    few.cluster.run(f"DROP DATABASE {copy}")


def test_copying_it_often_does_not_keep_the_worker_away(few):
    few.connection.close()
    for _ in range(4):
        copy = few.cluster.new_name()
        few.cluster.run(f"CREATE DATABASE {copy} TEMPLATE {few.name}")
        few.cluster.run(f"DROP DATABASE {copy}")
    few.reconnect(restarted=False)
    wait_state(few, "running", 5)


def test_the_database_can_be_renamed_and_is_served_under_its_new_name(few, sandbox):
    cluster, new_name = few.cluster, few.cluster.new_name()
    few.connection.close()
    with cluster.connect() as connection:
        assert seconds(lambda: connection.execute(f"ALTER DATABASE {few.name} RENAME TO {new_name}")) < SOON
    few.name = new_name
    few.reconnect(restarted=False)
    until(few, lambda: "does not name this database" in first_row(few)["reason"], what="the reason")
    until(few, lambda: not workers_of(few), what="the end of the worker")
    serve(few)
    assert_a_change_arrives(few, sandbox, "Changed")
    assert runs(few, trigger="webhook", kind="full") == []


def test_a_database_that_allows_no_connections_is_left_in_peace(few, sandbox):
    before = len(text_of(few.cluster.log))
    few.cluster.run(f"ALTER DATABASE {few.name} ALLOW_CONNECTIONS false")
    few.execute("SELECT pg_terminate_backend(%s::integer)", [worker_pid(few)])
    until(few, lambda: "does not allow connections" in (first_row(few)["reason"] or ""), what="the reason")
    few.cluster.run(f"ALTER DATABASE {few.name} ALLOW_CONNECTIONS true")
    wait_state(few, "running")
    assert text_of(few.cluster.log)[before:].count("does not allow connections") == 1
