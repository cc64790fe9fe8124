#pragma once

#include "sync/batch.h"
#include "sync/catalogue.h"

#include <string>
#include <vector>

/// The SQL texts by which rows are written. Every identifier is quoted, every value a parameter.
namespace pg::statements {

/// One statement that writes rows of a set. $1 integration id, $2 when the page was requested, $3 now, then an array
/// per carried field in the table's order, and with Mode::Replace an array of `extra`. Returns the numbers of inserted,
/// updated and unchanged rows. Equal rows are dropped in a join before the insert: no tuple lock, no WAL, no trigger.
std::string write(const syncer::Table &table, const syncer::RowSet &set);

/// Removes from lists what is no longer in them: an owned child is marked deleted, a join row goes. $1 integration id,
/// $2 when the page was requested, $3 now, $4 parents, then an array per key column of what the lists hold.
std::string shrink(const syncer::Table &table, const std::string &parent_column);

/// Goes through the next `limit` rows of a nested table by their parent, and removes those whose parent does not exist:
/// a join row goes, an owned one is marked deleted. By parent, as what goes are all rows of one. $1 integration id, $2
/// now, $3 the parent to begin behind. Returns the numbers of rows removed and passed, and the last parent.
std::string remove_orphans(const syncer::Table &table, const std::string &parent_column, const syncer::Table &parents,
                           uint64_t limit);

/// The identifier, quoted where it needs to be.
std::string quoted(const std::string &identifier);

/// The name of a data table, qualified and quoted.
std::string qualified(const syncer::Table &table);

/// `integration_id = $1 AND …` of an own table's rows that are no tombstones.
std::string live();

/// A row is not touched by what was asked for before it was written: `$2` is when that was, `$3` now. A time that lies
/// in the future was put there by hand and does not count.
std::string written_since(const std::string &alias);

/// PostgreSQL's name of the type.
const char *type_name(syncer::Type type);

} // namespace pg::statements
