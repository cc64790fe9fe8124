"""Traps for a superuser, fields that must not be stored, and memory that an attacker could take."""

import psycopg
import pytest

from syncing import assert_ok, one, sync_full
from worker import inbox, private_kilobytes, until, worker_pid

TRAP = """CREATE FUNCTION kombo.concat_ws(text, text, text) RETURNS text LANGUAGE plpgsql AS
          $$ BEGIN ALTER ROLE attacker SUPERUSER; RETURN 'x'; END $$"""


@pytest.fixture
def trapped(new_cluster):
    """A cluster of its own with an ordinary role, attacker, who may create in database `app`."""
    cluster = new_cluster()
    cluster.run("CREATE ROLE attacker LOGIN")
    cluster.run("CREATE DATABASE app")
    cluster.run("GRANT CREATE ON DATABASE app TO attacker")
    return cluster


def as_attacker(cluster, *statements):
    with cluster.connect("app", "attacker") as attacker:
        for statement in statements:
            attacker.execute(statement)


def test_a_schema_that_somebody_has_laid_as_a_trap_is_refused_whoever_owns_it_now(trapped):
    as_attacker(trapped, "CREATE SCHEMA kombo", TRAP)
    with trapped.connect("app") as admin:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
            admin.execute("CREATE EXTENSION kombo_sync")
        assert "role attacker owns it" in refused.value.diag.message_detail
        admin.execute("ALTER SCHEMA kombo OWNER TO postgres")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
            admin.execute("CREATE EXTENSION kombo_sync")
        assert "attacker owns function kombo.concat_ws" in refused.value.diag.message_detail


def test_a_schema_in_which_an_ordinary_role_may_create_is_refused(trapped):
    with trapped.connect("app") as admin:
        admin.execute("CREATE SCHEMA kombo")
        for grantee, named in (("attacker", "role attacker may create"), ("PUBLIC", "role PUBLIC may create")):
            admin.execute(f"GRANT CREATE ON SCHEMA kombo TO {grantee}")
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
                admin.execute("CREATE EXTENSION kombo_sync")
            assert named in refused.value.diag.message_detail
            assert "OWNER TO" not in refused.value.diag.message_hint
            admin.execute(f"REVOKE CREATE ON SCHEMA kombo FROM {grantee}")
        admin.execute("CREATE EXTENSION kombo_sync")


def test_what_lies_in_the_schema_binds_to_nothing_of_ours(trapped):
    with trapped.connect("app") as admin:
        admin.execute("CREATE SCHEMA kombo")
        admin.execute(TRAP)  # of a superuser's, so it may lie there
        admin.execute("CREATE EXTENSION kombo_sync")
        admin.execute("SELECT kombo.create_tables('HRIS', owner => 'attacker')")
        admin.execute("SELECT * FROM kombo.sync_status")
        assert "kombo.concat_ws" not in admin.execute("SELECT pg_get_viewdef('kombo.sync_status') AS d").fetchone()["d"]


def test_data_tables_that_outlived_the_extension_are_taken_up_with_a_warning(db):
    db.execute("DROP EXTENSION kombo_sync CASCADE")
    heard = []
    db.connection.add_notice_handler(lambda notice: heard.append((notice.message_primary, notice.message_detail)))
    db.execute("CREATE EXTENSION kombo_sync")
    assert [text for text, _ in heard] == ['there are tables in schema "kombo" already']
    assert heard[0][1].startswith("Role kombo_owner owns hris_absence_types, ")


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_excluded_field_is_not_stored_by_a_transaction_that_began_before(small, sandbox, isolation):
    assert_ok(sync_full(small))
    with small.connect(autocommit=False) as older:
        older.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        older.execute("SELECT count(*) FROM kombo.excluded_fields")
        small.execute("SELECT kombo.exclude_field('hris_employees', 'mobile_phone_number')")
        new = sandbox.record("create", "hris_employees", set={"mobile_phone_number": "+49SECRET"})["id"]
        done = older.execute("SELECT * FROM kombo.kombo_sync_delta(%s, ARRAY['/hris/employees'])",
                             [sandbox.integration]).fetchall()
        assert [(run["status"], run["inserted"]) for run in done] == [("ok", 1)]
        older.commit()
    assert one(small, "hris_employees", new)["mobile_phone_number"] is None
    assert small.value("SELECT count(mobile_phone_number) FROM kombo.hris_employees") == 0


def test_a_full_fetch_erases_what_lies_in_an_excluded_column(small):
    small.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    small.execute("SELECT kombo.exclude_field('hris_employees', 'custom_fields')")
    assert_ok(sync_full(small))
    small.execute("UPDATE kombo.hris_employees SET ssn = 'SECRET', custom_fields = '{}' "
                  "WHERE id IN (SELECT id FROM kombo.hris_employees ORDER BY id LIMIT 3)")
    done = sync_full(small, what="/hris/employees")
    assert done[0]["updated"] == 3
    assert small.value("SELECT count(ssn) + count(custom_fields) FROM kombo.hris_employees") == 0
    assert sync_full(small, what="/hris/employees")[0]["updated"] == 0


