#include "pg/functions/sync_arguments.h"

namespace pg {

std::optional<std::string> text_argument(FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number)) return std::nullopt;
    return guard([&] { return text_to_cstring(PG_GETARG_TEXT_PP(number)); });
}

std::optional<std::vector<std::string>> what_argument(FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number)) return std::nullopt;
    Datum *elements = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    guard([&] {
        deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
    });
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "\"what\" must not contain null values", "",
                  "Leave \"what\" out, or give NULL for it, to sync everything subscribed.");
        names.emplace_back(guard([&] { return TextDatumGetCString(elements[i]); }));
    }
    return names;
}

void check_tables_exist(Oid sync_role) {
    if (!OidIsValid(sync_role))
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "there are no data tables", "",
              "Make them with kombo.create_tables, as in SELECT kombo.create_tables('HRIS', owner => 'kombo_owner').");
}

void check_named(const std::string &id, const std::vector<Integration> &found, Oid sync_role) {
    if (found.empty())
        raise(ERRCODE_UNDEFINED_OBJECT, "integration \"" + id + "\" does not exist", "",
              "Add it with kombo.add_integration; kombo.integrations lists those that exist.");
    check_tables_exist(sync_role);
    const Integration &integration = found.front();
    if (integration.paused)
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "integration \"" + id + "\" is paused",
              integration.pause_reason.empty() ? "" : "Reason given: " + integration.pause_reason + ".",
              "SELECT kombo.resume('" + id + "') ends the pause.");
}

void notice_left_out(const std::vector<Integration> &integrations, LeftOut left_out) {
    if (integrations.empty()) {
        guard([] {
            ereport(NOTICE, errmsg("there are no integrations to sync"),
                    errhint("Add one with kombo.add_integration."));
        });
        return;
    }
    size_t paused = 0, suspended = 0, restored = 0;
    for (const Integration &integration : integrations) {
        if (!left_out(integration)) continue;
        if (integration.restored)
            ++restored;
        else if (integration.paused)
            ++paused;
        else
            ++suspended;
    }
    const size_t count = paused + suspended + restored;
    if (count == 0) return;
    std::string detail;
    const auto add = [&](size_t number, const char *what) {
        if (number > 0) detail += (detail.empty() ? "" : ", ") + std::to_string(number) + " " + what;
    };
    add(paused, "paused by an operator");
    add(suspended, "paused by kombo_sync");
    add(restored, "enabled in another database, of which this one is a copy");
    guard([&] {
        ereport(NOTICE, errmsg("%zu of %zu integrations were left out", count, integrations.size()),
                errdetail_internal("%s.", detail.c_str()),
                errhint("kombo.integration_status has the reasons, and what to do."));
    });
}

void notice_ignored(const std::string &model) {
    guard([&] {
        ereport(NOTICE, errmsg("model \"%s\" is not carried by any subscribed endpoint", model.c_str()),
                errhint("Subscribe to an endpoint that kombo.endpoint_models names for it."));
    });
}

} // namespace pg
