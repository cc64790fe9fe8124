"""From webhook to row."""

import random
import statistics
import time

from rows import Row, at_most
from network import first_pages
from worker import data_changed, insert_webhooks, serve, until, wait_synced

EMPLOYED = 1_000
PAUSE = (0.01, 0.05)

# By the server's own record of when each transaction was committed (track_commit_timestamp): nothing waits or polls in
# what is measured.
BETWEEN_COMMITS = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(e.xmin) - pg_xact_commit_timestamp(s.xmin))::float * 1000 AS ms
    FROM kombo.hris_employees e, public.sent s
    WHERE e.id = %(person)s AND e.job_title = %(title)s AND s.title = %(title)s"""


def webhook(stand):
    """From the commit of a webhook to that of its row, less the HTTP request"""
    sandbox = stand.sandbox(EMPLOYED)
    pause = random.Random(1)
    took = []
    with stand.database(sandbox) as db:
        serve(db)
        wait_synced(db)
        db.execute("CREATE TABLE public.sent (title text PRIMARY KEY)")
        person = db.value("SELECT id FROM kombo.hris_employees ORDER BY id LIMIT 1")
        for number in range(stand.sizes.webhooks):
            title = f"Change {number}"
            sandbox.clear_requests()
            sandbox.record("change", "hris_employees", person, {"job_title": title})
            with db.connection.transaction():
                db.execute("INSERT INTO public.sent VALUES (%s)", [title])
                insert_webhooks(db, [data_changed(sandbox.integration, "hris_employees")])
            time.sleep(pause.uniform(*PAUSE))
            took.append(until(db, lambda: db.value(BETWEEN_COMMITS, {"person": person, "title": title})))
        # The same request on a connection that is kept, as the worker's is.
        asked = stand.ask(sandbox, first_pages(sandbox) * len(took))
    http = asked["seconds"] / asked["requests"] * 1000
    size = f"{len(took)} webhooks one after the other, {EMPLOYED:,} employees; the HTTP request, which is taken off, " \
           f"takes {http:.2f} ms"
    yield Row("webhook", "Webhook to row, median", size, [statistics.median(took) - http], at_most(5), "ms")
    yield Row("webhook", "Webhook to row, 99th percentile", size, [statistics.quantiles(took, n=100)[98] - http],
              at_most(15), "ms")
