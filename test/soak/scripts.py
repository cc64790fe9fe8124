"""Runs scripts of steps: drawn ones for as long as it is told, given ones again, and shorter ones of one that failed."""

import random
import time

import psycopg

from quiet import quiet
from steps import STEPS
from world import Finding, Step, World

ROUND = 40  # steps between two quiet points


class Failed(Exception):
    def __init__(self, finding, script):
        super().__init__(str(finding))
        self.finding = finding
        self.script = script


def draw(world, chance):
    names = sorted(STEPS)
    while True:
        name, = chance.choices(names, [STEPS[name].weight for name in names])
        parameters = STEPS[name].draw(world, chance)
        if parameters is not None:
            return Step(name, parameters)


def do(world, one):
    if one.name == "quiet":
        quiet(world)
        return
    try:
        STEPS[one.name].do(world, **one.parameters)
    except psycopg.Error as error:
        raise Finding("step", f"{one}: {error}") from error


def explore(cluster, program, seed, seconds, tell=print):
    """Draws and does steps until the time is over; the script. Raises Failed."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    script = []
    world = World(cluster, program, seed)
    try:
        do(world, Step("quiet", {}))
        while time.monotonic() < end:
            for _ in range(ROUND):
                script.append(draw(world, chance))
                do(world, script[-1])
                time.sleep(chance.choice([0, 0, 0.01, 0.05]))
            script.append(Step("quiet", {}))
            do(world, script[-1])
            tell(f"{len(script)} steps, {int(end - time.monotonic())} s left")
    except Finding as finding:
        raise Failed(finding, script) from finding
    finally:
        world.close()
    return script


def replay(cluster, program, seed, script):
    """Does the steps once more in a new database; what it finds, None if nothing."""
    world = World(cluster, program, seed)
    try:
        for one in [Step("quiet", {}), *script, Step("quiet", {})]:
            do(world, one)
    except Finding as finding:
        return finding
    finally:
        world.close()
    return None
