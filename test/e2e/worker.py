"""What tests of the background worker do and look at: have it serve a database, hand it webhooks, wait until it has
done what it was asked for, watch its backends, change a sandbox at random."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import random
import re
import threading

import psycopg

from cluster import TEMPLATE, Database
from sandbox import WEBHOOK_SECRET
from syncing import wait_until

SOAK = os.environ.get("KOMBO_SOAK") == "1"

WORKER_SETTINGS = """
shared_preload_libraries = 'kombo_sync'
max_worker_processes = 24
kombo_sync.poll_interval = '12s'
"""
# Seconds: what takes less was woken, and did not come by a poll.
WOKEN = 10

WORKERS = """SELECT pid, application_name, state, query, wait_event_type, wait_event, backend_xmin, xact_start,
                    extract(epoch FROM clock_timestamp() - xact_start)::float AS transaction_age
             FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'kombo_sync worker%'
             ORDER BY application_name"""

# Nothing is due and nothing runs, and every subscribed endpoint is up to date or cannot be.
SETTLED = """SELECT NOT EXISTS (SELECT FROM kombo.webhook_inbox WHERE status = 'new')
                AND NOT EXISTS (SELECT FROM kombo.sync_requests
                                WHERE coalesce(not_before <= now(), true)
                                  AND (%(ids)s::text[] IS NULL OR integration_id = ANY (%(ids)s)))
                AND NOT EXISTS (SELECT FROM kombo.sync_progress WHERE %(ids)s::text[] IS NULL
                                                                   OR integration_id = ANY (%(ids)s))
                AND NOT EXISTS (SELECT FROM kombo.sync_status
                                WHERE integration_id IS NOT NULL AND state <> ALL (%(states)s)
                                  AND (%(ids)s::text[] IS NULL OR integration_id = ANY (%(ids)s)))"""

numbers = itertools.count(1)


# --- the worker ---------------------------------------------------------------------------------------------------

def new_served(cluster, sandbox):
    """A new database in a cluster that preloads kombo_sync: extension, HRIS tables, server kombo_eu -> sandbox with key
    and webhook secret, and a worker; no integration."""
    cluster.prepare_template()
    db = Database(cluster, cluster.new_database(TEMPLATE))
    db.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
    serve(db)
    return db


def serve(db, workers=1, **settings):
    """Has the launcher of db's cluster keep `workers` workers in db, and in no other database, and waits for them.
    Further settings of kombo_sync as keywords. cluster.reset_settings() ends it."""
    settings = {"databases": db.name, "workers": workers, **settings}
    db.cluster.configure({f"kombo_sync.{name}": value for name, value in settings.items()})
    until(db, lambda: len(workers_of(db)) == workers, what=f"{workers} workers in {db.name}")


def workers_of(db):
    """The rows of pg_stat_activity of the workers in db."""
    return db.execute(WORKERS)


def worker_pid(db):
    """The pid of the one worker in db."""
    return until(db, lambda: workers_of(db), what="a worker")[0]["pid"]


def end_worker(db):
    """Ends the worker by pg_terminate_backend and waits for the next one."""
    pid = worker_pid(db)
    db.execute("SELECT pg_terminate_backend(%s::integer)", [pid])
    until(db, lambda: [w for w in workers_of(db) if w["pid"] != pid], what="the next worker")


# --- webhooks -----------------------------------------------------------------------------------------------------

def sign(body, secret=WEBHOOK_SECRET):
    """X-Kombo-Signature: unpadded base64url of HMAC-SHA256 over the raw body."""
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def data_changed(integration, *models, id=None):
    """The body of a data-changed webhook."""
    return json.dumps({"id": id or f"webhook{next(numbers):017d}", "type": "data-changed",
                       "data": {"integration_id": integration, "integration_tool": "personio",
                                "integration_category": "HRIS", "changed_models": [{"name": m} for m in models]}})


def send_webhook(db, sandbox, *models, integration=None, id=None, connection=None):
    """Inserts a signed data-changed webhook, as a front end does; the id of its row in the inbox. Without models it
    names hris_employees."""
    return insert_webhooks(db, [data_changed(integration or sandbox.integration, *(models or ["hris_employees"]),
                                             id=id)], connection)


def insert_webhooks(db, bodies, connection=None):
    """Inserts these bodies, signed, in one transaction; the id of the last one's row."""
    connection = connection or db.connection
    row = connection.execute("""
        WITH inserted AS (INSERT INTO kombo.webhook_inbox (body, signature)
                          SELECT body, signature FROM unnest(%s::text[], %s::text[]) AS w (body, signature)
                          RETURNING id)
        SELECT max(id) AS id FROM inserted""", [bodies, [sign(body) for body in bodies]]).fetchone()
    return row["id"]


