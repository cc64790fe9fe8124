"""The generated pages, docs/reference.md and docs/data-model.md, are what a database with the extension says."""

import html
import os
import pathlib
import re

import psycopg
import pytest

import print_data_model
import print_reference

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"


def assert_up_to_date(name, text):
    """Fails unless docs/NAME is this text. For docs/write it writes that to the folder KOMBO_PAGES instead."""
    if folder := os.environ.get("KOMBO_PAGES"):
        (pathlib.Path(folder) / name).write_text(text, encoding="utf-8")
    else:
        page = DOCS / name
        same = page.exists() and page.read_text(encoding="utf-8") == text
        assert same, f"docs/{name} is out of date: run docs/write, and commit what it changes"


@pytest.fixture
def db(db):
    """With the tables of all categories."""
    for category in db.execute("SELECT DISTINCT category AS name FROM kombo.endpoints"):
        db.execute("SELECT kombo.create_tables(%s)", [category["name"]])
    return db


def test_the_reference_is_up_to_date(db):
    assert_up_to_date("reference.md", print_reference.page(db, DOCS / "reference.template"))


def test_the_data_model_is_up_to_date(db):
    assert_up_to_date("data-model.md", print_data_model.page(db, DOCS / "data-model.template"))
    for category in db.execute("SELECT DISTINCT category AS name FROM kombo.endpoints"):
        name = f"data-model-{category['name'].lower()}"
        assert f"({name}.svg)" in (DOCS / "data-model.template").read_text(encoding="utf-8")
        assert_up_to_date(f"{name}.dot", print_data_model.picture(db, category["name"]))


def test_every_picture_shows_what_its_text_says():
    """Without graphviz, whose versions draw differently: nodes, edges and labels are there."""
    for text in DOCS.glob("*.dot"):
        source = text.read_text(encoding="utf-8")
        nodes = set(re.findall(r"^ +(\w+) \[label", source, re.MULTILINE))
        edges = set(re.findall(r"^ +([\w:]+ -> [\w:]+)\b(?! \[style = invis)", source, re.MULTILINE))
        picture = text.with_suffix(".svg").read_text(encoding="utf-8")
        titles = re.findall(r'class="(?:node|edge)">\s*<title>([^<]*)</title>', picture)
        drawn = {re.sub(r"\s*->\s*", " -> ", html.unescape(title)) for title in titles}
        assert drawn == nodes | edges, f"{text.name} was not drawn anew: run docs/draw"
        for line in re.findall(r"(?:^|\\n)([^\\]+)", "\\n".join(re.findall(r'label = "([^"]*)"', source))):
            assert line.strip() in html.unescape(picture), f"{text.name} has {line!r}: run docs/draw"


def test_every_column_that_refers_to_a_table_says_to_which(db):
    tables = {name: one for category in ("HRIS", "ATS", "LMS", "ASSESSMENT")
              for name, one in print_data_model.tables_of(db, category).items()}
    said = {(name, column["name"]): column["refers_to"] for name, one in tables.items() for column in one["columns"]}
    lacking = [column for column, table in said.items() if column[1].endswith("_id") and table not in tables
               and not column[1].endswith("remote_id")
               and column[1] not in ("integration_id", "tax_id", "package_id", "origin_id")]
    assert lacking == []
    # What the catalogue knows of nested records agrees.
    nested = db.execute("""
        SELECT coalesce((SELECT o.table_name FROM kombo.nested_records o
                         WHERE o.endpoint = n.endpoint AND o.json_path = regexp_replace(n.json_path, '\\.[^.]*$', '')
                           AND o.json_path <> n.json_path), e.table_name) AS list,
               n.json_path AS path, n.relation, n.table_name, n.parent_column
        FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
        WHERE n.relation <> 'part' AND n.json_path <> 'skills.skill.proficiency_scale'
          AND n.json_path NOT LIKE '%.skill'""")
    known = {(n["table_name"], n["parent_column"]): n["list"] for n in nested if n["parent_column"]}
    known |= {(n["list"], n["path"] + "_id"): n["table_name"] for n in nested if (n["list"], n["path"] + "_id") in said}
    assert len(known) >= 15 and known.items() <= said.items()


def test_every_comment_is_a_sentence(db):
    comments = db.execute("""
        WITH relations AS (SELECT oid FROM pg_class WHERE relnamespace = 'kombo'::regnamespace AND relkind IN ('r', 'v')
                           EXCEPT SELECT relation FROM kombo.data_tables)
        SELECT oid::regclass::text AS name, obj_description(oid, 'pg_class') AS comment FROM relations
        UNION ALL SELECT format('%s.%I', a.attrelid::regclass, a.attname), col_description(a.attrelid, a.attnum)
        FROM pg_attribute a JOIN relations r ON r.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc') FROM pg_proc p
        WHERE p.pronamespace = 'kombo'::regnamespace""")
    assert [c for c in comments if not re.match(r"[A-Z'].*\.$", c["comment"] or "", re.DOTALL)] == []


def test_the_comment_of_a_column_names_every_value_that_its_check_allows(db):
    checks = db.execute("""
        SELECT format('%s.%I', c.conrelid::regclass, a.attname) AS name, pg_get_constraintdef(c.oid) AS definition,
               col_description(c.conrelid, a.attnum) AS comment
        FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND ARRAY[a.attnum] = c.conkey
        WHERE c.connamespace = 'kombo'::regnamespace AND c.contype = 'c'""")
    lists = {check["name"]: re.findall(r"'([a-z_]+)'::text", check["definition"]) for check in checks
             if "= ANY (ARRAY[" in check["definition"] and "kombo.fields.type" not in check["name"]}
    assert len(lists) >= 7, lists
    comments = {check["name"]: check["comment"] for check in checks}
    assert [(name, value) for name, values in lists.items() for value in values
            if not re.search(rf"\b{value}\b", comments[name])] == []


def test_the_reference_explains_every_state_that_the_comments_name(db):
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    states = db.value("SELECT col_description('kombo.sync_status'::regclass, attnum) FROM pg_attribute "
                      "WHERE attrelid = 'kombo.sync_status'::regclass AND attname = 'state'")
    named = re.split(r", | or |: |\. ", re.sub(r" \([^)]*\)", "", states).rstrip("."))
    named = [state for state in named if not state.startswith("State of")]
    assert len(named) >= 13 and [state for state in named if f"\n| `{state}` |" not in reference] == []


# Raised where they cannot be met, or never as such: the bridge's own, and a trigger function that is called by hand.
UNEXPLAINED = {"internal_error", "e_r_i_e_trigger_protocol_violated", "successful_completion", "warning"}


def test_the_reference_explains_every_sqlstate_that_the_code_raises():
    errors = (DOCS / "reference.md").read_text(encoding="utf-8").partition("\n## Errors\n")[2]
    sources = [*(ROOT / "sql" / "install").glob("*.sql"), *(ROOT / "src").rglob("*.cpp"), *(ROOT / "src").rglob("*.h")]
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    conditions = set(re.findall(r"ERRCODE = '(\w+)'", text)) | {c.lower() for c in re.findall(r"\bERRCODE_(\w+)", text)}
    states = {name: getattr(psycopg.errors, "".join(word.title() for word in name.split("_"))).sqlstate
              for name in conditions - UNEXPLAINED}
    assert len(states) >= 20 and {name: state for name, state in states.items() if state not in errors} == {}
