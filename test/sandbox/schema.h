#pragma once

#include "data.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sandbox {

/// The keys of a nested record that are shown; each may be a nested record itself.
struct Shown {
    std::string key;
    std::vector<Shown> below;
};

/// One field of a described model's records.
struct Field {
    enum class Kind {
        ids,       ///< id and remote_id
        id,        ///< id alone
        times,     ///< changed_at and remote_deleted_at
        text,      ///< the words and a number
        one_of,    ///< one of `texts`
        json,      ///< the same, JSON texts
        time,      ///< a point in time
        day,       ///< midnight of a day, as a date-time
        number,    ///< with a fraction
        integer,   ///<
        position,  ///< of an entry within its list
        boolean,   ///<
        address,   ///<
        custom,    ///< custom_fields
        mapped,    ///< integration_fields
        raw,       ///< remote_data
        reference, ///< the id of a record of `target`
        object,    ///< the record that field `by` names, or what `shown` has of it
        children,  ///< the records of `target` whose field `by` names this one
        joined,    ///< the records of `target` that this one is joined to
    };
    std::string key;
    Kind kind = Kind::text;
    bool nullable = false;
    bool hidden = false;           ///< a reference that is not served
    bool parent = false;           ///< a reference that `children` of the target go by: base data are spread evenly
    bool cycle = false;            ///< a reference to the next record of the target each time
    bool moved_by_record = false;  ///< `updated_after`: a change of the linked record moves the record
    bool moved_by_entries = false; ///< the same: an entry that comes or leaves
    std::vector<std::string> texts;
    Model target{};
    std::string by;
    std::vector<Shown> shown;
    std::string wrapped; ///< key of an entry under which its record stands
    std::string join;    ///< name of the join model
};

/// A join model: the values that an entry has beside its record.
struct Join {
    std::string name;
    std::string parent_key;
    std::string target_key;
    std::vector<Field> fields;
};

/// A model whose records the schema describes.
struct Description {
    std::string name;
    std::string changed; ///< the name by which webhooks tell of a change; empty if there is none
    std::string path;    ///< of its list; empty if it has none
    std::string prefix;
    Index times = 0, per = 1, plus = 0; ///< number of records: employees * times / per + plus
    bool paginated = true;
    bool deltas = true; ///< the list takes updated_after and include_deleted
    std::vector<Field> fields;

    const Field *find(std::string_view key) const;
    /// The reference by which another model lists these records; null if none does.
    const Field *parent() const;
};

/// Whether the schema describes the model; the others have code of their own.
constexpr bool is_described(Model model) {
    return slot(model) >= own_model_count;
}

const Description &description(Model model);
const Join &join_of(std::string_view name);
const std::vector<Join> &all_joins();

} // namespace sandbox
