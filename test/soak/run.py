#!/usr/bin/python3
"""The soak: run.py MINUTES [SEED], or run.py --replay FILE. Environment as for the end-to-end tests."""

import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from cluster import Cluster, needed  # noqa: E402
from scripts import Failed, explore, replay, shorten  # noqa: E402
from worker import WORKER_SETTINGS  # noqa: E402


def main(minutes="10", seed=None):
    seed = int(seed) if seed else random.randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    cluster = Cluster(needed("KOMBO_PGBIN"), WORKER_SETTINGS)
    try:
        script = explore(cluster, needed("KOMBO_SANDBOX"), seed, float(minutes) * 60,
                         lambda text: print(text, flush=True))
        print(f"{len(script)} steps")
    except Failed as failed:
        print(f"seed {seed}, {len(failed.script)} steps: {failed}")
        print("\n".join(map(str, failed.script)), flush=True)
        short = shorten(cluster, needed("KOMBO_SANDBOX"), seed, failed, 120, lambda text: print(text, flush=True))
        print(f"shortened to {len(short)} steps:")
        print("\n".join(map(str, short)))
        return 1
    finally:
        cluster.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
