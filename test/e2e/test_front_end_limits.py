"""The front ends of examples/ under hostile requests: floods, slow clients, malformed lengths. PostgREST's limits are
its proxy's and its own, and not tested here."""

import re
import socket
import urllib.parse

import pytest

from front_ends import WRITER, front_end, of_module, own_cluster, sender  # noqa: F401  (fixtures)
from syncing import wait_until

BODY = b'{"x":' + b"1" * 20000 + b"}"


each = of_module("node", "python")


@pytest.fixture(autouse=True)
def without_traceback(front_end):  # noqa: F811
    yield
    assert "Traceback" not in front_end.running.output()


@pytest.fixture
def limited(front_end):
    """limited(CLIENTS=3): one more process of that front end, with other limits."""
    started = []

    def start(**limits):
        started.append(front_end.start(**{name: str(value) for name, value in limits.items()}))
        return started[-1]

    yield start
    for program in started:
        program.stop()
        assert "Traceback" not in program.output()


class Client:
    """A connection to a front end, for what no HTTP library sends."""

    def __init__(self, url):
        where = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((where.hostname, where.port), 30)

    def send(self, data):
        """Whether the connection still takes it."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def status(self):
        """That of the answer; None if the connection ended without one. Closes it."""
        answer = b""
        try:
            while b"\r\n" not in answer:
                got = self.socket.recv(4096)
                if not got:
                    break
                answer += got
        except ConnectionError:
            pass
        self.socket.close()
        found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
        return int(found[1]) if found else None


def head(length, *more):
    """The beginning of a request without a right signature."""
    lines = [b"POST /kombo HTTP/1.1", b"Host: localhost", b"Connection: close", b"X-Kombo-Signature: AAAA", *more]
    if length is not None:
        lines.append(b"Content-Length: " + (length if isinstance(length, bytes) else b"%d" % length))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def unsigned(url):
    """A client that has sent a whole request."""
    client = Client(url)
    client.send(head(len(BODY)) + BODY)
    return client


def waiting_for_a_lock(db):
    return db.value("SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = 'Lock'", [WRITER])


def sessions(db):
    return db.value("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [WRITER])


def test_500_unsigned_requests_at_once_leave_the_database_to_others(front_end):
    db = front_end.db
    assert db.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", [WRITER]) == 10
    db.execute("CREATE ROLE somebody LOGIN")
    try:
        # All requests that get a connection are there at the same time: the lock stops them.
        with db.connect(autocommit=False) as blocker:
            blocker.execute("LOCK TABLE kombo.webhook_inbox IN SHARE MODE")
            clients = [Client(front_end.url) for _ in range(500)]
            for client in clients:
                client.send(head(len(BODY)) + BODY[:-1])
            for client in clients:
                client.send(BODY[-1:])
            wait_until(lambda: waiting_for_a_lock(db) == 8, 30, "8 requests in the database")
            assert sessions(db) == 8
            with db.connect("somebody") as other:
                assert other.execute("SELECT 1 AS one").fetchone() == {"one": 1}
        statuses = {client.status() for client in clients}
        assert statuses <= {401, 503, None} and 401 in statuses
        wait_until(lambda: sessions(db) <= 8, 10, "no more sessions than the pool has")
        with db.connect("somebody") as other:
            assert other.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    finally:
        db.execute("DROP ROLE somebody")
    wait_until(lambda: front_end.send("{}") == 200, 10, "a webhook to be taken")
    assert len(front_end.stored()) == 1


def test_a_request_that_no_connection_becomes_free_for_is_503(front_end, limited):
    program = limited(DATABASE_CONNECTIONS=1, DATABASE_WAIT=3)
    with front_end.db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE kombo.webhook_inbox IN SHARE MODE")
        first = unsigned(program.url)
        front_end.wait_for_lock()
        assert unsigned(program.url).status() == 503
    assert first.status() == 401
    assert unsigned(program.url).status() == 401


def test_a_client_too_many_is_turned_away(limited):
    program = limited(CLIENTS=3)
    silent = [Client(program.url) for _ in range(3)]
    assert unsigned(program.url).status() in (503, None)
    for client in silent:
        client.socket.close()
    wait_until(lambda: unsigned(program.url).status() == 401, 10, "a client to be served")


@pytest.mark.parametrize("begin", [b"POST /kombo HTTP/1.1\r\nX-Long: ", head(100000)], ids=["headers", "body"])
def test_a_client_that_drips_is_cut_off(limited, begin):
    """Each byte is in time; the request as a whole is not."""
    program = limited(REQUEST_TIMEOUT=1)
    client = Client(program.url)
    assert client.send(begin)
    wait_until(lambda: not client.send(b"x"), 30, "the end of the connection")
    assert client.status() in (408, None)
    assert unsigned(program.url).status() == 401


@pytest.mark.parametrize("length", [None, b"", b"\xb2", b"-1", b"+5", b"5.0", b"0x5", b"5 5", b"5, 5",
                                    pytest.param(b"9" * 5000, id="5,000 digits"), b"5\r\nContent-Length: 5",
                                    b"5\r\nContent-Length: 6", b"5\r\nTransfer-Encoding: chunked"])
def test_a_length_that_is_none_is_4xx(front_end, length):
    client = Client(front_end.url)
    client.send(head(length) + b"[123]")
    assert 400 <= (client.status() or 0) < 500
    assert unsigned(front_end.url).status() == 401 and front_end.stored() == []


@pytest.mark.parametrize("headers", [[b"X-Long: " + b"x" * 200000], [b"X-%d: " % i + b"x" * 1000 for i in range(95)],
                                     [b"X-%d: x" % i for i in range(5000)]], ids=["one long", "95 kB", "many"])
def test_headers_have_a_limit(front_end, headers):
    client = Client(front_end.url)
    client.send(head(5, *headers) + b"[123]")
    assert client.status() in (431, None)
    assert unsigned(front_end.url).status() == 401
