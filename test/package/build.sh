#!/bin/bash
# Builds the packages and the sandbox, for ./package deb: as root in the project's folder, on a Debian that has nothing
# but its base system. Packages go to the folder above, the sandbox and the names of the packages that it needs to test
# in there.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

apt-get -q update
apt-get -qy --no-install-recommends install build-essential postgresql-server-dev-all lintian \
    cmake libcpp-httplib-dev libjansson-dev libssl-dev pkgconf
pg_buildext updatecontrol
apt-get -qy --no-install-recommends --build-profiles nocheck build-dep "$PWD"
DEB_BUILD_PROFILES=nocheck DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b
lintian --allow-root --fail-on error --display-info ../kombo-sync_*.changes

cmake -S . -B /tmp/build -DKOMBO_SYNC_PARTS=sandbox
cmake --build /tmp/build -j "$(nproc)" --target kombo-sandbox
mkdir ../test
cp "$(find /tmp/build -type f -name kombo-sandbox)" ../test/
strip ../test/kombo-sandbox
# A library's path may be one of before /lib became a link.
ldd ../test/kombo-sandbox | awk '$2 == "=>" {print $3}' | while read -r library; do
    dpkg-query -S "$(readlink -f "$library")" 2>/dev/null || dpkg-query -S "*/$(basename "$(readlink -f "$library")")"
done | cut -d : -f 1 | sort -u >../test/packages
