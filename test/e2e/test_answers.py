"""Answers of a server that is not quite Kombo, and what is on the way to it."""

import json
import os

import psycopg
import pytest

from syncing import sync_full
from worker import until

GROUPS = "/hris/groups"
SKILLS = "/hris/skills"
SSN = "078-05-1120"


@pytest.fixture
def faked(db, fake_kombo):
    """`db` with integration hibob:x on a fake; without retries. `faked.answers` is what the fake answers by path."""
    answers = {}
    fake = fake_kombo(lambda path, query: answers[path](query) if callable(answers.get(path)) else answers.get(path))
    db.create_server(fake, name="fake")
    db.execute("SELECT kombo.add_integration('hibob:x', 'fake', 'HRIS')")
    db.execute("SET kombo_sync.max_retries = 0")
    db.answers, db.fake = answers, fake
    return db


# --- too much ------------------------------------------------------------------------------------------------------

def sizes_asked(db, path):
    return [int(query.split("page_size=")[1].split("&")[0]) for asked, query in db.fake.requests if asked == path]


def test_a_list_that_times_out_with_large_pages_is_asked_for_smaller_ones(faked):
    def gateway(query):
        return (504, {}, b"<html>timeout</html>") if int(query.split("page_size=")[1].split("&")[0]) > 50 else []
    faked.answers[GROUPS] = gateway
    said = []
    for _ in range(10):
        result = sync_full(faked, what=GROUPS)[0]
        if result["status"] == "ok":
            break
        said.append(result["error"])
    assert sizes_asked(faked, GROUPS) == [250, 250, 250, 125, 62, 31]
    assert ["records a page" in text for text in said] == [False, False, True, True, True], said
    assert "asks for 31 records a page" in said[-1]
    assert faked.value("SELECT page_size FROM kombo.sync_state WHERE endpoint = %s", [GROUPS]) is None


def test_the_worker_finds_the_size_of_page_that_passes_by_itself(served, fake_kombo):
    def answer(path, query):
        if path != GROUPS or "page_size=250" not in query:
            return None
        return 200, {}, b" " * 70_000
    fake = fake_kombo(answer)
    served.create_server(fake, name="fake", max_response_size="64kB")
    served.add_integration("hibob:x", "fake", "HRIS", only=[GROUPS])
    until(served, lambda: served.value("SELECT last_status FROM kombo.sync_state") == "ok", 30,
          "a page that is not too large")
    assert fake.asked(GROUPS) == 2


# --- one page ------------------------------------------------------------------------------------------------------

def test_a_list_that_takes_no_cursor_is_one_page_and_the_run_says_that_there_was_more(faked):
    faked.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint) VALUES ('hibob:x', %s)", [SKILLS])
    faked.answers[SKILLS] = {"results": [{"id": "s1", "name": "Latin"}], "next": "the-cursor"}
    assert [run["status"] for run in sync_full(faked, what=SKILLS)] == ["ok"]
    assert [query for path, query in faked.fake.requests if "cursor" in query] == []
    warnings = faked.value("SELECT warnings FROM kombo.sync_runs WHERE endpoint = %s", [SKILLS])
    assert [w["kind"] for w in warnings] == ["more pages of a list that takes no cursor"]


# --- what is shown -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [200, 400, 403, 500])
@pytest.mark.parametrize("body", [[{"ssn": SSN}], {"ssn": SSN, "people": [{"iban": SSN}]}, SSN,
                                  {"status": "success", "data": {"results": {"ssn": SSN}}}])
def test_no_value_of_an_answer_that_is_not_kombos_is_shown(faked, status, body):
    heard = []
    faked.connection.add_notice_handler(
        lambda n: heard.append(f"{n.message_primary} {n.message_detail} {n.message_hint}"))
    for sent in (json.dumps(body), json.dumps(body)[:-1]):
        faked.answers[GROUPS] = (status, {}, sent.encode())
        assert sync_full(faked, what=GROUPS)[0]["status"] == "failed"
    shown = heard + [str(row) for relation in ("sync_state", "sync_runs", "sync_status")
                     for row in faked.execute(f"SELECT * FROM kombo.{relation}")]
    assert not [text for text in shown if SSN in text]
    assert [text for text in shown if "JSON" in text]


def test_no_answer_reaches_the_terminal_as_more_than_text(faked):
    name = "en\x1b[2Jv\u009b31m \u202Ekcab\u2028x"
    faked.answers["/check-api-key"] = {"environment_id": name}
    assert faked.value("SELECT kombo.check_connection('fake')") == "en[2Jv31m kcab x"
    faked.answers["/check-api-key"] = (400, {}, json.dumps({"status": "error", "error": {"message": name}}).encode())
    with pytest.raises(psycopg.Error) as refused:
        faked.execute("SELECT kombo.check_connection('fake')")
    assert "en[2Jv31m kcab x" in refused.value.diag.message_primary


@pytest.mark.parametrize("id", [".", ".."])
def test_an_integration_of_nothing_but_dots_is_no_other_path(faked, id):
    faked.answers["/integrations/" + id.replace(".", "%2E")] = {"id": "found"}
    assert faked.value("SELECT kombo.integration_info('fake', %s)", [id]) == {"id": "found"}


# --- files and secrets ---------------------------------------------------------------------------------------------

def refused_with(db):
    with pytest.raises(psycopg.Error) as refused:
        db.execute("SELECT kombo.check_connection('fake')")
    return refused.value.diag.message_primary


def test_a_key_is_read_from_a_regular_file_only_and_nobody_waits_for_another(faked, tmp_path):
    tmp_path.chmod(0o755)
    pipe, missing, closed = tmp_path / "pipe", tmp_path / "missing", tmp_path / "closed"
    os.mkfifo(pipe)
    closed.touch(0o000)
    faked.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER fake OPTIONS (DROP api_key, ADD api_key_file '/dev/tty')")
    for path, why in ((pipe, "not a regular file"), (tmp_path, "not a regular file"),
                      ("/dev/zero", "not a regular file"), (missing, "No such file or directory"),
                      (closed, "Permission denied")):
        faked.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER fake OPTIONS (SET api_key_file '{path}')")
        faked.execute("SET statement_timeout = '10 s'")
        assert refused_with(faked).endswith(why), path
    faked.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER fake OPTIONS (DROP api_key_file, ADD api_key 'key')")
    faked.execute(f"ALTER SERVER fake OPTIONS (ADD ca_file '{pipe}')")
    assert refused_with(faked).endswith("not a regular file")


def test_the_password_of_a_proxy_is_for_the_owner_of_the_server_alone(faked, fake_kombo):
    with pytest.raises(psycopg.errors.Error) as refused:
        faked.execute("ALTER SERVER fake OPTIONS (ADD proxy 'http://user:password@127.0.0.1:1')")
    assert "proxy_user_password" in refused.value.diag.message_hint
    assert "password@" not in refused.value.diag.message_primary
    proxy = fake_kombo()
    faked.execute(f"ALTER SERVER fake OPTIONS (ADD proxy '{proxy.base_url.removesuffix('/v1')}')")
    faked.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER fake OPTIONS (ADD proxy_user_password 'user:pass word')")
    assert sync_full(faked, what=GROUPS)[0]["status"] == "ok"
    assert [path for path, _ in proxy.requests if path.endswith(GROUPS)]
