#pragma once

#include <stdexcept>
#include <string>

namespace syncer {

/// An error of the database, as the sync needs to see it. `pg::Error` is the one that is thrown.
class DatabaseError : public std::exception {
public:
    /// Five characters of SQLSTATE.
    virtual std::string sqlstate() const = 0;
    virtual std::string message() const = 0;
    virtual std::string detail() const = 0;
    virtual std::string hint() const = 0;
    /// The function in which it was raised, with its line; empty: in none.
    virtual std::string raised_in() const { return {}; }
    /// The role that syncs run as; empty: not known.
    virtual std::string sync_role() const { return {}; }
    /// The foreign key or other constraint that it is about; empty: none.
    virtual std::string constraint() const { return {}; }
    /// The table has no partition for the row.
    virtual bool is_missing_partition() const { return false; }

    /// True for the SQLSTATE classes that blame the data of one record: 22 data exception, 23 integrity constraint,
    /// 44 check option, 54 program limit, P0 raised by a trigger.
    bool is_records_fault() const {
        if (is_missing_partition()) return false;
        const std::string state = sqlstate();
        for (const char *blamed : {"22", "23", "44", "54", "P0"})
            if (state.compare(0, 2, blamed) == 0) return true;
        return false;
    }

    /// True if another table refers to a row that was to go.
    bool is_reference() const { return sqlstate() == "23503"; }

    /// True if the statement or session is being ended from outside (57: cancel, timeouts, shutdown): such an error is
    /// never an endpoint's failure.
    bool is_intervention() const { return sqlstate().compare(0, 2, "57") == 0; }
};

/// A mistake in the catalogue's rows or in the caller's arguments; `pg` reports it with its SQLSTATE.
class InvalidRequest : public std::runtime_error {
public:
    InvalidRequest(const std::string &message, std::string detail_, std::string hint_, std::string sqlstate_ = "22023")
        : std::runtime_error(message), detail(std::move(detail_)), hint(std::move(hint_)),
          sqlstate(std::move(sqlstate_)) {}
    std::string detail;
    std::string hint;
    std::string sqlstate;
};

/// A name that is neither an endpoint nor a model of the integration's category.
class UnknownName : public InvalidRequest {
    using InvalidRequest::InvalidRequest;
};

/// More records were refused than a user could look through: the endpoint fails and parks nothing.
class TooManyParked : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

} // namespace syncer
