#include "pg/base/entry_points.h"
#include "pg/shared/shared.h"

/// Waking the workers when a transaction that has work for them commits.
namespace pg {

namespace {

/// What the present transaction has for the workers. A savepoint that is rolled back does not take it back: they are
/// woken for nothing then, which costs a look at two indexes.
bool has_work = false;
bool has_webhooks = false;
bool has_configuration = false;

void at_end_of_transaction(XactEvent event, void *) {
    // A prepared transaction is committed by somebody else: its rows are found by kombo_sync.poll_interval.
    if (event == XACT_EVENT_COMMIT && has_work)
        shared::wake(MyDatabaseId, has_configuration);
    else if (event == XACT_EVENT_COMMIT && has_webhooks)
        shared::wake_one(MyDatabaseId); // more of them would only keep rows from one another
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
        has_work = has_webhooks = has_configuration = false;
}

/// `what` of the above.
void wake_at_commit(bool &what) {
    static bool registered = false;
    if (!shared::available()) return;
    if (!registered) {
        guard([] { RegisterXactCallback(at_end_of_transaction, nullptr); });
        registered = true;
    }
    what = true;
}

} // namespace
} // namespace pg

PG_ENTRY(wake_worker, {
    if (!CALLED_AS_TRIGGER(fcinfo))
        pg::raise(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "wake_worker can only be called as a trigger");
    const TriggerData *fired = reinterpret_cast<TriggerData *>(fcinfo->context);
    const Trigger *trigger = fired->tg_trigger;
    if (strcmp(RelationGetRelationName(fired->tg_relation), "webhook_inbox") == 0)
        pg::wake_at_commit(pg::has_webhooks);
    else
        pg::wake_at_commit(pg::has_work);
    if (trigger->tgnargs > 0 && strcmp(trigger->tgargs[0], "configuration") == 0)
        pg::wake_at_commit(pg::has_configuration);
    return PointerGetDatum(nullptr);
})

PG_ENTRY(wake_workers, {
    pg::wake_at_commit(pg::has_work);
    if (PG_GETARG_BOOL(0)) pg::wake_at_commit(pg::has_configuration);
    PG_RETURN_VOID();
})
