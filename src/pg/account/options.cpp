#include "pg/account/options.h"

#include "kombo/request.h"
#include "pg/base/entry_points.h"

#include <algorithm>
#include <array>
#include <sys/stat.h>

namespace pg {

namespace {

constexpr const char *wrapper_name = "kombo_sync";
constexpr size_t largest_secret = 4096;

enum class Form { Url, Proxy, Path, Milliseconds, PageSize, Bytes, Boolean, Secret, Endpoint, Integration, OnError };

struct OptionRule {
    const char *name;
    Oid catalog;
    Form form;
    bool superuser; ///< to be set by superusers only
};

constexpr std::array<OptionRule, 20> rules = {{
    {"base_url", ForeignServerRelationId, Form::Url, false},
    {"ca_file", ForeignServerRelationId, Form::Path, true},
    {"proxy", ForeignServerRelationId, Form::Proxy, true},
    {"connect_timeout", ForeignServerRelationId, Form::Milliseconds, false},
    {"request_timeout", ForeignServerRelationId, Form::Milliseconds, false},
    {"page_size", ForeignServerRelationId, Form::PageSize, false},
    {"max_response_size", ForeignServerRelationId, Form::Bytes, false},
    {"allow_http", ForeignServerRelationId, Form::Boolean, true},
    {"accept_unsigned", ForeignServerRelationId, Form::Boolean, false},
    {"auto_register", ForeignServerRelationId, Form::Boolean, false},
    {"api_key", UserMappingRelationId, Form::Secret, false},
    {"webhook_secret", UserMappingRelationId, Form::Secret, false},
    {"webhook_secret_previous", UserMappingRelationId, Form::Secret, false},
    {"api_key_file", UserMappingRelationId, Form::Path, false},
    {"webhook_secret_file", UserMappingRelationId, Form::Path, false},
    {"proxy_user_password", UserMappingRelationId, Form::Secret, false},
    {"endpoint", ForeignTableRelationId, Form::Endpoint, false},
    {"integration_id", ForeignTableRelationId, Form::Integration, false},
    {"page_size", ForeignTableRelationId, Form::PageSize, false},
    {"on_error", ForeignTableRelationId, Form::OnError, false},
}};

std::string valid_names(Oid catalog) {
    std::string names;
    for (const OptionRule &rule : rules)
        if (rule.catalog == catalog) names += (names.empty() ? "" : ", ") + std::string(rule.name);
    return names;
}

const char *owners_of(Oid catalog) {
    if (catalog == ForeignServerRelationId) return "servers";
    return catalog == UserMappingRelationId ? "user mappings" : "foreign tables";
}

const OptionRule &find_rule(const std::string &name, Oid catalog) {
    for (const OptionRule &rule : rules)
        if (rule.catalog == catalog && name == rule.name) return rule;
    const std::string valid = valid_names(catalog);
    const auto *elsewhere =
        std::find_if(rules.begin(), rules.end(), [&](const auto &rule) { return name == rule.name; });
    raise(ERRCODE_FDW_INVALID_OPTION_NAME, "invalid option \"" + name + "\"",
          elsewhere == rules.end() ? "" : std::string("It is an option of ") + owners_of(elsewhere->catalog) + ".",
          valid.empty() ? "There are no valid options in this context."
                        : "Valid options in this context are: " + valid + ".");
}

/// A secret's value is in no message, nor is a URL's user and password.
bool may_show(const OptionRule &rule, const std::string &value) {
    return rule.form != Form::Secret && value.find('@') == std::string::npos;
}

[[noreturn]] void bad_value(const OptionRule &rule, const std::string &value, const std::string &hint) {
    const std::string shown = may_show(rule, value) ? ": \"" + value + "\"" : "";
    raise(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, "invalid value for option \"" + std::string(rule.name) + "\"" + shown,
          "", hint);
}

int whole_number(const OptionRule &rule, const std::string &value, int unit, int least, int most,
                 const std::string &hint) {
    int number = 0;
    const char *ignored = nullptr;
    if (value.empty() || !parse_int(value.c_str(), &number, unit, &ignored) || number < least || number > most)
        bad_value(rule, value, hint);
    return number;
}

bool has_control_character(const std::string &value) {
    for (const char c : value)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
    return false;
}

constexpr std::array<const char *, 2> kombos_hosts = {"https://api.kombo.dev", "https://api.us.kombo.dev"};

/// Kombo's own addresses, as both hosts have one path.
bool is_kombos(const std::string &base_url) {
    for (const std::string host : kombos_hosts)
        if (base_url == host + "/v1" || base_url == host + "/v1/") return true;
    return false;
}

/// A URL of one of Kombo's hosts with another path: every request would be answered with 404.
bool has_wrong_path(const std::string &base_url) {
    for (const std::string host : kombos_hosts)
        if (pg_strncasecmp(base_url.c_str(), host.c_str(), host.size()) == 0 &&
            (base_url.size() == host.size() || base_url[host.size()] == '/'))
            return base_url.compare(host.size(), 3, "/v1") != 0 ||
                   base_url.find_first_not_of('/', host.size() + 3) != std::string::npos;
    return false;
}

[[noreturn]] void superuser_only(const OptionRule &rule, const std::string &detail) {
    raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied to set option \"" + std::string(rule.name) + "\"", detail,
          "Ask a superuser to set it.");
}

void check_url(const OptionRule &rule, const std::string &value, bool allow_http) {
    if (const auto problem = kombo::base_url_problem(value, allow_http))
        bad_value(rule, value,
                  "The URL " + *problem + "; Kombo's are https://api.kombo.dev/v1 and https://api.us.kombo.dev/v1.");
    if (has_wrong_path(value))
        bad_value(rule, value,
                  "Kombo's API is under /v1: use https://api.kombo.dev/v1, or https://api.us.kombo.dev/v1.");
    if (!is_kombos(value) && !guard([] { return superuser(); }))
        superuser_only(rule,
                       (may_show(rule, value) ? "\"" + value + "\"" : "The URL") + " is not one of Kombo's two hosts.");
}

/// Checks one option; `allow_http` is what the same list says of it.
void check(const OptionRule &rule, const std::string &value, bool allow_http) {
    if (rule.superuser && !guard([] { return superuser(); }))
        superuser_only(rule, "Only a superuser may change where the credentials of a server are sent.");
    switch (rule.form) {
    case Form::Url:
        check_url(rule, value, allow_http);
        break;
    case Form::Milliseconds:
        whole_number(rule, value, GUC_UNIT_MS, 1, 24 * 3600 * 1000,
                     "Give a time above zero and of a day at most, as in \"30s\".");
        break;
    case Form::PageSize:
        // Kombo API reference: 1 to 250 records a page
        whole_number(rule, value, 0, 1, 250, "Give a number from 1 to 250.");
        break;
    case Form::Bytes:
        whole_number(rule, value, GUC_UNIT_KB, 64, 1024 * 1024 - 1,
                     "Give a size from 64kB to below 1GB, as in \"256MB\".");
        break;
    case Form::Boolean: {
        bool ignored = false;
        if (!parse_bool(value.c_str(), &ignored)) bad_value(rule, value, "Use on or off.");
        break;
    }
    case Form::Secret:
        if (value.empty() || has_control_character(value))
            bad_value(rule, value, "It must not be empty and must not hold line breaks or other control characters.");
        break;
    case Form::Path:
        if (value.empty() || value.front() != '/') bad_value(rule, value, "Give the absolute path of a file.");
        if (rule.catalog == UserMappingRelationId &&
            !guard([] { return has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES); }))
            raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied to set option \"" + std::string(rule.name) + "\"",
                  "Only superusers and members of the role pg_read_server_files may name a file on the server.",
                  "Use api_key and webhook_secret, or ask for that role.");
        break;
    case Form::Endpoint:
        if (value.empty() || value.front() != '/' || has_control_character(value) ||
            value.find_first_of("?# ") != std::string::npos)
            bad_value(rule, value, "Give the path of a list; kombo.endpoints has them.");
        break;
    case Form::Integration:
        if (value.empty() || value.size() > 200 || has_control_character(value))
            bad_value(rule, value, "Give the id of an integration, as Kombo's dashboard has it.");
        break;
    case Form::OnError:
        if (value != "fail" && value != "skip") bad_value(rule, value, "Use fail or skip.");
        break;
    case Form::Proxy:
        if (value.empty() || has_control_character(value))
            bad_value(rule, value, "Give the URL of a proxy, as in \"http://proxy:3128\".");
        if (value.find('@') != std::string::npos) // everybody can read pg_foreign_server
            bad_value(rule, value,
                      "The URL must not hold a user name or password; the option proxy_user_password of the user "
                      "mapping holds both, as in 'user:password'.");
        break;
    }
}

