"""Steps: what happens between Kombo and the database, to webhooks and to requests."""

import random
import time

import psycopg

from steps import draw_integration, draw_record, step


def draw_front_end(world, chance):
    return {"how": chance.choice(["order"] * 4 + ["shuffled", "twice", "backwards", "lost"]),
            "count": chance.randint(1, 8), "seed": chance.randint(1, 1000)}


@step(30, draw_front_end)
def front_end(world, how, count, seed):
    """Some of the webhooks that are on their way reach the inbox, or never do. If it is locked, Kombo tries again."""
    taken, world.held = world.held[:count], world.held[count:]
    if how == "lost":
        for webhook in taken:
            world.lose(webhook)
        return
    if how == "shuffled":
        random.Random(seed).shuffle(taken)
    elif how == "backwards":
        taken.reverse()
    elif how == "twice":
        taken += taken
    for number, webhook in enumerate(taken):
        try:
            world.insert(webhook)
        except psycopg.errors.LockNotAvailable:
            world.held = taken[number:] + world.held
            return


@step(2, lambda world, chance: {**draw_integration(world, chance), "what": chance.choice(
    ["signature", "body", "unsigned", "unknown", "nonsense"])})
def forge(world, on, what):
    """A webhook that must change nothing."""
    integration = world.integrations[on]
    made = world.sandbox.webhook("hris_employees", integration=integration.id)
    if what == "signature":
        made = made._replace(signature=made.signature[::-1])
    elif what == "body":
        made = made._replace(body=made.body + " ")
    elif what == "unsigned":
        made = made._replace(signature=None)
    elif what == "unknown":
        made = world.sandbox.webhook("hris_employees", integration="personio:nobody")
    else:
        made = world.sandbox.webhook(body="{\"id\": [")
    try:
        world.insert(made, "rejected")
    except psycopg.errors.LockNotAvailable:
        pass


def draw_early(world, chance):
    found = draw_record(world, chance, lambda row: row["text_key"] and row["by_delta"])
    return found and {**found, "value": f"Früh {world.number()}", "pause": chance.choice([0, 0.05, 0.3, 1])}


@step(3, draw_early)
def tell_early(world, on, model, id, value, pause):
    """The webhook comes before the API shows the change, which is older by then."""
    integration = world.integrations[on]
    at = world.sandbox.clock()["now"]
    try:
        world.insert(world.sandbox.webhook(model, integration=integration.id))
    except psycopg.errors.LockNotAvailable:
        pass
    time.sleep(pause)
    before = len(world.held)
    if world.at_kombo(integration, "change", model, id=id, set={world.models[model]["text_key"]: value}, at=at):
        del world.held[before:]
        integration.need("delta", "an early webhook")


FAULTS = ({"status": 500}, {"status": 503, "headers": {"Retry-After": "1"}}, {"status": 429},
          {"status": 429, "headers": {"Retry-After": "2"}}, {"close": True}, {"truncate": 300},
          {"truncate": 300, "no_length": True}, {"html": True}, {"other_json": True}, {"delay_ms": 700},
          {"hang": True}, {"drip": True, "drip_ms": 5, "drip_bytes": 100}, {"repeat_cursor": True},
          {"loop_cursors": 2}, {"status": 400, "code": "PLATFORM.INPUT_INVALID"}, {"status": 404},
          {"status": 401, "code": "PLATFORM.AUTHENTICATION_INVALID"}, {"status": 403, "html": True},
          {"status": 503, "code": "INTEGRATION.SETUP_SYNC_PENDING"},
          {"status": 403, "code": "INTEGRATION.MODEL_NOT_AVAILABLE"})


def draw_fault(world, chance):
    model = chance.choice(sorted(world.models))
    return {"rule": {**chance.choice(FAULTS), "path": chance.choice(["*", world.models[model]["endpoint"]]),
                     "times": chance.choice([1, 1, 2, 5]), "skip": chance.choice([0, 0, 1, 3])}}


@step(3, draw_fault)
def fault(world, rule):
    world.trouble()
    world.causes.add("fault")
    world.sandbox.faults(rule)


@step(2)
def no_faults(world):
    world.sandbox.faults()


@step(1, lambda world, chance: {"seconds": chance.choice([0, 0, -7200, -30, 30, 7200])})
def kombo_clock(world, seconds):
    """Kombo's clock is so far from the true time. What changes while it is behind is older than what was fetched."""
    world.sandbox.clock(skew_seconds=seconds)
    for integration in world.integrations.values():
        integration.need("full", "Kombo's clock was put forward or back")


@step(2, lambda world, chance: {"seconds": chance.choice([0, 0, -7200, -30, 30, 7200])})
def our_clock(world, seconds):
    """The server's clock is put forward or back, or right again."""
    world.set_clock(seconds)
