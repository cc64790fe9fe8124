#!/usr/bin/env python3
"""Receives Kombo's webhooks and puts them into kombo.webhook_inbox. Python 3.9 or newer and psycopg 3.

    apt-get install python3-psycopg        # or: pip install psycopg
    PORT=8080 PGHOST=db.example.com PGDATABASE=hr PGUSER=hr_webhooks PGPASSWORD=... python3 receiver.py

The role needs nothing but this:

    CREATE ROLE hr_webhooks LOGIN;
    SELECT kombo.grant_webhook_writer('hr_webhooks');

In Kombo's dashboard the webhook's address is https://…/kombo; a proxy before this program ends TLS. Answers: 200 the
row is committed, 401 wrong signature, 413 over 1 MB, 411 no length, 400 no UTF-8, 503 the database is away or slow,
500 it refused.
"""
import http.server
import os
import queue
import signal
import sys
import threading

import psycopg

LIMIT = 1048576  # bytes; the inbox takes no more

# verify_webhook looks at the bytes as they came: a body that was parsed and written anew has another signature. One
# statement in autocommit is committed when it is answered.
INSERT = """
    INSERT INTO kombo.webhook_inbox (body, signature)
    SELECT body, signature FROM (SELECT convert_from(%b, 'UTF8'), %s::text) AS w (body, signature)
    WHERE kombo.verify_webhook(body, signature)"""

# Where it is: the environment (PGHOST …).
CONNECT = "connect_timeout=5 options='-c statement_timeout=10s'"

idle = queue.LifoQueue()  # connections that nobody uses


def store(body, signature):
    """Whether the signature is right; then the row is committed."""
    while True:
        try:
            connection, used = idle.get_nowait(), True
        except queue.Empty:
            connection, used = psycopg.connect(CONNECT, autocommit=True), False
        try:
            stored = connection.execute(INSERT, [body, signature]).rowcount == 1
        except psycopg.Error:
            if not connection.broken:
                idle.put(connection)
                raise
            # A connection that was lost while idle tells nothing of the server. Should the row have been committed all
            # the same, it comes twice, and the second is ignored by its id.
            if not used:
                raise
        else:
            idle.put(connection)
            return stored


class Receiver(http.server.BaseHTTPRequestHandler):
    timeout = 30  # seconds for a client to send what it announced

    def do_POST(self):
        status = self.receive()
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def receive(self):
        if self.path.split("?")[0] != "/kombo":
            return 404
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            return 411
        if int(length) > LIMIT:
            # Who still sends does not hear an answer: a little of it is read, and not kept.
            for _ in range(min(int(length), 16 * LIMIT) // 65536):
                self.rfile.read(65536)
            return 413
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return 400
        try:
            return 200 if store(body, self.headers.get("X-Kombo-Signature")) else 401
        except psycopg.Error as error:
            # Not its detail: that may quote the row.
            print("not stored:", error.sqlstate, error.diag.message_primary or error, file=sys.stderr, flush=True)
            if error.sqlstate == "22021":
                return 400
            # Lost connections, shutdown, timeouts, too many connections; anything else is a refusal.
            return 503 if isinstance(error, psycopg.OperationalError) else 500

    def log_message(self, *_):
        """No line for each request."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for the requests that are under way
    request_queue_size = 128


server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))), Receiver)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"listening on {server.server_address[0]}:{server.server_port}", flush=True)
server.serve_forever()
server.server_close()
