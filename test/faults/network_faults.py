"""The network: connections that do not come about, or end, or say nothing."""

import socket
import struct
import time

from cells import AGAIN, LASTS, STORED, Cell

BRIEF = {"request_timeout": "700ms"}
LOST = "the connection was lost before the response was complete"


class Refused:
    """Nobody listens."""

    def begin(self, middle):
        middle.refuse()

    def end(self, middle):
        middle.accept_again()


class Unanswered(Refused):
    """The kernel drops the packets of who wants to connect, as the queue of those who do is full."""

    def begin(self, middle):
        middle.refuse()
        middle.listener.listen(0)
        self.queued = []
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", middle.port))
            self.queued.append(waiting)

    def end(self, middle):
        for waiting in self.queued:
            waiting.close()
        middle.accept_again()


class Accepting:
    """Takes connections, and does `act` to each before a byte is read."""

    def __init__(self, act):
        self.act = act

    def begin(self, middle):
        pass

    def accept(self, middle, client):
        return self.act(middle, client)

    def end(self, middle):
        pass


def reset(middle, client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def reset_at_once(link):
    link.reset()


def reset_in_headers(link):
    link.send(link.answer.head()[:60])
    link.reset()


def reset_in_body(link):
    link.send(link.answer.raw()[:-200])
    link.reset()


def silent(link):
    link.hush()


def silent_in_headers(link):
    link.send(link.answer.head()[:60])
    link.hush()


def silent_in_body(link):
    link.send(link.answer.raw()[:-200])
    link.hush()


def drips(link):
    """A byte a second, after the headers."""
    link.send(link.answer.head())
    end = time.monotonic() + 30
    generation = link.middle.generation
    for byte in link.answer.body:
        link.send(bytes([byte]))
        for _ in range(10):
            time.sleep(0.1)
            if link.middle.generation != generation or time.monotonic() > end:
                return


def closes_at_once(link):
    pass


def closes_in_body(link):
    link.send(link.answer.raw()[:-200])


def closes_in_body_without_length(link):
    link.answer.header("Connection", "close")
    link.send(link.answer.head("none") + link.answer.body[:-200])


def closes_in_chunk(link):
    link.answer.header("Transfer-Encoding", "chunked")
    body = link.answer.body[:-200]
    link.send(link.answer.head("none") + f"{len(body):x}\r\n".encode() + body + b"\r\n")


def half_open(link):
    """The other end forgets the connection: nothing is acknowledged, nothing said."""
    link.deaf()
    link.hush()


def gone_while_idle(middle, client):
    """The other end takes the connection, and forgets it."""
    middle.hush(client)


NETWORK = [
    Cell("the connection is refused", Refused(), AGAIN, "08001", "could not connect", counted=False),
    Cell("the connection is not answered", Unanswered(), AGAIN, "08001", "could not connect within", counted=False,
         options={"connect_timeout": "300ms"}),
    Cell("the connection is reset as soon as it is made",
         Accepting(reset), AGAIN, "08001|08006", "could not connect|" + LOST),
    Cell("the connection is reset before the headers", reset_at_once, AGAIN, "08006", LOST),
    Cell("the connection is reset within the headers", reset_in_headers, AGAIN, "08006", LOST),
    Cell("the connection is reset within the body", reset_in_body, AGAIN, "08006", LOST),
    Cell("silence before the headers", silent, AGAIN, "08006", "timed out after", options=BRIEF),
    Cell("silence within the headers", silent_in_headers, AGAIN, "08006", "timed out after", options=BRIEF),
    Cell("silence within the body", silent_in_body, AGAIN, "08006", "timed out after", options=BRIEF),
    Cell("a byte a second", drips, AGAIN, "08006", "timed out after", options=BRIEF),
    Cell("the connection is half open", half_open, AGAIN, "08006", "timed out after", options=BRIEF),
    Cell("it is closed without an answer", closes_at_once, AGAIN, "08006", LOST),
    Cell("it is closed within a body of known length", closes_in_body, AGAIN, "08006", LOST),
    Cell("it is closed within a body of unknown length", closes_in_body_without_length, AGAIN, "08P01",
         "unexpected response from Kombo"),
    Cell("it is closed within a chunked body", closes_in_chunk, AGAIN, "08006", LOST),
]



# --- a proxy ------------------------------------------------------------------------------------------------------

def refuses(status):
    """A proxy that does not connect to the host."""
    def act(middle, client):
        client.recv(65536)
        client.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        return False
    return Accepting(act)


def silent_proxy(middle, client):
    middle.hush(client)


VIA = {"proxy": lambda place: f"http://127.0.0.1:{place.middle.port}"}
NO_TUNNEL = "the proxy refused to connect with HTTP status "
PROXY = [
    Cell("the proxy's connection is refused", Refused(), AGAIN, "08001", "could not connect", counted=False,
         options={**VIA, "base_url": lambda place: place.sandbox.base_url}),
    Cell("the proxy's connection is reset within the body", reset_in_body, AGAIN, "08006", LOST,
         options={**VIA, "base_url": lambda place: place.sandbox.base_url}),
    *(Cell(f"the proxy refuses to connect with {status}", refuses(status), AGAIN, "08001", NO_TUNNEL + str(status),
           tls=True, options=VIA) for status in (302, 403, 407, 502)),
    Cell("the proxy does not answer", Accepting(silent_proxy), AGAIN, "08001", "could not connect within", tls=True,
         options={**VIA, "connect_timeout": "500ms"}),
]


# --- TLS ----------------------------------------------------------------------------------------------------------

class Presents:
    """New connections get another certificate."""

    def __init__(self, name, **how):
        self.name, self.how = name, how

    def context(self, middle):
        return middle.certificates.context(self.name, **self.how)

    def begin(self, middle):
        middle.tls = self.context(middle)

    def accept(self, middle, client):
        return True

    def end(self, middle):
        middle.tls = middle.certificates.good


class OfAnother(Presents):
    """A certificate that another authority has signed."""

    def context(self, middle):
        return middle.certificates.context(self.name, authority=middle.certificates.other)


class Authorities:
    """The file of authorities is another while this lasts, and so is the certificate if the server follows."""

    def __init__(self, server_follows):
        self.server_follows = server_follows

    def begin(self, middle):
        certificates = middle.certificates
        certificates.write_trusted(middle, certificates.other)
        if self.server_follows:
            middle.tls = certificates.context("of-another", authority=certificates.other)

    def accept(self, middle, client):
        return True

    def end(self, middle):
        middle.tls = middle.certificates.good
        middle.certificates.write_trusted(middle, middle.certificates.authority)
        middle.drop_connections()


def own_file(place):
    """A file of authorities that no other place reads."""
    return place.certificates.write_trusted(place.middle, place.certificates.authority)


def no_tls(middle, client):
    client.recv(1000)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    return False


def alert(middle, client):
    """handshake_failure, fatal"""
    client.recv(1000)
    client.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))
    return False


