"""Steps: what happens in the database and to its server."""

import contextlib
import os
import signal
import threading

import psycopg

from locks import unless_locked
from steps import draw_integration, draw_model, draw_record, step
from syncing import Background
from worker import workers_of


# --- ends of processes ------------------------------------------------------------------------------------------------

def draw_signal(world, chance):
    return {"name": chance.choice(["KILL", "TERM", "TERM", "INT", "INT", "HUP"])}


@step(2, draw_signal)
def signal_worker(world, name):
    found = workers_of(world.db)
    world.causes.add("signal")
    if found and name == "KILL":
        world.kill(found[0]["pid"])
    elif found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[0]["pid"], getattr(signal, "SIG" + name))


LONGEST_STALL = 10  # s: what the worker writes is given up after 20


@step(1)
def stall_worker(world):
    """It stands still until something lets it go on. It may hold what makes the whole server wait."""
    found = workers_of(world.db)
    if found and not world.stalled:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[0]["pid"], signal.SIGSTOP)
            world.stalled.append(found[0]["pid"])
            world.stall_ends = threading.Timer(LONGEST_STALL, world.go_on)
            world.stall_ends.daemon = True
            world.stall_ends.start()


@step(2)
def go_on(world):
    world.go_on()


@step(0.5)
def crash(world):
    """An immediate shutdown, and a start."""
    world.go_on()
    world.cluster.restart("immediate")
    world.reconnect()


@step(0.7, draw_integration)
def kill_call(world, on):
    """kill -9 of a session that syncs."""
    call = Background(world.db, "SELECT * FROM kombo.kombo_sync_delta(%s)", [world.integrations[on].id])
    world.kill(call.pid)
    call.wait(60)


@step(0.5, lambda world, chance: {"number": chance.choice([1, 2, 3])})
def workers(world, number):
    world.go_on()
    world.cluster.configure({"kombo_sync.workers": number})
    world.opened.append(lambda: world.cluster.configure({"kombo_sync.workers": 1}))


@step(0.5)
def switch_off(world):
    """No worker, until a let_go."""
    world.go_on()
    world.cluster.configure({"kombo_sync.enabled": "off"})
    world.opened.append(lambda: world.cluster.configure({"kombo_sync.enabled": "on"}))


# --- locks and transactions -------------------------------------------------------------------------------------------

OURS = ("webhook_inbox", "sync_requests", "sync_state", "sync_runs", "integrations", "subscriptions", "sync_seen",
        "rejected_records")
MODES = ("ACCESS SHARE", "ROW EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")


def draw_lock(world, chance):
    return {"table": chance.choice([*OURS, *sorted(world.models)]), "mode": chance.choice(MODES)}


@step(2, draw_lock)
def lock_table(world, table, mode):
    world.causes.add("lock")
    world.hold(f"LOCK TABLE kombo.{table} IN {mode} MODE")


@step(2, lambda world, chance: {"table": chance.choice(["sync_state", "sync_requests", "integrations"])})
def lock_rows(world, table):
    world.hold(f"SELECT FROM kombo.{table} FOR UPDATE")


@step(1, draw_record)
def lock_record(world, on, model, id):
    world.hold(f"SELECT FROM kombo.{model} WHERE (integration_id, id) = ('{world.integrations[on].id}', '{id}') "
               "FOR UPDATE")


@step(6)
def let_go(world):
    """Ends every lock and transaction that steps keep open."""
    world.end_opened()


def draw_call(world, chance):
    found = draw_model(world, chance)
    return {"on": found["on"], "kind": chance.choice(["delta", "delta", "full"]),
            "what": chance.choice([None, None, world.models[found["model"]]["endpoint"]]),
            "end": chance.choice(["COMMIT", "ROLLBACK"])}


@step(3, draw_call)
def call(world, on, kind, what, end):
    """A sync by function in a transaction that stays open for a while."""
    sync = Background(world.db, f"SELECT * FROM kombo.kombo_sync_{kind}(%s, %s::text[])",
                      [world.integrations[on].id, what and [what]],
                      before="SET statement_timeout = '20s'; SET application_name = 'soak'; BEGIN")

    def finish():
        if not sync.connection.closed:
            with contextlib.suppress(psycopg.Error):
                sync.wait(60)
                sync.connection.execute(end)
            sync.connection.close()
    world.opened.append(finish)


@step(2, lambda world, chance: {**draw_integration(world, chance), "kind": chance.choice(["delta", "full"])})
def request(world, on, kind):
    if world.integrations[on].paused:
        return
    with unless_locked():
        world.db.execute("SELECT kombo.request_sync(%s, %s)", [world.integrations[on].id, kind])


# Other steps drop columns, and refuse records.
REFUSED = (psycopg.errors.UndefinedColumn, psycopg.errors.RaiseException, psycopg.IntegrityError)


# --- rows and tables --------------------------------------------------------------------------------------------------

def draw_edit(world, chance):
    found = draw_record(world, chance)
    return found and {**found, "how": chance.choice(["update", "delete", "revive", "bury", "insert", "older"])}


