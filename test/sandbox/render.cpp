#include "render.h"

#include <array>

namespace sandbox {

void ObjectWriter::name(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
}

// Writes what was set for the key in place of the caller's value.
bool ObjectWriter::replaced(std::string_view key) {
    if (!changes_) return false;
    for (std::size_t i = 0; i < changes_->set.size(); ++i) {
        if (changes_->set[i].first != key) continue;
        if (i < 64) used_ |= std::uint64_t{1} << i;
        name(key);
        out_ += changes_->set[i].second;
        return true;
    }
    return false;
}

bool ObjectWriter::open(std::string_view key) {
    if (wiped_) {
        name(key);
        out_ += "null";
        return false;
    }
    if (changes_) {
        if (!changes_->lists.empty()) {
            const auto found = changes_->lists.find(std::string(key));
            if (found != changes_->lists.end()) {
                if (found->second == ListMode::null) {
                    name(key);
                    out_ += "null";
                }
                return false;
            }
        }
        if (replaced(key)) return false;
    }
    name(key);
    return true;
}

void ObjectWriter::text(std::string_view key, std::string_view value) {
    if (open(key)) append_quoted(out_, value);
}

void ObjectWriter::time(std::string_view key, Millis value) {
    if (open(key)) append_time(out_, value);
}

void ObjectWriter::time_or_null(std::string_view key, Millis value) {
    if (value == 0)
        null(key);
    else
        time(key, value);
}

void ObjectWriter::json(std::string_view key, std::string_view value) {
    if (open(key)) out_ += value;
}

void ObjectWriter::keep_text(std::string_view key, std::string_view value) {
    if (!wiped_ && replaced(key)) return;
    name(key);
    append_quoted(out_, value);
}

void ObjectWriter::keep_time_or_null(std::string_view key, Millis value) {
    if (!wiped_ && replaced(key)) return;
    name(key);
    if (value == 0)
        out_ += "null";
    else
        append_time(out_, value);
}

void ObjectWriter::close(bool complete) {
    if (complete && changes_ && !wiped_) {
        for (std::size_t i = 0; i < changes_->set.size(); ++i) {
            const std::string &key = changes_->set[i].first;
            const bool reference_only = key == "reviewee_id" || key == "reviewer_id" || key == "review_cycle_id" ||
                                        key == "proficiency_scale_id";
            if (reference_only || (i < 64 && (used_ >> i & 1U) != 0)) continue;
            name(key);
            out_ += changes_->set[i].second;
        }
    }
    out_ += '}';
}

ObjectWriter record_writer(std::string &out, const View &view, Model model, Index index) {
    return ObjectWriter(out, view.records.overlay(model, index), view.records.wiped(model, index, view.at));
}

void render_ids(ObjectWriter &object, const View &view, Model model, Index index) {
    object.keep_text("id", view.records.id(model, index));
    // endpoints.json: remote_id may be null on absences
    if (model == Model::absences && index % 11 == 3)
        object.null("remote_id");
    else
        object.text("remote_id", view.records.remote_id(model, index));
}

void render_times(ObjectWriter &object, const View &view, Model model, Index index) {
    const Overlay *changes = view.records.overlay(model, index);
    object.keep_time_or_null("changed_at", view.records.changed_at(model, index));
    object.keep_time_or_null("remote_deleted_at", changes ? changes->deleted_at : 0);
}

void render_remote_data(ObjectWriter &object, const View &view, Model model, Index index) {
    if (!object.open("remote_data")) return;
    std::string &out = object.out();
    if (index % 2 == 1) {
        out += "null";
        return;
    }
    out += "{\"source\":";
    append_quoted(out, model_name(model));
    out += ",\"attributes\":{\"key\":";
    append_quoted(out, view.records.remote_id(model, index));
    out += ",\"revision\":";
    out += std::to_string(view.records.base().hash(model, index, 20) % 1000);
    out += ",\"weight\":0.10,\"tags\":[\"a\",null,true]}}";
}

void render_custom_fields(ObjectWriter &object, const View &view, Model model, Index index) {
    if (!object.open("custom_fields")) return;
    const std::uint64_t h = view.records.base().hash(model, index, 21);
    if (h % 4 == 0) {
        object.out() += "null";
        return;
    }
    static constexpr std::array<std::string_view, 4> sizes{"S", "M", "L", "XL"};
    object.out() += "{\"shirt_size\":\"";
    object.out() += sizes[h / 4 % sizes.size()];
    object.out() += "\",\"badge\":";
    object.out() += std::to_string(h % 100000);
    object.out() += ".50,\"notes\":[{\"year\":2024}]}";
}

void render_integration_fields(ObjectWriter &object, const View &view, Model model, Index index) {
    if (!object.open("integration_fields")) return;
    const std::uint64_t h = view.records.base().hash(model, index, 22);
    std::string &out = object.out();
    out += R"([{"id":"DefaultFieldOfTheModel01","key":"pay_grade","type":"DEFAULT","value":"P)";
    out += std::to_string(h % 9);
    out += R"(","label":"Pay grade"})";
    if (h % 3 == 0) {
        out += R"(,{"id":"CustomFieldOfTheModel001","key":"parking_lot","type":"CUSTOM","value":)";
        out += std::to_string(h % 200);
        out += R"(,"label":null})";
    }
    out += ']';
}

