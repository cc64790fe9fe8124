"""The rows as text and as docs/performance.md."""

import datetime
import math
import pathlib
import re
import statistics
import textwrap

import chart
import machine
from rows import Point, Row, figure
from stand import SETTINGS

NOTES = ("<!-- notes: written by hand, kept by ./bench -->", "<!-- end of notes -->")

INTRODUCTION = """# Performance

`./bench` measures all of this in about a quarter of an hour and writes this page. An absolute time says more about the
machine than about the program, so most results are **ratios**: kombo_sync and something else do the same work, one
after the other, on the same machine, in several rounds. The sandbox server (`test/sandbox`) on the loopback interface
takes Kombo's place.
"""

READING = """## How to read it

* kombo_sync always comes first. `1.10 times the time` means that it took 10 % longer than the other; `5.00 times as
  fast` means that the other took five times as long.
* A result is the median of the rounds, with the smallest and the largest in parentheses. A row without parentheses was
  measured once. *kombo_sync* and *other* are the medians of both sides.
* The sandbox server, PostgreSQL and the measured program share the machine's cores. `less the transfer` means that the
  time is subtracted in which the raw client (`test/bench/raw_client.cpp`, which requests pages and does nothing with
  them) fetches the same pages in the same round.
* First syncs write to empty tables with all their indexes. A checkpoint runs before much is written. Tables are
  vacuumed before a sync that finds nothing changed, so that autovacuum, which is on, does not run during it.
* `COPY` reads binary files on the server into the same tables, in one transaction.
* `webhook` is measured by PostgreSQL's commit timestamps (`track_commit_timestamp`). `memory` is the backend's private
  memory (`RssAnon`), read every 20 ms.
* `pending`: all lists of every integration wait for their first full sync. The same number of runs is timed for each
  size, with `fsync` off, because each page of a full sync waits for the disk otherwise.
"""


def line(found):
    """What the terminal shows of a row; nothing of a point."""
    if not isinstance(found, Row):
        return ""
    goal = f"goal {found.goal.relation} {figure(found.goal.limit)}: {verdict(found)}" if found.goal else "no goal"
    return (f"{found.scenario:10} {value_of(found):40} {goal:28} {found.what} ({found.size})"
            f"{sides_of(found, ': {}, the other {}')}\n")


def goals_missed(found):
    return sum(not one.met for one in found if isinstance(one, Row))


def verdict(row):
    if row.goal is None:
        return ""
    if row.met:
        return "met"
    by = row.goal.missed_by(row.value)
    return f"missed by {by:.0%}" if by >= 0.01 else "missed by less than 1%"


def unit_of(row):
    """What the figure says of kombo_sync; the reader need not know which side was divided by which."""
    if row.unit or not row.ours:
        return row.unit or "times"
    ratio, inverse = row.ours[0] / row.theirs[0], row.theirs[0] / row.ours[0]
    is_inverse = math.isclose(row.values[0], inverse) and not math.isclose(row.values[0], ratio)
    return {"s": "times as fast" if is_inverse else "times the time", "/s": "times the rate"}.get(row.sides, "times")


def value_of(row, spread=True):
    text = f"{figure(row.value)} {unit_of(row)}"
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
    lines = ["## Results\n", "| scenario | what | size | kombo_sync | other | result | goal | |",
             "|---|---|---|--:|--:|--:|--:|---|"]
    for row in rows:
        goal = f"{row.goal.relation} {figure(row.goal.limit)}" if row.goal else "–"
        sides = sides_of(row, "{} | {}") or "|"
        verdict_text = verdict(row)
        lines.append(f"| `{row.scenario}` | {row.what} | {row.size} | {sides} | {value_of(row)} | {goal} | "
                     f"{verdict_text if row.met else f'**{verdict_text}**'} |")
    return "\n".join([*lines, ""])


# What the README shows: the scenario, and how the row begins.
SUMMARY = [("guide", "First full sync"), ("lines", "First full sync"), ("webhook", "Webhook to row, median"),
           ("memory", "Peak memory of the largest"), ("delta", "A delta")]


def summary(rows):
    """Two sentences and five rows."""
    shown = [row for scenario, words in SUMMARY for row in rows
             if row.scenario == scenario and row.what.startswith(words)]
    lines = ["", *sentences(rows, {row.scenario: row for row in shown}), "",
             "| what | result | goal |", "|---|--:|---|"]
    for row in shown:
        lines.append(f"| {row.what} | {value_of(row, spread=False)} | {row.goal.relation} {figure(row.goal.limit)}"
                     f"{'' if row.met else ', **missed**'} |")
    return "\n".join([*lines, "", ""])


def sentences(rows, shown):
    told = ""
    if "guide" in shown and "webhook" in shown:
        told = (f"A first full sync is {figure(shown['guide'].value)} times as fast as the service in Node that "
                f"Kombo's guide describes, and a webhook becomes a row in {figure(shown['webhook'].value)} ms. ")
    goals = [row for row in rows if row.goal]
    failed = sum(not row.met for row in goals)
    told += (f"Of {len(goals)} goals {failed} {'is' if failed == 1 else 'are'} missed; "
             "[docs/performance.md](docs/performance.md#goals-that-are-missed) says which, and why.")
    return textwrap.wrap(told, 120, break_on_hyphens=False)


def missed(rows):
    lines = [textwrap.fill(f"* `{row.scenario}`. {row.what}, {row.size}: {value_of(row)} where the goal is "
                           f"{row.goal.relation} {figure(row.goal.limit)}, {verdict(row)}.",
                           120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
             for row in rows if not row.met]
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
