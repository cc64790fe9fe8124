"""What fails, fails for itself: whatever is wrong with one of our tables, with a chore or with one integration, the
others go on, what is wrong is said, a call ends in bounded time, and the worker ends at once when it is told to."""

import contextlib
import pathlib
import re

import psycopg
import pytest

from cluster import TEMPLATE, Database
from conftest import needed
from containment_cells import BAD, CELLS, GOOD, OF_BAD, Refused
from sandbox import Sandbox
from syncing import notices_of, one, outcome, sync_delta
from worker import data_changed, inbox, insert_webhooks, new_served, serve, until, wait_synced, workers_of

LISTS = ["/hris/employees", "/hris/groups", "/hris/locations"]


def add_both(db, sandbox):
    sandbox.add_integration(BAD, employees=10)
    for integration in (GOOD, BAD):
        db.add_integration(integration, category="HRIS", only=LISTS)


@pytest.fixture
def two(served, sandbox):
    """A served database with two integrations, GOOD and BAD, both synced once."""
    add_both(served, sandbox)
    wait_synced(served)
    insert_webhooks(served, [data_changed("nobody:else", "hris_teams")])
    until(served, lambda: inbox(served) == {"rejected": 1}, what="the judgement of one webhook")
    return served


class Shared:
    """A database with both integrations, synced once, that many cells use, each of which mends what it breaks; one that
    fails has the next begin with a new one."""

    def __init__(self, make):
        self.make = make
        self.place = None

    @contextlib.contextmanager
    def taken(self):
        """(database, sandbox)"""
        if not self.place:
            sandbox = Sandbox(needed("KOMBO_SANDBOX"), employees=60)
            self.place = self.make(sandbox), sandbox
        try:
            yield self.place
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.place:
            db, sandbox = self.place
            db.drop()
            sandbox.stop()
        self.place = None


@pytest.fixture(scope="module")
def with_worker(worker_cluster):
    def make(sandbox):
        db = new_served(worker_cluster, sandbox)
        add_both(db, sandbox)
        wait_synced(db)
        insert_webhooks(db, [data_changed("nobody:else", "hris_teams")])
        until(db, lambda: inbox(db) == {"rejected": 1}, what="the judgement of one webhook")
        return db

    shared = Shared(make)
    yield shared
    worker_cluster.reset_settings()
    shared.close()


@pytest.fixture(scope="module")
def without_worker(cluster):
    def make(sandbox):
        cluster.prepare_template()
        db = Database(cluster, cluster.new_database(TEMPLATE))
        db.create_server(sandbox)
        add_both(db, sandbox)
        sync_delta(db)
        return db

    shared = Shared(make)
    yield shared
    shared.close()


@contextlib.contextmanager
def broken(db, cell):
    """Does what the cell says; a lock of another session is kept for as long as this is open."""
    execute(db, cell.breaking)
    with db.connect(autocommit=False) as session:
        if cell.locked:
            session.execute(f"LOCK TABLE kombo.{cell.locked} IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


def execute(db, statements):
    for statement in statements:
        if isinstance(statement, Refused):
            with pytest.raises(psycopg.Error):
                db.execute(statement)
        else:
            db.execute(statement)


def record(sandbox, integration, mark, model="hris_teams"):
    """One change of a record; the record's id."""
    key = sandbox.dump(model, integration)[0]["id"]
    sandbox.record("change", model, key, integration=integration, set={"name": mark})
    return key


def change(db, sandbox, integration, mark, model="hris_teams", asked="webhook"):
    """The same, and its webhook."""
    key = record(sandbox, integration, mark, model)
    if asked == "webhook":
        insert_webhooks(db, [data_changed(integration, model)])
    elif integration == GOOD:
        db.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY[%s])", [integration, model])
    return key


def arrives(db, key, mark, model="hris_teams"):
    until(db, lambda: (one(db, model, key) or {"name": None})["name"] == mark, what=f"{mark} in kombo.{model}")


def reasons(db):
    return [(row["integration_id"], row["endpoint"], row["reason"]) for row in
            db.execute("SELECT integration_id, endpoint, reason FROM kombo.sync_status WHERE reason IS NOT NULL")]


def what_is_said(db, of_worker):
    """Of the worker, and where no lock keeps the view from being read, of all else."""
    view = "kombo.worker_state()" if of_worker else "kombo.sync_status"
    return "\n".join(f"{row['reason']}. {row['next']}" for row in db.execute(f"SELECT reason, next FROM {view}"))


