#include "render.h"

#include <array>

namespace sandbox {

namespace {

std::string_view plain_date(const std::string &iso) {
    return std::string_view(iso).substr(0, 10);
}

void render_type(ObjectWriter &object, const View &view, Model model, Index index) {
    const auto type = view.records.follow(model, index, Reference::absence_type);
    if (!type)
        object.null("type");
    else if (object.open("type"))
        render_absence_type(object.out(), view, *type);
}

} // namespace

void render_absence_type(std::string &out, const View &view, Index index) {
    static constexpr std::array<std::string_view, 6> types{"Vacation", "Sickness",      "Parental leave",
                                                           "Training", "Special leave", "Überstunden"};
    constexpr Model model = Model::absence_types;
    ObjectWriter type = record_writer(out, view, model, index);
    render_ids(type, view, model, index);
    type.text("name", types[index % types.size()]);
    type.text("unit", index % 6 == 5 ? "HOURS" : "DAYS");
    type.boolean("half_days_supported", index % 2 == 0);
    type.boolean("exact_times_supported", index % 6 == 5);
    render_times(type, view, model, index);
    render_remote_data(type, view, model, index);
    type.close(true);
}

void render_absence(std::string &out, const View &view, Index index) {
    static constexpr std::array<std::string_view, 4> states{"APPROVED", "REQUESTED", "DECLINED", "in Prüfung"};
    constexpr Model model = Model::absences;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    const Millis start = (19'000 + static_cast<Millis>(h % 900)) * day_ms;
    const bool hours = h / 1000 % 10 == 0;
    ObjectWriter a = record_writer(out, view, model, index);
    render_ids(a, view, model, index);
    render_reference(a, view, model, index, Reference::employee);
    // Kombo: absences alone have plain dates and times
    a.text("start_date", plain_date(iso_time(start)));
    a.text("end_date", plain_date(iso_time(start + (hours ? 0 : static_cast<Millis>(h % 10) * day_ms))));
    a.boolean("start_half_day", h % 7 == 0);
    a.boolean("end_half_day", false);
    if (hours) {
        a.text("start_time", "08:30:00");
        a.text("end_time", "11:45:00");
    } else {
        a.null("start_time");
        a.null("end_time");
    }
    a.json("amount", hours ? "3.25" : std::to_string(h % 10 + 1));
    a.text("unit", hours ? "HOURS" : "DAYS");
    a.text("status", states[h / 32 % states.size()]);
    if (h % 3 == 0)
        a.text("employee_note", "Back on Monday.\nCall if needed: \\o/");
    else
        a.null("employee_note");
    render_reference(a, view, model, index, Reference::absence_type);
    a.time("remote_created_at", start - 30 * day_ms + 12'345);
    a.time("remote_updated_at", start - 29 * day_ms);
    render_times(a, view, model, index);
    render_type(a, view, model, index);
    render_reference(a, view, model, index, Reference::approver);
    render_remote_data(a, view, model, index);
    a.close(true);
}

void render_balance(std::string &out, const View &view, Index index, bool nested) {
    constexpr Model model = Model::time_off_balances;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    ObjectWriter b = record_writer(out, view, model, index);
    render_ids(b, view, model, index);
    render_reference(b, view, model, index, Reference::employee);
    render_reference(b, view, model, index, Reference::absence_type);
    b.json("balance", std::to_string(h % 30) + ".5");
    b.text("balance_unit", "DAYS");
    render_times(b, view, model, index);
    b.json("used", std::to_string(h / 32 % 20));
    b.text("used_unit", "DAYS");
    if (!nested) render_type(b, view, model, index);
    render_remote_data(b, view, model, index);
    b.close(true);
}

void render_timesheet(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::timesheets;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    const Millis start = (19'700 + static_cast<Millis>(h % 300)) * day_ms + 8 * 3'600'000;
    ObjectWriter t = record_writer(out, view, model, index);
    render_ids(t, view, model, index);
    render_reference(t, view, model, index, Reference::employee);
    t.time("started_at", start);
    t.time("ended_at", start + 8 * 3'600'000 + 1'800'000);
    t.text("timezone", h % 2 == 0 ? "+02:00" : "-05:30");
    t.json("payable_hours", "8");
    t.json("unpaid_break_minutes", "30");
    if (t.open("breaks")) {
        out += '[';
        ObjectWriter pause(out);
        pause.time("ended_at", start + 4 * 3'600'000 + 1'800'000);
        pause.boolean("paid", false);
        pause.time("started_at", start + 4 * 3'600'000);
        pause.close();
        out += ']';
    }
    t.text("approval_status", h % 4 == 0 ? "PENDING" : "APPROVED");
    t.time_or_null("approved_at", h % 4 == 0 ? 0 : start + 2 * day_ms);
    if (h % 6 == 0)
        t.text("comment", "Night shift");
    else
        t.null("comment");
    render_custom_fields(t, view, model, index);
    render_times(t, view, model, index);
    render_integration_fields(t, view, model, index);
    render_remote_data(t, view, model, index);
    t.close(true);
}

void render_document_category(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::document_categories;
    ObjectWriter category = record_writer(out, view, model, index);
    render_ids(category, view, model, index);
    category.text("name", "Documents " + std::to_string(index + 1));
    render_times(category, view, model, index);
    render_remote_data(category, view, model, index);
    category.close(true);
}

} // namespace sandbox
