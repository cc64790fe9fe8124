"""Runs the scenarios, prints their rows, and writes docs/performance.md and its charts where it is told to.
Called by ./bench, which sets PYTHONPATH and KOMBO_…; see there."""

import argparse
import dataclasses
import importlib
import pathlib
import time

# name: (the module that has the function of that name, what it does)
SCENARIOS = {
    "line": ("network", "one list by a function call, beside curl that fetches the same pages one after the other"),
    "lines": ("network", "all lists by the worker, beside a client that only asks for the same pages, as many at once"),
    "first": ("writing", "a first full sync without latency, beside binary COPY of the same rows"),
    "unchanged": ("writing", "a full sync with nothing changed, beside that COPY; the WAL that it writes"),
    "changed": ("writing", "a full sync with 1 % changed, beside one with nothing changed"),
    "guide": ("others", "the service in Node that Kombo's guide describes, beside ours"),
    "sql": ("others", "upserts by jsonb_to_recordset, a statement a page, beside ours"),
    "row": ("others", "upserts, a statement a row, beside ours"),
    "webhook": ("latency", "from the commit of a webhook to that of its row, less the HTTP request"),
    "many": ("network", "a delta of very many integrations by the worker, beside a client that only asks the same"),
    "memory": ("growth", "private memory of a backend in a first full sync, by size of the data"),
    "delta": ("growth", "the same small delta with ever more rows stored, less the HTTP request"),
    "pending": ("growth", "first full syncs by the worker with ever more integrations that wait for theirs"),
    "micro": ("others", "reading and decoding of pages, beside simdjson that merely walks through them"),
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """So that all of it, and the build before it, takes less than a quarter of an hour on two cores."""
    rounds: int = 3
    line: int = 100_000
    lines: int = 10_000
    written: tuple = (1_000, 10_000, 50_000)
    recruiting: int = 200_000
    changed: int = 10_000
    guide: int = 200
    sql: int = 5_000
    row: int = 1_000
    webhooks: int = 300
    integrations: int = 1_000
    stored: tuple = (10_000, 100_000, 1_000_000)
    deltas: int = 60
    pending: tuple = (100, 1_000, 10_000)
    micro: int = 2_500
    settings: dict = dataclasses.field(default_factory=dict)  # of PostgreSQL, beside those of the stand


QUICK = Sizes(rounds=1, line=500, lines=100, written=(100, 500), recruiting=200, changed=1_000, guide=20, sql=250,
              row=100, webhooks=10, integrations=10, stored=(100, 500), deltas=3, pending=(2, 4), micro=250,
              settings={"fsync": "off", "shared_buffers": "64MB"})


def main():
    options = parse()
    if options.list:
        for name, (_, what) in SCENARIOS.items():
            print(f"{name:10} {what}")
    elif not options.check:
        run(options, sizes_of(options))


def sizes_of(options):
    sizes = QUICK if options.quick else Sizes()
    return dataclasses.replace(sizes, rounds=options.rounds) if options.rounds else sizes


def run(options, sizes):
    # Here only: they need psycopg, which ./bench may have to install first.
    report = importlib.import_module("report")
    stand = importlib.import_module("stand").Stand(sizes)
    found, lasted = [], {}
    try:
        for name in options.scenarios or SCENARIOS:
            began = time.monotonic()
            for one in getattr(importlib.import_module(SCENARIOS[name][0]), name)(stand):
                found.append(one)
                print(report.line(one), end="", flush=True)
            lasted[name] = time.monotonic() - began
            print(f"{name:10} took {lasted[name]:.0f} s", flush=True)
        if options.out:
            report.write(options.out, options.notes_from, found, stand, sum(lasted.values()) / 60)
    finally:
        stand.close()
    print(f"{len(lasted)} scenarios, {report.goals_missed(found)} goals missed")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true", help="only look at the arguments")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--out", type=pathlib.Path, help="folder for performance.md and its charts")
    parser.add_argument("--notes-from", type=pathlib.Path, help="the performance.md whose notes are kept")
    options = parser.parse_args()
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"unknown scenario \"{unknown[0]}\"; the scenarios are {', '.join(SCENARIOS)}")
    return options


if __name__ == "__main__":
    main()
