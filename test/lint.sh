# shellcheck shell=bash
# The checks of ./check lint: each a function whose output says what is wrong, and that fails then. Sourced by check,
# after stage.sh; they look at the copy of the tree.

LINTS=(clang_format clang_tidy shellcheck layers postgresql_headers guard_only catalogue_names leftovers file_sizes
       install_parts meta_json)

# Prints "ok NAME" or "not ok NAME" for each, what it found above it.
lint_all() {
    local name status=0
    for name in "${LINTS[@]}"; do
        if (cd "$SRC" && "lint_$name"); then
            echo "ok $name"
        else
            echo "not ok $name"
            status=1
        fi
    done
    return $status
}

# none PATTERN PATH…: fails if a line matches. Further options of grep may come first.
none() {
    ! grep -rnE "$@"
}

lint_clang_format() {
    find src test \( -name '*.h' -o -name '*.cpp' \) -print0 | xargs -0 clang-format --dry-run -Werror
}

lint_clang_tidy() {
    local status=0
    # Only the extension: unit tests and benchmarks compile the same sources again, and each would be read twice.
    as_owner cmake -S "$SRC" -B "$T/tidy" -DPG_CONFIG="$SYSTEM_PG/bin/pg_config" -DKOMBO_SYNC_PARTS=extension || return 1
    as_owner run-clang-tidy -quiet -extra-arg=-Wno-unknown-warning-option -p "$T/tidy" -j "$JOBS" "^$SRC/src/" \
        >"$LOG/clang-tidy.log" 2>&1 || status=$?
    sed 's/\x1b\[[0-9;]*m//g' "$LOG/clang-tidy.log" | grep -E '(warning|error): ' | sed "s|$SRC/||" | sort -u
    return $status
}

lint_shellcheck() {
    shellcheck -x demo check bench .ci/run test/e2e/run
}

# design: pg -> syncer -> kombo
lint_layers() {
    local bad=0
    none '#include "(pg|syncer)/' src/kombo || bad=1
    none '#include "pg/' src/syncer || bad=1
    # Each wing of src/pg, and those that it may use beside itself.
    local wing
    local -A wings=([base]='' [shared]='base' [account]='base|shared' [store]='base|shared|account'
                      [worker]='base|shared|account|store' [functions]='base|shared|account|store')
    for wing in "${!wings[@]}"; do
        grep -rnE '#include "pg/' "src/pg/$wing" | grep -vE "#include \"pg/($wing|${wings[$wing]:-$wing})/" && bad=1
    done
    ls src/pg/*.* 2>/dev/null && bad=1 # every file is in a wing
    return $bad
}

lint_postgresql_headers() {
    local file bad=0 headers
    headers=$("$SYSTEM_PG/bin/pg_config" --includedir-server)
    while IFS=: read -r file name; do
        if [[ -e $headers/$name ]]; then
            echo "$file includes PostgreSQL's $name"
            bad=1
        fi
    done < <(find src -name pg -prune -o \( -name '*.h' -o -name '*.cpp' \) -print0 |
        xargs -0 grep -oHE '#include [<"][^>"]+' | sed -E 's/#include [<"]//')
    return $bad
}

# Only the guard may meet PostgreSQL's errors and exceptions of every kind.
lint_guard_only() {
    none 'PG_(TRY|CATCH|FINALLY|END_TRY)|sigsetjmp|catch *\(\.\.\.\)' src --include='*.h' --include='*.cpp' \
        --exclude='guard.*'
}

# The C++ knows no endpoint and no model: they are rows of the catalogue.
lint_catalogue_names() {
    none '"/?(hris|ats|lms|assessment)[_/][a-z]' src
}

lint_leftovers() {
    # The words are written so that this line does not find itself.
    none -I '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b' . --exclude-dir=node_modules --exclude-dir=.git --exclude='*.json'
}

# A file that has grown beyond this holds more than one concern.
# The scripts of released versions are kept as they were.
lint_file_sizes() {
    local found
    found=$(find src sql test demo check bench -type f -size +24k ! -path 'test/facts/*' \
        ! -path '*/upgrade/kombo_sync--*' ! -name '*.[od]')
    [[ -z $found ]] || {
        echo "larger than 24 kB: $found"
        return 1
    }
}

lint_install_parts() {
    local part bad=0 listed
    listed=$(sed -n 's/^INSTALL_PARTS = //p' Makefile)
    for part in sql/install/*.sql; do
        part=$(basename "$part" .sql)
        [[ " $listed " == *" $part "* ]] || {
            echo "sql/install/$part.sql is not in the Makefile's INSTALL_PARTS"
            bad=1
        }
    done
    return $bad
}

# The keys that PGXN's meta-spec 1.0.0 requires, and one version everywhere.
lint_meta_json() {
    /usr/bin/python3 - <<'PYTHON'
import json, re, sys
meta = json.load(open("META.json", encoding="utf-8"))
wrong = [f'no "{key}"' for key in ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec")
         if not meta.get(key)]
for name, provided in meta.get("provides", {}).items():
    wrong += [f'provides "{name}": no "{key}"' for key in ("file", "version") if not provided.get(key)]
if not meta.get("meta-spec", {}).get("version"):
    wrong.append('meta-spec: no "version"')
version = meta.get("version")
if not re.fullmatch(r"\d+\.\d+\.\d+", version or ""):
    wrong.append(f"version {version} is not a semantic version")
control = open("kombo_sync.control", encoding="utf-8").read()
for file, pattern in (("kombo_sync.control", r"default_version\s*=\s*'([^']+)'"), ("Makefile", r"EXTVERSION = (\S+)"),
                      ("CMakeLists.txt", r"project\(kombo_sync VERSION (\S+)"), ("CHANGELOG.md", r"## \[(\S+)\]")):
    found = re.search(pattern, open(file, encoding="utf-8").read())
    if not found or found.group(1) != version:
        wrong.append(f"{file} says version {found and found.group(1)}, META.json {version}")
print("\n".join(wrong))
sys.exit(bool(wrong))
PYTHON
}
