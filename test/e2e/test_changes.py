"""kombo.changes: what changed in a table, noted for consumers that come when they like."""

import psycopg
import pytest

from syncing import sync_full

TEAMS = "hris_teams"


@pytest.fixture
def tracked(hris, sandbox):
    """`hris` with everything fetched, and the changes of hris_teams noted from now on."""
    sync_full(hris)
    hris.execute("SELECT kombo.track_changes('hris_teams')")
    return hris


def read(db, consumer="search", limit=1000):
    return db.execute("SELECT * FROM kombo.read_changes(%s, %s)", [consumer, limit])


def done(db, rows, consumer="search"):
    db.execute("SELECT kombo.acknowledge(%s, %s)", [consumer, rows[-1]["position"]])


def ids(rows):
    return [row["id"] for row in rows]


def rename(connection, team, name):
    connection.execute("UPDATE kombo.hris_teams SET name = %s WHERE id = %s", [name, team])


def teams(db):
    return [row["id"] for row in db.execute("SELECT id FROM kombo.hris_teams ORDER BY id")]


def test_each_changed_row_is_one_change_and_an_unchanged_one_is_none(tracked, sandbox):
    sync_full(tracked)
    assert read(tracked) == []
    team = teams(tracked)[0]
    sandbox.record("change", TEAMS, team, set={"name": "Renamed"})
    sync_full(tracked)
    other = teams(tracked)[1]
    rename(tracked, other, "By hand")
    tracked.execute("DELETE FROM kombo.hris_teams WHERE id = %s", [team])
    sync_full(tracked)
    found = [(row["operation"], row["id"], row["columns"], row["who"]) for row in read(tracked)]
    assert found[:3] == [("update", team, ["changed_at", "name"], "sync"), ("update", other, ["name"], "hand"),
                         ("delete", team, None, "hand")]
    assert sorted(found[3:]) == [("insert", team, None, "sync"), ("update", other, ["name"], "sync")]


def test_a_join_table_and_a_truncated_one_are_tracked_too(tracked):
    tracked.execute("SELECT kombo.track_changes('hris_join_employees_teams')")
    link = tracked.execute("DELETE FROM kombo.hris_join_employees_teams WHERE ctid = (SELECT min(ctid) FROM "
                           "kombo.hris_join_employees_teams) RETURNING employee_id || '/' || team_id AS id")[0]["id"]
    tracked.execute("TRUNCATE kombo.hris_teams")
    assert [(row["operation"], row["id"]) for row in read(tracked)] == [("delete", link), ("truncate", None)]


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(tracked):
    some = teams(tracked)
    for team in some[:4]:
        rename(tracked, team, "x")
    first = read(tracked, limit=3)
    assert ids(first) == ids(read(tracked, limit=3)) == some[:3]
    done(tracked, first[:2])
    assert ids(read(tracked)) == some[2:4]
    done(tracked, first[:1])  # an earlier position changes nothing
    assert ids(read(tracked)) == some[2:4]
    # Another consumer has all that is kept.
    assert ids(read(tracked, "mail")) == some[2:4]


def test_what_commits_late_is_not_skipped(tracked):
    late, early = teams(tracked)[:2]
    with tracked.connect(autocommit=False) as slow, tracked.connect() as quick:
        rename(slow, late, "slow")
        rename(quick, early, "quick")
        assert read(tracked) == []  # the slow one may still commit, with a lower position
        slow.commit()
    found = read(tracked)
    assert sorted(ids(found)) == sorted([late, early])
    done(tracked, found)
    assert read(tracked) == []


def test_two_writers_at_once_lose_nothing(tracked):
    some = teams(tracked)[:2]
    seen = []
    with tracked.connect(autocommit=False) as one, tracked.connect(autocommit=False) as other:
        for i in range(20):
            rename(one, some[0], f"a{i}")
            rename(other, some[1], f"b{i}")
            (one if i % 2 else other).commit()
            found = read(tracked)
            if found:
                seen += found
                done(tracked, found)
            (other if i % 2 else one).commit()
    seen += read(tracked)
    positions = [row["position"] for row in seen]
    assert len(seen) == 40 and len(set(positions)) == 40


