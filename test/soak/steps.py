"""The steps of a script. Each is a function of the world and of parameters that fit into JSON; a second one, beside it,
draws the parameters. A step whose target is not there does nothing, so that any step may be left out of a script."""

import typing

from worker import worker_pid, deliver

STEPS = {}


class Kind(typing.NamedTuple):
    weight: int
    draw: typing.Callable  # (world, chance) -> parameters, or None: not now
    do: typing.Callable  # (world, **parameters)


def step(weight, draw):
    """Registers a function as the step of its name."""
    def register(function):
        STEPS[function.__name__] = Kind(weight, draw, function)
        return function
    return register


def some_integration(world, chance):
    return chance.choice(sorted(world.integrations))


# --- at Kombo -------------------------------------------------------------------------------------------------------

def draw_record(world, chance):
    """A record of some model that a step may change."""
    name = some_integration(world, chance)
    integration = world.integrations[name]
    model = chance.choice(sorted(model for model in integration.ids if world.models[model]["text_key"]))
    if not integration.ids[model]:
        return None
    return {"on": name, "model": model, "id": chance.choice(integration.ids[model])}


def note(world, integration, model, deleted=False):
    """What deltas do not show, a full must bring."""
    row = world.models[model]
    if not row["by_delta"]:
        integration.need("full", f"{model}: no delta shows it", row["endpoint"])
    elif deleted and row["owned"]:
        integration.need("full", f"{model}: its tombstones are in no parent's list", row["endpoint"])


def draw_change(world, chance):
    found = draw_record(world, chance)
    return found and {**found, "value": f"Änderung {world.number()}"}


@step(30, draw_change)
def change(world, on, model, id, value):
    integration = world.integrations[on]
    if world.at_kombo(integration, "change", model, id=id, set={world.models[model]["text_key"]: value}):
        note(world, integration, model)


def draw_create(world, chance):
    found = draw_record(world, chance)
    if not found:
        return None
    return {**found, "id": f"made{world.number()}", "value": f"Neu {world.numbers}"}


@step(8, draw_create)
def create(world, on, model, id, value):
    integration = world.integrations[on]
    if world.at_kombo(integration, "create", model, id=id, set={world.models[model]["text_key"]: value}):
        integration.ids[model].append(id)
        note(world, integration, model)


@step(8, draw_record)
def delete(world, on, model, id):
    integration = world.integrations[on]
    if world.at_kombo(integration, "delete", model, id=id):
        note(world, integration, model, deleted=True)


@step(6, draw_record)
def undelete(world, on, model, id):
    integration = world.integrations[on]
    if world.at_kombo(integration, "undelete", model, id=id):
        note(world, integration, model, deleted=True)


# --- on the way -----------------------------------------------------------------------------------------------------

def draw_front_end(world, chance):
    return {"how": chance.choice(["order"] * 4 + ["shuffled", "twice", "backwards", "lost"]),
            "count": chance.randint(1, 8), "seed": chance.randint(1, 1000)}


@step(30, draw_front_end)
def front_end(world, how, count, seed):
    """Some of the webhooks that are on their way reach the inbox, or never do."""
    import random
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
    deliver(world.db, *taken)


# --- in the database ------------------------------------------------------------------------------------------------

@step(2, lambda world, chance: {})
def kill_worker(world):
    world.kill(worker_pid(world.db))