def half_a_handshake(middle, client):
    client.recv(1000)
    client.sendall(bytes([22, 3, 3, 0, 200, 2, 0, 0, 100]))
    return False


def silent_handshake(middle, client):
    middle.hush(client)


UNTRUSTED = "the server.s certificate is not trusted"
TLS = [Cell(*arguments, tls=True, **more) for arguments, more in [
    (("TLS: the server speaks none", Accepting(no_tls), AGAIN, "08001", "could not agree on TLS"), {}),
    (("TLS: the handshake is refused", Accepting(alert), AGAIN, "08001", "could not agree on TLS"), {}),
    (("TLS: the handshake is cut", Accepting(half_a_handshake), AGAIN, "08001", "could not agree on TLS"), {}),
    (("TLS: the handshake is not answered", Accepting(silent_handshake), AGAIN, "08001", "could not connect within"),
     {"options": {"connect_timeout": "500ms"}}),
    (("TLS: the certificate has expired", Presents("expired", expired=True), LASTS, "08001", UNTRUSTED), {}),
    (("TLS: the certificate is self-signed", Presents("self", authority="self"), LASTS, "08001", UNTRUSTED), {}),
    (("TLS: the certificate is another host's", Presents("host", host="DNS:example.test"), LASTS, "08001", UNTRUSTED),
     {}),
    (("TLS: another authority has signed the certificate", OfAnother("of-another"), LASTS, "08001", UNTRUSTED), {}),
    (("TLS: the certificate is changed for another good one", Presents("next"), STORED), {}),
    (("TLS: ca_file no longer has the authority", Authorities(False), LASTS, "08001", UNTRUSTED),
     {"options": {"ca_file": own_file}}),
    (("TLS: server and ca_file go over to another authority", Authorities(True), STORED),
     {"options": {"ca_file": own_file}}),
    (("TLS: the connection is reset within the body", reset_in_body, AGAIN, "08006", LOST), {}),
    (("TLS: the connection is closed within the body", closes_in_body, AGAIN, "08006", LOST), {}),
]]
