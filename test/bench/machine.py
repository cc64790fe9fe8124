"""What the run was made on."""

import os
import pathlib
import re
import shutil
import subprocess


def facts(stand):
    """Pairs of name and value."""
    with stand.cluster.connect() as connection:
        server = connection.execute("SHOW server_version").fetchone()["server_version"]
    versions = {
        "PostgreSQL": server,
        "libcurl": found(r"libcurl/(\S+)", "curl", "--version"),
        "simdjson": found(r"(\S+)", "dpkg-query", "-W", "-f", "${Version}", "libsimdjson-dev"),
        "g++": found(r"(\S+)$", "g++", "--version"),
        "node": found(r"v?(\S+)", "node", "--version"),
        "Linux": os.uname().release,
    }
    return [("machine", f"{os.cpu_count()} cores, {cpu()}, {memory_gigabytes():.0f} GB of memory"),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]


def found(pattern, *command):
    """What the pattern finds in the first line that a program prints."""
    if not shutil.which(command[0]):
        return "not there"
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    seen = re.search(pattern, (done.stdout.splitlines() or [""])[0])
    return seen[1] if seen else "unknown"


def cpu():
    told = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    seen = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    return seen[1] if seen else os.uname().machine


def memory_gigabytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
