"""Fixtures of the end-to-end tests: a private cluster, a sandbox Kombo server and a database per test.

KOMBO_PGBIN    bin folder of the (relocated) PostgreSQL that the extension is installed in
KOMBO_SANDBOX  the kombo-sandbox program
KOMBO_BENCH    folder with the programs of the benchmarks
KOMBO_SDK      folder with @kombo-api/sdk in node_modules (optional)
KOMBO_GUIDE    folder that stage_guide of test/stage.sh has filled, for test/bench/guide.mjs
KOMBO_CITUS_PGBIN  bin folder of a PostgreSQL with Citus and the extension (optional)
KOMBO_ON_CITUS     1: all tests run on a Citus cluster of that one, not on KOMBO_PGBIN
KOMBO_LOG      folder that keeps the servers' logs (optional)
`./check e2e` sets them; for a quick round with an existing build see test/e2e/run."""

import signal

import pytest
from psycopg.rows import tuple_row

from categories import connect
from citus import ON_CITUS, CitusCluster, citus_bindir, is_refusal
from cluster import TEMPLATE, Cluster, Database, needed
from fake_kombo import FakeKombo
from live_tables import import_lists
from sandbox import Sandbox
from worker import WORKER_SETTINGS, new_served, wait_synced


MEASURED = []


def pytest_configure(config):
    config.addinivalue_line("markers", "sandbox(**options): options of the test's default sandbox, as employees=300")
    config.addinivalue_line("markers", "time_limit(seconds): how long the test may take, 120 unless marked")
    config.addinivalue_line("markers", "soak: a part of ./check soak, with a long round by KOMBO_SOAK=1")
    config.addinivalue_line("markers", "late: runs after all others, as what it waits for happens meanwhile")
    config.pluginmanager.register(OneTaskAProcess(config))


class OneTaskAProcess:
    """Has xdist (pytest -n) give each of its processes no task before the tests. With -v it asks them for their version
    first, and when that question is not quite answered (execnet 1.9), the tests do not get the main thread: there no
    signal handler can be set, so every test of that process fails in time_limit."""

    def __init__(self, config):
        self.option = config.option

    @pytest.hookimpl(optionalhook=True, hookwrapper=True)
    def pytest_xdist_newgateway(self):
        verbose, self.option.verbose = self.option.verbose, 0
        yield
        self.option.verbose = verbose


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and is_refusal(call.excinfo.value):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Citus: {call.excinfo.value}")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("late") is not None)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of several processes (pytest -n)
        session.config.workeroutput["measured"] = MEASURED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    MEASURED.extend(getattr(node, "workeroutput", {}).get("measured", []))


def pytest_terminal_summary(terminalreporter):
    for text in MEASURED:
        terminalreporter.write_line(f"measured: {text}")


@pytest.fixture(scope="session")
def measured():
    """measured("100,000 employees: 31 MB"): a line that is shown at the end of the run, and by ./check."""
    return MEASURED.append


