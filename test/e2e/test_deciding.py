"""What docs/why.md and docs/versions.md say to somebody who has to decide."""

import re

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


def test_it_runs_on_the_major_that_the_page_names(db):
    supported = re.findall(r"^\| PostgreSQL (\d+) \| supported", page("docs/versions.md"), re.MULTILINE)
    assert supported == [str(db.connection.info.server_version // 10000)]
