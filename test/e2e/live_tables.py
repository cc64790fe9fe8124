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