using Options = std::vector<std::pair<std::string, std::string>>;

Options read_options(List *list) {
    Options options;
    ListCell *cell = nullptr;
    foreach (cell, list) {
        auto *element = static_cast<DefElem *>(lfirst(cell));
        const char *value = guard([&] { return defGetString(element); });
        options.emplace_back(element->defname, value);
    }
    return options;
}

std::optional<std::string> find(const Options &options, const std::string &name) {
    for (const auto &[key, value] : options)
        if (key == name) return value;
    return std::nullopt;
}

bool is_on(const Options &options, const std::string &name) {
    bool on = false;
    const auto value = find(options, name);
    return value && parse_bool(value->c_str(), &on) && on;
}

void validate(const Options &options, Oid catalog) {
    for (const auto &[name, value] : options) {
        // A URL is judged with allow_http, which may come after it.
        check(find_rule(name, catalog), value, is_on(options, "allow_http"));
    }
    if (catalog == ForeignServerRelationId && !find(options, "base_url"))
        raise(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED, "option \"base_url\" is required", "",
              "Give the address of Kombo's API: https://api.kombo.dev/v1, or https://api.us.kombo.dev/v1.");
    if (catalog == ForeignTableRelationId && !find(options, "endpoint"))
        raise(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED, "option \"endpoint\" is required", "",
              "Name the list that the table reads, as in OPTIONS (endpoint '/hris/employees').");
    for (const char *secret : {"api_key", "webhook_secret"})
        if (find(options, secret) && find(options, std::string(secret) + "_file"))
            raise(ERRCODE_FDW_INVALID_OPTION_NAME,
                  "options \"" + std::string(secret) + "\" and \"" + secret + "_file\" exclude each other", "",
                  "Keep one of the two.");
}

