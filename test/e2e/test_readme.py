"""The documents: the README's statements work as they stand, and the reference names all that there is."""

import pathlib
import re

import psycopg
import pytest

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def statements(sandbox):
    """The README's ```sql blocks as one script, with the sandbox where Kombo is."""
    script = "\n".join(re.findall(r"^```sql\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    for real, ours in [("base_url 'https://api.kombo.dev/v1'", f"base_url '{sandbox.base_url}', allow_http 'on'"),
                       ("'your API key'", f"'{sandbox.api_key}'")]:
        assert script.count(real) == 1, f"the README has not exactly one {real}"
        script = script.replace(real, ours)
    return script


def test_the_statements_of_the_readme_connect_sync_and_show_employees(new_cluster, sandbox):
    cluster = new_cluster()
    script = cluster.folder / "readme.sql"
    script.write_text(statements(sandbox), encoding="utf-8")
    printed = cluster.program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f", script)
    assert "ERROR" not in printed and "WARNING" not in printed, printed
    with cluster.connect() as connection:
        stored = connection.execute("SELECT count(*) AS n, count(ssn) AS ssn FROM kombo.hris_employees").fetchone()
        runs = connection.execute("SELECT DISTINCT status FROM kombo.sync_runs").fetchall()
        states = connection.execute("SELECT DISTINCT state FROM kombo.sync_status "
                                    "WHERE integration_id IS NOT NULL").fetchall()
    assert stored == {"n": sandbox.count("hris_employees"), "ssn": 0}
    assert runs == [{"status": "ok"}] and states == [{"state": "fresh"}]
    assert re.search(r"/hris/employees +\| delta +\| ok", printed), printed


def test_every_link_of_the_documents_leads_somewhere():
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:)([^)#]*)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def in_reference(name):
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", REFERENCE) is not None


def test_the_reference_names_every_function_and_table(db):
    members = db.execute("""
        SELECT proname AS name FROM pg_proc WHERE pronamespace = 'kombo'::regnamespace
        UNION SELECT relname FROM pg_class WHERE relnamespace = 'kombo'::regnamespace AND relkind IN ('r', 'v')""")
    assert [member["name"] for member in members if not in_reference(member["name"])] == []


def test_the_reference_has_every_setting_with_its_default(db):
    db.execute("LOAD 'kombo_sync'")
    settings = db.execute("SELECT name, current_setting(name) AS value FROM pg_settings WHERE name LIKE 'kombo\\_sync.%'")
    documented = dict(re.findall(r"^\| `(kombo_sync\.\w+)` \| (\S+)", REFERENCE, re.MULTILINE))
    assert documented == {setting["name"]: setting["value"] for setting in settings}


@pytest.mark.parametrize("statement", [
    "CREATE SERVER asks FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url 'https://api.kombo.dev/v1', nonsense 'x')",
    "CREATE USER MAPPING FOR PUBLIC SERVER kombo_eu OPTIONS (nonsense 'x')"], ids=["server", "user mapping"])
def test_the_reference_has_every_option(db, statement):
    with pytest.raises(psycopg.Error) as refused:
        db.execute(statement)
    options = re.sub(r"^.*: |\.$", "", refused.value.diag.message_hint).split(", ")
    assert len(options) >= 5 and [option for option in options if not in_reference(option)] == []
