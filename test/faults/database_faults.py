"""The database: what an administrator, a user or a full disk does to it."""

import dataclasses

TABLE = "kombo.hris_employees"


@dataclasses.dataclass
class DatabaseCell:
    """Statements that break something, and mend it; `settings` of the server, and `held`, statements of a transaction
    that stays open, last as long. A call is `ok`, or `failed` with an SQLSTATE and what it says; so does the worker."""
    what: str
    breaking: tuple = ()
    mending: tuple = ()
    state: str = ""
    says: str = ""
    settings: dict = dataclasses.field(default_factory=dict)
    held: tuple = ()
    parked: int = 0

    @property
    def status(self):
        return "failed" if self.state else "ok"


RAISE = ("CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
         "$$ BEGIN RAISE EXCEPTION 'no DDL here'; END $$")
MISSING = 'column "ssn" .*does not exist'

DATABASE = [
    DatabaseCell("work_mem of 64 kB", settings={"work_mem": "64kB", "maintenance_work_mem": "1MB"}),
    DatabaseCell("temp_file_limit of 0", settings={"temp_file_limit": "0"}),
    DatabaseCell("a transaction that keeps its snapshot",
                 held=("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", f"SELECT count(*) FROM {TABLE}")),
    DatabaseCell("an event trigger that raises", (
        RAISE, "CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION public.refuse()"),
                 ("DROP EVENT TRIGGER refuse", "DROP FUNCTION public.refuse()")),
    DatabaseCell("a column is dropped", (f"ALTER TABLE {TABLE} DROP COLUMN ssn",),
                 (f"ALTER TABLE {TABLE} ADD COLUMN ssn text",), "42703", MISSING),
    DatabaseCell("a column is renamed", (f"ALTER TABLE {TABLE} RENAME COLUMN ssn TO other",),
                 (f"ALTER TABLE {TABLE} RENAME COLUMN other TO ssn",), "42703", MISSING),
    DatabaseCell("a column is given a wider type", (f"ALTER TABLE {TABLE} ALTER ssn TYPE varchar(200)",),
                 (f"ALTER TABLE {TABLE} ALTER ssn TYPE text",)),
    DatabaseCell("a column is given a type that holds none of its values",
                 (f"ALTER TABLE {TABLE} ALTER job_title TYPE integer USING NULL",),
                 (f"ALTER TABLE {TABLE} ALTER job_title TYPE text",), parked=12),
    DatabaseCell("the table is renamed", (f"ALTER TABLE {TABLE} RENAME TO other",),
                 ("ALTER TABLE kombo.other RENAME TO hris_employees",), "42P01", "does not exist"),
    DatabaseCell("the primary key is dropped", (
        f"ALTER TABLE {TABLE} DROP CONSTRAINT hris_employees_pkey",),
                 (f"ALTER TABLE {TABLE} ADD CONSTRAINT hris_employees_pkey PRIMARY KEY (integration_id, id)",),
                 "42P10", "has no primary key"),
    DatabaseCell("row security is forced", (
        f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY"),
                 (f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY",
                  f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY"),
                 "42501", "row-level security"),
    DatabaseCell("the table is partitioned, with a partition for all", (
        f"ALTER TABLE {TABLE} RENAME TO whole",
        f"CREATE TABLE {TABLE} (LIKE kombo.whole INCLUDING DEFAULTS, PRIMARY KEY (integration_id, id)) "
        "PARTITION BY HASH (integration_id)",
        f"ALTER TABLE {TABLE} OWNER TO kombo_owner",
        f"CREATE TABLE kombo.part PARTITION OF {TABLE} FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "ALTER TABLE kombo.part OWNER TO kombo_owner",
        f"INSERT INTO {TABLE} SELECT * FROM kombo.whole"),
                 (f"DROP TABLE {TABLE}", "ALTER TABLE kombo.whole RENAME TO hris_employees")),
]
