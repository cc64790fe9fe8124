#!/bin/bash
# Builds the packages, as root in the project's folder, on a Debian that has nothing but its base system. They go to the
# folder above.
#
#   build.sh            for ./package deb: checks the packages, and builds the sandbox with the names of the packages
#                       that it needs, both in the folder above in test
#   build.sh MAJOR      for Containerfile: nothing but the packages; fails at once if this Debian has no such PostgreSQL
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

main() {
    apt-get -q update
    if (($#)); then
        install "postgresql-server-dev-$1"
        build_packages
    else
        install lintian cmake libcpp-httplib-dev libjansson-dev libssl-dev pkgconf
        build_packages
        lintian --allow-root --fail-on error --display-info ../kombo-sync_*.changes
        build_sandbox
    fi
}

install() {
    apt-get -qy --no-install-recommends install "$@"
}

build_packages() {
    install build-essential postgresql-server-dev-all
    pg_buildext updatecontrol
    apt-get -qy --no-install-recommends --build-profiles nocheck build-dep "$PWD"
    DEB_BUILD_PROFILES=nocheck DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b
}

build_sandbox() {
    cmake -S . -B /tmp/build -DKOMBO_SYNC_PARTS=sandbox
    cmake --build /tmp/build -j "$(nproc)" --target kombo-sandbox
    mkdir ../test
    cp "$(find /tmp/build -type f -name kombo-sandbox)" ../test/
    strip ../test/kombo-sandbox
    # A library's path may be one of before /lib became a link.
    ldd ../test/kombo-sandbox | awk '$2 == "=>" {print $3}' | while read -r library; do
        dpkg-query -S "$(readlink -f "$library")" 2>/dev/null ||
            dpkg-query -S "*/$(basename "$(readlink -f "$library")")"
    done | cut -d : -f 1 | sort -u >../test/packages
}

main "$@"