def test_a_crash_between_reading_and_acknowledging_brings_the_change_again(own, sandbox):
    own.add_integration(sandbox.integration)
    own.execute("SELECT kombo.track_changes('hris_teams')")
    own.execute("INSERT INTO kombo.hris_teams (integration_id, id, name) VALUES ('x', 'y', 'z')")
    mine = [row for row in read(own) if row["who"] == "hand"]
    assert ids(mine) == ["y"]
    own.cluster.stop("immediate")
    own.cluster.start_again()
    own.reconnect()
    assert ids([row for row in read(own) if row["who"] == "hand"]) == ["y"]


def test_a_consumer_that_never_comes_holds_up_deletion_until_retention_and_is_told(tracked):
    some = teams(tracked)
    read(tracked, "absent")
    rename(tracked, some[0], "x")
    done(tracked, read(tracked))
    assert tracked.value("SELECT count(*) FROM kombo.changes") == 1
    lag = tracked.execute("SELECT consumer, changes, lag >= '0' AS late FROM kombo.change_lag ORDER BY 1")
    assert [(row["consumer"], row["changes"], row["late"]) for row in lag] == [("absent", 1, True), ("search", 0, None)]
    tracked.execute("UPDATE kombo.changes SET at = at - interval '31 days'")
    assert tracked.value("SELECT kombo_internal.prune_changes()") == 1
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as lost:
        read(tracked, "absent")
    assert "acknowledge" in lost.value.diag.message_hint
    assert read(tracked) == []
    tracked.execute("SELECT kombo.acknowledge('absent', NULL)")
    rename(tracked, some[1], "x")
    assert ids(read(tracked, "absent")) == [some[1]]


def test_what_all_have_acknowledged_is_deleted_also_by_syncs(tracked):
    rename(tracked, teams(tracked)[0], "x")
    found = read(tracked)
    done(tracked, found)
    assert tracked.value("SELECT count(*) FROM kombo.changes") == 0
    tracked.execute("DELETE FROM kombo.change_consumers")
    tracked.execute("INSERT INTO kombo.changes (table_name, operation, at) VALUES ('x', 'truncate', now() - "
                    "interval '31 days')")
    sync_full(tracked, what="/hris/groups")
    assert tracked.value("SELECT count(*) FROM kombo.changes WHERE table_name = 'x'") == 0


def test_it_costs_nothing_where_it_is_off(tracked):
    tracked.execute("SELECT kombo.untrack_changes('hris_teams')")
    rename(tracked, teams(tracked)[0], "x")
    assert read(tracked) == []
    assert tracked.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'kombo_changes%'") == 0


def test_roles_that_write_or_consume_need_no_more_than_that(tracked):
    for role in ("change_editor", "change_reader"):
        tracked.execute(f"CREATE ROLE {role} LOGIN")
    try:
        tracked.execute("GRANT SELECT, UPDATE ON kombo.hris_teams TO change_editor")
        tracked.execute("SELECT kombo.track_changes('hris_teams')")
        tracked.execute("SELECT kombo.grant_consumer('change_reader')")
        with tracked.connect("change_editor") as editor:
            rename(editor, teams(tracked)[0], "x")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                editor.execute("SELECT * FROM kombo.changes")
        with tracked.connect("change_reader") as reader:
            rows = reader.execute("SELECT * FROM kombo.read_changes('search')").fetchall()
            assert len(rows) == 1
            reader.execute("SELECT kombo.acknowledge('search', %s)", [rows[0]["position"]])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("SELECT * FROM kombo.hris_teams")
    finally:
        for role in ("change_editor", "change_reader"):
            tracked.execute(f"DROP OWNED BY {role}")
            tracked.execute(f"DROP ROLE {role}")


def test_a_table_that_is_not_there_is_an_error(tracked):
    with pytest.raises(psycopg.errors.UndefinedTable):
        tracked.execute("SELECT kombo.track_changes('hris_unicorns')")
    with pytest.raises(psycopg.errors.UndefinedObject):
        tracked.execute("SELECT kombo.acknowledge('nobody', 1)")
