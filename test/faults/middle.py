"""A man in the middle, between the extension and the sandbox: it lets requests through, and breaks one page of one list
as a fault says. It speaks HTTP/1.1 over plain sockets, or over TLS, and is an HTTP proxy, too."""

import contextlib
import ctypes
import dataclasses
import http.client
import select
import socket
import struct
import threading
import time
import urllib.parse

LIST = "/v1/hris/employees"
PATIENCE = 30  # seconds: no fault lasts longer, should a test forget to end it


@dataclasses.dataclass
class Answer:
    status: int
    headers: list  # of (name, value), without Content-Length
    body: bytes

    def head(self, length=None, version="HTTP/1.1"):
        lines = [f"{version} {self.status} {http.client.responses.get(self.status, 'Unheard Of')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if length != "none":
            lines.append(f"Content-Length: {len(self.body) if length is None else length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def raw(self):
        return self.head() + self.body

    def header(self, name, value):
        """Sets a header, None: removes it."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


@dataclasses.dataclass
class Link:
    """One request, for a fault: `answer` is what the sandbox says; `send`, `reset`, `hush` are what can be done."""
    middle: "Middle"
    socket: socket.socket
    page: int
    query: dict
    answer: Answer

    def send(self, data):
        self.socket.sendall(data)

    def reset(self):
        """Ends the connection by RST, and has what was sent before arrive first."""
        time.sleep(0.02)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain_close(self.socket)

    def hush(self):
        """Says nothing until the client has gone or the fault is over."""
        self.middle.hush(self.socket)

    def deaf(self):
        """From now on nothing that the client sends arrives: the kernel drops it, and does not acknowledge it. Where
        that takes more rights, silence must do."""
        drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
        program = struct.pack("HL", 1, ctypes.addressof(drop_all))
        with contextlib.suppress(PermissionError):
            self.socket.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER


class Middle:
    """Listens on a port of its own. `arm(fault, page, times)` has the fault break that page of LIST; `disarm` ends it.
    `hits` is how often it did, `asked` how often each page was asked for since. A fault is either a function that gets
    a Link and returns true if the connection goes on, or has `begin(middle)`, `accept(middle, socket)` and
    `end(middle)`: it breaks the connections from before that page on."""

    def __init__(self, sandbox, integration, certificates=None):
        self.sandbox, self.certificates = sandbox, certificates
        self.tls = None  # the context of an https server
        self.strays = []  # requests of what no client has to ask for
        self.aliases = {}  # of cursors that faults have made up: the cursor that is meant
        self.upstream = urllib.parse.urlsplit(sandbox.url)
        self.integration = integration
        self.fault, self.page, self.left, self.hits, self.generation = None, 0, 0, 0, 0
        self.broken = False  # a fault of connections has begun
        self.pages = {}  # of each cursor the number of its page
        self.asked = {}
        self.lock = threading.RLock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = False
        self.listen()

    @property
    def base_url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/v1"

    # --- the fault ------------------------------------------------------------------------------------------------

    def arm(self, fault, page, times=-1):
        with self.lock:
            self.fault, self.page, self.left, self.hits, self.asked = fault, page, times, 0, {}
            if page == 1 and hasattr(fault, "begin"):
                self.begin()

    def disarm(self):
        with self.lock:
            fault, self.fault = self.fault, None
            self.generation += 1
            for name in ("ring", "seen_records"):
                self.__dict__.pop(name, None)
            if self.broken:
                self.broken = False
                fault.end(self)
            if self.hits and hasattr(fault, "over"):
                fault.over(self)

    def begin(self):
        """Connections that are kept would not notice."""
        self.broken = True
        self.drop_connections()
        self.fault.begin(self)

    def drop_connections(self):
        for kept in list(self.open):
            with contextlib.suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)

    def take(self, page):
        """Whether the fault is to act on this page, which it then has."""
        with self.lock:
            if self.fault is None or self.left == 0:
                return None
            if page != self.page and not (getattr(self.fault, "on_aliases", False) and int(page) == self.page):
                return None
            self.left -= 1
            self.hits += 1
            return self.fault

    def hush(self, client):
        generation, end = self.generation, time.monotonic() + PATIENCE
        while self.generation == generation and time.monotonic() < end:
            if select.select([client], [], [], 0.02)[0]:
                try:
                    if not client.recv(1000):
                        return
                except OSError:
                    return

    # --- connections ----------------------------------------------------------------------------------------------

    def listen(self):
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """Keeps the port, and refuses whoever comes."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = self.bound()

    def accept_again(self):
        self.listener.close()
        self.listener = self.bound()
        self.listener.listen(64)
        self.listen()

    def bound(self):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", self.port))
        return made

    def accept(self, listener):
        while not self.ended:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with contextlib.suppress(OSError, ValueError), client:
            if self.broken:
                with self.lock:
                    acts = self.left != 0
                    self.left -= acts
                    self.hits += acts
                if acts and not self.fault.accept(self, client):
                    return
            if self.tls and client.recv(7, socket.MSG_PEEK) == b"CONNECT":
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            self.open.add(client)
            try:
                while self.one_request(client):
                    pass
            finally:
                self.open.discard(client)
                plain_close(client)

    def one_request(self, client):
        """Answers one request; whether the connection goes on."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(65536)
            if not more:
                return False
            head += more
        line, *lines = head.decode("latin-1").split("\r\n")
        url = urllib.parse.urlsplit(line.split()[1])
        query = dict(urllib.parse.parse_qsl(url.query))
        named = (text.split(": ", 1) for text in lines if ": " in text)
        headers = {name.lower(): value for name, value in named}
        if not url.path.startswith("/v1/"):
            self.strays.append(url.path)
        page = self.page_of(url.path, query, headers)
        answer = self.forward(url.path, query, headers)
        fault = self.take(page)
        if fault is not None and not hasattr(fault, "begin"):
            return fault(Link(self, client, page, query, answer))
        with self.lock:
            last = (hasattr(self.fault, "begin") and not self.broken and page == self.page - 1)
            if last:
                self.open.discard(client)
                answer.header("Connection", "close")
                self.begin()
        self.note_next(page, answer)
        client.sendall(answer.raw())
        return not last

    def page_of(self, path, query, headers):
        """The number of the page, 0 for any other request."""
        if path != LIST or "ids" in query or headers.get("x-integration-id") != self.integration:
            return 0
        cursor = query.get("cursor")
        meant = self.aliases.get(cursor, cursor)
        page = self.pages.get(meant, 0) if meant else 1
        if cursor in self.aliases:
            return page + 0.5
        with self.lock:
            self.asked[page] = self.asked.get(page, 0) + 1
        return page

    def note_next(self, page, answer):
        following = page and answer.status == 200 and http_next(answer.body)
        if following:
            self.pages[following] = int(page) + 1

    def forward(self, path, query, headers):
        connection = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)
        kept = {name: value for name, value in headers.items() if name not in ("accept-encoding", "host")}
        query = dict(query)
        if query.get("cursor") in self.aliases:
            query["cursor"] = self.aliases[query["cursor"]]
            if query["cursor"] is None:
                del query["cursor"]
        connection.request("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""), headers=kept)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        dropped = ("content-length", "connection", "keep-alive", "transfer-encoding")
        return Answer(answer.status, [pair for pair in answer.getheaders() if pair[0].lower() not in dropped], body)

    def close(self):
        self.ended = True
        self.disarm()
        self.drop_connections()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def http_next(body):
    """The cursor that a page ends with."""
    tail = body[body.rfind(b'"next":'):]
    parts = tail.split(b'"')
    return parts[3].decode() if tail.startswith(b'"next":"') else None


def plain_close(client):
    """Closes a socket without TLS's goodbye."""
    with contextlib.suppress(OSError):
        client.close()
