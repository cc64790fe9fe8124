"""docs/cookbook.md: each recipe runs as it stands, and its result is the one that plain Python finds in the sandbox's
records. Recipes run in transactions that are rolled back, as they make roles, views and policies. Where a recipe says
current_date, a test says which day that is."""

import collections
import contextlib
import datetime
import pathlib
import re

import psycopg
import pytest

from cluster import TEMPLATE, Database, needed
from sandbox import Digits, Sandbox
from syncing import assert_ok, sync_delta, sync_full

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "cookbook.md"
OURS = "personio:CBNMt7dSNCzBdnRTx87dev4E"
AGAIN = "personio:ConnectedAgain0000000001"  # the same people
OTHER = "personio:OtherCustomer00000000001"  # other people with the same remote ids, and an id of ours
HIBOB = "hibob:CBNMt7dSNCzBdnRTx87dev4E"  # the same addresses in another HR system
DAY = datetime.date(2023, 5, 14)  # the sandbox's absences are around it

Recipe = collections.namedtuple("Recipe", "statements heads")


def recipes():
    """{number: its ```sql blocks, and for each the columns that the page shows below it (None: nothing)}"""
    found = {}
    page = PAGE.read_text(encoding="utf-8")
    for number, text in re.findall(r"^## (\d+)\. .*\n((?:(?!^## ).*\n)*)", page, re.MULTILINE):
        blocks = re.findall(r"^```sql\n(.*?)^```\n(?:```\n(.*?)\n)?", text, re.MULTILINE | re.DOTALL)
        found[int(number)] = Recipe([sql for sql, _ in blocks],
                                    [[c.strip() for c in head.split("|")] if head else None for _, head in blocks])
    return found


RECIPES = recipes()


class Hr:
    """The synced database, and the sandbox's records."""

    def __init__(self, db, sandbox):
        self.db = db
        self.sandbox = sandbox

    def live(self, model):
        """All integrations' records that are not deleted, each with its integration_id."""
        return [{**record, "integration_id": integration} for integration in (OURS, AGAIN, OTHER, HIBOB)
                for record in self.sandbox.dump(model, integration) if record["remote_deleted_at"] is None]

    @contextlib.contextmanager
    def session(self):
        with self.db.connect(autocommit=False) as session:
            session.execute("SET LOCAL timezone = 'UTC'")
            yield session
            session.rollback()

    def rows(self, number, today=DAY, block=0):
        """What that block of the recipe returns, after those before it."""
        with self.session() as session:
            for statement in RECIPES[number].statements[:block]:
                session.execute(statement)
            return session.execute(on(RECIPES[number].statements[block], today)).fetchall()


def on(statement, today):
    return statement.replace("current_date", f"date '{today}'")


def day(text):
    """"2023-05-14" or "2023-05-14T00:00:00.000Z" as a date, None for None."""
    return text and datetime.date.fromisoformat(text[:10])


@pytest.fixture(scope="module")
def hr(cluster):
    """Four integrations, with what such data have that is awkward."""
    sandbox = Sandbox(needed("KOMBO_SANDBOX"), integration=[f"{OURS}=120", f"{AGAIN}=110", f"{OTHER}=8", f"{HIBOB}=60"])
    make_awkward(sandbox)
    cluster.prepare_template()
    db = Database(cluster, cluster.new_database(TEMPLATE))
    db.create_server(sandbox)
    for integration in (OURS, AGAIN, OTHER, HIBOB):
        db.add_integration(integration)
    assert_ok(sync_full(db))
    yield Hr(db, sandbox)
    db.drop()
    sandbox.stop()


