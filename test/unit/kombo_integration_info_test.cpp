#include "kombo/integration_info.h"
#include "kombo/page.h"

#include <gtest/gtest.h>

namespace kombo {
namespace {

TEST(IntegrationInfo, is_read) {
    const IntegrationInfo info = parse_integration_info(
        R"({"id":"hibob:one","status":"ACTIVE","setup_status":"COMPLETED","category":"HRIS",)"
        R"("tool":{"id":"hibob","label":"HiBob"},"data_expired_at":"2026-03-01T12:00:00.000Z","read_models":[]})");
    EXPECT_EQ(info.status, "ACTIVE");
    EXPECT_EQ(info.setup_status, "COMPLETED");
    EXPECT_EQ(info.category, "HRIS");
    EXPECT_EQ(info.tool, "hibob");
    EXPECT_EQ(info.data_expired_at, parse_timestamp("2026-03-01T12:00:00Z"));
}

TEST(IntegrationInfo, the_tool_is_an_object_or_its_id) {
    for (const auto &[tool, expected] :
         std::vector<std::pair<const char *, const char *>>{{R"({"id":"hibob"})", "hibob"},
                                                            {R"("hibob")", "hibob"},
                                                            {"{}", ""},
                                                            {R"({"id":7})", ""},
                                                            {"null", ""},
                                                            {"[]", ""}})
        EXPECT_EQ(parse_integration_info(R"({"tool":)" + std::string(tool) + "}").tool, expected) << tool;
}

TEST(IntegrationInfo, a_field_of_another_type_is_absent) {
    for (const char *data :
         {"{}", R"({"status":null,"setup_status":null,"category":null,"tool":null,"data_expired_at":null})",
          R"({"status":7,"setup_status":{},"category":[],"tool":true,"data_expired_at":1772366400})",
          R"({"data_expired_at":""})", R"({"data_expired_at":"soon"})",
          R"({"data_expired_at":"2026-02-31T00:00:00Z"})"}) {
        const IntegrationInfo info = parse_integration_info(data);
        EXPECT_EQ(info.status + info.setup_status + info.category + info.tool, "") << data;
        EXPECT_FALSE(info.data_expired_at) << data;
    }
}

TEST(IntegrationInfo, texts_are_printable_and_not_endless) {
    const IntegrationInfo info = parse_integration_info(R"({"status":"A\u0000\u0007B\n","category":")" +
                                                        std::string(5000, 'x') + R"(","tool":{"id":"a\u0000b"}})");
    EXPECT_EQ(info.status.find('\0'), std::string::npos);
    EXPECT_EQ(info.status.find('\a'), std::string::npos);
    EXPECT_EQ(info.tool.find('\0'), std::string::npos);
    EXPECT_LE(info.category.size(), 210U);
}

TEST(IntegrationInfo, what_is_no_object_is_a_malformed_body) {
    for (const char *data : {"", "null", "[]", "\"text\"", "{", "<html>", "{} {}"})
        EXPECT_THROW(parse_integration_info(data), MalformedBody) << data;
}

} // namespace
} // namespace kombo
