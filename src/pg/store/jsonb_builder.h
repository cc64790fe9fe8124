#pragma once

#include "kombo/json.h"
#include "pg/base/guard.h"

#include <string>
#include <string_view>
#include <vector>

namespace pg {

/// Builds jsonb from JSON text that kombo::jsonb_text() has checked and repaired. It writes the binary form
/// (utils/jsonb.h, which pg_upgrade keeps from changing) at once, where jsonb_in makes a tree of every value first:
/// that took 10 % of an unchanged sync, this takes half of that. The result is what jsonb_in gives, bit for bit.
///
/// build() calls functions that raise, so it runs inside pg::guard; the object itself lives outside.
class JsonbBuilder {
public:
    /// A palloc'd jsonb. Raises what jsonb_in raises for a value that is too large (SQLSTATE 54000).
    Datum build(std::string_view json);

private:
    struct Member {
        std::string_view key;
        const char *value;
        size_t order;
    };

    /// Type and length of what was written, as the entry of its container has it.
    uint32 value();
    uint32 object();
    uint32 array();
    uint32 string();
    uint32 number();
    uint32 literal(const char *word, uint32 type);

    std::string_view key();
    std::string_view unescaped();
    void sort_members(size_t first);
    void skip_space();
    void skip_string();
    void skip_value();
    size_t begin_container(uint32 header, size_t entries);
    uint32 end_container(size_t begin) const;
    void set_entry(size_t first, size_t index, uint32 entry, uint32 &total);
    void pad();
    static void too_large();

    const char *at_ = nullptr; ///< what comes next of the text
    const char *end_ = nullptr;
    std::string out_;             ///< the jsonb, with room for its length at the beginning
    std::vector<Member> members_; ///< of the objects that are open, the innermost last
    kombo::Arena arena_;          ///< strings that had escapes
    std::string number_;
};

} // namespace pg
