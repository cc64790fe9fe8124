# shellcheck shell=bash disable=SC2034
# What ./demo, ./check and ./bench share: the Debian packages, a temporary folder with a copy of the tree, the build, a
# PostgreSQL of its own in there, and the end of all that. Sourced by them, with the tree's root as working folder.
#
# Sets: T (the temporary folder), LOG (its logs), SRC (the copy), BUILD (the programs that cmake builds), PGBIN (our
# PostgreSQL's programs), TREE (the kept build, with the sources and objects in src and cmake's in build).
# Everything that is built or run belongs to an ordinary user, also when root calls: PostgreSQL refuses root.

ROOT=$PWD
# The supported majors of PostgreSQL, and the Debian that each comes with.
MAJORS=(15 17 18)
declare -A SUITES=([15]=bookworm [17]=trixie [18]=forky)
HOST_SUITE=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)

# The major of this Debian; elsewhere the newest that is installed.
own_major() {
    local major
    for major in "${MAJORS[@]}"; do
        if [[ ${SUITES[$major]} == "$HOST_SUITE" ]]; then
            echo "$major"
            return
        fi
    done
    for major in "${MAJORS[@]}"; do [[ ! -x /usr/lib/postgresql/$major/bin/pg_config ]] || echo "$major"; done |
        tail -n 1 | grep . || echo "${MAJORS[0]}"
}

PG_MAJOR=$(own_major)
SYSTEM_PG=/usr/lib/postgresql/$PG_MAJOR
JOBS=$(nproc)
CREATECLUSTER_OVERRIDE=/etc/postgresql-common/createcluster.d/kombo_sync.conf
# Kombo's own client reads the sandbox, and examples/node needs pg.
NODE_PACKAGES=(@kombo-api/sdk@1.1.3 pg@8.23.1)
# The service of test/bench/guide.mjs, with the ORM and the HTTP client that Kombo's guide names. Prisma 7, which is no
# faster here, cannot make its client with Debian's Node 18.
BENCH_NODE_PACKAGES=(prisma@6.19.3 @prisma/client@6.19.3 @prisma/adapter-pg@6.19.3 axios@1.21.1)

BUILD_PACKAGES=(g++ make cmake python3 curl ca-certificates "postgresql-$PG_MAJOR" "postgresql-client-$PG_MAJOR"
                "postgresql-server-dev-$PG_MAJOR" libcurl4-openssl-dev libjansson-dev libsimdjson-dev libssl-dev
                libcpp-httplib-dev pkgconf)
UNIT_PACKAGES=(libgtest-dev)
E2E_PACKAGES=(python3-pytest python3-pytest-xdist python3-psycopg "postgresql-$PG_MAJOR-cron")
BENCH_PACKAGES=(libbenchmark-dev python3-psycopg)
# Programs of the benchmarks.
BENCH_TARGETS=(raw-client kombo_micro)
# The part of the CMake project that each target is in.
declare -A TARGET_PARTS=([kombo_unit_tests]=unit [kombo-sandbox]=sandbox [raw-client]=bench [kombo_micro]=bench)
LINT_PACKAGES=(clang-format clang-tidy shellcheck)
FUZZ_PACKAGES=(clang libclang-rt-dev)

# shellcheck source=test/progress.sh
source "${BASH_SOURCE%/*}/progress.sh"
# shellcheck source=test/cache.sh
source "${BASH_SOURCE%/*}/cache.sh"
# shellcheck source=test/chroot.sh
source "${BASH_SOURCE%/*}/chroot.sh"
# shellcheck source=test/listening.sh
source "${BASH_SOURCE%/*}/listening.sh"
# shellcheck source=test/assertions.sh
source "${BASH_SOURCE%/*}/assertions.sh"
# shellcheck source=test/instrument.sh
source "${BASH_SOURCE%/*}/instrument.sh"

T='' LOG='' SRC='' BUILD='' PGBIN='' OWNER='' CHILD='' SANDBOX_URL='' MADE_OVERRIDE=''
# Set where a log was named: it is to be there afterwards, also after Ctrl-C.
KEEP_LOGS=''

