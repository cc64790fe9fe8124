"""Each category of Kombo's, list by list and model by model as the catalogue has them: the first full fetch, deltas,
nested lists, sweeps, drift, and the worker."""

import pytest

from categories import CATEGORIES, LINKS, change, connect, drift, lists_of, shown, text_key
from live_tables import assert_live_as_stored, import_lists
from syncing import assert_ok, one, outcome, same_as_sandbox, sync_delta, sync_full, wait_until
from worker import until, wait_synced


@pytest.fixture(params=CATEGORIES)
def category(request, db, sandbox):
    """A category with an integration of it, which subscribes to every list that is on by default."""
    return connect(db, sandbox, request.param)


def test_a_first_full_stores_every_list_of_the_category(db, sandbox, category):
    ran = assert_ok(sync_full(db, sandbox.integration))
    wanted = db.execute("SELECT path FROM kombo.endpoints WHERE category = %s AND enabled", [category])
    assert set(outcome(ran)) == {row["path"] for row in wanted}
    for row in ran:
        assert row["received"] > 0, row["endpoint"]
        odd = db.value("SELECT warnings FROM kombo.sync_runs WHERE endpoint = %s ORDER BY id DESC LIMIT 1",
                       [row["endpoint"]])
        assert not odd, (row["endpoint"], odd)
    same_as_sandbox(db, sandbox)
    again = assert_ok(sync_full(db, sandbox.integration))
    assert not [row for row in again if row["inserted"] or row["updated"] or row["deleted"]]


def test_a_change_comes_by_the_delta_of_its_model(db, sandbox, category):
    assert_ok(sync_full(db, sandbox.integration))
    for row in shown(db, category, ["list", "owned", "linked"]):
        key, column = change(db, sandbox, row["model"])
        ran = assert_ok(sync_delta(db, sandbox.integration, row["model"]))
        assert (row["endpoint"], "delta" if row["delta"] else "full") in [(r["endpoint"], r["kind"]) for r in ran]
        assert one(db, row["model"], key)[column] == "Changed", row["model"]
    same_as_sandbox(db, sandbox)


def test_a_list_of_links_is_replaced_by_the_delta_of_its_model(db, sandbox, category):
    assert_ok(sync_full(db, sandbox.integration))
    for row in shown(db, category, ["join"]):
        holder, list_name = row["json_path"].rpartition(".")[::2]
        parent_model = db.value("SELECT table_name FROM kombo.nested_records WHERE (endpoint, json_path) = (%s, %s)",
                                [row["endpoint"], holder]) if holder else db.value(
            "SELECT table_name FROM kombo.endpoints WHERE path = %s", [row["endpoint"]])
        target = db.value("SELECT table_name FROM kombo.nested_records WHERE endpoint = %s AND relation = 'linked' "
                          "AND (json_path = %s OR json_path = %s)",
                          [row["endpoint"], row["json_path"], row["json_path"] + ".skill"])
        ids = [record["id"] for record in sandbox.dump(target)[1:3]]
        parent = sandbox.dump(parent_model)[0]["id"]
        for wanted in (ids, ids[:1], []):
            sandbox.record("set_links", parent_model, parent, list=list_name, ids=wanted)
            assert_ok(sync_delta(db, sandbox.integration, row["model"]))
            stored = db.execute(f'SELECT * FROM kombo.{row["model"]} WHERE {row["parent_column"]} = %s', [parent])
            assert len(stored) == len(wanted), row["model"]
    same_as_sandbox(db, sandbox)


def test_a_child_that_left_its_parents_list_is_marked_by_a_delta(db, sandbox, category):
    assert_ok(sync_full(db, sandbox.integration))
    for row in shown(db, category, ["owned"]):
        child = sandbox.dump(row["model"])[0]["id"]
        sandbox.record("delete", row["model"], child)
        assert_ok(sync_delta(db, sandbox.integration, row["model"]))
        assert one(db, row["model"], child)["remote_deleted_at"] is not None, row["model"]
    same_as_sandbox(db, sandbox)


