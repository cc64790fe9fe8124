"""A Citus cluster on this machine: a coordinator and two nodes, all of the PostgreSQL whose bin folder
KOMBO_CITUS_PGBIN names. It has Citus and this extension."""

import os
import re

import psycopg
import pytest

from cluster import PORT, TEMPLATE, Cluster

SETTINGS = """
shared_preload_libraries = 'citus, kombo_sync'
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_prepared_transactions = 50
max_worker_processes = 40
citus.node_conninfo = 'sslmode=disable'
citus.shard_count = 8
citus.enable_statistics_collection = off
kombo_sync.poll_interval = '12s'
"""


# The whole suite on Citus.
ON_CITUS = os.environ.get("KOMBO_ON_CITUS") == "1"


# What Citus refuses whoever owns a distributed table. docs/citus.md has it.
REFUSALS = re.compile("triggers are not supported on distributed tables|"
                      "must be a distributed table or a reference table|"
                      "unique indexes on non-partition columns|alter table command is currently unsupported|"
                      "modified in this transaction by a different user|"
                      "cannot grant on distributed server with other servers")


def is_refusal(error):
    """Whether a test has met what is told of Citus, and not what it is about."""
    return ON_CITUS and isinstance(error, psycopg.Error) and REFUSALS.search(str(error)) is not None


def citus_bindir():
    """Skips the test where there is no PostgreSQL with Citus."""
    found = os.environ.get("KOMBO_CITUS_PGBIN")
    if not found:
        pytest.skip("no PostgreSQL with Citus here: KOMBO_CITUS_PGBIN is not set")
    return found


def name_itself(server):
    """By this name a server connects to itself when a shard moves."""
    with open(server.data / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"citus.local_hostname = '{server.folder}'\n")
    server.reload()


class CitusCluster(Cluster):
    """The coordinator. A database that is made from the template is made on the nodes as well: their catalogs name the
    same tables and shards."""

    def __init__(self, bindir, settings=""):
        self.nodes = [Cluster(bindir, SETTINGS), Cluster(bindir, SETTINGS)]
        super().__init__(bindir, settings + SETTINGS)
        for server in self.everywhere():
            name_itself(server)

    def everywhere(self):
        return [*self.nodes, self]

    def prepare_template(self):
        if self.has_template:
            return
        for server in self.everywhere():
            server.run(f"CREATE DATABASE {TEMPLATE}")
            server.run("CREATE EXTENSION citus", TEMPLATE)
        with self.connect(TEMPLATE) as connection:
            connection.execute("SELECT citus_set_coordinator_host(%s, %s)", [str(self.folder), PORT])
            for node in self.nodes:
                connection.execute("SELECT citus_add_node(%s, %s)", [str(node.folder), PORT])
            connection.execute("CREATE ROLE kombo_owner LOGIN")
            connection.execute("CREATE EXTENSION kombo_sync")
            connection.execute("SELECT kombo.create_tables('HRIS', owner => 'kombo_owner')")
            connection.execute("SELECT kombo.distribute_tables()")
        for server in self.everywhere():
            # Citus keeps a daemon in each database that it is in.
            server.run(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")
        self.has_template = True

    def new_database(self, template="template0"):
        name = super().new_name()
        for server in self.everywhere() if template == TEMPLATE else [self]:
            with server.connect() as connection:
                connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                                   [template])
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        return name

    def drop_database(self, name):
        super().drop_database(name)
        for node in self.nodes:
            node.drop_database(name)

    def close(self):
        super().close()
        for node in self.nodes:
            node.close()
