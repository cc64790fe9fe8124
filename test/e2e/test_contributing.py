"""CONTRIBUTING.md: whoever follows its examples gets what it says."""

import re

from documents import ROOT, blocks, page
from syncing import assert_ok, one, sync_full

PAGE = "CONTRIBUTING.md"


def statements(heading):
    return [one.text for one in blocks(PAGE, heading) if one.text.startswith("INSERT")]


def run(db, text):
    script = db.cluster.folder / "contributing.sql"
    script.write_text(text, encoding="utf-8")
    return db.cluster.program("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", db.name, "-f", script)


def test_the_example_of_a_field_gives_a_column_with_its_values(hris, sandbox):
    assert_ok(sync_full(hris, what=["hris_locations"]))
    place = sandbox.dump("hris_locations")[0]["id"]
    sandbox.record("change", "hris_locations", place, {"timezone": "Europe/Berlin"})
    statement, = statements("Add a field")
    assert re.search(r"/hris/locations +\| full +\| ok", run(hris, statement))
    row = one(hris, "hris_locations", place)
    assert row["timezone"] == "Europe/Berlin" and not row["extra"], row
    assert hris.value("SELECT col_description('kombo.hris_locations'::regclass, attnum) FROM pg_attribute "
                      "WHERE attrelid = 'kombo.hris_locations'::regclass AND attname = 'timezone'")


def test_the_line_that_the_example_of_a_field_ships_makes_the_row_of_its_statement(db):
    """Behind the lines of its list in sql/install/hris.sql."""
    line, = re.findall(r"^ +(timezone  .*)", page(PAGE), re.MULTILINE)
    shipped = [(ROOT / "sql" / "install" / name).read_text(encoding="utf-8") for name in ("listing.sql", "hris.sql")]
    listing, = re.findall(r"ship_fields\('hris_locations', \$\$\n(.*?)\$\$\)", shipped[1], re.DOTALL)
    with db.connect(autocommit=False) as connection:
        connection.execute(shipped[0])
        connection.execute("SELECT kombo_internal.ship_fields('hris_places', %s)", [f"{listing}    {line}\n"])
        made = connection.execute(
            "SELECT * FROM kombo.fields WHERE table_name = 'hris_places' ORDER BY position").fetchall()
        connection.rollback()
    assert len(made) > 4 and (made[-1]["column_name"], made[-1]["type"], made[-1]["json_key"], made[-1]["comment"]) == (
        "timezone", "text", "timezone", "Time zone of the location, such as Europe/Berlin.")


def test_the_example_of_a_list_gives_a_table_with_its_records(db, fake_kombo):
    benefits = [{"id": "b1", "remote_id": "17", "employee_id": "e1", "monthly_cost": 49.9,
                 "starts_at": "2026-01-01T00:00:00.000Z", "changed_at": "2026-01-01T00:00:00.000Z",
                 "remote_deleted_at": None, "colour": "red"}]
    fake = fake_kombo(lambda path, query: benefits if path == "/hris/benefits" else None)
    db.create_server(fake, name="fake")
    db.add_integration("personio:fake", server="fake", category="HRIS")
    statement, = statements("Add a list")
    assert re.search(r"/hris/benefits +\| full +\| ok +\| +1", run(db, statement))
    row = one(db, "hris_benefits", "b1")
    assert (row["remote_id"], row["employee_id"], str(row["monthly_cost"])) == ("17", "e1", "49.9"), row
    assert row["starts_at"] and row["extra"]["colour"] == "red", row


def test_the_example_of_a_test_passes_and_notices_what_it_is_for(hris, sandbox):
    written, = [one.text for one in blocks(PAGE, "Add a test") if one.language == "python"]
    names = {}
    exec(compile(written, PAGE, "exec"), names)  # the page's own code
    test, = [value for name, value in names.items() if name.startswith("test_")]
    test(hris, sandbox)


def test_the_commands_of_the_page_are_there():
    commands = [line.split()[0] for line in blocks(PAGE, "Build and test")[0].text.splitlines()]
    assert commands and all((ROOT / command).exists() for command in commands)
    parts = re.search(r'== 0\)\); then parts=\((.*?)\)', (ROOT / "check").read_text(encoding="utf-8"))[1].split()
    assert {words[1] for words in map(str.split, blocks(PAGE, "Build and test")[0].text.splitlines())
            if words[0] == "./check" and words[1] != "#"} == {*parts, "matrix", "soak", "--sanitize", "--valgrind",
                                                         "--assertions"}
