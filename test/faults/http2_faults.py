"""HTTP/2: streams and connections that end (http2.mjs)."""

import pathlib
import subprocess

from cells import AGAIN, STORED, Cell
from network_faults import LOST

SCRIPT = pathlib.Path(__file__).resolve().parent / "http2.mjs"


class Http2:
    """The servers; needs node."""

    def __init__(self, certificates):
        certificates.context("http2")
        file = certificates.folder / "http2.pem"
        self.process = subprocess.Popen(["node", SCRIPT, file.with_suffix(".key"), file], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.urls = {}

    def url(self, middle):
        """That of the server in front of this one."""
        if middle.port not in self.urls:
            self.process.stdin.write(f"{middle.port}\n")
            self.process.stdin.flush()
            self.urls[middle.port] = f"https://127.0.0.1:{int(self.process.stdout.readline())}/v1"
        return self.urls[middle.port]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def breaks(how):
    def fault(link):
        link.answer.header("X-H2", how)
        link.send(link.answer.raw())
        return True
    return fault


SERVER = {"base_url": lambda place: place.http2.url(place.middle),
          "ca_file": lambda place: place.certificates.authority}


def cell(what, how, then, says="", **more):
    return Cell(f"HTTP/2: {what}", breaks(how), then, "08006", says, options={**SERVER, **more})


HTTP2 = [
    cell("the stream is refused", "refused", AGAIN, LOST),
    cell("GOAWAY, and no answer", "goaway", AGAIN, LOST),
    cell("GOAWAY, as there was too much", "goaway, calm", AGAIN, LOST),
    cell("GOAWAY, and the answer", "goaway, answer", STORED),
    cell("the stream is reset within the body", "reset", AGAIN, LOST),
    cell("the connection is closed within the body", "cut", AGAIN, LOST),
    cell("silence", "silent", AGAIN, "timed out after", request_timeout="700ms"),
]
