#!/bin/bash
# README's Install and Connect as they are written, for ./check bare: as root, in the project's folder, on a fresh
# Debian. A sandbox takes Kombo's place, and the keys come from here. Ends once all lists are fresh.
set -euo pipefail
# shellcheck source=test/listening.sh
source test/listening.sh

main() {
    section Install | while IFS= read -r line; do run "$line"; done
    start_sandbox
    section 'Connect a Kombo account' | while IFS= read -r line; do run "$line"; done
    until_fresh
}

# section HEADING: its shell commands, one in a line.
section() {
    awk -v heading="## $1" '/^## / {here = $0 == heading} /^```/ {code = here && $0 == "```sh"; next} code' README.md |
        sed -e ':a' -e '/\\$/{N;s/\\\n */ /;ba' -e '}'
}

# README's conditions stand in comments behind the commands.
run() {
    printf '$ %s\n' "$1"
    case $1 in
    *'# if it is not listed') [[ $(clusters) ]] || bash -euc "$1" ;;
    *'# if it is not online') [[ $(clusters) == *' online '* ]] || bash -euc "$1" ;;
    *kombo.key) bash -euc "$1" <<<sandbox-key ;;
    *kombo.secret) bash -euc "$1" <<<a-secret ;;
    *'psql hr') statements | bash -euc "$1 -X -v ON_ERROR_STOP=1 -P pager=off" ;;
    *) DEBIAN_FRONTEND=noninteractive bash -euc "${1/apt-get install /apt-get install -qy }" </dev/null ;;
    esac
}

clusters() {
    pg_lsclusters --no-header | grep '^15 *main '
}

start_sandbox() {
    DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends cmake libcpp-httplib-dev pkgconf \
        </dev/null
    cmake -S . -B /tmp/build -DKOMBO_SYNC_PARTS=sandbox
    cmake --build /tmp/build -j "$(nproc)" --target kombo-sandbox
    : >/tmp/sandbox.log
    "$(find /tmp/build -type f -name kombo-sandbox)" --port 0 --api-key sandbox-key \
        --integration personio:CBNMt7dSNCzBdnRTx87dev4E --employees 1000 >>/tmp/sandbox.log 2>&1 </dev/null &
    sandbox_url /tmp/sandbox.log $!
}

# README's SQL, with the sandbox where Kombo is.
statements() {
    awk '/^```/ {code = $0 == "```sql"; next} code' README.md |
        sed "s|base_url 'https://api.kombo.dev/v1'|base_url '$SANDBOX_URL/v1', allow_http 'on'|"
}

until_fresh() {
    local state=''
    for _ in {1..600}; do
        state=$(cd / && runuser -u postgres -- psql -XAt -d hr -c 'SELECT state FROM kombo.integration_status')
        [[ $state != fresh ]] || break
        sleep 0.1
    done
    cd / && runuser -u postgres -- psql -X -d hr -c 'SELECT endpoint, state, reason, next FROM kombo.sync_status'
    [[ $state == fresh ]]
}

main
