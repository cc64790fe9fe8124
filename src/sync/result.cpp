#include "sync/result.h"

namespace syncer {

const char *name(Status status) {
    switch (status) {
    case Status::Ok:
        return "ok";
    case Status::Failed:
        return "failed";
    case Status::Held:
        return "held";
    case Status::Skipped:
        return "skipped";
    case Status::Waiting:
        return "waiting";
    case Status::Unavailable:
        return "unavailable";
    }
    return "failed";
}

} // namespace syncer
