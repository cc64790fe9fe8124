"""What tests of the worker's life in its server do and look at: how it stands, whether it works, what the log has."""

import time

from syncing import one
from worker import send_webhook, until, wait_requested

EMPLOYEES = "/hris/employees"
GROUPS = "/hris/groups"
LAUNCHER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'kombo_sync launcher'"


def first_row(db):
    """What sync_status says of the worker."""
    return db.execute("SELECT * FROM kombo.sync_status WHERE integration_id IS NULL")[0]


def wait_state(db, state, timeout=20):
    return until(db, lambda: (row := first_row(db))["state"] == state and row, timeout, f"the state {state}")


def assert_a_change_arrives(db, sandbox, value, timeout=15):
    """A change that a webhook announces becomes a row."""
    person = sandbox.dump("hris_employees")[0]["id"]
    sandbox.record("change", "hris_employees", person, {"job_title": value})
    send_webhook(db, sandbox)
    until(db, lambda: one(db, "hris_employees", person)["job_title"] == value, timeout, "the change")


def in_the_middle_of_a_fetch(db, sandbox):
    """A webhook's fetch that Kombo does not answer, until sandbox.faults()."""
    sandbox.faults({"path": EMPLOYEES, "hang": True})
    sandbox.clear_requests()
    send_webhook(db, sandbox)
    wait_requested(db, sandbox, EMPLOYEES)


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def text_of(log):
    return log.read_text(encoding="utf-8", errors="replace")
