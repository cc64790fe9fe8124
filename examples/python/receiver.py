#!/usr/bin/env python3
"""Receives Kombo's webhooks and puts them into kombo.webhook_inbox. Python 3.9 or newer and psycopg 3.

    apt-get install python3-psycopg        # or: pip install psycopg
    PORT=8080 PGHOST=db.example.com PGDATABASE=hr PGUSER=hr_webhooks PGPASSWORD=... python3 receiver.py

The role needs only this. (A role that logs in over TCP needs a password.)

    CREATE ROLE hr_webhooks LOGIN PASSWORD '...' CONNECTION LIMIT 10;
    SELECT kombo.grant_webhook_writer('hr_webhooks');

kombo-receiver.service in this folder runs the program under systemd. When it starts, it tries the database once and
exits with a message if that fails.

In Kombo's dashboard the webhook's address is https://…/kombo; a proxy in front of this program ends TLS. Answers: 200
the row is committed, 401 wrong signature, 408 too slow, 411 no length, 413 over 1 MB, 431 too many headers, other 4xx a
malformed request, 503 the database is away, slow or busy, or there are too many clients, 500 the database refused.
Refused requests are logged, in one line a minute at most.

GET /kombo is for a load balancer: 200 means that the program runs. It does not ask the database: anybody can send it,
and Kombo sends a webhook again that was answered 503.

Limits, from the environment, with their defaults: DATABASE_CONNECTIONS=8 connections at most; a request waits
DATABASE_WAIT=2 seconds for one of them; CLIENTS=100 clients at a time; REQUEST_TIMEOUT=30 seconds for a client to send
its whole request; LOG_INTERVAL=60 seconds between two lines about refused requests.
"""
import collections
import http.server
import io
import os
import queue
import re
import signal
import socket
import sys
import threading
import time

import psycopg

LIMIT = 1048576  # bytes of a body; the inbox takes no more
HEADERS = 65536  # bytes of all headers
CONNECTIONS = int(os.environ.get("DATABASE_CONNECTIONS", "8"))
WAIT = float(os.environ.get("DATABASE_WAIT", "2"))
CLIENTS = int(os.environ.get("CLIENTS", "100"))
REQUEST_TIMEOUT = float(os.environ.get("REQUEST_TIMEOUT", "30"))
LOG_INTERVAL = float(os.environ.get("LOG_INTERVAL", "60"))

# verify_webhook looks at the bytes as they came: a body that was parsed and written anew has another signature. One
# statement in autocommit is committed when it is answered.
INSERT = """
    INSERT INTO kombo.webhook_inbox (body, signature)
    SELECT body, signature FROM (SELECT convert_from(%b, 'UTF8'), %s::text) AS w (body, signature)
    WHERE kombo.verify_webhook(body, signature)"""

# Where it is: the environment (PGHOST …). A database that falls silent must not keep a connection occupied for long.
CONNECT = ("connect_timeout=5 options='-c statement_timeout=10s' tcp_user_timeout=15000"
           " keepalives_idle=10 keepalives_interval=5 keepalives_count=2")

slots = threading.BoundedSemaphore(CONNECTIONS)
idle = queue.LifoQueue()  # connections that nobody uses; with those in use never more than there are slots


class Busy(Exception):
    """All connections to the database are in use."""


def store(body, signature):
    """Whether the signature is right; then the row is committed."""
    if not slots.acquire(timeout=WAIT):
        raise Busy
    try:
        return store_by(body, signature)
    finally:
        slots.release()


def store_by(body, signature):
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


class Refused:
    """Refused requests: why, and how many. Nothing that a client sent is logged."""

    WHY = {401: "wrong signature", 404: "wrong path", 408: "too slow", 411: "no length", 413: "over 1 MB",
           431: "too many headers", 503: "too many clients"}

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.waiting = False  # the last line is from less than LOG_INTERVAL ago

    def note(self, status):
        with self.lock:
            self.counts[status] += 1
            if not self.waiting:
                self.tell()
        return status

    def tell(self):
        counts = [f"{n} x {status} {self.WHY.get(status, 'a malformed request')}"
                  for status, n in sorted(self.counts.items())]
        if counts:
            print("refused:", ", ".join(counts), file=sys.stderr, flush=True)
            timer = threading.Timer(LOG_INTERVAL, self.tell_later)
            timer.daemon = True
            timer.start()
        self.waiting = bool(counts)
        self.counts.clear()

    def tell_later(self):
        with self.lock:
            self.tell()