std::string wrapper_of(Oid fdw) {
    return guard([&] { return GetForeignDataWrapper(fdw)->fdwname; });
}

/// The beginning of a file. Only a regular one is read: opening a pipe waits for whoever writes to it, and reading from
/// a terminal for whoever types.
std::string read_file(const std::string &path) {
    std::string text(largest_secret + 1, '\0');
    const char *why_not = guard([&]() -> const char * {
        const int file = OpenTransientFile(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | PG_BINARY);
        if (file < 0) return strerror(errno);
        struct stat about = {};
        ssize_t count = -1;
        if (fstat(file, &about) == 0 && S_ISREG(about.st_mode)) count = read(file, text.data(), text.size());
        const int error = errno;
        CloseTransientFile(file);
        text.resize(count < 0 ? 0 : static_cast<size_t>(count));
        if (count >= 0) return nullptr;
        return S_ISREG(about.st_mode) || about.st_mode == 0 ? strerror(error) : "it is not a regular file";
    });
    if (why_not)
        raise(ERRCODE_UNDEFINED_FILE, "could not read the file \"" + path + "\" that a user mapping names: " + why_not,
              "", "It must be a regular file, readable by the operating system user that runs PostgreSQL.");
    return text;
}

std::string read_secret_file(const std::string &path) {
    std::string secret = read_file(path);
    while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
    if (secret.empty() || secret.size() > largest_secret || has_control_character(secret))
        raise(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, "the file \"" + path + "\" does not hold a secret",
              "A secret is one line of at most 4096 bytes.", "");
    return secret;
}

