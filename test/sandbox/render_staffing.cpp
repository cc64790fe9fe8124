#include "render.h"

#include <array>

namespace sandbox {

namespace {

void render_links(ObjectWriter &entity, const View &view, Index index, Model target) {
    if (!entity.open(list_key(target))) return;
    std::string &out = entity.out();
    out += '[';
    bool first = true;
    for (const Link &link : served_links(view, Model::staffing_entities, index, target)) {
        if (!first) out += ',';
        first = false;
        if (target == Model::teams) {
            render_team(out, view, link.index, true);
        } else if (target == Model::skills) {
            ObjectWriter skill(out);
            skill.text("skill_id", view.records.id(Model::skills, link.index));
            if (skill.open("skill")) render_skill(out, view, link.index, true);
            skill.json("expected_proficiency", expected_proficiency(view, index, link));
            skill.close();
        } else {
            ObjectWriter object = record_writer(out, view, target, link.index);
            render_ids(object, view, target, link.index);
            if (target == Model::locations) {
                object.text("name", "Site " + std::to_string(link.index + 1));
                if (link.index % 3 == 2)
                    object.null("type");
                else
                    object.text("type", "OFFICE");
            } else {
                object.text("name", "Entity " + std::to_string(link.index + 1) + " GmbH");
            }
            object.close();
        }
    }
    out += ']';
}

constexpr std::array<std::string_view, 3> levels{"Beginner", "Advanced", "Expert"};

std::string option_id(std::size_t level) {
    return "SkillScaleOption" + std::to_string(level + 1) + "xxxxxxx";
}

void render_options(std::string &out) {
    out += '[';
    for (std::size_t i = 0; i < levels.size(); ++i) {
        if (i != 0) out += ',';
        ObjectWriter option(out);
        option.text("id", option_id(i));
        option.text("remote_id", "level-" + std::to_string(i + 1));
        option.text("name", levels[i]);
        option.close();
    }
    out += ']';
}

} // namespace

std::string expected_proficiency(const View &view, Index staffing_entity, const Link &link) {
    if (!link.proficiency.empty()) return link.proficiency;
    const auto scale = view.records.follow(Model::skills, link.index, Reference::skill_scale);
    if (!scale) return "null";
    const std::uint64_t h = view.records.base().hash(Model::staffing_entities, staffing_entity, 40 + link.index);
    if (*scale % 3 == 1) return R"({"type":"SINGLE_SELECT","selected_option_id":")" + option_id(h % 3) + "\"}";
    return R"({"type":"NUMERIC","value":)" + std::to_string(h % 5 + 1) + (h % 2 == 0 ? ".5}" : "}");
}

void render_staffing_entity(std::string &out, const View &view, Index index) {
    static constexpr std::array<std::string_view, 3> types{"JOB", "POSITION", "REQUISITION"};
    static constexpr std::array<std::string_view, 6> states{"OPEN_LIMITED", "OPEN_UNLIMITED", "PENDING",
                                                            "FROZEN",       "FILLED",         "CLOSED"};
    constexpr Model model = Model::staffing_entities;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    const Millis created = (19'300 + static_cast<Millis>(h % 500)) * day_ms + 1;
    ObjectWriter entity = record_writer(out, view, model, index);
    render_ids(entity, view, model, index);
    entity.text("name", "Opening " + std::to_string(index + 1));
    entity.text("model_type", types[h % 3]);
    entity.text("description", "<p>We are hiring.</p>");
    entity.text("status", states[h / 4 % 6]);
    entity.json("employment_types", R"([{"remote_label":"Vollzeit","unified_type":"FULL_TIME"},)"
                                    R"({"remote_label":"Minijob","unified_type":null}])");
    entity.json("number_of_openings", std::to_string(h % 4 + 1));
    render_reference(entity, view, model, index, Reference::parent);
    entity.text("remote_url", "https://example.com/openings/" + std::to_string(index + 1));
    entity.time("remote_created_at", created);
    entity.time("remote_updated_at", created + day_ms);
    render_times(entity, view, model, index);
    render_custom_fields(entity, view, model, index);
    for (const Model target : {Model::locations, Model::legal_entities, Model::teams, Model::skills})
        render_links(entity, view, index, target);
    render_integration_fields(entity, view, model, index);
    render_remote_data(entity, view, model, index);
    entity.close(true);
}

void render_skill(std::string &out, const View &view, Index index, bool nested) {
    constexpr Model model = Model::skills;
    ObjectWriter skill = record_writer(out, view, model, index);
    render_ids(skill, view, model, index);
    skill.text("name", "Skill " + std::to_string(index + 1));
    const auto scale = view.records.follow(model, index, Reference::skill_scale);
    if (!scale)
        skill.null("proficiency_scale");
    else if (skill.open("proficiency_scale"))
        render_skill_scale(out, view, *scale);
    if (nested) return skill.close();
    skill.text("description", "What one can do");
    if (index % 3 == 1)
        skill.json("ordered_levels", R"(["Beginner","Advanced","Expert"])");
    else
        skill.null("ordered_levels");
    render_times(skill, view, model, index);
    render_remote_data(skill, view, model, index);
    skill.close(true);
}

void render_skill_scale(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::skill_scales;
    ObjectWriter scale = record_writer(out, view, model, index);
    render_ids(scale, view, model, index);
    if (index % 3 != 1) {
        scale.text("type", "NUMERIC");
        scale.json("min", "1");
        scale.json("max", "5");
        scale.json("step", index % 3 == 0 ? "0.5" : "null");
        scale.close(true);
        return;
    }
    scale.text("type", "SINGLE_SELECT");
    if (scale.open("ordered_options")) render_options(out);
    scale.close(true);
}

void render_skill_rating(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::skill_ratings;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    ObjectWriter rating = record_writer(out, view, model, index);
    render_ids(rating, view, model, index);
    render_reference(rating, view, model, index, Reference::employee);
    render_reference(rating, view, model, index, Reference::skill);
    if (h % 4 == 0) {
        rating.null("proficiency");
    } else if (rating.open("proficiency")) {
        ObjectWriter proficiency(out);
        proficiency.text("type", "SINGLE_SELECT");
        if (proficiency.open("options")) render_options(out);
        proficiency.text("selected_option_id", option_id(h % 3));
        proficiency.close();
    }
    rating.text("rating_source", h % 2 == 0 ? "SELF" : "EXTERNAL");
    render_times(rating, view, model, index);
    rating.close(true);
}

} // namespace sandbox
