"""The build that ./demo, ./check and ./bench keep: what is built again, and what is never trusted. A small tree stands
for ours, whose objects say how often they were made; its command does what theirs do."""

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess

import pytest

from commands import ROOT, folder, run, start  # noqa: F401
from syncing import wait_until

MAKEFILE = """\
SOURCES = $(sort $(wildcard *.cpp))
OBJECTS = $(SOURCES:.cpp=.o)
all: $(OBJECTS)
%.o: %.cpp
\tcp $< $@ # -c -o $@
\techo $< >>$(MADE)
\tif grep -q slow $<; then while [ ! -e $(GO) ]; do sleep 0.1; done; fi
# What is made when it is interrupted is that one alone.
very_slow.o: one.o two.o
install:
\tcat $(OBJECTS) >"$(DESTDIR)/program"
"""

COMMAND = """\
#!/bin/bash
set -uo pipefail
source test/stage.sh
if [[ ${1:-} == --clean ]]; then cache_clean; exit; fi
stage_open kombo-small
stage_copy
cache_open
step build stage_make || exit 1
cache_close
printf 'program: %s\\n' "$(tr '\\n' ' ' <"$T/program")"
"""


class Tree:
    """A tree, and its command with the variables given."""

    def __init__(self, folder, **variables):
        self.folder, self.made, self.go = folder, folder / "made", folder / "go"
        self.variables = {"MADE": str(self.made), "GO": str(self.go), **variables}
        self.tree = folder / "tree"
        self.tree.mkdir()
        (self.tree / "test").mkdir()
        for script in (ROOT / "test").glob("*.sh"):
            shutil.copy(script, self.tree / "test")
        (self.tree / "Makefile").write_text(MAKEFILE, encoding="utf-8")
        self.write("command", COMMAND)
        (self.tree / "command").chmod(0o755)
        self.write("one.cpp", "one")
        self.write("two.cpp", "two")

    def write(self, name, text):
        (self.tree / name).write_text(text + "\n", encoding="utf-8")

    def start(self, *arguments, **variables):
        return start("./command", *arguments, folder=self.folder, tree=self.tree, **{**self.variables, **variables})

    def run(self, *arguments, **variables):
        """The output, and the names of what was made."""
        self.made.write_text("", encoding="utf-8")
        status, output = run("./command", *arguments, folder=self.folder, tree=self.tree, timeout=60,
                             **{**self.variables, **variables})
        assert status == 0, output
        return output, sorted(self.made.read_text(encoding="utf-8").split())


@pytest.fixture
def tree(folder):  # noqa: F811
    return Tree(folder)


def test_a_second_command_builds_nothing_and_says_where_the_build_is(tree):
    output, made = tree.run()
    assert made == ["one.cpp", "two.cpp"] and f"will be kept in {tree.folder}/kept" in output, output
    assert "program: one two" in output, output
    output, made = tree.run()
    assert made == [] and re.search(rf"kept in {tree.folder}/kept, \d+ MB \(--clean removes it\)", output), output
    assert "program: one two" in output, output


def test_contents_decide_what_is_built_again_and_not_times(tree):
    tree.run()
    # Another checkout: all is newer, or older than its object although it differs.
    tree.write("one.cpp", "uno")
    os.utime(tree.tree / "one.cpp", (1_000_000_000, 1_000_000_000))
    os.utime(tree.tree / "two.cpp")
    output, made = tree.run()
    assert made == ["one.cpp"] and "program: uno two" in output, output


def test_a_source_that_was_removed_leaves_no_object(tree):
    tree.run()
    (tree.tree / "two.cpp").unlink()
    output, made = tree.run()
    assert made == [] and re.search("program: one *$", output, re.M), output
    assert not (tree.folder / "kept/tree/src/two.o").exists()


