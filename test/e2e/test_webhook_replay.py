"""Webhooks that come again where their first delivery is forgotten, and floods of rows that nobody signed."""

from cluster import Database
from judging import judge
from worker import data_changed, inbox, runs, send_webhook, serve, sign, until, wait_judged, wait_synced

GROUPS = "/hris/groups"


def test_a_webhook_that_is_replayed_after_pruning_costs_one_delta(few, sandbox):
    body = data_changed(sandbox.integration, "hris_teams")
    assert judge(few, body)["status"] == "done"
    wait_synced(few)
    few.execute("DELETE FROM kombo.webhook_inbox")  # as the retention does
    before = len(runs(few, GROUPS))
    few.execute("""INSERT INTO kombo.webhook_inbox (body, signature) SELECT %s, %s FROM generate_series(1, 300)""",
                [body, sign(body)])
    wait_judged(few)
    wait_synced(few)
    assert inbox(few) == {"done": 1, "ignored": 299}
    assert len(runs(few, GROUPS)) == before + 1


def test_a_webhook_that_is_replayed_to_a_restored_copy_costs_nothing(few, sandbox):
    old, new = data_changed(sandbox.integration, "hris_teams"), data_changed(sandbox.integration, "hris_teams")
    assert judge(few, old)["status"] == "done"
    wait_synced(few)
    cluster = few.cluster
    dump = cluster.folder / "replay.dump"
    cluster.program("pg_dump", "-Fc", "-f", dump, few.name)
    copy = Database(cluster, cluster.new_database())
    try:
        cluster.program("pg_restore", "-d", copy.name, dump)
        serve(copy)
        sandbox.clear_requests()
        for body, status in ((old, "ignored"), (new, "done")):
            assert judge(copy, body)["status"] == status
        assert copy.execute("SELECT DISTINCT state FROM kombo.sync_status WHERE integration_id IS NOT NULL") == [
            {"state": "restored"}]
        assert sandbox.requests() == []
    finally:
        cluster.reset_settings()
        copy.drop()
        dump.unlink()


def test_a_flood_of_unsigned_rows_costs_no_request_and_little_room(few, sandbox):
    sandbox.clear_requests()
    few.execute("ALTER TABLE kombo.webhook_inbox SET (autovacuum_enabled = off)")
    few.execute("""INSERT INTO kombo.webhook_inbox (body, signature)
                   SELECT '{}', nullif(repeat('A', 43 * (n & 1)), '') FROM generate_series(1, 5000) n""")
    # Random text is not compressed.
    few.execute("""INSERT INTO kombo.webhook_inbox (body, signature)
                   SELECT r.body, repeat('A', 43) FROM generate_series(1, 40) n CROSS JOIN LATERAL (
                       SELECT string_agg(md5(n || ' ' || m), '') AS body FROM generate_series(1, 32000) m) r""")
    # It waits for no more than the rows before it.
    genuine = send_webhook(few, sandbox, "hris_teams")
    until(few, lambda: few.value("SELECT status FROM kombo.webhook_inbox WHERE id = %s", [genuine]) == "done", 60,
          "the judgement of the genuine one")
    wait_judged(few)
    wait_synced(few)
    assert inbox(few) == {"rejected": 5040, "done": 1}
    assert {request["path"] for request in sandbox.requests()} == {GROUPS} and len(sandbox.requests()) < 4
    assert few.value("SELECT max(octet_length(body)) FROM kombo.webhook_inbox") == 16384
    few.execute("VACUUM FULL kombo.webhook_inbox")
    assert few.value("SELECT pg_total_relation_size('kombo.webhook_inbox')") < 3_000_000
