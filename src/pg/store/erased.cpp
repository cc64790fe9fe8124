#include "pg/store/erased.h"

#include "pg/base/memory.h"
#include "pg/base/spi.h"

#include <algorithm>

namespace pg {

bool has_erased(const std::string &integration_id) {
    const LatestSnapshot now;
    return execute("SELECT EXISTS (SELECT FROM kombo.erased_records e WHERE e.integration_id = $1)",
                   Params().text(integration_id), Planning::ByKey)
        .boolean(0, 1);
}

syncer::ErasedRecords find_erased(const syncer::Catalogue &catalogue, const std::string &integration_id,
                                  const std::vector<std::string_view> &ids) {
    const MemoryScope scope;
    const LatestSnapshot now;
    const Result rows = execute("SELECT e.table_name, e.id FROM kombo.erased_records e "
                                "WHERE e.integration_id = $1 AND e.id = ANY ($2)",
                                Params().text(integration_id).texts(ids), Planning::ByKey);
    syncer::ErasedRecords found;
    for (uint64_t i = 0; i < rows.size(); ++i) {
        const auto table = std::find_if(catalogue.tables.begin(), catalogue.tables.end(),
                                        [&, name = rows.text(i, 1)](const auto &its) { return its.name == name; });
        // That of a table of another category, or one that is gone, is nobody's here.
        if (table != catalogue.tables.end())
            found.emplace(static_cast<size_t>(table - catalogue.tables.begin()), rows.text(i, 2));
    }
    return found;
}

} // namespace pg
