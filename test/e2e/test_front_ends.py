"""The front ends of examples/: the sandbox sends signed webhooks to each over HTTP, and what it sent is in the inbox,
byte for byte, when it is answered. Each runs with a role that can insert there and do nothing else."""

import json
import shutil
import threading
import time

import psycopg
import pytest

from front_ends import WRITER, front_end, of_module, own_cluster, sender  # noqa: F401  (fixtures)
from sandbox import INTEGRATION
from syncing import wait_until

LIMIT = 1048576


each = of_module("node", "python", "postgrest")


def json_of(bytes_in_all, end="\n"):
    """JSON of exactly so many bytes."""
    text = '{"type":"data-changed","name":"Zoë 株式会社 🙂","more":"%s"}' + end
    return text % ("x" * (bytes_in_all - len((text % "").encode())))


def test_each_of_kombos_webhooks_is_stored_as_it_was_sent(front_end):
    types = ["data-changed", "sync-finished", "integration-state-changed", "integration-created", "integration-deleted",
             "connection-flow-failed", "assessment:order-received", "inline-assessment:order-received",
             "ai-apply-application-status-updated", "ai-apply-job-posting-status-updated"]
    sent = []
    for kind in types:
        webhook, statuses = front_end.sender.send_webhook(front_end.url, type=kind)
        assert statuses == [200], kind
        sent.append((webhook.body, webhook.signature))
    assert front_end.stored() == sent


def test_what_changes_at_kombo_is_in_the_inbox_by_itself(front_end):
    front_end.sender.webhooks(front_end.url, retries=0)
    front_end.sender.record("create", "hris_locations")
    row = wait_until(front_end.stored, 10, "the webhook")[0]
    data = json.loads(row[0])["data"]
    assert (data["integration_id"], data["changed_models"]) == (INTEGRATION, [{"name": "hris_locations"}])
    log = wait_until(lambda: [d for d in front_end.sender.webhook_log()["deliveries"]], 5, "the answer")
    assert [delivery["status"] for delivery in log] == [200]


@pytest.mark.parametrize("body", ['{"name":"Zoë 株式会社 🙂 \\u00e9 \\ud83d\\ude42"}', '{ "a" : 1,\r\n\t"a":1.0e0 }\n',
                                  "[]\n\n", json_of(LIMIT), json_of(LIMIT - 1, "")],
                         ids=["non-ASCII", "white space", "newlines at the end", "1 MB", "a byte less"])
def test_the_bytes_are_kept(front_end, body):
    assert front_end.send(body) == 200
    (stored, signature), = front_end.stored()
    assert stored == body and signature == front_end.sender.webhook(body=body).signature


def test_more_than_1_mb_is_413(front_end):
    assert front_end.send(json_of(LIMIT + 1)) == 413
    assert front_end.send(json_of(LIMIT * 3)) == 413
    assert front_end.send(json_of(1000)) == 200 and len(front_end.stored()) == 1


def test_a_signature_that_is_not_kombos_is_401(front_end):
    webhook = front_end.sender.webhook()
    body = webhook.body.encode()
    assert front_end.send(webhook.body, secret="another") == 401
    for signature in (None, "", "x", webhook.signature[:-1], webhook.signature.swapcase()):
        assert front_end.post(body, signature) == 401, signature
    assert front_end.post(body.replace(b"hris_employees", b"hris_employeez"), webhook.signature) == 401
    assert front_end.post(body + b"\n", webhook.signature) == 401
    assert front_end.stored() == []
    assert front_end.post(body, webhook.signature) == 200


def test_what_is_no_webhook_is_refused(front_end):
    webhook = front_end.sender.webhook()
    assert front_end.post(b'{"a":"\xff\xfe"}', webhook.signature) == 400
    assert front_end.post(webhook.body.encode(), webhook.signature, path="/other") == 404
    assert 400 <= front_end.post(None, None, method="GET") < 600
    assert front_end.stored() == []


def test_the_answer_comes_after_the_commit(front_end):
    """A lock on the inbox delays the answer, and the row is there when it comes."""
    webhook = front_end.sender.webhook()
    answered = []

    def post():
        status = front_end.post(webhook.body.encode(), webhook.signature)
        answered.append((status, len(front_end.stored())))

    with front_end.db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE kombo.webhook_inbox IN SHARE MODE")
        sender = threading.Thread(target=post)
        sender.start()
        front_end.wait_for_lock()
        time.sleep(0.3)
        assert answered == []
    sender.join(20)
    assert answered == [(200, 1)]


@pytest.mark.parametrize("when", ["CREATE TRIGGER t BEFORE INSERT ON kombo.webhook_inbox",
                                  """CREATE CONSTRAINT TRIGGER t AFTER INSERT ON kombo.webhook_inbox
                                     DEFERRABLE INITIALLY DEFERRED"""], ids=["at once", "at commit"])
