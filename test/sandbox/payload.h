#pragma once

#include "admin_json.h"
#include "integration.h"

#include <string>

namespace sandbox {

/// What webhooks say of an integration; it need not exist.
struct Subject {
    std::string id;
    std::string tool;
    std::string category = "HRIS";
    std::string status = "ACTIVE";
    std::string setup_status = "COMPLETED";
    bool qa_failed = false;
    ModelNames models; ///< those of its category
    bool deleted = false;

    /// An integration that the sandbox does not have: its tool is what stands before the colon.
    explicit Subject(const std::string &unknown_id);

    /// What the integration is now; locks it.
    explicit Subject(const Integration &integration);
};

/// An id as Kombo gives: 24 letters and digits, another one each time, also after a restart.
std::string new_event_id();

/// `data` of a webhook of that type, with every field that Kombo's schema has. `models` is for `data-changed`.
/// Throws AdminError 400 for a type that Kombo does not have.
Json webhook_data(const std::string &type, const Subject &subject, const ModelNames &models);

} // namespace sandbox
