# shellcheck shell=bash
# The checks of ./check lint: each a function whose output says what is wrong, and that fails then; one that cannot tell
# here returns 77. Sourced by check, after stage.sh; they look at the copy of the tree.

LINTS=(clang_format clang_tidy shellcheck layers postgresql_headers guard_only catalogue_names leftovers file_sizes
       line_length install_parts meta_json versions commit_subjects)

# Prints "ok NAME", "not ok NAME" or "skipped NAME" for each, what it found above it.
lint_all() {
    local name found status=0
    for name in "${LINTS[@]}"; do
        found=0
        (cd "$SRC" && "lint_$name") || found=$?
        case $found in
        0) echo "ok $name" ;;
        77) echo "skipped $name" ;;
        *)
            echo "not ok $name"
            status=1
            ;;
        esac
    done
    return $status
}

# none PATTERN PATH…: fails if a line matches. Further options of grep may come first.
none() {
    ! grep -rnE "$@"
}

our_cpp() {
    find src test \( -name '*.h' -o -name '*.cpp' \) -print0
}

# Each version of clang-format and clang-tidy judges differently: that of the oldest Debian counts.
other_clang() {
    [[ $PG_MAJOR != "${MAJORS[0]}" ]] && echo "$1: that of Debian's ${SUITES[${MAJORS[0]}]} counts"
}

lint_clang_format() {
    if other_clang clang-format; then return 77; fi
    our_cpp | xargs -0 clang-format --dry-run -Werror
}

# ./check format: formats what lint_clang_format would find, in the tree itself. Files keep their owner.
format_all() {
    local file formatted count=0
    while IFS= read -r -d '' file; do
        formatted=$(clang-format "$file" && echo .) || return 1
        if [[ $formatted != "$(cat "$file" && echo .)" ]]; then
            printf '%s' "${formatted%.}" >"$file" || return 1
            printf 'formatted %s\n' "$file"
            count=$((count + 1))
        fi
    done < <(our_cpp)
    printf "formatted: %d files\n" $count
}

lint_clang_tidy() {
    local status=0
    if other_clang clang-tidy; then return 77; fi
    # Only the extension: unit tests and benchmarks compile the same sources again, and each would be read twice.
    as_owner cmake -S "$SRC" -B "$T/tidy" -DPG_CONFIG="$SYSTEM_PG/bin/pg_config" -DKOMBO_SYNC_PARTS=extension ||
        return 1
    as_owner run-clang-tidy -quiet -extra-arg=-Wno-unknown-warning-option -p "$T/tidy" -j "$JOBS" "^$SRC/src/" \
        >"$LOG/clang-tidy.log" 2>&1 || status=$?
    sed 's/\x1b\[[0-9;]*m//g' "$LOG/clang-tidy.log" | grep -E '(warning|error): ' | sed "s|$SRC/||" | sort -u
    return $status
}

lint_shellcheck() {
    shellcheck -x demo check bench package .ci/run test/e2e/run test/bare_readme.sh test/package/*.sh container/*.sh
}

# design: pg -> syncer -> kombo
lint_layers() {
    local bad=0
    none '#include "(pg|syncer)/' src/kombo || bad=1
    none '#include "pg/' src/syncer || bad=1
    # Each wing of src/pg, and those that it may use beside itself.
    local wing
    local -A wings=([base]='' [shared]='base' [account]='base|shared' [store]='base|shared|account'
                      [foreign]='base|account|store'
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
    found=$(find src sql test demo check bench package container -type f -size +24k ! -path 'test/facts/*' \
        ! -path '*/upgrade/kombo_sync--*' ! -name '*.[od]')
    [[ -z $found ]] || {
        echo "larger than 24 kB: $found"
        return 1
    }
}

# Tables of Markdown cannot be wrapped. The scripts of released versions are kept as they were.
lint_line_length() {
    /usr/bin/python3 - <<'PYTHON'
import pathlib, sys
programs = {"check", "demo", "bench", "package", ".ci/run", "docs/draw", "test/e2e/run"}
bad = 0
for path in sorted(pathlib.Path(".").rglob("*")):
    name = str(path)
    top = path.parts[0]
    if not (name in programs or path.suffix in {".h", ".cpp", ".sql", ".py", ".sh", ".mjs", ".md"}):
        continue
    if (not path.is_file() or "node_modules" in path.parts or top.startswith("build")
            or path.match("sql/upgrade/kombo_sync--*") or (len(path.parts) == 1 and path.suffix == ".sql")):
        continue
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        table = path.suffix == ".md" and (line.lstrip().startswith("|") or " | " in line or "-+-" in line)
        if len(line) > 120 and not table:
            print(f"{name}:{number}: {len(line)} columns, at most 120")
            bad = 1
sys.exit(bad)
PYTHON
}

