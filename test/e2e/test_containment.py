"""What fails, fails for itself: whatever is wrong with one of our tables, with a chore or with one integration, the others
go on, sync_status says what it is, and the worker ends at once when it is told to."""

import pathlib
import re

import psycopg
import pytest

from sandbox import INTEGRATION as GOOD
from syncing import one, sync_delta
from worker import data_changed, inbox, insert_webhooks, until, wait_synced, worker_pid, workers_of

BAD = "personio:bad"
ENDPOINTS = ["/hris/employees", "/hris/groups"]

RAISE = """CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'not here, said a trigger'; END $$"""


def trigger(table, when, condition=""):
    return [RAISE, f"CREATE TRIGGER refuse BEFORE {when} ON kombo.{table} FOR EACH ROW {condition} "
                   "EXECUTE FUNCTION public.refuse()"]


OF_BAD = f"WHEN (NEW.integration_id = '{BAD}')"
NO_TRIGGER = ["DROP FUNCTION public.refuse() CASCADE"]


def check(table, condition):
    return [f"ALTER TABLE kombo.{table} ADD CONSTRAINT refuse CHECK ({condition}) NOT VALID"]


def no_check(table):
    return [f"ALTER TABLE kombo.{table} DROP CONSTRAINT refuse"]


# What is done to the database, how it is undone, what sync_status says meanwhile (a pattern; None: nothing, as it is no
# trouble), and whether BAD alone suffers (otherwise nothing does).
CELLS = {
    "webhook_inbox: a trigger raises": (
        trigger("webhook_inbox", "UPDATE"), NO_TRIGGER, "webhooks cannot be marked as judged: not here, said a trigger"),
    "webhook_inbox: a CHECK refuses": (
        check("webhook_inbox", f"status <> 'done' OR integration_id <> '{BAD}'"), no_check("webhook_inbox"),
        "webhooks cannot be marked as judged: new row for relation \"webhook_inbox\" violates"),
    "webhook_inbox: a foreign key refuses": (
        ["CREATE TABLE public.notes (i bigint REFERENCES kombo.webhook_inbox)",
         "INSERT INTO public.notes SELECT min(id) FROM kombo.webhook_inbox",
         "UPDATE kombo.webhook_inbox SET processed_at = now() - interval '31 days'"],
        ["DROP TABLE public.notes"], None),
    "webhook_inbox: its sequence is behind": (
        ["SELECT setval('kombo.webhook_inbox_id_seq', 1000)"], [], None),
    "sync_requests: a trigger raises": (
        trigger("sync_requests", "INSERT"), NO_TRIGGER, "webhooks cannot be marked as judged: not here, said a trigger"),
    "sync_requests: a trigger raises for one integration": (
        trigger("sync_requests", "INSERT", OF_BAD), NO_TRIGGER, "not here, said a trigger"),
    "sync_requests: a CHECK refuses": (
        check("sync_requests", "trigger <> 'webhook'"), no_check("sync_requests"), "violates check constraint \"refuse\""),
    "sync_requests: a nonsensical row": (
        ["INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger) VALUES (E'\\x01', '/no/such', 'full', 'sql'), "
         f"('{BAD}', '/no/such', 'full', 'sql'), ('', '', 'delta', 'sql')"], [], None),
    "sync_requests: its sequence is behind": (
        ["SELECT setval('kombo.sync_requests_id_seq', 1, false)",
         "INSERT INTO kombo.sync_requests (id, integration_id, endpoint, kind, trigger) "
         "SELECT g, 'nobody', '/hris/groups', 'delta', 'sql' FROM generate_series(1, 20) g ON CONFLICT DO NOTHING"],
        [], None),
    "sync_runs: a trigger raises": (
        trigger("sync_runs", "INSERT"), NO_TRIGGER, "could not be recorded: not here, said a trigger"),
    "sync_runs: a CHECK refuses": (
        check("sync_runs", "pages < 0"), no_check("sync_runs"), "could not be recorded: new row for relation"),
    "sync_runs: a foreign key refuses": (
        ["CREATE TABLE public.notes (i bigint REFERENCES kombo.sync_runs)",
         "INSERT INTO public.notes SELECT min(id) FROM kombo.sync_runs",
         "UPDATE kombo.sync_runs SET started_at = started_at - interval '31 days', "
         "finished_at = finished_at - interval '31 days'"], ["DROP TABLE public.notes"], None),
    "sync_runs: its sequence is behind": (["SELECT setval('kombo.sync_runs_id_seq', 1, false)"], [], None),
    "sync_runs: a column is dropped": (
        ["ALTER TABLE kombo.sync_runs DROP COLUMN bytes CASCADE"], [], "could not be recorded: column \"bytes\""),
    "sync_state: a trigger raises for one integration": (
        trigger("sync_state", "INSERT OR UPDATE", OF_BAD), NO_TRIGGER, "not here, said a trigger"),
    "sync_state: a CHECK refuses one integration": (
        check("sync_state", f"integration_id <> '{BAD}'"), no_check("sync_state"), "violates check constraint"),
    "sync_state: a nonsensical row": (
        [f"UPDATE kombo.sync_state SET watermark = 'infinity', full_started_at = '-infinity', full_cursor = 'x', "
         f"full_query = '?', full_progress = '{{\"pages\": \"?\"}}' WHERE integration_id = '{BAD}'"], [], None),
    "integrations: nonsensical rows": (
        ["INSERT INTO kombo.integrations (integration_id, server, category, system_identifier, database_oid) "
         "SELECT v, 'kombo_eu', 'HRIS', system_identifier, database_oid FROM kombo.this_database(), "
         "(VALUES ('a?b#c'), (repeat('x', 199))) AS w (v)"], [], None),
    "integrations: a server that is gone": (
        [f"UPDATE kombo.integrations SET server = 'gone' WHERE integration_id = '{BAD}'"],
        [f"UPDATE kombo.integrations SET server = 'kombo_eu' WHERE integration_id = '{BAD}'"],
        "server \"gone\" does not exist"),
    "integrations: a trigger raises for one integration": (
        trigger("integrations", "UPDATE", OF_BAD), NO_TRIGGER, None),
    "subscriptions: a nonsensical row": (
        ["UPDATE kombo.subscriptions SET purge_after = '1000000 years' "
         f"WHERE integration_id = '{BAD}' AND endpoint = '/hris/locations'"], [], None),
    "a data table: a trigger raises for one integration": (
        trigger("hris_teams", "INSERT OR UPDATE", OF_BAD), NO_TRIGGER, None),
    "a data table: a CHECK refuses one integration": (
        check("hris_teams", f"integration_id <> '{BAD}'"), no_check("hris_teams"), None),
    "a data table: a trigger raises a deadlock": (
        ["""CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'come again' USING ERRCODE = '40P01'; END $$""",
         f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON kombo.hris_teams FOR EACH ROW {OF_BAD} "
         "EXECUTE FUNCTION public.refuse()"], NO_TRIGGER, None),
}