# Process groups that end with the stage.
STAGED=()

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# usage PROGRAM: its help, which is the comment at its head.
usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$1"
}

# --- packages ---------------------------------------------------------------------------------------------------

# stage_packages NAME…: installs those that are missing, as root or through sudo; otherwise lists them and ends.
stage_packages() {
    local name missing=() root=()
    command -v dpkg-query >/dev/null || fail "This needs Debian's packages (dpkg is not here): $*"
    for name in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null ||
            fail "These Debian packages are missing, and sudo cannot be used here without a password:" \
            "    apt-get install --no-install-recommends ${missing[*]}"
        root=(sudo -n)
    fi
    printf 'installing %s\n' "${missing[*]}"
    local log
    log=$(mktemp)
    if ! install_packages "${missing[@]}" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        fail "Installing packages failed; its log is $log"
    fi
    rm -f "$log"
    if [[ " ${missing[*]} " == *" postgresql-$PG_MAJOR "* ]]; then
        echo "PostgreSQL was installed without a cluster; \"pg_createcluster $PG_MAJOR main --start\" makes one."
    fi
}

# Debian's PostgreSQL makes and starts a cluster `main` when it is installed. That is not ours to leave behind, so it
# is told not to, for as long as this takes. (Uses `root` of its caller.)
install_packages() {
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends)
    "${apt[@]}" update || true
    if [[ " $* " == *" postgresql-$PG_MAJOR "* ]]; then
        "${apt[@]}" install postgresql-common || return 1
        MADE_OVERRIDE=yes
        trap remove_override EXIT
        "${root[@]}" mkdir -p "${CREATECLUSTER_OVERRIDE%/*}"
        echo "create_main_cluster = false" | "${root[@]}" tee "$CREATECLUSTER_OVERRIDE"
    fi
    local status=0
    "${apt[@]}" install "$@" || status=$?
    remove_override
    return $status
}

remove_override() {
    [[ $MADE_OVERRIDE ]] || return 0
    if ((EUID == 0)); then rm -f "$CREATECLUSTER_OVERRIDE"; else sudo -n rm -f "$CREATECLUSTER_OVERRIDE"; fi
    MADE_OVERRIDE=''
}

# Node may be there from elsewhere, and Debian's npm cannot be installed beside such a one.
stage_node() {
    command -v node >/dev/null && command -v npm >/dev/null && return 0
    stage_packages nodejs npm
}

# stage_guide FOLDER: what test/bench/guide.mjs needs when it is run with FOLDER as working folder. Its client does
# without Prisma's engines; that they are named keeps prisma from downloading them. What either caches goes with T.
stage_guide() {
    local HOME=$T/home
    npm install --prefix "$1" --no-audit --no-fund --ignore-scripts --loglevel=error "${BENCH_NODE_PACKAGES[@]}" \
        </dev/null &&
        cp test/bench/guide.prisma "$1/schema.prisma" &&
        (cd "$1" && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true PRISMA_QUERY_ENGINE_LIBRARY=/bin/true CHECKPOINT_DISABLE=1 \
            node_modules/.bin/prisma generate --no-hints </dev/null) &&
        chmod -R a+rX "$1"
}

# --- the temporary folder and what runs in it -------------------------------------------------------------------

# stage_open NAME: makes T and its logs, and sees to it that everything ends with this program.
stage_open() {
    trap stage_close EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    OWNER=$(id -un)
    # The packages bring that user; ./check bare alone has neither, and runs nothing of its own.
    if ((EUID == 0)) && id postgres >/dev/null 2>&1; then OWNER=postgres; fi
    # Not $TMPDIR: a unix socket's path may have 107 bytes, and each folder above must let the ordinary user through.
    # KOMBO_TMP is for the tests of these commands.
    T=$(mktemp -d "${KOMBO_TMP:-/tmp}/$1.XXXXXX")
    LOG=$T/log SRC=$T/src BUILD=$T/build PGBIN=$T$SYSTEM_PG/bin
    mkdir "$LOG" "$SRC" "$BUILD" "$T/home" "$T/tmp" "$T/s"
    chmod 755 "$T"
    if ((EUID == 0)); then chown -R "$OWNER" "$T"; fi
    printf 'logs         %s\n' "$LOG"
}

