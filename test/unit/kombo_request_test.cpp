#include "kombo/request.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <stdexcept>

namespace kombo {
namespace {

TEST(Query, all_but_unreserved_characters_are_encoded) {
    EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
    EXPECT_EQ(percent_encode("a,b c+d/e?f&g=h:%"), "a%2Cb%20c%2Bd%2Fe%3Ff%26g%3Dh%3A%25");
    EXPECT_EQ(percent_encode("\xC3\xA4"), "%C3%A4");
    EXPECT_EQ(percent_encode(std::string("\0", 1)), "%00");
}

TEST(Query, lists_are_one_parameter_and_order_is_kept) {
    Query query;
    query.add("updated_after", "2026-05-02T00:00:00.000Z").add_flag("include_deleted", true);
    query.add_list("ids", {"a", "b", "c,d"}).add_list("remote_ids", {}).add("page_size", "250");
    EXPECT_EQ(query.encode(),
              "updated_after=2026-05-02T00%3A00%3A00.000Z&include_deleted=true&ids=a%2Cb%2Cc%2Cd&page_size=250");
    EXPECT_EQ(Query().encode(), "");
    EXPECT_EQ(Query().add_list("ids", {""}).encode(), "ids=");
}

TEST(Query, a_cursor_repeats_every_filter_and_replaces_the_cursor_before_it) {
    Query query;
    query.add_flag("include_deleted", false).add("page_size", "2");
    const Query second = query.with_cursor("a+/=");
    EXPECT_EQ(second.encode(), "include_deleted=false&page_size=2&cursor=a%2B%2F%3D");
    EXPECT_EQ(second.with_cursor("b").encode(), "include_deleted=false&page_size=2&cursor=b");
    EXPECT_EQ(query.encode(), "include_deleted=false&page_size=2");
}

bool has_header(const Request &request, const std::string &header) {
    return std::find(request.headers.begin(), request.headers.end(), header) != request.headers.end();
}

TEST(Api, requests_are_as_kombo_wants_them) {
    for (const char *base_url : {"https://api.kombo.dev/v1", "https://api.kombo.dev/v1/"}) {
        const Api api(base_url, "key");
        const Request list = api.list("/hris/employees", "personio:abc", Query().add("page_size", "250"));
        EXPECT_EQ(list.url, "https://api.kombo.dev/v1/hris/employees?page_size=250");
        EXPECT_TRUE(has_header(list, "X-Integration-Id: personio:abc"));
        EXPECT_TRUE(has_header(list, "Authorization: Bearer key"));
        EXPECT_TRUE(has_header(list, "Accept: application/json"));
        EXPECT_TRUE(has_header(list, "User-Agent: kombo_sync/" KOMBO_SYNC_VERSION));
        EXPECT_EQ(api.list("/hris/employees", "x", {}).url, "https://api.kombo.dev/v1/hris/employees");
        EXPECT_EQ(api.check_api_key().url, "https://api.kombo.dev/v1/check-api-key");
        EXPECT_EQ(api.integration("a:b/c?").url, "https://api.kombo.dev/v1/integrations/a%3Ab%2Fc%3F");
    }
}

TEST(Api, nothing_can_be_smuggled_into_a_header_or_a_path) {
    EXPECT_THROW(Api("https://h", "key\r\nX: y"), std::invalid_argument);
    EXPECT_THROW(Api("https://h", ""), std::invalid_argument);
    const Api api("https://h", "key");
    EXPECT_THROW(api.list("/x", "a\nb", {}), std::invalid_argument);
    EXPECT_THROW(api.list("/x", "", {}), std::invalid_argument);
    for (const char *path : {"", "x", "/x?y=1", "/x#y", "/x y", "/x\n"}) {
        EXPECT_THROW(api.list(path, "id", {}), std::invalid_argument) << path;
    }
    try {
        Api("https://h", "secret\n");
    } catch (const std::invalid_argument &error) {
        EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
    }
}

TEST(Api, an_integration_of_nothing_but_dots_is_not_another_path) {
    const Api api("https://h/v1", "key");
    EXPECT_EQ(api.integration(".").url, "https://h/v1/integrations/%2E");
    EXPECT_EQ(api.integration("..").url, "https://h/v1/integrations/%2E%2E");
    EXPECT_EQ(api.integration("a..b").url, "https://h/v1/integrations/a..b");
    EXPECT_EQ(api.integration("../x").url, "https://h/v1/integrations/..%2Fx");
}

TEST(BaseUrl, problems_are_named) {
    EXPECT_EQ(base_url_problem("https://api.kombo.dev/v1", false), std::nullopt);
    EXPECT_EQ(base_url_problem("https://[::1]:8443/v1", false), std::nullopt);
    EXPECT_EQ(base_url_problem("http://127.0.0.1:80", true), std::nullopt);
    for (const char *url :
         {"", "http://h", "ftp://h", "api.kombo.dev", "https://", "https:///v1", "https://:80", "https://u:p@h",
          "https://h?x", "https://h#x", "https://h /v1", "https://h\n", "HTTPS//h"}) {
        EXPECT_TRUE(base_url_problem(url, false).has_value()) << url;
    }
}

} // namespace
} // namespace kombo
