#pragma once

#include "syncer/catalogue.h"

#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace syncer {

/// Reads the catalogue of a category from the text that sql/catalogue.sql makes: what pg/catalogue.cpp loads, without
/// a server.
class DumpedCatalogue {
public:
    static Catalogue read(const std::string &path, const std::string &category) {
        std::ifstream file(path);
        if (!file) throw std::runtime_error("cannot read " + path);
        DumpedCatalogue reader(category);
        for (std::string line; std::getline(file, line);)
            if (!line.empty()) reader.take(split(line));
        return std::move(reader.catalogue_);
    }

private:
    using Words = std::vector<std::string>;

    explicit DumpedCatalogue(std::string category) : category_(std::move(category)) {}

    static Words split(const std::string &line) {
        Words words(1);
        for (const char c : line) {
            if (c == '\t')
                words.emplace_back();
            else
                words.back() += c;
        }
        return words;
    }

    void take(const Words &words) {
        const std::string &kind = words.at(0);
        if (kind == "table")
            take_table(words);
        else if (kind == "field")
            take_field(words);
        else if (kind == "endpoint")
            take_endpoint(words);
        else if (kind == "model")
            endpoint(words.at(1)).models.push_back({words.at(2), role(words.at(3)), words.at(4) == "t"});
        else if (kind == "nested")
            endpoint(words.at(1))
                .nested.push_back({words.at(2), relation(words.at(3)), tables_.at(words.at(4)), words.at(5)});
        else
            throw std::runtime_error("unknown line in the catalogue: " + kind);
    }

    void take_table(const Words &words) {
        Table table;
        table.name = words.at(1);
        table.join = true; // until it has an id
        tables_[table.name] = catalogue_.tables.size();
        catalogue_.tables.push_back(std::move(table));
    }

    void take_field(const Words &words) {
        const auto found = tables_.find(words.at(1));
        if (found == tables_.end()) return; // of another category
        Table &table = catalogue_.tables[found->second];
        table.fields.push_back({words.at(2), type(words.at(3)), words.at(4), words.at(5) == "t"});
        if (words.at(2) == "id") table.join = false;
    }

    void take_endpoint(const Words &words) {
        Endpoint made;
        made.path = words.at(1);
        made.category = category_;
        made.table = tables_.at(words.at(2));
        made.enabled = words.at(3) == "t";
        made.paginated = words.at(4) == "t";
        made.incremental = words.at(5) == "t";
        made.deprecated = words.at(6) == "t";
        catalogue_.endpoints.push_back(std::move(made));
    }

    Endpoint &endpoint(const std::string &path) {
        for (Endpoint &known : catalogue_.endpoints)
            if (known.path == path) return known;
        throw std::runtime_error("unknown endpoint in the catalogue: " + path);
    }

    static Type type(const std::string &name) {
        static const std::map<std::string, Type> types = {
            {"text", Type::Text}, {"boolean", Type::Boolean},         {"numeric", Type::Numeric}, {"date", Type::Date},
            {"time", Type::Time}, {"timestamptz", Type::Timestamptz}, {"jsonb", Type::Jsonb}};
        return types.at(name);
    }

    static Role role(const std::string &name) {
        static const std::map<std::string, Role> roles = {
            {"own", Role::Own}, {"implied", Role::Implied}, {"carried", Role::Carried}};
        return roles.at(name);
    }

    static Relation relation(const std::string &name) {
        static const std::map<std::string, Relation> relations = {{"owned", Relation::Owned},
                                                                  {"linked", Relation::Linked},
                                                                  {"join", Relation::Join},
                                                                  {"copy", Relation::Copy}};
        return relations.at(name);
    }

    std::string category_;
    Catalogue catalogue_;
    std::map<std::string, size_t> tables_;
};

} // namespace syncer