@step(4, draw_edit)
def edit(world, on, model, id, how):
    """Somebody's own change of a row. The next full repairs it."""
    integration = world.integrations[on]
    row = world.models[model]
    column = row["text_column"]
    keys = [integration.id, id]
    statement = {
        "update": f"UPDATE kombo.{model} SET {column} = 'by hand' WHERE (integration_id, id) = (%s, %s)",
        "delete": f"DELETE FROM kombo.{model} WHERE (integration_id, id) = (%s, %s)",
        "revive": f"UPDATE kombo.{model} SET remote_deleted_at = NULL WHERE (integration_id, id) = (%s, %s)",
        "bury": f"UPDATE kombo.{model} SET remote_deleted_at = now() WHERE (integration_id, id) = (%s, %s)",
        "older": f"UPDATE kombo.{model} SET changed_at = changed_at - interval '1 day', {column} = 'older' "
                 "WHERE (integration_id, id) = (%s, %s)",
        "insert": f"INSERT INTO kombo.{model} (integration_id, id, {column}) VALUES (%s, 'by hand ' || %s, 'x') "
                  "ON CONFLICT DO NOTHING"}[how]
    if how == "insert" and row["keeps"]:
        return
    with unless_locked(), contextlib.suppress(*REFUSED):
        world.db.execute(statement, keys)
        integration.need("full", f"{model}: edited by hand", row["endpoint"])


@step(0.5, draw_record)
def erase(world, on, model, id):
    """It must stay away until the next quiet point, which readmits it."""
    integration = world.integrations[on]
    with unless_locked(), contextlib.suppress(*REFUSED, psycopg.errors.InsufficientPrivilege):
        world.db.execute("SELECT kombo.erase(%s, %s, %s)", [integration.id, model, id])
        integration.need("full", f"{model}: erased, and readmitted")


@step(2, lambda world, chance: {"limit": chance.choice([1, 20, 1000]), "acknowledges": chance.random() < 0.7})
def consume(world, limit, acknowledges):
    with unless_locked():
        world.feed.read(limit, acknowledges)


@step(0)
def unknown_edit(world, model):
    """One that the model is not told of: a test has the machine find it."""
    world.db.execute(f"DELETE FROM kombo.{model}")


def draw_refusal(world, chance):
    found = draw_record(world, chance)
    return found and {**found, "by": chance.choice(["check", "trigger", "statement trigger", "slow trigger"])}


@step(2, draw_refusal)
def refuse(world, on, model, id, by):
    """A CHECK or trigger of somebody's that refuses a record, or all; a let_go drops it."""
    name = f"soak_{world.number()}"
    body = "BEGIN RAISE EXCEPTION 'not here, said a soak trigger'; END"
    with unless_locked():
        if by == "check":
            world.db.execute(f"ALTER TABLE kombo.{model} ADD CONSTRAINT {name} CHECK (id <> '{id}') NOT VALID")
            undo = f"ALTER TABLE kombo.{model} DROP CONSTRAINT IF EXISTS {name}"
        else:
            level = "STATEMENT" if by == "statement trigger" else "ROW"
            if by == "slow trigger":
                body = "BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END"
            when = f"WHEN (NEW.id = '{id}')" if level == "ROW" else ""
            world.db.execute(f"CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$; "
                             f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON kombo.{model} FOR EACH {level} "
                             f"{when} EXECUTE FUNCTION public.{name}()")
            undo = f"DROP FUNCTION IF EXISTS public.{name} CASCADE"
        world.trouble()
        world.causes.add("refusal")
        for integration in world.integrations.values():
            if model in integration.ids:
                integration.need("full", f"{model}: records may be parked")
        world.opened.append(lambda: world.insist(undo))


def draw_subscription(world, chance):
    found = draw_model(world, chance, lambda row: row["listed"])
    return found and {"on": found["on"], "endpoint": world.models[found["model"]]["endpoint"],
                      "enabled": chance.random() < 0.6}


@step(1, draw_subscription)
def subscribe(world, on, endpoint, enabled):
    integration = world.integrations[on]
    with unless_locked():
        world.db.execute("""
            INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled)
            SELECT i.integration_id, %s, %s FROM kombo.integrations i WHERE i.integration_id = %s
            ON CONFLICT (integration_id, endpoint) DO UPDATE SET enabled = excluded.enabled""",
                         [endpoint, enabled, integration.id])
        integration.need("full", f"{endpoint}: subscribed to or not")


@step(1.5, draw_integration)
def pause(world, on):
    with unless_locked():
        world.db.execute("SELECT kombo.pause(%s, 'soak')", [world.integrations[on].id])
        world.integrations[on].paused = True


@step(3, draw_integration)
def resume(world, on):
    with unless_locked():
        world.db.execute("SELECT kombo.resume(%s)", [world.integrations[on].id])
        world.integrations[on].paused = False


@step(0.5, draw_integration)
def create_tables(world, on):
    with unless_locked():
        world.db.execute("SELECT kombo.create_tables(%s)", [world.integrations[on].category])


@step(0.3, lambda world, chance: draw_model(world, chance, lambda row: row["text_key"]))
def exclude_field(world, on, model):
    with unless_locked(), contextlib.suppress(*REFUSED):
        world.feed.changed_definition.add(model)
        world.db.execute("SELECT kombo.exclude_field(%s, %s)", [model, world.models[model]["text_column"]])
        found = world.db.value(f"SELECT count(*) FROM kombo.{model} WHERE {world.models[model]['text_column']} "
                               "IS NOT NULL")
        world.expect(found == 0, "excluded", f"{found} values of {model} are left")


@step(0.5)
def vacuum(world):
    with unless_locked():
        world.db.execute("VACUUM ANALYZE")


def draw_removal(world, chance):
    return {**draw_integration(world, chance), "purge": chance.random() < 0.5}


@step(0.4, draw_removal)
def remove_and_add(world, on, purge):
    integration = world.integrations[on]
    # With a row security that is forced nobody can tell what a purge would leave.
    with (unless_locked(), contextlib.suppress(psycopg.errors.InsufficientPrivilege),
          world.db.connection.transaction()):
        world.db.execute("SELECT kombo.remove_integration(%s, %s)", [integration.id, purge])
        world.db.execute("SELECT kombo.add_integration(%s, 'kombo_eu', %s)", [integration.id, integration.category])
        integration.paused = False
