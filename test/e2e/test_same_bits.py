"""What is written on the fast path is, bit for bit, what plain SQL makes of the same JSON text: random records, some of
them changed again and again, beside the server's own input functions."""

import json
import random

import pytest

from syncing import assert_ok, result_of, sync_full

GROUPS = "/hris/groups"
RECORDS = 60
ROUNDS = 3

NUMBERS = ["0", "-0", "0.0", "-0.10", "1.50", "100", "1e5", "1E-7", "1.0e+3", "123456789012345678",
           "-999999999999999999",
           "12345678901234567890123456789.012345678901234567890", "1e100", "0.00000000000000000001"]
STRINGS = ["", "a", "Grüße", "\U0001f600", 'quote " and \\ backslash', "tab\tnew\nline", "\u007f\u2028", "x" * 300,
           "{not: json}", "null", "/", "\b\f\r"]


class Json:
    """Random JSON text: white space, escapes, keys that come twice and containers of any size included."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def space(self):
        return self.chance.choice(["", "", "", " ", "\n\t ", "\r\n"])

    def string(self):
        text = self.chance.choice(STRINGS)
        if self.chance.random() < 0.5:
            text += "".join(self.chance.choice("abcÄ€z\u00e9\"\\/") for _ in range(self.chance.randint(0, 8)))
        plain = json.dumps(text, ensure_ascii=self.chance.random() < 0.5)
        return plain.replace("/", "\\/") if self.chance.random() < 0.3 else plain

    def number(self):
        if self.chance.random() < 0.5:
            return self.chance.choice(NUMBERS)
        return str(self.chance.randint(-10 ** self.chance.randint(1, 20), 10 ** 12))

    def size(self):
        # Every 32nd entry of a container has another form.
        return self.chance.choice([0, 1, 2, 3, 5, 31, 32, 33, 70]) if self.chance.random() < 0.3 else \
            self.chance.randint(0, 4)

    def container(self, depth):
        items = [self.value(depth + 1) for _ in range(self.size())]
        if self.chance.random() < 0.5:
            return "[" + self.space() + (self.space() + "," + self.space()).join(items) + self.space() + "]"
        keys = [self.string() for _ in items]
        if len(keys) > 1 and self.chance.random() < 0.3:
            keys[-1] = keys[0]
        members = [key + self.space() + ":" + self.space() + item for key, item in zip(keys, items)]
        return "{" + self.space() + ("," + self.space()).join(members) + self.space() + "}"

    def value(self, depth=0):
        kind = self.chance.random()
        if depth < 5 and kind < 0.4:
            return self.container(depth)
        if kind < 0.65:
            return self.string()
        if kind < 0.85:
            return self.number()
        return self.chance.choice(["true", "false", "null"])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.sandbox(employees=60 * RECORDS)
def test_random_values_are_stored_as_plain_sql_would_store_them(hris, sandbox, seed):
    ids = [record["id"] for record in sandbox.dump("hris_teams")][:RECORDS]
    random_json = Json(seed)
    assert len(ids) == RECORDS
    sent = {}
    for round_number in range(ROUNDS):
        changed = ids if round_number == 0 else random_json.chance.sample(ids, RECORDS // 3)
        for key in changed:
            sent[key] = {"remote_data": random_json.value(), "unknown": random_json.value(),
                         "name": random_json.string()}
            members = ", ".join(f'"{name}":{text}' for name, text in sent[key].items())
            sandbox.raw(GROUPS, key, f'{{"id": "{key}", "changed_at": "2024-05-06T07:08:09.123Z", {members}}}')
        result = result_of(assert_ok(sync_full(hris, what=GROUPS)), GROUPS)
        assert result["inserted"] + result["updated"] + result["unchanged"] == sandbox.count("hris_teams"), result
        # As images: jsonb that is equal may still differ in the digits of its numbers.
        different = hris.execute("""
            SELECT s.id, s.remote_data, t.remote_data::text AS stored, t.extra::text
            FROM jsonb_to_recordset(%s::jsonb) AS s (id text, remote_data text, name text, "unknown" text)
            LEFT JOIN kombo.hris_teams t ON t.id = s.id
            WHERE ROW(nullif(s.remote_data::jsonb, 'null'), s.name::jsonb #>> '{}',
                      jsonb_build_object('unknown', s."unknown"::jsonb))
                  IS DISTINCT FROM ROW(t.remote_data, t.name, t.extra)
               OR record_image_ne(ROW(nullif(s.remote_data::jsonb, 'null'),
                                      jsonb_build_object('unknown', s."unknown"::jsonb)),
                                  ROW(t.remote_data, t.extra))""",
                                 [json.dumps([{"id": key, **texts} for key, texts in sent.items()])])
        assert different == [], different[:3]
        again = result_of(assert_ok(sync_full(hris, what=GROUPS)), GROUPS)
        assert again["unchanged"] == sandbox.count("hris_teams"), "the same bits again are no change"
