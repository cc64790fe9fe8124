"""Concurrent pairs step by step (isolation/*.spec, with what they print in *.out), by PostgreSQL's isolationtester,
which sees who waits for whom."""

import difflib
import os
import pathlib
import subprocess

import pytest

SPECS = pathlib.Path(__file__).parent / "isolation"


@pytest.mark.sandbox(employees=20)
@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.spec")))
def test_sessions_beside_a_sync_see_it_whole_and_wait_for_each_other(db, sandbox, name):
    for integration in ("first", "second"):
        sandbox.add_integration(integration, employees=20)
        db.add_integration(integration, only=["/hris/employees", "/hris/groups"])
    tester = db.cluster.bindir.parent / "lib/pgxs/src/test/isolation/isolationtester"
    done = subprocess.run([tester, f"host={db.cluster.folder} port=5432 user=postgres dbname={db.name}"],
                          input=(SPECS / f"{name}.spec").read_text(encoding="utf-8"), text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110)
    wanted = (SPECS / f"{name}.out").read_text(encoding="utf-8")
    difference = "\n".join(difflib.unified_diff(wanted.splitlines(), done.stdout.splitlines(), "expected", "found",
                                                lineterm=""))
    if difference and os.environ.get("KOMBO_LOG"):  # to be read, and then copied
        pathlib.Path(os.environ["KOMBO_LOG"], f"{name}.out").write_text(done.stdout, encoding="utf-8")
    assert difference == ""
    assert done.returncode == 0
