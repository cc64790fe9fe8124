"""The system under a soak: a database with a worker, a sandbox Kombo with some integrations, and what the model knows
of both."""

import json
import os
import signal
import typing

from cluster import TEMPLATE, Database
from sandbox import Sandbox
from syncing import wait_until
from worker import serve, workers_of

API_KEY = "soak-key-5c1f0e77"
WEBHOOK_SECRET = "soak-secret-90b2d4aa"
CATEGORIES = {"one": "HRIS"}


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
        self.paused = False  # by the operator
        self.needs = {}  # what nothing but a fetch by request must bring: {("delta" or "full", list or None): why}

    def need(self, kind, why, endpoint=None):
        self.needs.setdefault((kind, endpoint), why)


class World:
    """Everything that steps work on. `close` ends it."""

    def __init__(self, cluster, program, seed, categories=None, employees=25):
        self.cluster = cluster
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
        self.opened = []  # what a quiet point ends: functions
        self.faulty = False
        self.numbers = 0
        self.log_start = cluster.log.stat().st_size
        cluster.ensure_running()
        cluster.prepare_template()
        self.db = Database(cluster, cluster.new_database(TEMPLATE))
        self.db.create_server(self.sandbox, webhook_secret=WEBHOOK_SECRET)
        serve(self.db)
        for integration in self.integrations.values():
            self.db.add_integration(integration.id, category=integration.category)
        self.models = {row["model"]: row for row in self.db.execute(MODELS)}
        for integration in self.integrations.values():
            for model in self.models_of(integration):
                integration.ids[model] = [record["id"] for record in self.sandbox.dump(model, integration.id)]

    def models_of(self, integration):
        return [name for name, row in self.models.items() if row["category"] == integration.category]

    def number(self):
        self.numbers += 1
        return self.numbers

    def at_kombo(self, integration, op, model, **more):
        """A change at Kombo, if it can be; its webhooks are on their way."""
        try:
            self.sandbox.record(op, model, integration=integration.id, **more)
        except RuntimeError:  # the record is gone, or was never made in this script
            return False
        self.collect()
        return True

    def collect(self):
        self.held += self.sandbox.outbox()

    def lose(self, webhook):
        """It never arrives: only a fetch by the schedule brings what it told of."""
        data = json.loads(webhook.body)["data"]
        for integration in self.integrations.values():
            if integration.id == data["integration_id"]:
                integration.need("delta", "a webhook was lost")

    def kill(self, pid):
        """kill -9; waits until the server is back."""
        os.kill(pid, signal.SIGKILL)
        self.db.reconnect()

    def served(self):
        wait_until(lambda: workers_of(self.db), 60, "a worker", lambda: self.cluster.log_tail(20))

    def close(self):
        for end in self.opened:
            end()
        self.sandbox.stop()
        self.cluster.ensure_running()
        self.cluster.reset_settings()
        self.db.drop()


# The models that have a table of their own, what shows their changes, and a field that takes any text.
MODELS = """
    SELECT DISTINCT ON (m.model) m.model, e.category, m.endpoint, e.incremental,
           m.model = e.table_name AS listed,
           EXISTS (SELECT FROM kombo.nested_records o
                   WHERE (o.table_name, o.relation) = (m.model, 'owned')) AS owned,
           coalesce(m.delta AND e.incremental, false) AS by_delta,
           (SELECT f.json_key FROM kombo.fields f
            WHERE f.table_name = m.model AND f.type = 'text' AND f.json_key NOT LIKE '%%.%%'
              AND f.json_key <> 'remote_id' AND f.json_key NOT LIKE '%%\\_id' AND f.comment !~ '\\mid in '
            ORDER BY f.position LIMIT 1) AS text_key
    FROM kombo.endpoint_models m JOIN kombo.endpoints e ON e.path = m.endpoint
    LEFT JOIN kombo.nested_records n ON (n.endpoint, n.table_name) = (m.endpoint, m.model)
    WHERE m.role = 'own' AND e.enabled AND (m.model = e.table_name OR n.relation IN ('owned', 'linked'))
    ORDER BY m.model, m.model = e.table_name DESC""".replace("%%", "%")
