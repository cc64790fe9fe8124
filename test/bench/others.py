"""Beside what one would write without the extension, and beside the parser alone."""

import json

import pages as staged
from rows import Row, at_least, at_most, ratios
from sql_upsert import stage_pages, upsert_rows, upsert_sql
from stand import EMPLOYEES, HERE, data_tables, empty, needed, run, whole_list


def guide(stand):
    """The service that Kombo's guide describes, with its ORM: pages fetched, records upserted one by one."""
    employees = stand.sizes.guide
    sandbox = stand.sandbox(employees)
    ours, theirs = ([], []), ([], [])  # each first and once more
    with stand.database(sandbox, EMPLOYEES) as db:
        db.execute((HERE / "guide.sql").read_text(encoding="utf-8"))
        guides = [f"guide.{row['tablename']}" for row in
                  db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'guide'")]
        for number in range(stand.sizes.rounds):
            if number > 0:
                empty(db, data_tables(db))
                db.execute("TRUNCATE " + ", ".join(guides))
            for mine, its in zip(ours, theirs):
                mine.append(stand.sync(db)[0])
                told = served_by_node(db, sandbox)
                if told["records"] != employees:
                    raise RuntimeError(f"the service did not see all employees: {told}")
                its.append(told["seconds"])
    size = f"{employees:,} employees, {told['orm']}"
    for what, mine, its in zip(("First full sync", "Full sync with nothing changed"), ours, theirs):
        yield Row("guide", f"{what}, compared with the service of Kombo's guide in Node", size, ratios(its, mine),
                  at_least(20), ours=mine, theirs=its)


def served_by_node(db, sandbox):
    """What guide.mjs prints."""
    return json.loads(run(["node", HERE / "guide.mjs", "--base-url", sandbox.base_url, "--api-key", sandbox.api_key,
                           "--integration", sandbox.integration, "--database", db.connection.info.dsn],
                          cwd=needed("KOMBO_GUIDE")))


def sql(stand):
    """One statement a page: jsonb_to_recordset and ON CONFLICT DO UPDATE, the pages lying in a table already."""
    def write(connection, sandbox, _):
        return upsert_sql(connection, sandbox.integration)

    yield from upserts(stand, "sql", "a `jsonb_to_recordset` upsert, a statement a page", stand.sizes.sql, write,
                       at_least(1.5), at_least(3))


def row(stand):
    """One statement a row, the pages lying in memory already."""
    def write(connection, sandbox, pages):
        return upsert_rows(connection, sandbox.integration, pages)

    yield from upserts(stand, "row", "an upsert, a statement a row", stand.sizes.row, write)


def upserts(stand, scenario, name, employees, write, goal_first=None, goal_again=None):
    sandbox = stand.sandbox(employees)
    pages = staged.fetch_pages(sandbox.base_url, sandbox.api_key, sandbox.integration)
    ours, theirs = ([], []), ([], [])
    with stand.database(sandbox) as db:
        for _ in range(stand.sizes.rounds):
            took = [stand.sync(db)[0], stand.sync(db)[0]]
            transfer = stand.ask(sandbox, whole_list(sandbox))["seconds"]
            empty(db, data_tables(db))
            with db.connect() as connection:
                stage_pages(connection, pages)
                its = [write(connection, sandbox, pages), write(connection, sandbox, pages)]
            empty(db, data_tables(db))
            for number in (0, 1):
                ours[number].append(max(took[number] - transfer, 0.001))
                theirs[number].append(its[number])
    for number, what, goal in ((0, "First full sync", goal_first), (1, "Full sync with nothing changed", goal_again)):
        yield Row(scenario, f"{what} less the transfer, compared with {name}", f"{employees:,} employees",
                  ratios(theirs[number], ours[number]), goal, ours=ours[number], theirs=theirs[number])


def micro(stand):
    """Reading and decoding pages, beside simdjson that merely walks through them."""
    sandbox = stand.sandbox(stand.sizes.micro)
    pages, catalogue = stand.folder / "pages.txt", stand.folder / "catalogue.tsv"
    staged.write_pages(staged.fetch_pages(sandbox.base_url, sandbox.api_key, sandbox.integration), pages)
    with stand.database(sandbox, EMPLOYEES) as db:
        catalogue.write_text(stand.cluster.program("psql", "-XAtq", "-d", db.name, "-v", "category=HRIS", "-f",
                                                   HERE / "sql" / "catalogue.sql"), encoding="utf-8")
    # Many short ones in turn: whatever else the machine does for a moment hits a pair of them, and not the median.
    told = json.loads(run([stand.micro, f"--pages={pages}", f"--catalogue={catalogue}", "--benchmark_format=json",
                           f"--benchmark_repetitions={stand.sizes.rounds * 7}", "--benchmark_min_time=0.1",
                           "--benchmark_filter=^(walk|unfold)$",
                           "--benchmark_enable_random_interleaving=true"]))
    times = {name: [one["cpu_time"] / 1e6 for one in told["benchmarks"]
                    if one["run_name"] == name and one["run_type"] == "iteration"] for name in ("walk", "unfold")}
    yield Row("micro", "Pages to decoded rows, compared with simdjson that walks through them",
              f"{told['context']['pages']} pages", ratios(times["unfold"], times["walk"]), at_most(3.5),
              ours=times["unfold"], theirs=times["walk"])