def deliver(db, *webhooks):
    """Inserts webhooks that the sandbox has made: deliver(db, sandbox.webhook(type="integration-deleted"))."""
    for webhook in webhooks:
        db.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                   [webhook.body, webhook.signature])


def inbox(db):
    """{status: number of rows} of the inbox."""
    return {row["status"]: row["n"] for row in
            db.execute("SELECT status, count(*) AS n FROM kombo.webhook_inbox GROUP BY status")}


# --- waiting ------------------------------------------------------------------------------------------------------

def until(db, condition, timeout=15, what="the condition"):
    """wait_until(), whose error tells how worker and database stand."""
    return wait_until(condition, timeout, what, tell=lambda: how_it_stands(db))


def wait_synced(db, *integrations, timeout=30, states=("fresh",), what="the end of all that was asked for"):
    """Waits until the inbox is judged, no request is left and every subscribed endpoint (of these integrations, or of
    all) is in one of the states of sync_status."""
    parameters = {"ids": list(integrations) or None, "states": list(states)}
    until(db, lambda: db.value(SETTLED, parameters), timeout, what)


def wait_judged(db, timeout=15):
    """Waits until no row of the inbox is new."""
    until(db, lambda: "new" not in inbox(db), timeout, "the judgement of the inbox")


def wait_requested(db, sandbox, path, count=1, integration=None, timeout=15):
    """Waits until the sandbox was asked for that list so many times since clear_requests()."""
    until(db, lambda: len(asked(sandbox, path, integration)) >= count, timeout, f"request {count} of {path}")


def asked(sandbox, path, integration=None):
    """The sandbox's requests of that list, of one integration if it is given, in order."""
    return [r for r in sandbox.requests(path) if integration is None or r["integration"] == integration]


def unanswered(sandbox, path):
    """Those that the sandbox has not answered yet."""
    return [request for request in sandbox.requests(path) if request["status"] is None]


def how_it_stands(db):
    """What to look at when something did not happen, as text."""
    parts = [("worker", WORKERS),
             ("status", "SELECT integration_id, endpoint, state, reason, next, failures FROM kombo.sync_status "
                        "WHERE state <> 'fresh' LIMIT 20"),
             ("progress", "SELECT * FROM kombo.sync_progress LIMIT 20"),
             ("requests", "SELECT * FROM kombo.sync_requests ORDER BY id LIMIT 20"),
             ("state", "SELECT integration_id, endpoint, last_status, failures, attempts, next_attempt_at, "
                       "full_started_at, full_cursor, full_cursor_at FROM kombo.sync_state "
                       "WHERE last_status <> 'ok' OR full_started_at IS NOT NULL LIMIT 20"),
             ("inbox", "SELECT status, error, count(*) FROM kombo.webhook_inbox GROUP BY 1, 2 LIMIT 20"),
             ("last runs", "SELECT id, integration_id, endpoint, kind, trigger, status, started_at, pages, received, "
                           "error FROM kombo.sync_runs ORDER BY id DESC LIMIT 15")]
    said = []
    for title, statement in parts:
        try:
            with db.connect() as connection:
                connection.execute("SET lock_timeout = '2s'")
                rows = connection.execute(statement).fetchall()
            said += [f"-- {title}: {len(rows)} rows", *(str({k: str(v) for k, v in row.items() if v is not None})
                                                        for row in rows)]
        except psycopg.Error as error:
            said.append(f"-- {title}: {error}")
    return "\n".join([*said, "-- server log", db.cluster.log_tail()])


# --- what it did --------------------------------------------------------------------------------------------------

def runs(db, endpoint=None, integration=None, **wanted):
    """The rows of kombo.sync_runs, in order; of one endpoint, of one integration, with these values."""
    found = db.execute("""SELECT * FROM kombo.sync_runs
                          WHERE (%(endpoint)s::text IS NULL OR endpoint = %(endpoint)s)
                            AND (%(id)s::text IS NULL OR integration_id = %(id)s) ORDER BY id""",
                       {"endpoint": endpoint, "id": integration})
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def state_of(db, endpoint, integration=None):
    """The row of kombo.sync_state."""
    found = db.execute("""SELECT * FROM kombo.sync_state
                          WHERE endpoint = %s AND (%s::text IS NULL OR integration_id = %s)""",
                       [endpoint, integration, integration])
    return found[0] if found else None


def integration_of(db, integration):
    """The row of kombo.integrations."""
    return db.execute("SELECT * FROM kombo.integrations WHERE integration_id = %s", [integration])[0]


def assert_no_page_twice(sandbox):
    """The sandbox never had the same page of one list asked for twice at the same time."""
    seen = sandbox.admin("GET", "concurrency")
    assert seen["same_page_twice"] == 0, seen


# --- watching -----------------------------------------------------------------------------------------------------

