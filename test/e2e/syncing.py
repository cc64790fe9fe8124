"""What tests do and look at: run a sync, read its rows, wait for a condition, compare tables with the sandbox."""

import datetime
import threading
import time
import types

from sandbox import parse_json

UTC = datetime.timezone.utc


def sync_full(db, integration=None, what=None):
    """kombo_sync_full's rows as dicts; `what` is a list, or one name."""
    return run_sync(db, "kombo_sync_full", integration, what)


def sync_delta(db, integration=None, what=None):
    """kombo_sync_delta's rows as dicts."""
    return run_sync(db, "kombo_sync_delta", integration, what)


def run_sync(db, function, integration, what):
    what = [what] if isinstance(what, str) else what
    return db.execute(f"SELECT * FROM kombo.{function}(%s, %s::text[])", [integration, what])


def outcome(results):
    """{endpoint: status}, for a glance at what a sync did."""
    return {row["endpoint"]: row["status"] for row in results}


def assert_ok(results):
    """At least one row, and every one ok."""
    bad = [(row["endpoint"], row["status"], row["error"]) for row in results if row["status"] != "ok"]
    assert results and not bad, f"{len(results)} endpoints were synced, not ok: {bad}"
    return results


def rows(db, table, integration=None):
    """The rows of kombo.<table> by id (join tables: a list), as dicts."""
    found = db.execute(f'SELECT * FROM kombo."{table}" WHERE %s::text IS NULL OR integration_id = %s',
                       [integration, integration])
    return {row["id"]: row for row in found} if found and "id" in found[0] and "_join_" not in table else found


def one(db, table, id):
    """One row of kombo.<table>, None if it is not there."""
    found = db.execute(f'SELECT * FROM kombo."{table}" WHERE id = %s', [id])
    return found[0] if found else None


def deleted(db, table, key):
    """Whether the row is marked as deleted; "gone" if there is none."""
    row = one(db, table, key)
    return "gone" if row is None else row["remote_deleted_at"] is not None


def watermark(db, sandbox, endpoint):
    return db.value("SELECT watermark FROM kombo.sync_state WHERE (integration_id, endpoint) = (%s, %s)",
                    [sandbox.integration, endpoint])


def result_of(results, endpoint):
    """The one row of that endpoint."""
    found = [row for row in results if row["endpoint"] == endpoint]
    assert len(found) == 1, f"{len(found)} rows of {endpoint} in {outcome(results)}"
    return found[0]


def last_run(db, endpoint):
    """The newest row of kombo.sync_runs of that endpoint."""
    return db.execute("SELECT * FROM kombo.sync_runs WHERE endpoint = %s ORDER BY id DESC LIMIT 1", [endpoint])[0]


def status_of(db, endpoint):
    """The endpoint's row of kombo.sync_status."""
    return db.execute("SELECT * FROM kombo.sync_status WHERE endpoint = %s", [endpoint])[0]


def notices_of(connection):
    """A list that the connection's notices and warnings come to from now on, with severity, sqlstate,
    message_primary, message_detail, message_hint and context."""
    heard = []
    names = ("severity", "sqlstate", "message_primary", "message_detail", "message_hint", "context")
    # What psycopg hands over is empty once the statement has ended.
    connection.add_notice_handler(
        lambda notice: heard.append(types.SimpleNamespace(**{name: getattr(notice, name) for name in names})))
    return heard


# Seconds. What is promised within one is given ten, as the machine may be busy: what must not be waited for is made to
# take for ever.
SOON = 10


class Background:
    """A statement that runs in a session of its own: Background(db, "SELECT …"). `before` is run first."""

    def __init__(self, db, statement, parameters=None, before=None):
        self.connection = db.connect()
        self.pid = self.connection.info.backend_pid
        if before:
            self.connection.execute(before)
        self.rows = None
        self.error = None
        self.ended_at = None
        self.thread = threading.Thread(target=self._run, args=(statement, parameters), daemon=True)
        self.thread.start()

    def _run(self, statement, parameters):
        try:
            cursor = self.connection.execute(statement, parameters)
            self.rows = cursor.fetchall() if cursor.description else []
        except Exception as error:  # whatever it is, the test's own thread shall see it
            self.error = error
        self.ended_at = time.monotonic()

    def running(self):
        return self.thread.is_alive()

    def wait(self, timeout=20):
        """Waits for the end; `rows` or `error` tell how it was."""
        self.thread.join(timeout)
        assert not self.running(), f"the statement still runs after {timeout} s"
        return self

    def result(self, timeout=20):
        """Its rows; raises the error that it ended with."""
        self.wait(timeout)
        if self.error:
            raise self.error
        return self.rows


