"""What is done to the tables of the extension and to a data table, and what is said about it: the cells of
test_containment.py, and the table of docs/reliability.md (print_containment.py)."""

import dataclasses

from sandbox import INTEGRATION as GOOD

BAD = "personio:bad"
OF_BAD = f"WHEN (NEW.integration_id = '{BAD}')"
REQUEST = "INSERT INTO kombo.sync_requests (integration_id, endpoint, kind, trigger) VALUES "
ONE_REQUEST = REQUEST + f"('{BAD}', '/hris/groups', 'delta', 'sql')"
UNDEFINED = 'column .* does not exist'
EXTENSION = 'make the extension anew'


class Refused(str):
    """A statement that the database has to refuse."""


@dataclasses.dataclass
class Cell:
    """`worker` and `function`: what sync_status, and the call's rows and messages, say of it: a pattern; "": nothing,
    as nothing is wrong; None: nothing, as only the endpoint that it is about is, and it says so."""
    what: str
    breaking: list
    mending: list = ()
    worker: str = ""
    function: str = ""
    locked: str = None       # a session locks this table, and stays
    waits: tuple = ()        # who cannot go on for anybody meanwhile: "worker", "function"
    asked: str = "webhook"   # how the worker hears of the other integration's change
    model: str = "hris_teams"  # which has that change

    @property
    def table(self):
        return self.what.split(":")[0]


def trigger(table, when, condition="", code="P0001"):
    return ["CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'not here, said a trigger' USING ERRCODE = '{code}'; END $$",
            f"CREATE TRIGGER refuse BEFORE {when} ON kombo.{table} FOR EACH ROW {condition} "
            "EXECUTE FUNCTION public.refuse()"]


NO_TRIGGER = ["DROP FUNCTION public.refuse() CASCADE"]


def check(table, condition):
    return [f"ALTER TABLE kombo.{table} ADD CONSTRAINT refuse CHECK ({condition}) NOT VALID"]


def foreign_key(table):
    """The table may have rows of GOOD only."""
    return ["CREATE TABLE public.known (id text PRIMARY KEY)", f"INSERT INTO public.known VALUES ('{GOOD}')",
            f"ALTER TABLE kombo.{table} ADD CONSTRAINT refuse FOREIGN KEY (integration_id) REFERENCES public.known "
            "NOT VALID"]


def no_constraint(table):
    return [f"ALTER TABLE kombo.{table} DROP CONSTRAINT refuse", "DROP TABLE IF EXISTS public.known"]


NO_NOTES = ["DROP TABLE public.notes"]


def refers(table, condition=""):
    return [f"CREATE TABLE public.notes (i bigint REFERENCES kombo.{table})",
            f"INSERT INTO public.notes SELECT max(id) FROM kombo.{table} {condition}"]


def subscribe(interval):
    return (f"INSERT INTO kombo.subscriptions (integration_id, endpoint, purge_after) VALUES ('{BAD}', '/hris/groups', "
            f"'{interval}') ON CONFLICT (integration_id, endpoint) DO UPDATE SET purge_after = excluded.purge_after")


SUBSCRIBED = ["UPDATE kombo.subscriptions SET purge_after = NULL"]
ASK_STATE = ("INSERT INTO kombo.sync_requests (integration_id, kind, trigger) VALUES "
             f"('{BAD}', 'integration', 'schedule')")
SAYS = "not here, said a trigger"
CHECKED = 'violates check constraint "refuse"'
REFERS = 'violates foreign key constraint "refuse"'
LOCKED = "keeps .* locked|lock timeout"
UNMARKED = "webhooks cannot be marked as judged: "
UNRECORDED = "could not be recorded: "