lint_install_parts() {
    local part bad=0 listed
    listed=$(sed -nE 's/^INSTALL_PARTS \+?= //p' Makefile | tr '\n' ' ')
    for part in sql/install/*.sql; do
        part=$(basename "$part" .sql)
        [[ " $listed " == *" $part "* ]] || {
            echo "sql/install/$part.sql is not in the Makefile's INSTALL_PARTS"
            bad=1
        }
    done
    return $bad
}

# The keys that PGXN's meta-spec 1.0.0 requires.
lint_meta_json() {
    /usr/bin/python3 - <<'PYTHON'
import json, pathlib, re, sys
meta = json.load(open("META.json", encoding="utf-8"))
wrong = [f'no "{key}"' for key in ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec")
         if not meta.get(key)]
for name, provided in meta.get("provides", {}).items():
    wrong += [f'provides "{name}": no "{key}"' for key in ("file", "version") if not provided.get(key)]
    if provided.get("file") and not pathlib.Path(provided["file"]).exists():
        wrong.append(f'provides "{name}": there is no {provided["file"]}')
for phase, relations in meta.get("prereqs", {}).items():
    if phase not in ("configure", "build", "test", "runtime", "develop"):
        wrong.append(f'prereqs: unknown phase "{phase}"')
    for relation, needed in relations.items():
        if relation not in ("requires", "recommends", "suggests", "conflicts"):
            wrong.append(f'prereqs: unknown relation "{relation}"')
        wrong += [f'prereqs: "{name}" has no range of versions: {range}' for name, range in needed.items()
                  if not re.fullmatch(r"((>=|<=|==|!=|>|<)? ?\d+\.\d+\.\d+(, |$))+", range)]
if not meta.get("meta-spec", {}).get("version"):
    wrong.append('meta-spec: no "version"')
version = meta.get("version")
if not re.fullmatch(r"\d+\.\d+\.\d+", version or ""):
    wrong.append(f"version {version} is not a semantic version")
print("\n".join(wrong))
sys.exit(bool(wrong))
PYTHON
}

# One version everywhere: that of kombo_sync.control.
lint_versions() {
    /usr/bin/python3 - <<'PYTHON'
import pathlib, re, sys
def read(file):
    return pathlib.Path(file).read_text(encoding="utf-8")
version = re.search(r"default_version\s*=\s*'([^']+)'", read("kombo_sync.control"))[1]
wrong = []
for file, pattern in (("Makefile", r"^EXTVERSION = (\S+)"), ("CMakeLists.txt", r"project\(kombo_sync VERSION (\S+)"),
                      ("test/unit/CMakeLists.txt", r'KOMBO_SYNC_VERSION="([^"]+)"'),
                      ("CHANGELOG.md", r"## \[([\d.]+)\]"), ("debian/changelog", r"^kombo-sync \(([\d.]+)-\d+\)"),
                      ("META.json", r'^  "version": "([^"]+)"'), ("META.json", r'^      "version": "([^"]+)"')):
    found = re.search(pattern, read(file), re.MULTILINE)
    if not found or found[1] != version:
        wrong.append(f"{file} says version {found and found[1]}, kombo_sync.control {version}")
if not re.search(rf"(?<![\d.]){re.escape(version)}(?![\d.]*\d)", read("README.md")):
    wrong.append(f"README.md does not name version {version}")
previous = re.search(r"^PREVIOUS_VERSION = (\S+)", read("Makefile"), re.MULTILINE)[1]
for name in (f"{previous}--{version}.before.sql", f"{previous}--{version}.after.sql"):
    if not pathlib.Path("sql/upgrade", name).exists():
        wrong.append(f"there is no sql/upgrade/{name}")
print("\n".join(wrong))
sys.exit(bool(wrong))
PYTHON
}

# Subjects of commits made since this check was: imperative, at most 72 characters, a capital first, no full stop.
lint_commit_subjects() {
    local git=(git -C "$ROOT" -c "safe.directory=*") first subject bad=0
    if ! "${git[@]}" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        echo "commit subjects are not read: no git here"
        return 77
    fi
    first=$("${git[@]}" log --reverse --format=%H -S'lint_commit_subjects() {' -- test/lint.sh 2>/dev/null | head -n 1)
    if [[ ! $first || -e $("${git[@]}" rev-parse --git-path shallow) ]]; then
        echo "commit subjects are not read: their history is not here"
        return 77
    fi
    while IFS= read -r subject; do
        if ((${#subject} > 72)) || [[ ! $subject =~ ^[A-Z] || $subject == *. ]] || not_imperative "${subject%% *}"; then
            echo "commit subject: $subject"
            bad=1
        fi
    done < <("${git[@]}" log --no-merges --since="$("${git[@]}" log -1 --format=%cI "$first")" --format=%s \
        "$first..HEAD")
    return $bad
}

not_imperative() {
    [[ $1 =~ (ed|ing)$ && ! $1 =~ ^(Bring|Embed|Exceed|Feed|Heed|Need|Ping|Proceed|Seed|Shed|Speed|String)$ ]]
}