def make_awkward(sandbox):
    people = [person["id"] for person in sandbox.dump("hris_employees", OURS)]

    def change(at, **values):
        sandbox.record("change", "hris_employees", people[at], values, OURS)

    def absence(at, start, end, status="APPROVED"):
        return sandbox.record("create", "hris_absences", None, {"start_date": start, "end_date": end, "status": status},
                              OURS, employee_id=people[at])

    change(20, manager_id=people[21])
    change(21, manager_id=people[22])
    change(22, manager_id=people[20])  # a circle
    change(23, manager_id=people[23])  # nobody but oneself
    change(24, manager_id="unknown")
    sandbox.record("delete", "hris_employees", people[2], integration=OURS)  # has reports
    for other in sandbox.dump("hris_employees", OTHER):
        sandbox.record("change", "hris_employees", other["id"], {"work_email": f"x{other['id']}@example.net"}, OTHER)
    sandbox.record("create", "hris_employees", people[0],
                   {"display_full_name": "Not One Of Ours", "work_email": "x@example.net"}, OTHER)
    absence(30, "2023-05-01", None)
    absence(31, "2023-05-14", "2023-05-14")
    absence(32, "2023-05-10", "2023-05-20", "DECLINED")
    absence(2, "2023-05-10", "2023-05-20")  # of who is deleted
    sandbox.record("delete", "hris_absences", absence(33, "2023-05-10", "2023-05-20")["id"], integration=OURS)
    change(40, start_date="2023-05-14T00:00:00.000Z", date_of_birth="1992-02-29T00:00:00.000Z")
    change(41, start_date="2023-06-13T00:00:00.000Z", date_of_birth="1990-12-31T00:00:00.000Z")
    change(42, start_date="2023-06-14T00:00:00.000Z", date_of_birth="1990-01-02T00:00:00.000Z")
    change(43, start_date="2020-01-15T00:00:00.000Z", termination_date="2023-05-31T00:00:00.000Z")
    change(44, start_date="2023-05-20T00:00:00.000Z", termination_date="2023-05-25T00:00:00.000Z")
    change(45, start_date=None, date_of_birth=None)
    change(46, termination_date="2022-11-30T00:00:00.000Z")
    change(47, date_of_birth="1981-05-20T00:00:00.000Z")
    change(50, custom_fields={"badge": "n/a", "shirt_size": "XL"})
    change(51, custom_fields=[1, 2])
    change(52, custom_fields=None)
    for effective in ("2023-05-31T00:00:00.000Z", "2023-06-01T00:00:00.000Z", None):
        sandbox.record("create", "hris_employments", None, {"effective_date": effective, "pay_rate": 1}, OURS,
                       employee_id=people[60])
    ended = sandbox.record("create", "hris_employments", None, {"effective_date": "2023-05-30T00:00:00.000Z"}, OURS,
                           employee_id=people[61])
    sandbox.record("delete", "hris_employments", ended["id"], integration=OURS)


@pytest.mark.parametrize("number", RECIPES)
def test_a_recipe_runs_and_returns_the_columns_that_the_page_shows(hr, number):
    with hr.session() as session:
        for statement, head in zip(*RECIPES[number]):
            cursor = session.execute(statement)
            assert head is None or [column.name for column in cursor.description] == head
    assert any(RECIPES[number].heads)


def test_there_are_thirteen_recipes():
    assert list(RECIPES) == list(range(1, 14))


def test_the_org_chart_has_everybody_once_below_their_manager(hr):
    people = {(p["integration_id"], p["id"]): p for p in hr.live("hris_employees")}

    def boss(key):
        found = (key[0], people[key]["manager_id"])
        return found if found != key and found in people else None

    def level(key):
        seen = []
        while key := boss(key):
            if key in seen:
                return None
            seen.append(key)
        return len(seen)

    rows = hr.rows(1)
    assert {(row["integration_id"], row["id"]): row["level"] for row in rows} == {key: level(key) for key in people}
    assert len(rows) == len(people) and sum(row["level"] is None for row in rows) >= 3
    line = {}
    for row in rows:
        line[row["level"]] = (row["integration_id"], row["id"])
        if row["level"]:
            assert boss(line[row["level"]]) == line[row["level"] - 1], "somebody is not below their manager"


@pytest.mark.parametrize("today", [DAY, DAY + datetime.timedelta(1), datetime.date(2023, 9, 27)])
def test_who_is_absent_today(hr, today):
    people = {(p["integration_id"], p["id"]): p["display_full_name"] for p in hr.live("hris_employees")}
    expected = sorted(
        (people[a["integration_id"], a["employee_id"]], day(a["start_date"]), day(a["end_date"]) or datetime.date.max)
        for a in hr.live("hris_absences")
        if a["status"] == "APPROVED" and (a["integration_id"], a["employee_id"]) in people
        and day(a["start_date"]) <= today <= (day(a["end_date"]) or datetime.date.max))
    found = hr.rows(2, today)
    assert sorted((r["employee"], r["start_date"], r["end_date"] or datetime.date.max) for r in found) == expected
    assert expected and any(end == datetime.date.max for _, _, end in expected)
    assert all(row["type"] for row in found)