def test_what_kombo_has_no_more_goes_with_the_next_full(db, sandbox, category):
    assert_ok(sync_full(db, sandbox.integration))
    lists = [row for row in lists_of(db, category) if row["on_missing"] == "mark"]
    gone = {row["table_name"]: sandbox.dump(row["table_name"])[0]["id"] for row in lists}
    for table, key in gone.items():
        sandbox.record("purge", table, key)
    assert_ok(sync_full(db, sandbox.integration))
    for table, key in gone.items():
        assert one(db, table, key)["remote_deleted_at"] is not None, table
    same_as_sandbox(db, sandbox)


def test_a_full_repairs_what_was_altered_here(db, sandbox, category):
    assert_ok(sync_full(db, sandbox.integration))
    for row in lists_of(db, category):
        first, second = sandbox.dump(row["table_name"])[:2]
        column = text_key(db, row["table_name"], first)
        db.execute(f'UPDATE kombo.{row["table_name"]} SET {column} = \'altered\' WHERE id = %s', [first["id"]])
        db.execute(f'DELETE FROM kombo.{row["table_name"]} WHERE id = %s', [second["id"]])
    assert_ok(sync_full(db, sandbox.integration))
    same_as_sandbox(db, sandbox)


def test_a_live_row_of_a_category_has_the_values_that_a_sync_stores(category, db, sandbox):
    import_lists(db, remote=category.lower(), integration_id=sandbox.integration)
    assert_ok(sync_full(db, sandbox.integration))
    assert_live_as_stored(db, category)


def test_a_category_has_no_drift_after_a_full_and_rows_made_by_hand_are_surplus(category, db, sandbox):
    assert_ok(sync_full(db, sandbox.integration))
    assert drift(db, sandbox) == {}
    tables = [row["table_name"] for row in lists_of(db, category) if row["on_missing"] != "keep"]
    for table in tables:
        db.execute(f"INSERT INTO kombo.{table} (integration_id, id) VALUES (%s, 'invented')", [sandbox.integration])
    assert drift(db, sandbox) == {(table, "invented"): "surplus" for table in tables}


# --- the worker ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("category", CATEGORIES)
def test_the_worker_keeps_every_list_of_a_category(served, sandbox, category):
    """Those that are off by default, too, unless another list fills the same table."""
    sandbox.change_integration(category=category)
    served.execute("SELECT kombo.create_tables(%s)", [category])
    served.add_integration(sandbox.integration)
    off = served.execute("""
        SELECT path FROM kombo.endpoints e WHERE category = %s AND NOT enabled AND path <> %s AND NOT EXISTS (
            SELECT FROM kombo.endpoints o WHERE o.table_name = e.table_name AND o.path <> e.path)""", [category, LINKS])
    for row in off:
        served.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, %s, true)",
                       [sandbox.integration, row["path"]])
    assert [row["path"] for row in off] == {
        "ATS": ["/ats/scorecards"], "ASSESSMENT": ["/assessment/orders/open"]}.get(category, [])
    wait_synced(served)
    same_as_sandbox(served, sandbox)
    models = [row["model"] for row in shown(served, category, ["list", "owned", "linked"]) if row["delta"]]
    changed = [(model, *change(served, sandbox, model)) for model in models]
    if not changed:
        return
    webhook = sandbox.webhook(*models)
    served.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                   [webhook.body, webhook.signature])
    until(served, lambda: all(one(served, model, key)[column] == "Changed" for model, key, column in changed),
          what="the changes")
    wait_synced(served)
    same_as_sandbox(served, sandbox)


# --- webhooks that name no model ----------------------------------------------------------------------------------

def test_a_webhook_that_tells_of_an_order_has_the_orders_fetched(served, sandbox):
    sandbox.change_integration(category="ASSESSMENT")
    served.execute("SELECT kombo.create_tables('ASSESSMENT')")
    served.add_integration(sandbox.integration)
    wait_synced(served)
    order = sandbox.record("create", "assessment_orders", set={"package_id": "new"})["id"]
    webhook = sandbox.webhook(type="assessment:order-received")
    served.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                   [webhook.body, webhook.signature])
    wait_until(lambda: one(served, "assessment_orders", order), what="the order")
    assert served.value("SELECT status FROM kombo.webhook_inbox") == "done"