def test_an_excluded_field_may_be_dropped_as_a_column(small):
    for column in ("ssn", "remote_data"):
        small.execute(f"SELECT kombo.exclude_field('hris_employees', '{column}')")
        small.execute(f"ALTER TABLE kombo.hris_employees DROP COLUMN {column}")
    assert_ok(sync_full(small))


@pytest.mark.parametrize("nested", [
    '[[{"id": "q1", "pay_rate": "SECRET"}]]', '[[[{"id": "q1", "pay_rate": "SECRET"}], {"pay_rate": "SECRET"}]]',
    '[{"pay_rate": "SECRET"}, [{"pay_rate": "SECRET"}]]', '{"a": 1, "pay_rate": "SECRET"}'])
def test_an_excluded_field_is_not_kept_in_extra_however_deep_it_lies(small, sandbox, nested):
    small.execute("SELECT kombo.exclude_field('hris_employments', 'pay_rate')")
    id = sandbox.dump("hris_employees")[0]["id"]
    sandbox.raw("/hris/employees", id, f'{{"id": "{id}", "employments": {nested}}}')
    assert_ok(sync_full(small, what="/hris/employees"))
    assert "SECRET" not in small.value("SELECT string_agg(e::text, '') FROM kombo.hris_employees e")


def test_an_excluded_field_of_a_nested_object_is_not_kept_in_extra(hris, sandbox):
    hris.execute("SELECT kombo.exclude_field('hris_employees', 'ssn')")
    id = sandbox.dump("hris_performance_reviews")[0]["id"]
    sandbox.raw("/hris/performance-reviews", id, f'{{"id": "{id}", "reviewee": [[{{"ssn": "SECRET"}}]]}}')
    assert_ok(sync_full(hris, what="/hris/performance-reviews"))
    assert "SECRET" not in hris.value("SELECT string_agg(e::text, '') FROM kombo.hris_performance_reviews e")


def test_a_signature_of_any_length_takes_no_memory(live):
    before = private_kilobytes(worker_pid(live))
    with pytest.raises(psycopg.errors.CheckViolation):
        live.execute("INSERT INTO kombo.webhook_inbox (body, signature) SELECT '{}', repeat('s', 1025)")
    # As a version that had no bound could leave it.
    live.execute("ALTER TABLE kombo.webhook_inbox DROP CONSTRAINT webhook_inbox_signature_is_at_most_1_kb")
    live.execute("""INSERT INTO kombo.webhook_inbox (body, signature)
                    SELECT '{}', repeat('s', 50000000) FROM generate_series(1, 5)""")
    until(live, lambda: inbox(live) == {"rejected": 5}, what="the judgement of long signatures")
    assert private_kilobytes(worker_pid(live)) < before + 20000


def test_a_page_of_more_records_than_can_be_is_refused(db, fake_kombo):
    records = [{"id": f"r{i}", "reviewee": {"id": f"e{i}"}} for i in range(251)]
    fake = fake_kombo(lambda path, query: records)
    db.create_server(fake, name="fake")
    db.execute("SELECT kombo.add_integration('hibob:x', 'fake', 'HRIS')")
    with db.connection.transaction():
        db.execute("SET LOCAL kombo_sync.max_retries = 0")
        failed = sync_full(db, what="/hris/performance-reviews")[0]
    assert failed["status"] == "failed"
    assert "a page of 251 records, where at most 250 can be" in failed["error"]
    records.pop()
    assert sync_full(db, what="/hris/performance-reviews")[0]["status"] == "ok"


def test_nested_records_that_all_have_other_keys_take_little_memory(db, fake_kombo):
    keys = ["first_name", "last_name", "job_title", "gender", "ethnicity", "home_address", "tax_id", "ssn",
            "nationality"]
    records = [{"id": f"r{i}", "reviewee": {"id": f"e{i}", **{k: None for b, k in enumerate(keys) if i >> b & 1}}}
               for i in range(250)]
    fake = fake_kombo(lambda path, query: records if path == "/hris/performance-reviews" else None)
    db.create_server(fake, name="fake")
    db.execute("SELECT kombo.add_integration('hibob:x', 'fake', 'HRIS')")
    db.subscribe_only("hibob:x", "/hris/performance-reviews", "/hris/performance-review-cycles")
    with db.connect() as session:
        session.execute("SELECT * FROM kombo.kombo_sync_delta('hibob:x', ARRAY['/hris/performance-review-cycles'])")
        pid = session.info.backend_pid
        before = private_kilobytes(pid)
        done = session.execute("SELECT status FROM kombo.kombo_sync_full('hibob:x', "
                               "ARRAY['/hris/performance-reviews'])")
        assert done.fetchall() == [{"status": "ok"}]
        assert private_kilobytes(pid) < before + 20000
    assert db.value("SELECT count(*) FROM kombo.hris_employees") == 250
