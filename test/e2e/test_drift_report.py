"""kombo.drift: what a full sync would change, named without changing it."""

import random

import psycopg
import pytest

from syncing import sync_full

EDITED = ("hris_employees", "hris_teams", "hris_absences", "hris_employments", "hris_locations")


def drift(db, sandbox, *what):
    return db.execute("SELECT * FROM kombo.drift(%s, %s)", [sandbox.integration, list(what) or None])


def contents(db):
    return {row["table_name"]: db.execute(f"SELECT * FROM kombo.{row['table_name']} ORDER BY 1, 2")
            for row in db.execute("SELECT table_name FROM kombo.data_tables")}


def edit(db, draw):
    """Edits by hand: {(table, id): (difference, columns)}."""
    edits = {}
    for table in EDITED:
        ids = [row["id"] for row in db.execute(f"SELECT id FROM kombo.{table} ORDER BY id")]
        gone, changed, marked = draw.sample(ids, 3)
        text = db.value("SELECT column_name FROM kombo.fields WHERE table_name = %s AND type = 'text' AND column_name "
                        "NOT LIKE '%%id' ORDER BY position LIMIT 1", [table])
        db.execute(f"DELETE FROM kombo.{table} WHERE id = %s", [gone])
        db.execute(f"UPDATE kombo.{table} SET {text} = 'edited', changed_at = NULL WHERE id = %s", [changed])
        db.execute(f"UPDATE kombo.{table} SET remote_deleted_at = now() WHERE id = %s", [marked])
        db.execute(f"INSERT INTO kombo.{table} (integration_id, id) SELECT integration_id, 'invented' "
                   "FROM kombo.integrations")
        edits |= {(table, gone): ("missing", None), (table, changed): ("differs", ["changed_at", text]),
                  (table, marked): ("differs", ["remote_deleted_at"]), (table, "invented"): ("surplus", None)}
    link = db.execute("DELETE FROM kombo.hris_join_employees_teams WHERE ctid = (SELECT min(ctid) FROM "
                      "kombo.hris_join_employees_teams) RETURNING employee_id || '/' || team_id AS id")[0]["id"]
    db.execute("INSERT INTO kombo.hris_join_employees_teams (integration_id, employee_id, team_id) "
               "SELECT integration_id, 'nobody', 'none' FROM kombo.integrations")
    return edits | {("hris_join_employees_teams", link): ("missing", None),
                    ("hris_join_employees_teams", "nobody/none"): ("surplus", None)}


@pytest.mark.parametrize("seed", range(2))
def test_drift_names_exactly_what_was_edited_by_hand_and_nothing_after_a_full(hris, sandbox, seed):
    sync_full(hris)
    assert drift(hris, sandbox) == []
    edits = edit(hris, random.Random(seed))
    before = contents(hris)
    found = drift(hris, sandbox)
    assert {(row["table_name"], row["id"]): (row["difference"], row["columns"]) for row in found} == edits
    assert len(found) == len(edits)
    for row in found:
        if row["difference"] == "differs":
            assert set(row["stored"]) == set(row["live"]) == set(row["columns"])
            assert all(row["stored"][column] != row["live"][column] for column in row["columns"])
        assert (row["stored"] is None) == (row["difference"] == "missing")
        assert (row["live"] is None) == (row["difference"] == "surplus")
    assert contents(hris) == before
    hris.execute("UPDATE kombo.sync_state SET accept_sweep = true")
    sync_full(hris)
    assert drift(hris, sandbox) == []


def test_drift_counts_per_table_and_takes_models_and_paths(hris, sandbox):
    sync_full(hris)
    hris.execute("UPDATE kombo.hris_teams SET name = 'edited' WHERE id = (SELECT min(id) FROM kombo.hris_teams)")
    said = []
    hris.connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    sandbox.clear_requests()
    assert len(drift(hris, sandbox, "/hris/groups")) == 1
    assert said == ["hris_teams: 0 missing, 0 surplus, 1 differ"]
    assert set(sandbox.paths()) == {"/hris/groups"}
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        drift(hris, sandbox, "hris_unicorns")


def test_drift_of_a_table_that_somebody_writes_waits_for_nobody_and_runs_read_only(hris, sandbox):
    sync_full(hris)
    with hris.connect(autocommit=False) as other:
        other.execute("UPDATE kombo.hris_teams SET name = 'edited'")
        with hris.connection.transaction():
            hris.execute("SET TRANSACTION READ ONLY")
            hris.execute("SET LOCAL lock_timeout = '1s'")
            assert drift(hris, sandbox) == []
        other.rollback()


def test_an_excluded_field_is_no_difference(hris, sandbox):
    sync_full(hris)
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'first_name')")
    assert drift(hris, sandbox) == []


def test_an_answer_that_fails_fails_the_call(hris, sandbox):
    sync_full(hris)
    hris.execute("SET kombo_sync.max_retries = 0")
    sandbox.faults({"path": "/hris/groups", "status": 503, "times": -1})
    with pytest.raises(psycopg.Error) as raised:
        drift(hris, sandbox)
    assert raised.value.sqlstate == "HV000"