def test_the_headcount_of_a_month_is_that_of_its_last_day(hr):
    people = hr.live("hris_employees")
    ends = [datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(1)
            for year, month in [*((2022, month) for month in range(6, 12)), *((2023, month) for month in range(6))]]
    expected = {(i, end): sum(p["integration_id"] == i and p["start_date"] is not None and day(p["start_date"]) <= end
                              and (p["termination_date"] is None or day(p["termination_date"]) >= end) for p in people)
                for i in (OURS, AGAIN, OTHER, HIBOB) for end in ends}
    assert {(row["integration_id"], row["last_day"]): row["headcount"] for row in hr.rows(3)} == expected
    assert len({expected[OURS, end] for end in ends}) > 2, "the headcount never changes"


def test_changes_are_read_page_by_page_each_once(hr):
    everything = RECIPES[4].statements[0].replace("2026-01-01", "2000-01-01")

    def after(session, row, limit=37):
        last = everything if row is None else everything.replace(
            "('2000-01-01 00:00:00+00', '', '')", "('{synced_at}', '{integration_id}', '{id}')".format(**row))
        return session.execute(last.replace("LIMIT 1000", f"LIMIT {limit}")).fetchall()

    with hr.session() as session:
        read = []
        while page := after(session, read[-1] if read else None):
            read += page
        deleted = {(row["integration_id"], row["id"]): row["deleted"] for row in read}
        assert len(deleted) == len(read) == hr.db.value("SELECT count(*) FROM kombo.hris_employees")
        assert sum(deleted.values()) == 1
    chosen = [person["id"] for person in hr.sandbox.dump("hris_employees", HIBOB)[:3]]
    hr.sandbox.record("change", "hris_employees", chosen[0], {"job_title": "Chief"}, HIBOB)
    hr.sandbox.record("delete", "hris_employees", chosen[1], integration=HIBOB)
    assert_ok(sync_delta(hr.db, HIBOB, "hris_employees"))
    with hr.session() as session:
        assert {(row["integration_id"], row["id"], row["deleted"]) for row in after(session, read[-1])} == {
            (HIBOB, chosen[0], False), (HIBOB, chosen[1], True)}


def test_starters_and_leavers_of_the_next_thirty_days(hr):
    expected = sorted((day(p[field]), event, p["integration_id"], p["display_full_name"])
                      for p in hr.live("hris_employees")
                      for event, field in (("starts", "start_date"), ("leaves", "termination_date"))
                      if p[field] and DAY <= day(p[field]) <= DAY + datetime.timedelta(30))
    found = hr.rows(5)
    assert sorted((r["day"], r["event"], r["integration_id"], r["employee"]) for r in found) == expected
    ours = [(event, str(when)) for when, event, integration, _ in expected if integration == OURS]
    assert {("starts", "2023-05-14"), ("starts", "2023-06-13"), ("leaves", "2023-05-31"), ("starts", "2023-05-20"),
            ("leaves", "2023-05-25")} <= set(ours) and ("starts", "2023-06-14") not in ours


def birthday(born, year):
    try:
        return born.replace(year=year)
    except ValueError:
        return datetime.date(year, 2, 28)


@pytest.mark.parametrize("today, who", [("2023-05-14", "1981-05-20"), ("2023-02-24", "1992-02-29"),
                                        ("2024-02-23", "1992-02-29"), ("2023-12-27", "1990-01-02"),
                                        ("2023-12-30", "1990-12-31")])
def test_birthdays_of_seven_days_across_leap_days_and_years(hr, today, who):
    today = datetime.date.fromisoformat(today)
    week = [today + datetime.timedelta(n) for n in range(7)]
    expected = sorted((when, p["integration_id"], p["display_full_name"], when.year - day(p["date_of_birth"]).year)
                      for p in hr.live("hris_employees") if p["date_of_birth"] for when in week
                      if birthday(day(p["date_of_birth"]), when.year) == when
                      and (p["termination_date"] is None or day(p["termination_date"]) >= when))
    found = hr.rows(6, today)
    assert sorted((r["birthday"], r["integration_id"], r["employee"], r["age"]) for r in found) == expected
    assert any(when == birthday(datetime.date.fromisoformat(who), when.year) for when, *_ in expected)


