"""What docs/why.md and docs/versions.md say to somebody who has to decide."""

import os
import pathlib
import re
import subprocess

import psycopg
import pytest

from documents import ROOT, page


def test_only_a_superuser_installs_it(cluster):
    name = cluster.new_database()
    with cluster.connect(name) as connection:
        connection.execute(f"CREATE ROLE {name}_admin LOGIN CREATEROLE CREATEDB")
        connection.execute(f"GRANT ALL ON DATABASE {name} TO {name}_admin")
    with cluster.connect(name, user=f"{name}_admin") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied to create extension"):
            connection.execute("CREATE EXTENSION kombo_sync")
    cluster.run(f"DROP DATABASE {name}")
    cluster.run(f"DROP ROLE {name}_admin")


def test_every_link_of_the_pages_in_the_root_leads_somewhere():
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)#?[^)]*\)", page(name))
        assert [target for target in targets if not (ROOT / target).exists()] == [], name


def versions():
    """[(version, date or "unreleased")] of the changelog, the latest first."""
    return re.findall(r"^## \[(.*?)\] - (.*)$", page("CHANGELOG.md"), re.MULTILINE)


def test_each_version_of_the_changelog_but_the_latest_has_a_date_and_they_are_in_order():
    listed = versions()
    assert len(listed) >= 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in listed[1:]), listed
    assert re.fullmatch(r"\d{4}-\d\d-\d\d|unreleased", listed[0][1]), listed[0]
    dates = [date for _, date in listed]
    assert dates == sorted(dates, reverse=True), dates
    numbers = [tuple(map(int, version.split("."))) for version, _ in listed]
    assert numbers == sorted(numbers, reverse=True), numbers


def test_every_released_version_upgrades_to_the_latest(db):
    """Whether the upgrades make what a fresh installation has is in test_upgrade.py, which tries these scripts."""
    latest, *older = [version for version, _ in versions()]
    for version in older:
        path = db.value("SELECT path FROM pg_extension_update_paths('kombo_sync') WHERE (source, target) = (%s, %s)",
                        [version, latest])
        assert path, f"no upgrade from {version} to {latest}"
        assert (ROOT / "test" / "upgrade" / f"kombo_sync--{version}.sql.gz").exists(), f"{version} is not tried"


# --- systems ------------------------------------------------------------------------------------------------------

def stage(variable):
    """What test/stage.sh has in that variable, by key where it has keys."""
    text = re.search(rf"^(?:declare -A )?{variable}=\((.*)\)$", page("test/stage.sh"), re.MULTILINE)[1]
    pairs = re.findall(r"\[(\w+)\]=(\w+)", text)
    return dict(pairs) if pairs else text.split()


def systems():
    """The rows of the table of docs/install.md, by suite, each by column."""
    table = next(block for block in page("docs/install.md").split("\n\n") if block.startswith("| Debian |"))
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {row[1]: dict(zip(head, row)) for row in rows}


def test_it_runs_on_the_majors_that_the_pages_name(db):
    majors = stage("MAJORS")
    assert str(db.connection.info.server_version // 10000) in majors
    supported = re.search(r"^\| PostgreSQL (.*?) \| supported", page("docs/versions.md"), re.MULTILINE)[1]
    assert re.findall(r"\d+", supported) == majors
    assert stage("SUITES") == {row["PostgreSQL"]: suite for suite, row in systems().items()}
    assert [line for line in page("debian/pgversions").splitlines() if not line.startswith("#")] == majors
    assert f"PostgreSQL {', '.join(majors[:-1])} and {majors[-1]}." in page("README.md")


def test_this_system_is_what_the_page_says():
    suite = subprocess.run(["sed", "-n", "s/^VERSION_CODENAME=//p", "/etc/os-release"], capture_output=True, text=True,
                           check=True).stdout.strip()
    row = systems().get(suite)
    if not row:
        pytest.skip(f"{suite} is not in docs/install.md")
    packages = {"PostgreSQL": f"postgresql-{row['PostgreSQL']}", "g++": "g++", "libcurl": "libcurl4-openssl-dev",
                "jansson": "libjansson-dev", "simdjson": "libsimdjson-dev", "OpenSSL": "libssl-dev"}
    assert set(packages) == set(row) - {"Debian", "suite"}
    for column, package in packages.items():
        installed = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                                   check=True).stdout
        version = tuple(map(int, re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", installed)[1].split(".")))
        said = tuple(map(int, row[column].split(".")))
        # A suite that is not released moves on.
        assert version >= said if row["Debian"] == "testing" else version[:len(said)] == said, (column, installed)


def symbols(file, which):
    listed = subprocess.run(["nm", "-D", which, file], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in listed.splitlines()}


def test_the_library_uses_nothing_of_the_server_that_an_older_minor_lacks():
    programs = pathlib.Path(os.environ["KOMBO_PGBIN"])
    used = (symbols(programs.parent / "lib" / "kombo_sync.so", "--undefined-only")
            & symbols(programs / "postgres", "--defined-only"))
    assert len(used) > 100
    new = used - set(page("test/facts/server_symbols.txt").split())
    assert new == set(), \
        "do the first minors of all majors that this was built with have these? Then add them to the list"
