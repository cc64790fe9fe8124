"""Beside clients that only ask: is the network what a sync waits for?"""

import os

from rows import Row, at_most, ratios
from stand import EMPLOYEES, data_tables, empty, whole_list
from worker import data_changed, insert_webhooks, serve, until, wait_synced, worker_pid

LATENCY_MS = 50
CONCURRENCY = 8  # kombo_sync.max_concurrency as it is by default


def line(stand):
    """One list by a function call, beside curl that fetches the same pages"""
    employees = stand.sizes.line
    sandbox = stand.sandbox(employees)
    urls = stand.urls(sandbox, whole_list(sandbox))
    ours, curl = [], []
    with stand.database(sandbox) as db:
        for _ in range(min(stand.sizes.rounds, 2)):  # which take as long as three of most others
            stand.sandbox(employees, LATENCY_MS)
            ours.append(stand.sync(db)[0])
            curl.append(stand.curl(sandbox, urls))
            stand.sandbox(employees)
            empty(db, data_tables(db))
    yield Row("line", "First full sync of one list compared with `curl`, page after page",
              f"{employees:,} employees, {len(urls)} pages, {LATENCY_MS} ms each", ratios(ours, curl), at_most(1.05),
              ours=ours, theirs=curl)


def lines(stand):
    """All lists by the worker, beside a client that only asks for the same pages, as many at once"""
    employees = stand.sizes.lines
    sandbox = stand.sandbox(employees)
    first, again, raw = [], [], []
    with stand.database(sandbox) as db:
        serve(db)
        wait_synced(db, timeout=300)
        lists = first_pages(sandbox)
        for _ in range(stand.sizes.rounds):
            empty(db, data_tables(db))
            stand.sandbox(employees, LATENCY_MS)
            first.append(full_by_the_worker(db, sandbox, len(lists)))
            asked = stand.ask(sandbox, lists, CONCURRENCY)
            raw.append(asked["seconds"])
            again.append(full_by_the_worker(db, sandbox, len(lists)))
            stand.sandbox(employees)
    size = f"{employees:,} employees, {len(lists)} lists, {asked['requests']} pages, {LATENCY_MS} ms each"
    yield Row("lines",
              f"First full sync of all lists compared with a client that only asks, {CONCURRENCY} requests at once",
              size, ratios(first, raw), at_most(1.1), ours=first, theirs=raw)
    yield Row("lines", "Full sync of all lists with nothing changed compared with that client", size,
              ratios(again, raw), ours=again, theirs=raw)


def first_pages(sandbox):
    """The lists that were asked for since the last clear_requests(), as `Stand.ask` takes them: their first pages."""
    return [(request["integration"], request["path"].removeprefix("/v1") + "?" + request["query"])
            for request in sandbox.requests() if request["integration"] and "cursor" not in request["params"]]


def full_by_the_worker(db, sandbox, lists):
    """Seconds from the request's commit to the last run's end, by the server's clock."""
    last = db.value("SELECT coalesce(max(id), 0) FROM kombo.sync_runs")
    with db.connection.transaction():
        db.execute("SELECT kombo.request_sync(%s, 'full')", [sandbox.integration])
        began = db.value("SELECT clock_timestamp()")
    runs = until_runs(db, last, lists, 600)
    return (runs["finished"] - began).total_seconds()


def until_runs(db, last, count, timeout):
    """Waits for so many runs after `last`; how many there are, and when the last of them ended."""
    def seen():
        row, = db.execute("""SELECT count(*) AS runs, count(*) FILTER (WHERE status <> 'ok') AS bad,
                                    sum(received) AS received, max(finished_at) AS finished
                             FROM kombo.sync_runs WHERE id > %s""", [last])
        if row["bad"]:
            raise RuntimeError(f"{row['bad']} runs were not ok")
        return row["runs"] >= count and row
    return until(db, seen, timeout, f"{count} runs")


def many(stand):
    """A small delta of very many integrations by the worker, beside a client that only asks the same"""
    count = stand.sizes.integrations
    sandbox = stand.sandbox(10)
    ours, raw, cpu = [], [], []
    with stand.database(sandbox, EMPLOYEES) as db:
        people = {}
        for number in range(count):
            integration = f"hibob:{number}"
            sandbox.add_integration(integration, employees=10, seed=number)
            # The last one manages nobody: whom it manages would come with it.
            people[integration] = sandbox.admin("GET", "records", integration=integration, model="hris_employees",
                                                limit=10)["results"][-1]["id"]
        with db.connection.transaction():
            for integration in people:
                db.add_integration(integration, category="HRIS")
        # As if their first full fetch were done: a thousand of them would take longer than all that is measured.
        db.execute("""INSERT INTO kombo.sync_state (integration_id, endpoint, watermark, last_success_at, last_full_at)
                      SELECT integration_id, path, now(), now(), now()
                      FROM kombo.integrations JOIN kombo.endpoints USING (category)""")
        serve(db)
        for round_number in range(stand.sizes.rounds + 1):
            for integration, person in people.items():
                sandbox.record("change", "hris_employees", person, {"job_title": f"Round {round_number}"}, integration)
            sandbox.clear_requests()
            before = cpu_seconds(worker_pid(db))
            took = deltas_by_the_worker(db, people)
            used = cpu_seconds(worker_pid(db)) - before
            asked = stand.ask(sandbox, first_pages(sandbox), CONCURRENCY)
            if round_number > 0:  # in the first one it asks for the state of each integration, too
                ours.append(count / took)
                raw.append(asked["requests"] / asked["seconds"])
                cpu.append(used / count * 1000)
    yield Row("many", "Requests a second compared with a client that only asks the same",
              f"{count:,} integrations, a delta of one record each", ratios(ours, raw),
              ours=ours, theirs=raw, sides="/s")
    yield Row("many", "CPU of the worker a delta", f"{count:,} integrations, a delta of one record each", cpu,
              at_most(0.8), "ms")


def cpu_seconds(pid):
    """What the process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def deltas_by_the_worker(db, ids):
    """Seconds from the commit of a webhook for each integration to the end of the last one's delta."""
    last = db.value("SELECT coalesce(max(id), 0) FROM kombo.sync_runs")
    insert_webhooks(db, [data_changed(integration, "hris_employees") for integration in ids])
    began = db.value("SELECT clock_timestamp()")
    runs = until_runs(db, last, len(ids), 300)
    if runs["received"] != len(ids):
        raise RuntimeError(f"{len(ids)} deltas received {runs['received']} records")
    return (runs["finished"] - began).total_seconds()