# as_owner COMMAND…: as the ordinary user, in the copy of the tree, with none of the caller's PostgreSQL settings.
as_owner() {
    local variable clean=(env -u MAKEFLAGS -u MAKELEVEL -u PYTHONPATH) user=()
    for variable in $(compgen -e PG || true); do clean+=(-u "$variable"); done
    if ((EUID == 0)); then user=(setpriv "--reuid=$OWNER" "--regid=$(id -gn "$OWNER")" --init-groups); fi
    (cd "$SRC" && exec "${user[@]}" "${clean[@]}" HOME="$T/home" TMPDIR="$T/tmp" LC_ALL=C.UTF-8 \
        PGHOST="$T/s" PGPORT=5432 PGUSER=postgres PYTHONDONTWRITEBYTECODE=1 "$@")
}

# in_group COMMAND…: waits for it, so that a signal to us is acted upon at once; what it started ends with it.
in_group() {
    local status=0
    set -m
    "$@" </dev/null &
    CHILD=$!
    set +m
    wait "$CHILD" || status=$?
    end_group
    return $status
}

end_group() {
    [[ $CHILD ]] && kill -TERM -- "-$CHILD" 2>/dev/null
    CHILD=''
}

# step NAME COMMAND…: says how it went; its output is in $LOG/NAME.log, the end of which is shown if it fails.
step() {
    local name=$1 status=0 began=$SECONDS
    watched "$@" || status=$?
    if ((status == 0)); then
        printf '%-12s done in %d s\n' "$name" $((SECONDS - began))
    else
        KEEP_LOGS=yes
        printf '%-12s FAILED (exit code %d)\n' "$name" $status
        tail -n 25 "$LOG/$name.log" | sed 's/^/    /'
        printf '    log: %s\n' "$(kept_log "$name")"
    fi
    return $status
}

# The place of a log once T is gone.
kept_log() {
    printf '%s-log/%s.log' "$T" "$1"
}

stage_close() {
    local status=$? file pid started=() left=yes
    trap '' INT TERM HUP
    trap - EXIT
    remove_override
    [[ $T ]] || exit $status
    # The shell knows what it has started, also where a signal came before a variable of ours was set.
    read -ra started -d '' < <(jobs -p)
    for pid in "${started[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null; done
    if [[ $TICKER && -t 1 ]]; then printf '\r\e[K'; fi
    # What was interrupted may need its files until it has ended: make removes what it was writing.
    for _ in {1..100}; do
        left=''
        for pid in "${started[@]}"; do
            if [[ " ${STAGED[*]} " != *" $pid "* ]] && kill -0 -- "-$pid" 2>/dev/null; then left=yes; fi
        done
        [[ $left ]] || break
        sleep 0.1
    done
    for pid in "${started[@]}"; do kill -KILL -- "-$pid" 2>/dev/null; done
    if [[ ! $left ]]; then cache_close; fi
    while IFS= read -r file; do stop_postmaster "$file"; done < <(find "$T" -name postmaster.pid 2>/dev/null)
    if [[ $KEEP_LOGS ]] || ((status != 0 && status < 128)); then
        rm -rf "$T-log"
        cp -r "$LOG" "$T-log" 2>/dev/null && chmod -R a+rX "$T-log"
    fi
    rm -rf "$T" 2>/dev/null || { sleep 1; rm -rf "$T"; }
    exit $status
}

# Ends the server of a postmaster.pid in T, if it is one of ours indeed.
stop_postmaster() {
    local pid program
    pid=$(head -n 1 "$1") || return 0
    program=$(readlink "/proc/$pid/exe")
    [[ $program == "$(readlink -f "$PGBIN")"/postgres* ]] || return 0
    kill -QUIT "$pid" 2>/dev/null
    for _ in {1..50}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
}