def wait_until(condition, timeout=15, what="the condition", tell=lambda: ""):
    """Calls `condition` until it returns something true, and returns that. If it does not come, the error has what
    `tell` says."""
    end = time.monotonic() + timeout
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {timeout} s; last seen: {seen!r}\n{tell()}")
        time.sleep(0.03)


def same_as_sandbox(db, sandbox, integration=None, tables=None):
    """Asserts that every table with an endpoint that the integration subscribes equals the sandbox's records, row for
    row and column for column, join tables and what comes nested alone included. A row that Kombo no longer has must be
    a tombstone here."""
    found = differences(db, sandbox, integration or sandbox.integration, tables)
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:20])


def differences(db, sandbox, integration, tables=None):
    """What same_as_sandbox asserts that there is none of, as lines that begin with table and id."""
    endpoints = db.execute("""
        SELECT e.path, e.table_name FROM kombo.endpoints e JOIN kombo.integrations i USING (category)
        LEFT JOIN kombo.subscriptions s ON (s.integration_id, s.endpoint) = (i.integration_id, e.path)
        WHERE i.integration_id = %s AND coalesce(s.enabled, e.enabled)""", [integration])
    found = []
    for endpoint in endpoints:
        if tables and endpoint["table_name"] not in tables:
            continue
        records = sandbox.dump(endpoint["table_name"], integration)
        found += compare_models(db, endpoint["table_name"], integration, records)
        # What is nested in a linked record belongs to that record's own list.
        lists = db.execute("""
            SELECT json_path, table_name, parent_column, relation FROM kombo.nested_records n
            WHERE endpoint = %s AND relation IN ('join', 'owned') AND NOT EXISTS (
                SELECT FROM kombo.nested_records o WHERE o.endpoint = n.endpoint AND o.relation IN ('linked', 'copy')
                    AND starts_with(n.json_path, o.json_path || '.'))""", [endpoint["path"]])
        for nested_list in lists:
            if nested_list["relation"] == "join":
                found += compare_joins(db, nested_list, integration, records)
            elif not any(e["table_name"] == nested_list["table_name"] for e in endpoints):
                found += compare_owned(db, nested_list, integration, records)
    return found


def compare_models(db, table, integration, records):
    fields = catalogue_fields(db, table)
    excluded = {row["column_name"] for row in
                db.execute("SELECT column_name FROM kombo.excluded_fields WHERE table_name = %s", [table])}
    fields += [{"column_name": name, "type": kind, "json_key": name}
               for name, kind in (("changed_at", "timestamptz"), ("remote_deleted_at", "timestamptz"),
                                  ("custom_fields", "jsonb"), ("remote_data", "jsonb")) if name not in excluded]
    stored = {row["id"]: row for row in stored_rows(db, table, fields, integration, "id")}
    wanted = {record["id"]: record for record in records}
    found = [f"{table} {key}: missing" for key in sorted(wanted.keys() - stored.keys())]
    found += [f"{table} {key}: Kombo has it no more, and it is alive here"
              for key in sorted(stored.keys() - wanted.keys())
              if stored[key]["remote_deleted_at"] is None]
    for key in sorted(wanted.keys() & stored.keys()):
        found += compare_values(f"{table} {key}", fields, wanted[key], stored[key])
    return found


def lists_at(record, path):
    """The lists at a dotted path that may go through lists, each with the id of the record that it lies in."""
    key, _, rest = path.partition(".")
    value = record.get(key)
    if not rest:
        yield record["id"], value
    for item in (value if isinstance(value, list) else [value]) if rest else []:
        if item:
            yield from lists_at(item, rest)


def compare_owned(db, owned, integration, parents):
    """The parents' lists against the rows of the table, as far as the elements go. What is in no list is deleted."""
    table = owned["table_name"]
    fields = catalogue_fields(db, table) + [
        {"column_name": name, "type": kind, "json_key": name, "fallback_keys": []}
        for name, kind in (("changed_at", "timestamptz"), ("remote_deleted_at", "timestamptz"))]
    stored = {row["id"]: row for row in stored_rows(db, table, fields, integration, "id")}
    listed, silent, found = set(), set(), []
    for parent, items in (pair for record in parents for pair in lists_at(record, owned["json_path"])):
        if items is None:
            silent.add(parent)
        for item in items or []:
            listed.add(item["id"])
            row = stored.get(item["id"])
            present = [field for field in fields if field["json_key"] in item]
            if row is None or row[owned["parent_column"]] != parent:
                found.append(f"{table} {item['id']}: missing, or of another parent than {parent}: {row}")
            else:
                found += compare_values(f"{table} {item['id']}", present, item, row)
    return found + [f"{table} {key}: alive, and in no list" for key, row in stored.items()
                    if key not in listed and row["remote_deleted_at"] is None
                    and row[owned["parent_column"]] not in silent]


