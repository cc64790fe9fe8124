#pragma once

#include "pg/base/guard.h"

namespace pg {

/// A memory context that is current while the object lives and is freed with it.
class MemoryScope {
public:
    MemoryScope() : outer_(CurrentMemoryContext) {
        own_ = guard([] { return AllocSetContextCreate(CurrentMemoryContext, "kombo_sync", ALLOCSET_DEFAULT_SIZES); });
        MemoryContextSwitchTo(own_);
    }
    ~MemoryScope() {
        MemoryContextSwitchTo(outer_);
        MemoryContextDelete(own_);
    }
    MemoryScope(const MemoryScope &) = delete;
    MemoryScope &operator=(const MemoryScope &) = delete;

private:
    MemoryContext outer_;
    MemoryContext own_ = nullptr;
};

} // namespace pg
