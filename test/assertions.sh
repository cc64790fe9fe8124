# shellcheck shell=bash disable=SC2016,SC2034
# A PostgreSQL with assertions, from Debian's source package, for ./check --assertions. Sourced by stage.sh.

ASSERTIONS_PACKAGES=(dpkg-dev bison flex perl libssl-dev zlib1g-dev debian-archive-keyring)

# assertions_postgres: a copy of the one that is kept. That one is built first, unless it has the version that apt
# knows.
assertions_postgres() {
    local kept version
    kept=$(cache_folder)/postgresql
    version=$(apt-cache policy "postgresql-$PG_MAJOR" | awk '/Candidate:/ {print $2}')
    if [[ $(cat "$kept/debian-version" 2>/dev/null) != "$version" ]]; then
        assertions_build "$kept" "$version" || return 1
    fi
    mkdir -p "$T/usr/lib/postgresql" && cp -a "$kept" "$T$SYSTEM_PG"
}

# assertions_build FOLDER VERSION
assertions_build() {
    local source=$T/tmp/postgresql
    mkdir -p "$1" "$source"
    if ((EUID == 0)); then chown "$OWNER" "$1" "$source"; fi
    as_owner find "$1" -mindepth 1 -delete &&
        assertions_source "$source" &&
        as_owner bash -ec '
            cd "$1"
            dpkg-source --no-check -x ./*.dsc source
            cd source
            ./configure -q --prefix="$2" --enable-cassert --enable-debug --with-openssl --without-readline \
                --without-icu CFLAGS="-O1 -g"
            make -s -j"$3"
            make -s install
            make -s -C contrib install
            echo "$4" >"$2/debian-version"' assertions "$source" "$1" "$JOBS" "$2" &&
        rm -rf "$source"
}

# assertions_source FOLDER: Debian's source package, by lists of its own, as apt need not know sources here. Of a
# security update the mirror may have the packages alone: then it is that of the release.
assertions_source() {
    local suite=${SUITES[$PG_MAJOR]} only
    chroot_sources "$suite" | sed 's|^deb |deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] |' |
        as_owner tee "$1/all" >/dev/null
    for only in "" " $suite "; do
        grep -F -- "$only" "$1/all" | as_owner tee "$1/list" >/dev/null
        if as_owner bash -ec '
            mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
            cd "$1"
            apt=(apt-get -q -o Dir::Etc::SourceList="$1/list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$1/lists"
                 -o Dir::Cache="$1/cache")
            "${apt[@]}" update
            "${apt[@]}" source --download-only "postgresql-$2"' assertions "$1" "$PG_MAJOR"; then
            return
        fi
    done
    return 1
}
