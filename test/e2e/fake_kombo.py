"""A Kombo that answers as a test says, for answers that the sandbox, which keeps to Kombo's rules, cannot give."""

import contextlib
import http.server
import json
import threading


class FakeKombo:
    """A server on a port of its own: FakeKombo(answer). `answer(path, query)` gets the path below /v1 and the raw
    query, and returns None (an empty list), a list of records, a dict (the whole `data` of an envelope), or a tuple
    (status, headers, body bytes). Used in place of a Sandbox: create_server(fake). `requests` are the (path, query)
    that came."""

    def __init__(self, answer=lambda path, query: None, api_key="fake-key"):
        self.answer = answer
        self.api_key = api_key
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # the name is http.server's
                path, _, query = self.path.removeprefix("/v1").partition("?")
                outer.requests.append((path, query))
                status, headers, body = outer.reply(path, query)
                # A client that has gone away is no error of the test's.
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reply(self, path, query):
        given = self.answer(path, query)
        if isinstance(given, tuple):
            return given
        if not isinstance(given, dict):
            given = {"results": given or [], "next": None}
        body = json.dumps({"status": "success", "data": given}).encode()
        return 200, {"Content-Type": "application/json"}, body

    def asked(self, path):
        """How often the list was asked for."""
        return sum(1 for asked, _ in self.requests if asked == path)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def error(status, code=None, message="no", headers=None):
    """An answer tuple: Kombo's error envelope."""
    body = {"status": "error", "error": {"code": code, "message": message}}
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()
