"""The documents: statements and commands work as they stand, links lead somewhere. docs/faq.md and the generated pages
have tests of their own."""

import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import textwrap

import pytest

from cluster import Database
from commands import MAJOR
from sandbox import WEBHOOK_SECRET
from worker import data_changed, runs, sign, until, wait_synced

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")),
         *(ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md") if (ROOT / name).exists())]
# Pages whose statements other tests run: they need more than one database, or make roles.
RUN_ELSEWHERE = {"README.md", "faq.md", "managed.md", "cookbook.md", "citus.md", "downstream.md"}


def code(page, language):
    """The page's blocks of that language."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def prose(page, tables=False):
    """The page without code blocks and tables."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return text if tables else re.sub(r"^\|.*\n", "", text, flags=re.MULTILINE)


# --- SQL ----------------------------------------------------------------------------------------------------------

def blocks(sandbox, folder):
    """The README's ```sql blocks, with the sandbox where Kombo is, and the files with secrets in the folder."""
    found = code(ROOT / "README.md", "sql")
    key, secret = folder / "kombo.key", folder / "kombo.secret"
    key.write_text(f"{sandbox.api_key}\n", encoding="utf-8")
    secret.write_text(f"{WEBHOOK_SECRET}\n", encoding="utf-8")
    for real, ours in [("base_url 'https://api.kombo.dev/v1'", f"base_url '{sandbox.base_url}', allow_http 'on'"),
                       ("'/etc/postgresql/kombo.key'", f"'{key}'"), ("'/etc/postgresql/kombo.secret'", f"'{secret}'")]:
        assert "".join(found).count(real) == 1, f"the README has not exactly one {real}"
        found = [block.replace(real, ours) for block in found]
    return found


def settings():
    """The README's settings as lines of postgresql.conf, and the database that it creates."""
    commands = "".join(code(ROOT / "README.md", "sh"))
    conf = re.findall(r"^pg_conftool 15 main set (\S+) (\S+)$", commands, re.MULTILINE)
    name = re.search(r"createdb .*?(\w+)$", commands, re.MULTILINE)[1]
    assert ("kombo_sync.databases", name) in conf
    return "".join(f"{setting} = '{value}'\n" for setting, value in conf), name


# What request_sync warns of where no worker can come between the statements of a page.
WITHOUT_WORKER = "WARNING:  no background worker serves this database"


def run_script(db, statements):
    script = db.cluster.folder / "readme.sql"
    script.write_text("\n".join(statements), encoding="utf-8")
    printed = db.cluster.program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", db.name, "-f", script)
    assert "ERROR" not in printed and "WARNING" not in printed.replace(WITHOUT_WORKER, ""), printed
    return printed


def test_the_statements_of_the_readme_connect_a_worker_that_takes_webhooks_in(new_cluster, sandbox):
    conf, name = settings()
    cluster = new_cluster(conf)
    cluster.run(f"CREATE DATABASE {name}")
    cluster.restart()
    db = Database(cluster, name)
    found = blocks(sandbox, cluster.folder)
    last = next(i for i, block in enumerate(found) if "kombo.add_integration(" in block) + 1
    run_script(db, found[:last])
    wait_synced(db)
    assert {run["trigger"] for run in runs(db)} == {"schedule"}
    stored = db.execute("SELECT count(*) AS n, count(ssn) AS ssn FROM kombo.hris_employees")
    assert stored == [{"n": sandbox.count("hris_employees"), "ssn": 0}]

    run_script(db, found[last:])
    with db.connect(user="hr_webhooks") as front_end:
        front_end.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                          [body := data_changed(sandbox.integration, "hris_employees"), sign(body)])
    until(db, lambda: runs(db, "/hris/employees", trigger="webhook"), what="the fetch that the webhook asks for")
    wait_synced(db)
    assert {run["status"] for run in runs(db)} == {"ok"}


def test_the_statements_of_the_pages_run(hris):
    # That of installation comes last: it ends with taking it away.
    for page in sorted(PAGES, key=lambda page: page.name == "install.md"):
        if page.name not in RUN_ELSEWHERE:
            for block in code(page, "sql"):
                run_script(hris, [block])


# --- commands -----------------------------------------------------------------------------------------------------

