"""What the scenarios stand on: one cluster for the run, sandbox servers, databases, and the clients that only ask."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

from cluster import TEMPLATE, Cluster, Database
from sandbox import WEBHOOK_SECRET, Sandbox

HERE = pathlib.Path(__file__).parent
EMPLOYEES = "/hris/employees"
FULL_QUERY = "page_size=250&include_deleted=true"

# As somebody who cares has it. All else is PostgreSQL's default, fsync, synchronous_commit and autovacuum included,
# and stands here only where the settings of the tests say otherwise.
SETTINGS = {
    "shared_preload_libraries": "kombo_sync",
    "fsync": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "track_commit_timestamp": "on",
    "max_worker_processes": "24",
}


class Stand:
    """Everything it has started ends with `close`."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.raw_client = needed("KOMBO_BENCH") / "raw-client"
        self.micro = needed("KOMBO_BENCH") / "kombo_micro"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kb."))
        settings = SETTINGS | sizes.settings
        self.cluster = Cluster(needed("KOMBO_PGBIN"), "".join(f"{k} = '{v}'\n" for k, v in settings.items()))
        self.cluster.prepare_template()
        self.sandboxes = {}
        self.kept = contextlib.ExitStack()  # databases that serve several scenarios

    def close(self):
        self.kept.close()
        for sandbox in self.sandboxes.values():
            sandbox.stop()
        self.cluster.close()
        for file in self.folder.iterdir():
            file.unlink()
        self.folder.rmdir()

    # --- servers and databases ------------------------------------------------------------------------------------

    def sandbox(self, employees, latency_ms=0, category="HRIS"):
        """The sandbox with so many employees, or so many candidates and half as many applications more, which answers
        after so many milliseconds from now on."""
        if (employees, category) not in self.sandboxes:
            made = self.sandboxes[employees, category] = Sandbox(needed("KOMBO_SANDBOX"), employees=employees)
            made.change_integration(category=category)
        sandbox = self.sandboxes[employees, category]
        sandbox.settings(latency_ms=latency_ms)
        sandbox.clear_requests()
        return sandbox

    @contextlib.contextmanager
    def database(self, sandbox, *only):
        """A new database that is connected to the sandbox and has its integration, with these lists, or all."""
        db = Database(self.cluster, self.cluster.new_database(TEMPLATE))
        try:
            db.create_server(sandbox, webhook_secret=WEBHOOK_SECRET)
            if only and only[0].startswith("/ats/"):
                db.execute("SELECT kombo.create_tables('ATS')")
            db.add_integration(sandbox.integration, only=only)
            yield db
        finally:
            self.cluster.reset_settings()
            db.drop()

    # --- ours -----------------------------------------------------------------------------------------------------

    def sync(self, db, kind="full", path=EMPLOYEES, connection=None):
        """Seconds and result of one list, synced by a function call: in a backend of its own, if none is given."""
        with contextlib.nullcontext(connection) if connection else db.connect() as connection:
            began = time.monotonic()
            result, = connection.execute(f"SELECT * FROM kombo.kombo_sync_{kind}(NULL, ARRAY[%s])", [path]).fetchall()
            took = time.monotonic() - began
        if result["status"] != "ok":
            raise RuntimeError(f"the sync of {path} is {result['status']}: {result['error']}")
        return took, result

    # --- the clients that only ask --------------------------------------------------------------------------------

    def ask(self, sandbox, lists, concurrency=1):
        """What raw_client says of these lists, pairs of integration and path with query: seconds, requests, bytes."""
        return json.loads(self._raw_client(sandbox, lists, concurrency).splitlines()[-1])

    def urls(self, sandbox, lists):
        """The URL of every page of these lists."""
        return self._raw_client(sandbox, lists, 1, "--urls").splitlines()[:-1]

    def _raw_client(self, sandbox, lists, concurrency, *options):
        return run([self.raw_client, sandbox.base_url, sandbox.api_key, str(concurrency), *options],
                   input="".join(f"{integration} {path}\n" for integration, path in lists))

    def curl(self, sandbox, urls):
        """Seconds that one curl process takes for these pages, one after the other on one connection."""
        config = self.folder / "curl.conf"
        headers = ["Accept: application/json", f"Authorization: Bearer {sandbox.api_key}",
                   f"X-Integration-Id: {sandbox.integration}"]
        config.write_text("".join([*(f'header = "{header}"\n' for header in headers),
                                   *(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls)]), encoding="utf-8")
        began = time.monotonic()
        run(["curl", "--silent", "--show-error", "--fail", "--compressed", "--config", config])
        return time.monotonic() - began


def needed(name):
    """A path that ./bench tells by an environment variable."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set: this is for ./bench to call")
    return pathlib.Path(value)


def run(command, **options):
    """A program's output; its error text is in the exception if it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=900, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}):\n{done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout


def whole_list(sandbox, path=EMPLOYEES):
    """A full fetch of one list, as `ask` takes it."""
    return [(sandbox.integration, f"{path}?{FULL_QUERY}")]


def data_tables(db):
    """The data tables that have rows."""
    names = [row["name"] for row in db.execute('SELECT DISTINCT table_name AS name FROM kombo.fields ORDER BY 1')]
    return [name for name in names
            if db.value("SELECT to_regclass(%s) IS NOT NULL", [f"kombo.{name}"])
            and db.value(f'SELECT EXISTS (SELECT FROM kombo."{name}")')]


def vacuum(db, tables):
    """Now, so that autovacuum does not come to these in the midst of what is measured next."""
    db.execute("VACUUM (ANALYZE) " + ", ".join(f'kombo."{name}"' for name in tables))


def empty(db, tables):
    """Empties these tables, and has what is written so far on disk, so that no checkpoint falls into a measurement."""
    db.execute("TRUNCATE " + ", ".join(f'kombo."{name}"' for name in tables))
    db.execute("CHECKPOINT")
