#pragma once

#include "records.h"

#include <string>

namespace sandbox {

/// What rendering depends on besides the records.
struct View {
    const Records &records;
    Millis at;           ///< the sandbox's now, for wiping
    bool nested_deleted; ///< nested lists hold deleted children too
};

/// Writes the fields of one JSON object. Values that were set by the admin take the place of those given here,
/// and a wiped record has nulls for all but what `keep_*` writes.
class ObjectWriter {
public:
    ObjectWriter(std::string &out, const Overlay *changes = nullptr, bool wiped = false)
        : out_(out), changes_(changes), wiped_(wiped) {
        out_ += '{';
    }

    void text(std::string_view key, std::string_view value);
    void time(std::string_view key, Millis value);
    void time_or_null(std::string_view key, Millis value); ///< 0 = null
    void null(std::string_view key) { json(key, "null"); }
    void boolean(std::string_view key, bool value) { json(key, value ? "true" : "false"); }
    void json(std::string_view key, std::string_view value);

    /// Starts a field whose value the caller appends to the text, unless it was set, wiped or taken away.
    bool open(std::string_view key);

    void keep_text(std::string_view key, std::string_view value);
    void keep_time_or_null(std::string_view key, Millis value);

    /// Ends the object. `complete` adds the set fields that no writer knew, as a tool's new field would appear.
    void close(bool complete = false);

    std::string &out() { return out_; }

private:
    void name(std::string_view key);
    bool replaced(std::string_view key);

    std::string &out_;
    const Overlay *changes_;
    bool wiped_;
    bool first_ = true;
    std::uint64_t used_ = 0;
};

/// Appends the record as its own list serves it (for models without one, as it is embedded elsewhere).
void render(std::string &out, const View &view, Model model, Index index);

// One function per model, called by `render` and for nested copies.
void render_employee(std::string &out, const View &view, Index index);
/// An employee as performance reviews embed it.
void render_reviewing_employee(std::string &out, const View &view, Index index);
void render_employment(std::string &out, const View &view, Index index);
void render_balance(std::string &out, const View &view, Index index, bool nested);
void render_absence_type(std::string &out, const View &view, Index index);
void render_absence(std::string &out, const View &view, Index index);
void render_timesheet(std::string &out, const View &view, Index index);
void render_team(std::string &out, const View &view, Index index, bool nested);
void render_legal_entity(std::string &out, const View &view, Index index);
void render_location(std::string &out, const View &view, Index index);
void render_document_category(std::string &out, const View &view, Index index);
void render_review_cycle(std::string &out, const View &view, Index index);
void render_review(std::string &out, const View &view, Index index);
void render_staffing_entity(std::string &out, const View &view, Index index);
void render_skill(std::string &out, const View &view, Index index, bool nested);
void render_skill_scale(std::string &out, const View &view, Index index);
void render_skill_rating(std::string &out, const View &view, Index index);

/// A record that the schema describes: whole as its own list serves it, or the keys that a nested one shows.
void render_described(std::string &out, const View &view, Model model, Index index,
                      const std::vector<Shown> *shown = nullptr);

/// `id` and `remote_id`, the start of nearly every record.
void render_ids(ObjectWriter &object, const View &view, Model model, Index index);

/// `changed_at` and `remote_deleted_at`, which survive wiping.
void render_times(ObjectWriter &object, const View &view, Model model, Index index);

/// `remote_data`: the tool's own record for every other one, else null.
void render_remote_data(ObjectWriter &object, const View &view, Model model, Index index);

/// `custom_fields` and `integration_fields`.
void render_custom_fields(ObjectWriter &object, const View &view, Model model, Index index);
void render_integration_fields(ObjectWriter &object, const View &view, Model model, Index index);

/// An address as a value.
void render_address(std::string &out, const View &view, Model model, Index index);

/// The id that a reference field holds, or null.
void render_reference(ObjectWriter &object, const View &view, Model model, Index index, Reference reference);

/// The writer for a record, with its changes and its wiping.
ObjectWriter record_writer(std::string &out, const View &view, Model model, Index index);

/// The entries of a joined list that are served, after liveness.
std::vector<Link> served_links(const View &view, Model model, Index index, Model target);

/// The proficiency that a staffing entity expects of a skill, as JSON text.
std::string expected_proficiency(const View &view, Index staffing_entity, const Link &link);

/// Whether a nested list shows the record.
bool served_nested(const View &view, Model model, Index index);

} // namespace sandbox
