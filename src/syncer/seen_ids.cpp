#include "syncer/seen_ids.h"

#include "syncer/store.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace syncer {

namespace {

/// The unit in which the file is read: 8 kB, PostgreSQL's own block.
constexpr size_t block_size = 1024;
constexpr size_t blocks_of_a_run = 64;
constexpr size_t run_size = block_size * blocks_of_a_run;

} // namespace

SeenIds::SeenIds(Store &store) : open_file_([&store] { return store.temporary_file(); }) {}

void SeenIds::add(uint64_t hash) {
    if (latest_.size() == run_size) write_part();
    latest_.push_back(hash);
}

void SeenIds::write_part() {
    std::sort(latest_.begin(), latest_.end());
    if (!file_) file_ = open_file_();
    file_->append(latest_.data(), latest_.size() * sizeof(uint64_t));
    SortedPart &part = parts_.emplace_back();
    for (size_t first = 0; first < run_size; first += block_size) part.push_back(latest_[first]);
    latest_.clear();
}

std::vector<bool> SeenIds::find(const std::vector<uint64_t> &hashes) {
    std::vector<bool> found(hashes.size());
    std::vector<size_t> sorted(hashes.size());
    std::iota(sorted.begin(), sorted.end(), size_t{0});
    std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) { return hashes[a] < hashes[b]; });
    std::sort(latest_.begin(), latest_.end());
    for (size_t i = 0; i < hashes.size(); ++i) found[i] = std::binary_search(latest_.begin(), latest_.end(), hashes[i]);
    std::array<uint64_t, block_size> block{};
    uint64_t offset = 0;
    for (const SortedPart &part : parts_) {
        auto next = sorted.begin();
        for (auto first = part.begin(); first != part.end(); ++first, offset += sizeof block) {
            // Those that can be in this block: a hash that the next one begins with is there, too.
            while (next != sorted.end() && hashes[*next] < *first) ++next;
            bool read = false;
            for (; next != sorted.end() && (first + 1 == part.end() || hashes[*next] < first[1]); ++next) {
                if (!read) file_->read(offset, block.data(), sizeof block);
                read = true;
                if (std::binary_search(block.begin(), block.end(), hashes[*next])) found[*next] = true;
            }
        }
    }
    return found;
}

} // namespace syncer