def end_worker(db):
    """SIGTERM, by which the launcher ends it: at once, whatever it does."""
    db.cluster.configure({"kombo_sync.databases": ""})
    until(db, lambda: not workers_of(db), timeout=2, what="the end of the worker")


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_is_wrong_with_one_thing_stops_no_other_in_the_worker(with_worker, cell):
    with with_worker.taken() as (db, sandbox):
        serve(db)
        with broken(db, cell):
            end_worker(db)
            serve(db)  # which does all its chores
            change(db, sandbox, BAD, "of bad", asked=cell.asked)
            good = change(db, sandbox, GOOD, "of good", cell.model, cell.asked)
            if "worker" not in cell.waits:
                arrives(db, good, "of good", cell.model)
            if cell.worker:
                until(db, lambda: re.search(cell.worker, what_is_said(db, cell.locked), re.DOTALL),
                      what=f"{cell.worker} in what is said")
            if "worker" not in cell.waits:
                arrives(db, change(db, sandbox, GOOD, "again", cell.model, cell.asked), "again", cell.model)
            end_worker(db)
        execute(db, cell.mending)
        serve(db)
        db.execute("SELECT kombo.resume(NULL)")
        arrives(db, change(db, sandbox, GOOD, "at last", cell.model), "at last", cell.model)
        arrives(db, change(db, sandbox, BAD, "mended"), "mended")


def call(db, function, cell):
    """What a call over all integrations returns, and all that it says. It may not take long, and raise only where
    nothing at all can be synced."""
    with db.connect() as session:
        heard = notices_of(session)
        session.execute("SET statement_timeout = '20s'")
        if cell.locked:
            session.execute("SET lock_timeout = '200ms'")
        results, raised = [], []
        try:
            results = session.execute(f"SELECT * FROM kombo.{function}()").fetchall()
        except psycopg.Error as error:
            assert "function" in cell.waits and error.sqlstate != "57014", error
            raised = [str(error), error.diag.message_hint]
    said = [row["error"] for row in results] + [f"{one.message_primary} {one.message_hint}" for one in heard] + raised
    return results, "\n".join(str(text) for text in said if text)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_is_wrong_with_one_thing_stops_no_other_in_a_call(without_worker, cell):
    with without_worker.taken() as (db, sandbox):
        with broken(db, cell):
            for function in ("kombo_sync_delta", "kombo_sync_full"):
                record(sandbox, BAD, f"of bad, {function}")
                good = record(sandbox, GOOD, function, cell.model)
                results, said = call(db, function, cell)
                assert "function" in cell.waits or one(db, cell.model, good)["name"] == function, said
                if cell.function:
                    assert re.search(cell.function, said, re.DOTALL), said
                if cell.function == "":
                    assert {row["status"] for row in results} == {"ok"} and not said, (outcome(results), said)
        execute(db, cell.mending)
        bad = record(sandbox, BAD, "mended")
        results = sync_delta(db)
        assert {row["status"] for row in results} == {"ok"}, [row["error"] for row in results]
        assert one(db, "hris_teams", bad)["name"] == "mended"


def test_a_call_waits_some_seconds_for_one_lock_and_hardly_for_the_next_ones(without_worker):
    with without_worker.taken() as (db, sandbox), db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE kombo.sync_runs IN ACCESS EXCLUSIVE MODE")
        with db.connect() as session:
            session.execute("SET statement_timeout = '19s'")  # the first lock takes 10 s; five others wait, too
            results = session.execute("SELECT * FROM kombo.kombo_sync_delta()").fetchall()
            assert [row["status"] for row in results] == ["ok"] * 6
            assert session.execute("SHOW lock_timeout").fetchone()["lock_timeout"] == "0"
        blocker.rollback()


def test_the_table_in_the_docs_is_that_of_these_tests():
    import print_containment  # it imports this file

    docs = pathlib.Path(__file__).parents[2] / "docs" / "reliability.md"
    assert print_containment.table() in docs.read_text(encoding="utf-8")


def test_old_webhooks_go_but_for_those_that_something_refers_to(two, sandbox):
    insert_webhooks(two, [data_changed("nobody:else", "hris_teams")] * 5)
    until(two, lambda: inbox(two) == {"rejected": 6}, what="the judgement of six webhooks")
    two.execute("CREATE TABLE public.notes (i bigint REFERENCES kombo.webhook_inbox)")
    two.execute("INSERT INTO public.notes SELECT min(id) FROM kombo.webhook_inbox")
    two.execute("UPDATE kombo.webhook_inbox SET processed_at = now() - interval '31 days'")
    end_worker(two)
    serve(two)
    until(two, lambda: inbox(two) == {"rejected": 1}, what="one webhook that is left")


