"""Records of recruiting and learning that come in part with others, or below others: where their values come from, and
when they go."""

import pytest

from categories import LINKS, change, connect, drift, with_list
from live_tables import import_lists
from syncing import assert_ok, deleted, one, rows, same_as_sandbox, sync_delta, sync_full
from worker import send_webhook, until, wait_requested, wait_synced


@pytest.fixture
def lms(db, sandbox):
    connect(db, sandbox, "LMS")
    return db


# --- recruiting: records that come in part with others ----------------------------------------------------------

APPLICATIONS = "/ats/applications"
COURSES = "/lms/courses"
PROGRESSIONS = "/lms/course-progressions"


def test_with_applications_alone_their_lists_fill_the_parents_column_and_are_complete(ats, sandbox):
    ats.subscribe_only(sandbox.integration, APPLICATIONS)
    assert_ok(sync_full(ats, sandbox.integration))
    for table, name in (("ats_interviews", "interviews"), ("ats_offers", "offers")):
        wanted = {item["id"]: record["id"] for record in sandbox.dump("ats_applications") for item in record[name]}
        assert {key: row["application_id"] for key, row in rows(ats, table).items()
                if not row["remote_deleted_at"]} == wanted != {}
        application = with_list(sandbox, "ats_applications", name)
        gone, *kept = [item["id"] for item in application[name]]
        sandbox.record("delete", table, gone)
        assert_ok(sync_delta(ats, sandbox.integration, APPLICATIONS))
        assert deleted(ats, table, gone) is True and not any(deleted(ats, table, key) for key in kept)
        sandbox.record("undelete", table, gone)
        assert_ok(sync_delta(ats, sandbox.integration, APPLICATIONS))
        assert deleted(ats, table, gone) is False, "it is named again"
        # An application that is gone takes them with it.
        sandbox.record("purge", "ats_applications", application["id"])
        assert_ok(sync_full(ats, sandbox.integration))
        assert deleted(ats, table, gone) is True


def test_with_interviews_alone_an_application_has_the_ids_that_are_nested_in_it(ats, sandbox):
    ats.subscribe_only(sandbox.integration, "/ats/interviews")
    assert_ok(sync_full(ats, sandbox.integration))
    stored = rows(ats, "ats_applications")
    for interview in sandbox.dump("ats_interviews"):
        application = interview["application"]
        row = stored[application["id"]]
        for name in ("candidate", "job"):
            assert row[name + "_id"] == (application[name] and application[name]["id"])
    assert any(row["job_id"] for row in stored.values()) and any(row["candidate_id"] for row in stored.values())


def test_an_offer_has_the_ids_that_are_nested_in_its_application_which_has_none_itself(ats, sandbox):
    ats.subscribe_only(sandbox.integration, "/ats/offers")
    assert_ok(sync_full(ats, sandbox.integration))
    offers = sandbox.dump("ats_offers")
    for offer in offers:
        row = one(ats, "ats_offers", offer["id"])
        assert row["candidate_id"] == offer["application"]["candidate"]["id"]
        assert row["extra"] is None
    assert rows(ats, "ats_candidates").keys() == {offer["application"]["candidate"]["id"] for offer in offers} != set()
    assert not rows(ats, "ats_applications")


def test_a_tag_of_the_candidate_of_an_application_is_stored_where_no_list_of_candidates_is(ats, sandbox):
    ats.subscribe_only(sandbox.integration, APPLICATIONS)
    assert_ok(sync_full(ats, sandbox.integration))
    wanted = {(record["candidate"]["id"], tag["id"]) for record in sandbox.dump("ats_applications")
              for tag in record["candidate"]["tags"]}
    stored = ats.execute("SELECT candidate_id, tag_id FROM kombo.ats_join_candidates_tags")
    assert {(row["candidate_id"], row["tag_id"]) for row in stored} == wanted != set()
    ats.subscribe_only(sandbox.integration, APPLICATIONS, "/ats/candidates")
    assert_ok(sync_full(ats, sandbox.integration))
    same_as_sandbox(ats, sandbox)
    candidate = with_list(sandbox, "ats_candidates", "tags")["id"]
    sandbox.record("set_links", "ats_candidates", candidate, list="tags", ids=[])
    assert_ok(sync_full(ats, sandbox.integration, APPLICATIONS))
    assert ats.execute("SELECT tag_id FROM kombo.ats_join_candidates_tags WHERE candidate_id = %s", [candidate]), \
        "one list writes them"
    assert_ok(sync_full(ats, sandbox.integration, "/ats/candidates"))
    same_as_sandbox(ats, sandbox)


