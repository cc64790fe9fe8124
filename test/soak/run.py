#!/usr/bin/python3
"""Random steps for so many minutes, and what they find: run.py [MINUTES [SEED]], or run.py --replay FILE SEED with the
script that such a run has printed. Environment as for the end-to-end tests; ./check soak sets it."""

import pathlib
import random
import sys

for folder in ("e2e", "faults"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / folder))

from cluster import Cluster, needed  # noqa: E402
from our_clock import OurClock  # noqa: E402
from scripts import Failed, explore, replay, shorten  # noqa: E402
from worker import WORKER_SETTINGS  # noqa: E402
from world import Step  # noqa: E402

SHORTEN_SECONDS = 600


def tell(text):
    print(text, flush=True)


def main(minutes="10", *more):
    cluster = Cluster(needed("KOMBO_PGBIN"), WORKER_SETTINGS, OurClock())
    try:
        if minutes == "--replay":
            lines = pathlib.Path(more[0]).read_text(encoding="utf-8").splitlines()
            script = [Step.parse(line) for line in lines if line.startswith("[")]
            found = replay(cluster, needed("KOMBO_SANDBOX"), int(more[1]), script)
            tell(str(found or f"{len(script)} steps: nothing is wrong"))
            return found is not None
        return run(cluster, float(minutes), int(more[0]) if more else random.randrange(1_000_000))
    finally:
        cluster.close()


def run(cluster, minutes, seed):
    tell(f"seed {seed}")
    program = needed("KOMBO_SANDBOX")
    try:
        script = explore(cluster, program, seed, minutes * 60, tell)
    except Failed as failed:
        tell(f"seed {seed}, {len(failed.script)} steps: {failed}")
        tell("\n".join(map(str, failed.script)))
        short = shorten(cluster, program, seed, failed, min(minutes * 60, SHORTEN_SECONDS), tell)
        tell(f"shortened to {len(short)} steps; test/soak/run.py --replay FILE {seed} does them again:")
        tell("\n".join(map(str, short)))
        return True
    tell(f"{len(script)} steps from seed {seed}: nothing is wrong")
    return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