refused = Refused()


class Incoming(io.RawIOBase):
    """What a client sends, until a time and up to a number of bytes. (A socket's own timeout begins anew with every
    byte.)"""

    def __init__(self, connection):
        self.connection = connection
        self.end = time.monotonic() + REQUEST_TIMEOUT
        self.left = HEADERS

    def readable(self):
        return True

    def readinto(self, buffer):
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise socket.timeout
        self.connection.settimeout(seconds)
        got = self.connection.recv_into(buffer, min(len(buffer), self.left)) if self.left else 0
        self.left -= got
        return got


class Receiver(http.server.BaseHTTPRequestHandler):
    def setup(self):
        super().setup()
        self.incoming = Incoming(self.connection)
        self.rfile = io.BufferedReader(self.incoming)

    def do_POST(self):
        try:
            status = self.receive()
        except socket.timeout:
            status = 408
        if 400 <= status < 500:
            refused.note(status)
        self.answer(status)

    def do_GET(self):
        known = self.path.split("?")[0] == "/kombo"
        self.answer(200 if known else refused.note(404))

    do_HEAD = do_GET

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_error(self, code, message=None, explain=None):
        """What the library refuses by itself, before there is a request."""
        super().send_error(refused.note(int(code)), message, explain)

    def receive(self):
        if self.incoming.left == 0:
            return 431
        if self.path.split("?")[0] != "/kombo":
            return 404
        lengths = self.headers.get_all("Content-Length", [])
        if not lengths or "Transfer-Encoding" in self.headers:
            return 411
        digits = lengths[0].strip(" \t")
        if len(lengths) > 1 or not re.fullmatch("[0-9]+", digits):
            return 400
        length = int(digits[:20])  # Python does not convert thousands of digits
        if length > 16 * LIMIT:
            return 413
        self.incoming.left += length
        if length > LIMIT:
            # The client is still sending and would not read a response: read what it sends, and do not keep it.
            for start in range(0, length, 65536):
                self.rfile.read(min(65536, length - start))
            return 413
        body = self.rfile.read(length)
        if len(body) < length:
            return 400
        return self.answer_of(body, self.headers.get("X-Kombo-Signature"))

    def answer_of(self, body, signature):
        try:
            return 200 if store(body, signature) else 401
        except Busy:
            print("not stored: all connections to the database are in use", file=sys.stderr, flush=True)
            return 503
        except psycopg.Error as error:
            # Not its detail: that may quote the row.
            print("not stored:", error.sqlstate, error.diag.message_primary or error, file=sys.stderr, flush=True)
            # No UTF-8; or psycopg itself cannot send the signature.
            if error.sqlstate == "22021" or isinstance(error, psycopg.DataError) and not error.sqlstate:
                return 400
            # Lost connections, shutdown, timeouts, too many connections; anything else is a refusal.
            return 503 if isinstance(error, psycopg.OperationalError) else 500

    def log_message(self, *_):
        """No line for each request."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for the requests that are under way
    request_queue_size = 128
    places = threading.BoundedSemaphore(CLIENTS)

    def process_request(self, request, client_address):
        if not self.places.acquire(blocking=False):
            refused.note(503)
            request.setblocking(False)
            request.send(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self.places.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request, client_address):
        """A line for what went wrong here, none for a client that has left."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"a request failed: {error!r}", file=sys.stderr, flush=True)


# The statement itself, with no webhook, stores nothing, and shows whether one could be stored.
try:
    store(b"", None)
except psycopg.Error as error:
    sys.exit(f"cannot store webhooks: {error.sqlstate or ''} {error.diag.message_primary or error}")

server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))), Receiver)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"listening on {server.server_address[0]}:{server.server_port}", flush=True)
server.serve_forever()
server.server_close()