def test_a_renamed_stage_comes_by_the_list_of_stages(ats, sandbox):
    assert_ok(sync_full(ats, sandbox.integration))
    key, column = change(ats, sandbox, "ats_application_stages")
    ran = assert_ok(sync_delta(ats, sandbox.integration, "ats_application_stages"))
    assert [row["endpoint"] for row in ran] == ["/ats/application-stages"]
    assert one(ats, "ats_application_stages", key)[column] == "Changed"
    indexes = {record["id"]: record["current_stage"] and record["current_stage"]["index"]
               for record in sandbox.dump("ats_applications")}
    stored = {key: row["current_stage_index"] for key, row in rows(ats, "ats_applications").items()}
    assert stored == indexes and any(index is not None for index in indexes.values())


def test_a_question_that_no_job_asks_any_more_goes_with_the_next_full_of_the_jobs(ats, sandbox):
    jobs = sandbox.dump("ats_jobs")
    for job in jobs:
        sandbox.record("set_links", "ats_jobs", job["id"], list="screening_questions", ids=[])
    question, other = [record["id"] for record in sandbox.dump("ats_screening_questions")[:2]]
    sandbox.record("set_links", "ats_jobs", jobs[0]["id"], list="screening_questions", ids=[question, other])
    assert_ok(sync_full(ats, sandbox.integration))
    assert rows(ats, "ats_screening_questions").keys() == {question, other}
    sandbox.record("set_links", "ats_jobs", jobs[0]["id"], list="screening_questions", ids=[other])
    assert_ok(sync_delta(ats, sandbox.integration, "ats_join_jobs_screening_questions"))
    assert_ok(sync_full(ats, sandbox.integration))
    assert deleted(ats, "ats_screening_questions", question) is True
    assert deleted(ats, "ats_screening_questions", other) is False


# --- learning: lists below lists ----------------------------------------------------------------------------------

def skills_of(db, revision):
    return db.execute("SELECT skill_id FROM kombo.lms_join_revisions_skills WHERE course_revision_id = %s", [revision])


def with_skills(sandbox, number):
    """The ids of a course and of so many of its revisions, each with a skill."""
    skill = sandbox.dump("lms_skills")[0]["id"]
    course = with_list(sandbox, "lms_courses", "revisions", number)
    revisions = [revision["id"] for revision in course["revisions"]]
    for revision in revisions:
        sandbox.record("set_links", "lms_course_revisions", revision, list="skill_assignments", ids=[skill])
    return course["id"], revisions


@pytest.mark.parametrize("on_missing", ["mark", "delete"])
def test_what_a_revision_is_linked_to_goes_with_it_and_with_its_course(lms, sandbox, on_missing):
    course, revisions = with_skills(sandbox, 2)
    lms.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, on_missing) "
                "VALUES (%s, '/lms/courses', %s)", [sandbox.integration, on_missing])
    assert_ok(sync_full(lms, sandbox.integration))
    assert all(skills_of(lms, revision) for revision in revisions)
    sandbox.record("delete", "lms_course_revisions", revisions[0])
    assert_ok(sync_delta(lms, sandbox.integration, "lms_course_revisions"))
    assert deleted(lms, "lms_course_revisions", revisions[0]) is True
    assert not skills_of(lms, revisions[0]) and skills_of(lms, revisions[1])
    sandbox.record("purge", "lms_courses", course)
    assert_ok(sync_full(lms, sandbox.integration))
    outcome_of_sweep = True if on_missing == "mark" else "gone"
    assert deleted(lms, "lms_courses", course) == outcome_of_sweep
    assert deleted(lms, "lms_course_revisions", revisions[1]) == outcome_of_sweep
    assert not skills_of(lms, revisions[1])


def test_what_a_revision_is_linked_to_goes_with_it_though_it_was_marked_by_hand(lms, sandbox):
    _, (revision, _) = with_skills(sandbox, 2)
    assert_ok(sync_full(lms, sandbox.integration))
    lms.execute("UPDATE kombo.lms_course_revisions SET remote_deleted_at = now() WHERE id = %s", [revision])
    assert skills_of(lms, revision)
    sandbox.record("delete", "lms_course_revisions", revision)
    drift = lms.execute("SELECT * FROM kombo.drift(%s)", [sandbox.integration])
    assert [row["table_name"] for row in drift] == ["lms_join_revisions_skills"], drift
    assert_ok(sync_full(lms, sandbox.integration))
    assert not skills_of(lms, revision)
    same_as_sandbox(lms, sandbox)


