#!/bin/bash
# Uses the images, for ./package image: as root in a copy of the project's folder, in a network of its own. buildah has
# the containers `database` and `receiver`, and `client` with the sandbox.
set -euo pipefail
# shellcheck source=test/listening.sh
source test/listening.sh
# shellcheck source=test/package/syncing.sh
source test/package/syncing.sh

WORK=$(mktemp -d)
chmod 755 "$WORK"
SECRETS=$PWD/container/secrets
SCRIPTS=$WORK/scripts
WEBHOOK_SECRET=kombos-webhook-secret
# Each file by itself: its folder is closed to the container's user.
MOUNTED_SECRETS=()
# What differs from start to start: where the data is, and settings.
VOLUME='' SETTINGS=()

main() {
    ip link set lo up
    start_sandbox
    prepare
    check "without a password there is no first start" refused_without_password
    check "the first start makes the data folder, in which the extension is" first_start
    check "over TCP nobody gets in without the password" password_needed
    check "the worker syncs" synced
    check "the receiver takes webhooks" receiver
    check "SIGINT ends the server, and a restart keeps the data" restart INT
    check "SIGTERM ends the server, and a restart keeps the data" restart TERM
    check "no secret is in the log" no_secret
    ends INT
    check "a first start that was killed begins anew" killed_at_first_start
}

start_sandbox() {
    : >"$WORK/sandbox.log"
    inside client kombo-sandbox "${SANDBOX_OPTIONS[@]}" >>"$WORK/sandbox.log" 2>&1 &
    sandbox_url "$WORK/sandbox.log" $!
}

# The secrets, and connect.sql with the sandbox where Kombo is.
prepare() {
    printf '%s\n' "$API_KEY" "$WEBHOOK_SECRET" | container/secrets.sh
    local file
    for file in "$SECRETS"/*; do MOUNTED_SECRETS+=(--volume "$file:/run/secrets/${file##*/}:ro"); done
    mkdir "$SCRIPTS"
    sed "s|base_url 'https://api.kombo.dev/v1'|base_url '$SANDBOX_URL/v1', allow_http 'on'|" container/connect.sql \
        >"$SCRIPTS/connect.sql"
    grep "$SANDBOX_URL" "$SCRIPTS/connect.sql"
    readarray -t ENTRYPOINT < <(setting database '{{range .Docker.Config.Entrypoint}}{{println .}}{{end}}' | grep .)
    readarray -t RECEIVER < <(setting receiver '{{range .Docker.Config.Entrypoint}}{{println .}}{{end}}' | grep .)
    HEALTH=$(setting database '{{range .Docker.Config.Healthcheck.Test}}{{println .}}{{end}}' | grep -v CMD-SHELL)
    [[ $(setting database '{{.Docker.Config.StopSignal}} {{.Docker.Config.User}}') == "SIGINT postgres" ]]
    [[ $(setting database '{{.Docker.Config.Volumes}}') == "map[/var/lib/postgresql:{}]" ]]
    # buildah would mount either that volume or ours, now this, now that.
    buildah config --volume /var/lib/postgresql- database
    [[ ${ENTRYPOINT[*]} && ${RECEIVER[*]} && $HEALTH ]]
    new_volume compose
    SETTINGS=(--env POSTGRES_DB=hr --env POSTGRES_PASSWORD_FILE=/run/secrets/database_password
              "${MOUNTED_SECRETS[@]}" --volume "$SCRIPTS:/docker-entrypoint-initdb.d:ro")
}

# no COMMAND…: fails if it succeeds.
no() {
    if "$@"; then return 1; fi
}

setting() {
    buildah inspect --format "$2" "$1"
}

# inside [OPTION…] CONTAINER COMMAND…
inside() {
    local options=()
    while [[ $1 == --* ]]; do
        options+=("$1" "$2")
        shift 2
    done
    buildah run "${options[@]}" "$1" -- "${@:2}" </dev/null
}

# A volume's first contents are those of the image.
new_volume() {
    VOLUME=$WORK/$1
    cp -a "$(buildah mount database)/var/lib/postgresql" "$VOLUME"
}

run_database() {
    inside "${SETTINGS[@]}" --volume "$VOLUME:/var/lib/postgresql" database "${ENTRYPOINT[@]}"
}