INBOX = [
    Cell("webhook_inbox: a trigger raises", trigger("webhook_inbox", "UPDATE"), NO_TRIGGER, UNMARKED + SAYS),
    Cell("webhook_inbox: a CHECK refuses", check("webhook_inbox", f"status <> 'done' OR integration_id <> '{BAD}'"),
         no_constraint("webhook_inbox"), UNMARKED + 'new row for relation "webhook_inbox" violates'),
    Cell("webhook_inbox: a foreign key refuses", foreign_key("webhook_inbox"), no_constraint("webhook_inbox"),
         UNMARKED + '.*violates foreign key'),
    Cell("webhook_inbox: something refers to an old row", [
        *refers("webhook_inbox"),
        "UPDATE kombo.webhook_inbox SET processed_at = now() - interval '31 days'"], NO_NOTES),
    Cell("webhook_inbox: nonsensical rows", [
        "INSERT INTO kombo.webhook_inbox (body, signature, webhook_id, integration_id, processed_at) VALUES "
        "('', '', E'\\x01', '', 'infinity'), ('{', repeat('?', 1024), NULL, NULL, '-infinity')"]),
    Cell("webhook_inbox: a session keeps it locked", [], [], LOCKED, locked="webhook_inbox", asked="request_sync"),
    Cell("webhook_inbox: its sequence is behind", [
        "INSERT INTO kombo.webhook_inbox (id, body, status) SELECT g, '', 'ignored' FROM generate_series(1, 9) g "
        "ON CONFLICT DO NOTHING", "SELECT setval('kombo.webhook_inbox_id_seq', 1, false)",
        Refused("INSERT INTO kombo.webhook_inbox (body) VALUES ('')")],
         ["SELECT kombo.resume(NULL)"], asked="request_sync"),
    Cell("webhook_inbox: a column is dropped", ["ALTER TABLE kombo.webhook_inbox DROP COLUMN webhook_type",
                                                "INSERT INTO kombo.webhook_inbox (body) VALUES ('?')"],
         ["ALTER TABLE kombo.webhook_inbox ADD webhook_type text"], UNDEFINED + ".*" + EXTENSION, asked="request_sync"),
]

REQUESTS = [
    Cell("sync_requests: a trigger raises", trigger("sync_requests", "INSERT"), NO_TRIGGER, UNMARKED + SAYS),
    Cell("sync_requests: a trigger raises for one integration", trigger("sync_requests", "INSERT", OF_BAD), NO_TRIGGER,
         SAYS),
    Cell("sync_requests: a trigger raises on what is done for one integration", [
        ONE_REQUEST,
        *trigger("sync_requests", "DELETE", OF_BAD.replace("NEW", "OLD"))], NO_TRIGGER, SAYS, SAYS),
    Cell("sync_requests: a CHECK refuses", check("sync_requests", "trigger <> 'webhook'"),
         no_constraint("sync_requests"), CHECKED),
    Cell("sync_requests: a foreign key refuses", foreign_key("sync_requests"), no_constraint("sync_requests"), REFERS),
    Cell("sync_requests: something refers to a row", [
        "BEGIN", ONE_REQUEST, *refers("sync_requests"), "COMMIT"], NO_NOTES,
         "violates foreign key constraint", "violates foreign key constraint"),
    Cell("sync_requests: nonsensical rows", [
        REQUEST + "(E'\\x01', '/no/such', 'full', 'sql'), "
        f"('{BAD}', '/no/such', 'full', 'sql'), ('', '', 'delta', 'sql')"]),
    Cell("sync_requests: a session keeps it locked", [], [], LOCKED, LOCKED, locked="sync_requests", waits=("worker",)),
    Cell("sync_requests: its sequence is behind", [
        "SELECT setval('kombo.sync_requests_id_seq', 1, false)",
        "INSERT INTO kombo.sync_requests (id, integration_id, endpoint, kind, trigger) "
        f"SELECT g, '{BAD}', '/hris/locations', 'delta', 'webhook' FROM generate_series(1, 20) g "
        "ON CONFLICT DO NOTHING"]),
    Cell("sync_requests: a column is renamed (it cannot be dropped alone)", [
        Refused("ALTER TABLE kombo.sync_requests DROP COLUMN integration_id"),
        "ALTER TABLE kombo.sync_requests RENAME COLUMN integration_id TO i",
        ONE_REQUEST.replace("integration_id", "i")],
         ["ALTER TABLE kombo.sync_requests RENAME COLUMN i TO integration_id"],
         UNDEFINED + ".*" + EXTENSION, UNDEFINED + ".*" + EXTENSION, waits=("worker",)),
]

