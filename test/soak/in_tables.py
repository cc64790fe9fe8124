"""Steps: what somebody does to the definition of a data table."""

from locks import unless_locked
from steps import draw_model, step

# What stays, and harms nobody.
ADDITIONS = {
    "column": "ALTER TABLE kombo.{table} ADD COLUMN {name} text DEFAULT 'mine'",
    "generated": "ALTER TABLE kombo.{table} ADD COLUMN {name} text GENERATED ALWAYS AS (id || '!') STORED",
    "index": "CREATE INDEX {name} ON kombo.{table} ({column})",
    "unique index": "CREATE UNIQUE INDEX {name} ON kombo.{table} (id, integration_id)",
    "type": "ALTER TABLE kombo.{table} ALTER COLUMN {column} TYPE varchar(2000)",
    "comment": "COMMENT ON TABLE kombo.{table} IS 'mine'",
    "rewrite": "VACUUM FULL kombo.{table}",
    "empty": "TRUNCATE kombo.{table}"}
# What keeps records or all from being stored, and what a let_go does about it.
REFUSALS = {
    "drop": ("ALTER TABLE kombo.{table} DROP COLUMN {column} CASCADE", "SELECT kombo.create_tables('{category}')"),
    "rename": ("ALTER TABLE kombo.{table} RENAME COLUMN {column} TO {name}",
               "SELECT kombo.create_tables('{category}')"),
    "not null": ("ALTER TABLE kombo.{table} ADD COLUMN {name} text NOT NULL DEFAULT 'x'; "
                 "ALTER TABLE kombo.{table} ALTER COLUMN {name} DROP DEFAULT",
                 "ALTER TABLE kombo.{table} DROP COLUMN IF EXISTS {name}"),
    "security": ("ALTER TABLE kombo.{table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
                 "ALTER TABLE kombo.{table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")}


def draw_definition(world, chance):
    found = draw_model(world, chance, lambda row: row["text_column"])
    return found and {**found, "how": chance.choice(sorted(ADDITIONS) + sorted(REFUSALS))}


@step(1.5, draw_definition)
def define(world, on, model, how):
    row = world.models[model]
    names = {"table": model, "column": row["text_column"], "category": row["category"],
             "name": f"soak_{world.number()}"}
    if not world.db.value("SELECT true FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
                          [f"kombo.{model}", row["text_column"]]):
        return
    with unless_locked():
        world.feed.changed_definition.add(model)
        if how in ADDITIONS:
            world.db.execute(ADDITIONS[how].format(**names))
        else:
            done, undo = (statement.format(**names) for statement in REFUSALS[how])
            world.db.execute(done)
            world.trouble()
            world.causes.add("table")
            world.opened.append(lambda: world.insist(undo))
        if how in (*REFUSALS, "empty"):
            for integration in world.integrations.values():
                if model in integration.ids:
                    integration.need("full", f"{model}: {how}")