# --- copy, build, PostgreSQL ------------------------------------------------------------------------------------

# The files of the project as they are now, committed or not; without git all files.
stage_copy() {
    tree_files --others --exclude-standard | tar --null -T - -cf - | tar -C "$SRC" -xf - --no-same-owner
    if ((EUID == 0)); then chown -R "$OWNER" "$SRC"; fi
    chmod -R u+rwX,go+rX "$SRC"
}

# tree_files [OPTION]…: the names of the files that git tracks, each with a null byte behind it; the options are more of
# `git ls-files`. Without git those of all files.
tree_files() {
    local file
    if git -c safe.directory='*' rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git -c safe.directory='*' ls-files -z --cached "$@"
    else
        find . -name .git -prune -o -type f -print0
    fi | while IFS= read -r -d '' file; do
        if [[ -e $file ]]; then printf '%s\0' "$file"; fi
    done
}

# PostgreSQL finds its files relative to its programs, so a copy of it is another installation.
stage_postgres() {
    if [[ ${ASSERTIONS:-} ]]; then
        assertions_postgres
        return
    fi
    mkdir -p "$T/usr/lib/postgresql" "$T/usr/share/postgresql"
    cp -a "$SYSTEM_PG" "$T/usr/lib/postgresql/"
    cp -a "/usr/share/postgresql/$PG_MAJOR" "$T/usr/share/postgresql/"
    if ((EUID == 0)); then chown -R "$OWNER" "$T/usr"; fi
}

stage_make() {
    local config=$SYSTEM_PG/bin/pg_config target=$T make steps
    # It says itself where it lies.
    if [[ ${ASSERTIONS:-} ]]; then config=$PGBIN/pg_config target=''; fi
    make=(make -C "$TREE/src" "PG_CONFIG=$config")
    steps=$(as_owner "${make[@]}" -n all | grep -c -- ' -c -o ')
    as_owner "${make[@]}" -j"$JOBS" all | percentages "$steps" ' -c -o ' &&
        as_owner "${make[@]}" install DESTDIR="$target" && instrument_postgres
}

# stage_cmake TARGET…: configures only the parts that these targets are in. Other parts need packages that the caller
# does not install.
stage_cmake() {
    local target parts='' program
    for target in "$@"; do parts+=${parts:+;}${TARGET_PARTS[$target]}; done
    as_owner cmake -S "$TREE/src" -B "$TREE/build" -DKOMBO_SYNC_PARTS="$parts" &&
        as_owner cmake --build "$TREE/build" -j "$JOBS" --target "$@" || return 1
    if [[ $TREE == "$T" ]]; then return; fi
    for target in "$@"; do
        program=$(cd "$TREE/build" && find . -type f -name "$target")
        as_owner install -D "$TREE/build/$program" "$BUILD/$program" || return 1
    done
}

# stage_cluster SETTING…: a cluster in T that only this program's socket folder leads to; the settings are lines of its
# postgresql.conf.
stage_cluster() {
    as_owner "$PGBIN/initdb" -D "$T/pg" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync &&
        printf '%s\n' "listen_addresses = ''" "port = 5432" "unix_socket_directories = '$T/s'" "fsync = off" \
            "log_line_prefix = '%m [%p] '" "$@" | as_owner tee -a "$T/pg/postgresql.conf" &&
        as_owner "$PGBIN/pg_ctl" -D "$T/pg" -l "$T/log/server.log" -w -s start
}

# stage_sandbox PROGRAM OPTION…: the sandbox Kombo server on a port of its own; sets SANDBOX_URL.
stage_sandbox() {
    set -m
    as_owner "$@" --port 0 >"$LOG/sandbox.log" 2>&1 </dev/null &
    STAGED+=($!)
    set +m
    sandbox_url "$LOG/sandbox.log" "${STAGED[-1]}" >/dev/null ||
        fail "The sandbox did not start:" "$(cat "$LOG/sandbox.log")"
}