RUNS = [
    Cell("sync_runs: a trigger raises", trigger("sync_runs", "INSERT"), NO_TRIGGER,
         UNRECORDED + SAYS, UNRECORDED + SAYS),
    Cell("sync_runs: a CHECK refuses", check("sync_runs", "pages < 0"), no_constraint("sync_runs"),
         UNRECORDED + "new row for relation", UNRECORDED + "new row for relation"),
    Cell("sync_runs: a foreign key refuses", foreign_key("sync_runs"), no_constraint("sync_runs"),
         UNRECORDED + ".*violates foreign key", UNRECORDED + ".*violates foreign key"),
    Cell("sync_runs: something refers to an old row", [
        *refers("sync_runs", "WHERE endpoint = '/hris/groups'"),
        "UPDATE kombo.sync_runs SET started_at = started_at - interval '31 days', "
        "finished_at = finished_at - interval '31 days'"], NO_NOTES, function="could not delete old rows"),
    Cell("sync_runs: nonsensical rows", [
        "INSERT INTO kombo.sync_runs (integration_id, endpoint, kind, trigger, status, started_at, finished_at, "
        f"rows_by_table) VALUES ('{BAD}', '/hris/groups', 'delta', 'schedule', 'ok', '-infinity', 'infinity', '[1]'), "
        "(E'\\x01', '', '?', '?', '?', 'infinity', '-infinity', NULL)"],
         ["DELETE FROM kombo.sync_runs WHERE started_at IN ('infinity', '-infinity')"]),
    Cell("sync_runs: a session keeps it locked", [], [], UNRECORDED + ".*lock timeout", UNRECORDED + ".*lock timeout",
         locked="sync_runs"),
    Cell("sync_runs: its sequence is behind", ["SELECT setval('kombo.sync_runs_id_seq', 1, false)"]),
    Cell("sync_runs: a column is dropped", ["ALTER TABLE kombo.sync_runs DROP COLUMN bytes"],
         ["ALTER TABLE kombo.sync_runs ADD bytes bigint NOT NULL DEFAULT 0"],
         UNRECORDED + 'column "bytes".*' + EXTENSION, UNRECORDED + 'column "bytes".*' + EXTENSION),
]

STATE = [
    Cell("sync_state: a trigger raises for one integration", trigger("sync_state", "INSERT OR UPDATE", OF_BAD),
         NO_TRIGGER, SAYS, SAYS),
    Cell("sync_state: a CHECK refuses one integration", check("sync_state", f"integration_id <> '{BAD}'"),
         no_constraint("sync_state"), CHECKED, CHECKED),
    Cell("sync_state: a foreign key refuses one integration", [
        f"DELETE FROM kombo.sync_state WHERE integration_id = '{BAD}'", *foreign_key("sync_state")],
         no_constraint("sync_state"), REFERS, REFERS),
    Cell("sync_state: a nonsensical row", [
        "UPDATE kombo.sync_state SET watermark = 'infinity', full_started_at = '-infinity', full_cursor = 'x', "
        f"full_query = '?', full_progress = '{{\"pages\": \"?\"}}' WHERE integration_id = '{BAD}'"]),
    Cell("sync_state: a session keeps it locked", [], [], LOCKED, LOCKED, locked="sync_state",
         waits=("worker", "function")),
    Cell("sync_state: a column is dropped", ["ALTER TABLE kombo.sync_state DROP COLUMN page_size"],
         ["ALTER TABLE kombo.sync_state ADD page_size integer"],
         'column "page_size".*' + EXTENSION, 'column "page_size".*' + EXTENSION, waits=("worker", "function")),
]

INTEGRATIONS = [
    Cell("integrations: a trigger raises for one integration", [
        *trigger("integrations", "UPDATE", OF_BAD), ASK_STATE], NO_TRIGGER, "could not be noted: " + SAYS),
    Cell("integrations: a CHECK refuses one integration", [
        *check("integrations", f"integration_id <> '{BAD}'"), ASK_STATE], no_constraint("integrations"),
         "could not be noted: .*" + CHECKED),
    Cell("integrations: a foreign key refuses", [
        "CREATE TABLE public.notes (i text REFERENCES kombo.integrations)",
        f"INSERT INTO public.notes VALUES ('{BAD}')",
        Refused(f"SELECT kombo.remove_integration('{BAD}')")], NO_NOTES),
    Cell("integrations: nonsensical rows", [
        "INSERT INTO kombo.integrations (integration_id, server, category, system_identifier, database_oid) "
        "SELECT v, 'kombo_eu', 'HRIS', system_identifier, database_oid FROM kombo_internal.this_database(), "
        "(VALUES ('a?b#c'), (repeat('x', 199))) AS w (v)"],
         [f"DELETE FROM kombo.integrations WHERE integration_id NOT IN ('{GOOD}', '{BAD}')"], None, None),
    Cell("integrations: a server that is gone", [
        f"UPDATE kombo.integrations SET server = 'gone' WHERE integration_id = '{BAD}'"],
         [f"UPDATE kombo.integrations SET server = 'kombo_eu' WHERE integration_id = '{BAD}'"],
         'server "gone" does not exist', 'server "gone" does not exist'),
    Cell("integrations: a session keeps it locked", [], [], LOCKED, LOCKED, locked="integrations",
         waits=("worker", "function")),
    Cell("integrations: a column is renamed (it cannot be dropped alone)", [
        Refused("ALTER TABLE kombo.integrations DROP COLUMN category"),
        "ALTER TABLE kombo.integrations RENAME COLUMN category TO c"],
         ["ALTER TABLE kombo.integrations RENAME COLUMN c TO category"],
         UNDEFINED + ".*" + EXTENSION, UNDEFINED + ".*" + EXTENSION, waits=("worker", "function")),
]

