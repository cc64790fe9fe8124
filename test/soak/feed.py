"""A consumer of kombo.changes: its copy of the tables, made by what it reads there, must be what they are."""

from syncing import wait_until

CONSUMER = "soak"
SECONDS = 30

KEYS = """
    SELECT d.table_name, coalesce(array_agg(f.column_name ORDER BY f.position) FILTER (WHERE f.key), '{id}') AS keys
    FROM kombo.data_tables d LEFT JOIN kombo.fields f USING (table_name) GROUP BY 1"""


class Feed:
    def __init__(self, db):
        self.db = db
        self.copy = {}  # of each table: a row's text, by the row's integration and id
        self.changed_definition = set()  # tables whose rows changed without a change of rows
        self.keys = {row["table_name"]: row["keys"] for row in db.execute(KEYS)}
        for table in self.keys:
            db.execute("SELECT kombo.track_changes(%s)", [table])
            self.copy[table] = self.rows(table)

    def rows(self, table):
        key = " || '/' || ".join(self.keys[table])
        return {(row["integration_id"], row["key"]): row["text"] for row in self.db.execute(
            f"SELECT integration_id, {key} AS key, (to_jsonb(t) - 'synced_at')::text AS text FROM kombo.{table} t")}

    def read(self, limit, acknowledges=True):
        """Reads so many changes, and the rows that they name; whether there were any."""
        changes = self.db.execute("SELECT * FROM kombo.read_changes(%s, %s)", [CONSUMER, limit])
        for table in {change["table_name"] for change in changes}:
            now = self.rows(table)
            for change in changes:
                if change["table_name"] != table:
                    continue
                if change["operation"] == "truncate":
                    self.copy[table] = {}
                key = change["integration_id"], change["id"]
                self.copy[table].pop(key, None)
                if key in now:
                    self.copy[table][key] = now[key]
        if changes and acknowledges:
            self.db.execute("SELECT kombo.acknowledge(%s, %s)", [CONSUMER, changes[-1]["position"]])
        return bool(changes)

    def differences(self):
        """Lines of a table and a key each."""
        found = []
        for table in self.keys.keys() - self.changed_definition:
            copy, now = self.copy[table], self.rows(table)
            found += [f"{table} {key}: the consumer has {copy.get(key)}, the table has {now.get(key)}"
                      for key in copy.keys() | now.keys() if copy.get(key) != now.get(key)]
        return found

    def check(self):
        def same():
            while self.read(10_000):
                pass
            return not self.differences()
        wait_until(same, SECONDS, "the consumer's copy", lambda: "\n".join(self.differences()[:10]))
        for table in self.changed_definition:
            self.copy[table] = self.rows(table)
        self.changed_definition.clear()
