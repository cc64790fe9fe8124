"""docs/faq.md: each mistake gives the message that the page says.

A block ```sql is the mistake, the block without a language after it what psql prints of it, with … for what differs
and indented lines that go on. A comment above it says where it runs: <!-- before: SQL --> comes first, in the same
transaction; <!-- in: session --> is without a transaction; SQL_ASCII, preloaded and worker name another database.
"until 16": what newer majors of PostgreSQL do not refuse."""

import pathlib
import re
import typing

from cluster import Database
from worker import inbox, sign, until

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "faq.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^### (?P<title>.*)\n(?P<above>(?:(?!#).*\n)*?)"
                   r"```sql\n(?P<sql>(?:.*\n)*?)```\n\n```\n(?P<said>(?:.*\n)*?)```$", re.MULTILINE)


class Mistake(typing.NamedTuple):
    title: str
    sql: str
    said: list  # a pattern for each line
    before: str
    where: str


def mistakes(*where):
    found = []
    for entry in ENTRY.finditer(PAGE):
        comments = dict(re.findall(r"<!-- (\w+): (.*?) -->", entry["above"], re.DOTALL))
        lines = re.sub(r"\n {4}", " ", entry["said"]).splitlines()
        said = [".*".join(re.escape(part) for part in normal(line).split("…")) for line in lines]
        found.append(Mistake(entry["title"], entry["sql"], said, comments.get("before", ""), comments.get("in", "")))
    assert len(found) == PAGE.count("\n### "), "an entry of the page is not as the others are"
    return [one for one in found if one.where in where]


def normal(line):
    return re.sub(r" +", " ", line.strip())


def assert_said(mistake, printed):
    """That the lines come in this order, whatever is between them."""
    lines = iter(normal(re.sub(r"^psql:\S+: ", "", line)) for line in printed.splitlines())
    for pattern in mistake.said:
        assert any(re.fullmatch(pattern, line) for line in lines), f"{mistake.title}: no {pattern} in:\n{printed}"


def psql(db, text):
    script = db.cluster.folder / "faq.sql"
    script.write_text(text, encoding="utf-8")
    return db.cluster.program("psql", "-X", "-d", db.name, "-f", script)


def test_each_mistake_gives_the_message_of_the_page(db):
    old = ["session, until 16"] if db.connection.info.server_version < 170000 else []
    for mistake in mistakes("", "session", *old):
        begin, end = ("", "") if mistake.where.startswith("session") else ("BEGIN;", "ROLLBACK;")
        assert_said(mistake, psql(db, f"{begin}\n{mistake.before}\n{mistake.sql}\n{end}\n"))


def test_a_database_that_is_not_in_utf8_is_refused_as_the_page_says(cluster):
    name = cluster.new_name()
    cluster.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    db = Database(cluster, name)
    for mistake in mistakes("SQL_ASCII"):
        assert_said(mistake, psql(db, mistake.sql))
    db.drop()


def test_a_database_that_is_not_listed_is_told_as_the_page_says(worker_cluster):
    worker_cluster.prepare_template()
    db = Database(worker_cluster, worker_cluster.new_database("kombo_template"))
    for mistake in mistakes("preloaded"):
        assert_said(mistake, psql(db, mistake.sql))
    db.drop()


def test_webhooks_are_rejected_as_the_page_says(served):
    for mistake in mistakes("worker", "worker, signed"):
        body = re.search(r"VALUES \('(.*)',", mistake.sql)[1]
        psql(served, mistake.sql.replace("its signature", sign(body)))
        until(served, lambda: not inbox(served).get("new"), what="the end of the inbox")
        latest = "SELECT status, error FROM kombo.webhook_inbox ORDER BY id DESC LIMIT 1 \\gx"
        assert_said(mistake, psql(served, latest))