@pytest.fixture
def two(served, sandbox):
    """A served database with two integrations, GOOD and BAD, both synced once."""
    sandbox.add_integration(BAD, employees=10)
    for integration in (GOOD, BAD):
        served.add_integration(integration, category="HRIS", only=ENDPOINTS)
    wait_synced(served)
    insert_webhooks(served, [data_changed("nobody:else", "hris_teams")])
    until(served, lambda: inbox(served) == {"rejected": 1}, what="the judgement of one webhook")
    return served


def change(db, sandbox, integration, mark):
    """One change of a group, and its webhook; the group's id."""
    group = sandbox.dump("hris_teams", integration)[0]["id"]
    sandbox.record("change", "hris_teams", group, integration=integration, set={"name": mark})
    insert_webhooks(db, [data_changed(integration, "hris_teams")])
    return group


def arrives(db, group, mark):
    until(db, lambda: one(db, "hris_teams", group)["name"] == mark, what=f"{mark} in kombo.hris_teams")


def reasons(db):
    return [(row["integration_id"], row["endpoint"], row["reason"]) for row in
            db.execute("SELECT integration_id, endpoint, reason FROM kombo.sync_status WHERE reason IS NOT NULL")]


def restart_worker(db):
    """As it does its chores when it starts, and so that it is seen to end at once."""
    pid = worker_pid(db)
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    until(db, lambda: pid not in [row["pid"] for row in workers_of(db)], timeout=5, what="the end of the worker")
    worker_pid(db)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_wrong_with_one_thing_stops_no_other(two, sandbox, cell):
    breaking, mending, says = CELLS[cell]
    for statement in breaking:
        two.execute(statement)
    restart_worker(two)
    change(two, sandbox, BAD, "of bad")
    arrives(two, change(two, sandbox, GOOD, "of good"), "of good")
    if says:
        until(two, lambda: any(re.search(says, reason) for _, _, reason in reasons(two)), what=f"{says} in sync_status")
    arrives(two, change(two, sandbox, GOOD, "again"), "again")
    restart_worker(two)
    for statement in mending:
        two.execute(statement)
    if mending:
        arrives(two, change(two, sandbox, BAD, "mended"), "mended")


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
    restart_worker(two)
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
    restart_worker(two)
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
                nobody.execute("SELECT kombo.take_lock(%s, false)", [name])
        arrives(two, change(two, sandbox, BAD, "all the same"), "all the same")
    two.execute("DROP ROLE nobody_here")


def test_a_trigger_cannot_drop_the_lock_of_an_integration(two, sandbox):
    two.execute("""CREATE FUNCTION public.unlock() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN PERFORM pg_advisory_unlock_all(); RETURN NEW; END $$""")
    two.execute("CREATE TRIGGER unlock BEFORE UPDATE ON kombo.hris_employees FOR EACH ROW EXECUTE FUNCTION public.unlock()")
    sandbox.settings(latency_ms=400)
    two.execute("ALTER SERVER kombo_eu OPTIONS (ADD page_size '10')")
    for record in sandbox.dump("hris_employees", GOOD):
        sandbox.record("change", "hris_employees", record["id"], set={"job_title": "new"})
    two.execute("SELECT kombo.request_sync(%s, 'full', ARRAY['/hris/employees'])", [GOOD])
    until(two, lambda: two.value("SELECT count(*) > 0 FROM kombo.hris_employees WHERE job_title = 'new'"), what="a page")
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
