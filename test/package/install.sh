#!/bin/bash
# Installs, uses and removes the packages, for ./package test: as root in the project's folder, on a Debian that has
# nothing but its base system. install.sh MAJOR; the packages are in ../packages.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
# shellcheck source=test/listening.sh
source test/listening.sh
# shellcheck source=test/package/syncing.sh
source test/package/syncing.sh

MAJOR=$1
PACKAGE=postgresql-$MAJOR-kombo-sync
VERSION=$(sed -n "s/^default_version = '\(.*\)'/\1/p" kombo_sync.control)
PREVIOUS=$(sed -n 's/^PREVIOUS_VERSION = //p' Makefile)
SHARE=/usr/share/postgresql/$MAJOR/extension

main() {
    install_package
    start_sandbox
    start_cluster
    check "the version before upgrades" upgrade
    check "a worker syncs after the upgrade" synced_by_worker upgraded
    check "a fresh installation syncs" fresh_installation
    check "the symbols are in a package of their own" symbols
    check "a purge leaves nothing, and a server that starts" purge
}

install_package() {
    apt-get -q update
    apt-get -qy --no-install-recommends install postgresql-common
    echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf
    local found sandbox_needs
    readarray -t sandbox_needs <../packages/test/packages
    apt-get -qy --no-install-recommends install "../packages/${PACKAGE}_"*.deb "${sandbox_needs[@]}"
    found=$(for program in gcc g++ cc c++ make; do command -v $program; done || true)
    printf '%s\n' "$found"
    [[ ! $found ]]
    dpkg-query -W -f '${Depends}\n' "$PACKAGE" | grep -E "postgresql-$MAJOR \((>=|>>) $MAJOR\.[0-9]+\)"
}

start_sandbox() {
    : >/tmp/sandbox.log
    ../packages/test/kombo-sandbox "${SANDBOX_OPTIONS[@]}" >>/tmp/sandbox.log 2>&1 </dev/null &
    sandbox_url /tmp/sandbox.log $!
}

start_cluster() {
    pg_createcluster "$MAJOR" main -- --encoding=UTF8 --locale=C.UTF-8
    pg_conftool "$MAJOR" main set shared_preload_libraries kombo_sync
    pg_conftool "$MAJOR" main set kombo_sync.databases upgraded
    pg_ctlcluster "$MAJOR" main start
}

# sql DATABASE STATEMENT…
sql() {
    local database=$1 options=()
    shift
    for statement in "$@"; do options+=(-c "$statement"); done
    (cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d "$database" "${options[@]}")
}

# The functions of the version before are of its library, which is not here.
upgrade() {
    gunzip -c "test/upgrade/kombo_sync--$PREVIOUS.sql.gz" >"$SHARE/kombo_sync--$PREVIOUS.sql"
    sql postgres "CREATE DATABASE upgraded"
    sql upgraded "SET check_function_bodies = off" "CREATE EXTENSION kombo_sync VERSION '$PREVIOUS'" \
        "ALTER EXTENSION kombo_sync UPDATE"
    rm "$SHARE/kombo_sync--$PREVIOUS.sql"
    [[ $(sql upgraded "SELECT extversion FROM pg_extension WHERE extname = 'kombo_sync'") == "$VERSION" ]]
    connect upgraded
}

# connect DATABASE: its integration.
connect() {
    sql "$1" "CREATE SERVER kombo_eu FOREIGN DATA WRAPPER kombo_sync
                OPTIONS (base_url '$SANDBOX_URL/v1', allow_http 'on')" \
        "CREATE USER MAPPING FOR CURRENT_USER SERVER kombo_eu OPTIONS (api_key '$API_KEY')" \
        "CREATE ROLE owner_of_$1" "SELECT kombo.create_tables('HRIS', owner => 'owner_of_$1')" \
        "SELECT kombo.add_integration('$INTEGRATION', server => 'kombo_eu')"
}

fresh_installation() {
    sql postgres "CREATE DATABASE fresh"
    sql fresh "CREATE EXTENSION kombo_sync"
    connect fresh
    sql fresh "SELECT endpoint, kind, status, inserted FROM kombo.kombo_sync_full()"
    all_employees fresh
}

symbols() {
    apt-get -qy --no-install-recommends install "../packages/$PACKAGE-dbgsym_"*.deb
    dpkg-query -L "$PACKAGE-dbgsym" | grep '^/usr/lib/debug/.*\.debug$'
}

purge() {
    sql postgres "DROP DATABASE upgraded WITH (FORCE)" "DROP DATABASE fresh"
    pg_conftool "$MAJOR" main remove shared_preload_libraries
    pg_conftool "$MAJOR" main remove kombo_sync.databases
    apt-get -qy purge "$PACKAGE" "$PACKAGE-dbgsym"
    pg_ctlcluster "$MAJOR" main restart
    sql postgres "SELECT 1"
    local left
    left=$(find /etc /usr /var -xdev -iname '*kombo*' ! -path '/var/lib/dpkg/*' ! -path '/var/cache/*')
    printf '%s\n' "$left"
    [[ ! $left ]]
}

main