class Repeating:
    """Calls `once` again and again, with pauses of so many seconds, in a thread, for as long as it is open."""

    def __init__(self, pause):
        self.pause = pause
        self.connection = None  # of the thread's own, if it needs one
        self.error = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it, and tells of errors in the thread."""
        self.ended.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), f"{type(self).__name__} did not end"
        if self.connection:
            self.connection.close()
        if self.error:
            raise self.error

    def _run(self):
        try:
            while not self.ended.wait(self.pause):
                self.once()
        except Exception as error:  # whatever it is, the test's own thread shall see it
            self.error = error


class Peak(Repeating):
    """The most private memory that a process has while this is open, in kB."""

    def __init__(self, pid):
        super().__init__(0.02)
        self.pid = pid
        self.kilobytes = 0

    def once(self):
        self.kilobytes = max(self.kilobytes, private_kilobytes(self.pid))


class Watch(Repeating):
    """Looks at the workers of a database many times a second: `with Watch(db) as watch: …`, then watch.oldest (the
    longest that a transaction of theirs was open, in seconds), watch.xmins (pids seen with a backend_xmin while they
    waited for the network) and watch.peak (most private memory of one, in kB)."""

    def __init__(self, db):
        super().__init__(0.01)
        self.connection = db.connect()
        self.oldest = 0.0
        self.peak = 0
        self.doing = None  # what had the oldest transaction
        self.xmins = []

    def once(self):
        for row in self.connection.execute(WORKERS).fetchall():
            if (row["transaction_age"] or 0.0) > self.oldest:
                self.oldest, self.doing = row["transaction_age"], row["query"]
            self.peak = max(self.peak, private_kilobytes(row["pid"]))
            if row["state"] == "idle" and row["wait_event_type"] == "Extension" and row["backend_xmin"]:
                self.xmins.append(row)


def private_kilobytes(pid):
    """The memory of a process that is its own, not shared; 0 if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0
    found = re.search(r"^RssAnon:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0


# --- changes at the sandbox ---------------------------------------------------------------------------------------

class Churn(Repeating):
    """Changes at a sandbox at random, each announced by a webhook, in a thread: `with Churn(db, sandbox, seed=1): …`.
    Only such changes as deltas show. A front end that cannot insert tries again, as Kombo's webhook would."""

    MODELS = ("hris_employees", "hris_employments", "hris_teams", "hris_absences", "hris_locations",
              "hris_time_off_balances", "hris_staffing_entities")
    # A deletion of theirs shows in their parent's list, which does not tell the tombstone's own values.
    OWNED = ("hris_employments", "hris_time_off_balances")

    def __init__(self, db, sandbox, seed, integration=None, pause=0.02):
        super().__init__(pause)
        self.db, self.sandbox = db, sandbox
        self.integration = integration or sandbox.integration
        self.random = random.Random(seed)
        self.ids = {model: [r["id"] for r in sandbox.dump(model, self.integration)] for model in self.MODELS}
        self.changes = 0
        self.webhooks = 0

    def once(self):
        self._announce(self.change())

    def change(self):
        """One change; the models to announce."""
        model = self.random.choice(self.MODELS)
        op = self.random.choice(["change"] * 6 + ["create", "delete", "undelete", "links"])
        key = self.random.choice(self.ids[model])
        self.changes += 1
        mark = f"change {self.changes}"
        if op == "create" and model in ("hris_employees", "hris_teams", "hris_locations"):
            self.ids[model].append(self._record(op, model, set=self._value(model, mark))["id"])
        elif op == "links" and model == "hris_employees":
            some = self.random.sample(self.ids["hris_teams"], min(2, len(self.ids["hris_teams"])))
            self._record("set_links", model, key, list="groups", ids=some)
        elif op in ("delete", "undelete") and model not in self.OWNED:
            self._record(op, model, key)
        else:
            self._record("change", model, key, set=self._value(model, mark))
        # What is gone from a list moves those that it was listed by.
        return sorted({model, "hris_employees", "hris_staffing_entities"})

    @staticmethod
    def _value(model, mark):
        column = {"hris_employees": "job_title", "hris_employments": "job_title", "hris_absences": "employee_note",
                  "hris_time_off_balances": "remote_id"}.get(model, "name")
        return {column: mark}

    def _record(self, op, model, key=None, **more):
        return self.sandbox.record(op, model, key, integration=self.integration, **more)

    def _announce(self, models):
        body = data_changed(self.integration, *models)
        while True:
            try:
                if not self.connection or self.connection.closed:
                    self.connection = self.db.connect(connect_timeout=5)
                insert_webhooks(self.db, [body], self.connection)
                self.webhooks += 1
                return
            except psycopg.OperationalError:
                if self.connection:
                    self.connection.close()
                if self.ended.wait(0.05) and not self.db.cluster.log.exists():
                    return
