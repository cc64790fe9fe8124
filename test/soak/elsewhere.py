"""Steps: the database goes on elsewhere."""

from cluster import Database, Standby
from feed import Feed
from steps import step
from syncing import wait_until
from worker import serve
from world import SETTINGS


@step(0.15)
def restore(world):
    """A dump is restored into another database, which goes on; the one that was dumped is dropped."""
    world.end_opened()
    dump = world.cluster.folder / "soak.dump"
    world.cluster.program("pg_dump", "-Fc", "-f", dump, world.db.name)
    copy = Database(world.cluster, world.cluster.new_database())
    world.names.append(copy.name)
    world.cluster.program("pg_restore", "-d", copy.name, dump)
    dumped = world.db
    world.move(copy)
    world.feed = Feed(copy)  # a dump has no consumers
    serve(copy, **SETTINGS)
    dumped.drop()
    copy.execute("SELECT kombo.resume(NULL)")
    for integration in world.integrations.values():
        integration.paused = False


@step(0.15)
def fail_over(world):
    """A standby is promoted, and its primary lost with what it had not sent but for what the steps themselves did."""
    world.end_opened()
    standby = Standby(world.cluster)
    done = world.db.value("SELECT pg_current_wal_lsn()::text")
    with standby.connect() as there:
        wait_until(lambda: there.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn AS has", [done])
                   .fetchone()["has"], 60, "replication", standby.log_tail)
    world.db.connection.close()
    world.cluster.stop("immediate")
    if world.cluster is not world.given:
        world.cluster.close()
    standby.promote()
    world.log_start = 0
    world.move(Database(standby, world.db.name))