def test_another_compiler_or_other_flags_build_all_again(tree):
    tree.run()
    assert tree.run(CXXFLAGS="-O0")[1] == ["one.cpp", "two.cpp"]
    assert tree.run(CXXFLAGS="-O0")[1] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_an_object_whose_making_was_interrupted_is_made_again(tree, number):
    tree.write("very_slow.cpp", "slow")
    process = tree.start()
    wait_until(lambda: tree.made.exists() and "slow" in tree.made.read_text(encoding="utf-8"), 60, "the slow object")
    # Killed, nothing of it cleans up.
    for pid in descendants(process.pid) if number == signal.SIGKILL else [process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    process.communicate(timeout=60)
    tree.go.touch()
    output, made = tree.run()
    assert "very_slow.cpp" in made and "program: one two slow" in output, output
    assert ("one.cpp" in made) == (number == signal.SIGKILL), made


def descendants(pid):
    found = [pid]
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split():
        found += descendants(int(child))
    return found


def test_two_commands_at_once_build_one_after_the_other(tree):
    tree.write("slow.cpp", "slow")
    first = tree.start()
    wait_until(lambda: tree.made.exists() and "slow" in tree.made.read_text(encoding="utf-8"), 60, "the slow object")
    second = tree.start()
    said = []
    for line in second.stdout:
        said.append(line)
        if "waiting for another command" in line:
            break
    tree.go.touch()
    outputs = [first.communicate(timeout=60)[0], "".join(said) + second.communicate(timeout=60)[0]]
    assert [process.returncode for process in (first, second)] == [0, 0], outputs
    assert all("program: one slow two" in output for output in outputs), outputs
    assert sorted(tree.made.read_text(encoding="utf-8").split()) == ["one.cpp", "slow.cpp", "two.cpp"]


def test_a_folder_that_cannot_be_written_is_no_obstacle(tree):
    for _ in range(2):
        output, made = tree.run(KOMBO_CACHE="/proc/kombo_sync")
        assert "in the temporary folder, as /proc/kombo_sync cannot be written" in output, output
        assert made == ["one.cpp", "two.cpp"] and "program: one two" in output, output
    assert sorted(path.name for path in tree.folder.iterdir()) == ["made", "tree"]


def test_clean_removes_the_build_and_says_what_was_freed(tree):
    tree.run()
    output, made = tree.run("--clean")
    assert made == [] and re.search(rf"^Removed the kept build in {tree.folder}/kept: \d+ MB freed\.$", output), output
    assert not (tree.folder / "kept").exists()
    assert tree.run("--clean")[0].startswith("There is no kept build (")
    assert tree.run()[1] == ["one.cpp", "two.cpp"]


def test_a_long_step_says_how_far_it_is_and_where_its_log_is(tree):
    for name in ("a", "b", "c"):
        tree.write(f"{name}.cpp", "slow")
    process = tree.start(KOMBO_PROGRESS_EVERY="1")
    said = []
    for line in process.stdout:
        said.append(line)
        if re.match(rf"build +\d+ %.*  {tree.folder}/kombo-small\.\w+/log/build\.log$", line):
            break
    assert process.poll() is None, said
    tree.go.touch()
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and re.search(r"^build +done in \d+ s$", rest, re.M), (said, rest)
    assert re.match(rf"logs +{tree.folder}/kombo-small\.\w+/log$", said[0]), said


def test_on_a_terminal_progress_is_one_line_that_is_rewritten(tree):
    tree.write("slow.cpp", "slow")
    ours, theirs = pty.openpty()
    process = subprocess.Popen("./command", cwd=tree.tree, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                               env={**os.environ, "KOMBO_TMP": str(tree.folder),
                                    "KOMBO_CACHE": str(tree.folder / "kept"), **tree.variables})
    os.close(theirs)
    text = ""
    while not re.search(r"\r\x1b\[Kbuild +\d+ % ", text):
        text += os.read(ours, 4096).decode()
    tree.go.touch()
    while "program:" not in text:
        text += os.read(ours, 4096).decode()
    assert process.wait(timeout=60) == 0
    os.close(ours)
    assert re.search(r"\r\x1b\[Kbuild +done in \d+ s\r\n", text), text


@pytest.mark.parametrize("percent, first, elapsed, said", [
    ("", "", 7, "7 s"), ("20", "0", 5, "20 %"), ("3", "0", 60, "3 %"), ("50", "0", 100, "50 %, about 2 min left"),
    ("75", "50", 30, "75 %, about 30 s left"), ("90", "0", 600, "90 %, about 70 s left")])
def test_what_is_left_is_reckoned_from_what_was_done(percent, first, elapsed, said):
    script = f'source test/stage.sh; SECONDS={elapsed}; how_far "{percent}" "{first}" 0 0'
    assert subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout == said
