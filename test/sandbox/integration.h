#pragma once

#include "records.h"

#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

namespace sandbox {

/// Whose integration each one is, as `GET /integrations/{id}` and webhooks say it.
inline constexpr const char *end_user_json =
    R"({"organization_name":"Example GmbH","creator_email":null,"origin_id":null})";

/// A list of the API.
struct Endpoint {
    std::string_view path; ///< without /v1
    Model model;
    bool paginated;
    bool deltas = true; ///< takes updated_after and include_deleted
};

/// The list at that path, or null.
const Endpoint *endpoint_at(std::string_view path);

/// A record that stands at the end of a list and in no model, served as the text says.
struct ExtraRecord {
    std::string id;
    std::string json;
    Millis at;
};

/// A mutex that many share or one has alone, in the order in which they come: readers without end do not keep a writer
/// out, as they do with std::shared_mutex.
class FairMutex {
public:
    void lock() {
        const std::lock_guard turn(gate_);
        mutex_.lock();
    }
    void unlock() { mutex_.unlock(); }
    void lock_shared() {
        const std::lock_guard turn(gate_);
        mutex_.lock_shared();
    }
    void unlock_shared() { mutex_.unlock_shared(); }

private:
    std::mutex gate_;
    std::shared_mutex mutex_;
};

/// One integration: its settings and its data, guarded by `mutex` (readers shared, admin calls alone).
struct Integration {
    Integration(std::string own_id, std::uint64_t from_seed, Index employees);

    std::string id;
    std::string category = "HRIS";
    std::string tool;
    std::string status = "ACTIVE";
    std::string setup_status = "COMPLETED";
    std::string error_code; ///< answered to every list request (409 and the like) while not empty
    int error_status = 409;
    Millis data_expired_at = 0;
    Millis created_at;
    std::uint64_t seed;
    Index employees;
    bool qa_failed = false;
    bool reads_when_inactive = true;
    bool nested_deleted = false;
    bool order_by_changed_at = false;
    std::set<std::string> unavailable_models; ///< INTEGRATION.MODEL_NOT_AVAILABLE on their lists
    std::set<std::string> disabled_models;    ///< INTEGRATION.MODEL_DISABLED
    bool deleted = false;                     ///< the API answers as if it had never been
    Records records;
    std::map<std::string, std::vector<ExtraRecord>> extra; ///< by list path
    mutable FairMutex mutex;

    /// The models of its category.
    ModelNames model_names() const;

    /// The answer of `GET /integrations/{id}` inside `data`, as Kombo's schema has it.
    std::string describe() const;
};

/// The integrations by id.
class Integrations {
public:
    std::shared_ptr<Integration> find(const std::string &id) const;

    /// Adds one; false if the id is taken.
    bool add(std::shared_ptr<Integration> integration);
    bool remove(const std::string &id);
    std::vector<std::shared_ptr<Integration>> all() const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Integration>> by_id_;
};

} // namespace sandbox
