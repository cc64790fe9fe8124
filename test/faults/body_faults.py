"""The body: pages that are no pages, cursors that lead nowhere, records that are odd."""

import itertools
import json

from cells import AGAIN, LASTS, STORED, Cell
from http_faults import ODD

numbers = itertools.count(1)


# --- the page -----------------------------------------------------------------------------------------------------

def says(text):
    """A fault: this body."""
    def fault(link):
        link.answer.body = text if isinstance(text, bytes) else text.encode()
        link.send(link.answer.raw())
        return True
    return fault


def cut(link):
    link.answer.body = link.answer.body[:-100]
    link.send(link.answer.raw())
    return True


def byte_order_mark(link):
    link.answer.body = b"\xEF\xBB\xBF" + link.answer.body
    link.send(link.answer.raw())
    return True


def utf_16(link):
    link.answer.body = link.answer.body.decode().encode("utf-16")
    link.send(link.answer.raw())
    return True


# --- the cursor ---------------------------------------------------------------------------------------------------

def split(body):
    """(what is before the records, the records, what is behind them, the cursor or None) of a page."""
    text = body.decode()
    begin = text.index('"results":[') + len('"results":[')
    records, at, decoder = [], begin, json.JSONDecoder()
    while text[at] != "]":
        at += text[at] == ","
        _, end = decoder.raw_decode(text, at)
        records.append(text[at:end])
        at = end
    return text[:begin], records, text[at:], json.loads(text)["data"]["next"]


def page(link, records, cursor):
    before, _, _, _ = split(link.answer.body)
    link.answer.body = f'{before}{",".join(records)}],"next":{json.dumps(cursor)}}}}}'.encode()
    link.send(link.answer.raw())
    return True


def alias(link, cursor, length=0):
    """A cursor that is not Kombo's, and means this one (None: the first page)."""
    made = f"made-up-{next(numbers)}".ljust(length, "x")
    link.middle.aliases[made] = cursor
    return made


def go_on(link):
    """What the middle does with an answer that it lets through."""
    link.middle.note_next(link.page, link.answer)


def repeated(link):
    """It leads to the page that it came with."""
    _, records, _, _ = split(link.answer.body)
    return page(link, records, link.query["cursor"])


class Looping:
    """Cursors that lead in a circle of three."""

    def __call__(self, link):
        _, records, _, _ = split(link.answer.body)
        ring = getattr(link.middle, "ring", None) or [alias(link, link.query.get("cursor")) for _ in range(3)]
        link.middle.ring = ring
        at = link.query.get("cursor")
        return page(link, records, ring[(ring.index(at) + 1) % 3 if at in ring else 0])

    on_aliases = True


class Endless:
    """Each page leads to a new one, with the same records."""
    on_aliases = True

    def __call__(self, link):
        cursor = link.query.get("cursor")
        return page(link, split(link.answer.body)[1], alias(link, link.middle.aliases.get(cursor, cursor)))


def empty_between(link):
    """A page without records in front of the one that was asked for."""
    return page(link, [], alias(link, link.query.get("cursor")))


def long_cursor(link):
    """1 MB of it leads to the page that was asked for."""
    return page(link, [], alias(link, link.query.get("cursor"), 1_000_000))


def empty_cursor(link):
    """As Kombo ends a list by null, this may end it, too, or be the last page alone."""
    go_on(link)
    link.answer.body = link.answer.body.replace(b'"next":null', b'"next":""')
    link.send(link.answer.raw())
    return True


def next_is(text):
    def fault(link):
        before, records, _, _ = split(link.answer.body)
        link.answer.body = f'{before}{",".join(records)}],"next":{text}}}}}'.encode()
        link.send(link.answer.raw())
        return True
    return fault


# --- records ------------------------------------------------------------------------------------------------------

def records(change):
    """A fault: `change` gets the records as texts, and alters the list."""
    def fault(link):
        go_on(link)
        _, listed, _, cursor = split(link.answer.body)
        change(listed)
        return page(link, listed, cursor)
    return fault


