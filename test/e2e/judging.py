"""What tests of the inbox do: hand it a webhook, take its verdict, look at what it asked for. They pause the
integration, so that what is asked for stays to be looked at."""

import itertools
import json

from worker import sign, wait_judged

ONE = "personio:one"

numbers = itertools.count(1)


def add_paused(db, integration, server="kombo_eu"):
    with db.connection.transaction():
        db.add_integration(integration, server, "HRIS")
        db.execute("SELECT kombo.pause(%s)", [integration])


def webhook(type, data, id=None):
    return json.dumps({"id": id or f"w{next(numbers)}", "type": type, "data": data})


def judge(db, body, signature=None):
    """Inserts one webhook, rightly signed unless a signature ("" or other) is given; its row when it is judged."""
    return judge_all(db, [(body, sign(body) if signature is None else signature)])[0]


def judge_all(db, webhooks):
    """The same of several, in one transaction: one batch."""
    inserted = db.execute("""
        WITH inserted AS (INSERT INTO kombo.webhook_inbox (body, signature)
                          SELECT w.body, nullif(w.signature, 'NULL')
                          FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS w (body, signature, n) ORDER BY n
                          RETURNING id)
        SELECT array_agg(id ORDER BY id) AS ids FROM inserted""", [[b for b, _ in webhooks], [s for _, s in webhooks]])
    wait_judged(db)
    return db.execute("SELECT * FROM kombo.webhook_inbox WHERE id = ANY (%s) ORDER BY id", [inserted[0]["ids"]])


def asked_for(db, integration=ONE):
    """What webhooks asked for, as {"/hris/employees delta", "integration"}; takes it away."""
    taken = db.execute("DELETE FROM kombo.sync_requests WHERE integration_id = %s AND trigger = 'webhook' RETURNING *",
                       [integration])
    said = [f"{row['endpoint'] or ''} {row['kind']}".strip() for row in taken]
    assert len(said) == len(set(said)), f"asked for twice: {sorted(said)}"
    return set(said)
