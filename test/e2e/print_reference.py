"""docs/reference.md, from docs/reference.template and a database with the extension. A line of the template that begins
with @ stands for what the database says:

@functions NAME…     signature, callers and comment of each; `@other functions` those that no line names
@relations NAME…     columns of each table or view with their comments; `@other relations` those that no line names
@endpoints           the lists of the catalogue and the tables that they fill
@settings            a table of the settings
@options CONTEXT     a table of the options of "server", "user mapping" or "foreign table": the template's lines up to
                     @end say
                     NAME | DEFAULT | MEANING, the database which names and values are valid and who may set them"""

import re
import textwrap

import psycopg

# A role that each of these was called for may call a function; others are superusers' to call.
GRANTS = ("reader", "operator", "webhook_writer", "consumer")
CONTEXTS = {"superuser": "superuser", "sighup": "configuration file", "user": "anybody", "postmaster": "restart"}
STATEMENTS = {"server": "CREATE SERVER probe FOREIGN DATA WRAPPER kombo_sync OPTIONS ({0} '{1}')",
              "user mapping": "CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS ({0} '{1}')",
              "foreign table": "CREATE FOREIGN TABLE pg_temp.probe (id text) SERVER kombo_eu OPTIONS ({0} '{1}')"}


def page(db, template):
    """The page's text. Raises if the template names what is not there, or leaves out an option."""
    source = template.read_text(encoding="utf-8")
    named = set(" ".join(re.findall(r"^@(?:functions|relations) (.*)", source, re.MULTILINE)).split())
    lines = iter(source.splitlines())
    functions, relations = all_functions(db), all_relations(db)
    text = []
    for line in lines:
        directive, _, rest = line.partition(" ")
        if directive in ("@functions", "@relations"):
            known = functions if directive == "@functions" else relations
            text += [known[name] for name in rest.split()]
        elif directive == "@other":
            known = functions if rest == "functions" else relations
            text += [known[name] for name in known if name not in named]
        elif directive == "@endpoints":
            text.append(endpoints(db))
        elif directive == "@settings":
            text.append(settings(db))
        elif directive == "@options":
            said = [entry for entry in iter(lambda: next(lines), "@end") if entry]
            text.append(options(db, rest, said))
        else:
            text.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(text)) + "\n"


def wrapped(text, **how):
    return "\n".join(textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False, **how))


def table(head, rows):
    """A Markdown table; None is an empty cell."""
    lines = [f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in row)}|" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def marked(comment, names=()):
    """A comment in Markdown: names of kombo's, and those before a colon, as code."""
    comment = re.sub(r"\bkombo\.\w+(\(\))?", lambda name: f"`{name[0]}`", comment).replace("|", "\\|")
    return re.sub(rf"\b({'|'.join(names)}): ", r"`\1`: ", comment) if names else comment


def short(type_name):
    for long, brief in (("timestamp with time zone", "timestamptz"), ("time without time zone", "time"),
                        ("double precision", "float8")):
        type_name = type_name.replace(long, brief)
    return type_name


def all_functions(db):
    """{name: its section} of the functions of schema kombo."""
    with db.connect(autocommit=False) as session:
        for kind in GRANTS:
            session.execute(f"CREATE ROLE probe_{kind}")
            session.execute(f"SELECT kombo.grant_{kind}('probe_{kind}')")
        found = session.execute("""
            SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments,
                   pg_get_function_result(p.oid) AS result, obj_description(p.oid, 'pg_proc') AS comment,
                   ARRAY(SELECT g FROM unnest(%s::text[]) g
                         WHERE has_function_privilege('probe_' || g, p.oid, 'EXECUTE')) AS callers
            FROM pg_proc p WHERE p.pronamespace = 'kombo'::regnamespace ORDER BY p.proname""",
            [list(GRANTS)]).fetchall()
        session.rollback()
    return {f["name"]: function(f) for f in found}


def function(found):
    arguments = short(re.sub(r"::[\w ]+(\[\])?", "", found["arguments"]))
    result = short(found["result"]).replace("TABLE(", "TABLE (")
    head = f"{found['name']}({arguments}) RETURNS {result}"
    if len(head) > 118:
        # A line breaks between parameters or columns only.
        result = re.sub(r"(?<=[^,]) ", "\N{NO-BREAK SPACE}", result)
        head = f"{found['name']}({arguments})\n" + wrapped(f"RETURNS {result}", subsequent_indent=" " * 15)
    head = head.replace("\N{NO-BREAK SPACE}", " ")
    names = [name for name in re.findall(r"(?:^|, )(\w+) ", arguments)]
    callers = ", ".join(found["callers"]).replace("_", " ") or "superusers"
    return (f"#### {found['name']}\n\n```\n{head}\n```\n\n"
            + wrapped(f"{marked(found['comment'], names)} Callers: {callers}.") + "\n")