def test_a_link_of_a_revision_that_is_not_there_goes_with_the_next_full(lms, sandbox):
    assert_ok(sync_full(lms, sandbox.integration))
    lms.execute("INSERT INTO kombo.lms_join_revisions_skills (integration_id, course_revision_id, skill_id) "
                "VALUES (%s, 'nothing', 'skill')", [sandbox.integration])
    assert_ok(sync_full(lms, sandbox.integration))
    assert not skills_of(lms, "nothing")
    same_as_sandbox(lms, sandbox)


def test_a_progression_does_not_write_what_the_courses_own(lms, sandbox):
    """The embedded revision has a title that is not what the course's own list says, and fewer fields."""
    assert_ok(sync_full(lms, sandbox.integration))
    progression = sandbox.dump("lms_course_progressions")[0]
    revision = progression["course_revision_id"]
    before = one(lms, "lms_course_revisions", revision)
    sandbox.raw("/lms/course-progressions", progression["id"],
                f'{{"id": "{progression["id"]}", "course_revision": {{"id": "{revision}", "title": null}}}}')
    assert_ok(sync_full(lms, sandbox.integration, "/lms/course-progressions"))
    assert one(lms, "lms_course_revisions", revision) == before
    assert one(lms, "lms_course_progressions", progression["id"])["course_revision_id"] == revision


def test_a_provider_that_no_course_names_any_more_goes_with_the_next_full(lms, sandbox):
    assert_ok(sync_full(lms, sandbox.integration))
    provider, *_ = rows(lms, "lms_course_providers")
    for course in sandbox.dump("lms_courses"):
        if course["provider_id"] == provider:
            sandbox.record("change", "lms_courses", course["id"], {"provider_id": None})
    assert_ok(sync_full(lms, sandbox.integration))
    assert deleted(lms, "lms_course_providers", provider) is True


# --- live tables and drift ----------------------------------------------------------------------------------------

def test_a_live_row_keeps_out_what_is_excluded_under_every_key(ats, sandbox):
    ats.execute("SELECT kombo.exclude_field('ats_applications', 'candidate_id')")
    import_lists(ats, remote="ats", only="LIMIT TO (ats_applications)", integration_id=sandbox.integration)
    live = ats.execute("SELECT * FROM live.ats_applications")
    assert any(row["job_id"] for row in live)
    for row in live:
        assert not {"candidate", "candidate_id"} & {*row, *(row["extra"] or {})}


def test_drift_names_what_goes_with_a_record_at_any_depth(lms, sandbox):
    assert_ok(sync_full(lms, sandbox.integration))
    course = lms.value("SELECT r.course_id FROM kombo.lms_course_revisions r JOIN kombo.lms_join_revisions_skills s "
                       "ON s.course_revision_id = r.id ORDER BY 1 LIMIT 1")
    going = {("lms_courses", course): "surplus"} | {
        (row["table_name"], row["id"]): "surplus" for row in lms.execute("""
            SELECT 'lms_course_revisions' AS table_name, r.id FROM kombo.lms_course_revisions r WHERE r.course_id = %s
            UNION ALL
            SELECT 'lms_join_revisions_skills', s.course_revision_id || '/' || s.skill_id
            FROM kombo.lms_join_revisions_skills s JOIN kombo.lms_course_revisions r ON r.id = s.course_revision_id
            WHERE r.course_id = %s""", [course, course])}
    assert len({table for table, _ in going}) == 3
    sandbox.record("purge", "lms_courses", course)
    found = drift(lms, sandbox)
    assert {key: found.get(key) for key in going} == going
    assert not {table for table, _ in set(found) - set(going)} & {"lms_courses", "lms_join_revisions_skills"}


def test_drift_names_what_a_complete_list_of_linked_records_lacks(ats, sandbox):
    ats.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) "
                "VALUES (%s, '/ats/interviews', false)", [sandbox.integration])
    assert_ok(sync_full(ats, sandbox.integration))
    assert drift(ats, sandbox) == {}
    interview = ats.value("SELECT id FROM kombo.ats_interviews ORDER BY id LIMIT 1")
    sandbox.record("purge", "ats_interviews", interview)
    assert drift(ats, sandbox) == {("ats_interviews", interview): "surplus"}


