"""The sandbox keeps to its own rules: its tests in test/sandbox, and its memory with a million employees."""

import os
import pathlib
import re
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "sandbox"


@pytest.mark.parametrize("script", ["rules_test.py", "webhooks_test.py"])
def test_the_sandboxs_own_tests(script):
    done = subprocess.run(["/usr/bin/python3", FOLDER / script, os.environ["KOMBO_SANDBOX"]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, check=False)
    assert done.returncode == 0 and "not ok" not in done.stdout and "ok 5 " in done.stdout, done.stdout


def test_a_million_employees_take_no_more_memory_than_ten(start_sandbox, measured):
    sizes = {"big:one": 1000000, **{f"small:{n}": 10 for n in range(10)}}
    sandbox = start_sandbox(integration=[f"{name}={size}" for name, size in sizes.items()])
    assert {name: sandbox.count("hris_employees", name) for name in sizes} == sizes
    headers = {"Authorization": "Bearer " + sandbox.api_key, "X-Integration-Id": "big:one"}
    first = None
    for page in ["", "&updated_after=2024-12-20", "&updated_after=2025-01-01"] + [""] * 40:
        status, answer = sandbox.call("GET", "/v1/hris/employees?page_size=250" + page, headers=headers)
        assert status == 200
        first = first or answer["data"]["results"][0]["id"]
    sandbox.record("change", "hris_employees", first, {"first_name": "Ada"}, integration="big:one")
    status = pathlib.Path(f"/proc/{sandbox.process.pid}/status").read_text(encoding="utf-8")
    memory = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024
    measured(f"the sandbox with 1,000,000 employees: {memory} MB")
    assert memory < 40