start() {
    run_database >>"$WORK/database.log" 2>&1 &
    local _ starter=$!
    for _ in {1..600}; do
        if inside database sh -c "$HEALTH"; then
            # Nothing is between the runtime and the server.
            no pgrep -xl entrypoint.sh
            return
        fi
        kill -0 $starter 2>/dev/null || break
        sleep 0.1
    done
    cat "$WORK/database.log"
    return 1
}

postmaster() {
    head -n 1 "$VOLUME/data/pgdata/postmaster.pid"
}

# ends SIGNAL
ends() {
    local _ pid
    pid=$(postmaster)
    kill -"$1" "$pid"
    for _ in {1..100}; do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    tail "$WORK/database.log"
    return 1
}

# sql DATABASE STATEMENT…
sql() {
    local options=() statement
    for statement in "${@:2}"; do options+=(-c "$statement"); done
    inside --env PGPASSWORD="$(<"$SECRETS/database_password")" client \
        psql -XAtq -w -v ON_ERROR_STOP=1 -h 127.0.0.1 -U postgres -d "$1" "${options[@]}"
}

refused_without_password() {
    no inside --volume "$VOLUME:/var/lib/postgresql" database "${ENTRYPOINT[@]}" >"$WORK/refused.log" 2>&1
    grep "set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE" "$WORK/refused.log"
    [[ ! -e $VOLUME/data/pgdata ]]
}

first_start() {
    start
    [[ $(stat -c %U "/proc/$(postmaster)") != root ]]
    sql hr "SELECT extname FROM pg_extension" "SHOW shared_preload_libraries" "CREATE EXTENSION pg_cron"
    [[ $(sql hr "SELECT extversion FROM pg_extension WHERE extname = 'kombo_sync'") ]]
}

password_needed() {
    local password
    for password in '' wrong; do
        no inside --env PGPASSWORD="$password" client psql -Xw -h 127.0.0.1 -U postgres -d hr -c "SELECT 1" \
            >"$WORK/psql.log" 2>&1
        grep -E "no password supplied|password authentication failed" "$WORK/psql.log"
    done
    [[ $(inside database psql -XAtqd hr -c "SELECT current_user") == postgres ]]
}

synced() {
    sql hr "SELECT kombo.add_integration('$INTEGRATION', server => 'kombo_eu')"
    synced_by_worker hr
}

receiver() {
    local _ body signature
    inside --env PGHOST=127.0.0.1 --env PGDATABASE=hr --env PGUSER=hr_webhooks \
        --env PGPASSWORD_FILE=/run/secrets/webhook_password "${MOUNTED_SECRETS[@]}" \
        receiver "${RECEIVER[@]}" >"$WORK/receiver.log" 2>&1 &
    for _ in {1..100}; do
        ! grep "listening on" "$WORK/receiver.log" || break
        sleep 0.1
    done
    body='{"id": "webhook1", "type": "data-changed", "data": {"integration_id": "'$INTEGRATION'",
           "integration_tool": "personio", "integration_category": "HRIS",
           "changed_models": [{"name": "hris_employees"}]}}'
    signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac "$WEBHOOK_SECRET" -binary | base64 | tr '+/' '-_')
    [[ $(answer "$body" "${signature%=}") == 200 && $(answer "$body" wrong) == 401 ]] || {
        cat "$WORK/receiver.log"
        return 1
    }
    [[ $(sql hr "SELECT webhook_type FROM kombo.webhook_inbox") == data-changed ]]
    pkill -TERM -x python3
    wait $!
}

answer() {
    curl -sS -o /dev/null -w '%{http_code}' -H "X-Kombo-Signature: $2" --data-binary "$1" http://127.0.0.1:8080/kombo
}

restart() {
    ends "$1"
    start
    all_employees hr
}

no_secret() {
    local file
    for file in "$SECRETS"/*; do
        no grep -F "$(<"$file")" "$WORK"/*.log
    done
}

killed_at_first_start() {
    local _
    new_volume killed
    SETTINGS=(--env POSTGRES_PASSWORD="$(<"$SECRETS/database_password")")
    run_database &
    for _ in {1..600}; do
        [[ ! -e $VOLUME/data/pgdata.new/PG_VERSION ]] || break
        sleep 0.01
    done
    pkill -KILL -u "$(stat -c %u "$VOLUME")"
    wait $! || true
    [[ -e $VOLUME/data/pgdata.new && ! -e $VOLUME/data/pgdata ]]
    start
    sql postgres "CREATE EXTENSION kombo_sync"
    no grep -z POSTGRES_PASSWORD "/proc/$(postmaster)/environ"
    ends INT
}

main
