#!/usr/bin/python3
"""Breaks the code in one place at a time, and sees whether the tests notice:

    mutate.py [--count N] [--seed N] [--seconds N] --build COMMAND --test COMMAND FILE…

COMMANDs run in the working folder, in bash. A change with which the build fails does not count. One that no test fails
for has survived; it is shown. N changes are drawn from the seed. The files are as before afterwards; work on a copy of
the tree all the same."""

import argparse
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

# What is replaced, and by what. Spaces around an operator tell it from template arguments and pointers.
CHANGES = [(r" == ", " != "), (r" != ", " == "), (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "),
           (r" && ", " || "), (r" \|\| ", " && "), (r"\bif \(", "if (!("), (r" \+ 1\b", ""), (r" - 1\b", ""),
           (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"\bcontinue;", ";"), (r"\bbreak;", ";"),
           (r"\breturn true;", "return false;"), (r"!(?=[a-z_(])", ""), (r"\bstd::min\b", "std::max"),
           (r"\bstd::max\b", "std::min"), (r"\bany_of\b", "all_of"), (r"\ball_of\b", "any_of"), (r" \+= ", " -= ")]
# In SQL texts of C++ strings.
SQL_CHANGES = [(r"\bIS NULL", "IS NOT NULL"), (r"\bIS NOT NULL", "IS NULL"), (r" AND ", " OR "), (r" > \$", " >= $"),
               (r" <= \$", " < $"), (r" = \$", " <> $"), (r"\bNOT EXISTS", "EXISTS"), (r"\bIS DISTINCT FROM", "="),
               (r"\bNOT coalesce", "coalesce"), (r"\bDO NOTHING", "DO UPDATE SET synced_at = excluded.synced_at")]


def places(path):
    """(file, line number, old line, new line) of each change that can be made."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        code = line.split("//")[0]
        if not code.strip() or code.lstrip().startswith(("#", "/", "*", "static_assert", "template")):
            continue
        for changes, in_string in ((CHANGES, False), (SQL_CHANGES, True)):
            for pattern, by in changes:
                for found in re.finditer(pattern, code):
                    if (code.count('"', 0, found.start()) % 2 == 1) != in_string:
                        continue
                    new = line[:found.start()] + by + line[found.end():]
                    if by == "if (!(":
                        new = negated(line, found.start())
                    if new:
                        yield path, number, line, new


def negated(line, start):
    """`if (a) …` as `if (!(a)) …`, if the condition ends on the line and declares nothing."""
    depth = 0
    begin = line.index("(", start)
    for at in range(begin, len(line)):
        depth += {"(": 1, ")": -1}.get(line[at], 0)
        if depth == 0:
            condition = line[begin + 1:at]
            declares = ";" in condition or re.search(r"(?<![=!<>])=(?!=)", condition)
            return None if declares else f"{line[:begin]}(!({condition})){line[at + 1:]}"
    return None


def run(command, seconds):
    """Whether it ended well; None: it did not end in time."""
    with subprocess.Popen(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            return None


def judge(place, options):
    path, number, _, new = place
    original = path.read_text(encoding="utf-8")
    lines = original.splitlines(keepends=True)
    lines[number] = new + "\n"
    try:
        path.write_text("".join(lines), encoding="utf-8")
        if not run(options.build, options.seconds):
            return "not built"
        return "survived" if run(options.test, options.seconds) else "killed"
    finally:
        path.write_text(original, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=300, help="for a build, and for a round of tests")
    parser.add_argument("--build", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # by an exception: the file is put back
    if not run(options.build, 3600) or not run(options.test, 3600):
        sys.exit("the tests fail without a change")
    found = [place for path in options.files for place in places(path)]
    chosen = random.Random(options.seed).sample(found, min(options.count, len(found)))
    results = []
    for place in chosen:
        path, number, old, new = place
        began = time.monotonic()
        results.append(judge(place, options))
        print(f"{results[-1]:9} {time.monotonic() - began:4.0f} s {path}:{number + 1}\n    - {old.strip()}\n"
              f"    + {new.strip()}", flush=True)
    run(options.build, 3600)
    killed, survived = results.count("killed"), results.count("survived")
    print(f"{killed} of {killed + survived} changes were noticed, {survived} were not; {len(found)} are possible")


if __name__ == "__main__":
    main()