def test_tenure_counts_full_years_until_today_or_the_last_day(hr):
    def full_years(start, end):
        return end.year - start.year - (birthday(start, end.year) > end)

    expected = sorted((day(p["start_date"]), p["integration_id"], p["display_full_name"], full_years(
        day(p["start_date"]), min(DAY, day(p["termination_date"]) or DAY)))
        for p in hr.live("hris_employees") if p["start_date"] and day(p["start_date"]) <= DAY)
    found = hr.rows(7)
    assert sorted((r["start_date"], r["integration_id"], r["employee"], r["full_years"]) for r in found) == expected
    assert len({years for *_, years in expected}) > 5


def test_a_reconnect_shows_as_a_pair_and_another_customer_does_not(hr):
    people = {i: {(p["remote_id"], p["work_email"]) for p in hr.live("hris_employees") if p["integration_id"] == i}
              for i in (OURS, AGAIN, OTHER)}
    same_ids = {remote for remote, _ in people[OTHER]} & {remote for remote, _ in people[OURS]}
    assert len(same_ids) >= 8, "no remote id is that of two customers"
    [pair] = hr.rows(8)
    assert {pair["one"], pair["other"]} == {OURS, AGAIN}
    assert pair["same_people"] == len(people[OURS] & people[AGAIN]) > 100


def test_the_analyst_sees_the_masked_view_and_nothing_else(hr):
    with hr.session() as session:
        view, groups = RECIPES[9].statements
        session.execute(view)
        session.execute("SET LOCAL ROLE analyst")
        people = hr.live("hris_employees")
        expected = collections.Counter((day(p["date_of_birth"]) and day(p["date_of_birth"]).year,
                                        (p["home_address"] or {}).get("zip_code", "")[:2] or None) for p in people)
        found = session.execute(groups).fetchall()
        assert {(row["birth_year"], row["region"]): row["employees"] for row in found} == expected
        shown = "".join(map(str, session.execute("SELECT v::text AS row FROM hr.employees v").fetchall()))
        assert not any(p[field] in shown for p in people for field in ("ssn", "work_email", "tax_id") if p[field])
        assert not any(p["home_address"]["raw"] in shown for p in people if p["home_address"])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT * FROM kombo.hris_employees")


def test_a_customer_sees_its_own_rows_and_syncing_goes_on(hr):
    policies, begin, count = RECIPES[10].statements
    tables = [row["name"] for row in hr.db.execute("SELECT relation::text AS name FROM kombo.data_tables")]
    assert len(tables) > 20
    with hr.session() as session:
        whole = {name: session.execute(f"SELECT count(*) AS n FROM {name} WHERE integration_id = %s",
                                       [OURS]).fetchone()["n"] for name in tables}
        session.execute(policies)
        session.execute("SET LOCAL ROLE hr_app")
        assert all(session.execute(f"SELECT * FROM {name}").fetchall() == [] for name in tables), "without a name"
        session.execute(begin)
        assert [row["integration_id"] for row in session.execute(count).fetchall()] == [OURS]
        for name in tables:
            seen = session.execute(f"SELECT integration_id, count(*) AS n FROM {name} GROUP BY 1").fetchall()
            assert {row["integration_id"]: row["n"] for row in seen} == ({OURS: whole[name]} if whole[name] else {})
        with pytest.raises(psycopg.errors.InsufficientPrivilege), session.transaction():
            session.execute("SELECT * FROM kombo.sync_status")
        session.execute("RESET ROLE")
        person = hr.sandbox.dump("hris_employees", OURS)[70]
        hr.sandbox.record("change", "hris_employees", person["id"], {"last_name": "Changed"}, OURS)
        results = session.execute("SELECT * FROM kombo.kombo_sync_delta(%s, '{hris_employees}')", [OURS]).fetchall()
        assert_ok(results)
        session.execute(begin)
        seen = session.execute("SELECT last_name FROM kombo.hris_employees WHERE id = %s", [person["id"]]).fetchall()
        assert seen == [{"last_name": "Changed"}]


def kind(value):
    """jsonb_typeof of what parse_json made."""
    return "number" if isinstance(value, (int, Digits)) else "array" if isinstance(value, list) else "string"


