"""The inbox: which webhooks are believed, and what each asks for."""

import base64
import json
import os

import psycopg
import pytest

from judging import ONE, add_paused, asked_for, judge, judge_all, webhook
from sandbox import WEBHOOK_SECRET
from worker import (data_changed, inbox, insert_webhooks, integration_of, runs, send_webhook, sign, until, wait_judged,
                    wait_synced)

BODY_LIMIT = 1024 * 1024


@pytest.fixture
def paused(served):
    """A database with the integration personio:one, which its operator has paused."""
    add_paused(served, ONE)
    return served


def add_server(db, sandbox, name, secret, **options):
    db.create_server(sandbox, name, webhook_secret=secret, **options)


def as_base64(body, secret=WEBHOOK_SECRET, url=True, padded=True):
    raw = base64.urlsafe_b64decode(sign(body, secret) + "=")
    text = (base64.urlsafe_b64encode if url else base64.b64encode)(raw).decode()
    return text if padded else text.rstrip("=")


# --- signatures ---------------------------------------------------------------------------------------------------

def test_every_right_signature_is_accepted(paused):
    db = paused
    names = data_changed(ONE, "hris_teams").replace("personio\"", "Zoë Grünwald 株式会社 🙂\"")
    large = data_changed(ONE, "hris_teams")[:-1] + ', "padding": "' + "x" * (BODY_LIMIT - 500) + '"}'
    db.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (ADD webhook_secret_previous 'former')")
    cases = [(body := data_changed(ONE, "hris_teams"), sign(body)),
             (body := data_changed(ONE, "hris_teams"), as_base64(body)),
             (body := data_changed(ONE, "hris_teams"), as_base64(body, url=False)),
             (body := data_changed(ONE, "hris_teams"), as_base64(body, url=False, padded=False)),
             (body := data_changed(ONE, "hris_teams"), sign(body, "former")),
             (names, sign(names)), (large, sign(large))]
    for row in judge_all(db, cases):
        assert (row["status"], row["error"], row["integration_id"]) == ("done", None, ONE), row["body"][:200]
        assert row["webhook_type"] == "data-changed" and row["webhook_id"] and row["processed_at"]
    assert asked_for(db) == {"/hris/groups delta"}


def test_every_wrong_signature_is_rejected(paused, sandbox):
    db = paused
    add_server(db, sandbox, "kombo_us", "another")
    body = data_changed(ONE, "hris_teams")
    right = sign(body)
    wrong = [right[:-1], right + "==", right.swapcase(), " " + right, right + "\n", "abc", "sha256=" + right,
             sign(body + " "), sign(body, "unknown"), "é" * 43]
    for row in judge_all(db, [(body, signature) for signature in wrong]):
        assert (row["status"], row["error"]) == ("rejected", "the signature is by no webhook secret of any server")
    for row in judge_all(db, [(body, ""), (body, "NULL")]):
        assert (row["status"], row["error"]) == ("rejected", "the webhook is not signed")
    changed = judge(db, body.replace("hris_teams", "hris_teamt"), right)
    assert changed["status"] == "rejected"
    # Another server's secret is a right one, for another's integrations.
    others = judge(db, body, sign(body, "another"))
    assert (others["status"], others["error"]) == (
        "rejected", 'signed by server "kombo_us", but the integration belongs to server "kombo_eu"')
    add_paused(db, "personio:american", "kombo_us")
    body = data_changed("personio:american", "hris_teams")
    assert judge(db, body, sign(body, "another"))["status"] == "done"
    assert asked_for(db) == set()
    assert asked_for(db, "personio:american") == {"/hris/groups delta"}


def test_secrets_are_read_anew_for_every_batch(paused):
    db = paused
    body = data_changed(ONE, "hris_teams")
    assert judge(db, body, sign(body, "new"))["status"] == "rejected"
    db.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (SET webhook_secret 'new')")
    assert judge(db, body, sign(body, "new"))["status"] == "done"
    db.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (DROP webhook_secret)")
    row = judge(db, body, sign(body, "new"))
    assert (row["status"], row["error"]) == ("rejected", "there is no webhook secret to verify the signature with")