@pytest.fixture(autouse=True)
def time_limit(request):
    """A test that hangs fails, and says where."""
    marker = request.node.get_closest_marker("time_limit")
    seconds = marker.args[0] if marker else 120

    def too_long(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def start_cluster(settings="", clock=None):
    if ON_CITUS:
        return CitusCluster(citus_bindir(), settings)
    return Cluster(needed("KOMBO_PGBIN"), settings, clock)


@pytest.fixture(scope="session")
def cluster():
    """The session's cluster (class Cluster)."""
    started = start_cluster()
    yield started
    started.close()


@pytest.fixture(scope="session")
def citus_cluster():
    """A coordinator and two nodes of Citus (class CitusCluster)."""
    started = CitusCluster(citus_bindir())
    yield started
    started.close()


@pytest.fixture(scope="session")
def worker_cluster():
    """A second cluster of the session's (class Cluster) that preloads kombo_sync. Its launcher serves no database until
    a test has it do so, and its poll_interval is long: what takes less than WOKEN was woken."""
    started = start_cluster(WORKER_SETTINGS)
    yield started
    started.close()


@pytest.fixture
def new_cluster():
    """A factory for clusters of a test's own, for those that kill or configure: new_cluster("work_mem = 1MB\\n")."""
    made = []

    def start(*arguments):
        made.append(start_cluster(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def start_sandbox():
    """A factory: start_sandbox(employees=300, seed=2, …) -> Sandbox. All end with the test."""
    started = []

    def start(**options):
        options.setdefault("employees", 60)
        started.append(Sandbox(needed("KOMBO_SANDBOX"), **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def fake_kombo():
    """A factory: fake_kombo(lambda path, query: …) -> FakeKombo. All end with the test."""
    started = []

    def start(*arguments, **options):
        started.append(FakeKombo(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def sandbox(request, start_sandbox):
    """The test's default sandbox, which `db` is connected to: 60 employees unless marked otherwise."""
    marker = request.node.get_closest_marker("sandbox")
    return start_sandbox(**(marker.kwargs if marker else {}))


@pytest.fixture
def db(cluster, sandbox):
    """A new database (class Database): extension, HRIS tables of role kombo_owner, server kombo_eu -> sandbox with
    a user mapping. No integration is added yet: db.add_integration(sandbox.integration)."""
    cluster.prepare_template()
    made = Database(cluster, cluster.new_database(TEMPLATE))
    made.create_server(sandbox)
    yield made
    made.drop()


@pytest.fixture
def hris(db, sandbox):
    """`db` with the sandbox's integration added."""
    db.add_integration(sandbox.integration)
    return db


@pytest.fixture
def ats(db, sandbox):
    """As `hris`, for recruiting."""
    connect(db, sandbox, "ATS")
    return db


@pytest.fixture
def served(worker_cluster, sandbox):
    """A new database like `db`, in worker_cluster, its user mapping with a webhook secret, and a worker in it. No
    integration is added yet."""
    made = new_served(worker_cluster, sandbox)
    yield made
    worker_cluster.reset_settings()
    made.drop()


@pytest.fixture(scope="session")
def mortal_cluster():
    """A third one, like worker_cluster, whose processes may be killed."""
    started = start_cluster(WORKER_SETTINGS)
    yield started
    started.close()


@pytest.fixture
def own(mortal_cluster, sandbox):
    """`served` in mortal_cluster, for tests that kill and restart."""
    mortal_cluster.ensure_running()
    made = new_served(mortal_cluster, sandbox)
    yield made
    mortal_cluster.ensure_running()
    mortal_cluster.reset_settings()
    made.drop()


@pytest.fixture
def live(served, sandbox):
    """`served` with the sandbox's integration, of which the worker has fetched everything once."""
    served.add_integration(sandbox.integration)
    wait_synced(served)
    sandbox.clear_requests()
    return served


@pytest.fixture
def few(served, sandbox):
    """`live` with two endpoints only: /hris/employees and /hris/groups."""
    served.add_integration(sandbox.integration, only=["/hris/employees", "/hris/groups"])
    wait_synced(served)
    sandbox.clear_requests()
    return served


@pytest.fixture
def hris_db(cluster):
    """A plain connection (rows are tuples) to a new database with the extension and the HRIS tables; no server."""
    cluster.prepare_template()
    made = Database(cluster, cluster.new_database(TEMPLATE))
    with made.connect(row_factory=tuple_row) as connection:
        yield connection
    made.drop()


@pytest.fixture
def empty_db(cluster):
    """A new database without the extension (class Database)."""
    made = Database(cluster, cluster.new_database())
    yield made
    made.drop()


@pytest.fixture
def small(hris, sandbox):
    """`hris` with two endpoints only."""
    hris.subscribe_only(sandbox.integration, "/hris/employees", "/hris/groups")
    return hris


@pytest.fixture
def imported(db, sandbox):
    """`db` with schema live, whose tables are those of the sandbox's integration."""
    import_lists(db, integration_id=sandbox.integration)
    sandbox.clear_requests()
    return db
