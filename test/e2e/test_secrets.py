"""Where an API key and a webhook secret must not be, after a run with distinctive ones."""

import pathlib

import psycopg
import pytest
from psycopg import sql

from live_tables import import_lists
from syncing import notices_of, sync_full
from worker import WORKER_SETTINGS, data_changed, new_served, sign, until, wait_judged, worker_pid

SQL_KEY, FILE_KEY = "kEyQuiXqUiLLiNsQL", "kEyQuiXqUiLLiNfiLe"
SQL_SECRET, FILE_SECRET = "sEcReTqUixQuiLLiNsQL", "sEcReTqUixQuiLLiNfiLe"
ALL = (SQL_KEY, FILE_KEY, SQL_SECRET, FILE_SECRET)
SETTINGS = WORKER_SETTINGS.replace("'kombo_sync'", "'kombo_sync, pg_stat_statements, auto_explain'") + """
wal_level = logical
log_min_messages = debug5
log_statement = all
log_duration = on
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_error_verbosity = verbose
log_connections = on
log_temp_files = 0
auto_explain.log_min_duration = 0
auto_explain.log_verbose = on
pg_stat_statements.track = all
pg_stat_statements.track_utility = on
"""


def memory_of(pid):
    """What a core of the process would have: everything that it can write, and shared memory; piece by piece."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if "rw" in line.split()[1]:
                try:
                    memory.seek(begin)
                    yield memory.read(end - begin)
                except (OSError, OverflowError):
                    pass  # not backed by anything


def without_mappings(text):
    """The log, but for statements that name a secret: they are the user's own."""
    return "\n".join(line for line in text.splitlines() if "USER MAPPING" not in line and "umoptions" not in line)


def files_of(folder):
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path.read_bytes()
        except FileNotFoundError:
            pass


@pytest.fixture
def secretive(new_cluster, start_sandbox):
    """A database with a worker, two servers and an integration of each: the secrets of one were given in SQL, those of
    the other are in files. All has been synced; there are roles of all kinds."""
    by_sql = start_sandbox(api_key=SQL_KEY)
    by_file = start_sandbox(api_key=FILE_KEY, integration=["personio:file"])
    db = new_served(new_cluster(SETTINGS), by_sql)
    db.execute("CREATE EXTENSION pg_stat_statements")
    folder = db.cluster.folder / "secrets"
    folder.mkdir()
    folder.chmod(0o700)
    for name, secret in (("key", FILE_KEY), ("secret", FILE_SECRET)):
        (folder / name).write_text(secret, encoding="utf-8")
    db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (SET webhook_secret '{SQL_SECRET}')")
    db.execute(f"CREATE SERVER by_file FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url '{by_file.base_url}', "
               "allow_http 'on')")
    db.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER by_file OPTIONS (api_key_file '{folder}/key', "
               f"webhook_secret_file '{folder}/secret')")
    for kind in ("reader", "operator", "webhook_writer", "consumer"):
        db.execute(f"CREATE ROLE a_{kind} LOGIN")
        db.execute(f"SELECT kombo.grant_{kind}('a_{kind}')")
    db.execute("GRANT USAGE ON FOREIGN SERVER kombo_eu, by_file TO a_reader, a_operator")
    db.execute("CREATE ROLE a_nobody LOGIN")
    db.add_integration(by_sql.integration, only=["/hris/groups", "/hris/employees"])
    db.add_integration("personio:file", "by_file", only=["/hris/groups", "/hris/employees"])
    until(db, lambda: db.value("SELECT count(*) FROM kombo.sync_state WHERE last_success_at IS NOT NULL") >= 4)
    db.sandboxes = (by_sql, by_file)
    return db


