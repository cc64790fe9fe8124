"""The quiet point: everything that was done to the system ends, it settles, and must then be what the model says."""

import os

import server_log
from on_the_way import front_end
from syncing import differences, wait_until
from worker import inbox, private_kilobytes, wait_synced, workers_of
from world import API_KEY, WEBHOOK_SECRET, Finding

ROUNDS_TO_GROW = 3
GROWTH_KB = 30_000  # plans of triggers of each table, which the first rounds need not meet
GROWTH_FILES = 8


def quiet(world):
    settle(world)
    check_feed(world)
    for integration in world.integrations.values():
        if integration.is_active():
            compare(world, integration)
    check_inbox(world)
    check_status(world)
    check_leftovers(world)
    check_secrets(world)
    if not os.environ.get("SANITIZE"):  # AddressSanitizer keeps what was freed
        check_sizes(world)
    server_log.check(world)


def settle(world):
    """Ends what steps have begun, and lets everything arrive."""
    world.end_opened()
    world.set_clock(0)
    world.sandbox.clock(skew_seconds=0)
    world.sandbox.faults()
    world.served()
    while world.held:
        front_end(world, "order", len(world.held), 0)
    readmit(world)
    active = [integration for integration in world.integrations.values() if integration.is_active()]
    for integration in active:
        if integration.troubled:
            # What an answer from before does to its list comes first.
            wait_until(lambda of=integration.id: not world.db.value(
                "SELECT count(*) FROM kombo.sync_progress WHERE integration_id = %s", [of]), 60, "the end of its syncs")
            world.insist(f"SELECT kombo.resume('{integration.id}')")
            integration.troubled = False
        for kind, endpoint in integration.needs:
            subscribed = endpoint is None or world.db.value(
                "SELECT coalesce((SELECT enabled FROM kombo.subscriptions WHERE (integration_id, endpoint) = (%s, %s)),"
                " true)", [integration.id, endpoint])
            # Where a list is off, others that carry its records may write them.
            world.db.execute("SELECT kombo.request_sync(%s, %s, %s)",
                             [integration.id, kind, [endpoint] if endpoint and subscribed else None])
    try:
        wait_until(lambda: not inbox(world.db).get("new"), 60, "the judgement of all webhooks")
        if active:
            wait_synced(world.db, *(integration.id for integration in active), timeout=60)
    except AssertionError as error:
        told = [f"{one.name}:\n" + "\n".join(history(world, one)) for one in active]
        raise Finding("unsettled", "\n".join([str(error), *told])) from None


def readmit(world):
    """What was erased is not there; from now on it may be again."""
    for erased in world.db.execute("SELECT * FROM kombo.erased_records ORDER BY with_table NULLS FIRST"):
        table, key = erased["table_name"], [erased["integration_id"], erased["id"]]
        there = world.db.value(f"SELECT count(*) FROM kombo.{table} WHERE (integration_id, id) = (%s, %s)", key)
        world.expect(there == 0, "erased", f"{table} has the erased record {key}")
        if not erased["with_table"]:
            world.db.execute("SELECT kombo.readmit(%s, %s, %s)", [key[0], table, key[1]])


def compare(world, integration):
    """Every row of every table against the sandbox."""
    found = [line for line in differences(world.db, world.sandbox, integration.id)
             if not is_hidden_tombstone(world, integration, line)]
    if found:
        raise Finding("different " + found[0].split()[0], "\n".join([
            f"{len(found)} in {integration.name}, needs were {integration.needs}:", *found[:20],
            "its last runs, and what is asked for:", *history(world, integration)]))
    integration.needs.clear()


def history(world, integration):
    """What a difference that does not come again when the steps are replayed is to be explained by."""
    runs = world.db.execute("""
        SELECT started_at::text, finished_at::text, endpoint, kind, trigger, status, received, inserted, updated,
            deleted
        FROM kombo.sync_runs WHERE integration_id = %s ORDER BY id DESC LIMIT 40""", [integration.id])
    requests = world.db.execute("SELECT r::text FROM kombo.sync_requests r WHERE integration_id = %s", [integration.id])
    states = world.db.execute("SELECT s::text FROM kombo.sync_state s WHERE integration_id = %s", [integration.id])
    return [" ".join(map(str, row.values())) for row in [*runs, *requests, *states]]


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