@pytest.mark.parametrize("category, table", [("ATS", "ats_screening_questions"), ("LMS", "lms_course_providers")])
def test_drift_names_what_nothing_links_any_more_as_a_full_removes_it(db, sandbox, category, table):
    connect(db, sandbox, category)
    assert_ok(sync_full(db, sandbox.integration))
    db.execute(f"INSERT INTO kombo.{table} (integration_id, id) VALUES (%s, 'invented')", [sandbox.integration])
    assert drift(db, sandbox) == {(table, "invented"): "surplus"}
    carriers = db.execute("SELECT endpoint FROM kombo.nested_records WHERE table_name = %s", [table])
    found = db.execute("SELECT id FROM kombo.drift(%s, %s)",
                       [sandbox.integration, [row["endpoint"] for row in carriers]])
    assert [row["id"] for row in found] == ["invented"]
    assert_ok(sync_full(db, sandbox.integration))
    assert deleted(db, table, "invented") is True and drift(db, sandbox) == {}


# --- a join table with a list -------------------------------------------------------------------------------------

def test_a_join_table_is_filled_by_a_list_of_its_own(hris, sandbox):
    hris.execute("INSERT INTO kombo.subscriptions (integration_id, endpoint, enabled) VALUES (%s, %s, true)",
                 [sandbox.integration, LINKS])
    assert_ok(sync_full(hris, sandbox.integration))
    served = {record["id"]: record for record in sandbox.dump("hris_staffing_entity_skills")}

    def stored():
        return {row["id"]: row for row in rows(hris, "hris_join_staffing_entities_skills")}
    assert {key: (row["staffing_entity_id"], row["skill_id"]) for key, row in stored().items()} == {
        key: (record["staffing_entity_id"], record["skill_id"]) for key, record in served.items()}
    gone, changed, *_ = served
    sandbox.record("purge", "hris_staffing_entity_skills", gone)
    sandbox.record("change", "hris_staffing_entity_skills", changed, {"expected_level": 4})
    ran = assert_ok(sync_delta(hris, sandbox.integration, "hris_join_staffing_entities_skills"))
    assert [(row["endpoint"], row["kind"]) for row in ran] == [(LINKS, "full")]
    assert stored()[gone]["remote_deleted_at"] is not None and stored()[changed]["expected_level"] == 4
    hris.execute("INSERT INTO kombo.hris_join_staffing_entities_skills "
                 "(integration_id, id, staffing_entity_id, skill_id) VALUES (%s, 'invented', 'one', 'two')",
                 [sandbox.integration])
    assert drift(hris, sandbox) == {("hris_join_staffing_entities_skills", "one/two"): "surplus"}
    hris.execute("DELETE FROM kombo.hris_join_staffing_entities_skills WHERE id = 'invented'")
    again = assert_ok(sync_full(hris, sandbox.integration))
    assert not [row for row in again if row["inserted"] or row["updated"] or row["deleted"]]


def test_a_list_that_kombo_offers_again_decides_over_its_rows_though_others_are_under_way(served, sandbox):
    """A full of the progressions begins while nothing else has the revisions; their list comes back during it."""
    connect(served, sandbox, "LMS")
    wait_synced(served)
    sandbox.settings(page_size_max=10)
    gone = sandbox.dump("lms_course_progressions")[-1]["course_revision_id"]
    sandbox.record("delete", "lms_course_revisions", gone)
    sandbox.clear_requests()
    sandbox.faults({"path": COURSES, "status": 403, "code": "INTEGRATION.MODEL_NOT_AVAILABLE"},
                   {"path": PROGRESSIONS, "skip": 1, "hang": True})
    send_webhook(served, sandbox, "lms_courses")
    wait_requested(served, sandbox, PROGRESSIONS, 2)
    send_webhook(served, sandbox, "lms_courses")
    until(served, lambda: deleted(served, "lms_course_revisions", gone), what="the end of the revision")
    until(served, lambda: not served.value("SELECT count(*) FROM kombo.sync_requests WHERE endpoint = %s", [COURSES]),
          what="the end of what was asked of the courses")
    sandbox.faults()
    wait_synced(served)
    same_as_sandbox(served, sandbox)
