"""A private PostgreSQL cluster, and databases in it with the extension and a server that points at a sandbox."""

import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import psycopg
from psycopg.rows import dict_row

PORT = 5432  # of the unix socket only: its folder is private
API_KEY = "sandbox-key"
TEMPLATE = "kombo_template"

# A zone with daylight saving, far from UTC: a date that is taken in the session's zone shows at once. No autovacuum:
# tables stay without statistics, as they are during a first sync, and plans must be good all the same.
SETTINGS = """
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
timezone = 'America/New_York'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%a %d '
fsync = off
autovacuum = off
shared_buffers = 64MB
max_connections = 50
max_prepared_transactions = 2
"""


def needed(name):
    """An environment variable that ./check e2e and test/e2e/run set."""
    import pytest  # here only: the benchmarks, which use the rest, do without

    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: run ./check e2e, or see test/e2e/run", returncode=2)
    return value


class Cluster:
    """Started by the constructor; `stop` and `close` are safe to call twice. `clock`, of class OurClock, is what it
    takes for the time."""

    clock = None

    def __init__(self, bindir, settings="", clock=None):
        self.bindir = pathlib.Path(bindir)
        self.clock = clock
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ks."))
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.numbers = itertools.count(1)
        self.has_template = False
        self.program("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                     "--locale=C.UTF-8", "--no-sync")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(port=PORT, sockets=self.folder) + settings)
        self.start()

    def program(self, name, *arguments, **options):
        """Runs one of PostgreSQL's programs; its output is in the exception if it fails."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        environment.update(LC_ALL="C.UTF-8", PGHOST=str(self.folder), PGPORT=str(PORT), PGUSER="postgres")
        if self.clock:
            environment.update(self.clock.environment)
        done = subprocess.run([self.bindir / name, *arguments], env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=options.pop("timeout", 120), check=False, **options)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed ({done.returncode}):\n{done.stdout}")
        return done.stdout

    def start(self):
        # pg_ctl's child keeps its standard output open, so it gets the log and no pipe.
        try:
            self.program("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-s", "start")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.log_tail()}") from None

    def stop(self, mode="fast"):
        if (self.data / "postmaster.pid").exists():
            self.program("pg_ctl", "-D", self.data, "-m", mode, "-w", "-s", "stop")

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def close(self):
        self.stop("immediate")
        keep = os.environ.get("KOMBO_LOG")
        if keep and self.log.exists():
            shutil.copy(self.log, pathlib.Path(keep) / f"e2e-server-{self.folder.name}.log")
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_again(self, timeout=60):
        """Starts a server whose postmaster was killed: its last children must end first, as they share its memory."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self.start()
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def ensure_running(self, timeout=60):
        """Starts it if a test has left it dead; one that is recovering is waited for."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self.run("SELECT 1")
            except psycopg.OperationalError:
                if not self.has_postmaster():
                    return self.start_again()
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def has_postmaster(self):
        try:
            os.kill(self.postmaster_pid(), 0)
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return False
        return True

    def postmaster_pid(self):
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    def configure(self, settings):
        """ALTER SYSTEM SET for each, and a reload; in force when this returns:
        cluster.configure({"kombo_sync.workers": 2})."""
        self.reload(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()))

    def reset_settings(self):
        """Undoes every `configure`."""
        self.reload("ALTER SYSTEM RESET ALL")

    def reload(self, *statements):
        """Runs these, has the server read its settings, and waits until it has told everybody to."""
        with self.connect() as connection:
            before = connection.execute("SELECT pg_conf_load_time() AS at").fetchone()["at"]
            for statement in statements:
                connection.execute(statement)
            connection.execute("SELECT pg_reload_conf()")
        # A new session has what the postmaster has, which told the others when it read them.
        while True:
            with self.connect() as connection:
                if connection.execute("SELECT pg_conf_load_time() AS at").fetchone()["at"] != before:
                    return

    def log_tail(self, lines=30):
        """The end of the server's log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def connect(self, database="postgres", user="postgres", **options):
        """A new connection, in autocommit; rows are dicts. Nothing is prepared: tests alter tables."""
        options = {"autocommit": True, "row_factory": dict_row, "prepare_threshold": None, **options}
        return psycopg.connect(host=str(self.folder), port=PORT, dbname=database, user=user, **options)

    def run(self, statement, database="postgres"):
        with self.connect(database) as connection:
            connection.execute(statement)

    def prepare_template(self):
        """The database that every test's own is copied from: extension and HRIS tables, owned by kombo_owner."""
        if self.has_template:
            return
        # Whole or not at all: a failure here is every later test's, and each should say the same.
        self.run(f"DROP DATABASE IF EXISTS {TEMPLATE}")
        self.run("DROP ROLE IF EXISTS kombo_owner")
        self.run("CREATE ROLE kombo_owner")
        self.run(f"CREATE DATABASE {TEMPLATE}")
        with self.connect(TEMPLATE) as connection:
            connection.execute("CREATE EXTENSION kombo_sync")
            connection.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
        self.has_template = True

    def new_name(self):
        return f"t{next(self.numbers)}"

    def new_database(self, template="template0"):
        name = self.new_name()
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        return name

    def drop_database(self, name):
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class Standby(Cluster):
    """A standby of a running cluster."""

    def __init__(self, primary):
        self.bindir = primary.bindir
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ks."))
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.numbers = primary.numbers
        self.has_template = True
        primary.program("pg_basebackup", "-D", self.data, "-R", "-c", "fast", "--no-sync")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"unix_socket_directories = '{self.folder}'\n")
        self.start()

    def promote(self):
        self.program("pg_ctl", "-D", self.data, "-w", "-s", "promote")


