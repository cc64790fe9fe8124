"""The commands ./demo and ./check: what they show, refuse, and leave behind."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import zipfile

import pytest

from commands import MAJOR, ROOT, folder, processes_of, run, start  # noqa: F401
from syncing import wait_until


@pytest.mark.time_limit(300)
def test_the_tour_shows_a_change_a_repair_a_webhook_and_a_kill_is_written_down_and_leaves_nothing(folder):  # noqa: F811
    status, output = run("./demo", "--write-tour", str(folder / "tour.md"), folder=folder)
    assert status == 0, output[-4000:]
    assert re.search(r"│ hris_employments +│ +1300 │ /hris/employees ", output), output
    assert re.search(r"/hris/employees │ delta │ ok +│ +1 │ +1 │ +0 │ +1 │", output), output
    assert "Head of Everything" in output.split("written here")[-1], output
    assert re.search(r"/hris/absences │ delta │ ok ", output), output
    # The name that was written by hand is in the statement, and no more in what is read after the full sync.
    assert "Atlantis" not in output.split("'/hris/employments']")[-1], output
    # Five webhooks, each with its time; and the full sync that was killed asks for no page that it had.
    assert len(re.findall(r"^│ +\d │ done +│ /hris/employees │ delta │ +1 │ +[0-9.]+ +│$", output, re.M)) == 5, output
    killed = output.split("kill -9")[-1]
    assert re.search(r"/hris/employees │ full │ ok +│ +20 │ +1000 │ +0 │ +0 │ +1000 │", killed), killed
    assert re.search(r"│ before the kill │ +9 │ +8 │\n│ after it +│ +12 │ +12 │\n", killed), killed
    assert re.search(r"different pages.*\n.*\n│ +20 │ +20 │", killed), killed
    assert "\x1b" not in output
    written = (folder / "tour.md").read_text(encoding="utf-8")
    assert written == (ROOT / "docs/tour.md").read_text(encoding="utf-8"), \
        "docs/tour.md is out of date: ./demo --write-tour writes it"
    assert [path.name for path in folder.iterdir()] == ["tour.md"] and processes_of(folder) == []


def test_a_demo_that_is_terminated_leaves_nothing(folder):
    process = start("./demo", folder=folder)
    wait_until(lambda: list(folder.glob("*/pg/postmaster.pid")), 60, "the demo's cluster")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    wait_until(lambda: not processes_of(folder), 15, "the end of the demo's processes")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command, said", [(("./demo", "--slow"), "the options are --fast"),
                                           (("./check", "unti"), "parts are unit, regress, e2e, lint, fuzz, soak"),
                                           (("./check", "lint", "-k", "x"), "the parts are"),
                                           (("./check", "--sanitize", "fuzz", "all"), "the parts are"),
                                           (("./check", "unit", "bare"), "bare needs root"),
                                           (("./check", "matrix", "16"), "PostgreSQL 16; the majors are 15 17 18"),
                                           (("./check", "matrix", "17", "unti"), 'unknown major or part "unti"'),
                                           (("./check", "matrix"), "matrix needs root"),
                                           (("./package", "rpm"), "the actions are deb, test and image"),
                                           (("./package", "deb", "16"), "PostgreSQL 16; the majors are 15 17 18"),
                                           (("./package", "image", "16"), "PostgreSQL 16; the majors are 15 17 18"),
                                           (("./package", "test", "17"), "./package needs root"),
                                           (("./package", "image"), "./package needs root")])
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
    assert sorted(path.name for path in folder.iterdir()) == sorted([log.parent.name, "kept", "tree"])


@pytest.mark.parametrize("package, said", [(f"postgresql-{MAJOR}", True), ("g++", False)])
def test_a_postgresql_that_is_installed_without_a_cluster_is_said(folder, package, said):  # noqa: F811
    for program in ("dpkg-query", "apt-get", "sudo"):
        (folder / program).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / program).chmod(0o755)
    done = subprocess.run(["bash", "-c", f"source test/stage.sh; stage_packages {package}"], cwd=ROOT, text=True,
                          env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}, capture_output=True, check=True)
    assert f"installing {package}" in done.stdout
    assert (f'"pg_createcluster {MAJOR} main --start" makes one' in done.stdout) == said, done.stdout


def test_the_installed_library_has_no_debug_symbols_and_uninstall_removes_every_file(folder):  # noqa: F811
    lib = pathlib.Path(os.environ["KOMBO_PGBIN"]).parent / "lib"
    sections = subprocess.run(["readelf", "-S", "-W", lib / "kombo_sync.so"], capture_output=True, text=True,
                              check=True)
    assert ".dynsym" in sections.stdout and ".debug" not in sections.stdout
    share = lib.parents[3] / "share/postgresql" / MAJOR / "extension"
    installed = [*lib.glob("kombo_sync*"), *share.glob("kombo_sync*")]
    assert len(installed) >= 4
    for file in installed:
        copy = pathlib.Path(f"{folder}{file}")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
    subprocess.run(["make", f"PG_CONFIG={os.environ['KOMBO_PGBIN']}/pg_config", "uninstall", f"DESTDIR={folder}"],
                   cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_the_bundle_for_pgxn_has_what_its_metadata_names(folder):  # noqa: F811
    if not shutil.which("git"):
        pytest.skip("no git here")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns("*.o", "*.so", ".git", "dist", "build", "kombo_sync--*"))
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for command in ([*git, "init", "-q"], [*git, "add", "."], [*git, "commit", "-q", "-m", "All"],
                    ["make", "dist", f"PG_CONFIG={os.environ['KOMBO_PGBIN']}/pg_config"]):
        subprocess.run(command, cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    meta = json.loads((ROOT / "META.json").read_text(encoding="utf-8"))
    name = f"{meta['name']}-{meta['version']}"
    with zipfile.ZipFile(tree / "dist" / f"{name}.zip") as bundle:
        names = set(bundle.namelist())
        assert json.loads(bundle.read(f"{name}/META.json")) == meta
    for provided in meta["provides"].values():
        assert {f"{name}/{provided['file']}", f"{name}/{provided['docfile']}", f"{name}/Makefile"} <= names


def lint(name, tree):
    """The status of one lint in that tree, and what it says."""
    done = subprocess.run(["bash", "-c", f"source {ROOT}/test/stage.sh; source {ROOT}/test/lint.sh; SRC=$PWD; {name}"],
                          cwd=tree, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_lint_names_each_commit_subject_that_is_no_good(folder):  # noqa: F811
    def commit(subject):
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", subject], cwd=folder, check=True)

    assert lint("lint_commit_subjects", folder) == (77, "commit subjects are not read: no git here\n")
    if not shutil.which("git"):
        return
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    commit("what was before the check is not looked at.")
    assert lint("lint_commit_subjects", folder)[0] == 77
    (folder / "test").mkdir()
    (folder / "test/lint.sh").write_text("lint_commit_subjects() {\n", encoding="utf-8")
    subprocess.run([*git, "add", "."], cwd=folder, check=True)
    commit("Read subjects of commits")
    commit("Keep the worker alive when temp_file_limit is reached")
    assert lint("lint_commit_subjects", folder) == (0, "")
    bad = ["keep it", "Keep it.", "Added a test", "Keep " + "x" * 68]
    for subject in bad:
        commit(subject)
    status, said = lint("lint_commit_subjects", folder)
    assert status == 1 and sorted(said.splitlines()) == sorted(f"commit subject: {subject}" for subject in bad)


def test_lint_finds_long_lines_outside_tables(folder):  # noqa: F811
    (folder / "a.md").write_text(f"| {'x' * 130} |\n{'ü' * 120}\n{'x' * 121}\n", encoding="utf-8")
    (folder / "b.cpp").write_text("// " + "x" * 120, encoding="utf-8")
    assert lint("lint_line_length", folder) == (1, "a.md:3: 121 columns, at most 120\n"
                                                   "b.cpp:1: 123 columns, at most 120\n")


@pytest.mark.parametrize("file, old, new", [("META.json", '"version": "', '"version": "9'), ("README.md", "0.", "9."),
                                            ("kombo_sync.control", "default_version = '", "default_version = '9"),
                                            ("debian/changelog", "kombo-sync (", "kombo-sync (9"),
                                            ("test/unit/CMakeLists.txt", 'SYNC_VERSION="', 'SYNC_VERSION="9')])
def test_lint_finds_a_version_that_differs(folder, file, old, new):  # noqa: F811
    for name in ("META.json", "README.md", "kombo_sync.control", "Makefile", "CMakeLists.txt", "CHANGELOG.md",
                 "debian/changelog", "test/unit/CMakeLists.txt",
                 *(f"sql/upgrade/{f.name}" for f in (ROOT / "sql/upgrade").iterdir())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    assert lint("lint_versions", folder)[0] == 0
    (folder / file).write_text((folder / file).read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    status, said = lint("lint_versions", folder)
    assert status == 1 and file in said, said


@pytest.mark.skipif(not shutil.which("clang-format") or MAJOR != "15", reason="Debian 12's clang-format is not here")
def test_format_formats_what_lint_would_find(folder):  # noqa: F811
    (folder / "src").mkdir()
    (folder / "test").mkdir()
    shutil.copy(ROOT / ".clang-format", folder)
    (folder / "src/a.cpp").write_text("int  a ;\n\n", encoding="utf-8")
    (folder / "src/b.h").write_text("int b;\n", encoding="utf-8")
    assert lint("lint_clang_format", folder)[0] != 0
    assert lint("format_all", folder) == (0, "formatted src/a.cpp\nformatted: 1 files\n")
    assert (folder / "src/a.cpp").read_text(encoding="utf-8") == "int a;\n"
    assert lint("lint_clang_format", folder)[0] == 0