def test_a_secret_that_cannot_be_read_is_said_and_keeps_no_other_from_being_tried(paused, sandbox):
    db = paused
    file = db.cluster.folder / "webhook.secret"
    db.execute(f"CREATE SERVER kombo_file FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url '{sandbox.base_url}', "
               "allow_http 'on')")
    db.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER kombo_file OPTIONS (webhook_secret_file '{file}')")
    add_paused(db, "personio:file", "kombo_file")
    body = data_changed("personio:file", "hris_teams")
    row = judge(db, body, sign(body, "from-the-file"))
    assert row["status"] == "rejected"
    assert row["error"].endswith('; that of server "kombo_file" could not be read')
    assert judge(db, data_changed(ONE, "hris_teams"))["status"] == "done"
    assert str(file) not in row["error"] and str(file) in db.cluster.log_tail()
    file.write_text("from-the-file\n", encoding="utf-8")
    os.chmod(file, 0o600)
    # A row that was rejected for such a reason can be given back.
    db.execute("UPDATE kombo.webhook_inbox SET status = 'new' WHERE id = %s", [row["id"]])
    wait_judged(db)
    assert db.value("SELECT status FROM kombo.webhook_inbox WHERE id = %s", [row["id"]]) == "done"
    assert "from-the-file" not in db.cluster.log.read_text(encoding="utf-8")


def test_unsigned_webhooks_are_taken_by_servers_that_accept_them(paused, sandbox):
    db = paused
    add_server(db, sandbox, "kombo_us", "another", accept_unsigned="on")
    add_paused(db, "personio:american", "kombo_us")
    taken, refused, wrong = judge_all(db, [(data_changed("personio:american", "hris_teams"), ""),
                                           (data_changed(ONE, "hris_teams"), "NULL"),
                                           (data_changed("personio:american", "hris_teams"), "abc")])
    assert (taken["status"], taken["error"]) == ("done", None)
    assert (refused["status"], refused["error"]) == (
        "rejected", 'the webhook is not signed, and server "kombo_eu" does not accept unsigned webhooks')
    assert (wrong["status"], wrong["error"]) == ("rejected", "the signature is by no webhook secret of any server")
    db.execute("ALTER SERVER kombo_us OPTIONS (SET accept_unsigned 'off')")
    assert judge(db, data_changed("personio:american", "hris_teams"), "")["status"] == "rejected"


# --- types and payloads -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("type, status, asked", [
    ("data-changed", "done", {"/hris/groups delta"}),
    ("integration-created", "done", {"integration"}),
    ("integration-deleted", "done", {"integration"}),
    ("integration-state-changed", "done", {"integration"}),
    ("sync-finished", "done", set()),
    ("connection-flow-failed", "ignored", set()),
    ("assessment:order-received", "ignored", set()),
    ("inline-assessment:order-received", "ignored", set()),
    ("ai-apply-application-status-updated", "ignored", set()),
    ("ai-apply-job-posting-status-updated", "ignored", set()),
    ("of-tomorrow", "ignored", set()),
])
def test_every_type_is_understood(served, sandbox, type, status, asked):
    db = served
    add_paused(db, sandbox.integration)
    if type == "of-tomorrow":
        body = webhook(type, {"integration_id": sandbox.integration})
    else:
        body = sandbox.webhook(*(["hris_teams"] if type == "data-changed" else []), type=type).body
    row = judge(db, body)
    assert (row["status"], row["webhook_type"], asked_for(db, sandbox.integration)) == (status, type, asked)
    assert row["error"] == {"done": None}.get(
        status, "webhooks of this type are not known" if type == "of-tomorrow" else
        "webhooks of this type ask for nothing")


def test_what_is_malformed_is_rejected_with_the_reason_and_holds_up_nothing(paused):
    db = paused
    good = data_changed(ONE, "hris_teams")
    cases = {"": "malformed JSON: ", "nonsense": "malformed JSON: ", good[:-1]: "malformed JSON: ",
             "[" * 100_000: "malformed JSON: ", "[]": "malformed: the body is not a JSON object",
             "null": "malformed: the body is not a JSON object", "{}": "malformed: it has no type",
             webhook("data-changed", None): "malformed: it names no integration",
             webhook("sync-finished", {"integration_id": ""}): "malformed: it names no integration",
             webhook("data-changed", {"integration_id": ONE}): "malformed: data.changed_models is not a list",
             webhook("data-changed", {"integration_id": "x\0y\x1b[2J", "changed_models": []}):
                 'integration "xy[2J" is not known here'}
    rows = judge_all(db, [(body, sign(body)) for body in cases] + [(good, sign(good))])
    for row, expected in zip(rows, cases.values()):
        assert row["status"] == "rejected" and row["error"].startswith(expected), row["error"]
    assert rows[-1]["status"] == "done"


