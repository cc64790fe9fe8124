"""The sandbox Kombo server as the tests see it. Its options and admin calls: test/sandbox/README.md."""

import collections
import json
import os
import subprocess
import typing
import urllib.error
import urllib.parse
import urllib.request

from cluster import API_KEY

INTEGRATION = "personio:CBNMt7dSNCzBdnRTx87dev4E"
WEBHOOK_SECRET = "sandbox-secret"  # what the sandbox signs with unless told otherwise


class Sandbox:
    """One running kombo-sandbox. Keywords are its options: employees=100, seed=3, clock_skew=-600, integration=[…],
    empty=True."""

    def __init__(self, program, **options):
        self.api_key = options.pop("api_key", API_KEY)
        self.integration = INTEGRATION
        arguments = ["--port", "0", "--api-key", self.api_key, "--until-stdin-closes"]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                arguments.append(flag)
            elif isinstance(value, (list, tuple)):
                for item in value:
                    arguments += [flag, item]
            elif value is not None and value is not False:
                arguments += [flag, str(value)]
        # Its input is a pipe that closes when this process ends, however it ends: no server outlives its test.
        # Its log goes to a file or nowhere: a pipe that nobody reads would stop it.
        keep = os.environ.get("KOMBO_LOG")
        with open(os.path.join(keep, "e2e-sandbox.log") if keep else os.devnull, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"kombo-sandbox {' '.join(arguments)} said: {line!r}")
        self.url = line.split()[-1]
        self.base_url = self.url + "/v1"

    def stop(self):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()

    def call(self, method, path, body=None, headers=None):
        """One request; (status, parsed JSON or None). Numbers keep their digits: they are parsed as Digits."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            status, text = answer.code, answer.read().decode()
        return status, parse_json(text) if text else None

    def admin(self, method, path, json=None, **query):
        """A call of the admin interface; raises unless it succeeds. `path` is what follows /admin/."""
        path = "/admin/" + path.removeprefix("/admin").lstrip("/")
        if query:
            path += "?" + urllib.parse.urlencode(query)
        status, answer = self.call(method, path, json)
        if status >= 300:
            raise RuntimeError(f"sandbox: {method} {path} {json} answered {status}: {answer}")
        return answer

    def requests(self, path=None):
        """What was asked since the last clear_requests(), in order; each has n, path, query, params, status …"""
        answer = self.admin("GET", "requests")
        listed = answer["requests"] if isinstance(answer, dict) else answer
        return [r for r in listed if path is None or r["path"].removeprefix("/v1") == path]

    def paths(self):
        """How often each list was asked for, as {'/hris/employees': 3}."""
        return dict(collections.Counter(r["path"].removeprefix("/v1") for r in self.requests()))

    def clear_requests(self):
        self.admin("DELETE", "requests")

    def record(self, op, model, id=None, set=None, integration=None, **more):
        """change, create, delete, undelete, wipe, purge or set_links (list=, ids=); the record as served."""
        body = {"integration": integration or self.integration, "model": model, "op": op, **more}
        if id is not None:
            body["id"] = id
        if set is not None:
            body["set"] = set
        return self.admin("POST", "records", body)

    def faults(self, *rules):
        """Adds fault rules (dicts); without rules removes all."""
        if not rules:
            return self.admin("DELETE", "faults")
        for rule in rules:
            self.admin("POST", "faults", rule)
        return None

    def raw(self, path, id, json, integration=None):
        """Serves exactly this text as that record of that list."""
        return self.admin("POST", "raw", {"integration": integration or self.integration, "path": path, "id": id,
                                          "json": json})

    def clock(self, **change):
        """skew_seconds=… or advance_seconds=…"""
        return self.admin("POST", "clock", change)

    def settings(self, **change):
        """latency_ms, rate_limit, rate_window_s, page_size_max."""
        return self.admin("POST", "settings", change)

    def change_integration(self, integration=None, **change):
        return self.admin("PATCH", "integrations", change, id=integration or self.integration)

    def add_integration(self, id, **properties):
        return self.admin("POST", "integrations", {"id": id, **properties})

    def webhooks(self, url=None, **options):
        """Tells of every change from now on: by webhooks to the url, or without one held for outbox(). secret,
        debounce_ms (0), retries (3), retry_ms (1000, doubling), timeout_ms, senders (4 threads), types=["data-changed"]
        and so on for these alone. on=False only sets."""
        return self.admin("POST", "webhooks", {"url": url, **options})

    def no_webhooks(self):
        """Ends that, and forgets what was queued, held and counted."""
        return self.admin("DELETE", "webhooks")

    def webhook_log(self, deliveries=100):
        """sent (answered 2xx), failed (given up), attempts, waiting (queued or under way), held; deliveries, the last
        ones, each with id, type, integration, attempt, status (0 = no answer), error, at, us (it took); errors, those
        that failed."""
        return self.admin("GET", "webhooks", deliveries=deliveries)

    def webhook(self, *models, type="data-changed", integration=None, **options):
        """A signed webhook, not sent: webhook("hris_employees"), webhook(type="sync-finished"). id=, data= (merged into
        the data), body= (the whole text), secret= and an integration that is not there may be given."""
        return Webhook(**self._webhook(models, type, integration, options))

    def burst(self, count, *models, **options):
        """So many webhooks, with an id each."""
        made = self._webhook(models, options.pop("type", "data-changed"), options.pop("integration", None),
                             {"count": count, **options})
        return [Webhook(**one) for one in made["webhooks"]]

    def send_webhook(self, url, *models, type="data-changed", integration=None, **options):
        """Sends one, repeat=n times the same; (webhook, [HTTP status…]), 0 where no answer came."""
        made = self._webhook(models, type, integration, {"url": url, "send": True, **options})
        answers = made.pop("answers")
        return Webhook(**made), [answer["status"] for answer in answers]

    def _webhook(self, models, type, integration, options):
        body = {"type": type, "integration": integration or self.integration, **options}
        if models:
            body["changed_models"] = list(models)
        return self.admin("POST", "webhook", body)

    def outbox(self):
        """The webhooks that are held, which are held no longer."""
        return [Webhook(**one) for one in self.admin("POST", "outbox", {})]

    def concurrency(self):
        """in_flight, max_in_flight and same_page_twice of all, by `integrations` and by `streams` (named
        "<integration> <path>"); `requests` lists what is unanswered."""
        return self.admin("GET", "concurrency")

    def clear_concurrency(self):
        self.admin("DELETE", "concurrency")

    def churn(self, per_second, integration=None, **options):
        """Random changes from now on: models=["hris_teams"], seed=1, ops={"change": 6, "delete": 1}, count=n (then it
        ends)."""
        return self.admin("POST", "churn", {"integration": integration or self.integration, "per_second": per_second,
                                            **options})

    def churning(self, integration=None):
        """A list of streams of changes: integration, runs, done, ops."""
        return self.admin("GET", "churn", **({"integration": integration} if integration else {}))

    def stop_churn(self, integration=None):
        """Ends the changes (of all integrations): nothing changes after this call. What was done, as from churning."""
        return self.admin("DELETE", "churn", **({"integration": integration} if integration else {}))

    def get(self, model, id, integration=None):
        """One record as served."""
        return self.admin("GET", "records", integration=integration or self.integration, model=model, id=id)

    def dump(self, model, integration=None):
        """Every record of a model, tombstones included, as served."""
        found, offset = [], 0
        while offset is not None:
            page = self.admin("GET", "records", integration=integration or self.integration, model=model, offset=offset,
                              limit=1000)
            found += page["results"]
            offset = page["next_offset"]
        return found

    def count(self, model, integration=None, include_deleted=True):
        """How many records of the model (or list, as /hris/employees) Kombo would serve."""
        return self.admin("GET", "count", integration=integration or self.integration, model=model,
                          include_deleted=str(include_deleted).lower())["count"]


class Webhook(typing.NamedTuple):
    id: str
    body: str
    signature: str


class Digits(str):
    """A JSON number with a point or an exponent, by its text: 0.10 is not 0.1."""


def parse_json(text):
    return json.loads(text, parse_float=Digits)
