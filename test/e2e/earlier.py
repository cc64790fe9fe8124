"""Earlier versions of the extension, as their releases made them (test/upgrade)."""

import gzip
import os
import pathlib

SCRIPTS = pathlib.Path(__file__).parents[1] / "upgrade"


def offer(cluster, version):
    """From now on that version can be installed. Other sessions of the tests may do the same at this moment."""
    name = f"kombo_sync--{version}.sql"
    folder = pathlib.Path(cluster.program("pg_config", "--sharedir").strip()) / "extension"
    whole = folder / f".{name}.{os.getpid()}"
    whole.write_bytes(gzip.decompress((SCRIPTS / f"{name}.gz").read_bytes()))
    whole.replace(folder / name)
