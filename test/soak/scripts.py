"""Runs scripts of steps: drawn ones for some time, given ones again, and shorter ones of one that failed."""

import random
import time

import psycopg

import at_kombo  # noqa: F401  (they register their steps)
import elsewhere  # noqa: F401
import in_database  # noqa: F401
import in_tables  # noqa: F401
import on_the_way  # noqa: F401
from quiet import quiet
from steps import STEPS, draw_step
from world import Finding, Step, World

ROUND = 40  # steps between two quiet points
QUIET = Step("quiet", {})


class Failed(Exception):
    def __init__(self, finding, script):
        super().__init__(str(finding))
        self.finding = finding
        self.script = script


def do(world, one):
    try:
        if one == QUIET:
            quiet(world)
        elif one.parameters.get("on") in (None, *world.integrations):
            STEPS[one.name].do(world, **one.parameters)
    except (psycopg.Error, AssertionError) as error:
        raise Finding(f"{one.name} {type(error).__name__}", f"{one}: {error}") from error


def explore(cluster, program, seed, seconds, tell=print):
    """Draws and does steps until the time is over; the script. Raises Failed."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    script = []
    world = World(cluster, program, seed)
    try:
        do(world, QUIET)
        while time.monotonic() < end:
            for _ in range(ROUND):
                script.append(Step(*draw_step(world, chance)))
                do(world, script[-1])
                time.sleep(chance.choice([0, 0, 0.01, 0.05]))
            script.append(QUIET)
            do(world, QUIET)
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
        for one in [QUIET, *script, QUIET]:
            do(world, one)
    except Finding as finding:
        return finding
    finally:
        world.close()
    return None


def shorten(cluster, program, seed, failed, seconds, tell=print):
    """A shorter script with a finding of the same kind, as short as it can be found in so many seconds."""
    end = time.monotonic() + seconds

    def fails(script):
        found = replay(cluster, program, seed, script)
        return found is not None and found.kind == failed.finding.kind

    script = [one for one in failed.script if one != QUIET]
    last = len(failed.script) - 1 - failed.script[-2::-1].index(QUIET) if QUIET in failed.script[:-1] else 0
    for shorter in (failed.script[last:], script):
        shorter = [one for one in shorter if one != QUIET]
        if fails(shorter):
            script = shorter
            break
    else:
        script = failed.script
        tell("it does not fail when it is done again")
        return script
    size = max(1, len(script) // 2)
    while time.monotonic() < end:
        start = 0
        while start < len(script) and time.monotonic() < end:
            shorter = script[:start] + script[start + size:]
            if fails(shorter):
                script = shorter
                tell(f"{len(script)} steps fail alike")
            else:
                start += size
        if size == 1:
            break
        size = max(1, size // 2)
    return script
