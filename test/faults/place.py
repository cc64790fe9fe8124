"""A place where cells are tried: an integration at the sandbox, a man in the middle, a server of the database that
points at it."""

import contextlib

from middle import Middle
from syncing import compare_models

EMPLOYEES = "/hris/employees"
TABLE = "hris_employees"
PAGES, PAGE_SIZE = 3, 4
RECORDS = PAGES * PAGE_SIZE


class Place:
    def __init__(self, db, sandbox, number, certificates, http2):
        self.db, self.sandbox, self.number = db, sandbox, number
        self.certificates, self.http2 = certificates, http2
        self.integration = f"personio:fault{number}"
        self.server = f"kombo_fault{number}"
        sandbox.add_integration(self.integration, employees=RECORDS, seed=number)
        self.middle = Middle(sandbox, self.integration, certificates)
        self.given = {"base_url": self.middle.base_url, "allow_http": "on", "page_size": str(PAGE_SIZE)}
        listed = ", ".join(f"{name} '{value}'" for name, value in self.given.items())
        db.execute(f"CREATE SERVER {self.server} FOREIGN DATA WRAPPER kombo_sync OPTIONS ({listed})")
        db.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {self.server} OPTIONS (api_key '{sandbox.api_key}')")
        db.add_integration(self.integration, self.server, "HRIS", only=[EMPLOYEES])
        self.ids = [record["id"] for record in sandbox.dump(TABLE, self.integration)]
        self.marks = 0

    # --- the cell -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def options(self, cell):
        """The options of the server that the cell wants, for as long as it lasts."""
        wanted = dict(cell.options)
        if cell.tls:
            self.middle.tls = self.certificates.good
            wanted = {"base_url": self.middle.base_url, "ca_file": self.certificates.authority, **wanted}
        wanted = {name: value(self) if callable(value) else value for name, value in wanted.items()}
        self.alter({name: ("SET" if name in self.given else "ADD", value) for name, value in wanted.items()})
        try:
            yield
        finally:
            self.middle.disarm()
            if cell.tls:
                self.middle.tls = None
                self.middle.drop_connections()
            self.alter({name: ("SET", self.given[name]) if name in self.given else ("DROP", None) for name in wanted})

    def alter(self, options):
        listed = ", ".join(f"{how} {name}" + (f" '{value}'" if value is not None else "")
                           for name, (how, value) in options.items())
        if listed:
            self.db.execute(f"ALTER SERVER {self.server} OPTIONS ({listed})")

    # --- records --------------------------------------------------------------------------------------------------

    def change(self):
        """Changes every record; the text by which marked() knows."""
        self.marks += 1
        mark = f"mark {self.marks}"
        self.sandbox.admin("POST", "records", [
            {"integration": self.integration, "model": TABLE, "op": "change", "id": key, "set": {"job_title": mark}}
            for key in self.ids])
        return mark

    def of_pages(self, *pages):
        return {key for page in pages for key in self.ids[(page - 1) * PAGE_SIZE:page * PAGE_SIZE]}

    def marked(self, mark):
        """Those whose row has it."""
        return {row["id"] for row in self.db.execute(
            f"SELECT id FROM kombo.{TABLE} WHERE integration_id = %s AND job_title = %s", [self.integration, mark])}

    def watermark(self):
        return self.db.value("SELECT watermark FROM kombo.sync_state WHERE integration_id = %s AND endpoint = %s",
                             [self.integration, EMPLOYEES])

    def assert_equal(self):
        """Every row equals the sandbox's record."""
        assert self.middle.strays == [], self.middle.strays
        found = compare_models(self.db, TABLE, self.integration, self.sandbox.dump(TABLE, self.integration))
        assert not found, f"{len(found)} differences: {found[:5]}"

    def close(self):
        self.middle.close()
