"""The front ends of examples/ as processes, each with a database and a role of its own.

PostgREST itself is run where there is a program `postgrest`. Debian and npm have none: else a stand-in calls the
function of examples/postgrest as PostgREST does, with the role switched, the headers in `request.headers` and the body
as it came."""

import http.client
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import threading
import urllib.parse

import psycopg
import pytest

from cluster import Cluster, Database
from conftest import needed
from sandbox import WEBHOOK_SECRET, Sandbox
from syncing import wait_until

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
WRITER = "hr_webhooks"


class Program:
    """A front end as a process: `url` is where it takes webhooks."""

    def __init__(self, command, db, path="/kombo", wait=True, **environment):
        environment = {**os.environ, "PGHOST": str(db.cluster.folder), "PGPORT": "5432", "PGDATABASE": db.name,
                       "PGUSER": WRITER, "PORT": "0", **environment}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.said = []
        lines = iter(self.process.stdout.readline, "")
        self.reader = threading.Thread(target=lambda: self.said.extend(lines), daemon=True)
        self.reader.start()
        if not wait:
            return
        listening = re.compile(r"listening on .*?:(\d+)", re.IGNORECASE)
        found = wait_until(lambda: listening.search(self.output()), 20, "the front end")
        self.url = f"http://127.0.0.1:{found[1]}{path}"

    def output(self):
        return "".join(self.said)

    def stop(self):
        """Asks it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20)
        finally:
            self.process.kill()
        self.reader.join(5)
        return code


class LikePostgrest:
    """Does with examples/postgrest what PostgREST does with a request to /rpc/receive_webhook."""

    def __init__(self, db):
        settings = {name: re.search(rf'^{name} = "(.*)"$', configuration(), re.MULTILINE)[1]
                    for name in ("db-schemas", "db-anon-role", "db-uri")}
        user = urllib.parse.urlsplit(settings["db-uri"]).username
        # Of connections, and of None for those that are not open.
        self.pool = pool = queue.LifoQueue()
        for _ in range(int(re.search(r"^db-pool = (\d+)$", configuration(), re.MULTILINE)[1])):
            pool.put(None)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(self.call(body) if self.path == "/rpc/receive_webhook" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def call(self, body):
                headers = json.dumps({name.lower(): value for name, value in self.headers.items()})
                connection = pool.get()
                try:
                    json.loads(body)
                    connection = connection or db.connect(user)
                    with connection.transaction():
                        connection.execute(f"SET LOCAL ROLE {settings['db-anon-role']}")
                        connection.execute("SELECT set_config('request.headers', %s, true)", [headers])
                        connection.execute(f"SELECT {settings['db-schemas']}.receive_webhook(%s::json)",
                                           [body.decode()])
                    return 200
                except ValueError:
                    return 400
                except psycopg.OperationalError:
                    return 503
                except psycopg.Error as error:
                    return int(error.sqlstate[2:]) if error.sqlstate.startswith("PT") else 500
                finally:
                    pool.put(None if connection is None or connection.closed else connection)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/rpc/receive_webhook"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        while not self.pool.empty():
            connection = self.pool.get()
            if connection:
                connection.close()


def configuration():
    return (EXAMPLES / "postgrest" / "receiver.conf").read_text(encoding="utf-8")


def start(name, db, folder, **environment):
    """A new process of that front end; the environment has its limits. wait=False: it need not come to listen."""
    if name == "node":
        packages = os.environ.get("KOMBO_SDK")
        if not packages or not (pathlib.Path(packages) / "node_modules" / "pg").is_dir():
            pytest.skip("KOMBO_SDK has no package pg")
        # Node looks packages up from the program's own folder.
        if not (folder / "node_modules").exists():
            shutil.copy(EXAMPLES / "node" / "receiver.mjs", folder)
            (folder / "node_modules").symlink_to(pathlib.Path(packages) / "node_modules")
        return Program(["node", folder / "receiver.mjs"], db, **environment)
    if name == "python":
        return Program(["/usr/bin/python3", EXAMPLES / "python" / "receiver.py"], db, **environment)
    if not shutil.which("postgrest"):
        return LikePostgrest(db)
    with http.server.HTTPServer(("127.0.0.1", 0), None) as free:
        port = free.server_port
    ours = re.sub(r'(?m)^(server-port = ).*$', rf"\g<1>{port}", configuration().replace("@/hr", f"@/{db.name}"))
    (folder / "receiver.conf").write_text(ours, encoding="utf-8")
    return Program(["postgrest", folder / "receiver.conf"], db, "/rpc/receive_webhook")


@pytest.fixture(scope="module")
def sender():
    made = Sandbox(needed("KOMBO_SANDBOX"), employees=20)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def own_cluster():
    """A cluster of these tests' own: they stop it, and the examples' roles are the whole cluster's."""
    made = Cluster(needed("KOMBO_PGBIN"))
    yield made
    made.close()


def role_statements(name):
    """What the first lines of the front end tell to do for its role."""
    program, = (EXAMPLES / name).glob("receiver.*")
    found = re.findall(r"^(?://)? +((?:CREATE|SELECT) .*;)$", program.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 2, found
    return found


class FrontEnd:
    """One of them with a database of its own, and what its tests ask."""

    def __init__(self, name, cluster, sender, folder):
        self.name, self.sender, self.folder = name, sender, folder
        self.db = Database(cluster, cluster.new_database())
        self.db.execute("CREATE EXTENSION kombo_sync")
        self.db.create_server(sender, webhook_secret=WEBHOOK_SECRET)
        if name == "postgrest":
            cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.db.name, "-f",
                            EXAMPLES / "postgrest" / "receiver.sql")
        else:
            for statement in role_statements(name):
                self.db.execute(statement)
        self.running = self.start()

    def start(self, **environment):
        return start(self.name, self.db, self.folder, **environment)

    @property
    def url(self):
        return self.running.url

    def send(self, body, **options):
        """The sandbox signs the text and sends it; the status that came."""
        _, statuses = self.sender.send_webhook(self.url, body=body, **options)
        return statuses[0]

    def post(self, body, signature, method="POST", path=None):
        """Without the sandbox: for what it would not send. `body` is bytes."""
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
        headers = {"Content-Type": "application/json", **({"X-Kombo-Signature": signature} if signature else {})}
        try:
            connection.request(method, path or where.path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def stored(self):
        """(body, signature) of each row, in order."""
        rows = self.db.execute("SELECT body, signature, status FROM kombo.webhook_inbox ORDER BY id")
        assert {row["status"] for row in rows} <= {"new"}
        return [(row["body"], row["signature"]) for row in rows]

    def wait_for_lock(self):
        """Until a session waits for the lock that the test holds."""
        wait_until(lambda: self.db.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 10,
                   "the wait for the lock")

    def close(self):
        self.running.stop()
        self.db.drop()
        for role in (WRITER, "hr_webhooks_anonymous", "hr_webhooks_authenticator"):
            self.db.cluster.run(f"DROP ROLE IF EXISTS {role}")


def of_module(*names):
    """A fixture for a module's tests: each of these front ends, one after the other."""
    @pytest.fixture(scope="module", params=names)
    def one_of_them(request, own_cluster, sender, tmp_path_factory):
        made = FrontEnd(request.param, own_cluster, sender, tmp_path_factory.mktemp(request.param))
        yield made
        made.close()

    return one_of_them


@pytest.fixture
def front_end(each):
    """The module's fixture `each = of_module(…)` with an empty inbox."""
    each.db.execute("TRUNCATE kombo.webhook_inbox")
    yield each
    each.sender.no_webhooks()
