"""Foreign tables of a server, and what a query on them asks for."""

def import_lists(db, schema="live", remote="hris", only="", **options):
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    listed = ", ".join(f"{name} '{value}'" for name, value in options.items())
    db.execute(f"IMPORT FOREIGN SCHEMA {remote} {only} FROM SERVER kombo_eu INTO {schema}"
               + (f" OPTIONS ({listed})" if listed else ""))


def asked(sandbox, path="/hris/employees"):
    """The parameters of the requests, without the size of pages."""
    return [{k: v for k, v in r["params"].items() if k != "page_size"} for r in sandbox.requests(path)]


def explained(db, query, *options):
    wanted = ", ".join(("COSTS off", *options))
    return "\n".join(row["QUERY PLAN"] for row in db.execute(f"EXPLAIN ({wanted}) {query}"))


def assert_live_as_stored(db, category, schema="live"):
    """The rows of foreign tables and of data tables are the same, of the lists that are subscribed to by default."""
    for (table,) in [(row["table_name"],) for row in db.execute(
            "SELECT table_name FROM kombo.endpoints WHERE category = %s GROUP BY 1 HAVING bool_or(enabled)",
            [category])]:
        common = ", ".join(row["column"] for row in db.execute("""
            SELECT quote_ident(a.attname) AS column FROM pg_attribute a
            JOIN pg_attribute b ON b.attname = a.attname AND b.attrelid = %s::regclass AND NOT b.attisdropped
            WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND a.attname <> 'extra'""",
                                                               [f"kombo.{table}", f"{schema}.{table}"]))
        assert db.value(f"SELECT count(*) FROM {schema}.{table}") > 0, table
        for one, other in ((schema, "kombo"), ("kombo", schema)):
            differing = db.execute(f"SELECT {common} FROM {one}.{table} EXCEPT ALL "
                                   f"SELECT {common} FROM {other}.{table}")
            assert differing == [], f"only in {one}.{table}: {differing[:2]}"
