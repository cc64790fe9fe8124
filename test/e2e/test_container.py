"""The container image's files. ./package image builds the image and uses it; here the entry point runs without one."""

import os
import pathlib
import re
import signal
import subprocess

import psycopg
import pytest

from cluster import needed
from commands import ROOT, folder  # noqa: F401
from syncing import wait_until

SECRET = "a-secret-of-the-superuser"


class Container:
    """The entry point with a data folder of its own. Its server listens on a socket there, if asked to on TCP too."""

    def __init__(self, folder):  # noqa: F811
        self.folder = folder
        self.data = folder / "pgdata"
        self.log = folder / "log"
        self.process = None

    def start(self, *options, **variables):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "POSTGRES"))}
        environment.update(PATH=f"{needed('KOMBO_PGBIN')}:{os.environ['PATH']}", PGDATA=str(self.data),
                           POSTGRES_DB="hr", LC_ALL="C.UTF-8", **variables)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [ROOT / "container/entrypoint.sh", "-c", f"unix_socket_directories={self.folder}",
                 "-c", "listen_addresses=", "-c", "fsync=off", *options],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        return self

    def connect(self, **options):
        return psycopg.connect(host=str(self.folder), dbname="hr", user="postgres", autocommit=True, **options)

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            try:
                self.connect().close()
                return True
            except psycopg.OperationalError:
                return False
        wait_until(ready, 60, "the server of the entry point")

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@pytest.fixture
def container(folder):  # noqa: F811
    made = Container(folder)
    yield made
    if made.process:
        try:
            os.killpg(made.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        made.process.wait()


@pytest.mark.parametrize("variables, said", [
    ({}, "set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE to a file"),
    ({"POSTGRES_PASSWORD": SECRET, "POSTGRES_PASSWORD_FILE": "/dev/null"}, "exclude each other"),
    ({"POSTGRES_PASSWORD_FILE": "/dev/null"}, "needs a password"),
    ({"POSTGRES_PASSWORD": SECRET, "POSTGRES_DB": "h'r"}, "POSTGRES_DB may have letters, digits, _ and - only")])
def test_a_first_start_that_lacks_a_setting_is_refused(container, variables, said):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("POSTGRES")}
    done = subprocess.run([ROOT / "container/entrypoint.sh"], capture_output=True, text=True, check=False,
                          env={**environment, "PGDATA": str(container.data), "POSTGRES_DB": "hr", **variables})
    assert done.returncode == 1 and said in done.stderr and SECRET not in done.stderr
    assert not container.data.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_restart_of_the_entry_point_keeps_the_data_and_needs_no_password(container, number):
    container.start(POSTGRES_PASSWORD=SECRET).wait_ready()
    with container.connect() as db:
        assert db.execute("SHOW shared_preload_libraries").fetchone() == ("pg_cron, kombo_sync",)
        assert db.execute("SHOW kombo_sync.databases").fetchone() == ('"hr"',)
        db.execute("CREATE EXTENSION kombo_sync")
        db.execute("CREATE EXTENSION pg_cron")
    assert (container.data / "postmaster.pid").read_text(encoding="utf-8").split()[0] == str(container.process.pid)
    assert b"POSTGRES_PASSWORD" not in pathlib.Path(f"/proc/{container.process.pid}/environ").read_bytes()
    assert container.end(number) == 0
    container.start().wait_ready()
    with container.connect() as db:
        assert db.execute("SELECT count(*) FROM pg_extension WHERE extname = 'kombo_sync'").fetchone() == (1,)
    assert SECRET not in container.log.read_text(encoding="utf-8")


def test_only_a_password_opens_the_server_of_the_entry_point_to_the_network(container):
    container.start(POSTGRES_PASSWORD=SECRET).wait_ready()
    rules = [line.split() for line in (container.data / "pg_hba.conf").read_text(encoding="utf-8").splitlines()
             if line and not line.startswith("#")]
    assert {rule[-1] for rule in rules if rule[0] == "local"} == {"peer"}
    assert {rule[-1] for rule in rules if rule[0] != "local"} == {"scram-sha-256"}
    assert ["host", "all", "all", "all", "scram-sha-256"] in rules
    with container.connect() as db:
        (stored,) = db.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'").fetchone()
    assert stored.startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_first_start_that_was_interrupted_begins_anew(container, number):
    new = container.folder / "pgdata.new"
    container.start(POSTGRES_PASSWORD=SECRET)
    wait_until((new / "PG_VERSION").exists, 60, "the beginning of the data folder")
    os.killpg(container.process.pid, signal.SIGKILL) if number == signal.SIGKILL else container.end(number)
    container.process.wait(timeout=30)
    assert container.process.returncode in (143, -signal.SIGKILL) and not container.data.exists()
    (new / "left").touch()
    container.start(POSTGRES_PASSWORD=SECRET).wait_ready()
    assert not new.exists() and not (container.data / "left").exists()


def test_the_compose_file_names_files_that_are_there_and_the_secrets_that_its_script_makes(folder):  # noqa: F811
    yaml = pytest.importorskip("yaml")
    place = ROOT / "container"
    compose = yaml.safe_load((place / "compose.yaml").read_text(encoding="utf-8"))
    for service in compose["services"].values():
        context = place / service["build"]["context"]
        assert (context / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (place / source).exists(), volume
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert set(service["secrets"]) <= set(compose["secrets"])
        for name, value in service["environment"].items():
            assert not name.endswith("_FILE") or pathlib.Path(value).name in service["secrets"]
    script = (place / "connect.sql").read_text(encoding="utf-8")
    assert set(re.findall(r"/run/secrets/(\w+)", script)) <= set(compose["services"]["database"]["secrets"])

    copy = folder / "secrets.sh"
    copy.write_bytes((place / "secrets.sh").read_bytes())
    stored = []
    for _ in range(2):  # the second time all are there
        subprocess.run(["bash", copy], input="the-key\nthe-secret\n", text=True, check=True, capture_output=True)
        stored.append({path.name: path.read_text(encoding="utf-8").strip() for path in (folder / "secrets").iterdir()})
    values = stored[0]
    assert stored[1] == values and (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert {f"./secrets/{name}" for name in values} == {one["file"] for one in compose["secrets"].values()}
    assert values["kombo_key"] == "the-key" and values["kombo_secret"] == "the-secret"
    passwords = {values["database_password"], values["webhook_password"]}
    assert len(passwords) == 2 and min(map(len, passwords)) >= 32


def test_the_build_of_the_image_reads_nothing_but_what_it_needs():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    named = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored and named and [name for name in named if not (ROOT / name).exists()] == []
    assert not [name for name in named if "container/secrets".startswith(name)]
