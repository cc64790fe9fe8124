"""The system under a soak: a database with a worker, a sandbox Kombo with some integrations, and what the model knows
of both."""

import contextlib
import json
import os
import signal
import typing

import psycopg

import earlier
from cluster import TEMPLATE, Database
from feed import Feed
from sandbox import Sandbox
from syncing import lists_at, wait_until
from worker import serve, workers_of

API_KEY = "soak-key-5c1f0e77"
WEBHOOK_SECRET = "soak-secret-90b2d4aa"
CATEGORIES = {"one": "HRIS", "two": "HRIS", "three": "ATS", "four": "LMS"}
# A model without delta is fetched in full at once.
SETTINGS = {"min_full_interval": 0, "poll_interval": "2s"}
LOCK_TIMEOUT = "300ms"


class Step(typing.NamedTuple):
    """What is done, by name and parameters: all that a replay needs."""
    name: str
    parameters: dict

    def __str__(self):
        return json.dumps([self.name, self.parameters])

    @classmethod
    def parse(cls, line):
        return cls(*json.loads(line))


class Finding(Exception):
    """Something is wrong. `kind` tells one from another, so that a shortened script is known to fail alike."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Integration:
    """An integration at Kombo, and what the model knows of it."""

    def __init__(self, name, category):
        self.name = name
        self.id = f"personio:soak{name}"
        self.category = category
        self.ids = {}  # of each model all that ever were
        self.purged = set()
        self.state = "ACTIVE"  # at Kombo: INVALID or gone otherwise
        self.paused = False  # by the operator
        self.troubled = False  # its lists may wait long for their next attempt
        self.needs = {}  # what nothing but a fetch by request must bring: {("delta" or "full", list or None): why}

    def is_active(self):
        return self.state == "ACTIVE" and not self.paused

    def need(self, kind, why, endpoint=None):
        self.needs.setdefault((kind, endpoint), why)


class World:
    """Everything that steps work on. `close` ends it."""

    def __init__(self, cluster, program, seed, categories=None, employees=25):
        self.cluster = self.given = cluster
        self.employees = employees
        self.integrations = {name: Integration(name, category)
                             for name, category in (categories or CATEGORIES).items()}
        self.sandbox = Sandbox(program, api_key=API_KEY, seed=seed,
                               integration=[f"{i.id}={employees}" for i in self.integrations.values()])
        for integration in self.integrations.values():
            self.sandbox.change_integration(integration.id, category=integration.category)
        self.sandbox.settings(page_size_max=10, latency_ms=2)
        self.sandbox.webhooks(None, secret=WEBHOOK_SECRET)
        self.sandbox.outbox()
        self.held = []  # webhooks on their way
        self.inserted = {"rejected": 0, None: 0}  # rows that the inbox must have
        self.opened = []  # what a quiet point ends: functions
        self.stalled = []  # processes that stand still
        self.stall_ends = None  # the timer that lets them go on
        self.numbers = 0
        self.causes = set()  # of what the log says since it was checked last
        self.sizes = {}  # of each worker, when it was quiet first
        cluster.ensure_running()
        self.log_start = cluster.log.stat().st_size
        self.db = make_database(cluster, upgraded=seed % 2 == 0)
        self.names = [self.db.name]  # of all databases that were made
        self.db.create_server(self.sandbox, webhook_secret=WEBHOOK_SECRET)
        serve(self.db, **SETTINGS)
        for integration in self.integrations.values():
            self.db.add_integration(integration.id, category=integration.category)
        self.prepare()
        self.models = {row["model"]: row for row in self.db.execute(MODELS)}
        for integration in self.integrations.values():
            self.meet(integration)
        self.feed = Feed(self.db)

    def meet(self, integration):
        """Learns what the integration has."""
        self.integrations[integration.name] = integration
        for model, row in self.models.items():
            if row["category"] == integration.category:
                integration.ids[model] = [record["id"] for record in self.sandbox.dump(model, integration.id)]

    def prepare(self):
        self.db.execute(f"SET application_name = 'soak'; SET lock_timeout = '{LOCK_TIMEOUT}'")

    def move(self, db):
        """All else happens there."""
        self.db = self.feed.db = db
        self.cluster = db.cluster
        self.sizes.clear()
        self.prepare()

    def set_clock(self, seconds):
        """So far from the true time. Only the first cluster has a clock of its own."""
        if self.given.clock:
            self.given.clock.jump(seconds)

    def number(self):
        self.numbers += 1
        return self.numbers

    def expect(self, holds, kind, text):
        if not holds:
            raise Finding(kind, text)

    def at_kombo(self, integration, op, model, **more):
        """A change at Kombo, if it can be; its webhooks are on their way."""
        try:
            self.sandbox.record(op, model, integration=integration.id, **more)
        except RuntimeError:  # the record is gone, or was never made in this script
            return False
        self.collect()
        row = self.models[model]
        if row["owner"] and op != "purge" and (op == "undelete" or not self.is_listed(integration, row, more["id"])):
            integration.need("full", f"{model}: what is in no live parent's list is in no delta", row["endpoint"])
        return True

    def is_listed(self, integration, row, key):
        """Whether an owned record is in the list of a record that is not deleted."""
        table, path = row["owner"]
        return any(item["id"] == key for parent in self.sandbox.dump(table, integration.id)
                   if not parent["remote_deleted_at"]
                   for _, items in lists_at(parent, path) for item in items or [])

    def collect(self):
        self.held += self.sandbox.outbox()

    def insert(self, webhook, status=None):
        """What a front end does."""
        self.db.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                        [webhook.body, webhook.signature])
        self.inserted[status] += 1

    def lose(self, webhook):
        """It never arrives: only a fetch by the schedule brings what it told of."""
        data = json.loads(webhook.body)["data"]
        if "changed_models" not in data:  # what tells of the integration is read daily, too: that is not waited for
            self.held.append(webhook)
            return
        for integration in self.integrations.values():
            if integration.id == data["integration_id"]:
                integration.need("delta", "a webhook was lost")
                for model in (changed["name"] for changed in data["changed_models"]):
                    row = self.models.get(model)  # none: a join
                    if not row or not row["by_delta"]:
                        integration.need("full", f"a webhook for {model} was lost", row and row["endpoint"])

    def trouble(self):
        """Lists may fail, and wait for their next attempt until somebody resumes them."""
        for integration in self.integrations.values():
            integration.troubled = True

    def hold(self, statement):
        """Runs it in a transaction that stays open until end_opened."""
        connection = self.db.connect(autocommit=False)
        try:
            connection.execute(f"SET application_name = 'soak'; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            connection.execute(statement)
        except psycopg.errors.LockNotAvailable:
            connection.close()
            return
        self.opened.append(connection.close)

    def insist(self, statement):
        """Runs it when locks let it, which are short: the worker gives way."""
        def done():
            try:
                self.db.execute(statement)
                return True
            except psycopg.errors.LockNotAvailable:
                return False
        wait_until(done, 60, f"the lock for {statement}", lambda: self.cluster.log_tail(20))

    def end_opened(self):
        # Those that need locks come after those that hold them: refusals are undone last.
        ends, self.opened = self.opened, []
        self.go_on()
        for end in sorted(ends, key=lambda end: end.__name__ == "<lambda>"):
            end()

    def go_on(self):
        if self.stall_ends:
            self.stall_ends.cancel()
        while self.stalled:
            with contextlib.suppress(IndexError, ProcessLookupError):  # a timer ends a stall, too
                os.kill(self.stalled.pop(), signal.SIGCONT)

    def kill(self, pid):
        """kill -9; waits until the server is back. What had ended by itself just before ends nothing."""
        self.go_on()
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            os.kill(pid, signal.SIGKILL)
            self.db.reconnect()
        self.prepare()

    def reconnect(self):
        self.db.reconnect()
        self.prepare()

    def served(self):
        wait_until(lambda: workers_of(self.db), 60, "a worker", lambda: self.cluster.log_tail(20))

    def close(self):
        self.set_clock(0)
        with contextlib.suppress(psycopg.Error, AssertionError):
            self.end_opened()
        self.sandbox.stop()
        if self.cluster is not self.given:
            self.db.connection.close()
            self.cluster.close()
        self.given.ensure_running()
        self.given.reset_settings()
        for name in self.names:
            self.given.drop_database(name)


def make_database(cluster, upgraded):
    cluster.prepare_template()
    if not upgraded:
        return Database(cluster, cluster.new_database(TEMPLATE))
    earlier.offer(cluster, "0.2.0")
    db = Database(cluster, cluster.new_database())
    db.execute("CREATE EXTENSION kombo_sync VERSION '0.2.0'")
    db.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
    db.execute("ALTER EXTENSION kombo_sync UPDATE")
    return db


# The models that have rows of their own: what shows their changes, a column that takes any text, and the columns that
# name other records.
MODELS = r"""
    SELECT DISTINCT ON (m.model) m.model, e.category, m.endpoint, e.incremental, m.model = e.table_name AS listed,
           e.on_missing = 'keep' AS keeps, coalesce(m.delta AND e.incremental, false) AS by_delta,
           (SELECT ARRAY[p.table_name, o.json_path] FROM kombo.nested_records o
            JOIN kombo.endpoints p ON p.path = o.endpoint
            WHERE (o.table_name, o.relation) = (m.model, 'owned') LIMIT 1) AS owner,
           t.json_key AS text_key, t.column_name AS text_column, r.list AS "references"
    FROM kombo.endpoint_models m JOIN kombo.endpoints e ON e.path = m.endpoint
    LEFT JOIN kombo.nested_records n ON (n.endpoint, n.table_name) = (m.endpoint, m.model)
    LEFT JOIN LATERAL (
        SELECT f.json_key, f.column_name FROM kombo.fields f
        WHERE f.table_name = m.model AND f.type = 'text' AND f.json_key NOT LIKE '%.%' AND f.json_key <> 'remote_id'
          AND f.json_key NOT LIKE '%\_id'
        ORDER BY f.position LIMIT 1) t ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(ARRAY[f.column_name, substring(f.comment, '\mid in (\w+)')]) AS list FROM kombo.fields f
        WHERE f.table_name = m.model AND f.comment ~ '\mid in ' AND f.column_name <> 'approver_id'
          AND (f.json_key NOT LIKE '%.%' OR f.table_name = 'hris_performance_reviews')) r ON true
    WHERE m.role = 'own' AND e.enabled AND (m.model = e.table_name OR n.relation IN ('owned', 'linked'))
    ORDER BY m.model, m.model = e.table_name DESC"""
