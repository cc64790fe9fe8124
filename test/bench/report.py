"""The rows as text and as docs/performance.md."""

import datetime
import pathlib
import re
import statistics

import chart
import machine
from rows import Point, Row, figure
from stand import SETTINGS

NOTES = ("<!-- notes: written by hand, kept by ./bench -->", "<!-- end of notes -->")

INTRODUCTION = """# Performance

Made by `./bench`, which measures what is below in about a quarter of an hour and writes this page. An absolute time
says more about the machine than about the program. So what counts here are **ratios**: two things done one after the
other in the same run on the same machine, several rounds, a ratio for each round. Kombo is the sandbox server
(`test/sandbox`), on the loopback interface.
"""

READING = """## How to read it

* *Ratio* is the median of the rounds, with the smallest and the largest behind it; a row without them was measured
  once. Beside it what both sides took (median): *ours* and *beside*. Where a row is not a ratio, its figure bears
  a unit.
* The sandbox Kombo server, PostgreSQL and what is measured share the machine's cores. `less the transfer` means that
  the time in which the raw client (`test/bench/raw_client.cpp`: it asks, and does nothing with the answers) fetches
  the same pages in the same round is taken off.
* First syncs are into emptied tables, with all their indexes. A checkpoint comes before what writes much, and not
  during it. Tables are vacuumed before a sync that finds nothing changed, so that autovacuum, which is on, does not
  come to them just then.
* `COPY` reads binary files that lie on the server into the same tables, in one transaction.
* `webhook` goes by the times that the server itself keeps of commits (`track_commit_timestamp`). `memory` is what is
  private to the backend (`RssAnon`), looked at every 20 ms.
* `pending`: all lists of every integration wait for their first full sync. Of each size as many runs are timed as the
  smallest has in all, with `fsync` off: each page of a full sync waits for the disk otherwise.
"""


def line(found):
    """What the terminal shows of a row; nothing of a point."""
    if not isinstance(found, Row):
        return ""
    goal = f"goal {found.goal.relation} {figure(found.goal.limit)}: {verdict(found)}" if found.goal else "no goal"
    return (f"{found.scenario:10} {value_of(found):26} {goal:28} {found.what} ({found.size})"
            f"{sides_of(found, ': {} beside {}')}\n")


def goals_missed(found):
    return sum(not one.met for one in found if isinstance(one, Row))


def verdict(row):
    if row.goal is None:
        return ""
    return "met" if row.met else f"missed by {row.goal.missed_by(row.value):.0%}"


def value_of(row, spread=True):
    unit = f" {row.unit}" if row.unit else ""
    text = f"{figure(row.value)}{unit}"
    if spread and len(row.values) > 1:
        text += f" ({figure(min(row.values))}–{figure(max(row.values))})"
    return text


def sides_of(row, form):
    if not row.ours:
        return ""
    return form.format(*(f"{figure(statistics.median(side))} {row.sides}" for side in (row.ours, row.theirs)))


def write(folder, notes_from, found, stand, minutes):
    """performance.md, its charts, and summary.md for the README, into `folder`."""
    rows = [one for one in found if isinstance(one, Row)]
    points = [one for one in found if isinstance(one, Point)]
    parts = [INTRODUCTION, machine_section(stand, minutes), READING, table(rows), missed(rows),
             notes(notes_from), charts(folder, points)]
    (folder / "performance.md").write_text("\n".join(parts), encoding="utf-8")
    (folder / "summary.md").write_text(summary(rows), encoding="utf-8")


def machine_section(stand, minutes):
    told = ", ".join(f"`{name} = {value}`" for name, value in SETTINGS.items())
    lines = [f"| {name} | {value} |" for name, value in machine.facts(stand)]
    return "\n".join([f"Last run: {datetime.date.today()}, {minutes:.0f} minutes without the build, "
                      f"{stand.sizes.rounds} rounds.\n", "| | |", "|---|---|", *lines,
                      f"| settings | {told}; all else as PostgreSQL has it |", ""])


def table(rows):
    lines = ["## Results\n", "| scenario | what | size | ours | beside | ratio or figure | goal | |",
             "|---|---|---|--:|--:|--:|--:|---|"]
    for row in rows:
        goal = f"{row.goal.relation} {figure(row.goal.limit)}" if row.goal else "–"
        sides = sides_of(row, "{} | {}") or "|"
        verdict_text = verdict(row)
        lines.append(f"| `{row.scenario}` | {row.what} | {row.size} | {sides} | {value_of(row)} | {goal} | "
                     f"{verdict_text if row.met else f'**{verdict_text}**'} |")
    return "\n".join([*lines, ""])


def summary(rows):
    lines = ["", "| what | ratio or figure | goal |", "|---|--:|--:|"]
    lines += [f"| {row.what} | {value_of(row, spread=False)} | {row.goal.relation} {figure(row.goal.limit)} |"
              for row in rows if row.goal]
    return "\n".join([*lines, "", ""])


def missed(rows):
    lines = [f"* `{row.scenario}`, {row.what[0].lower()}{row.what[1:]}: {value_of(row)} where the goal is "
             f"{row.goal.relation} {figure(row.goal.limit)}, {verdict(row)}." for row in rows if not row.met]
    return "\n".join(["## Goals that are missed\n", *(lines or ["None."]), ""])


def notes(file):
    """What stands between the two marks of the page as it is."""
    begin, end = NOTES
    kept = "\n\n"
    if file and pathlib.Path(file).exists():
        found = re.search(re.escape(begin) + "(.*?)" + re.escape(end), pathlib.Path(file).read_text(encoding="utf-8"),
                          re.DOTALL)
        kept = found[1] if found else kept
    return f"{begin}{kept}{end}\n"


CHARTS = {
    "time": ("Seconds by number of employees", "seconds", True),
    "memory": ("Private memory of a backend by number of employees, MB", "MB", False),
}


def charts(folder, points):
    parts = ["## By size of the data\n"]
    for name, (title, unit, logarithmic) in CHARTS.items():
        series = {}
        for point in points:
            if point.chart == name:
                series.setdefault(point.series, []).append((point.x, point.y))
        if series:
            file = f"performance-{name}.svg"
            (folder / file).write_text(chart.svg(title, unit, series, logarithmic), encoding="utf-8")
            parts.append(f"![{title}]({file})\n")
    return "\n".join(parts)
