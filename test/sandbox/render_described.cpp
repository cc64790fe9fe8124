#include "render.h"

#include <algorithm>

namespace sandbox {

namespace {

class Described {
public:
    Described(ObjectWriter &object, const View &view, Model model, Index index)
        : object_(object), view_(view), model_(model), index_(index) {}

    /// `shown`: what a nested copy has of it.
    void write(const Field &field, const std::vector<Shown> *shown, bool nested);

private:
    void write_value(const Field &field, std::uint64_t h);
    void write_object(const Field &field, const std::vector<Shown> &shown);
    void write_children(const Field &field, const std::vector<Shown> &shown);
    void write_links(const Field &field, const std::vector<Shown> &shown);

    ObjectWriter &object_;
    const View &view_;
    Model model_;
    Index index_;
};

void write_scalar(ObjectWriter &object, const Field &field, std::uint64_t h) {
    constexpr Millis start = 1'672'531'200'000; // 2023-01-01T00:00:00Z
    if (field.nullable && h % 5 == 4) return object.null(field.key);
    h /= 5;
    switch (field.kind) {
    case Field::Kind::text:
        return object.text(field.key, field.texts.front() + " " + std::to_string(h % 1000));
    case Field::Kind::one_of:
        return object.text(field.key, field.texts[h % field.texts.size()]);
    case Field::Kind::json:
        return object.json(field.key, field.texts[h % field.texts.size()]);
    case Field::Kind::time:
        return object.time(field.key, start + static_cast<Millis>(h % 31'536'000'000U));
    case Field::Kind::day:
        return object.time(field.key, start + static_cast<Millis>(h % 700) * day_ms);
    case Field::Kind::number:
        return object.json(field.key, std::to_string(h % 90'000) + (h % 2 == 0 ? ".50" : ".25"));
    case Field::Kind::integer:
        return object.json(field.key, std::to_string(h % 100));
    case Field::Kind::boolean:
        return object.boolean(field.key, h % 2 == 0);
    default:
        return object.null(field.key);
    }
}

void Described::write_value(const Field &field, std::uint64_t h) {
    switch (field.kind) {
    case Field::Kind::ids:
        return render_ids(object_, view_, model_, index_);
    case Field::Kind::id:
        return object_.keep_text("id", view_.records.id(model_, index_));
    case Field::Kind::times:
        return render_times(object_, view_, model_, index_);
    case Field::Kind::custom:
        return render_custom_fields(object_, view_, model_, index_);
    case Field::Kind::mapped:
        return render_integration_fields(object_, view_, model_, index_);
    case Field::Kind::raw:
        return render_remote_data(object_, view_, model_, index_);
    case Field::Kind::address:
        if (field.nullable && h % 5 == 4) return object_.null(field.key);
        if (object_.open(field.key)) render_address(object_.out(), view_, model_, index_);
        return;
    case Field::Kind::position:
        return object_.json(field.key, std::to_string(h % 7));
    case Field::Kind::reference:
        if (const auto target = view_.records.follow(model_, index_, field))
            return object_.text(field.key, view_.records.id(field.target, *target));
        return object_.null(field.key);
    default:
        return write_scalar(object_, field, h);
    }
}

void Described::write(const Field &field, const std::vector<Shown> *shown, bool nested) {
    if (field.hidden || (!nested && field.kind == Field::Kind::position)) return;
    const std::vector<Shown> &keys = shown && !shown->empty() ? *shown : field.shown;
    switch (field.kind) {
    case Field::Kind::object:
        return write_object(field, keys);
    case Field::Kind::children:
        return write_children(field, keys);
    case Field::Kind::joined:
        return write_links(field, keys);
    default:
        return write_value(field, view_.records.base().hash(model_, index_, salt_of(field.key)));
    }
}

void Described::write_object(const Field &field, const std::vector<Shown> &shown) {
    const auto target = view_.records.follow(model_, index_, *description(model_).find(field.by));
    if (!target)
        object_.null(field.key);
    else if (object_.open(field.key))
        render_described(object_.out(), view_, field.target, *target, &shown);
}

void Described::write_children(const Field &field, const std::vector<Shown> &shown) {
    if (!object_.open(field.key)) return;
    std::string &out = object_.out();
    const std::size_t before = out.size();
    out += '[';
    for (const Index child : view_.records.children(field.target, index_)) {
        if (!served_nested(view_, field.target, child)) continue;
        if (out.size() > before + 1) out += ',';
        render_described(out, view_, field.target, child, &shown);
    }
    out += ']';
}

void Described::write_links(const Field &field, const std::vector<Shown> &shown) {
    if (!object_.open(field.key)) return;
    std::string &out = object_.out();
    out += '[';
    bool first = true;
    std::uint64_t position = 0;
    for (const Link &link : view_.records.links(model_, index_, field)) {
        if (!served_nested(view_, field.target, link.index)) continue;
        if (!first) out += ',';
        first = false;
        if (!field.wrapped.empty()) {
            ObjectWriter entry(out);
            if (entry.open(field.wrapped)) render_described(out, view_, field.target, link.index, &shown);
            entry.close();
            continue;
        }
        render_described(out, view_, field.target, link.index, &shown);
        std::string values;
        ObjectWriter entry(values);
        for (const Field &value : join_of(field.join).fields) {
            const std::uint64_t h = view_.records.base().hash(model_, index_, salt_of(value.key) + link.index);
            if (value.kind == Field::Kind::position)
                entry.json(value.key, std::to_string(position));
            else
                write_scalar(entry, value, h);
        }
        entry.close();
        if (values.size() > 2) {
            out.back() = ',';
            out.append(values, 1);
        }
        ++position;
    }
    out += ']';
}

} // namespace

void render_described(std::string &out, const View &view, Model model, Index index, const std::vector<Shown> *shown) {
    ObjectWriter object = record_writer(out, view, model, index);
    Described record(object, view, model, index);
    const Description &described = description(model);
    if (!shown) {
        for (const Field &field : described.fields) record.write(field, nullptr, false);
        return object.close(true);
    }
    for (const Shown &key : *shown) {
        if (key.key == "id") {
            object.keep_text("id", view.records.id(model, index));
        } else if (key.key == "remote_id") {
            object.text("remote_id", view.records.remote_id(model, index));
        } else if (key.key == "changed_at" || key.key == "remote_deleted_at") {
            const Overlay *changes = view.records.overlay(model, index);
            object.keep_time_or_null(key.key, key.key == "changed_at" ? view.records.changed_at(model, index)
                                              : changes               ? changes->deleted_at
                                                                      : 0);
        } else if (const Field *field = described.find(key.key)) {
            record.write(*field, &key.below, true);
        }
    }
    object.close();
}

} // namespace sandbox
