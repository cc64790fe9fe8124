#pragma once
// PostgreSQL's planner and executor, as a foreign data wrapper meets them.

#include "pg/base/guard.h"

extern "C" {
#include <access/sysattr.h>
#include <commands/explain.h>
#include <commands/vacuum.h>
#include <executor/execAsync.h>
#include <executor/executor.h>
#include <foreign/fdwapi.h>
#include <nodes/makefuncs.h>
#include <nodes/nodeFuncs.h>
#include <optimizer/clauses.h>
#include <optimizer/cost.h>
#include <optimizer/optimizer.h>
#include <optimizer/pathnode.h>
#include <optimizer/paths.h>
#include <optimizer/planmain.h>
#include <optimizer/restrictinfo.h>
#include <parser/parsetree.h>
#include <utils/rel.h>
#include <utils/ruleutils.h>
#include <utils/sampling.h>
#include <utils/selfuncs.h>
}

namespace pg::fdw {

/// Has the object deleted when the memory context is reset, as it is at the end of whatever it serves, also by an
/// error.
template <class T> void delete_with(MemoryContext context, T *object) {
    guard([&] {
        auto *callback =
            static_cast<MemoryContextCallback *>(MemoryContextAllocZero(context, sizeof(MemoryContextCallback)));
        callback->func = [](void *owned) { delete static_cast<T *>(owned); };
        callback->arg = object;
        MemoryContextRegisterResetCallback(context, callback);
    });
}

} // namespace pg::fdw
