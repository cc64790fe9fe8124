#include "pg/base/role.h"
#include "pg/base/spi.h"
#include "pg/base/version_check.h"
#include "pg/foreign/callbacks.h"

#include "pg/account/options.h"

#include <algorithm>

namespace pg {

namespace {

/// Text as a literal of SQL.
std::string literal(const std::string &text) {
    return guard([&] { return quote_literal_cstr(text.c_str()); });
}

std::string further_options(List *given) {
    std::string options;
    ListCell *cell = nullptr;
    foreach (cell, given) {
        auto *option = static_cast<DefElem *>(lfirst(cell));
        const std::string value = guard([&] { return defGetString(option); });
        const std::string name = option->defname;
        if (name == "endpoint")
            raise(ERRCODE_FDW_INVALID_OPTION_NAME, "invalid option \"endpoint\"", "Each table gets its own.",
                  "LIMIT TO names the tables to make.");
        check_import_option(name, value);
        options += ", " + name + " " + literal(value);
    }
    return options;
}

/// The statements that make the tables, and their comments.
std::vector<std::string> statements_of(ImportForeignSchemaStmt *statement, const std::string &server) {
    const std::string options = further_options(statement->options);
    const SyncRole owner_of_everything(BOOTSTRAP_SUPERUSERID);
    check_interface();
    const Result lists = execute("SELECT l.endpoint, l.table_name FROM kombo_internal.live_lists($1) l ORDER BY 2",
                                 Params().text(std::string_view(statement->remote_schema)));
    if (lists.size() == 0)
        raise(ERRCODE_FDW_SCHEMA_NOT_FOUND, "there is no schema \"" + std::string(statement->remote_schema) + "\"", "",
              "Schemas are: " +
                  execute("SELECT string_agg(DISTINCT lower(e.category), ', ') FROM kombo.endpoints e").text(0, 1) +
                  ".");
    std::vector<std::string> all;
    for (uint64_t i = 0; i < lists.size(); ++i) {
        const std::string table = lists.text(i, 2);
        if (!guard([&] { return IsImportableForeignTable(table.c_str(), statement); })) continue;
        const Result rows = execute("SELECT s FROM kombo_internal.live_table_statements($1, $2, $3, $4, $5) s",
                                    Params()
                                        .text(lists.text(i, 1))
                                        .text(std::string_view(statement->local_schema))
                                        .text(table)
                                        .text(server)
                                        .text(options));
        for (uint64_t row = 0; row < rows.size(); ++row) all.push_back(rows.text(row, 1));
    }
    return all;
}

} // namespace

/// PostgreSQL would take statements that make tables, and no others: so that the tables have comments, all are run
/// here, as the caller.
List *fdw::import_schema(ImportForeignSchemaStmt *statement, Oid server) {
    const Spi spi;
    const std::string name = load_server(server, GetUserId()).name;
    for (const std::string &sql : statements_of(statement, name)) {
        guard([&] {
            const int code = SPI_execute(sql.c_str(), false, 0);
            if (code < 0) elog(ERROR, "could not run a statement: %s", SPI_result_code_string(code));
        });
    }
    return NIL;
}

} // namespace pg
