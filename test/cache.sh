# shellcheck shell=bash
# The build that ./demo, ./check and ./bench share, and keep between runs. Sourced by stage.sh.
#
# A user has one tree of it, TREE: a copy of the sources in src, where make leaves its objects, and cmake's in build. A
# command takes the lock, brings the copy up to date, builds what changed, takes a copy of the results into its own
# temporary folder, and gives the lock back. As root all of the tree belongs to the user postgres, as all that is built.

TREE=''
CACHE_LOCK=''

# Root's home is closed to the user postgres. KOMBO_CACHE is for the tests of these commands.
cache_folder() {
    local base=${XDG_CACHE_HOME:-}
    if [[ $base != /* ]]; then base=${HOME:-/nonexistent}/.cache; fi
    if ((EUID == 0)); then base=/var/cache; fi
    # Objects of another kind are kept apart.
    printf '%s%s%s' "${KOMBO_CACHE:-$base/kombo_sync}" "${SANITIZE:+/sanitized}" "${ASSERTIONS:+/assertions}"
}

# cache_open: takes the lock, and makes TREE/src what SRC is.
cache_open() {
    local folder
    folder=$(cache_folder)
    TREE=$folder/tree
    if ! cache_usable "$folder"; then
        printf 'build        in the temporary folder, as %s cannot be written: the next command builds again\n' \
            "$folder"
        folder=$T/cache TREE=$T/cache/tree
        cache_usable "$folder" || fail "$folder cannot be written"
    elif [[ -e $TREE/versions ]]; then
        printf 'build        kept in %s, %s (--clean removes it)\n' "$folder" "$(size_of "$folder")"
    else
        printf 'build        will be kept in %s (--clean removes it)\n' "$folder"
    fi
    cache_lock "$folder"
    as_owner bash -c "$(declare -f tree_refresh tree_copy tree_fits); tree_refresh \"\$@\"" tree_refresh \
        "$TREE" "$SRC" "$T/tmp" "$(cache_versions)" || fail "$TREE could not be brought up to date"
}

# cache_usable FOLDER: makes the folders, if they can be made.
cache_usable() {
    mkdir -p "$1" 2>/dev/null && : 2>/dev/null >>"$1/lock" || return 1
    if [[ ! -e $1/tree ]]; then
        mkdir "$1/tree" 2>/dev/null && if ((EUID == 0)); then chown "$OWNER" "$1/tree"; fi
    fi
    as_owner test -w "$1/tree"
}

# cache_lock FOLDER: waits until no other command builds there.
cache_lock() {
    local said=''
    while :; do
        exec {CACHE_LOCK}>>"$1/lock"
        if ! flock -n "$CACHE_LOCK"; then
            if [[ ! $said ]]; then printf 'build        waiting for another command that builds in %s\n' "$1"; fi
            said=yes
            in_group flock "$CACHE_LOCK"
        fi
        # --clean may have removed it meanwhile.
        if [[ /proc/self/fd/$CACHE_LOCK -ef $1/lock ]]; then return; fi
        exec {CACHE_LOCK}>&-
        mkdir -p "$1"
    done
}

# cache_close: the build has ended by itself, well or badly. What was killed leaves its mark, and nobody trusts the
# objects that it was writing.
cache_close() {
    [[ $CACHE_LOCK ]] || return 0
    as_owner rm -f "$TREE/building"
    # Servers that were started meanwhile would hold the lock by their copy of the file descriptor.
    flock -u "$CACHE_LOCK"
    exec {CACHE_LOCK}>&-
    CACHE_LOCK=''
}

# cache_clean: --clean of the commands.
cache_clean() {
    local folder size
    folder=$(cache_folder)
    if [[ ! -e $folder ]]; then
        printf 'There is no kept build (%s).\n' "$folder"
        return
    fi
    [[ -w $folder ]] || fail "$folder cannot be written."
    cache_lock "$folder"
    size=$(size_of "$folder")
    # Of ./check bare, ./check matrix and ./package.
    chroot_clean "$folder"
    rm -rf "$folder/tree" "$folder/sanitized" "$folder/assertions" "$folder/lock"
    rmdir "$folder" 2>/dev/null
    printf 'Removed the kept build in %s: %s freed.\n' "$folder" "$size"
}

size_of() {
    du -sm "$1" | awk '{print $1 " MB"}'
}

# Inputs of the objects beside the sources: a word, and its value. A package that is not there yet may come later.
cache_versions() {
    local name
    printf 'tree %s\nsystem %s %s\n' "$TREE" "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release)" "$(uname -m)"
    printf 'compiler %s\n' "$("${CXX:-g++}" --version 2>&1 | head -n 1)"
    printf 'flags %s|%s|%s|%s|%s|%s\n' "${CXX:-}" "${CXXFLAGS:-}" "${CPPFLAGS:-}" "${LDFLAGS:-}" "${COPT:-}" \
        "${PROFILE:-}${SANITIZE:-}"
    for name in libc6-dev cmake "${BUILD_PACKAGES[@]}" "${UNIT_PACKAGES[@]}" "${BENCH_PACKAGES[@]}" \
        "${FUZZ_PACKAGES[@]}"; do
        if [[ $name == *-dev* || $name == cmake ]]; then
            dpkg-query -W -f '${Package} ${Version}\n' "$name" 2>/dev/null
        fi
    done
}

# --- run as the tree's owner: root does not follow what another user may have put there --------------------------

# tree_refresh TREE SOURCES TEMPORARY VERSIONS
tree_refresh() {
    set -e
    local tree=$1 sources=$2 temporary=$3
    printf '%s\n' "$4" >"$temporary/versions"
    if [[ -e $tree/building ]] || ! tree_fits "$tree/versions" "$temporary/versions"; then
        find "$tree" -mindepth 1 -delete
    fi
    mkdir -p "$tree/src" "$tree/build"
    : >"$tree/building"
    touch "$tree/versions" "$tree/sums"
    sort -u -k 1,1 "$temporary/versions" "$tree/versions" >"$temporary/merged"
    cp "$temporary/merged" "$tree/versions"
    tree_copy "$tree" "$sources" "$temporary/sums"
}

# tree_fits OLD NEW: nothing that both name differs.
tree_fits() {
    [[ -e $1 ]] && awk 'NR == FNR {was[$1] = $0; next} $1 in was && was[$1] != $0 {bad = 1} END {exit bad}' "$1" "$2"
}

# tree_copy TREE SOURCES SUMS: writes only files whose contents differ, so that these are newer than their objects, and
# the others are not: times of another checkout say nothing.
tree_copy() {
    local name gone=''
    (cd "$2" && find . -type f -print0 | xargs -0 sha256sum) >"$3"
    while IFS= read -r name; do
        rm -f "$1/src/$name"
        case $name in *.cpp) rm -f "$1/src/${name%.cpp}.o" "$1/src/${name%.cpp}.d" ;; esac
        gone=yes
    done < <(comm -23 <(cut -c 67- "$1/sums" | sort) <(cut -c 67- "$3" | sort))
    # It is made of fewer objects now, none of which is new.
    if [[ $gone ]]; then rm -f "$1/src/kombo_sync.so"; fi
    while IFS= read -r name; do
        mkdir -p "$1/src/$(dirname "$name")"
        rm -f "$1/src/$name"
        cp --preserve=mode "$2/$name" "$1/src/$name"
    done < <(cd "$1/src" && sha256sum --check --quiet "$3" 2>/dev/null |
        sed -n 's/: FAILED\( open or read\)\{0,1\}$//p')
    cp "$3" "$1/sums"
}
