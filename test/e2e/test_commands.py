"""The commands ./demo and ./check: what they show, refuse, and leave behind."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from syncing import wait_until

ROOT = pathlib.Path(__file__).parents[2]


def start(*command, folder, tree=ROOT):
    """Temporary folders of the command go below `folder`, so that what it leaves can be seen."""
    environment = {**os.environ, "KOMBO_TMP": str(folder)}
    # A shell cannot trap a signal that whoever started it ignores, as processes of pytest -n do.
    return subprocess.Popen(command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def run(*command, folder, timeout=300):
    process = start(*command, folder=folder)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # it ends what it started
        output, _ = process.communicate()
        raise AssertionError(f"{command} took longer than {timeout} s:\n{output[-4000:]}") from None
    return process.returncode, output


def processes_of(folder):
    """Command lines of processes that name the folder."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(process.name) != os.getpid():
            found.append(line)
    return found


@pytest.fixture
def folder():
    """Short: a unix socket goes in there."""
    with tempfile.TemporaryDirectory(prefix="kc") as name:
        yield pathlib.Path(name)


@pytest.mark.time_limit(300)
def test_the_demo_shows_a_change_a_repair_a_webhook_and_a_kill_and_leaves_nothing(folder):
    status, output = run("./demo", folder=folder)
    assert status == 0, output[-4000:]
    assert re.search(r"/hris/employees +│ ok +│ +\d+ │ +1000 │ +1000 ", output), output
    assert re.search(r"/hris/employees │ delta │ ok +│ +1 │", output), output
    assert "Head of Everything" in output.split("synced_at")[-1], output
    assert re.search(r"/hris/absences │ delta │ ok ", output), output
    # The name that was written by hand is in the statement, and no more in what is read after the full sync.
    assert "Atlantis" not in output.split("'/hris/employments']")[-1], output
    # Five webhooks, each with its time; and the full fetch that was killed ends with all its pages.
    assert len(re.findall(r"^ +\d │ done +│ /hris/employees │ delta │ +1 │ +[0-9.]+ *$", output, re.M)) == 5, output
    killed = output.split("kill -9")[-1]
    assert re.search(r"/hris/employees │ .* │ +([2-9]|1\d) *$", killed, re.M), killed
    assert re.search(r"/hris/employees │ full │ ok +│ +20 │ +1000 │ +0 │ +0 │ +1000 │ +0 *$", killed, re.M), killed
    assert list(folder.iterdir()) == [] and processes_of(folder) == []


def test_a_demo_that_is_terminated_leaves_nothing(folder):
    process = start("./demo", folder=folder)
    wait_until(lambda: list(folder.glob("*/pg/postmaster.pid")), 60, "the demo's cluster")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    wait_until(lambda: not processes_of(folder), 15, "the end of the demo's processes")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command, said", [(("./demo", "--fast"), "there is only --keep"),
                                           (("./check", "unti"), "parts are unit, regress, e2e, lint, soak and bare"),
                                           (("./check", "lint", "-k", "x"), "the parts are"),
                                           (("./check", "unit", "bare"), "bare needs root")])
def test_an_unknown_argument_is_refused_before_anything_is_done(folder, command, said):
    status, output = run(*command, folder=folder, timeout=20)
    assert status == 1 and said in output
    assert list(folder.iterdir()) == []


def broken_tree(folder):
    """A tree whose ./check e2e fails at once in its CMake project, and then builds the extension for ever."""
    tree = folder / "tree"
    shutil.copytree(ROOT / "test", tree / "test", ignore=lambda _, names: [n for n in names if not n.endswith(".sh")])
    shutil.copy(ROOT / "check", tree)
    (tree / "CMakeLists.txt").write_text('message(FATAL_ERROR "broken for the test")\n', encoding="utf-8")
    (tree / "Makefile").write_text("all:\n\tsleep 600\n", encoding="utf-8")
    return tree


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-C", "SIGTERM"])
def test_a_check_that_is_interrupted_keeps_the_log_of_what_had_failed(folder, number, code):
    process = start("./check", "e2e", folder=folder, tree=broken_tree(folder))
    wait_until(lambda: list(folder.glob("kombo-check.*/log/build.log")), 60, "the build after the failure")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code and "build-tests  FAILED" in output, output
    log = pathlib.Path(re.search(r"^ +log: (/.*)$", output, re.MULTILINE)[1])
    assert "broken for the test" in log.read_text(encoding="utf-8")
    wait_until(lambda: not processes_of(folder), 15, "the end of the command's processes")
    assert sorted(path.name for path in folder.iterdir()) == sorted([log.parent.name, "tree"])
