"""HTTP: answers with another status, with headers and encodings that are odd or wrong."""

import gzip
import json
import time

from cells import AGAIN, LASTS, STORED, Cell

HTML = b"<!DOCTYPE html><html><body>Somebody in between</body></html>"
BRIEF = {"request_timeout": "700ms"}
SMALL = {"max_response_size": "64kB"}
ODD = "unexpected response from Kombo"


def reply(status, body=b"", content_type=None, **headers):
    """A fault: this answer; headers as retry_after=1."""
    def fault(link):
        link.answer.status, link.answer.body = status, body
        link.answer.header("Content-Type", content_type)
        for name, value in headers.items():
            link.answer.header(name.replace("_", "-"), value(link) if callable(value) else value)
        link.send(link.answer.head("none" if status == 204 else None) + body)
        return True
    return fault


def envelope(status, code=None, **headers):
    error = {"code": code, "title": "No", "message": "not this time"}
    return reply(status, json.dumps({"status": "error", "error": error}).encode(), "application/json", **headers)


def changed(change):
    """A fault: `change` alters the sandbox's answer."""
    def fault(link):
        link.middle.note_next(link.page, link.answer)
        change(link.answer)
        link.send(link.answer.raw())
        return True
    return fault


# --- statuses -----------------------------------------------------------------------------------------------------

REDIRECTS = (300, 301, 302, 303, 304, 305, 307, 308)
REFUSALS = (400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422,
            423, 424, 425, 426, 428, 429, 431, 451, 499)
FAILURES = (500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 599)


def of_envelope(status):
    """What Kombo's own words mean where its code is not known."""
    if status == 401:
        return LASTS, "28000", "Kombo refused the API key"
    if status == 404:
        return LASTS, "HV000", "Kombo did not find it"
    if status in (400, 422):
        return LASTS, "HV000", "Kombo refused the request"
    if status == 429:
        return AGAIN, "53400", "rate limit"
    passes = status >= 500 or status in (408, 421, 425, 499)
    return AGAIN if passes else LASTS, "HV000", "Kombo answered with an error"


def of_others(status):
    """What is not Kombo's says nothing of the request or the key."""
    if status == 429:
        return AGAIN, "53400", "rate limit"
    if status >= 500 or status == 408:
        return AGAIN, "HV000", "Kombo answered with an error"
    return AGAIN, "08P01", ODD


STATUSES = [cell for status in (*REFUSALS, *FAILURES) for cell in (
    Cell(f"{status} with Kombo's envelope", envelope(status), *of_envelope(status)),
    Cell(f"{status} with HTML", reply(status, HTML, "text/html"), *of_others(status)),
    Cell(f"{status} with nothing", reply(status), *of_others(status)))]

CODES = [Cell(f"{status} {code}", envelope(status, code), then, state, says, status=said) for
         status, code, then, state, says, said in [
    (400, "PLATFORM.INPUT_INVALID", LASTS, "HV000", "Kombo refused the request", "failed"),
    (404, "PLATFORM.INTEGRATION_NOT_FOUND", LASTS, "HV000", "Kombo does not know this integration", "failed"),
    (403, "PLATFORM.IP_NOT_WHITELISTED", LASTS, "HV000", "Kombo answered with an error", "failed"),
    (401, "PLATFORM.AUTHENTICATION_INVALID", LASTS, "28000", "Kombo refused the API key", "failed"),
    (503, "INTEGRATION.SETUP_SYNC_PENDING", LASTS, "55000", "Kombo has no data of this integration yet", "waiting"),
    (400, "INTEGRATION.MODEL_NOT_AVAILABLE", LASTS, "55000", "Kombo does not offer this model", "unavailable"),
    (400, "INTEGRATION.PERMISSION_MISSING", LASTS, "HV000", "Kombo answered with an error", "failed"),
    (503, "REMOTE.SERVICE_UNAVAILABLE", AGAIN, "HV000", "Kombo answered with an error", "failed"),
    (429, "REMOTE.RATE_LIMIT_EXCEEDED", AGAIN, "53400", "a rate limit of this integration is exceeded", "failed"),
    (500, "NEVER.HEARD_OF", AGAIN, "HV000", "Kombo answered with an error", "failed"),
    (200, "PLATFORM.UNKNOWN_ERROR", AGAIN, "HV000", "Kombo answered with an error", "failed"),
]]