/// The options of the user mapping of `user` (InvalidOid is PUBLIC), if there is one.
std::optional<Options> find_mapping(Oid user, Oid server) {
    const std::optional<List *> list = guard([&]() -> std::optional<List *> {
        HeapTuple mapping = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user), ObjectIdGetDatum(server));
        if (!HeapTupleIsValid(mapping)) return std::nullopt;
        bool is_null = false;
        const Datum options = SysCacheGetAttr(USERMAPPINGUSERSERVER, mapping, Anum_pg_user_mapping_umoptions, &is_null);
        List *copy = is_null ? NIL : untransformRelOptions(options);
        ReleaseSysCache(mapping);
        return copy;
    });
    if (!list) return std::nullopt;
    return read_options(*list);
}

/// Of syncs the credentials belong to the server: whoever asks, the mapping of its owner counts, else PUBLIC's.
std::optional<Options> credentials(const Server &server) {
    if (auto users = find_mapping(server.user, server.oid)) return users;
    return find_mapping(InvalidOid, server.oid);
}

Server read_server(const ForeignServer *found) {
    const Options options = read_options(found->options);
    Server server;
    server.oid = found->serverid;
    server.name = found->servername;
    server.owner = found->owner;
    server.user = found->owner;
    server.base_url = find(options, "base_url").value_or("");
    server.http.ca_file = find(options, "ca_file").value_or("");
    server.http.proxy = find(options, "proxy").value_or("");
    server.http.allow_http = is_on(options, "allow_http");
    const auto number = [&](const char *option, int unit, int otherwise) {
        int value = otherwise;
        const char *ignored = nullptr;
        if (const auto text = find(options, option)) parse_int(text->c_str(), &value, unit, &ignored);
        return value;
    };
    server.http.connect_timeout = std::chrono::milliseconds(number("connect_timeout", GUC_UNIT_MS, 10'000));
    server.http.request_timeout = std::chrono::milliseconds(number("request_timeout", GUC_UNIT_MS, 60'000));
    server.http.max_response_size = static_cast<size_t>(number("max_response_size", GUC_UNIT_KB, 64 * 1024)) * 1024;
    server.page_size = number("page_size", 0, 250);
    server.accept_unsigned = is_on(options, "accept_unsigned");
    server.auto_register = is_on(options, "auto_register");
    return server;
}

} // namespace

Server load_server(const std::string &name, Oid user) {
    ForeignServer *found = guard([&] { return GetForeignServerByName(name.c_str(), true); });
    if (!found || wrapper_of(found->fdwid) != wrapper_name)
        raise(
            ERRCODE_UNDEFINED_OBJECT, "server \"" + name + "\" does not exist",
            found ? "There is a server of that name, but its foreign data wrapper is not kombo_sync." : "",
            "If it was renamed, tell the integrations: UPDATE kombo.integrations SET server = '...' WHERE server = '" +
                name +
                "'. Otherwise create it with CREATE SERVER ... FOREIGN DATA WRAPPER kombo_sync OPTIONS (base_url "
                "'https://api.kombo.dev/v1').");
    if (!guard([&] { return compat::may_use_server(found->serverid, user); }))
        raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "permission denied for foreign server " + name, "",
              "Ask the owner of the server to GRANT USAGE ON FOREIGN SERVER.");

    return read_server(found);
}

Server load_server(Oid server, Oid user) {
    Server loaded = read_server(guard([&] { return GetForeignServer(server); }));
    loaded.user = user;
    return loaded;
}

LiveTable load_live_table(Oid relation) {
    const ForeignTable *table = guard([&] { return GetForeignTable(relation); });
    const Options options = read_options(table->options);
    LiveTable live;
    live.server = table->serverid;
    live.endpoint = find(options, "endpoint").value_or("");
    live.integration_id = find(options, "integration_id");
    if (const auto size = find(options, "page_size")) {
        int value = 0;
        const char *ignored = nullptr;
        if (parse_int(size->c_str(), &value, 0, &ignored)) live.page_size = value;
    }
    live.skip_failed = find(options, "on_error") == "skip";
    return live;
}

void check_import_option(const std::string &name, const std::string &value) {
    check(find_rule(name, ForeignTableRelationId), value, false);
}

std::vector<Server> all_servers() {
    List *oids = guard([] {
        List *found = NIL;
        const Oid wrapper = get_foreign_data_wrapper_oid(wrapper_name, true);
        Relation catalog = table_open(ForeignServerRelationId, AccessShareLock);
        SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
        for (HeapTuple row = systable_getnext(scan); HeapTupleIsValid(row); row = systable_getnext(scan)) {
            auto *server = reinterpret_cast<Form_pg_foreign_server>(GETSTRUCT(row));
            if (server->srvfdw == wrapper) found = lappend_oid(found, server->oid);
        }
        systable_endscan(scan);
        table_close(catalog, AccessShareLock);
        return found;
    });
    std::vector<Server> servers;
    ListCell *cell = nullptr;
    foreach (cell, oids) {
        // Dropped meanwhile, it is no server any more.
        const ForeignServer *found = guard([&] { return GetForeignServerExtended(lfirst_oid(cell), FSV_MISSING_OK); });
        if (found) servers.push_back(read_server(found));
    }
    return servers;
}

std::string api_key(const Server &server) {
    const auto options = credentials(server);
    if (!options) {
        const std::string user = guard([&] { return GetUserNameFromId(server.user, true); }) ?: "?";
        raise(ERRCODE_FDW_UNABLE_TO_CREATE_REPLY,
              "server \"" + server.name + "\" has no user mapping to take the API key from",
              std::string("The mapping of ") + (server.user == server.owner ? "the server's owner" : "role") + " \"" +
                  user + "\" is used, else that of PUBLIC.",
              "CREATE USER MAPPING FOR " + std::string(quote_identifier(user.c_str())) + " SERVER " +
                  quote_identifier(server.name.c_str()) + " OPTIONS (api_key '...').");
    }
    if (const auto key = find(*options, "api_key")) return *key;
    if (const auto file = find(*options, "api_key_file")) return read_secret_file(*file);
    raise(ERRCODE_FDW_OPTION_NAME_NOT_FOUND, "the user mapping of server \"" + server.name + "\" has no API key", "",
          "ALTER USER MAPPING ... OPTIONS (ADD api_key '...'), or api_key_file.");
}

std::string proxy_user_password(const Server &server) {
    return find(credentials(server).value_or(Options()), "proxy_user_password").value_or("");
}

WebhookSecrets webhook_secrets(const Server &server) {
    WebhookSecrets secrets;
    const Options options = credentials(server).value_or(Options());
    if (const auto secret = find(options, "webhook_secret")) secrets.values.push_back(*secret);
    if (const auto file = find(options, "webhook_secret_file")) {
        try {
            secrets.values.push_back(read_secret_file(*file));
        } catch (const syncer::InvalidRequest &error) {
            secrets.problem = error.what();
        }
    }
    if (const auto secret = find(options, "webhook_secret_previous")) secrets.values.push_back(*secret);
    return secrets;
}

} // namespace pg

PG_ENTRY(kombo_sync_validator, {
    List *list = pg::guard([&] { return untransformRelOptions(PG_GETARG_DATUM(0)); });
    pg::validate(pg::read_options(list), PG_GETARG_OID(1));
    PG_RETURN_VOID();
})
