#pragma once

#include "kombo/json.h"
#include "syncer/batch.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace syncer {

/// Writes JSON text, fit for jsonb, without the members that are withheld. `member(place, key)` gives the place of a
/// member's value: a pointer, null if nothing is withheld there; nullopt: the member itself is withheld. The elements
/// of a list are at the place of the list. All of the text is read by one parser, since it may nest as deeply as it is
/// long.
template <typename Place, typename MemberOf> class Redaction {
public:
    Redaction(MemberOf member, kombo::Arena &arena, kombo::Repairs &repairs)
        : member_(std::move(member)), arena_(arena), repairs_(repairs) {}

    /// Throws kombo::MalformedJson.
    std::string of(std::string_view raw, const Place *place) {
        if (!place || raw.empty() || (raw.front() != '{' && raw.front() != '['))
            return std::string(kombo::jsonb_text(raw, arena_, repairs_));
        // A copy: the parser wants padding, and the caller's own is busy with the outer record.
        const simdjson::padded_string padded(raw);
        simdjson::ondemand::parser parser;
        simdjson::ondemand::document document = checked(parser.iterate(padded));
        write(checked(document.get_value()), place, 0);
        return std::move(out_);
    }

private:
    using Value = simdjson::ondemand::value;

    static constexpr size_t deepest_list = 1024; // of lists in lists, as of jsonb_text()

    template <class T> static T checked(simdjson::simdjson_result<T> &&result) {
        T value;
        if (const auto error = std::move(result).get(value)) throw kombo::MalformedJson(simdjson::error_message(error));
        return value;
    }

    void write(Value value, const Place *place, size_t depth) {
        const std::string_view token = kombo::scalar_token(value);
        if (place && token == "{")
            write_object(checked(value.get_object()), *place);
        else if (place && token == "[" && depth < deepest_list)
            write_list(checked(value.get_array()), place, depth + 1);
        else if (place && token == "[")
            drop(value);
        else
            out_ += kombo::jsonb_text(value, arena_, repairs_);
    }

    void write_object(simdjson::ondemand::object object, const Place &place) {
        bool is_first = true;
        out_ += '{';
        kombo::for_each_field(object, arena_, repairs_, [&](std::string_view key, Value value) {
            const std::optional<const Place *> inner = member_(place, key);
            if (!inner) return;
            out_ += (is_first ? "" : ", ") + json_quote(key) + ": ";
            is_first = false;
            write(value, *inner, 0);
        });
        out_ += '}';
    }

    void write_list(simdjson::ondemand::array list, const Place *place, size_t depth) {
        bool is_first = true;
        out_ += '[';
        for (auto element : list) {
            if (!is_first) out_ += ", ";
            is_first = false;
            write(checked(std::move(element)), place, depth);
        }
        out_ += ']';
    }

    /// As text it would tell what is withheld.
    void drop(Value value) {
        kombo::raw_text(value);
        ++repairs_.depth;
        out_ += "null";
    }

    MemberOf member_;
    kombo::Arena &arena_;
    kombo::Repairs &repairs_;
    std::string out_;
};

} // namespace syncer