def test_webhooks_of_a_paused_integration_leave_one_request(two, sandbox):
    two.execute("SELECT kombo.pause(%s)", [BAD])
    for number in range(5):
        insert_webhooks(two, [data_changed(BAD, "hris_teams")])
        until(two, lambda: inbox(two).get("done") == number + 1, what="the judgement of a webhook")
    assert two.value("SELECT count(*) FROM kombo.sync_requests WHERE integration_id = %s", [BAD]) == 1
    for _ in range(3):
        two.execute("SELECT kombo.request_sync(%s, 'delta', ARRAY['/hris/employees'])", [GOOD])
    two.execute("SELECT kombo.resume(%s)", [BAD])
    wait_synced(two)


def test_tens_of_thousands_of_requests_are_taken_up_at_once(two):
    two.execute("""INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger)
                   SELECT %s, '/hris/groups', 'delta', 'sql' FROM generate_series(1, 50000)""", [BAD])
    end_worker(two)
    serve(two)
    wait_synced(two)


@pytest.mark.parametrize("prepared", [False, True])
def test_who_has_an_integration_in_an_open_transaction_is_named(two, sandbox, prepared):
    with two.connect(autocommit=False) as session:
        session.execute("SELECT * FROM kombo.kombo_sync_delta(%s, ARRAY['/hris/groups'])", [BAD])
        pid = session.info.backend_pid
        if prepared:
            session.execute("PREPARE TRANSACTION 'forgotten'")
        who = "a prepared transaction" if prepared else f"pid {pid}"
        change(two, sandbox, BAD, "later")
        until(two, lambda: any(i == BAD and e == "/hris/groups" and r.startswith(who) for i, e, r in reasons(two)),
              what=f"{who} in sync_status")
        skipped = sync_delta(two, BAD, "/hris/groups")[0]
        assert (skipped["status"], skipped["error"]) == ("skipped", f"another session syncs this integration ({who})")
        if prepared:
            two.execute("ROLLBACK PREPARED 'forgotten'")
        else:
            session.rollback()
    wait_synced(two)


def test_no_other_role_can_take_the_lock_of_an_integration_or_of_the_schedule(two, sandbox):
    two.execute("DROP ROLE IF EXISTS nobody_here")
    two.execute("CREATE ROLE nobody_here LOGIN")
    with two.connect(user="nobody_here") as nobody:
        for name in (BAD, "request_due"):
            nobody.execute("SELECT pg_advisory_lock(hashtextextended('kombo_sync:' || %s, 0))", [name])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                nobody.execute("SELECT kombo_internal.take_lock(%s, false)", [name])
        arrives(two, change(two, sandbox, BAD, "all the same"), "all the same")
    two.execute("DROP ROLE nobody_here")


def test_a_trigger_cannot_drop_the_lock_of_an_integration(two, sandbox):
    two.execute("""CREATE FUNCTION public.unlock() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN PERFORM pg_advisory_unlock_all(); RETURN NEW; END $$""")
    two.execute("CREATE TRIGGER unlock BEFORE UPDATE ON kombo.hris_employees FOR EACH ROW EXECUTE FUNCTION "
                "public.unlock()")
    sandbox.settings(latency_ms=400)
    two.execute("ALTER SERVER kombo_eu OPTIONS (ADD page_size '10')")
    for record in sandbox.dump("hris_employees", GOOD):
        sandbox.record("change", "hris_employees", record["id"], set={"job_title": "new"})
    two.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['/hris/employees'])", [GOOD])
    until(two, lambda: two.value("SELECT count(*) > 0 FROM kombo.hris_employees WHERE job_title = 'new'"),
          what="a page")
    assert {row["status"] for row in sync_delta(two, GOOD, "/hris/employees")} == {"skipped"}
    sandbox.settings(latency_ms=0)
    wait_synced(two)


def test_a_trigger_that_sleeps_holds_up_nobody_for_long(two, sandbox):
    two.execute("""CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$""")
    two.execute(f"CREATE TRIGGER refuse BEFORE UPDATE ON kombo.hris_teams FOR EACH ROW {OF_BAD} "
                "EXECUTE FUNCTION public.refuse()")
    change(two, sandbox, BAD, "of bad")
    until(two, lambda: any(i == BAD and "writing took longer than 20 s" in r for i, _, r in reasons(two)), timeout=60,
          what="the reason")
    arrives(two, change(two, sandbox, GOOD, "of good"), "of good")
