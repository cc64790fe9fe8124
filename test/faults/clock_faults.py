"""Clocks: what Kombo says that the time is, and a clock of Kombo's that jumps. Ours: test_our_clock.py."""

import time

from cells import STORED, Cell
from http_faults import changed, http_date


def sane(place, _):
    """All is stored, and the watermark is not of a time that is still to come."""
    place.assert_equal()
    assert place.watermark() <= place.db.value("SELECT now()"), place.watermark()


def date(value):
    return changed(lambda answer: answer.header("Date", value() if callable(value) else value))


class Jumps:
    """Kombo's clock is put forward or back once the page is read; `over` puts it right again."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, link):
        link.middle.note_next(link.page, link.answer)
        link.middle.sandbox.clock(skew_seconds=self.seconds)
        link.send(link.answer.raw())
        return True

    def over(self, middle):
        middle.sandbox.clock(skew_seconds=0)


def two_dates(link):
    link.answer.headers.append(("Date", http_date(-86400)))
    link.middle.note_next(link.page, link.answer)
    link.send(link.answer.raw())
    return True


CLOCK = [Cell(what, fault, STORED, check=sane) for what, fault in [
    ("no Date", date(None)),
    ("an empty Date", date("")),
    ("a Date that is none", date("yesterday")),
    ("a Date of 1970", date("Thu, 01 Jan 1970 00:00:00 GMT")),
    ("a Date of 9999", date("Fri, 31 Dec 9999 23:59:59 GMT")),
    ("a Date of the year 0", date("Sat, 01 Jan 0000 00:00:00 GMT")),
    ("a Date of tomorrow", date(lambda: http_date(86400))),
    ("a Date of yesterday", date(lambda: http_date(-86400))),
    ("a Date of ten minutes ago", date(lambda: http_date(-600))),
    ("two Dates", two_dates),
    ("a Date of now, in seconds since 1970", date(lambda: str(int(time.time())))),
    ("Kombo's clock jumps an hour ahead", Jumps(3600)),
    ("Kombo's clock jumps an hour back", Jumps(-3600)),
]]
