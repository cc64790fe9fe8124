#include "pg/account/load_catalogue.h"
#include "pg/base/entry_points.h"
#include "pg/base/memory.h"
#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/store/statements.h"

/// The SQL function page_statements: what a sync runs on the tables of users.
namespace pg {

namespace {

class Statements {
public:
    Statements(const syncer::Catalogue &catalogue, ReturnSetInfo *result) : catalogue_(catalogue), result_(result) {}

    /// In the order in which they run: rows of a table that were all new a page ago are inserted without a look first.
    void put_table(size_t table, syncer::Mode mode, const std::string *parent_column, bool with_dead) {
        const syncer::Table &target = catalogue_.tables[table];
        syncer::RowSet set;
        set.table = table;
        set.mode = mode;
        set.columns = syncer::all_columns(target);
        put(target, "insert", statements::insert_new(target, set));
        if (parent_column)
            put(target, "look for rows of the same parents", statements::listed_before(target, *parent_column));
        put(target, "compare", statements::compare(target, set, parent_column, with_dead));
        put(target, "write", statements::upsert(target, set));
        if (parent_column) put(target, "take out of lists", statements::remove(target));
    }

private:
    void put(const syncer::Table &table, const char *step, const std::string &statement) {
        const MemoryScope scope;
        Datum values[] = {text_datum(table.name), text_datum(step), text_datum(statement)};
        bool nulls[] = {false, false, false};
        guard([&] { tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls); });
    }

    const syncer::Catalogue &catalogue_;
    ReturnSetInfo *result_;
};

/// Of all categories: only one has the path.
std::string category_of(const std::string &path) {
    Params params;
    params.text(std::string_view(path));
    const Result rows = execute("SELECT category FROM kombo.endpoints WHERE path = $1", params);
    if (rows.size() == 0)
        raise(ERRCODE_UNDEFINED_OBJECT, "there is no endpoint \"" + path + "\"", "", "kombo.endpoints lists them.");
    return rows.text(0, 1);
}

} // namespace
} // namespace pg

PG_ENTRY(page_statements, {
    const std::string path = pg::guard([&] { return text_to_cstring(PG_GETARG_TEXT_PP(0)); });
    pg::guard([&] { InitMaterializedSRF(fcinfo, 0); });
    const pg::Spi spi;
    const syncer::Catalogue catalogue = pg::load_catalogue(pg::category_of(path), pg::find_sync_role());
    const syncer::Endpoint &endpoint = *catalogue.find(path);
    endpoint.check_tables();
    const syncer::States states = pg::load_states(catalogue, {});
    pg::Statements statements(catalogue, reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
    statements.put_table(endpoint.table, syncer::Mode::Replace, nullptr, false);
    for (const syncer::Nested &nested : endpoint.nested) {
        if (nested.relation == syncer::Relation::Owned || nested.relation == syncer::Relation::Join)
            statements.put_table(nested.table, syncer::Mode::Replace, &nested.parent_column,
                                 endpoint.has_lists(nested));
        else if (nested.relation == syncer::Relation::Linked && !has_writer(catalogue, states, nested.table))
            statements.put_table(nested.table, syncer::Mode::UpdateLinked, nullptr, false);
    }
    return static_cast<Datum>(0);
})
