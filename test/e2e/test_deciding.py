"""What docs/why.md, docs/cost.md and docs/versions.md say to somebody who has to decide."""

import psycopg
import pytest

from documents import page


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
