#!/usr/bin/env python3
"""Checks the sandbox's webhooks and its streams of changes. Prints TAP.

usage: webhooks_test.py PATH_TO_KOMBO_SANDBOX
"""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

from checks import ONE, admin, after, first, fresh, op, read, run

# Every field that Kombo's schemas list: `?` may be null, `[]` is a list's item.
END_USER = "end_user.organization_name end_user.creator_email? end_user.origin_id?"
ORDER = """id package_id status integration_id candidate.remote_id? candidate.email candidate.first_name?
    candidate.last_name? candidate.phone? application.remote_id? job.remote_id? job.name? job.job_code? job.description?
    job.location.street_1? job.location.street_2? job.location.city? job.location.state? job.location.zip_code?
    job.location.country? job.location.raw? job.hiring_team[].remote_id? job.hiring_team[].email?
    job.hiring_team[].first_name? job.hiring_team[].last_name? job.hiring_team[].hiring_team_roles[]"""
FIELDS = {
    "data-changed": "integration_id integration_tool integration_category changed_models[].name",
    "sync-finished": "sync_id sync_state sync_started_at sync_ended_at sync_duration_seconds integration_id "
                     f"integration_tool integration_category log_url {END_USER}",
    "integration-state-changed": "integration_id integration_tool integration_category qa_status setup_status state "
                                 f"updated_at {END_USER}",
    "integration-created": f"id tool category {END_USER}",
    "integration-deleted": f"id tool category deleted_at {END_USER}",
    "connection-flow-failed": f"integration_tool integration_category log_url {END_USER}",
    "assessment:order-received": ORDER,
    "inline-assessment:order-received": ORDER,
    "ai-apply-application-status-updated": "id job_posting_id status created_at updated_at",
    "ai-apply-job-posting-status-updated": "id career_site.id career_site.label url job_code? created_at updated_at "
                                           "archived_at? archived_reason? availability",
}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it gets as (time, path, signature, body)."""
    got = []
    status = 200

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.got.append((time.monotonic(), self.path, self.headers["X-Kombo-Signature"], body))
        self.send_response(Receiver.status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}/kombo?x=1"


def signature(body, secret="sandbox-secret"):
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def webhook(**what):
    return admin("POST", "webhook", {"integration": ONE, **what})


def named(body):
    return {model["name"] for model in json.loads(body)["data"]["changed_models"]}


def settled():
    """The log, once nothing is under way any more."""
    end = time.monotonic() + 5
    while (log := admin("GET", "webhooks"))["waiting"] and time.monotonic() < end:
        time.sleep(0.01)
    return log


def listening(**options):
    """Starts anew, with webhooks on."""
    admin("DELETE", "webhooks")
    settled()  # one that was being sent arrives all the same
    Receiver.got.clear()
    Receiver.status = 200
    admin("POST", "webhooks", {"url": URL, "debounce_ms": 0, "retries": 0, "secret": "sandbox-secret", "types": [],
                               **options})


def received(count, timeout=5):
    end = time.monotonic() + timeout
    while len(Receiver.got) < count and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(Receiver.got) == count, f"{len(Receiver.got)} instead of {count}: {Receiver.got}"
    return Receiver.got


def leaves(value, path=""):
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, path + "[]")]
    return [(path, value)]


def every_type_has_the_fields_of_kombos_schema():
    for kind, fields in FIELDS.items():
        body = json.loads(webhook(type=kind)["body"])
        assert body.keys() == {"id", "type", "data"} and body["type"] == kind and len(body["id"]) == 24
        known = {field.rstrip("?"): field.endswith("?") for field in fields.split()}
        found = leaves(body["data"])
        assert {path for path, _ in found} == known.keys(), (kind, {path for path, _ in found} ^ known.keys())
        assert all(value is not None or known[path] for path, value in found), (kind, found)
    assert "error" in webhook(type="no-such-type")


def a_signature_is_of_the_bodys_bytes():
    for body in ('{"name":"Zoë 株式会社 🙂"}', "", "x" * (1 << 20), '{"a":1}\n', "not JSON"):
        for secret in ("sandbox-secret", "ß", ""):
            made = webhook(body=body, secret=secret)
            assert made["body"] == body and made["signature"] == signature(body.encode(), secret), (body[:20], secret)
    made = webhook(type="data-changed", id="MyOwnId", changed_models=["hris_teams", "ats_jobs"], data={"more": 1})
    body = json.loads(made["body"])
    assert body["id"] == made["id"] == "MyOwnId" and body["data"]["more"] == 1
    assert named(made["body"]) == {"hris_teams", "ats_jobs"} and made["signature"] == signature(made["body"].encode())
    assert len({one["id"] for one in webhook(count=50)["webhooks"]}) == 50
    assert json.loads(webhook(integration="other:gone")["body"])["data"]["integration_tool"] == "other"


def a_webhook_can_be_sent_several_times():
    listening()
    made = webhook(send=True, repeat=3)
    assert [answer["status"] for answer in made["answers"]] == [200] * 3
    assert [got[1:] for got in received(3)] == [("/kombo?x=1", made["signature"], made["body"].encode())] * 3
    assert webhook(send=True, url="http://127.0.0.1:1/")["answers"][0]["status"] == 0


def a_change_is_told_of_with_its_models():
    fresh()
    employee, group = first("/hris/employees")["id"], first("/hris/groups")["id"]
    employment = first("/hris/employments")["id"]
    opening = first("/hris/staffing-entities")["id"]
    joins = {"hris_join_employees_teams"}
    of_groups = {"hris_join_employees_teams", "hris_join_staffing_entities_groups"}
    for change, models in (
            (("hris_employees", "change", employee), {"hris_employees"}),
            (("hris_employments", "delete", employment), {"hris_employments"}),
            (("hris_teams", "delete", group), {"hris_teams"} | of_groups),
            (("hris_teams", "wipe", group), set()),
            (("hris_teams", "undelete", group), {"hris_teams"} | of_groups),
            (("hris_employees", "delete", employee), {"hris_employees"} | joins),
            (("hris_employees", "purge", employee), set()),
            (("hris_timesheets", "create"), {"hris_timesheets"})):
        listening()
        op(*change)
        got = received(1 if models else 0)
        assert not models or named(got[0][3]) == models, (change, got)
        assert not got or got[0][2] == signature(got[0][3])
    for model, one, links, models in (("hris_employees", first("/hris/employees")["id"], "groups", joins),
                                      ("hris_staffing_entities", opening, "locations",
                                       {"hris_join_staffing_entities_locations"})):
        listening()
        op(model, "set_links", one, list=links, ids=[])
        assert named(received(1)[0][3]) == models
    listening()
    admin("POST", "records", [{"integration": fresh.id, "model": model, "op": "create"}
                              for model in ("hris_employees", "hris_locations")])
    assert named(received(1)[0][3]) == {"hris_employees", "hris_locations"}


def the_first_goes_at_once_and_the_rest_together():
    fresh()
    employee, group = first("/hris/employees")["id"], first("/hris/groups")["id"]
    listening(debounce_ms=1500)
    for name in ("a", "b", "c"):
        op("hris_employees", "change", employee, set={"first_name": name})
    op("hris_teams", "change", group, set={"name": "d"})
    op("hris_locations", "create", integration=ONE)  # which has an interval of its own
    got = [named(body) for _, _, _, body in received(3)]
    assert got == [{"hris_employees"}, {"hris_locations"}, {"hris_employees", "hris_teams"}]
    time.sleep(1.6)
    op("hris_teams", "change", group, set={"name": "e"})
    assert received(4, 1)


def a_failed_delivery_is_noted_and_tried_again():
    fresh()
    listening(retries=2, retry_ms=50)
    Receiver.status = 500
    op("hris_timesheets", "create")
    received(3)
    log = settled()
    assert (log["sent"], log["failed"], log["attempts"], log["waiting"]) == (0, 1, 3, 0)
    assert [(e["status"], e["attempt"]) for e in log["errors"]] == [(500, 1), (500, 2), (500, 3)]
    assert len({got[3] for got in Receiver.got}) == 1  # the same body, id included
    listening(retries=0)
    Receiver.status = 404
    op("hris_timesheets", "create")
    received(1)
    assert settled()["failed"] == 1


def states_are_told_of():
    listening(url=None)
    fresh(setup_status="FINAL_SYNC_PENDING")
    admin("PATCH", "integrations", {"setup_status": "COMPLETED"}, id=fresh.id)
    admin("PATCH", "integrations", {"tool": "same"}, id=fresh.id)
    admin("PATCH", "integrations", {"status": "INVALID"}, id=fresh.id)
    admin("DELETE", "integrations", id=fresh.id)
    told = [json.loads(one["body"]) for one in admin("POST", "outbox", {})]
    assert [one["type"] for one in told] == ["integration-created", "integration-state-changed", "data-changed",
                                             "integration-state-changed", "integration-deleted"]
    assert (told[1]["data"]["setup_status"], told[3]["data"]["state"]) == ("COMPLETED", "INVALID")
    assert {"name": "hris_employees"} in told[2]["data"]["changed_models"] and admin("POST", "outbox", {}) == []
    listening(url=None, types=["data-changed"])
    fresh()
    op("hris_timesheets", "create")
    assert [json.loads(one["body"])["type"] for one in admin("POST", "outbox", {})] == ["data-changed"]


def listed(path, model, since):
    """The records of the list by id, and those of its delta."""
    whole = {row["id"]: row for row in read(path, include_deleted="true")}
    return whole, {row["id"]: row for row in read(path, include_deleted="true", updated_after=since)}


def churn_is_told_of_and_shown_by_deltas():
    fresh()
    lists = {"/hris/employees": "hris_employees", "/hris/employments": "hris_employments", "/hris/groups": "hris_teams",
             "/hris/absences": "hris_absences", "/hris/staffing-entities": "hris_staffing_entities"}
    since = after()
    before = {path: listed(path, model, since)[0] for path, model in lists.items()}
    listening(url=None)
    admin("POST", "churn", {"integration": fresh.id, "per_second": 2000, "seed": 5, "count": 400})
    end = time.monotonic() + 30
    while admin("GET", "churn", integration=fresh.id)[0]["runs"] and time.monotonic() < end:
        time.sleep(0.05)
    done = admin("DELETE", "churn", integration=fresh.id)[0]
    assert 350 < done["done"] <= 400, done
    assert done["ops"].keys() == {"change", "create", "delete", "undelete", "set_links"}
    told = set().union(*(named(one["body"]) for one in admin("POST", "outbox", {})))
    for path, model in lists.items():
        whole, delta = listed(path, model, since)
        changed = {key for key, row in whole.items() if before[path].get(key) != row}
        assert changed and model in told
        # A change in an embedded group or parent opening is shown by its own list.
        own = {key for key in changed if before[path].get(key, {}).get("changed_at") != whole[key]["changed_at"]}
        assert own <= delta.keys(), (path, own - delta.keys())
        assert all(delta[key] == whole[key] for key in delta)


def churn_keeps_to_its_models_and_ends():
    fresh()
    listening(url=None)
    began = time.monotonic()
    admin("POST", "churn", {"integration": fresh.id, "per_second": 500, "models": ["hris_teams"], "ops": {"change": 1}})
    while admin("GET", "churn", integration=fresh.id)[0]["done"] <= 5 and time.monotonic() < began + 5:
        time.sleep(0.05)
    done = admin("DELETE", "churn", integration=fresh.id)[0]
    assert done["ops"].keys() == {"change"} and not done["runs"]
    assert 5 < done["done"] <= 500 * (time.monotonic() - began) + 1
    made = admin("POST", "outbox", {})
    assert {frozenset(named(one["body"])) for one in made} == {frozenset({"hris_teams"})} and len(made) == done["done"]
    time.sleep(0.1)
    assert admin("POST", "outbox", {}) == []
    assert "error" in admin("POST", "churn", {"integration": fresh.id, "models": ["hris_skills"]})


run(globals())
