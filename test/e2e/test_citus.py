"""Data tables that Citus distributes over two nodes: they get the rows, and the results the counts, that they get
without Citus. Needs KOMBO_CITUS_PGBIN; what a database without Citus says is tried everywhere."""

import random

import psycopg
import pytest

from citus import SETTINGS, CitusCluster, citus_bindir, name_itself
from cluster import PORT, TEMPLATE, Cluster, Database
from sandbox import WEBHOOK_SECRET
from syncing import assert_ok, notices_of, one, rows, same_as_sandbox, sync_delta, sync_full, wait_until
from worker import send_webhook, serve, until, wait_synced

EMPLOYEES = "/hris/employees"
FIRST_ROW = "SELECT * FROM kombo.sync_status WHERE integration_id IS NULL"
DISTRIBUTED = "SELECT count(*) FROM pg_dist_partition WHERE logicalrelid::text LIKE 'kombo.%'"


@pytest.fixture
def spread(citus_cluster, sandbox):
    """A database of the coordinator (class Database) whose data tables are distributed, with the sandbox's server and
    integration."""
    citus_cluster.prepare_template()
    db = Database(citus_cluster, citus_cluster.new_database(TEMPLATE))
    db.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    db.add_integration(sandbox.integration)
    yield db
    citus_cluster.reset_settings()
    db.drop()


@pytest.fixture
def on_node(spread, citus_cluster):
    """The same database on a node."""
    db = Database(citus_cluster.nodes[0], spread.name)
    yield db
    db.connection.close()


def counts(results):
    """What a sync's rows say, without times."""
    return sorted((r["endpoint"], r["kind"], r["status"], r["inserted"], r["updated"], r["deleted"], r["unchanged"],
                   r["received"]) for r in results)


def run_counts(db):
    return [row["rows_by_table"] for row in db.execute("SELECT rows_by_table FROM kombo.sync_runs ORDER BY id")]


def stored(db):
    """All rows of all data tables, without times of this machine."""
    found = {}
    for table in db.execute("SELECT table_name FROM kombo.data_tables ORDER BY 1"):
        name = table["table_name"]
        found[name] = sorted(row["it"] for row in db.execute(f"""
            SELECT (to_jsonb(t) - 'synced_at' ||
                    jsonb_build_object('remote_deleted_at',
                                       to_jsonb(t) ->> 'remote_deleted_at' IS NOT NULL))::text AS it
            FROM kombo."{name}" t"""))
    return found


def test_every_sync_gives_the_rows_and_counts_that_it_gives_without_citus(spread, hris, sandbox):
    def both(function):
        distributed, plain = function(spread), function(hris)
        assert counts(distributed) == counts(plain)
        assert stored(spread) == stored(hris)

    both(sync_full)
    both(sync_full)
    for seed in range(3):
        sandbox.churn(500, seed=seed, count=60)
        wait_until(lambda: not sandbox.churning()[0]["runs"], what="60 changes")
        both(sync_delta)
    keys = sorted(rows(hris, "hris_employees"))[:5]
    for db in (spread, hris):
        db.execute("UPDATE kombo.hris_employees SET first_name = 'by hand' WHERE id = ANY (%s)", [keys[:3]])
        db.execute("DELETE FROM kombo.hris_employees WHERE id = ANY (%s)", [keys[3:]])
    sandbox.record("purge", "hris_teams", sandbox.dump("hris_teams")[0]["id"])
    drifts = [db.execute("SELECT table_name, id, difference, columns FROM kombo.drift(%s) ORDER BY 1, 2",
                         [sandbox.integration]) for db in (spread, hris)]
    assert drifts[0] == drifts[1] and len(drifts[0]) > 5
    both(sync_full)
    same_as_sandbox(spread, sandbox)
    assert run_counts(spread) == run_counts(hris)


@pytest.mark.sandbox(employees=600)
def test_a_first_full_sync_that_meets_rows_counts_them_as_without_citus(spread, hris, sandbox):
    for db in (spread, hris):
        assert_ok(sync_full(db, what=EMPLOYEES))
        db.execute("""DELETE FROM kombo.hris_employees WHERE id IN
                          (SELECT id FROM kombo.hris_employees ORDER BY id LIMIT 350)""")
    assert counts(sync_full(spread, what=EMPLOYEES)) == counts(sync_full(hris, what=EMPLOYEES))
    assert stored(spread) == stored(hris)


def test_the_worker_keeps_distributed_tables_in_step(spread, sandbox):
    serve(spread)
    wait_synced(spread)
    same_as_sandbox(spread, sandbox)
    key = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"job_title": "Cook"})
    send_webhook(spread, sandbox, "hris_employees")
    until(spread, lambda: one(spread, "hris_employees", key)["job_title"] == "Cook", what="the change")
    assert spread.execute(FIRST_ROW)[0]["state"] == "running"


