"""A private PostgreSQL cluster, and databases in it with the extension and a server that points at a sandbox."""

import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

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


class Cluster:
    """Started by the constructor; `stop` and `close` are safe to call twice."""

    def __init__(self, bindir, settings=""):
        self.bindir = pathlib.Path(bindir)
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
        done = subprocess.run([self.bindir / name, *arguments], env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=options.pop("timeout", 120), check=False, **options)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed ({done.returncode}):\n{done.stdout}")
        return done.stdout

    def start(self):
        # pg_ctl's child keeps its standard output open, so it gets the log and no pipe.
        self.program("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-s", "start")

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
            shutil.copy(self.log, pathlib.Path(keep) / f"e2e-server-{os.getpid()}.log")
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database="postgres", user="postgres", **options):
        """A new connection, in autocommit; rows are dicts."""
        options = {"autocommit": True, "row_factory": dict_row, **options}
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


class Database:
    """A database of the cluster and one superuser connection to it (`connection`, autocommit, rows are dicts)."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.connection = cluster.connect(name)

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

    def create_server(self, sandbox, name="kombo_eu", **options):
        """CREATE SERVER and USER MAPPING for the sandbox; further server options as keywords."""
        options = {"base_url": sandbox.base_url, "allow_http": "on", **options}
        listed = ", ".join(f"{key} '{value}'" for key, value in options.items())
        self.execute(f"CREATE SERVER {name} FOREIGN DATA WRAPPER kombo_sync OPTIONS ({listed})")
        self.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (api_key '{sandbox.api_key}')")

    def add_integration(self, integration, server="kombo_eu", category=None):
        self.execute("SELECT kombo.add_integration(%s, server => %s, category => %s)",
                     [integration, server, category])

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
        self.cluster.run(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
