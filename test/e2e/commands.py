"""What the tests of ./demo, ./check and ./bench share: how to run one, and what it has left behind."""

import os
import pathlib
import signal
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# Of PostgreSQL here.
MAJOR = pathlib.Path(os.environ.get("KOMBO_PGBIN", "/usr/lib/postgresql/15/bin")).parent.name


def start(*command, folder, tree=ROOT, **variables):
    """Temporary folders and the kept build go below `folder`, so that what the command leaves can be seen."""
    environment = {**os.environ, "KOMBO_TMP": str(folder), "KOMBO_CACHE": str(folder / "kept"), **variables}
    # A shell cannot trap a signal that whoever started it ignores, as processes of pytest -n do.
    return subprocess.Popen(command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def run(*command, folder, timeout=300, **more):
    process = start(*command, folder=folder, **more)
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