def test_a_row_that_a_user_has_locked_stops_nobody_else(spread, sandbox):
    other = "hibob:other"
    sandbox.add_integration(other, employees=20, seed=2)
    spread.add_integration(other)
    serve(spread)
    wait_synced(spread)
    key = sandbox.dump("hris_employees")[0]["id"]
    with spread.connect(autocommit=False) as user:
        user.execute("SELECT FROM kombo.hris_employees WHERE (integration_id, id) = (%s, %s) FOR UPDATE",
                     [sandbox.integration, key])
        sandbox.record("change", "hris_employees", key, {"job_title": "Locked"})
        send_webhook(spread, sandbox, "hris_employees")
        until(spread, lambda: spread.value("SELECT phase FROM kombo.sync_progress WHERE integration_id = %s",
                                           [sandbox.integration]) == "locked", what="the lock")
        there = sandbox.dump("hris_employees", other)[0]["id"]
        sandbox.record("change", "hris_employees", there, {"job_title": "Flows"}, integration=other)
        send_webhook(spread, sandbox, "hris_employees", integration=other)
        until(spread, lambda: one(spread, "hris_employees", there)["job_title"] == "Flows", what="the other's change")
        user.rollback()
    until(spread, lambda: one(spread, "hris_employees", key)["job_title"] == "Locked", what="the change")


@pytest.mark.sandbox(employees=1000)
def test_a_sync_that_is_cancelled_anywhere_leaves_the_session_and_no_row(spread, sandbox):
    spread.subscribe_only(sandbox.integration, EMPLOYEES)
    chance = random.Random(3)
    cancelled, longest = 0, 400
    while cancelled < 25:
        spread.execute(f"SET statement_timeout = {chance.randint(1, longest)}")
        try:
            sync_full(spread)
            longest = max(2, longest * 9 // 10)
        except psycopg.errors.QueryCanceled:
            cancelled += 1
    spread.execute("RESET statement_timeout")
    assert_ok(sync_full(spread))
    same_as_sandbox(spread, sandbox)


def test_values_arrive_as_they_are_whatever_the_callers_settings(spread, hris, sandbox):
    spread.execute("SET DateStyle = 'German, DMY'; SET IntervalStyle = 'sql_standard'; SET timezone = 'Asia/Tokyo'")
    for db in (spread, hris):
        assert {row["status"] for row in db.execute("SELECT status FROM kombo.kombo_sync_full()")} == {"ok"}
    spread.execute("RESET ALL")
    assert stored(spread) == stored(hris)


@pytest.mark.sandbox(employees=3000)
def test_a_node_that_crashes_in_a_full_fetch_costs_no_row(spread, sandbox, citus_cluster):
    sandbox.settings(latency_ms=50)
    serve(spread)
    until(spread, lambda: (spread.value("SELECT pages FROM kombo.sync_progress WHERE endpoint = %s", [EMPLOYEES])
                           or 0) > 2, what="some pages")
    for node in citus_cluster.nodes:
        node.restart("immediate")
    sandbox.settings(latency_ms=0)
    wait_synced(spread, timeout=90)
    same_as_sandbox(spread, sandbox)


def test_on_a_node_everything_says_that_the_coordinator_syncs(spread, on_node, citus_cluster):
    state = on_node.execute("SELECT * FROM kombo.worker_state()")[0]
    assert (state["state"], state["reason"]) == ("no worker", "this server is a node of a Citus cluster")
    for call in ("kombo.kombo_sync_full()", "kombo.request_sync()", "kombo.distribute_tables()"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="node of a Citus cluster") as caught:
            on_node.execute(f"SELECT {call}")
        assert "Connect to the coordinator" in caught.value.diag.message_hint
    citus_cluster.nodes[0].configure({"kombo_sync.databases": on_node.name})
    try:
        until(on_node, lambda: on_node.value("SELECT true FROM pg_stat_activity WHERE datname = current_database() "
                                             "AND application_name LIKE 'kombo_sync worker%'"), what="a worker")
        assert on_node.execute(FIRST_ROW)[0]["next"].startswith("nothing to do here")
    finally:
        citus_cluster.nodes[0].reset_settings()


def test_a_person_is_erased_from_the_nodes_and_stays_away(spread, sandbox):
    assert_ok(sync_full(spread))
    person = spread.value("SELECT manager_id FROM kombo.hris_employees WHERE manager_id IS NOT NULL LIMIT 1")
    spread.execute("SELECT * FROM kombo.erase(%s, 'hris_employees', %s)", [sandbox.integration, person])
    for _ in range(2):
        for table, column in (("employees", "id"), ("employees", "manager_id"), ("absences", "employee_id"),
                              ("employments", "employee_id"), ("join_employees_teams", "employee_id")):
            assert spread.value(f"SELECT count(*) FROM kombo.hris_{table} WHERE {column} = %s", [person]) == 0, table
        assert_ok(sync_full(spread))
    assert spread.value("SELECT count(*) FROM kombo.hris_employees") == sandbox.count("hris_employees") - 1


def test_tables_are_distributed_once_and_brought_back_whole(spread, sandbox):
    assert_ok(sync_full(spread))
    before = stored(spread)
    tables = spread.value("SELECT count(*) FROM kombo.data_tables")
    comments = "SELECT count(*) FROM kombo.data_tables d WHERE obj_description(d.relation) IS NOT NULL"
    assert spread.value(DISTRIBUTED) == tables and spread.value("SELECT kombo.distribute_tables()") == 0
    assert len(spread.execute("SELECT DISTINCT colocationid FROM pg_dist_partition")) == 1
    assert spread.value("SELECT kombo.undistribute_tables()") == tables
    assert (spread.value(DISTRIBUTED), spread.value(comments), stored(spread)) == (0, tables, before)
    assert set(row["unchanged"] > 0 for row in assert_ok(sync_full(spread, what=EMPLOYEES))) == {True}
    assert spread.value("SELECT kombo.distribute_tables()") == tables
    assert stored(spread) == before
    assert_ok(sync_delta(spread))


def test_a_table_of_a_new_version_is_told_of_and_distributed(spread):
    spread.execute("DROP TABLE kombo.hris_teams")
    heard = notices_of(spread.connection)
    spread.execute("SELECT kombo.create_tables('HRIS')")
    warning = [notice for notice in heard if notice.severity == "WARNING"][0]
    assert (warning.message_primary, warning.message_detail) == (
        "some data tables are not distributed as the others are", "On the coordinator alone: hris_teams.")
    assert spread.value("SELECT kombo.distribute_tables()") == 1
    assert len(spread.execute("SELECT DISTINCT colocationid FROM pg_dist_partition")) == 1


def test_a_role_that_cannot_reach_the_nodes_is_refused_with_the_remedy(spread):
    spread.execute("ALTER ROLE kombo_owner NOLOGIN")
    try:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="cannot log in") as caught:
            spread.execute("SELECT kombo.distribute_tables()")
        assert "ALTER ROLE kombo_owner LOGIN" in caught.value.diag.message_hint
    finally:
        spread.execute("ALTER ROLE kombo_owner LOGIN")


