"""What one would write in SQL instead of the extension, once the pages are here: competitors of ./bench.

    stage_pages(connection, pages)                 the bodies into a table, as text
    upsert_sql(connection, integration)            of each page one statement, which unfolds it with jsonb_to_recordset
    upsert_rows(connection, integration, pages)    a prepared statement for every record and nested record

Each returns the seconds it took, and commits. They fill the tables that a sync of /hris/employees fills, from the same
catalogue. They do less: what is gone from a nested list stays, an unknown key or a value that does not fit is lost or
ends it all, U+0000 too, every row is written again whether it differs or not (unless skip_equal), and nothing is
counted.
Linked records are left to their own lists, as in a sync that subscribes them."""

import collections
import contextlib
import json
import time

from psycopg.rows import tuple_row

ENDPOINT = "/hris/employees"
RECORD_FIELDS = [("id", "text"), ("changed_at", "timestamptz"), ("remote_deleted_at", "timestamptz"),
                 ("custom_fields", "jsonb"), ("remote_data", "jsonb")]

Column = collections.namedtuple("Column", "name type json_key key")

# path is that of kombo.nested_records, where a list lies; None for the endpoint's own records.
Target = collections.namedtuple("Target", "table columns path parent_column")


def stage_pages(connection, pages):
    began = time.perf_counter()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS staged_pages "
                       "(page integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text)")
        # Compressing costs more than it saves.
        cursor.execute("ALTER TABLE staged_pages ALTER COLUMN body SET STORAGE EXTERNAL")
        cursor.execute("TRUNCATE staged_pages")
        with cursor.copy("COPY staged_pages (body) FROM STDIN") as copy:
            for page in pages:
                copy.write_row([page])
    return time.perf_counter() - began


def upsert_sql(connection, integration, skip_equal=False):
    statement = page_statement(targets(connection), skip_equal)
    began = time.perf_counter()
    with prepared(connection), connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        # The planner takes jsonb_to_recordset's rows for many enough to compile the plan, which takes longer than it.
        cursor.execute("SET LOCAL jit = off")
        cursor.execute("SELECT page FROM staged_pages ORDER BY page")
        for (page,) in cursor.fetchall():
            cursor.execute(statement, {"integration": integration, "page": page}, prepare=True)
    return time.perf_counter() - began


def upsert_rows(connection, integration, pages):
    writers = [(target, row_statement(target)) for target in targets(connection)]
    began = time.perf_counter()
    with prepared(connection), connection.transaction(), connection.cursor() as cursor:
        for page in pages:
            for record in json.loads(page)["data"]["results"]:
                for target, statement in writers:
                    for nested in records_at(target, record):
                        values = [value_of(target, column, nested, record) for column in target.columns]
                        cursor.execute(statement, [integration, *values], prepare=True)
    return time.perf_counter() - began


@contextlib.contextmanager
def prepared(connection):
    """Lets `prepare=True` be obeyed, also where the connection was told to prepare nothing."""
    before, connection.prepare_threshold = connection.prepare_threshold, 5
    try:
        yield
    finally:
        connection.prepare_threshold = before


# --- from the catalogue -----------------------------------------------------------------------------------------


def targets(connection):
    """The tables that the endpoint feeds, its own first."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT table_name FROM kombo.endpoints WHERE path = %s", [ENDPOINT])
        own = cursor.fetchone()[0]
        cursor.execute("""
            SELECT table_name, json_path, parent_column FROM kombo.nested_records
            WHERE endpoint = %s AND relation IN ('owned', 'join')
            ORDER BY json_path, relation""", [ENDPOINT])
        nested = cursor.fetchall()
        return [Target(own, columns(cursor, own), None, None)] + [
            Target(table, columns(cursor, table), path, parent_column) for table, path, parent_column in nested]


def columns(cursor, table):
    cursor.execute("""SELECT column_name, type, json_key, key FROM kombo.fields f
                      WHERE table_name = %s ORDER BY key DESC, position, column_name""", [table])
    own = [Column(*row) for row in cursor.fetchall()]
    if any(column.key for column in own):
        return own
    return [Column(name, kind, name, name == "id") for name, kind in RECORD_FIELDS] + own


# --- a page a statement -----------------------------------------------------------------------------------------


def page_statement(listed, skip_equal):
    """One statement, so that the text is parsed once: an INSERT for each table, of which the last is the main one."""
    inserts = [page_insert(target, skip_equal) for target in listed]
    nested = "".join(f",\n  w{number} AS ({insert})" for number, insert in enumerate(inserts[1:]))
    return f"""
WITH page AS MATERIALIZED (
    SELECT body::jsonb #> '{{data,results}}' AS results FROM staged_pages WHERE page = %(page)s){nested}
{inserts[0]}"""


def page_insert(target, skip_equal):
    """Of rows with the same key one is written: INSERT ... ON CONFLICT cannot meet a row twice."""
    names = ", ".join(quoted(column.name) for column in target.columns)
    keys = ", ".join(quoted(column.name) for column in target.columns if column.key)
    return f"""
    INSERT INTO kombo.{quoted(target.table)} AS t (integration_id, {names}, synced_at)
    SELECT DISTINCT ON ({keys}) %(integration)s, {selected(target)}, now()
    FROM {source(target)}
    WHERE r.id IS NOT NULL
    ORDER BY {keys}
    {on_conflict(target, skip_equal)}"""


def selected(target):
    return ", ".join(("p.id" if column.name == target.parent_column else "r." + quoted(column.json_key))
                     + " AS " + quoted(column.name) for column in target.columns)


def source(target):
    fields = {column.json_key: column.type for column in target.columns if column.name != target.parent_column}
    record = "r (" + ", ".join(f"{quoted(key)} {kind}" for key, kind in fields.items()) + ")"
    if target.path is None:
        return f"page, jsonb_to_recordset(page.results) AS {record}"
    path = quoted(target.path)
    return f"page, jsonb_to_recordset(page.results) AS p (id text, {path} jsonb), " \
           f"jsonb_to_recordset(p.{path}) AS {record}"


def on_conflict(target, skip_equal=False):
    keys = ", ".join(quoted(column.name) for column in target.columns if column.key)
    values = [quoted(column.name) for column in target.columns if not column.key]
    if not values:
        return f"ON CONFLICT (integration_id, {keys}) DO NOTHING"
    differs = ""
    if skip_equal:
        differs = " WHERE ({}) IS DISTINCT FROM ({})".format(", ".join("t." + value for value in values),
                                                            ", ".join("excluded." + value for value in values))
    changes = ", ".join(f"{value} = excluded.{value}" for value in [*values, "synced_at"])
    return f"ON CONFLICT (integration_id, {keys}) DO UPDATE SET {changes}{differs}"


# --- a record a statement ---------------------------------------------------------------------------------------


def row_statement(target):
    names = ", ".join(quoted(column.name) for column in target.columns)
    values = ", ".join(f"%s::{column.type}" for column in target.columns)
    return (f"INSERT INTO kombo.{quoted(target.table)} AS t (integration_id, {names}, synced_at) "
            f"VALUES (%s, {values}, now()) {on_conflict(target)}")


def records_at(target, record):
    if target.path is None:
        return [record]
    nested = record.get(target.path)
    return nested or []


def value_of(target, column, nested, parent):
    """As text, so that every call has the same types and meets the same prepared statement."""
    value = parent["id"] if column.name == target.parent_column else nested.get(column.json_key)
    if value is None or isinstance(value, (str, bool)) and column.type != "jsonb":
        return value
    return json.dumps(value)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'