def test_custom_fields_are_counted_by_type_and_typed_without_an_error(hr):
    fields = [(p["integration_id"], p["id"], p["custom_fields"]) for p in hr.live("hris_employees")
              if isinstance(p["custom_fields"], dict)]
    kinds = collections.Counter((i, key, kind(value)) for i, _, all_of in fields for key, value in all_of.items())
    assert {(r["integration_id"], r["key"], r["type"]): r["employees"] for r in hr.rows(11)} == kinds
    assert kinds[OURS, "badge", "string"] == 1 and kinds[OURS, "badge", "number"] > 10
    badges = collections.Counter((id, float(all_of["badge"]) if kind(all_of.get("badge")) == "number" else None)
                                 for _, id, all_of in fields if all_of.get("shirt_size") == "XL")
    found = hr.rows(11, block=2)
    assert collections.Counter((r["id"], None if r["badge"] is None else float(r["badge"])) for r in found) == badges
    assert any(badge is None for _, badge in badges)


def test_payroll_has_everybody_of_the_month_with_the_terms_that_hold(hr):
    first, last = datetime.date(2023, 5, 1), datetime.date(2023, 5, 31)
    terms = collections.defaultdict(list)
    for term in hr.live("hris_employments"):
        if term["effective_date"] and day(term["effective_date"]) <= last:
            terms[term["integration_id"], term["employee_id"]].append(day(term["effective_date"]))
    expected = {(p["integration_id"], p["id"]): max(terms[p["integration_id"], p["id"]], default=None)
                for p in hr.live("hris_employees") if p["start_date"] and day(p["start_date"]) <= last
                and (p["termination_date"] is None or day(p["termination_date"]) >= first)}
    found = hr.rows(12)
    assert len(found) == len(expected)
    assert {(row["integration_id"], row["id"]): row["effective_date"] for row in found} == expected
    assert any(when == last for when in expected.values())
    sent = {(p["integration_id"], p["id"]): p for p in hr.live("hris_employees")}
    assert all(row["iban"] == (sent[row["integration_id"], row["id"]]["bank_accounts"] or [{}])[0].get("iban")
               for row in found)
    assert sum(row["pay_rate"] is not None and row["legal_entity"] is not None for row in found) > len(found) / 2


def test_support_sees_masked_employees_and_neither_the_live_table_nor_a_key(hr):
    with hr.session() as session:
        view, look = RECIPES[13].statements
        session.execute(view)
        session.execute("SET LOCAL ROLE support")
        people = {person["id"]: person for person in hr.live("hris_employees") if person["integration_id"] == OURS}
        rows = session.execute(look).fetchall()
        assert len(rows) == 3
        for row in rows:
            person = people[row["id"]]
            assert row["last_name"] == person["last_name"][0] + "."
            assert row["work_email"] == "***@" + person["work_email"].partition("@")[2]
        hr.sandbox.clear_requests()
        session.execute("SELECT id FROM live.employee_card WHERE integration_id = %s AND id = %s",
                        [OURS, rows[0]["id"]])
        assert [request["params"]["ids"] for request in hr.sandbox.requests("/hris/employees")] == [rows[0]["id"]]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT * FROM live.hris_employees")


@pytest.mark.parametrize("number, query, index", [(2, 0, 1), (4, 0, 1), (5, 0, 1), (11, 2, 1)])
def test_a_query_uses_the_index_that_the_page_gives_it(hr, number, query, index):
    """On few rows the planner would read the table; that is made dear."""
    statements = RECIPES[number].statements
    with hr.session() as session:
        before = {row["name"] for row in session.execute(INDEXES).fetchall()}
        session.execute(statements[index])
        made = {row["name"] for row in session.execute(INDEXES).fetchall()} - before
        session.execute("SET LOCAL enable_seqscan = off")
        statement = on(statements[query], DAY).replace("WHERE v.s", f"WHERE v.integration_id = '{OURS}' AND v.s")
        plan = "\n".join(row["QUERY PLAN"] for row in session.execute(f"EXPLAIN {statement}").fetchall())
    assert made and all(re.search(rf"\b{name}\b", plan) for name in made), f"{made} in\n{plan}"


INDEXES = "SELECT relname::text AS name FROM pg_class WHERE relkind = 'i'"