def test_excluding_a_field_and_removing_an_integration_reach_the_nodes(spread, sandbox):
    assert_ok(sync_full(spread))
    spread.execute("SELECT kombo.exclude_field('hris_employees', 'date_of_birth')")
    assert_ok(sync_full(spread))
    assert spread.value("SELECT count(date_of_birth) FROM kombo.hris_employees") == 0
    spread.execute("SELECT kombo.remove_integration(%s, purge => true)", [sandbox.integration])
    assert sum(len(found) for found in stored(spread).values()) == 0


@pytest.mark.sandbox(employees=1500)
def test_an_added_field_is_filled_on_the_nodes(spread, sandbox):
    other = "hibob:other"
    sandbox.add_integration(other, employees=20, seed=2)
    spread.add_integration(other)
    keys = {sandbox.integration: [r["id"] for r in sandbox.dump("hris_employees")[:3]],
            other: [r["id"] for r in sandbox.dump("hris_employees", other)[:2]]}
    for integration, ids in keys.items():
        for key in ids:
            sandbox.record("change", "hris_employees", key, {"shoe_size": 42.5}, integration=integration)
    assert_ok(sync_full(spread, what=EMPLOYEES))
    assert [(u["json_key"], u["rows"]) for u in spread.execute("SELECT * FROM kombo.unknown_fields")] == [
        ("shoe_size", 5)]
    heard = notices_of(spread.connection)
    assert spread.value("SELECT kombo.add_field('hris_employees', 'shoe_size', 'numeric')") == 0
    remedy = heard[-1].message_hint.removeprefix("Move them now: ").removesuffix(".")
    assert spread.value(remedy.replace("NULL", "2")) + spread.value(remedy.replace("NULL", "2")) == 4
    assert spread.value(remedy) + spread.value(remedy) == 1
    assert {(row["integration_id"], row["id"]) for row in spread.execute(
        "SELECT integration_id, id FROM kombo.hris_employees WHERE shoe_size = 42.5 AND extra IS NULL")} == {
            (integration, key) for integration, ids in keys.items() for key in ids}
    assert all(row["updated"] == 0 for row in assert_ok(sync_full(spread, what=EMPLOYEES)))


