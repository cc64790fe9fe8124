"""Rounds of test/soak: random changes, webhooks, faults, locks, edits and kills, after which everything must be as at
Kombo. ./check soak runs long ones, and shortens the script of a failure."""

import pathlib
import sys

import pytest

from cluster import needed
from worker import WORKER_SETTINGS

for folder in ("faults", "soak"):
    sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / folder))

from our_clock import OurClock  # noqa: E402
from scripts import Failed, explore, replay, shorten  # noqa: E402
from world import Finding, Step  # noqa: E402

SECONDS = 60


@pytest.mark.soak
@pytest.mark.time_limit(400)
@pytest.mark.parametrize("seed", [1, 2])
def test_after_random_steps_everything_settles_and_equals_kombo(new_cluster, seed):
    try:
        explore(new_cluster(WORKER_SETTINGS, OurClock()), needed("KOMBO_SANDBOX"), seed, SECONDS)
    except Failed as failed:
        script = "\n".join(map(str, failed.script))
        pytest.fail(f"seed {seed}: {failed}\nThe steps were (test/soak/run.py --replay FILE {seed}):\n{script}")


@pytest.mark.time_limit(300)
def test_a_script_that_fails_is_shortened_to_the_step_at_fault(new_cluster):
    """The model does not know of a row that this one deletes."""
    cluster, program = new_cluster(WORKER_SETTINGS), needed("KOMBO_SANDBOX")
    harmless = [Step("vacuum", {}), Step("create_tables", {"on": "two"}), Step("no_faults", {})]
    at_fault = Step("unknown_edit", {"model": "hris_teams"})
    script = [*harmless, at_fault, *harmless]
    found = replay(cluster, program, 1, script)
    assert found.kind == "different hris_teams"
    assert shorten(cluster, program, 1, Failed(found, script), 120, print) == [at_fault]
    assert Step.parse(str(at_fault)) == at_fault and isinstance(found, Finding)
