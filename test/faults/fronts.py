"""A cell of the fault matrix at each front: in a call of a function, in a query on a live table, in the worker."""

import os
import re

import psycopg

from cells import AGAIN, LASTS, STORED
from place import EMPLOYEES, PAGES, RECORDS
from syncing import notices_of
from worker import SOAK, data_changed, insert_webhooks, until, worker_pid

KINDS = ("delta", "full")
ONLY = os.environ.get("KOMBO_CELLS", "")


class Broken(AssertionError):
    """What is not as the cell says."""


def expect(right, *seen):
    if not right:
        raise Broken("; ".join(map(str, seen)))


# --- a call -------------------------------------------------------------------------------------------------------

class Call:
    def __init__(self, place):
        self.place = place
        self.session = place.db.connect()
        self.session.execute("SET statement_timeout = '20s'")
        self.heard = notices_of(self.session)

    def sync(self, kind, retries):
        """The list's row, and all that is said with it."""
        self.heard.clear()
        self.session.execute(f"SET kombo_sync.max_retries = {retries}")
        row, = self.session.execute(f"SELECT * FROM kombo.kombo_sync_{kind}(%s, ARRAY[%s])",
                                    [self.place.integration, EMPLOYEES]).fetchall()
        return row, [f"{one.sqlstate} {one.message_primary} {one.message_detail}" for one in self.heard]

    def well(self, kind, retries=1):
        row, said = self.sync(kind, retries)
        expect(row["status"] == "ok", "not ok", row["status"], row["error"], *said)
        self.place.assert_equal()

    def run(self, cell, page, kind):
        place, middle = self.place, self.place.middle
        with place.options(cell):
            mark, watermark = place.change(), place.watermark()
            middle.arm(cell.fault, page)
            row, said = self.sync(kind, retries=0 if cell.then == AGAIN else 1)
            if cell.then == STORED:
                expect(row["status"] == "ok", row["error"], *said)
                (cell.check or (lambda place, page: place.assert_equal()))(place, page)
            else:
                self.fails(cell, row, said)
                expect(place.marked(mark) == set(), "rows of a list that failed were stored")
                expect(place.watermark() == watermark, "the watermark of a list that failed has moved")
            if cell.then == LASTS and cell.counted:
                expect(middle.hits == 1, f"asked {middle.hits} times")
            if cell.then == AGAIN and cell.counted:
                middle.arm(cell.fault, page, times=1)
                self.well(kind)
                expect(middle.hits == 1 and place.marked(mark) == set(place.ids), "not asked again")
                if not SOAK:
                    return  # it has passed
        self.well("delta" if cell.then != STORED else "full")

    def fails(self, cell, row, said):
        expect(row["status"] == cell.status, f"status {row['status']}", row["error"], *said)
        expect(re.search(cell.says, row["error"]), f"{cell.says!r} is not in {row['error']!r}")
        expect(any(re.match(cell.state, text) for text in said), f"no warning {cell.state} in {said}")


# --- a query ------------------------------------------------------------------------------------------------------

class Live:
    def __init__(self, place):
        self.place = place
        self.session = place.db.connect()
        self.session.execute("SET statement_timeout = '20s'")
        self.schema = f"live{place.number}"
        self.session.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        self.session.execute(f"CREATE SCHEMA {self.schema}")
        self.session.execute(f"IMPORT FOREIGN SCHEMA hris LIMIT TO (hris_employees) FROM SERVER {place.server} INTO "
                             f"{self.schema} OPTIONS (integration_id '{place.integration}')")

    def query(self, retries):
        self.session.execute(f"SET kombo_sync.max_retries = {retries}")
        return self.session.execute(f"SELECT id, job_title FROM {self.schema}.hris_employees").fetchall()

    def well(self, mark, retries=1):
        rows = self.query(retries)
        expect({row["id"] for row in rows if row["job_title"] == mark} == set(self.place.ids) and len(rows) == RECORDS,
               f"{len(rows)} rows", rows[:3])

    def run(self, cell, page, _):
        place, middle = self.place, self.place.middle
        with place.options(cell):
            mark = place.change()
            middle.arm(cell.fault, page)
            if cell.then != STORED:
                self.fails(cell, cell.state, cell.says)
            elif cell.live:
                self.fails(cell, "08P01", cell.live)
            else:
                self.query(1)
            if cell.then == LASTS and cell.counted:
                expect(middle.hits == 1, f"asked {middle.hits} times")
            if cell.then == AGAIN and cell.counted:
                middle.arm(cell.fault, page, times=1)
                self.well(mark)
                expect(middle.hits == 1, "not asked again")
                if not SOAK:
                    return
        self.well(mark)

    def fails(self, cell, state, says):
        try:
            rows = self.query(retries=0 if cell.then == AGAIN else 1)
        except psycopg.Error as error:
            expect(re.search(says, error.diag.message_primary or ""), f"{says!r} is not in {error!r}")
            expect(re.match(state, error.sqlstate), f"SQLSTATE {error.sqlstate}", error)
        else:
            raise Broken(f"{len(rows)} rows, and no error")