def test_a_custom_field_is_shown_on_the_nodes(spread, sandbox):
    key = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", key, {"custom_fields": {"shoe": "42"}})
    assert_ok(sync_full(spread, what=EMPLOYEES))
    spread.execute("SELECT kombo.custom_field('hris_employees', 'shoe')")
    assert one(spread, "hris_employees", key)["shoe"] == "42"
    assert all(row["updated"] == 0 for row in assert_ok(sync_full(spread, what=EMPLOYEES)))


@pytest.mark.sandbox(employees=3000)
def test_a_shard_moves_while_the_worker_fetches(spread, sandbox, citus_cluster):
    sandbox.settings(latency_ms=50)
    serve(spread)
    until(spread, lambda: (spread.value("SELECT pages FROM kombo.sync_progress WHERE endpoint = %s", [EMPLOYEES])
                           or 0) > 0, what="a page")
    move(spread, sandbox.integration, *citus_cluster.nodes)
    sandbox.settings(latency_ms=0)
    wait_synced(spread, timeout=60)
    same_as_sandbox(spread, sandbox)


def move(db, integration, *nodes):
    """Moves the rows of an integration to one of these nodes that they are not on."""
    place = db.execute("""
        SELECT shardid, nodename, nodeport FROM citus_shards
        WHERE shardid = get_shard_id_for_distribution_column('kombo.hris_employees', %s::text)""", [integration])[0]
    target = next(node for node in nodes if str(node.folder) != place["nodename"])
    db.execute("SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, 'block_writes')",
               [place["shardid"], place["nodename"], place["nodeport"], str(target.folder), place["nodeport"]])


def test_a_new_node_takes_rows_at_once(spread, sandbox):
    """Citus brings the extension there, into a schema in which the sync role may create."""
    assert_ok(sync_full(spread))
    node = Cluster(citus_bindir(), SETTINGS)
    try:
        name_itself(node)
        for name in (TEMPLATE, spread.name):  # Citus brings what it knows of all databases of the cluster
            node.run(f"CREATE DATABASE {name}")
        node.run("CREATE EXTENSION citus", spread.name)
        spread.execute("SELECT citus_add_node(%s, %s)", [str(node.folder), PORT])
        move(spread, sandbox.integration, node)
        sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], {"job_title": "There"})
        assert_ok(sync_full(spread))
        same_as_sandbox(spread, sandbox)
        assert spread.value("SELECT kombo.distribute_tables()") == 0
        assert spread.value("SELECT kombo.undistribute_tables()") > 10
        assert_ok(sync_full(spread))
        same_as_sandbox(spread, sandbox)
    finally:
        node.close()


def test_tables_that_are_given_to_another_role_are_synced_by_it(spread, sandbox):
    spread.execute("CREATE ROLE another_owner LOGIN")
    try:
        assert_ok(sync_full(spread))
        spread.execute("SELECT kombo.create_tables('HRIS', owner => 'another_owner')")
        sandbox.record("change", "hris_employees", sandbox.dump("hris_employees")[0]["id"], {"job_title": "Theirs"})
        assert_ok(sync_full(spread))
        same_as_sandbox(spread, sandbox)
        assert not spread.value("SELECT has_schema_privilege('kombo_owner', 'kombo', 'CREATE')")
        spread.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
        assert_ok(sync_full(spread))
    finally:
        spread.execute("DROP OWNED BY another_owner; DROP ROLE another_owner")


# --- without Citus ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("function", ["distribute_tables", "undistribute_tables"])
def test_without_citus_there_is_nothing_to_distribute(db, function):
    if isinstance(db.cluster, CitusCluster):
        pytest.skip("this is Citus")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match='extension "citus" is not installed'):
        db.execute(f"SELECT kombo.{function}()")


def test_statements_of_a_page_are_such_as_citus_takes(hris_db):
    """Each is about rows of one integration, named by a parameter; none counts on the number of rows that a statement
    with ON CONFLICT reports, which is the source's on Citus."""
    hris_db.execute("SELECT kombo.create_tables(category) FROM (SELECT DISTINCT category FROM kombo.endpoints) e")
    found = [text for path, in hris_db.execute("SELECT path FROM kombo.endpoints").fetchall()
             for text, in hris_db.execute("SELECT statement FROM kombo.page_statements(%s)", [path]).fetchall()]
    assert len(found) > 40
    for text in found:
        assert "$1" in text
        if "INSERT" in text and "RETURNING" in text:
            assert text.startswith("WITH w AS (INSERT") and text.endswith("SELECT count(*) FROM w")
        if "SELECT" in text.split("DO UPDATE", 1)[-1] and "DO UPDATE" in text:
            raise AssertionError(f"a subquery in DO UPDATE: {text}")
