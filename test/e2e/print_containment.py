"""Prints docs/reliability.md's table from the cells of test_containment.py: python3 print_containment.py"""

import test_containment


def table():
    lines = ["| what is wrong | what `sync_status` says |", "|---|---|"]
    for name, (_, _, says) in test_containment.CELLS.items():
        said = f"`… {says} …`" if says else "nothing: nothing is wrong, or the endpoint that it is about says it"
        lines.append(f"| {name} | {said} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
