#pragma once

#include "pg/base/guard.h"

/// Defines the SQL-callable function `name` with a body in braces; C++ exceptions leave it as `ereport`. Visible to the
/// dynamic loader, as all else in the library is not.
#define PG_ENTRY(name, ...)                                                                                            \
    _Pragma("GCC visibility push(default)") extern "C" {                                                               \
        PG_FUNCTION_INFO_V1(name);                                                                                     \
        Datum name(PG_FUNCTION_ARGS);                                                                                  \
    }                                                                                                                  \
    _Pragma("GCC visibility pop") Datum name(PG_FUNCTION_ARGS) {                                                       \
        return pg::entry([&]() -> Datum __VA_ARGS__);                                                                  \
    }
