"""docs/privacy.md: where personal data lie, and that the statements of the page take them away."""

import json
import re

import psycopg
import pytest

from documents import block, replaced, table
from sandbox import INTEGRATION
from syncing import one
from worker import insert_webhooks, send_webhook, wait_judged, wait_synced

PAGE = "docs/privacy.md"
NAME = "Quixquill"  # nobody else's
ASSESSMENT = {"id": "webhook-of-a-candidate", "type": "assessment:order-received",
              "data": {"id": "1", "package_id": "1", "status": "OPEN", "integration_id": INTEGRATION,
                       "candidate": {"email": f"{NAME}@example.com", "first_name": NAME}}}


def kinds():
    """{table of schema kombo: "yes" or "no"} as the page's table says; "data tables" for those of kombo.data_tables."""
    found = {}
    for where, personal, *_ in table(PAGE, "where"):
        names = ["data tables"] if "kombo.data_tables" in where else re.findall(r"`(\w+)`", where)
        found.update({name: personal.split(",")[0].split(":")[0] for name in names})
    return found


def tables_with(db, text):
    """Tables, and pg_stats, in whose rows the text is."""
    named = db.execute("""SELECT c.oid::regclass::text AS name FROM pg_class c
                          WHERE c.relkind IN ('r', 'p', 'm') AND c.relnamespace <> 'pg_catalog'::regnamespace
                            AND c.relnamespace <> 'information_schema'::regnamespace""")
    names = [row["name"] for row in named] + ["pg_stats"]
    return {name for name in names
            if db.value(f"SELECT EXISTS (SELECT FROM {name} t WHERE t::text ILIKE '%%{text}%%')")}


def person_of(sandbox):
    return sandbox.dump("hris_employees")[0]["id"]


def make_distinctive(sandbox):
    """Gives one person the name wherever the record takes a text, in a field that nobody knows, and in one that does
    not fit; the person's id."""
    record = sandbox.dump("hris_employees")[0]
    texts = {key: NAME for key in ("first_name", "last_name", "display_full_name", "job_title", "ssn")}
    sandbox.record("change", "hris_employees", record["id"], {
        **texts, "work_email": f"{NAME}@example.com", "home_address": {"street_1": NAME},
        "custom_fields": {"nickname": NAME}, "remote_data": {"raw": NAME}, "field_of_tomorrow": NAME,
        "date_of_birth": NAME})
    for model, change in (("hris_employments", {"job_title": NAME}), ("hris_absences", {"employee_note": NAME})):
        for its in sandbox.dump(model):
            if its.get("employee_id") == record["id"]:
                sandbox.record("change", model, its["id"], change)
    return record["id"]


@pytest.fixture
def with_person(served, sandbox):
    """A database with a worker that has fetched a distinctive person, refused one of their records, and received
    webhooks; and the person's id."""
    person = make_distinctive(sandbox)
    sandbox.record("create", "hris_absences", "absence-of-person", {"employee_id": person, "employee_note": NAME})
    served.execute(f"ALTER TABLE kombo.hris_absences ADD CONSTRAINT no_notes CHECK (employee_note <> '{NAME}')")
    served.add_integration(sandbox.integration)
    wait_synced(served, states=("fresh", "rejecting"))
    send_webhook(served, sandbox, "hris_employees", "hris_absences")
    insert_webhooks(served, [json.dumps(ASSESSMENT)])
    wait_judged(served)
    wait_synced(served, states=("fresh", "rejecting"))
    served.execute("ANALYZE")
    return served, person


def test_personal_data_lie_where_the_page_says_and_nowhere_else(with_person):
    db, person = with_person
    said = kinds()
    data = {row["name"] for row in db.execute("SELECT relation::text AS name FROM kombo.data_tables")}
    ours = {row["name"]: row["full_name"] for row in db.execute("""
        SELECT relname AS name, oid::regclass::text AS full_name FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text LIKE 'kombo%'""")}
    assert {name for name, full_name in ours.items() if full_name not in data} <= said.keys(), "the page lacks a table"
    found = tables_with(db, NAME)
    assert found - data == {"kombo.rejected_records", "kombo.webhook_inbox", "pg_stats"}
    assert {name for name, kind in said.items() if kind == "yes"} == {"data tables", "rejected_records",
                                                                      "webhook_inbox", "pg_statistic", "pg_stats"}
    employee = one(db, "hris_employees", person)
    assert all(NAME in str(employee[column]) for column in ("extra", "custom_fields", "remote_data")), employee


