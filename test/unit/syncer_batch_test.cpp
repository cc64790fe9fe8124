#include "syncer/batch.h"

#include <gtest/gtest.h>
#include <jansson.h>

namespace syncer {
namespace {

size_t entries(const Oddities &oddities) {
    json_t *parsed = json_loads(oddities.json().c_str(), 0, nullptr);
    const size_t count = json_is_array(parsed) ? json_array_size(parsed) : SIZE_MAX;
    json_decref(parsed);
    return count;
}

TEST(Oddities, are_told_with_their_counts) {
    Oddities oddities;
    EXPECT_TRUE(oddities.empty());
    EXPECT_EQ(oddities.json(), "[]");
    oddities.add(Oddities::Kind::Misfit, "people", "born");
    oddities.add(Oddities::Kind::UnknownKey, "people", "a\"b\\c\n");
    oddities.add(Oddities::Kind::Misfit, "people", "born", 2);
    EXPECT_FALSE(oddities.empty());
    EXPECT_EQ(oddities.json(),
              R"([{"kind": "unknown key", "table": "people", "key": "a\"b\\c ", "count": 1}, )"
              R"({"kind": "value does not fit its column", "table": "people", "key": "born", "count": 3}])");
}

TEST(Oddities, of_repairs_name_each_kind) {
    Oddities oddities;
    oddities.add(kombo::Repairs{}, "people", "name");
    EXPECT_TRUE(oddities.empty());
    oddities.add(kombo::Repairs{1, 2, 3, 4}, "people", "name");
    EXPECT_EQ(oddities.json(),
              R"([{"kind": "U+0000 replaced by U+FFFD", "table": "people", "key": "name", "count": 1}, )"
              R"({"kind": "unpaired surrogate replaced by U+FFFD", "table": "people", "key": "name", "count": 2}, )"
              R"({"kind": "number beyond numeric kept as text", "table": "people", "key": "name", "count": 3}, )"
              R"({"kind": "nested too deeply, kept as text", "table": "people", "key": "name", "count": 4}])");
}

TEST(Oddities, beyond_a_hundred_are_summed_up_by_table) {
    Oddities oddities;
    for (int i = 0; i < 1000; ++i) oddities.add(Oddities::Kind::UnknownKey, "people", "key" + std::to_string(i));
    oddities.add(Oddities::Kind::UnknownKey, "people", "key7", 5);
    EXPECT_EQ(entries(oddities), 101U);
    const std::string json = oddities.json();
    EXPECT_NE(json.find("\"key\": \"(others)\", \"count\": 900}"), std::string::npos) << json;
    EXPECT_NE(json.find(R"("key": "key7", "count": 6)"), std::string::npos) << json;
}

TEST(Oddities, keep_only_so_much_of_a_key_as_tells_it_apart) {
    Oddities oddities;
    const std::string key(100000, 'k');
    oddities.add(Oddities::Kind::UnknownKey, "people", key + "1");
    oddities.add(Oddities::Kind::UnknownKey, "people", key + "2");
    oddities.add(Oddities::Kind::UnknownKey, "people", "\xC2\x9B\x1B[31m");
    EXPECT_EQ(oddities.json(), R"([{"kind": "unknown key", "table": "people", "key": "[31m", "count": 1}, )"
                               R"({"kind": "unknown key", "table": "people", "key": ")" +
                                   std::string(63, 'k') + R"(", "count": 2}])");
}

TEST(Oddities, say_what_to_do_where_there_is_something) {
    for (const Oddities::Kind kind : {Oddities::Kind::ColumnType, Oddities::Kind::Referenced}) {
        Oddities oddities;
        oddities.add(kind, "people", "pay: integer, not numeric");
        json_t *parsed = json_loads(oddities.json().c_str(), 0, nullptr);
        const json_t *entry = json_array_get(parsed, 0);
        EXPECT_TRUE(json_is_string(json_object_get(entry, "hint"))) << oddities.json();
        EXPECT_EQ(Oddities::kind_of(json_string_value(json_object_get(entry, "kind"))), kind);
        json_decref(parsed);
    }
}

TEST(Oddities, of_pages_are_added_up) {
    Oddities run;
    Oddities page;
    page.add(Oddities::Kind::Nul, "people", "name", 2);
    run.merge(page);
    run.merge(page);
    run.merge(Oddities());
    EXPECT_EQ(run.json(), R"([{"kind": "U+0000 replaced by U+FFFD", "table": "people", "key": "name", "count": 4}])");
}

TEST(Oddities, a_kind_is_found_by_the_name_that_it_is_told_by) {
    for (const auto kind :
         {Oddities::Kind::UnknownKey, Oddities::Kind::Misfit, Oddities::Kind::Nul, Oddities::Kind::Surrogate,
          Oddities::Kind::Number, Oddities::Kind::Depth, Oddities::Kind::UnknownModel}) {
        Oddities oddities;
        oddities.add(kind, "t", "k");
        const std::string json = oddities.json();
        const size_t begin = json.find(": \"") + 3;
        EXPECT_EQ(Oddities::kind_of(json.substr(begin, json.find('"', begin) - begin)), kind) << json;
    }
    EXPECT_FALSE(Oddities::kind_of(""));
    EXPECT_FALSE(Oddities::kind_of("unknown"));
}

TEST(JsonQuote, gives_a_json_string_of_any_text) {
    const std::pair<std::string, std::string> cases[] = {
        {"", R"("")"},
        {"a\"b\\c", R"("a\"b\\c")"},
        {"\b\f\n\r\t\x1f", R"("\u0008\u000c\u000a\u000d\u0009\u001f")"},
        {std::string("a\0b", 3), R"("a\u0000b")"},
        {"Gr\xC3\xBC\xC3\x9F"
         "e\x7f",
         "\"Gr\xC3\xBC\xC3\x9F"
         "e\x7f\""},
    };
    for (const auto &[text, expected] : cases) EXPECT_EQ(json_quote(text), expected);
}

} // namespace
} // namespace syncer
