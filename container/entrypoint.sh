#!/bin/bash
# Starts PostgreSQL in the container of Containerfile, as user postgres; arguments are options of postgres, or another
# command. The first start makes the data folder:
#
#   POSTGRES_PASSWORD, or a file that POSTGRES_PASSWORD_FILE names: of the superuser postgres. Required.
#   POSTGRES_DB: the database that the worker serves, `postgres` by default.
#   /docker-entrypoint-initdb.d/*.sql: run in that database, by psql as the superuser.
set -euo pipefail

main() {
    if [[ ${1:-} && $1 != -* ]]; then
        [[ $1 == postgres ]] || exec "$@"
        shift
    fi
    [[ -e $PGDATA ]] || initialise
    # A function of the database may read the server's environment.
    unset POSTGRES_PASSWORD
    exec postgres "$@"
}

# The data folder gets its name when all is done. What was interrupted before begins anew.
initialise() {
    local new=$PGDATA.new password file scripts=(/docker-entrypoint-initdb.d/*.sql)
    # Process 1 of a container ignores a signal that it has no handler for.
    trap 'exit 130' INT
    trap 'exit 143' TERM
    password=$(superuser_password)
    [[ $POSTGRES_DB =~ ^[A-Za-z0-9_-]+$ ]] || fail "POSTGRES_DB may have letters, digits, _ and - only"
    rm -rf "$new"
    initdb -D "$new" --username=postgres --pwfile=<(printf '%s\n' "$password") --auth-local=peer \
        --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-instructions
    if [[ $POSTGRES_DB != postgres ]]; then
        start "$new"
        createdb -h "$new" "$POSTGRES_DB"
        stop "$new"
    fi
    settings >>"$new/postgresql.conf"
    echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
    if [[ -e ${scripts[0]} ]]; then
        start "$new"
        for file in "${scripts[@]}"; do
            echo "running $file"
            psql -Xq -v ON_ERROR_STOP=1 -h "$new" -d "$POSTGRES_DB" -f "$file"
        done
        stop "$new"
    fi
    mv -T "$new" "$PGDATA"
    trap - INT TERM
}

superuser_password() {
    local password=${POSTGRES_PASSWORD:-}
    if [[ ${POSTGRES_PASSWORD_FILE:-} ]]; then
        [[ ! $password ]] || fail "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE exclude each other"
        password=$(<"$POSTGRES_PASSWORD_FILE")
    fi
    [[ $password ]] || fail "the superuser needs a password: set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE to a file"
    printf '%s' "$password"
}

# Jobs of pg_cron run in background workers, as a connection would have to give a password.
settings() {
    cat <<SETTINGS

# Of the container image.
listen_addresses = '*'
shared_preload_libraries = 'pg_cron, kombo_sync'
kombo_sync.databases = '"$POSTGRES_DB"'
cron.database_name = '$POSTGRES_DB'
cron.use_background_workers = on
SETTINGS
}

# start FOLDER: a server that nobody else reaches.
start() {
    pg_ctl -D "$1" -s -w -o "-c listen_addresses='' -c unix_socket_directories='$1'" start
}

stop() {
    pg_ctl -D "$1" -s -w -m fast stop
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

main "$@"