def commands(page):
    """The simple commands of the page's ```sh blocks, as lists of words."""
    begun = ""
    for line in "".join(code(page, "sh")).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(f"{begun}{line}", posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            found, begun = [*lexer, ";"], ""
        except ValueError:  # a quotation of several lines
            begun += f"{line}\n"
            continue
        words = []
        for word in found:
            if set(word) <= set("();<>|&"):
                if words:
                    yield words
                words = []
            elif words or not re.match(r"\w+=", word):
                words.append(word)


@functools.cache
def output(*command):
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout


def lacks(words):
    """What of a command is not there; nothing is run."""
    program, *arguments = words
    if program == "runuser":
        return lacks(arguments[arguments.index("--") + 1:])
    if program == "docker":  # not here as a rule: the files that it is to read are looked at
        return [one for one in arguments if re.match(r"[\w.]+/\w", one) and not (ROOT / one).exists()]
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if not (os.access(ROOT / program, os.X_OK) if "/" in program else shutil.which(program, path=path)):
        return [program]
    if program == "make":
        arguments = [one.replace("/15/", f"/{MAJOR}/") for one in arguments if not one.startswith("-")]
        code, printed = output("make", "-n", *arguments)
        return [] if code == 0 else [printed]
    if program == "apt-get":
        known = (ROOT / "test" / "stage.sh").read_text(encoding="utf-8").replace("$PG_MAJOR", MAJOR)
        # The pages name Debian 12's PostgreSQL, and what depends on it.
        packages = [re.sub("-15$", f"-{MAJOR}", one) for one in arguments[1:] if not one.startswith("-")]
        return [one for one in packages if not re.search(rf'[\s("]{re.escape(one)}[\s)"]', known)
                and output("dpkg-query", "-W", one)[0] != 0]
    if "--" in arguments:  # what follows is another program's
        arguments = arguments[:arguments.index("--")]
    options = {one.split("=")[0] for one in arguments if re.match("--.", one)}
    if program in ("./check", "./demo", "./bench", "./package"):  # parts and scenarios
        options |= {one for one in arguments if re.fullmatch("[a-z]+", one)}
    # A program that is called without options may know no --help, and do its work.
    known = output(program, "--help")[1] if options else ""
    return [one for one in options if not re.search(rf"(?<![\w-]){one}(?![\w-])", known)]


def test_the_commands_of_the_pages_are_there():
    missing = {f"{page.name}: {' '.join(words)}": lacks(words)
               for page in PAGES if page.name != "managed.md" for words in commands(page)}
    assert len(missing) > 10 and {command: lack for command, lack in missing.items() if lack} == {}


def test_a_command_that_is_not_there_is_noticed():
    for words in (["./demo", "--kep"], ["make", "instal"], ["apt-get", "install", "g--"],
                  ["pg_createclutser", "15", "main"],
                  ["runuser", "-u", "postgres", "--", "createdb", "--encodign=UTF8"], ["./check", "regres"],
                  ["docker", "compose", "-f", "container/compse.yaml", "up"]):
        assert lacks(words), words


# --- links and words ----------------------------------------------------------------------------------------------

def anchors(page):
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_the_documents_leads_somewhere():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#]*)#?([^)]*)\)", text):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(found), f"{page.name} links to {target}#{anchor}"


def test_every_page_is_linked_from_the_readme():
    assert [page.name for page in PAGES[1:] if f"]({page.relative_to(ROOT)}" not in README] == []


def test_the_readme_is_short():
    assert len(prose(ROOT / "README.md").split()) <= 1200


def test_the_readme_has_two_sentences_of_speed_and_says_which_goals_are_missed():
    summary = re.search("<!-- summary -->(.*)<!-- end of summary -->", README, re.DOTALL)[1]
    sentences = re.sub(r"^\|.*", "", summary, flags=re.MULTILINE)
    rows = re.findall(r"^\| (.*) \| .* \| [≤≥] \S+?(, \*\*missed\*\*)? \|$", summary, re.MULTILINE)
    assert len(re.findall(r"\.(?=\s)", sentences)) == 2 and 1 <= len(rows) <= 5
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for what, missed in rows:
        assert bool(missed) == (f". {what}: " in page.split("## Goals that are missed")[1]), what
        assert f"| {what} |" in page


def test_a_result_says_which_side_is_faster(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "test" / "bench")
    import report
    from rows import Row, at_least, at_most

    slower = Row("x", "A sync compared with COPY", "", [2.0], at_most(1.5), ours=[4.0], theirs=[2.0])
    faster = Row("x", "A sync compared with a service", "", [5.0], at_least(3), ours=[2.0], theirs=[10.0])
    assert [report.value_of(row) for row in (slower, faster)] == ["2.00 times the time", "5.00 times as fast"]
    assert "**missed by 33%**" in report.table([slower, faster])
    assert "A sync compared with COPY" in report.missed([slower])


EXPLAINED = ("README", "install", "guide", "guarantees", "operations", "faq", "architecture", "reliability")


@pytest.mark.parametrize("name", EXPLAINED)
def test_a_term_is_linked_to_the_glossary_where_a_page_first_has_it(name):
    page = ROOT / "README.md" if name == "README" else ROOT / "docs" / f"{name}.md"
    text = re.sub(r"^#.*$|`[^`]*`|!\[[^]]*\]\([^)]*\)", "", prose(page, tables=True), flags=re.MULTILINE)
    links = list(re.finditer(r"\[[^]]*\]\(([^)]*)\)", text))
    for link in links:
        text = text[:link.start(1)] + " " * len(link[1]) + text[link.end(1):]
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for term in re.findall(r"^## (.*)$", glossary, re.MULTILINE):
        first = re.search(rf"\b{term}(e?s)?\b".replace(" ", r"\s+"), text, re.IGNORECASE)
        anchor = f"glossary.md#{term.lower().replace(' ', '-')}"
        linked = [link for link in links if link[1].endswith(anchor)]
        assert not first or any(link.start() < first.start() < link.end() for link in linked), \
            f"{page.name} uses {term!r} first in: {text[max(0, first.start() - 60):first.end() + 60]}"


def test_the_files_that_the_architecture_names_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = re.search(r"^\| X \| files \|\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    assert len(table.splitlines()) >= 12
    for line in table.splitlines():
        assert re.search(r"`(src|sql)/", line), line
    named = re.findall(r"`((?:src|sql|test|pg|syncer|kombo)/[\w/.]+\.\w+)`", text)
    assert [file for file in named if not (ROOT / file).exists() and not (ROOT / "src" / file).exists()] == []