void render_address(std::string &out, const View &view, Model model, Index index) {
    static constexpr std::array<std::string_view, 6> cities{"Berlin", "München", "Lyon", "Oslo", "Porto", "Zürich"};
    static constexpr std::array<std::string_view, 6> countries{"DE", "DE", "FR", "NO", "PT", "CH"};
    const std::uint64_t h = view.records.base().hash(model, index, 23);
    const std::size_t city = h % cities.size();
    ObjectWriter address(out);
    address.text("city", cities[city]);
    address.text("country", countries[city]);
    address.text("raw", std::string("Hauptstraße ") + std::to_string(h / 8 % 200) + "\n" + std::string(cities[city]));
    if (city == 0)
        address.text("state", "BE");
    else
        address.null("state");
    address.text("street_1", "Hauptstraße " + std::to_string(h / 8 % 200));
    if (h % 11 == 0)
        address.text("street_2", "3. OG");
    else
        address.null("street_2");
    address.text("zip_code", std::to_string(10000 + h / 64 % 89999));
    address.close();
}

void render_reference(ObjectWriter &object, const View &view, Model model, Index index, Reference reference) {
    const std::optional<Index> target = view.records.follow(model, index, reference);
    if (target)
        object.text(reference_field(reference), view.records.id(reference_target(model, reference), *target));
    else
        object.null(reference_field(reference));
}

bool served_nested(const View &view, Model model, Index index) {
    return view.nested_deleted ? !view.records.purged(model, index) : view.records.live(model, index);
}

std::vector<Link> served_links(const View &view, Model model, Index index, Model target) {
    std::vector<Link> served;
    for (Link &link : view.records.links(model, index, target))
        if (served_nested(view, target, link.index)) served.push_back(std::move(link));
    return served;
}

void render(std::string &out, const View &view, Model model, Index index) {
    if (is_described(model)) return render_described(out, view, model, index);
    switch (model) {
    case Model::employees:
        return render_employee(out, view, index);
    case Model::employments:
        return render_employment(out, view, index);
    case Model::time_off_balances:
        return render_balance(out, view, index, false);
    case Model::absence_types:
        return render_absence_type(out, view, index);
    case Model::absences:
        return render_absence(out, view, index);
    case Model::teams:
        return render_team(out, view, index, false);
    case Model::legal_entities:
        return render_legal_entity(out, view, index);
    case Model::locations:
        return render_location(out, view, index);
    case Model::document_categories:
        return render_document_category(out, view, index);
    case Model::timesheets:
        return render_timesheet(out, view, index);
    case Model::review_cycles:
        return render_review_cycle(out, view, index);
    case Model::reviews:
        return render_review(out, view, index);
    case Model::staffing_entities:
        return render_staffing_entity(out, view, index);
    case Model::skills:
        return render_skill(out, view, index, false);
    case Model::skill_scales:
        return render_skill_scale(out, view, index);
    case Model::skill_ratings:
        return render_skill_rating(out, view, index);
    }
}

} // namespace sandbox
