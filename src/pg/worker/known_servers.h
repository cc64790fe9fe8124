#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pg {

/// The servers as the worker has seen them last, and what a change of their keys or addresses ends.
class KnownServers {
public:
    /// In a transaction: looks at all of them. Returns whether any is another, or has gone.
    bool look();

    /// True if what a change may end is not ended yet.
    bool changed() const { return !changed_.empty(); }

    /// In a transaction, as the sync role: ends the pauses and back-offs of the changed servers' integrations, and of
    /// no others, as there may be thousands.
    void end_waits() const;

    /// Once that is committed.
    void waits_have_ended() { changed_.clear(); }

private:
    std::optional<std::map<std::string, size_t>> hashes_; ///< of each name the hash of address and key
    std::vector<std::string> changed_;
};

} // namespace pg
