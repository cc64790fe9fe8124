#pragma once

#include "data.h"

namespace sandbox {

/// Remote ids and Kombo ids of an integration's records. As at Kombo, an id follows from the remote id and the
/// integration, so two models that share a remote id share the Kombo id too; some models do so on purpose here.
class Ids {
public:
    explicit Ids(std::string_view integration);

    /// The id at the tool: `1017` for an employee, `team-18` or, for every third group, `1017` as well.
    std::string remote_id(Model model, Index index) const;

    /// Kombo's id: 23 to 25 letters and digits, mostly 24.
    std::string id(Model model, Index index) const;

    /// The index that the id was made from, if it is one of this integration and model.
    std::optional<Index> index_of_id(Model model, std::string_view id) const;

    /// The index that the remote id was made from.
    std::optional<Index> index_of_remote_id(Model model, std::string_view remote_id) const;

private:
    std::uint64_t key_;
};

} // namespace sandbox