def compare_joins(db, join, integration, parents):
    """The parents' lists against the rows of the join table."""
    table, list_name = join["table_name"], join["json_path"]
    fields = catalogue_fields(db, table)
    parent = join["parent_column"]
    keys = [field["column_name"] for field in fields if field["key"]]
    wanted = {}
    all_lists = [pair for record in parents for pair in lists_at(record, list_name)]
    for parent_id, items in all_lists:
        for item in items or []:
            values = {f["column_name"]: nested(item, f["json_key"]) if f["json_key"] else None for f in fields}
            values[parent] = parent_id
            wanted[tuple(values[key] for key in keys)] = values
    others = [field for field in fields if field["column_name"] not in keys]
    stored = {tuple(row[key] for key in keys): row for row in stored_rows(db, table, fields, integration, *keys)}
    found = [f"{table} {key}: missing" for key in sorted(wanted.keys() - stored.keys())]
    # A list that is null, as that of a wiped tombstone, says nothing about the rows here.
    silent = {parent_id for parent_id, items in all_lists if items is None}
    found += [f"{table} {key}: invented" for key in sorted(stored.keys() - wanted.keys())
              if key[keys.index(parent)] not in silent]
    for key in sorted(wanted.keys() & stored.keys()):
        found += [text for field in others for text in
                  compare_values(f"{table} {key}", [{**field, "json_key": field["column_name"]}], wanted[key],
                                 stored[key])]
    return found


def catalogue_fields(db, table):
    return db.execute("""SELECT column_name, type, json_key, fallback_keys, key FROM kombo.fields f
                         WHERE table_name = %s AND NOT EXISTS (SELECT FROM kombo.excluded_fields x
                             WHERE (x.table_name, x.column_name) = (f.table_name, f.column_name))
                         ORDER BY position""", [table])


def stored_rows(db, table, fields, integration, *keys):
    """jsonb and numeric come as text, so that digits can be compared as sent."""
    columns = [f'"{f["column_name"]}"::text' if f["type"] in ("jsonb", "numeric") else f'"{f["column_name"]}"'
               for f in fields if f["column_name"] not in keys]
    columns += [f'"{key}"' for key in keys]
    return db.execute(f'SELECT {", ".join(columns)} FROM kombo."{table}" WHERE integration_id = %s', [integration])


def compare_values(name, fields, record, row):
    for field in fields:
        keys = [field["json_key"] or "", *field.get("fallback_keys", [])]
        wanted = next((value for value in (nested(record, key) for key in keys) if value is not None), None)
        stored = row[field["column_name"]]
        if not equal(field["type"], wanted, stored):
            yield f'{name} {field["column_name"]}: Kombo has {wanted!r}, stored is {stored!r}'


def equal(kind, wanted, stored):
    """A value of a record (parsed JSON) against a column's value as psycopg gives it."""
    if wanted is None:
        return stored is None or (kind == "jsonb" and stored == "null")
    if stored is None:
        return False
    if kind == "timestamptz":
        return instant(wanted) == stored.astimezone(UTC)  # in other zones the hour that comes twice equals nothing
    if kind == "date":
        return (instant(wanted).date() if "T" in wanted else datetime.date.fromisoformat(wanted)) == stored
    if kind == "time":
        return datetime.time.fromisoformat(wanted) == stored
    if kind == "numeric":
        return str(wanted) == stored
    if kind == "jsonb":
        return wanted == parse_json(stored)
    return wanted == stored


def instant(text):
    value = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


def nested(record, path):
    """The value at a dotted path, None where something on the way is missing."""
    for key in path.split("."):
        record = record.get(key) if isinstance(record, dict) else None
    return record


def create_trigger(db, table, body, when="BEFORE INSERT OR UPDATE"):
    db.execute(f"CREATE FUNCTION public.of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
    db.execute(f"CREATE TRIGGER of_user {when} ON kombo.{table} FOR EACH ROW EXECUTE FUNCTION public.of_{table}()")
