#include "pg/account/connection.h"

#include "pg/base/settings.h"

#include <sys/stat.h>

namespace pg {

namespace {

/// libcurl would open a pipe, and wait for whoever writes to it.
void check_ca_file(const std::string &path) {
    struct stat about = {};
    if (!path.empty() && stat(path.c_str(), &about) == 0 && !S_ISREG(about.st_mode))
        raise(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, "ca_file \"" + path + "\" is not a regular file", "",
              "Give the path of a PEM file of trusted authorities.");
}

} // namespace

kombo::Transfers &session_transfers() {
    static kombo::Transfers transfers;
    return transfers;
}

syncer::Connection connect_to(const Server &server) {
    check_ca_file(server.http.ca_file);
    kombo::RetryPolicy retry;
    retry.max_retries = settings::max_retries;
    kombo::HttpOptions http = server.http;
    http.proxy_user_password = proxy_user_password(server);
    return {session_transfers(), kombo::Api(server.base_url, api_key(server)), http, retry, server.page_size, {}};
}

} // namespace pg
