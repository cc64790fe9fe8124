"""Foreign tables that answer live: IMPORT FOREIGN SCHEMA, and what a SELECT asks Kombo for."""

import pytest

EMPLOYEES = "/hris/employees"


@pytest.fixture
def imported(db, sandbox):
    """`db` with schema live, whose tables are those of the sandbox's integration."""
    import_lists(db, integration_id=sandbox.integration)
    sandbox.clear_requests()
    return db


def import_lists(db, schema="live", remote="hris", only="", **options):
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    listed = ", ".join(f"{name} '{value}'" for name, value in options.items())
    db.execute(f"IMPORT FOREIGN SCHEMA {remote} {only} FROM SERVER kombo_eu INTO {schema}"
               + (f" OPTIONS ({listed})" if listed else ""))


def asked(sandbox, path=EMPLOYEES):
    """The parameters of the requests, without the size of pages."""
    return [{k: v for k, v in r["params"].items() if k != "page_size"} for r in sandbox.requests(path)]


@pytest.mark.sandbox(employees=600)
def test_a_list_is_read_page_by_page_before_anything_is_copied(imported, sandbox):
    rows = imported.execute("SELECT id, first_name, date_of_birth, employments, extra FROM live.hris_employees")
    assert len(rows) == 600 and len({row["id"] for row in rows}) == 600
    assert sandbox.paths() == {EMPLOYEES: 3}
    record = sandbox.admin("GET", "records", model="hris_employees", id=rows[0]["id"])
    record = record.get("results", [record])[0]
    assert rows[0]["first_name"] == record["first_name"]
    assert imported.value("SELECT count(*) FROM kombo.hris_employees") == 0