def first(change):
    """A fault: the first record is what `change` makes of it, parsed."""
    def alter(listed):
        record = json.loads(listed[0])
        change(record)
        listed[0] = json.dumps(record)
    return records(alter)


def with_field(key, text):
    """A fault: the first record has this JSON as that field."""
    def alter(listed):
        record = json.loads(listed[0])
        record.pop(key, None)
        listed[0] = f'{json.dumps(record)[:-1]}, {json.dumps(key)}: {text}}}'
    return records(alter)


def row_of(place, number):
    """The first record's row."""
    key, = place.ids[(number - 1) * 4:(number - 1) * 4 + 1]
    row, = place.db.execute("SELECT * FROM kombo.hris_employees WHERE (integration_id, id) = (%s, %s)",
                            [place.integration, key])
    return row


def others_equal(place, number):
    """All but the first record of the page are as at Kombo."""
    from place import compare_models, TABLE

    key = place.ids[(number - 1) * 4]
    wanted = [record for record in place.sandbox.dump(TABLE, place.integration)]
    found = [text for text in compare_models(place.db, TABLE, place.integration, wanted) if key not in text]
    assert not found, found[:5]


def has(column, value):
    def check(place, number):
        others_equal(place, number)
        assert row_of(place, number)[column] == value, (column, row_of(place, number)[column])
    return check


def in_extra(column):
    """The value did not fit: NULL, and kept."""
    def check(place, number):
        others_equal(place, number)
        row = row_of(place, number)
        assert row[column] is None and column in (row["extra"] or {}), (row[column], row["extra"])
    return check


def parked(count):
    def check(place, number):
        others_equal(place, number)
        found = place.db.value("SELECT count(*) FROM kombo.rejected_records WHERE integration_id = %s",
                               [place.integration])
        assert found == count, f"{found} records are parked"
    return check


def many_keys(place, number):
    others_equal(place, number)
    assert len(row_of(place, number)["extra"]) == 10_000


def twice(listed):
    listed.insert(0, listed[-1])


def of_before(link):
    """The last record of this page is in the next one, too."""
    go_on(link)
    _, listed, _, cursor = split(link.answer.body)
    seen = link.middle.__dict__.setdefault("seen_records", {})
    seen[link.page] = listed[-1]
    return page(link, [*([seen[link.page - 1]] if link.page - 1 in seen else []), *listed], cursor)


PAGE = [
    Cell("JSON that is cut", cut, AGAIN, "08P01", ODD),
    Cell("a text", says("hello"), AGAIN, "08P01", ODD),
    Cell("null", says("null"), AGAIN, "08P01", ODD),
    Cell("an empty object", says("{}"), AGAIN, "08P01", ODD),
    Cell("a list", says("[]"), AGAIN, "08P01", ODD),
    Cell("no status", says('{"data":{"results":[],"next":null}}'), AGAIN, "08P01", ODD),
    Cell("no data", says('{"status":"success"}'), AGAIN, "08P01", ODD),
    Cell("data twice", says('{"status":"success","data":{"results":[],"next":null},"data":{"results":[],"next":null}}'),
         AGAIN, "08P01", ODD),
    Cell("results that are an object", says('{"status":"success","data":{"results":{},"next":null}}'), AGAIN, "08P01",
         ODD),
    Cell("results that are null", says('{"status":"success","data":{"results":null,"next":null}}'), AGAIN, "08P01",
         ODD),
    Cell("no results", says('{"status":"success","data":{"next":null}}'), AGAIN, "08P01", ODD),
    Cell("text behind the JSON", lambda link: says(link.answer.body + b" and more")(link), AGAIN, "08P01", ODD),
    Cell("an error envelope with status 200", says('{"status":"error","error":{"message":"oops"}}'), LASTS, "HV000",
         "Kombo answered with an error: oops"),
    Cell("UTF-16", utf_16, AGAIN, "08P01", ODD),
    Cell("10 MB of brackets", says(b"[" * 10_000_000), AGAIN, "08P01", ODD),
]