# --- redirects ----------------------------------------------------------------------------------------------------

def redirect(status):
    """Nobody may follow it, as the key would come along: Middle.strays."""
    def elsewhere(link):
        return f"http://127.0.0.1:{link.middle.port}/elsewhere"
    return reply(status, HTML, "text/html", location=elsewhere)


REDIRECTED = [Cell(f"{status} to elsewhere", redirect(status), AGAIN, "08P01", ODD) for status in REDIRECTS]


# --- demands ------------------------------------------------------------------------------------------------------

def http_date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))


LIMIT = "PLATFORM.RATE_LIMIT_EXCEEDED"


def limited(what, then, **headers):
    return Cell(f"429 that asks {what}", envelope(429, LIMIT, **headers), then, "53400", "rate limit")


DEMANDS = [
    limited("for nothing", AGAIN),
    limited("for one second", AGAIN, retry_after="1"),
    limited("for half a second, in milliseconds", AGAIN, retry_after_ms="500"),
    limited("for no time", AGAIN, retry_after="0"),
    limited("for less than no time", AGAIN, retry_after="-30"),
    limited("in words", AGAIN, retry_after="soon"),
    limited("for a date that has passed", AGAIN, retry_after=lambda link: http_date(-3600)),
    limited("for a date in two seconds", AGAIN, retry_after=lambda link: http_date(2)),
    limited("for a date of next year", LASTS, retry_after=lambda link: http_date(365 * 86400)),
    limited("for an hour", LASTS, retry_after="3600"),
    limited("for more seconds than there can be", LASTS, retry_after="9" * 30),
    limited("for a second since 1970", AGAIN, retry_after=lambda link: str(int(time.time()) + 1)),
    limited("for the end of its window in a second", AGAIN, ratelimit_reset="1"),
    limited("for the end of its window since 1970", AGAIN, ratelimit_reset=lambda link: str(int(time.time()) + 1)),
    limited("for the end of its window in an hour", LASTS, ratelimit_reset="3600"),
    Cell("503 that asks for one second", envelope(503, None, retry_after="1"), AGAIN, "HV000",
         "Kombo answered with an error"),
    Cell("503 that asks for an hour", envelope(503, None, retry_after="3600"), LASTS, "HV000",
         "Kombo answered with an error"),
]


# --- encodings, lengths, headers ----------------------------------------------------------------------------------

def broken_gzip(answer):
    answer.header("Content-Encoding", "gzip")
    packed = gzip.compress(answer.body)
    answer.body = packed[:100] + b"\x00" * 20 + packed[120:]


def cut_gzip(answer):
    answer.header("Content-Encoding", "gzip")
    answer.body = gzip.compress(answer.body)[:-100]


def no_gzip(answer):
    answer.header("Content-Encoding", "gzip")


def two_members(answer):
    answer.header("Content-Encoding", "gzip")
    answer.body = gzip.compress(answer.body[:100]) + gzip.compress(answer.body[100:])


def bomb(answer):
    answer.header("Content-Encoding", "gzip")
    answer.body = gzip.compress(b" " * 30_000_000)


def unknown_encoding(answer):
    answer.header("Content-Encoding", "rot13")


def endless(link):
    link.answer.header("Transfer-Encoding", "chunked")
    link.send(link.answer.head("none"))
    generation = link.middle.generation
    while link.middle.generation == generation:
        link.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


