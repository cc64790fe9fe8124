"""The front ends of examples/: the sandbox sends signed webhooks to each over HTTP, and what it sent is in the inbox,
byte for byte, when it is answered. Each runs with a role that can insert there and do nothing else."""

import json
import re
import shutil
import subprocess
import threading
import time

import psycopg
import pytest

from front_ends import (EXAMPLES, WRITER, configuration, front_end, of_module, own_cluster,  # noqa: F401  (fixtures)
                        sender)
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


def is_program(front_end):
    return front_end.name != "postgrest" or shutil.which("postgrest")


def test_a_load_balancer_is_answered_also_while_the_database_is_away(front_end):
    if front_end.name == "postgrest":
        pytest.skip("PostgREST answers a load balancer at its admin-server-port")
    front_end.db.cluster.stop()
    try:
        assert [front_end.post(None, None, method=method) for method in ("GET", "HEAD")] == [200, 200]
        assert front_end.post(None, None, method="GET", path="/other") == 404
    finally:
        front_end.db.cluster.start()
        front_end.db.reconnect()


def refusals(program):
    return [line for line in program.output().splitlines() if line.startswith("refused: ")]


def counted(program, what):
    return sum(int(number) for number in re.findall(rf"(\d+) x {what}", "\n".join(refusals(program))))


def test_refused_requests_are_logged_in_one_line_an_interval_without_what_was_sent(front_end):
    if front_end.name == "postgrest":
        assert 'log-level = "warn"' in configuration()  # PostgREST writes a line for each
        return
    second = front_end.start(LOG_INTERVAL="2")
    webhook = front_end.sender.webhook(secret="another")
    for _ in range(5):
        assert front_end.sender.send_webhook(second.url, body=webhook.body, secret="another")[1] == [401]
    assert front_end.sender.send_webhook(second.url, body=json_of(LIMIT + 1))[1] == [413]
    wait_until(lambda: counted(second, "413 over 1 MB"), 20, "the line about the last one")
    assert refusals(second)[0] == "refused: 1 x 401 wrong signature"
    assert (counted(second, "401 wrong signature"), counted(second, "413 over 1 MB")) == (5, 1)
    assert webhook.signature not in second.output() and "hris_employees" not in second.output()
    second.stop()
    third = front_end.start()  # its next line is a minute away
    for _ in range(20):
        assert front_end.sender.send_webhook(third.url, body="{}", secret="another")[1] == [401]
    third.stop()
    assert len(refusals(third)) == 1


@pytest.mark.parametrize("environment, said", [
    ({"PGUSER": "nobody_at_all"}, "nobody_at_all"), ({"PGDATABASE": "no_such_database"}, "no_such_database"),
    ({"PGPORT": "1"}, "")], ids=["role", "database", "server"])
def test_a_database_that_cannot_be_had_is_told_at_the_start(front_end, environment, said):
    if not is_program(front_end) or front_end.name == "postgrest":
        pytest.skip("PostgREST itself tries until it has the database, and says so")
    program = front_end.start(wait=False, **environment)
    assert program.process.wait(20) == 1
    program.reader.join(5)
    assert program.output().startswith("cannot store webhooks: ") and said in program.output()
    assert "listening" not in program.output() and "Traceback" not in program.output()


def test_a_role_that_was_granted_nothing_is_told_of_at_the_start(front_end):
    if front_end.name == "postgrest":
        pytest.skip("PostgREST's role is made by receiver.sql")
    front_end.db.execute("CREATE ROLE without_grants LOGIN")
    try:
        program = front_end.start(wait=False, PGUSER="without_grants")
        assert program.process.wait(20) == 1
        program.reader.join(5)
        assert "permission denied" in program.output()
    finally:
        front_end.db.execute("DROP ROLE without_grants")


def test_the_statements_of_postgrest_can_follow_the_readmes_and_be_run_again(front_end):
    if front_end.name != "postgrest":
        pytest.skip("it has no statements of its own")
    for _ in range(2):
        front_end.db.cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", front_end.db.name, "-f",
                                     EXAMPLES / "postgrest" / "receiver.sql")
    assert front_end.send("{}") == 200


def test_its_systemd_unit_is_valid_and_starts_what_its_instructions_install(front_end):
    unit = EXAMPLES / front_end.name / "kombo-receiver.service"
    text = unit.read_text(encoding="utf-8")
    start = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1].split()
    program, = (EXAMPLES / front_end.name).glob("receiver.conf" if front_end.name == "postgrest" else "receiver.*")
    instructions = re.findall(r"^#   install .*", text, re.MULTILINE)
    assert any(program.name in line and line.endswith(start[-1]) for line in instructions), (start, instructions)
    for line in ("EnvironmentFile=/etc/kombo-receiver.env", "DynamicUser=yes", "ProtectSystem=strict",
                 "Restart=on-failure"):
        assert line in text
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        ours = [line for line in checked.stderr.splitlines() if "kombo-receiver" in line]
        assert [line for line in ours if "not executable" not in line] == []


def test_which_postgrest_was_run(measured):
    measured("examples/postgrest: " + ("PostgREST itself" if shutil.which("postgrest")
                                       else "called as PostgREST does; there is no program postgrest here"))
