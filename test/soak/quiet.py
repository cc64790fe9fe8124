"""The quiet point: everything that was done to the system ends, it settles, and must then be what the model says."""

from steps import front_end
from syncing import differences
from worker import wait_synced
from world import Finding


def quiet(world):
    settle(world)
    for integration in world.integrations.values():
        if not integration.paused:
            compare(world, integration)


def settle(world):
    """Ends what steps have begun, and lets everything arrive."""
    for end in world.opened:
        end()
    world.opened.clear()
    world.sandbox.faults()
    world.served()
    front_end(world, "order", len(world.held), 0)
    for integration in world.integrations.values():
        for kind, endpoint in integration.needs:
            world.db.execute("SELECT kombo.request_sync(%s, %s, %s)",
                             [integration.id, kind, endpoint and [endpoint]])
    active = [integration.id for integration in world.integrations.values() if not integration.paused]
    try:
        wait_synced(world.db, *active, timeout=90)
    except AssertionError as error:
        raise Finding("unsettled", str(error)) from None


def compare(world, integration):
    """Every row of every table against the sandbox."""
    found = [line for line in differences(world.db, world.sandbox, integration.id)
             if not is_hidden_tombstone(world, integration, line)]
    if found:
        raise Finding("different", f"{len(found)} in {integration.name}, needs were {integration.needs}:\n" +
                      "\n".join(found[:20]))
    integration.needs.clear()


def is_hidden_tombstone(world, integration, line):
    """A list that takes no include_deleted does not show a deletion's time: it is enough that the row is dead here."""
    table, key = line.replace(":", "").split()[:2]
    model = world.models.get(table)
    if not model or model["incremental"] or not model["listed"]:
        return False
    record = world.sandbox.get(table, key, integration.id)
    row = world.db.execute(f"SELECT remote_deleted_at FROM kombo.{table} WHERE (integration_id, id) = (%s, %s)",
                           [integration.id, key])
    return bool(record and record["remote_deleted_at"] and (not row or row[0]["remote_deleted_at"]))
