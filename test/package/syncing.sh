# shellcheck shell=bash disable=SC2034
# A sync against the sandbox, for install.sh and image.sh. Their own `sql DATABASE STATEMENT…` runs statements as a
# superuser.

INTEGRATION=personio:CBNMt7dSNCzBdnRTx87dev4E
API_KEY=sandbox-key
EMPLOYEES=1000
SANDBOX_OPTIONS=(--port 0 --api-key "$API_KEY" --integration "$INTEGRATION" --employees "$EMPLOYEES")

check() {
    printf '\n# %s\n' "$1"
    "${@:2}"
    printf 'ok %s, %d s after the start\n' "$1" "$SECONDS"
}

# synced_by_worker DATABASE
synced_by_worker() {
    local _
    for _ in {1..600}; do
        if [[ $(sql "$1" "SELECT state FROM kombo.integration_status") == fresh ]]; then
            all_employees "$1"
            return
        fi
        sleep 0.1
    done
    sql "$1" "SELECT endpoint, state, reason, next FROM kombo.sync_status"
    return 1
}

all_employees() {
    [[ $(sql "$1" "SELECT count(*) FROM kombo.hris_employees") == "$EMPLOYEES" ]]
}
