# kombo_sync: the PGXS build. `make`, `make install [DESTDIR=…]`, `make uninstall`, `make installcheck` (against the
# running server), `make dist` (the bundle for PGXN). The installed library has no debug symbols (1.5 MB instead of 40);
# `make install DEBUG=1` keeps them.

EXTENSION = kombo_sync
EXTVERSION = 0.3.0

MODULE_big = kombo_sync
SOURCES = $(sort $(wildcard src/*.cpp src/*/*.cpp src/*/*/*.cpp))
OBJS = $(SOURCES:.cpp=.o)

# The order matters: each part uses what the parts before it define.
INSTALL_PARTS = catalogue edits listing hris ats lms assessment check filters integrations wrapper tables live exclusions
INSTALL_PARTS += fields operate erase schedule worker citus privileges changes status
# (INSTALL_SCRIPT would be the natural name, but it is a variable of PGXS: the install program.)
FULL_SCRIPT = $(EXTENSION)--$(EXTVERSION).sql
# The upgrade from the previous version is made of the same parts, between what is special about it and after the rows
# that the previous version shipped. Before a version follows on this one, the script as it is then has to be kept in
# sql/upgrade, as those of earlier versions are.
PREVIOUS_VERSION = 0.2.0
UPGRADE_SCRIPT = $(EXTENSION)--$(PREVIOUS_VERSION)--$(EXTVERSION).sql
UPGRADE_PARTS = $(INSTALL_PARTS:%=sql/install/%.sql)
UPGRADE_SHIPPED = sql/upgrade/$(PREVIOUS_VERSION).shipped.sql
UPGRADE_OWN = sql/upgrade/$(PREVIOUS_VERSION)--$(EXTVERSION)
DATA = $(wildcard sql/upgrade/$(EXTENSION)--*.sql)
DATA_built = $(FULL_SCRIPT) $(UPGRADE_SCRIPT)
# Whatever lies in the schema, a name that a script does not qualify means PostgreSQL's own.
PINNED = SET LOCAL search_path = pg_catalog, pg_temp;

# `setup` creates the extension that all the others use.
REGRESS = setup $(filter-out setup,$(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql))))
REGRESS_OPTS = --encoding=UTF8 --no-locale

PG_CONFIG ?= pg_config
# g++ 12 takes std::optional for uninitialised where it is not, hence -Wno-maybe-uninitialized.
PG_CXXFLAGS = -std=c++17 -O2 -fvisibility=hidden -Wall -Wextra -Wshadow -Wconversion -Werror -Wno-register \
	-Wno-maybe-uninitialized -MMD -MP -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-DKOMBO_SYNC_VERSION='"$(EXTVERSION)"'
SHLIB_LINK = -lcurl -ljansson -lsimdjson -lcrypto -lstdc++
EXTRA_CLEAN = $(OBJS:.o=.d)

# `./check --sanitize` sets it, as address,undefined. PostgreSQL's headers count on -fwrapv, with which no overflow is
# found: our own code must do without. A library for threads cannot be loaded into PostgreSQL, which has none.
ifneq ($(filter address%,$(SANITIZE)),)
SANITIZED = -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
PG_CXXFLAGS += $(SANITIZED) -O1 -g -fno-omit-frame-pointer -fno-wrapv
SHLIB_LINK += $(SANITIZED)
DEBUG = 1
endif

# Bitcode serves inlining into SQL expressions; this module has nothing to inline, and it doubles the build.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

ifndef DEBUG
INSTALL_STRIP_FLAG = -s
endif

# The flags and the version are in here.
$(OBJS): Makefile

$(FULL_SCRIPT): $(INSTALL_PARTS:%=sql/install/%.sql) Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION kombo_sync" to load this file. \quit' '$(PINNED)'; \
	  cat $(INSTALL_PARTS:%=sql/install/%.sql); } > $@.tmp
	mv $@.tmp $@

$(UPGRADE_SCRIPT): $(UPGRADE_OWN).before.sql $(UPGRADE_SHIPPED) $(UPGRADE_OWN).gone.sql $(UPGRADE_PARTS) \
		$(UPGRADE_OWN).after.sql sql/upgrade/replace.sed Makefile
	{ printf '%s\n' '\echo Use "ALTER EXTENSION kombo_sync UPDATE" to load this file. \quit' '$(PINNED)'; \
	  cat $(UPGRADE_OWN).before.sql $(UPGRADE_SHIPPED) $(UPGRADE_OWN).gone.sql; \
	  sed -f sql/upgrade/replace.sed $(UPGRADE_PARTS); \
	  cat $(UPGRADE_OWN).after.sql; } > $@.tmp
	mv $@.tmp $@

# The bundle for PGXN, of what is committed.
DIST = dist/$(EXTENSION)-$(EXTVERSION)

dist:
	mkdir -p dist
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ -o $(DIST).zip HEAD

.PHONY: dist

-include $(OBJS:.o=.d)
