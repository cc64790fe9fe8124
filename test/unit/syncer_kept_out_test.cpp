#include "syncer/kept_out.h"

#include "unfolded.h"

namespace syncer {

namespace {

/// Jobs belong to people, a mentor is named, and reviews, which are teams here, belong to jobs.
Invented with_references() {
    Invented given;
    auto refer = [&](size_t table, const std::string &column, size_t to, bool belongs) {
        Table &its = given.catalogue.tables[table];
        Field &field = its.fields[its.find(column).value()];
        field.refers_to = to;
        field.belongs = belongs;
    };
    refer(Invented::Jobs, "person_id", Invented::People, true);
    refer(Invented::People, "mentor_id", Invented::People, false);
    refer(Invented::PeopleTeams, "person_id", Invented::People, false);
    refer(Invented::Skills, "scale_id", Invented::Jobs, true);
    return given;
}

struct Kept {
    Batch batch;
    std::vector<Belonging> belongings;
    std::vector<std::string> asked_for;

    std::vector<std::string> ids(size_t table) const {
        std::vector<std::string> found;
        for (const RowSet &set : batch.sets)
            if (set.table == table)
                for (const Row &row : set.rows) found.emplace_back(row.cells[0].text);
        return found;
    }
};

class KeptOut : public testing::Test {
protected:
    Kept keep(const std::vector<std::string> &records, const ErasedRecords &erased) {
        const Endpoint &people = given.catalogue.endpoints[0];
        page.emplace(page_of(records));
        Kept kept;
        unfolder.emplace(given.catalogue, compile_shape(given.catalogue, people, people_and_jobs), std::nullopt);
        kept.batch = unfolder->unfold(page->records(), arena);
        kept.belongings = keep_out(given.catalogue, kept.batch, arena, [&](const auto &ids) {
            kept.asked_for.assign(ids.begin(), ids.end());
            return erased;
        });
        return kept;
    }

    Invented given = with_references();
    std::optional<kombo::Page> page;
    std::optional<Unfolder> unfolder;
    kombo::Arena arena;
};

const std::string ann = R"({"id": "ann", "name": "Ann", "jobs": [{"id": "j1", "person_id": "ann"}],)"
                        R"( "teams": [{"id": "t1", "name": "One"}]})";
const std::string bob = R"({"id": "bob", "mentor": {"id": "ann", "shoe": 41}, "hat": 58, "teams": [{"id": "t1"}]})";

TEST_F(KeptOut, nothing_goes_where_nobody_is_erased) {
    const Kept kept = keep({ann, bob}, {});
    EXPECT_EQ(kept.ids(Invented::People), (std::vector<std::string>{"ann", "bob"}));
    EXPECT_EQ(kept.ids(Invented::Jobs), std::vector<std::string>{"j1"});
    for (const char *id : {"ann", "bob", "j1"})
        EXPECT_EQ(std::count(kept.asked_for.begin(), kept.asked_for.end(), id), 1) << id;
}

TEST_F(KeptOut, an_erased_record_goes_with_its_nested_rows_and_links_and_with_what_names_it) {
    const Kept kept = keep({ann, bob}, {{Invented::People, "ann"}});
    EXPECT_EQ(kept.ids(Invented::People), std::vector<std::string>{"bob"});
    EXPECT_TRUE(kept.ids(Invented::Jobs).empty());
    EXPECT_EQ(kept.ids(Invented::PeopleTeams), std::vector<std::string>{"bob"});
    EXPECT_EQ(kept.ids(Invented::Teams), (std::vector<std::string>{"t1", "t1"})) << "teams are no person's";
    const Row &row = kept.batch.sets[0].rows[0];
    EXPECT_TRUE(row.cells[given.catalogue.tables[Invented::People].find("mentor_id").value()].null);
    EXPECT_EQ(row.extra, R"({"hat": 58})");
    EXPECT_EQ(kept.belongings.size(), 1U) << "something may belong to a job";
    EXPECT_EQ(kept.belongings.at(0).id, "j1");
    EXPECT_EQ(kept.belongings.at(0).owner_id, "ann");
}

TEST_F(KeptOut, what_belongs_to_a_belonging_goes_in_whatever_order_it_comes) {
    const Kept kept = keep({R"({"id": "cid", "skills": [{"skill": {"id": "s1", "scale": {"id": "j1"}}}]})", ann},
                           {{Invented::People, "ann"}});
    EXPECT_EQ(kept.ids(Invented::People), std::vector<std::string>{"cid"});
    EXPECT_TRUE(kept.ids(Invented::Skills).empty());
}

TEST_F(KeptOut, an_id_counts_in_its_own_table_only) {
    const Kept kept = keep({ann}, {{Invented::Teams, "ann"}});
    EXPECT_EQ(kept.ids(Invented::People), std::vector<std::string>{"ann"});
}

TEST_F(KeptOut, an_id_in_extra_is_found_however_it_is_written) {
    const Kept kept = keep({R"({"id": "bob", "a": [{"b": {"x": "\u0061nn"}}], "c": "\"ann", "d": {"ann": 1}, "e": 2})"},
                           {{Invented::People, "ann"}});
    EXPECT_EQ(kept.batch.sets[0].rows[0].extra, R"({"c": "\"ann", "e": 2})");
}

} // namespace

} // namespace syncer
