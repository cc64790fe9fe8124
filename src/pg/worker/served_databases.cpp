#include "pg/worker/served_databases.h"

#include "pg/base/settings.h"
#include "pg/shared/segment.h"

#include <algorithm>

namespace pg::launcher {

namespace {

using namespace std::chrono_literals;

/// The log has the same cause at most so often.
constexpr auto repeat_after = 60s;

/// A database as pg_database has it.
struct Found {
    Oid oid;
    bool allows_connections;
    bool valid;
};

/// The databases of these names, in a transaction of their own.
std::map<std::string, Found> find_databases(const std::vector<std::string> &names) {
    std::map<std::string, Found> found;
    guard([&] {
        StartTransactionCommand();
        Relation relation = table_open(DatabaseRelationId, AccessShareLock);
        TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
        while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
            const auto *row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
            if (std::find(names.begin(), names.end(), NameStr(row->datname)) == names.end()) continue;
            // -2: a DROP DATABASE of it has begun; minor releases that do not know it have no such rows
            found[NameStr(row->datname)] = {row->oid, row->datallowconn, row->datconnlimit != -2};
        }
        table_endscan(scan);
        table_close(relation, AccessShareLock);
        CommitTransactionCommand();
    });
    return found;
}

/// Whether workers can run in it.
void judge(Database &database, const std::map<std::string, Found> &found) {
    const auto its = found.find(database.name);
    if (its == found.end()) {
        database.trouble = "there is no such database";
        database.remedy = database.name.find(';') == std::string::npos
                              ? "workers start once there is, or take it out of kombo_sync.databases"
                              : "separate the names in kombo_sync.databases with commas";
    } else if (!its->second.valid) {
        database.trouble = "the database is invalid: a DROP DATABASE of it is under way, or was interrupted";
        database.remedy = "if it was, drop it again";
    } else if (!its->second.allows_connections) {
        database.trouble = "the database does not allow connections";
        database.remedy = "ALTER DATABASE ... ALLOW_CONNECTIONS true, or take it out of kombo_sync.databases";
    } else {
        database.oid = its->second.oid;
    }
}

/// A remedy as a HINT: a sentence.
std::string sentence(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(pg_toupper(static_cast<unsigned char>(text[0])));
    return text + ".";
}

} // namespace

void ServedDatabases::look() {
    const std::vector<std::string> names = settings::enabled ? settings::databases() : std::vector<std::string>();
    std::map<std::string, Found> found;
    if (!names.empty()) found = find_databases(names);
    databases_.clear();
    int left = shared::worker_slots;
    for (const std::string &name : names) {
        Database database;
        database.name = name;
        judge(database, found);
        if (OidIsValid(database.oid)) {
            database.workers = std::min(settings::workers, left);
            left -= database.workers;
            if (database.workers < settings::workers) {
                database.trouble = "more than " + std::to_string(shared::worker_slots) + " workers are wanted";
                database.remedy = "set kombo_sync.workers lower, or kombo_sync.databases shorter";
            }
        }
        databases_.push_back(std::move(database));
    }
    settle_processes();
}

/// A process for each worker that is to run; the others are terminated.
void ServedDatabases::settle_processes() {
    std::vector<WorkerProcess *> wanted;
    std::vector<std::pair<Oid, int>> missing;
    for (const Database &database : databases_) {
        for (int number = 1; number <= database.workers; ++number) {
            const auto process = std::find_if(processes_.begin(), processes_.end(), [&](const WorkerProcess &p) {
                return p.database() == database.oid && p.number() == number;
            });
            if (process == processes_.end())
                missing.emplace_back(database.oid, number);
            else
                wanted.push_back(&*process);
        }
    }
    for (WorkerProcess &process : processes_)
        process.want(std::find(wanted.begin(), wanted.end(), &process) != wanted.end());
    for (const auto &[database, number] : missing) processes_.emplace_back(database, number);
}

