"""The documents: the README's statements work as they stand, and the reference names all that there is."""

import pathlib
import re

import psycopg
import pytest

from cluster import Database
from sandbox import WEBHOOK_SECRET
from worker import data_changed, runs, sign, until, wait_synced

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def blocks(sandbox):
    """The README's ```sql blocks, with the sandbox where Kombo is."""
    found = re.findall(r"^```sql\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for real, ours in [("base_url 'https://api.kombo.dev/v1'", f"base_url '{sandbox.base_url}', allow_http 'on'"),
                       ("'your API key'", f"'{sandbox.api_key}'"), ("'your webhook secret'", f"'{WEBHOOK_SECRET}'")]:
        assert "".join(found).count(real) == 1, f"the README has not exactly one {real}"
        found = [block.replace(real, ours) for block in found]
    return found


def settings():
    """What the README puts into postgresql.conf, and the database that it names there."""
    block = re.search(r"^```\n(shared_preload_libraries.*?)^```", README, re.MULTILINE | re.DOTALL)[1]
    return block, re.search(r"^kombo_sync.databases = '(\w+)'", block, re.MULTILINE)[1]


def run_script(db, statements):
    script = db.cluster.folder / "readme.sql"
    script.write_text("\n".join(statements), encoding="utf-8")
    printed = db.cluster.program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", db.name, "-f", script)
    assert "ERROR" not in printed and "WARNING" not in printed, printed
    return printed


def test_the_statements_of_the_readme_connect_a_worker_that_takes_webhooks_in(new_cluster, sandbox):
    preload, name = settings()
    cluster = new_cluster(preload)
    cluster.run(f"CREATE DATABASE {name}")
    cluster.restart()
    db = Database(cluster, name)
    found = blocks(sandbox)
    last = next(i for i, block in enumerate(found) if "kombo.add_integration(" in block) + 1
    run_script(db, found[:last])
    wait_synced(db)
    assert {run["trigger"] for run in runs(db)} == {"schedule"}
    stored = db.execute("SELECT count(*) AS n, count(ssn) AS ssn FROM kombo.hris_employees")
    assert stored == [{"n": sandbox.count("hris_employees"), "ssn": 0}]

    printed = run_script(db, found[last:])
    assert re.search(r"/hris/employees +\| delta +\| ok", printed), printed
    with db.connect(user="hr_webhooks") as front_end:
        front_end.execute("INSERT INTO kombo.webhook_inbox (body, signature) VALUES (%s, %s)",
                          [body := data_changed(sandbox.integration, "hris_employees"), sign(body)])
    until(db, lambda: runs(db, "/hris/employees", trigger="webhook"), what="the fetch that the webhook asks for")
    wait_synced(db)
    assert {run["status"] for run in runs(db)} == {"ok"}


def anchors(page):
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_the_documents_leads_somewhere():
    for page in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(found), f"{page.name} links to {target}#{anchor}"


def test_the_queries_to_monitor_run(hris):
    for page in PAGES[1:]:
        for block in re.findall(r"^```sql\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            run_script(hris, [block])


def in_reference(name):
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", REFERENCE) is not None


def test_the_reference_names_every_function_and_table(db):
    members = db.execute("""
        SELECT proname AS name FROM pg_proc WHERE pronamespace = 'kombo'::regnamespace
        UNION SELECT relname FROM pg_class WHERE relnamespace = 'kombo'::regnamespace AND relkind IN ('r', 'v')""")
    assert [member["name"] for member in members if not in_reference(member["name"])] == []


def test_the_reference_names_every_column_of_state_and_status(db):
    columns = db.execute("""
        SELECT DISTINCT attname AS name FROM pg_attribute
        WHERE attnum > 0 AND attrelid = ANY (ARRAY['kombo.integrations', 'kombo.subscriptions', 'kombo.sync_requests',
            'kombo.sync_state', 'kombo.webhook_inbox', 'kombo.sync_status', 'kombo.sync_progress']::regclass[])
          AND attname NOT IN ('added_at', 'system_identifier', 'database_oid')""")
    assert [column["name"] for column in columns if not in_reference(column["name"])] == []


def test_the_reference_has_every_setting_with_its_default(db):
    db.execute("LOAD 'kombo_sync'")
    settings = db.execute("SELECT name, current_setting(name) AS value FROM pg_settings WHERE name LIKE "
                          "'kombo\\_sync.%'")
    documented = dict(re.findall(r"^\| `(kombo_sync\.\w+)` \| ([^|\s]*)", REFERENCE, re.MULTILINE))
    assert documented == {setting["name"]: setting["value"] for setting in settings}


@pytest.mark.parametrize("statement", [
    "CREATE SERVER asks FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1', nonsense 'x')",
    "CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (nonsense 'x')"], ids=["server", "user mapping"])
def test_the_reference_has_every_option(db, statement):
    with pytest.raises(psycopg.Error) as refused:
        db.execute(statement)
    options = re.sub(r"^.*: |\.$", "", refused.value.diag.message_hint).split(", ")
    assert len(options) >= 5 and [option for option in options if not in_reference(option)] == []