def all_relations(db):
    """{name: its section} of the tables and views that are the extension's."""
    found = db.execute("""
        SELECT c.oid, c.relname AS name, obj_description(c.oid, 'pg_class') AS comment,
               CASE c.relkind WHEN 'v' THEN 'View' ELSE 'Table' END AS kind,
               (SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum)) FROM pg_index i
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = c.oid AND i.indisprimary) AS key
        FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        WHERE c.relnamespace = 'kombo'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY c.relname""")
    return {relation["name"]: relation_section(db, relation) for relation in found}


def relation_section(db, relation):
    columns = db.execute("""
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type, col_description(attrelid, attnum) AS comment
        FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum""", [relation["oid"]])
    key = f" Key: {', '.join(f'`{column}`' for column in relation['key'])}." if relation["key"] else ""
    rows = [(f"`{column['name']}`", short(column["type"]), marked(column["comment"])) for column in columns]
    return (f"#### {relation['name']}\n\n" + wrapped(f"{relation['kind']}. {marked(relation['comment'])}{key}") + "\n\n"
            + table(["column", "type", ""], rows) + "\n")


def endpoints(db):
    found = db.execute("""
        SELECT e.path, e.table_name, e.enabled, e.incremental, e.on_missing, e.status,
               ARRAY(SELECT DISTINCT n.table_name FROM kombo.nested_records n WHERE n.endpoint = e.path
                     AND n.relation <> 'copy' AND n.table_name <> e.table_name ORDER BY 1) AS nested
        FROM kombo.endpoints e ORDER BY e.category, e.path""")

    def remarks(e):
        return "; ".join(filter(None, [None if e["enabled"] else "off by default",
                                       None if e["incremental"] else "has no deltas: always fetched in full",
                                       None if e["on_missing"] == "mark" else f"`on_missing` is `{e['on_missing']}`",
                                       None if e["status"] == "stable" else e["status"].replace("_", " ")]))
    return table(["endpoint", "table", "nested records go to", ""], [
        (f"`{e['path']}`", f"`{e['table_name']}`", ", ".join(f"`{name}`" for name in e["nested"]), remarks(e))
        for e in found])


def settings(db):
    db.execute("LOAD 'kombo_sync'")
    found = db.execute("""
        SELECT name, current_setting(name) AS value, unit, min_val, max_val, vartype, context,
               concat_ws(' ', short_desc, extra_desc) AS said
        FROM pg_settings WHERE name LIKE 'kombo\\_sync.%%' ORDER BY context, name""", [])
    return table(["setting", "default", "range", "who", ""], [
        (f"`{s['name']}`", s["value"], limits(s), CONTEXTS[s["context"]], marked(s["said"])) for s in found])


def limits(setting):
    if setting["vartype"] not in ("integer", "real"):
        return None
    unit = f"; unit {setting['unit']}" if setting["unit"] else ""
    low, high = (with_unit(setting[bound], setting["unit"]) for bound in ("min_val", "max_val"))
    return f"{low} to {high}{unit}"


def with_unit(value, unit):
    """"3600", "s" -> "1h", as SHOW has it."""
    units = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
    if not unit or value == "0":
        return value
    length = int(value) * dict(units)[unit]
    name, size = [(name, size) for name, size in units if length % size == 0][-1]
    return f"{length // size}{name}"


def options(db, context, said):
    said = {name: rest for name, *rest in (re.split(r"\s*\|\s*", line) for line in said)}
    hint = refused(db, STATEMENTS[context].format("nonsense", "x")).message_hint
    valid = re.sub(r"^.*: |\.$", "", hint).split(", ")
    if sorted(valid) != sorted(said):
        raise ValueError(f"options of a {context}: {valid}; the template has {list(said)}")
    return table(["option", "default", "value", "who", ""], [
        (f"`{name}`", default, values(db, context, name), setters(db, context, name), meaning)
        for name, (default, meaning) in said.items()])


def values(db, context, option):
    return refused(db, STATEMENTS[context].format(option, "")).message_hint


def setters(db, context, option):
    """Who may set it: another role is refused, or only its value."""
    with db.connect(autocommit=False) as session:
        session.execute("CREATE ROLE probe")
        session.execute("GRANT USAGE ON FOREIGN DATA WRAPPER kombo_sync TO probe")
        session.execute("ALTER SERVER kombo_eu OWNER TO probe")
        session.execute("SET ROLE probe")
        found = None
        try:
            session.execute(STATEMENTS[context].format(option, "/x"))
        except psycopg.errors.InsufficientPrivilege as error:
            found = "superuser"
            if "pg_read_server_files" in str(error.diag.message_detail):
                found += ", pg_read_server_files"
        except psycopg.Error:
            pass
        session.rollback()
    return found or "owner"


def refused(db, statement):
    try:
        db.execute(statement)
    except psycopg.Error as error:
        return error.diag
    raise ValueError(f"this was not refused: {statement}")