bool ServedDatabases::start_is_due() const {
    const auto now = Clock::now();
    return std::any_of(processes_.begin(), processes_.end(),
                       [&](const WorkerProcess &p) { return !p.running() && p.wanted() && p.due() <= now; });
}

bool ServedDatabases::manage() {
    bool ended = false;
    const auto now = Clock::now();
    for (WorkerProcess &process : processes_) ended = process.manage(now) || ended;
    processes_.erase(std::remove_if(processes_.begin(), processes_.end(),
                                    [](const WorkerProcess &p) { return !p.wanted() && !p.running(); }),
                     processes_.end());
    return ended;
}

std::optional<Clock::time_point> ServedDatabases::due() const {
    std::optional<Clock::time_point> earliest;
    for (const WorkerProcess &process : processes_) {
        const auto due = process.due();
        if (due && (!earliest || *due < *earliest)) earliest = due;
    }
    return earliest;
}

void ServedDatabases::dismiss() {
    for (WorkerProcess &process : processes_) process.terminate();
}

void ServedDatabases::report() {
    add_troubles_of_processes();
    publish();
    tell();
}

/// The trouble of a worker that does not run is its database's, unless the database has one of its own.
void ServedDatabases::add_troubles_of_processes() {
    for (Database &database : databases_) {
        if (!OidIsValid(database.oid) || database.workers < settings::workers) continue;
        const auto process = std::find_if(processes_.begin(), processes_.end(), [&](const WorkerProcess &p) {
            return p.database() == database.oid && p.wanted() && !p.trouble().empty();
        });
        const bool troubled = process != processes_.end();
        database.trouble = troubled ? process->trouble() : "";
        database.remedy = troubled ? process->remedy() : "";
        database.told = !troubled || process->told();
    }
}

/// For kombo.sync_status. What is there already keeps its time and its count of departures.
void ServedDatabases::publish() const {
    const TimestampTz now = GetCurrentTimestamp();
    std::vector<shared::ServedDatabase> all(shared::served_databases);
    const shared::Locked lock(LW_EXCLUSIVE);
    auto &known = shared::segment().databases;
    for (size_t i = 0; i < databases_.size() && i < all.size(); ++i) {
        const Database &database = databases_[i];
        shared::ServedDatabase &entry = all[i];
        shared::put(entry.name, database.name);
        shared::put(entry.trouble, database.trouble);
        shared::put(entry.remedy, database.remedy);
        entry.oid = database.oid;
        entry.workers = database.workers;
        entry.since = now;
        for (const auto &old : known) {
            if (strcmp(old.name, entry.name) != 0 || old.oid != entry.oid) continue;
            entry.departures = old.departures;
            if (strcmp(old.trouble, entry.trouble) == 0) entry.since = old.since;
        }
    }
    std::copy(all.begin(), all.end(), known);
}

/// For the log: each trouble when it begins, and the same at most once a minute.
void ServedDatabases::tell() {
    std::vector<std::string> standing;
    const auto now = Clock::now();
    for (const Database &database : databases_) {
        if (database.trouble.empty() || !database.told) continue;
        standing.push_back(database.name + '\n' + database.trouble);
        const bool stood = std::find(standing_.begin(), standing_.end(), standing.back()) != standing_.end();
        const auto last = told_.find(standing.back());
        if (stood || (last != told_.end() && now - last->second < repeat_after)) continue;
        told_[standing.back()] = now;
        const std::string hint = sentence(database.remedy);
        guard([&] {
            ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("could not run all workers of kombo_sync in database \"%s\": %s", database.name.c_str(),
                           database.trouble.c_str()),
                    errhint("%s", hint.c_str()));
        });
    }
    standing_ = std::move(standing);
    for (auto it = told_.begin(); it != told_.end();)
        it = now - it->second < repeat_after ? std::next(it) : told_.erase(it);
}

} // namespace pg::launcher
