#!/bin/bash
# Makes the secrets that compose.yaml names, in the folder `secrets` beside it: asks for Kombo's, and invents the
# passwords. A secret that is there stays.
set -euo pipefail
umask 077
cd "$(dirname "$(readlink -f "$0")")"

main() {
    # Only the caller gets into the folder. The files are for every user of a container, whose numbers differ from here.
    mkdir -p secrets
    ask kombo_key "Kombo's API key"
    ask kombo_secret "Kombo's webhook secret"
    invent database_password
    invent webhook_password
    echo "The secrets are in $PWD/secrets."
}

# ask NAME WHAT
ask() {
    local secret
    [[ ! -s secrets/$1 ]] || return 0
    read -rsp "$2, from its dashboard: " secret
    echo
    [[ $secret ]] || exit 1
    printf '%s\n' "$secret" | keep "$1"
}

invent() {
    [[ -s secrets/$1 ]] || od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' | keep "$1"
}

keep() {
    cat >"secrets/$1"
    chmod 644 "secrets/$1"
}

main