def test_a_secret_is_in_none_of_25_places(secretive):
    db, (by_sql, by_file) = secretive, secretive.sandboxes
    seen = {}
    heard = notices_of(db.connection)
    # Webhooks that are right, and wrong.
    for secret, integration in ((SQL_SECRET, by_sql.integration), (FILE_SECRET, "personio:file"), ("x", "x")):
        body = data_changed(integration, "hris_teams")
        db.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)", [body, sign(body, secret)])
        seen["verify_webhook"] = db.value("SELECT kombo.verify_webhook(%s, %s)", [body, sign(body, secret)])
    wait_judged(db)
    assert [row["status"] for row in db.execute("SELECT status FROM kombo.webhook_inbox ORDER BY id")] == [
        "done", "done", "rejected"]
    # Errors in which Kombo repeats what it was sent, and a file that is gone.
    errors = []
    for sandbox, key in ((by_sql, SQL_KEY), (by_file, FILE_KEY)):
        for fault in ({"status": 401, "message": f"Bearer {key}"}, {"body": f"<p>{key}"}, {"status": 500, "code": key}):
            sandbox.faults({"path": "*", "times": -1, **fault})
            errors += [row["error"] for row in sync_full(db, what=["/hris/groups"])]
        sandbox.faults()
    for server in ("kombo_eu", "by_file"):
        with pytest.raises(psycopg.Error) as raised:
            db.execute("SELECT kombo.integration_info(%s, 'no:such')", [server])
        diag = raised.value.diag
        errors += [diag.message_primary, diag.message_detail, diag.message_hint, diag.context, diag.internal_query]
    seen["errors"] = errors
    # Live tables.
    import_lists(db, integration_id=by_sql.integration)
    explain = "EXPLAIN (ANALYZE, VERBOSE, SETTINGS, FORMAT JSON) SELECT * FROM live.hris_teams WHERE id = 'x'"
    seen["EXPLAIN of a foreign scan"] = db.execute(explain)
    seen["definitions of foreign tables"] = db.execute("SELECT * FROM pg_foreign_table, pg_foreign_server")
    # What the database shows to a superuser.
    for name in ("pg_stat_activity", "pg_locks", "pg_settings", "pg_db_role_setting", "pg_prepared_statements",
                 "pg_cursors", "pg_stats", "pg_description", "pg_proc", "kombo_internal.rate_limits()",
                 "kombo.worker_state()", "kombo.page_statements('/hris/groups')"):
        seen[name] = db.execute(f"SELECT * FROM {name}")
    for row in db.execute("""SELECT format('kombo.%I', relname) AS name FROM pg_class
                             WHERE relnamespace = 'kombo'::regnamespace AND relkind IN ('r', 'v')"""):
        seen[row["name"]] = db.execute(f"SELECT * FROM {row['name']} t")
    seen["pg_stat_statements"] = [row for row in db.execute("SELECT * FROM pg_stat_statements")
                                  if "USER MAPPING" not in row["query"]]
    # And to others.
    for role in ("a_reader", "a_operator", "a_webhook_writer", "a_consumer", "a_nobody", "kombo_owner"):
        with db.connect() as session:
            session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            for name in ("pg_user_mappings", "information_schema.user_mapping_options",
                         "information_schema.user_mappings", "pg_foreign_server", "pg_stat_activity"):
                seen[f"{name} for {role}"] = session.execute(f"SELECT * FROM {name}").fetchall()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("SELECT * FROM pg_user_mapping")
    seen["requests' addresses"] = [f"{request['path']} {request['params']}" for sandbox in db.sandboxes
                                   for request in sandbox.requests()]
    seen["notices"] = [vars(one) for one in heard]
    assert len(seen) > 25
    leaks = {place for place, value in seen.items() for secret in ALL
             if secret in str(value)}
    assert leaks == set()

    # What is large is not compared by assert, which would print it.
    def look(place, pieces, *secrets):
        size = 0
        for piece in pieces:
            piece = piece if isinstance(piece, bytes) else piece.encode()
            leaks.update(f"{place}: {secret}" for secret in secrets if secret.encode() in piece)
            size += len(piece)
        return size

    log = db.cluster.log.read_text(encoding="utf-8", errors="replace")
    assert len(log) > 1_000_000 and log.count(SQL_KEY) > 0, "of the user's own statement"
    look("log", [log], FILE_KEY, FILE_SECRET)
    look("log", [without_mappings(log)], SQL_KEY, SQL_SECRET)
    # Secrets of files are in no file of the server: neither tables, WAL, temporary files nor statistics.
    db.execute("CHECKPOINT")
    assert look("files", files_of(db.cluster.data), FILE_KEY, FILE_SECRET) > 10_000_000
    # Nor in what a core of another process has, shared memory included; in arguments and environments.
    with db.connect(user="a_reader") as reader:
        reader.execute("SELECT count(*) FROM kombo.hris_employees")
        pids = {"postmaster": db.cluster.postmaster_pid(), "reader": reader.info.backend_pid}
        for name, pid in pids.items():
            assert look(f"core of the {name}", memory_of(pid), FILE_KEY, FILE_SECRET) > 10_000_000
        for pid in [*pids.values(), worker_pid(db)]:
            for file in ("cmdline", "environ"):
                look(file, [pathlib.Path(f"/proc/{pid}/{file}").read_bytes()], *ALL)
    assert leaks == set()