def check_feed(world):
    try:
        world.feed.check()
    except AssertionError as error:
        raise Finding("feed", str(error)) from None


def check_inbox(world):
    """No webhook was lost once its row was committed, and none was believed that is forged."""
    seen = inbox(world.db)
    right = seen.get("rejected", 0) == world.inserted["rejected"] and sum(seen.values()) == sum(world.inserted.values())
    world.expect(right, "inbox", f"{seen}, inserted were {world.inserted}")


def check_status(world):
    paused = [integration.id for integration in world.integrations.values() if integration.paused]
    inactive = [integration.id for integration in world.integrations.values() if integration.state != "ACTIVE"]
    wrong = world.db.execute("""
        SELECT integration_id, endpoint, state, reason, next, failures, rejected FROM kombo.sync_status
        WHERE CASE WHEN integration_id IS NULL THEN state <> 'running'
                   WHEN integration_id = ANY (%s) THEN state <> 'paused'
                   WHEN integration_id = ANY (%s) THEN state NOT IN
                       ('paused', 'fresh', 'failed', 'waiting', 'rejecting', 'unavailable', 'never synced')
                   ELSE state <> 'fresh' OR failures > 0 OR rejected > 0 END""", [paused, inactive])
    runs = wrong and world.db.execute("""
        SELECT r.endpoint, r.kind, r.trigger, r.status, r.started_at, r.finished_at, r.error FROM kombo.sync_runs r
        WHERE (r.integration_id, r.endpoint) = (%s, %s) ORDER BY r.id DESC LIMIT 5""",
                                   [wrong[0]["integration_id"], wrong[0]["endpoint"]])
    world.expect(not wrong, "status", "\n".join(map(str, [*wrong[:20], "its last runs:", *runs])))


LEFT = {
    # Of a list that was switched off they stay until its next full fetch.
    "sync_seen": "SELECT * FROM kombo.sync_seen n WHERE integration_id <> ALL (%s) AND NOT EXISTS (SELECT FROM "
                 "kombo.subscriptions s WHERE (s.integration_id, s.endpoint) = (n.integration_id, n.endpoint) "
                 "AND NOT s.enabled)",
    "open full": "SELECT integration_id, endpoint FROM kombo.sync_state WHERE full_started_at IS NOT NULL "
                 "AND integration_id <> ALL (%s)",
    "prepared": "SELECT gid FROM pg_prepared_xacts WHERE %s::text[] IS NOT NULL",
    "locks": "SELECT l.* FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND "
             "a.application_name NOT LIKE 'kombo_sync worker%%' AND %s::text[] IS NOT NULL "
             "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"}


def check_leftovers(world):
    left = [integration.id for integration in world.integrations.values() if not integration.is_active()]
    for what, statement in LEFT.items():
        def rows(statement=statement):
            return world.db.execute(statement, [left])
        try:
            wait_until(lambda: not rows(), 20, "the end of what is asked for once more",
                       lambda: "\n".join(map(str, rows()[:10])))
        except AssertionError as error:
            raise Finding(f"left {what}", str(error)) from None


def check_secrets(world):
    """No table of ours that users read has key or secret."""
    for table in ("sync_runs", "sync_state", "webhook_inbox", "rejected_records", "integrations"):
        for secret in (API_KEY, WEBHOOK_SECRET):
            found = world.db.value(f"SELECT r::text FROM kombo.{table} r WHERE strpos(r::text, %s) > 0 LIMIT 1",
                                   [secret])
            world.expect(found is None, "secret", f"{table}: {found}")


def check_sizes(world):
    """Memory, and what is open and no table's file, of a worker, against the most that it had at the quiet points of
    its first rounds: it comes to know each list only then."""
    for worker in workers_of(world.db):
        pid = worker["pid"]
        now = private_kilobytes(pid), open_things(pid)
        first = world.sizes.setdefault(pid, [])
        if len(first) < ROUNDS_TO_GROW:
            first.append(now)
            continue
        most = [max(sizes) for sizes in zip(*first)]
        world.expect(now[0] - most[0] < GROWTH_KB and now[1] - most[1] < GROWTH_FILES, "grown",
                     f"worker {pid} had (kB, files) {first} and has {now}")


def open_things(pid):
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += not os.readlink(f"/proc/{pid}/fd/{name}").startswith("/") or "pgsql_tmp" in name
        except FileNotFoundError:
            pass
    return found
