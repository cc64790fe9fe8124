"""Kombo's own client reads the sandbox: the proof that the sandbox speaks as Kombo does."""

import os
import pathlib
import re
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parent.parent / "sandbox" / "sdk.mjs"


@pytest.mark.sandbox(employees=300)
def test_kombos_own_client_reads_every_list(sandbox):
    folder = os.environ.get("KOMBO_SDK")
    if not folder:
        pytest.skip("KOMBO_SDK is not set: no @kombo-api/sdk here")
    # The script looks the package up from its working folder.
    done = subprocess.run(["node", SCRIPT, sandbox.url, sandbox.api_key, sandbox.integration], cwd=folder,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False)
    read = re.findall(r"^ok \d+ - (/\S+)", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and "not ok" not in done.stdout, done.stdout
    assert len(read) >= 47, f"only {read} were read:\n{done.stdout}"
