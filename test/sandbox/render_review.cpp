#include "render.h"

#include <array>

namespace sandbox {

void render_review_cycle(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::review_cycles;
    ObjectWriter cycle = record_writer(out, view, model, index);
    render_ids(cycle, view, model, index);
    cycle.text("name", "Review " + std::to_string(2022 + index));
    cycle.time("review_period_start_date", (18'993 + static_cast<Millis>(index) * 365) * day_ms);
    render_times(cycle, view, model, index);
    render_remote_data(cycle, view, model, index);
    cycle.close(true);
}

void render_review(std::string &out, const View &view, Index index) {
    static constexpr std::array<std::string_view, 4> types{"MANAGER", "PEER", "SELF", "DIRECT_REPORT"};
    constexpr Model model = Model::reviews;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    ObjectWriter review = record_writer(out, view, model, index);
    render_ids(review, view, model, index);
    review.text("type", types[h % 4]);
    review.text("summary_comment", "Solid work — \"keep going\".");
    if (h % 3 == 0)
        review.json("summary_rating", R"({"type":"NUMERIC","min":1,"max":5,"value":4.5})");
    else if (h % 3 == 1)
        review.json("summary_rating",
                    R"({"type":"SINGLE_SELECT","ordered_options":["below","meets","exceeds"],"value":"meets"})");
    else
        review.null("summary_rating");
    render_times(review, view, model, index);
    const auto reviewee = view.records.follow(model, index, Reference::reviewee);
    if (!reviewee)
        review.null("reviewee");
    else if (review.open("reviewee"))
        render_reviewing_employee(out, view, *reviewee);
    const auto reviewer = view.records.follow(model, index, Reference::reviewer);
    if (!reviewer)
        review.null("reviewer");
    else if (review.open("reviewer"))
        render_reviewing_employee(out, view, *reviewer);
    const auto cycle = view.records.follow(model, index, Reference::review_cycle);
    if (!cycle)
        review.null("review_cycle");
    else if (review.open("review_cycle"))
        render_review_cycle(out, view, *cycle);
    render_remote_data(review, view, model, index);
    review.close(true);
}

} // namespace sandbox
