"""What tests of several categories of Kombo's share: an integration of a category, and what its catalogue has."""

CATEGORIES = ("ATS", "LMS", "ASSESSMENT", "HRIS")
LINKS = "/hris/staffing-entity-skills"  # fills a join table that another list fills, too


def connect(db, sandbox, category):
    sandbox.change_integration(category=category)
    db.execute("SELECT kombo.create_tables(%s)", [category])
    db.add_integration(sandbox.integration)
    db.execute("SET kombo_sync.min_full_interval = 0")
    return category


def lists_of(db, category):
    """The lists that an integration fetches, of one table one."""
    return db.execute("""
        SELECT DISTINCT ON (table_name) path, table_name, incremental, on_missing FROM kombo.endpoints
        WHERE category = %s AND enabled ORDER BY table_name, status = 'deprecated'""", [category])


def shown(db, category, relations):
    """The models whose own endpoint's delta shows a change, and that have a table of nested records of these relations;
    None stands for the endpoint's own table."""
    return db.execute("""
        SELECT m.model, m.endpoint, m.delta, n.json_path, n.relation, n.parent_column
        FROM kombo.endpoint_models m JOIN kombo.endpoints e ON e.path = m.endpoint
        LEFT JOIN kombo.nested_records n ON (n.endpoint, n.table_name) = (m.endpoint, m.model)
            AND NOT EXISTS (SELECT FROM kombo.nested_records o WHERE o.endpoint = n.endpoint AND o.relation = 'linked'
                              AND starts_with(n.json_path, o.json_path || '.'))
        WHERE e.category = %s AND e.enabled AND m.role = 'own' AND e.incremental
          AND CASE WHEN m.model = e.table_name THEN 'list' ELSE n.relation END = ANY (%s)
        ORDER BY 1""", [category, relations])


def text_key(db, table, record):
    """A key of the record whose value may be any text."""
    fields = db.execute("""SELECT json_key FROM kombo.fields WHERE table_name = %s AND type = 'text'
                           AND json_key NOT LIKE '%%.%%' AND json_key <> 'remote_id' AND comment !~ '\\mid in '
                           ORDER BY json_key LIKE '%%\\_id', position""", [table])
    return next(row["json_key"] for row in fields if row["json_key"] in record)


def change(db, sandbox, model, record=None):
    """Changes a record at Kombo; its id, the column and the value."""
    record = record or sandbox.dump(model)[0]
    key = text_key(db, model, record)
    sandbox.record("change", model, record["id"], {key: "Changed"})
    return record["id"], key


def with_list(sandbox, model, name, least=1):
    return next(record for record in sandbox.dump(model) if len(record[name]) >= least)


def drift(db, sandbox):
    return {(row["table_name"], row["id"]): row["difference"]
            for row in db.execute("SELECT * FROM kombo.drift(%s)", [sandbox.integration])}
