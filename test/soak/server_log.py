"""What the server's log may say after a soak: nothing that the steps did not cause."""

import re

from world import API_KEY, WEBHOOK_SECRET, Finding

LINE = re.compile(r"^\S+ \S+ UTC \[(\d+)\] (.*?)(PANIC|FATAL|ERROR|WARNING|LOG):  (.*)$")
NEVER = re.compile(r"TRAP:|PANIC:|was terminated by signal (?!9|3)|stuck spinlock|invalid memory alloc|cache lookup failed"
                   r"|could not (open|read|write) file|unexpected|leak|corrupt")
EXPECTED = re.compile("|".join([
    r"the database system is ", r"terminating connection ", r"terminating background worker",
    r"canceling (autovacuum|statement) ", r"lock timeout", r"could not obtain lock",
    r"not here, said a soak trigger", r"violates check constraint \"soak_", r"current transaction is aborted",
]))


def check(world):
    """Reads what is new in the log."""
    with open(world.cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(world.log_start)
        text = log.read()
        world.log_start = log.tell()
    for secret in (API_KEY, WEBHOOK_SECRET):
        if secret in text:
            line = next(line for line in text.splitlines() if secret in line)
            raise Finding("secret in the log", line)
    for line in text.splitlines():
        if NEVER.search(line):
            raise Finding("log", f"{line}\n{text[-3000:]}")
        found = LINE.match(line)
        if found and found[3] in ("FATAL", "ERROR", "WARNING") and not EXPECTED.search(line):
            world.said.setdefault(re.sub(r"[0-9a-f]{8}|\d+|\"[^\"]*\"", "#", found[2].split(" ")[0] + " " + found[3] +
                                         " " + found[4]), line)