def test_what_a_webhook_claims_is_stored_printable_and_cut(paused):
    db = paused
    row = judge(db, webhook("x" * 5000 + "\n", {"integration_id": ONE}, id="\0\x07" + "é" * 3000))
    assert row["status"] == "ignored"
    assert row["webhook_type"] == "x" * 100 and row["webhook_id"] == "é" * 100
    row = judge(db, webhook("sync-finished", {"integration_id": "y" * 100_000}))
    assert row["status"] == "rejected" and row["integration_id"] == "y" * 200 and len(row["error"]) <= 500


def test_changed_models_are_planned(paused):
    db = paused

    def planned(*models):
        row = judge(db, data_changed(ONE, *models))
        return row["status"], row["error"], asked_for(db)

    assert planned("hris_employees", "hris_employments", "hris_time_off_balances") == (
        "done", None, {"/hris/employees delta"})
    assert planned("hris_employments") == ("done", None, {"/hris/employments delta"})
    assert planned("hris_join_employees_teams") == ("done", None, {"/hris/employees delta"})
    assert planned("hris_employee_skill_proficiency_ratings") == (
        "done", None, {"/hris/skill-proficiency-ratings delta"})
    assert planned() == ("ignored", "it names no changed model", set())
    # Nothing has it for its own, and no delta of the list that carries it shows it.
    assert planned("hris_skill_proficiency_scales") == (
        "done", None, {"/hris/staffing-entities full", "/hris/skills delta"})
    db.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, %s, false)",
               [ONE, "/hris/timesheets"])
    assert planned("hris_timesheets") == ("ignored", "no subscribed endpoint carries hris_timesheets", set())
    assert planned("hris_timesheets", "hris_teams") == ("done", None, {"/hris/groups delta"})


def test_a_model_that_nobody_knows_asks_for_everything_and_says_so_in_the_run(few, sandbox):
    db = few
    row = judge(db, data_changed(sandbox.integration, "hris_pets"))
    assert row["status"] == "done"
    wait_synced(db)
    for endpoint in ("/hris/employees", "/hris/groups"):
        run, = runs(db, endpoint, trigger="webhook")
        assert run["kind"] == "delta" and "hris_pets" in json.dumps(run["warnings"])


# --- integrations -------------------------------------------------------------------------------------------------

def test_webhooks_of_unknown_and_removed_integrations_are_rejected(paused):
    db = paused
    row = judge(db, data_changed("personio:elsewhere", "hris_teams"))
    assert (row["status"], row["error"]) == ("rejected", 'integration "personio:elsewhere" is not known here')
    assert judge(db, webhook("integration-created", {"id": "personio:elsewhere"}))["status"] == "rejected"
    db.execute("SELECT kombo.remove_integration(%s)", [ONE])
    row = judge(db, data_changed(ONE, "hris_teams"))
    assert (row["status"], row["error"]) == ("rejected", f'integration "{ONE}" is not known here')
    # Added later, it may be judged again.
    add_paused(db, ONE)
    db.execute("UPDATE kombo.webhook_inbox SET status = 'new' WHERE id = %s", [row["id"]])
    wait_judged(db)
    assert asked_for(db) == {"/hris/groups delta"}


def test_an_integration_whose_server_is_gone_is_nobodys(paused):
    db = paused
    db.execute("ALTER SERVER kombo_eu RENAME TO kombo_fr")
    row = judge(db, data_changed(ONE, "hris_teams"))
    assert (row["status"], row["error"]) == ("rejected", 'server "kombo_eu" of the integration does not exist')


def test_what_a_paused_integration_is_asked_for_waits_until_it_is_resumed(few, sandbox):
    db = few
    db.execute("SELECT kombo.pause(%s, 'audit')", [sandbox.integration])
    send_webhook(db, sandbox, "hris_employees")
    wait_judged(db)
    assert inbox(db) == {"done": 1}
    assert db.value("SELECT count(*) FROM kombo.sync_requests") == 1
    assert sandbox.requests() == []
    db.execute("SELECT kombo.resume(%s)", [sandbox.integration])
    wait_synced(db)
    assert len(runs(db, "/hris/employees", trigger="webhook")) == 1


