"""Prints docs/reliability.md's table from the cells of test_containment.py: python3 print_containment.py"""

import re

import containment_cells


def said(cell, who):
    """A pattern as words: "column … does not exist"."""
    pattern = {"worker": cell.worker, "function": cell.function}[who]
    if pattern == "":
        return "nothing: it is not affected"
    if pattern is None:
        return "the error, for that list"
    words = re.sub(r"\.\*", " … ", pattern).replace("|", "` or `")
    words = f"`… {re.sub(' +', ' ', words).strip()} …`"
    return f"{words}; all wait" if who in cell.waits else words


def table():
    lines = ["| what is wrong | the worker: `sync_status` says | a call: its rows and messages say |", "|---|---|---|"]
    lines += [f"| {cell.what} | {said(cell, 'worker')} | {said(cell, 'function')} |"
              for cell in containment_cells.CELLS.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
