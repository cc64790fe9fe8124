"""What the sandbox's own tests share: a sandbox of the program that the command line names, calls to it, and `run`,
which prints TAP."""
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

KEY = "sandbox-key"
ONE = "personio:CBNMt7dSNCzBdnRTx87dev4E"
server = subprocess.Popen([sys.argv[1], "--employees", "300", "--integration", ONE, "--integration", "sized:seven=7",
                           "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
BASE = server.stdout.readline().split()[-1]
made = 0


def call(method, url, body=None, headers=None, timeout=20):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + url, data=data, method=method,
                                     headers={"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return error.code, json.loads(text), error.headers
        except ValueError:
            return error.code, text, error.headers


def api(path, integration=ONE, key=KEY, **params):
    headers = {"Authorization": "Bearer " + key}
    if integration:
        headers["X-Integration-Id"] = integration
    return call("GET", "/v1" + path + ("?" + urllib.parse.urlencode(params) if params else ""), headers=headers)


def admin(method, what, body=None, **params):
    return call(method, "/admin/" + what + ("?" + urllib.parse.urlencode(params) if params else ""), body)[1]


def op(model, name, record_id=None, integration=None, **more):
    return admin("POST", "records", {"integration": integration or fresh.id, "model": model, "op": name,
                                     "id": record_id, **more})


def read(path, size=250, **params):
    params["page_size"] = size
    rows = []
    while True:
        status, body, _ = api(path, fresh.id, **params)
        assert status == 200, body
        rows += body["data"]["results"]
        if body["data"]["next"] is None:
            return rows
        params["cursor"] = body["data"]["next"]


def code(answer):
    return answer[0], answer[1]["error"]["code"]


def first(path):
    return read(path)[0]


def fresh(**more):
    """A new integration of 100 employees for the check that follows."""
    global made
    made += 1
    fresh.id = f"tool:{made}"
    admin("POST", "integrations", {"id": fresh.id, "employees": 100, "seed": 7, **more})


def after():
    """A moment that everything before it lies before."""
    time.sleep(0.005)
    now = admin("POST", "clock", {})["now"]
    time.sleep(0.005)
    return now


def moved(path, since):
    return {row["id"] for row in read(path, updated_after=since, include_deleted="true")}


def run(namespace):
    """Runs every function of the caller's module whose name has an underscore, in order, and ends the process."""
    tests = [value for name, value in namespace.items()
             if callable(value) and getattr(value, "__module__", "") == "__main__" and "_" in name]
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}")
        except Exception as error:  # a test that dies must not end the others
            failed += 1
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else 0
            print(f"not ok {number} - {test.__name__}\n# line {line}: {type(error).__name__} {error}")
        finally:
            admin("DELETE", "faults")
    print(f"1..{len(tests)}")
    server.stdin.close()
    sys.exit(1 if failed or server.wait(5) != 0 else 0)
