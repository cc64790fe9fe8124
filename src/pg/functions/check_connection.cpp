#include "kombo/data.h"
#include "kombo/page.h"
#include "pg/account/connection.h"
#include "pg/base/entry_points.h"
#include "pg/base/wait.h"

/// The SQL functions that ask Kombo one question: check_connection and integration_info.
namespace pg {

namespace {

/// The `data` object that Kombo answers the request with, as JSON text.
std::string ask(const syncer::Connection &connection, const kombo::Request &request) {
    LatchWaiter waiter;
    std::string data;
    kombo::Call call(connection.transfers, request, connection.http, connection.retry,
                     [&](kombo::Response &response) { data = kombo::data_object(response.body); });
    syncer::finish(call, connection.transfers, waiter);
    return data;
}

std::string text_argument(FunctionCallInfo fcinfo, int number, const char *name) {
    if (PG_ARGISNULL(number))
        raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(name) + " must not be null", "",
              "Name a server, as in kombo.check_connection('kombo_eu').");
    return guard([&] { return text_to_cstring(PG_GETARG_TEXT_PP(number)); });
}

Datum jsonb_datum(const std::string &json) {
    return guard([&] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.c_str())); });
}

} // namespace
} // namespace pg

PG_ENTRY(check_connection, {
    const pg::Server server = pg::load_server(pg::text_argument(fcinfo, 0, "server"), GetUserId());
    const syncer::Connection connection = pg::connect_to(server);
    const std::string data = pg::ask(connection, connection.api.check_api_key());
    const Datum environment = pg::guard([&]() -> Datum {
        const Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(data.c_str())));
        JsonbValue found;
        auto *root = const_cast<JsonbContainer *>(&json->root);
        if (!getKeyJsonValueFromContainer(root, "environment_id", 14, &found) || found.type != jbvString) return 0;
        const std::string id = kombo::printable({found.val.string.val, static_cast<size_t>(found.val.string.len)}, 200);
        return PointerGetDatum(cstring_to_text_with_len(id.data(), static_cast<int>(id.size())));
    });
    if (environment == 0) throw kombo::ApiError(kombo::ErrorClass::MalformedBody, 200, "it names no environment_id");
    return environment;
})

PG_ENTRY(integration_info, {
    const pg::Server server = pg::load_server(pg::text_argument(fcinfo, 0, "server"), GetUserId());
    const std::string integration_id = pg::text_argument(fcinfo, 1, "integration_id");
    const syncer::Connection connection = pg::connect_to(server);
    return pg::jsonb_datum(pg::ask(connection, connection.api.integration(integration_id)));
})
