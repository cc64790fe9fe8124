"""Short rounds of the soak of test/soak: random changes, webhooks, faults and kills, and then everything is as at Kombo.
./check soak runs long ones."""

import pathlib
import sys

import pytest

from cluster import needed
from worker import WORKER_SETTINGS

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "soak"))

from scripts import explore  # noqa: E402

SECONDS = 20


@pytest.mark.time_limit(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_after_random_steps_everything_settles_and_equals_kombo(new_cluster, seed):
    explore(new_cluster(WORKER_SETTINGS), needed("KOMBO_SANDBOX"), seed, SECONDS)