def test_an_unknown_integration_is_registered_where_the_server_says_so(served, sandbox):
    db = served
    sandbox.add_integration("hibob:new", employees=20)
    row = judge(db, webhook("integration-created", {"id": "hibob:new"}))
    assert row["status"] == "rejected"
    db.execute("ALTER SERVER kombo_eu OPTIONS (ADD auto_register 'on')")
    assert judge(db, webhook("integration-deleted", {"id": "hibob:new"}))["status"] == "rejected"
    assert judge(db, webhook("integration-created", {"id": "hibob:new"}))["status"] == "done"
    until(db, lambda: db.value("SELECT count(*) FROM kombo.integrations"), what="the registration")
    wait_synced(db)
    found = integration_of(db, "hibob:new")
    assert (found["server"], found["category"]) == ("kombo_eu", "HRIS")
    assert db.value("SELECT count(*) FROM kombo.hris_employees WHERE integration_id = 'hibob:new'") == 20
    # Any of its webhooks does it; Kombo is believed, and not the webhook.
    sandbox.add_integration("hibob:other", employees=20)
    judge(db, data_changed("hibob:other", "hris_teams"))
    judge(db, data_changed("hibob:unheard-of", "hris_teams"))
    until(db, lambda: db.value("SELECT count(*) FROM kombo.integrations") == 2, what="the second registration")
    wait_synced(db)
    assert db.value("SELECT count(*) FROM kombo.integrations WHERE integration_id = 'hibob:unheard-of'") == 0


# --- duplicates, bursts, order ------------------------------------------------------------------------------------

def test_a_webhook_that_comes_again_is_ignored(paused):
    db = paused
    add_paused(db, "personio:two")
    body = data_changed(ONE, "hris_teams", id="again")
    rows = judge_all(db, [(body, sign(body))] * 3)
    assert [row["status"] for row in rows] == ["done", "ignored", "ignored"]
    assert rows[1]["error"] == "a webhook of this id is done already"
    assert judge(db, body)["status"] == "ignored"
    # An id is of one integration, a webhook that was not done may come again, and without id there is no telling.
    assert judge(db, data_changed("personio:two", "hris_teams", id="again"))["status"] == "done"
    body = data_changed("personio:three", "hris_teams", id="later")
    assert judge(db, body)["status"] == "rejected"
    add_paused(db, "personio:three")
    assert judge(db, body)["status"] == "done"
    for _ in range(2):
        body = json.dumps({"type": "sync-finished", "data": {"integration_id": ONE}})
        assert judge(db, body)["status"] == "done"


def test_a_burst_asks_once(paused):
    db = paused
    insert_webhooks(db, [data_changed(ONE, "hris_teams", "hris_absences") for _ in range(600)])
    wait_judged(db)
    assert inbox(db) == {"done": 600}
    asked = db.execute("""SELECT endpoint, count(*) AS n FROM kombo.sync_requests WHERE trigger = 'webhook'
                          GROUP BY endpoint ORDER BY endpoint""")
    assert [row["endpoint"] for row in asked] == ["/hris/absences", "/hris/groups"]
    assert all(row["n"] == 1 for row in asked), asked


def test_bodies_of_1_mb_are_judged_a_few_at_a_time(paused):
    db = paused
    large = [data_changed(ONE, "hris_teams")[:-1] + ', "padding": "' + "ä" * ((BODY_LIMIT - 300) // 2) + '"}'
             for _ in range(12)]
    assert max(len(body.encode()) for body in large) > BODY_LIMIT - 300
    insert_webhooks(db, large)
    wait_judged(db, 60)
    assert inbox(db) == {"done": 12}
    with pytest.raises(psycopg.errors.CheckViolation):
        insert_webhooks(db, ["x" * (BODY_LIMIT + 1)])


def test_rows_that_woke_nobody_are_found(paused):
    db = paused
    with db.connection.transaction():
        db.execute("SET LOCAL session_replication_role = replica")
        insert_webhooks(db, [data_changed(ONE, "hris_teams")])
    wait_judged(db, 15)
    assert asked_for(db) == {"/hris/groups delta"}