SUBSCRIPTIONS = [
    Cell("subscriptions: a trigger raises", [
        *trigger("subscriptions", "INSERT OR UPDATE"), Refused(subscribe("1 day"))], NO_TRIGGER),
    Cell("subscriptions: a CHECK refuses", [
        *check("subscriptions", "purge_after IS NULL"), Refused(subscribe("1 day"))], no_constraint("subscriptions")),
    Cell("subscriptions: a foreign key refuses", [
        f"DELETE FROM kombo.subscriptions WHERE integration_id = '{BAD}' AND endpoint = '/hris/groups'",
        *foreign_key("subscriptions"), Refused(subscribe("1 day"))], no_constraint("subscriptions")),
    Cell("subscriptions: a nonsensical row", [subscribe("1000000 years")], SUBSCRIBED),
    Cell("subscriptions: a session keeps it locked", [], [], LOCKED, LOCKED, locked="subscriptions",
         waits=("worker", "function")),
    Cell("subscriptions: a column is dropped", ["ALTER TABLE kombo.subscriptions DROP COLUMN on_missing"],
         ["ALTER TABLE kombo.subscriptions ADD on_missing text"],
         'column "on_missing".*' + EXTENSION, 'column "on_missing".*' + EXTENSION, waits=("worker", "function")),
]

DATA = [
    Cell("a data table: a trigger raises for one integration",
         trigger("hris_teams", "INSERT OR UPDATE", OF_BAD), NO_TRIGGER, None, "could not be stored"),
    Cell("a data table: a trigger raises a deadlock for one integration",
         trigger("hris_teams", "INSERT OR UPDATE", OF_BAD, "40P01"), NO_TRIGGER, None, SAYS),
    Cell("a data table: a CHECK refuses one integration", check("hris_teams", f"integration_id <> '{BAD}'"),
         no_constraint("hris_teams"), None, "could not be stored"),
    Cell("a data table: a foreign key refuses one integration", [
        f"DELETE FROM kombo.hris_teams WHERE integration_id = '{BAD}'", *foreign_key("hris_teams")],
         no_constraint("hris_teams"), None, "could not be stored"),
    Cell("a data table: nonsensical rows", [
        "UPDATE kombo.hris_teams SET changed_at = '-infinity', remote_deleted_at = 'infinity', "
        f"synced_at = '-infinity', extra = '\"?\"' WHERE integration_id = '{BAD}'"]),
    Cell("a data table: a session keeps it locked", [], [], None, "lock timeout", locked="hris_teams",
         model="hris_locations"),
    Cell("a data table: a column is dropped", ["ALTER TABLE kombo.hris_teams DROP COLUMN name"],
         ["SELECT kombo.create_tables('HRIS')"], UNDEFINED, UNDEFINED, model="hris_locations"),
    Cell("rejected_records: its sequence is behind", [
        "INSERT INTO kombo.rejected_records (id, integration_id, endpoint) "
        "SELECT g, 'nobody', '' FROM generate_series(1, 9) g ON CONFLICT DO NOTHING",
        "SELECT setval('kombo.rejected_records_id_seq', 1, false)",
        *check("hris_teams", f"integration_id <> '{BAD}'")], no_constraint("hris_teams"), None, "could not be stored"),
]

CELLS = {cell.what: cell for cell in
         [*INBOX, *REQUESTS, *RUNS, *STATE, *INTEGRATIONS, *SUBSCRIPTIONS, *DATA]}
