#pragma once

#include "syncer/batch.h"
#include "syncer/catalogue.h"
#include "syncer/links.h"

#include <string>
#include <vector>

/// The SQL texts by which rows are written. Every identifier is quoted, every value a parameter.
namespace pg::statements {

/// How rows are compared.
struct Comparison {
    syncer::ColumnSet sent;     ///< these columns' values are sent: keys, changed_at, those of another type than ours
    syncer::ColumnSet digested; ///< these are compared by a digest of the row, and with Mode::Replace `extra`
    bool by_digest;             ///< whether there is anything to digest
};
Comparison comparison(const syncer::Table &table, const syncer::RowSet &set);

/// Finds the rows of a set that are not stored as they are: equal ones are left out before anything is written (no
/// tuple lock, no WAL, no trigger). With `parent_column` the rows are the lists of some parents, and what is stored of
/// these and not in the set is told, too. $1 integration id, $2 when the page was requested, $3 now, $4 the rows'
/// numbers (bigint[]), with `parent_column` $5 the parents, then, by_digest, the digests and their seed, then an array
/// per column that is sent, in the table's order. Returns number, 0 for new or 1 for different, and, where the number
/// is NULL, 1 and the keys of a row that the lists no longer hold; `with_dead`: 0 and the keys of one that they do not
/// hold and that is marked deleted.
std::string compare(const syncer::Table &table, const syncer::RowSet &set, const std::string *parent_column,
                    bool with_dead);

/// Inserts rows or updates them. $1 integration id, $2 now, then the arrays.
std::string upsert(const syncer::Table &table, const syncer::RowSet &set);

/// Inserts those whose key is not there and returns a row for each. The same parameters.
std::string insert_new(const syncer::Table &table, const syncer::RowSet &set);

/// True if parents have rows but those written just now. $1 integration id, $2 now, $3 the parents.
std::string listed_before(const syncer::Table &table, const std::string &parent_column);

/// Shows the rows of a set beside the stored ones. $1 integration id, then the arrays. Returns the ids of each, joined
/// by "/", the columns that differ, their stored values, the sent ones (of a row that is not stored all of it), and
/// whether it is stored.
std::string show(const syncer::Table &table, const syncer::RowSet &set);

/// Shows stored rows. $1 integration id, then an array per key column. Returns the ids of each, and its values.
std::string show_stored(const syncer::Table &table);

/// The ids of live rows that belong to the parents $4 and are not among $5, but for those that were written since the
/// page was requested. $1 integration id, $2 when that was, $3 now.
std::string unlisted(const syncer::Table &table, const std::string &parent_column);

/// Takes rows out of lists: an owned child is marked deleted, a join row goes. $1 integration id, $2 now, then an array
/// per key column.
std::string remove(const syncer::Table &table);

/// Removes the rows of a nested table whose parent does not exist: a join row goes, an owned one is marked deleted. $1
/// integration id, $2 now, $3 the ids of the parents in question. `unseen`: a full fetch that began at $4 did not see
/// these parents, and Kombo no longer has those of them that were dead by then.
std::string remove_orphans(const syncer::Table &table, const std::string &parent_column, const syncer::Table &parents,
                           bool unseen);

/// The same of owned records that name no parent. $1 integration id, $2 now.
std::string remove_parentless(const syncer::Table &table, const std::string &parent_column);

/// Those of the ids in $2 that none of the links names, as far as it lies in a record that Kombo serves: one that is
/// there, or that Kombo itself says was deleted after $3. $1 integration id.
std::string unlinked(const syncer::Catalogue &catalogue, const std::vector<syncer::Link> &links);

/// The identifier, quoted where it needs to be.
std::string quoted(const std::string &identifier);

/// The name of a data table, qualified, and quoted always: by that an error's hint tells it from our own tables.
std::string qualified(const syncer::Table &table);

/// `integration_id = $1 AND …` of an own table's rows that are no tombstones.
std::string live();

/// A row is not touched by what was asked for before it was written: `$2` is when that was, `$3` now. A time that lies
/// in the future was put there by hand and does not count.
std::string written_since(const std::string &alias);

/// PostgreSQL's name of the type.
const char *type_name(syncer::Type type);

} // namespace pg::statements
