"""A clock for servers that tests put forward and back."""

import pathlib
import struct
import subprocess
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent / "our_clock.c"


class OurClock:
    """What the servers that are started with `environment` take for the time."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="clock.")
        library, self.file = (pathlib.Path(self.folder.name) / name for name in ("our_clock.so", "seconds"))
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
        self.file.touch()
        self.jump(0)
        self.environment = {"LD_PRELOAD": str(library), "OUR_CLOCK": str(self.file)}

    def jump(self, seconds):
        """So far from the true time, from now on."""
        with open(self.file, "r+b") as file:  # it is mapped, and hence stays the same file
            file.write(struct.pack("=q", seconds))
