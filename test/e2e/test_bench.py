"""The benchmark does what it says, by tiny sizes whose figures say nothing."""

import re
import xml.etree.ElementTree

import pytest

from cluster import needed
from test_commands import ROOT, folder, processes_of, run  # noqa: F401  (a fixture)

NOTES = re.compile("<!-- notes.*?-->(.*?)<!-- end of notes -->", re.DOTALL)


@pytest.fixture
def page(folder):  # noqa: F811
    """The folder that the page is written into."""
    for name in ("KOMBO_PGBIN", "KOMBO_SANDBOX", "KOMBO_BENCH", "KOMBO_GUIDE"):
        needed(name)
    return folder / "page"


def scenarios(where):
    _, listed = run("./bench", "--list", folder=where, timeout=20)
    return [line.split()[0] for line in listed.splitlines()]


@pytest.mark.time_limit(600)
def test_every_scenario_of_the_benchmark_runs_and_the_page_has_its_rows(folder, page):  # noqa: F811
    names = scenarios(folder)
    status, output = run("./bench", "--quick", "--out", str(page), folder=folder, timeout=590)
    assert status == 0, output
    assert re.findall(r"^(\w+) +took \d+ s$", output, re.M) == names and len(names) >= 13
    assert re.search(rf"^{len(names)} scenarios, \d+ goals missed$", output.splitlines()[-1]), output
    text = (page / "performance.md").read_text(encoding="utf-8")
    for name in names:
        assert re.search(rf"^\| `{name}` \| .+ \|", text, re.M), f"{name} has no row:\n{text}"
    charts = re.findall(r"!\[.+\]\((.+\.svg)\)", text)
    assert {file.name for file in page.iterdir()} == {"performance.md", *charts} and charts
    for chart in charts:
        assert xml.etree.ElementTree.parse(page / chart).findall(".//{*}polyline"), chart
    kept = NOTES.search((ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))[1]
    assert kept.strip() and NOTES.search(text)[1] == kept
    assert [file.name for file in folder.iterdir()] == ["page"] and processes_of(folder) == []


def test_some_scenarios_are_measured_without_a_page(folder, page):  # noqa: F811
    before = (ROOT / "docs" / "performance.md").stat().st_mtime_ns
    status, output = run("./bench", "--quick", "changed", folder=folder, timeout=100)
    assert status == 0 and output.splitlines()[-1].startswith("1 scenarios, "), output
    assert not page.exists() and (ROOT / "docs" / "performance.md").stat().st_mtime_ns == before


def test_a_scenario_that_is_not_there_is_refused_before_anything_is_done(folder):  # noqa: F811
    status, output = run("./bench", "everything", folder=folder, timeout=20)
    assert status == 1 and "the scenarios are line, lines" in output
    assert list(folder.iterdir()) == []