def test_the_servers_log_has_no_personal_data(with_person):
    db, _ = with_person
    assert NAME not in db.cluster.log.read_text(encoding="utf-8", errors="replace")


def test_data_changed_webhooks_name_nobody(with_person):
    db, person = with_person
    bodies = db.execute("SELECT body FROM kombo.webhook_inbox WHERE webhook_type = 'data-changed'")
    assert bodies and all(NAME not in row["body"] and person not in row["body"] for row in bodies)


def test_an_operator_reads_no_personal_data_and_a_writer_of_webhooks_nothing(with_person):
    db, _ = with_person
    holders = ["hris_employees", "rejected_records", "webhook_inbox"]
    expected = {"operator": [], "webhook_writer": [], "reader": ["hris_employees", "rejected_records"]}
    for kind, readable in expected.items():
        name = f"{kind}_{db.name}"
        db.execute(f"CREATE ROLE {name} LOGIN")
        db.execute(f"SELECT kombo.grant_{kind}(%s)", [name])
        with db.connect(user=name) as connection:
            may = []
            for holder in holders:
                try:
                    connection.execute(f"SELECT * FROM kombo.{holder}")
                    may.append(holder)
                except psycopg.errors.InsufficientPrivilege:
                    pass
        db.execute(f"DROP OWNED BY {name}")
        db.execute(f"DROP ROLE {name}")
        assert may == readable, kind


def test_an_excluded_field_is_stored_from_no_page(served, sandbox):
    sandbox.record("change", "hris_employees", person_of(sandbox), {"ssn": NAME})
    served.execute(block(PAGE, "BEGIN;"))
    wait_synced(served)
    served.execute("ANALYZE")
    assert served.value("SELECT count(*) FROM kombo.hris_employees") > 0
    assert tables_with(served, NAME) == set()


def statements(containing, person):
    """The block of the page that has these words, for that person."""
    return replaced(block(PAGE, containing), {"the id in hris_employees": person})


def files_with(db, text):
    """Folders below the data directory of the server that have a file with this text, but for the log."""
    db.execute("CHECKPOINT")
    found = set()
    for path in db.cluster.data.rglob("*"):
        try:
            if path.is_file() and path != db.cluster.log and text.encode() in path.read_bytes():
                found.add(path.relative_to(db.cluster.data).parts[0])
        except FileNotFoundError:
            pass
    return found


def test_a_person_who_is_erased_is_in_no_table_and_no_file_and_stays_away(with_person, sandbox):
    db, person = with_person
    assert tables_with(db, NAME) >= {"kombo.hris_employees", "kombo.hris_employments", "kombo.rejected_records"}
    assert files_with(db, NAME) == {"base", "pg_wal"}
    find = replaced(block(PAGE, "SELECT id, display_full_name"), {"the e-mail address": f"{NAME}@example.com"})
    lines = [line for line in find.splitlines() if line]
    assert db.execute(lines[0]) == [{"id": person, "display_full_name": NAME}]
    counted = db.execute(lines[1].replace("the id in hris_employees", person))
    assert {"hris_employees", "hris_employments", "rejected_records"} <= {row["erased_from"] for row in counted}
    # Of an order that this integration does not list, and so of nobody's record.
    db.execute(replaced(block(PAGE, "DELETE FROM kombo.webhook_inbox"), {"the e-mail address": NAME}))
    db.execute(lines[2])
    assert tables_with(db, NAME) == set()
    for statement in block(PAGE, "VACUUM FULL;").split(";")[:2]:
        db.execute(statement)
    assert files_with(db, NAME) == {"pg_wal"}
    db.execute("ALTER TABLE kombo.hris_absences DROP CONSTRAINT no_notes")
    for kind in ("delta", "full", "full"):
        db.execute("SELECT kombo.request_sync(NULL, %s)", [kind])
        send_webhook(db, sandbox, "hris_employees", "hris_absences")
        wait_synced(db)
    db.execute("ANALYZE")
    assert tables_with(db, NAME) == set()
    assert db.value("SELECT count(*) FROM kombo.hris_employees") == sandbox.count("hris_employees") - 1
    assert db.execute("SELECT * FROM kombo.drift(%s)", [INTEGRATION]) == []
    searched = db.execute(replaced(block(PAGE, "query_to_xml"), {"the name": NAME}))
    assert all("<id>" not in row["query_to_xml"] for row in searched)
    db.execute(statements("kombo.readmit", person))
    db.execute("SELECT kombo.request_sync(NULL, 'full')")
    wait_synced(db)
    assert one(db, "hris_employees", person)["last_name"] == NAME