def test_a_row_that_is_refused_is_answered_with_5xx(front_end, when):
    db = front_end.db
    db.execute("""CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN RAISE 'refused for the test' USING ERRCODE = 'XX000', DETAIL = 'body: ' || new.body; END $$""")
    db.execute(when + " FOR EACH ROW EXECUTE FUNCTION public.refuse()")
    try:
        assert front_end.send('{"private":"thing"}') == 500
        assert front_end.stored() == []
    finally:
        db.execute("DROP TRIGGER t ON kombo.webhook_inbox")
        db.execute("DROP FUNCTION public.refuse()")
    assert front_end.send("{}") == 200
    if front_end.name != "postgrest":
        assert "refused for the test" in front_end.running.output() and "thing" not in front_end.running.output()


def test_its_role_can_insert_and_nothing_else(front_end):
    db = front_end.db
    roles = [WRITER] + (["hr_webhooks_anonymous", "hr_webhooks_authenticator"] if front_end.name == "postgrest" else [])
    for role in roles:
        with db.connect() as connection:
            connection.execute(f"SET ROLE {role}")
            for statement in ("SELECT body FROM kombo.webhook_inbox", "SELECT * FROM kombo.webhook_inbox",
                              "SELECT signature FROM kombo.webhook_inbox", "UPDATE kombo.webhook_inbox SET body = ''",
                              "DELETE FROM kombo.webhook_inbox", "TRUNCATE kombo.webhook_inbox",
                              "INSERT INTO kombo.webhook_inbox (body, status) VALUES ('{}', 'done')",
                              "INSERT INTO kombo.webhook_inbox (body) VALUES ('{}') RETURNING body",
                              "SELECT * FROM kombo.integrations", "SELECT * FROM kombo.sync_runs",
                              "SELECT * FROM kombo.sync_status", "SELECT kombo.check_connection('kombo_eu')",
                              "SELECT kombo.kombo_sync_full()", "CREATE TABLE kombo.t ()", "CREATE SCHEMA s"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
            assert not connection.execute("SELECT 1 FROM pg_user_mappings WHERE umoptions IS NOT NULL").fetchall()
            readable = connection.execute("""
                SELECT c.oid::regclass::text || '.' || a.attname AS name
                FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
                  AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0
                  AND has_column_privilege(c.oid, a.attnum, 'SELECT')""").fetchall()
            assert [row["name"] for row in readable] == (["kombo.webhook_inbox.id"] if role == WRITER else []), role
            if role != WRITER:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("INSERT INTO kombo.webhook_inbox (body) VALUES ('{}')")


def test_a_burst_is_stored_whole(front_end):
    front_end.sender.webhooks(front_end.url, retries=0, senders=16)
    front_end.sender.admin("POST", "records", [{"integration": INTEGRATION, "model": "hris_locations", "op": "create"}])
    for _ in range(200):
        front_end.sender.record("create", "hris_locations")
    wait_until(lambda: front_end.sender.webhook_log()["attempts"] == 201, 30, "201 answers")
    log = front_end.sender.webhook_log(300)
    assert log["errors"] == [] and len(front_end.stored()) == log["sent"] == 201


def test_it_ends_when_it_is_told_and_answers_what_it_has(front_end):
    if front_end.name == "postgrest" and not shutil.which("postgrest"):
        pytest.skip("the stand-in for PostgREST is no program")
    second = front_end.start()
    webhook = front_end.sender.webhook()
    answers = []
    with front_end.db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE kombo.webhook_inbox IN SHARE MODE")
        send = lambda: answers.append(front_end.sender.send_webhook(second.url, body=webhook.body)[1])
        sender = threading.Thread(target=send)
        sender.start()
        front_end.wait_for_lock()
        stopped = []
        stopper = threading.Thread(target=lambda: stopped.append(second.stop()))
        stopper.start()
        time.sleep(0.5)
        assert stopped == []
    sender.join(20)
    stopper.join(20)
    assert answers == [[200]] and stopped == [0] and len(front_end.stored()) == 1, second.output()


def test_while_the_database_is_away_it_is_503(front_end):
    db = front_end.db
    assert front_end.send("{}") == 200
    db.cluster.restart()  # which the connections that it keeps do not survive
    db.reconnect()
    wait_until(lambda: front_end.send("{}") == 200, 10, "a webhook to be taken again")
    db.cluster.stop()
    assert front_end.send("{}") == 503
    db.cluster.start()
    db.reconnect()
    wait_until(lambda: front_end.send("{}") == 200, 10, "a webhook to be taken again")
    assert len(front_end.stored()) == 3


def test_which_postgrest_was_run(measured):
    measured("examples/postgrest: " + ("PostgREST itself" if shutil.which("postgrest")
                                       else "called as PostgREST does; there is no program postgrest here"))