def many_headers(answer):
    answer.headers += [(f"X-Header-{number}", "x" * 90) for number in range(10_000)]


def long_header(answer):
    answer.header("X-Header", "x" * 1_000_000)


def said_length(length):
    def fault(link):
        link.answer.header("Connection", "close")
        link.send(link.answer.head(length(link.answer)) + link.answer.body)
    return fault


def kept_short_length(link):
    """What is left over lies in front of the next answer."""
    link.send(link.answer.head(len(link.answer.body) - 50) + link.answer.body)
    return True


def silent_long_length(link):
    link.send(link.answer.head(len(link.answer.body) + 50) + link.answer.body)
    link.hush()


def old_http(link):
    link.middle.note_next(link.page, link.answer)
    link.send(link.answer.head("none", "HTTP/1.0") + link.answer.body)


def no_http(link):
    link.send(link.answer.body)


def interim(link):
    link.middle.note_next(link.page, link.answer)
    link.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + link.answer.raw())
    return True


def switching(link):
    link.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: none\r\nConnection: Upgrade\r\n\r\n")


def without_type(answer):
    answer.header("Content-Type", None)


UNPACKED = "the response could not be decompressed"
FORM = [
    Cell("204", reply(204), AGAIN, "08P01", ODD),
    Cell("200 with nothing", reply(200), AGAIN, "08P01", ODD),
    Cell("200 with HTML", reply(200, HTML, "text/html"), AGAIN, "08P01", ODD),
    Cell("a content type of HTML, and JSON", changed(lambda a: a.header("Content-Type", "text/html")), STORED),
    Cell("no content type", changed(without_type), STORED),
    Cell("201 with a page", changed(lambda a: setattr(a, "status", 201)), STORED),
    Cell("gzip that is broken", changed(broken_gzip), AGAIN, "08006|08P01", UNPACKED + "|" + ODD),
    Cell("gzip that is cut", changed(cut_gzip), AGAIN, "08006|08P01", UNPACKED + "|" + ODD),
    Cell("gzip that is none", changed(no_gzip), AGAIN, "08006", UNPACKED),
    Cell("gzip in two members", changed(two_members), AGAIN, "08006|08P01", UNPACKED + "|" + ODD),
    Cell("an encoding that nobody knows", changed(unknown_encoding), AGAIN, "08006", UNPACKED),
    Cell("gzip of 30 MB of nothing", changed(bomb), LASTS, "08006", "larger than max_response_size", options=SMALL),
    Cell("a body without end", endless, LASTS, "08006", "larger than max_response_size", options=SMALL),
    Cell("1 MB of headers", changed(many_headers), AGAIN, "08006", "the transfer from Kombo failed"),
    Cell("a header of 1 MB", changed(long_header), AGAIN, "08006", "the transfer from Kombo failed"),
    Cell("a length that is too short", said_length(lambda a: len(a.body) - 50), AGAIN, "08P01", ODD),
    Cell("a length that is too short, on a connection that goes on", kept_short_length, AGAIN, "08P01", ODD),
    Cell("a length that is too long", said_length(lambda a: len(a.body) + 50), AGAIN, "08006", "connection was lost"),
    Cell("a length that is too long, and silence", silent_long_length, AGAIN, "08006", "timed out", options=BRIEF),
    Cell("a length of -1", said_length(lambda a: -1), AGAIN, "08006", "the response is not HTTP"),
    Cell("a length beyond max_response_size", said_length(lambda a: 10 ** 15), LASTS, "08006",
         "larger than max_response_size"),
    Cell("HTTP/1.0", old_http, STORED),
    Cell("no HTTP", no_http, AGAIN, "08006", "the response is not HTTP"),
    Cell("103 before the answer", interim, STORED),
    Cell("101", switching, AGAIN, "08P01|08006", ODD + "|the transfer from Kombo failed"),
]
HTTP = [*REDIRECTED, *CODES, *DEMANDS, *FORM]
