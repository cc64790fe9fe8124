#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace syncer {

class Store;

/// A file of the database's that nobody else sees, and that is gone with the object. Every function may throw
/// DatabaseError.
class TemporaryFile {
public:
    virtual ~TemporaryFile() = default;

    /// Writes behind what was written before.
    virtual void append(const void *bytes, size_t size) = 0;

    /// Reads what was written at `offset`.
    virtual void read(uint64_t offset, void *bytes, size_t size) = 0;
};

/// The ids that the pages of a full fetch brought, as 8-byte hashes: its sweep takes the rows that are not among them.
/// Some 65,000 of them are in memory, the others in a temporary file, so that memory does not grow with the list.
class SeenIds {
public:
    /// Opens the temporary file when it is needed.
    using OpenFile = std::function<std::unique_ptr<TemporaryFile>()>;
    explicit SeenIds(OpenFile open_file) : open_file_(std::move(open_file)) {}

    /// The file is one of the store's, which must outlive the object.
    explicit SeenIds(Store &store);

    /// Throws DatabaseError.
    void add(uint64_t hash);

    /// For each of the hashes whether it was added. Reads the file once, so that many are best asked for at once.
    /// Throws DatabaseError.
    std::vector<bool> find(const std::vector<uint64_t> &hashes);

private:
    /// The first hash of each block of a sorted part of the file.
    using SortedPart = std::vector<uint64_t>;

    void write_part();

    OpenFile open_file_;
    std::vector<uint64_t> latest_; ///< not in the file yet
    std::vector<SortedPart> parts_;
    std::unique_ptr<TemporaryFile> file_;
};

} // namespace syncer
