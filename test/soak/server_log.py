"""What the server's log may say after a soak: nothing that the steps did not cause."""

import re

from world import API_KEY, WEBHOOK_SECRET

LINE = re.compile(r"^\S+ \S+ UTC \[(\d+)\] (.*?)(PANIC|FATAL|ERROR|WARNING|LOG):  (.*)$")
NEVER = re.compile("|".join([
    r"TRAP:", r"PANIC:", r"was terminated by signal (?!9|3)", r"stuck spinlock", r"invalid memory alloc",
    r"cache lookup failed", r"could not (open|read|write) file", r"leak", r"corrupt",
    r"unexpected (?!pageaddr|response from Kombo)"]))
EXPECTED = re.compile("|".join([
    # The server's own, of crashes and signals, and ours, of waits for other steps' locks.
    r"the database system is ", r"terminating connection ", r"terminating background worker",
    r"WAL (stream|receiver)", r"(connect to|from) the primary",  # of a standby whose primary is gone
    r"could not open directory \"base/", r"some useless files may be left behind",  # a DROP DATABASE that is done again
    r"canceling (autovacuum|statement) ", r"lock timeout", r"could not obtain lock", r"current transaction is aborted",
    # What calls are told of the state that other steps have brought about.
    r"soak \S+ ERROR:  (integration .* (is paused|is being synced)|endpoint .* is switched off)",
    r"fields that were excluded before are excluded again",  # of columns that came back
    r"no background worker serves this database", r"skipped: sync of .* another session syncs",
    r"integrations? were left out",
    r"changing the foreign-data wrapper handler"]))  # of ALTER EXTENSION UPDATE
# What only some steps explain.
CAUSED = {"gone": r"Kombo does not know this integration",
          "table": r"column .* does not exist|row-level security|violates not-null",
          "signal": r"ended soon after its start",
          "fault": r"sync of .* failed: |failed: sync of |requests? .* failed|A fault of the test",
          "refusal": r"said a soak trigger|violates check constraint \"soak_|could not be stored|parked",
          "lock": r"locked|deadlock detected"}


def check(world):
    """Reads what is new in the log."""
    with open(world.cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(world.log_start)
        text = log.read()
        world.log_start = log.tell()
    expected = re.compile("|".join([EXPECTED.pattern, *(CAUSED[cause] for cause in sorted(world.causes))]))
    world.causes = {"gone"} if any(i.state == "gone" for i in world.integrations.values()) else set()
    for secret in (API_KEY, WEBHOOK_SECRET):
        found = next((line for line in text.splitlines() if secret in line), None)
        world.expect(found is None, "secret", found)
    for line in text.splitlines():
        found = LINE.match(line)
        bad = NEVER.search(line) or (found and found[3] in ("FATAL", "ERROR", "WARNING") and not expected.search(line))
        # Without what differs from run to run: a shorter script has to find the same.
        kind = found and re.sub(r'"[^"]*"|\d+', "…", found[4])
        world.expect(not bad, f"log {kind}", f"{line}\n{text[-3000:]}")
