"""Prints the tables of docs/reliability.md from the cells: python3 print_faults.py"""

import pathlib
import re
import sys

from cells import AGAIN, LASTS, STORED

HEAD = "| fault | a call | the worker | a query on a live table | stored then |\n|---|---|---|---|---|\n"
FAILS = {AGAIN: "asks again; fails, and soon tries again", LASTS: "fails"}


def words(pattern):
    text = re.sub(r"\.\*", " … ", pattern).replace("server.s", "server's")
    return " or ".join(f"*{part}*" for part in text.split("|"))


def columns(cell):
    state = cell.state.replace("|", " or ")
    if cell.then == STORED:
        shown = {"call": "`ok`", "worker": "`ok`",
                 "live": f"error 08P01: *{cell.live}*" if cell.live else "all rows"}
    else:
        again = "asks again; " if cell.then == AGAIN else ""
        shown = {"call": f"{again}`{cell.status}`, {state}: {words(cell.says)}",
                 "worker": FAILS[cell.then], "live": f"{again}error {state}"}
    return tuple(shown[front] if front in cell.fronts else "–" for front in ("call", "worker", "live")) + (
        cell.kept or "all",)


def statuses(names):
    """["400 with HTML", "401 with HTML"] as "400, 401 with HTML"."""
    forms = {}
    for name in names:
        found = re.match(r"(\d+) (with .*|to elsewhere)", name)
        forms.setdefault(found[2] if found else name, []).append(found[1] if found else "")
    return [f"{', '.join(numbers)} {form}".strip() for form, numbers in forms.items()]


def table(cells):
    """What has the same columns is one row."""
    rows = {}
    for cell in cells:
        rows.setdefault(columns(cell), []).append(cell.what)
    return HEAD + "".join(f"| {'; '.join(statuses(names))} | {' | '.join(shown)} |\n" for shown, names in rows.items())


def database_table(cells):
    lines = ["| what is done | a call, and the worker |", "|---|---|"]
    for cell in cells:
        told = f"`failed`, {cell.state}: {words(cell.says)}" if cell.state else "`ok`"
        lines.append(f"| {cell.what} | {told}{'; all records in `rejected_records`' if cell.parked else ''} |")
    return "\n".join(lines) + "\n"


def main():
    here = pathlib.Path(__file__).resolve().parent
    sys.path[:0] = [str(here.parent / "e2e"), str(here)]
    from groups import GROUPS

    from database_faults import DATABASE

    for group, cells in GROUPS.items():
        print(f"{group}:\n{table(cells)}")
    print(f"database:\n{database_table(DATABASE)}")


if __name__ == "__main__":
    main()
