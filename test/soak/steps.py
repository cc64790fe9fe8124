"""The steps of a script. Each is a function of the world and of parameters that fit into JSON; a second one, beside it,
draws the parameters. A step whose target is not there does nothing, so that any step may be left out of a script."""

import typing

STEPS = {}


class Kind(typing.NamedTuple):
    weight: float
    draw: typing.Callable  # (world, chance) -> parameters, or None: not now
    do: typing.Callable  # (world, **parameters)


def step(weight, draw=lambda world, chance: {}):
    """Registers a function as the step of its name."""
    def register(function):
        STEPS[function.__name__] = Kind(weight, draw, function)
        return function
    return register


def draw_step(world, chance):
    """A step that can be done now: its name and parameters."""
    names = sorted(STEPS)
    while True:
        name, = chance.choices(names, [STEPS[name].weight for name in names])
        parameters = STEPS[name].draw(world, chance)
        if parameters is not None:
            return name, parameters


def draw_integration(world, chance):
    return {"on": chance.choice(sorted(world.integrations))}


def draw_model(world, chance, wanted=lambda row: True):
    """An integration and one of its models."""
    name = chance.choice(sorted(world.integrations))
    models = sorted(model for model in world.integrations[name].ids if wanted(world.models[model]))
    return {"on": name, "model": chance.choice(models)} if models else None


def draw_record(world, chance, wanted=lambda row: row["text_key"]):
    """An integration, a model and the id of a record that is there or was."""
    found = draw_model(world, chance, wanted)
    ids = found and world.integrations[found["on"]].ids[found["model"]]
    return {**found, "id": chance.choice(ids)} if ids else None
