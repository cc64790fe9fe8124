#include "pg/base/key_planning.h"
#include "pg/base/postgres.h"
#include "pg/base/settings.h"
#include "pg/shared/shared.h"
#include "pg/worker/launcher.h"

// With -fvisibility=hidden PostgreSQL 15 would not find even the magic block.
#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
void _PG_init(void);
}
#pragma GCC visibility pop

void _PG_init(void) {
    pg::entry([] {
        pg::settings::define();
        pg::install_key_planning();
        pg::shared::define();
        pg::launcher::define();
    });
}