# --- the worker ---------------------------------------------------------------------------------------------------

class Worker:
    """Tries several cells at a time, each at a place of its own; beside them a healthy integration is served."""

    def __init__(self, db, sandbox, places, healthy):
        self.db, self.sandbox, self.places, self.healthy = db, sandbox, places, healthy
        self.numbers = 0

    def run(self, batch):
        """`batch`: (cell, page, kind) each; returns {number in the batch: what is wrong}."""
        pid, wrong, begun = worker_pid(self.db), {}, []

        def attempt(number, step, *arguments):
            try:
                return step(*arguments)
            except Exception as error:  # of whatever kind: the cell has to be named
                wrong.setdefault(number, error)
                return None

        contexts = [place.options(cell) for place, (cell, _, _) in zip(self.places, batch)]
        try:
            for context in contexts:
                context.__enter__()
            for number, (cell, page, kind) in enumerate(batch):
                begun.append(attempt(number, self.begin, self.places[number], cell, page, kind))
            for number, (cell, page, kind) in enumerate(batch):
                if begun[number]:
                    attempt(number, self.during, self.places[number], cell, page, kind, *begun[number])
            self.serves_others()
        finally:
            for context in contexts:
                context.__exit__(None, None, None)
        for number, (cell, _, _) in enumerate(batch):
            attempt(number, self.recover, self.places[number], cell)
        for number in range(len(batch)):
            attempt(number, self.settled, self.places[number])
        expect(worker_pid(self.db) == pid, "the worker has ended")
        return wrong

    def status(self, place):
        row, = self.db.execute("""SELECT state, reason FROM kombo.sync_status
                                  WHERE (integration_id, endpoint) = (%s, %s)""", [place.integration, EMPLOYEES])
        return row

    def request(self, place, kind):
        self.db.execute("SELECT kombo.request_sync(%s, %s, ARRAY[%s])", [place.integration, kind, EMPLOYEES])

    def begin(self, place, cell, page, kind):
        mark, watermark, before = place.change(), place.watermark(), self.attempts(place)
        place.middle.arm(cell.fault, page)
        self.request(place, kind)
        return mark, watermark, before

    def attempts(self, place):
        """Changes with each: what cannot begin leaves no run."""
        return self.db.execute("""
            SELECT (SELECT count(*) FROM kombo.sync_runs r WHERE (r.integration_id, r.endpoint) =
                                                                 (s.integration_id, s.endpoint)), failures
            FROM kombo.sync_state s WHERE (integration_id, endpoint) = (%s, %s)""", [place.integration, EMPLOYEES])

    def during(self, place, cell, page, kind, mark, watermark, before):
        until(self.db, lambda: self.attempts(place) != before, what="the end of the fetch")
        status = self.status(place)
        if cell.then == STORED:
            expect(status["state"] == "fresh", status)
            return (cell.check or (lambda place, page: place.assert_equal()))(place, page)
        expect(status["state"] in (cell.status, "paused") and re.search(cell.says, status["reason"] or ""), status)
        expect(place.watermark() == watermark, "the watermark of a list that failed has moved")
        expect(place.marked(mark) == place.of_pages(*range(1, page)), "stored are not the pages before", page,
               len(place.marked(mark)))
        if cell.then == LASTS and cell.counted:
            expect(place.middle.hits == 1, f"asked {place.middle.hits} times")
        return None

    def serves_others(self):
        self.numbers += 1
        mark = f"well {self.numbers}"
        key = self.sandbox.dump("hris_teams", self.healthy)[0]["id"]
        self.sandbox.record("change", "hris_teams", key, integration=self.healthy, set={"name": mark})
        insert_webhooks(self.db, [data_changed(self.healthy, "hris_teams")])
        until(self.db, lambda: self.db.value("SELECT name FROM kombo.hris_teams WHERE (integration_id, id) = (%s, %s)",
                                             [self.healthy, key]) == mark, what="the healthy integration's change")

    def recover(self, place, cell):
        if cell.then == STORED:
            self.request(place, "full")
        elif not (SOAK and cell.then == AGAIN):  # then by itself, after seconds
            self.db.execute("SELECT kombo.resume(%s)", [place.integration])

    def settled(self, place):
        until(self.db, lambda: self.status(place)["state"] == "fresh" and not self.db.value(
            "SELECT count(*) FROM kombo.sync_requests WHERE integration_id = %s", [place.integration]),
              timeout=30, what="the recovery")
        place.assert_equal()


def turns(cells, front):
    """(cell, page, kind) of all that is tried at a front: all pages, or in a short round one page of each cell, at one
    front of three, that take turns. KOMBO_CELLS=pattern has all be tried of the cells that it matches."""
    for number, cell in enumerate(cells):
        if front not in cell.fronts or not re.search(ONLY, cell.what):
            continue
        if SOAK or ONLY:
            yield from ((cell, page, kind) for page in cell.pages for kind in KINDS)
        elif cell.fronts[number % len(cell.fronts)] == front:
            yield cell, cell.pages[number // 3 % len(cell.pages)], KINDS[number // 2 % 2]


assert PAGES == 3