CURSOR = [
    Cell("next is a number", next_is("7"), AGAIN, "08P01", ODD),
    Cell("next is an object", next_is("{}"), AGAIN, "08P01", ODD),
    Cell("next is repeated", repeated, LASTS, "08P01", "the list does not end", pages=(2, 3), counted=False),
    Cell("next leads in a circle", Looping(), LASTS, "08P01", "the list does not end", counted=False),
    Cell("next is empty", empty_cursor, STORED, pages=(3,)),
    Cell("an empty page, and next", empty_between, STORED),
    Cell("next is 1 MB long", long_cursor, STORED),
]

PARKED = "the record in `rejected_records`"
EXTRA = "NULL, and the value in `extra`"
FFFD, REPLACED = "U+FFFD in its place", has("first_name", "a\ufffdb")
NO_OBJECT = "a record is not JSON"
RECORDS = [
    Cell("a record without id", first(lambda r: r.pop("id")), STORED, check=parked(1), kept=PARKED),
    Cell("a record whose id is null", first(lambda r: r.update(id=None)), STORED, check=parked(1), kept=PARKED),
    Cell("a record whose id is a number", first(lambda r: r.update(id=7)), STORED, check=parked(1), kept=PARKED),
    Cell("a record that is a text", records(lambda listed: listed.append('"text"')), STORED, check=parked(1),
         kept=PARKED, live=NO_OBJECT),
    Cell("a record that is null", records(lambda listed: listed.append("null")), STORED, check=parked(1), kept=PARKED,
         live=NO_OBJECT),
    Cell("a record that is a list", records(lambda listed: listed.append("[[]]")), STORED, check=parked(1), kept=PARKED,
         live=NO_OBJECT),
    Cell("an id twice in a page", records(twice), STORED),
    Cell("an id in two pages", of_before, STORED),
    Cell("500 levels of nesting", with_field("custom_fields", "[" * 500 + "]" * 500), STORED, check=others_equal,
         kept="the value"),
    Cell("100,000 levels of nesting", with_field("custom_fields", "[" * 100_000 + "]" * 100_000), STORED,
         check=others_equal, kept="all but the value"),
    Cell("a text beyond max_response_size", with_field("first_name", json.dumps("x" * 100_000)), LASTS, "08006",
         "larger than max_response_size", options={"max_response_size": "64kB"}),
    Cell("U+0000", with_field("first_name", '"a\\u0000b"'), STORED, check=REPLACED, kept=FFFD),
    Cell("a lone surrogate", with_field("first_name", '"a\\ud800b"'), STORED, check=REPLACED, kept=FFFD),
    Cell("bad UTF-8", lambda link: bad_utf8(link), AGAIN, "08P01", ODD),
    Cell("a number beyond numeric", with_field("weekly_hours", "1e999999"), STORED, check=others_equal,
         kept="the value as text"),
    Cell("a date that is none", with_field("date_of_birth", '"2023-02-30"'), STORED, check=in_extra("date_of_birth"),
         kept=EXTRA),
    Cell("a time beyond all", with_field("remote_created_at", '"999999-01-01T00:00:00Z"'), STORED,
         check=in_extra("remote_created_at"), kept=EXTRA),
    Cell("a field of a new type", with_field("first_name", '{"given": "A"}'), STORED, check=in_extra("first_name"),
         kept=EXTRA),
    Cell("10,000 new keys", first(lambda record: record.update({f"new_{n}": n for n in range(10_000)})), STORED,
         check=many_keys, kept="the values in `extra`"),
]


def bad_utf8(link):
    link.answer.body = link.answer.body.replace(b'"job_title":"', b'"job_title":"\xff\xfe', 1)
    link.send(link.answer.raw())
    return True


BODY = [*PAGE, *CURSOR, *RECORDS]