class Database:
    """A database of the cluster and one superuser connection to it (`connection`, autocommit, rows are dicts)."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.connection = cluster.connect(name)
        self.checkpointer = self.find_checkpointer()

    def find_checkpointer(self):
        """A process that every restart of the server makes anew."""
        return self.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")

    def reconnect(self, timeout=60, restarted=True):
        """Waits until the server, which has lost its sessions, has restarted and takes connections, and connects anew;
        `restarted`: whether it has, and not just this session was ended. A postmaster that has not yet noticed the
        end of a killed child goes on taking connections, and ends them."""
        end = time.monotonic() + timeout
        while True:
            self.connection.close()
            try:
                self.connection = self.connect(connect_timeout=5)
                found = self.find_checkpointer()
                if found != self.checkpointer or not restarted:
                    self.checkpointer = found
                    return
                if time.monotonic() > end:
                    raise TimeoutError("the server has not restarted")
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def execute(self, statement, parameters=None):
        """Runs one statement; the rows as a list of dicts, [] if it has none."""
        cursor = self.connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    def value(self, statement, parameters=None):
        """The first column of the first row."""
        rows = self.execute(statement, parameters)
        return next(iter(rows[0].values())) if rows else None

    def connect(self, user="postgres", **options):
        """A further connection: for a second session, another role, or a transaction (autocommit=False)."""
        return self.cluster.connect(self.name, user, **options)

    def create_server(self, sandbox, name="kombo_eu", webhook_secret=None, **options):
        """CREATE SERVER and USER MAPPING for the sandbox; further server options as keywords."""
        options = {"base_url": sandbox.base_url, "allow_http": "on", **options}
        listed = ", ".join(f"{key} '{value}'" for key, value in options.items())
        self.execute(f"CREATE SERVER {name} FOREIGN DATA WRAPPER kombo_sync OPTIONS ({listed})")
        secrets = f"api_key '{sandbox.api_key}'" + (f", webhook_secret '{webhook_secret}'" if webhook_secret else "")
        self.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS ({secrets})")

    def add_integration(self, integration, server="kombo_eu", category=None, only=None):
        """`only` lists the endpoints to subscribe to, if not the default ones: no worker has begun with others."""
        with self.connection.transaction():
            self.execute("SELECT kombo.add_integration(%s, server => %s, category => %s)",
                         [integration, server, category])
            if only:
                self.subscribe_only(integration, *only)

    def subscribe_only(self, integration, *endpoints):
        """Leaves just these endpoints of the integration's category subscribed."""
        self.execute("""
            INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled)
            SELECT i.integration_id, e.path, e.path = ANY (%s)
            FROM kombo.integrations i JOIN kombo.endpoints e USING (category)
            WHERE i.integration_id = %s
            ON CONFLICT (integration_id, endpoint) DO UPDATE SET enabled = excluded.enabled""",
                     [list(endpoints), integration])

    def drop(self):
        self.connection.close()
        self.cluster.drop_database(self.name)
