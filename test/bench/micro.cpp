// The parts of our own code that a page goes through before it reaches PostgreSQL, one by one, and the planner.
//
//   kombo_micro --pages=FILE --catalogue=FILE [--endpoint=/hris/employees] [options of Google Benchmark]
//
// pages: bodies of that list as Kombo sends them, a line each. catalogue: what sql/catalogue.sql prints for HRIS.

#include "dumped_catalogue.h"
#include "kombo/page.h"
#include "syncer/plan.h"
#include "syncer/shape.h"
#include "syncer/unfold.h"

#include <benchmark/benchmark.h>
#include <cstdio>

namespace {

using namespace std::chrono_literals;

struct Given {
    std::vector<std::string> pages;
    size_t bytes = 0;
    size_t records = 0;
    syncer::Catalogue catalogue;
    const syncer::Endpoint *endpoint = nullptr;
};

/// What all of them work on, read once.
Given given;

/// One round is all pages: bytes/s are those of JSON, items/s are records.
void count(benchmark::State &state) {
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(given.bytes));
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(given.records));
}

/// Looks at every value: strings and keys unescaped, the rest as its text. Returns how many values there were.
size_t walked(simdjson::ondemand::value value) {
    size_t seen = 1;
    switch (value.type()) {
    case simdjson::ondemand::json_type::object:
        for (auto field : value.get_object()) {
            benchmark::DoNotOptimize(std::string_view(field.unescaped_key()).size());
            seen += walked(field.value());
        }
        break;
    case simdjson::ondemand::json_type::array:
        for (auto element : value.get_array()) seen += walked(element.value());
        break;
    case simdjson::ondemand::json_type::string:
        benchmark::DoNotOptimize(std::string_view(value.get_string()).size());
        break;
    default:
        benchmark::DoNotOptimize(value.raw_json_token().size());
    }
    return seen;
}

/// The least that anybody who reads these pages with simdjson has to do.
void walk(benchmark::State &state) {
    std::vector<simdjson::padded_string> bodies(given.pages.begin(), given.pages.end());
    simdjson::ondemand::parser parser;
    size_t values = 0;
    for (auto round : state) {
        (void)round;
        values = 0;
        for (const simdjson::padded_string &body : bodies) {
            simdjson::ondemand::document document = parser.iterate(body);
            values += walked(document.get_value());
        }
    }
    count(state);
    state.counters["values"] = static_cast<double>(values);
}

/// A copy of the pages as a transfer leaves them, which Page::parse takes over. Not part of what is measured.
std::vector<std::string> arrived(benchmark::State &state) {
    state.PauseTiming();
    std::vector<std::string> bodies;
    for (const std::string &page : given.pages) {
        bodies.emplace_back().reserve(page.size() + simdjson::SIMDJSON_PADDING);
        bodies.back() = page;
    }
    state.ResumeTiming();
    return bodies;
}

/// The envelope read, the records delimited.
void parse(benchmark::State &state) {
    for (auto round : state) {
        (void)round;
        for (std::string &body : arrived(state)) {
            const kombo::Page page = kombo::Page::parse(std::move(body));
            benchmark::DoNotOptimize(page.records().data());
        }
    }
    count(state);
}

const kombo::Timestamp now = *kombo::parse_timestamp("2026-03-01T12:00:00Z");

/// What is enabled by default is subscribed, and was synced an hour ago.
syncer::States states() {
    syncer::States made;
    for (const syncer::Endpoint &endpoint : given.catalogue.endpoints) {
        syncer::EndpointState &state = made[endpoint.path];
        state.subscription.enabled = endpoint.enabled;
        state.watermark = now - 1h;
        state.last_full_at = now - 24h;
    }
    return made;
}

/// From the body to decoded rows of every table: parse, unfold, decode.
void unfold(benchmark::State &state) {
    const syncer::States known = states();
    const auto subscribed = [&](size_t table) { return syncer::has_writer(given.catalogue, known, table); };
    syncer::Unfolder unfolder(given.catalogue, syncer::compile_shape(given.catalogue, *given.endpoint, subscribed), {});
    kombo::Arena arena;
    size_t rows = 0;
    for (auto round : state) {
        (void)round;
        rows = 0;
        for (std::string &body : arrived(state)) {
            const kombo::Page page = kombo::Page::parse(std::move(body));
            const syncer::Batch batch = unfolder.unfold(page.records(), arena);
            for (const syncer::RowSet &set : batch.sets) rows += set.rows.size();
            arena.clear();
        }
    }
    count(state);
    state.counters["rows"] = static_cast<double>(rows);
}

/// What a webhook that names every model of the endpoint leads to.
void plan(benchmark::State &state) {
    const syncer::States known = states();
    std::vector<std::string> models;
    for (const syncer::EndpointModel &model : given.endpoint->models) models.push_back(model.model);
    const syncer::FetchRequest request{syncer::Kind::Delta, models};
    for (auto round : state) {
        (void)round;
        const syncer::Plan made = syncer::plan(given.catalogue, given.endpoint->category, known, request, now, 1h);
        benchmark::DoNotOptimize(made.tasks.data());
    }
    state.SetItemsProcessed(state.iterations());
}

void read_pages(const std::string &path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    for (std::string line; std::getline(file, line);) {
        if (line.empty()) continue;
        given.bytes += line.size();
        given.records += kombo::Page::parse(line).records().size();
        given.pages.push_back(std::move(line));
    }
    if (given.records == 0) throw std::runtime_error("no records in " + path);
}

/// The value of `--name=value`; `otherwise` where it is not given.
std::string option(int count, char **arguments, const std::string &name, const std::string &otherwise) {
    const std::string prefix = "--" + name + "=";
    for (int i = 1; i < count; ++i) {
        const std::string argument = arguments[i];
        if (argument.compare(0, prefix.size(), prefix) == 0) return argument.substr(prefix.size());
    }
    return otherwise;
}

void run(int count, char **arguments) {
    benchmark::Initialize(&count, arguments);
    read_pages(option(count, arguments, "pages", "pages.txt"));
    given.catalogue = syncer::DumpedCatalogue::read(option(count, arguments, "catalogue", "catalogue.tsv"), "HRIS");
    const std::string path = option(count, arguments, "endpoint", "/hris/employees");
    given.endpoint = given.catalogue.find(path);
    if (!given.endpoint) throw std::runtime_error("the catalogue has no endpoint " + path);
    benchmark::AddCustomContext("pages", std::to_string(given.pages.size()));
    benchmark::AddCustomContext("records", std::to_string(given.records));
    benchmark::AddCustomContext("bytes", std::to_string(given.bytes));
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}

BENCHMARK(walk)->Unit(benchmark::kMicrosecond);
BENCHMARK(parse)->Unit(benchmark::kMicrosecond);
BENCHMARK(unfold)->Unit(benchmark::kMicrosecond);
BENCHMARK(plan)->Unit(benchmark::kMicrosecond);

} // namespace

int main(int count, char **arguments) {
    try {
        run(count, arguments);
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "kombo_micro: %s\n", error.what());
        return 1;
    }
}
