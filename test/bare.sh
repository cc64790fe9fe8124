# shellcheck shell=bash
# ./check bare: the README's commands, as root on a fresh Debian that has nothing but its base system. A machine
# that has run ./check before does not show that a command forgets to install a package. Sourced by check, after
# stage.sh.
#
# debootstrap makes the base system from Debian's mirror as apt knows it here; each command gets a copy of its own. All
# of it runs in namespaces of its own for mounts and processes. The kernel ends these with their first process, however
# that process ends, so that nothing stays mounted or running.

BARE_PACKAGES=(debootstrap)
BARE_SUITE=bookworm
# Kept between runs, and made again when it is older than 30 days.
BARE_BASE=/var/cache/kombo_sync/$BARE_SUITE-$(dpkg --print-architecture 2>/dev/null).tar
BARE_ROOT=''
# The host's environment, as far as package managers need it to reach their mirrors: NAME=VALUE.
BARE_ENVIRONMENT=()

run_bare() {
    local passed=0 failed=0
    BARE_ROOT=$T/bare
    bare_environment
    if [[ $(find "$BARE_BASE" -mtime -30 2>/dev/null) ]] || step bare-base bare_base; then
        printf '%-12s base system: %s\n' bare "$BARE_BASE"
        step bare-demo bare_command ./demo && passed=$((passed + 1)) || failed=$((failed + 1))
        step bare-check bare_command ./check unit regress && passed=$((passed + 1)) || failed=$((failed + 1))
        step bare-readme bare_command test/bare_readme.sh && passed=$((passed + 1)) || failed=$((failed + 1))
    else
        failed=1
    fi
    count $passed $failed 0
    printf '%-12s %d passed, %d failed\n' bare $passed $failed
}

bare_environment() {
    local name
    for name in $(compgen -e); do
        case ${name,,} in
        *_proxy | npm_config_* | node_extra_ca_certs | ssl_cert_file | curl_ca_bundle)
            BARE_ENVIRONMENT+=("$name=${!name}")
            ;;
        esac
    done
}

bare_base() {
    local mirror
    mirror=$(bare_sources | awk -v suite="$BARE_SUITE" '$(NF - 1) == suite {print $(NF - 2); exit}')
    if [[ ! $mirror ]]; then
        echo "apt has no mirror of Debian's $BARE_SUITE here"
        return 1
    fi
    # debootstrap mounts things, too.
    bare_namespaces debootstrap --variant=minbase "$BARE_SUITE" "$BARE_ROOT" "$mirror" &&
        rm -f "$BARE_ROOT"/var/cache/apt/archives/*.deb &&
        mkdir -p "${BARE_BASE%/*}" &&
        tar -C "$BARE_ROOT" --numeric-owner -cf "$BARE_BASE.$$" . &&
        mv "$BARE_BASE.$$" "$BARE_BASE" || {
        rm -f "$BARE_BASE.$$"
        return 1
    }
    rm -rf "$BARE_ROOT"
}

# Debian's own repositories as apt knows them, as lines of a sources.list. Other repositories could bring newer packages
# than a fresh Debian finds.
bare_sources() {
    local kind uri suite component
    # apt fills the $(…) in. It knows only the repositories whose lists it has fetched.
    # shellcheck disable=SC2016
    local ask=(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages')
    "${ask[@]}" | grep " $BARE_SUITE main" >/dev/null || apt-get -q update >&2
    "${ask[@]}" | while read -r kind uri suite component; do
        if [[ $kind == deb && $component == main && $suite =~ ^$BARE_SUITE(-updates|-security)?$ ]]; then
            printf 'deb %s %s main\n' "$uri" "$suite"
        fi
    done
}

# bare_command COMMAND…: in a fresh copy of the base system, in the project's folder as a clone of it would be.
bare_command() {
    local status=0
    rm -rf "$BARE_ROOT"
    mkdir "$BARE_ROOT" &&
        tar -C "$BARE_ROOT" --numeric-owner -xpf "$BARE_BASE" &&
        bare_settings &&
        mkdir "$BARE_ROOT/root/kombo_sync" &&
        tree_files | tar --null -T - -cf - | tar -C "$BARE_ROOT/root/kombo_sync" -xf - --no-same-owner || return 1
    # shellcheck disable=SC2016
    bare_namespaces bash -c "$(declare -f bare_inside); bare_inside \"\$@\"" bash "$BARE_ROOT" \
        env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        "${BARE_ENVIRONMENT[@]}" bash -c 'cd /root/kombo_sync && "$@"' bash "$@" || status=$?
    # The logs that the command itself has kept.
    find "$BARE_ROOT/tmp" -maxdepth 1 -name 'kombo-*-log' -exec cp -r {} "$LOG/" \;
    rm -rf "$BARE_ROOT"
    return $status
}

# Settings to reach this machine's mirrors, and to keep packages from starting services.
bare_settings() {
    local file
    bare_sources >"$BARE_ROOT/etc/apt/sources.list"
    apt-config dump --no-empty | grep '^Acquire::' >"$BARE_ROOT/etc/apt/apt.conf.d/99host"
    rm -f "$BARE_ROOT/etc/resolv.conf"
    {
        printf '%s\n' /etc/resolv.conf /etc/hosts /etc/npmrc /etc/ssl/certs/ca-certificates.crt
        printf '%s\n' /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/apt/trusted.gpg.d
        # Certificates that apt's settings or the environment name.
        sed -n 's/.* "\(\/.*\)";$/\1/p' "$BARE_ROOT/etc/apt/apt.conf.d/99host"
        printf '%s\n' "${BARE_ENVIRONMENT[@]#*=}" | grep '^/'
    } | sort -u | while IFS= read -r file; do
        if [[ -e $file ]]; then
            mkdir -p "$BARE_ROOT${file%/*}"
            cp -rL --preserve=mode,timestamps "$file" "$BARE_ROOT${file%/*}/"
        fi
    done
    if [[ -e $HOME/.npmrc ]]; then cp -L "$HOME/.npmrc" "$BARE_ROOT/root/"; fi
    # The package ca-certificates makes its bundle anew, from its own certificates and from those in /usr/local.
    file=/etc/ssl/certs/ca-certificates.crt
    if [[ -e $file ]]; then install -D -m 644 "$file" "$BARE_ROOT/usr/local/share/ca-certificates/host.crt"; fi
    printf '#!/bin/sh\nexit 101\n' >"$BARE_ROOT/usr/sbin/policy-rc.d"
    chmod 755 "$BARE_ROOT/usr/sbin/policy-rc.d"
}

bare_namespaces() {
    unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$@"
}

# bare_inside ROOT COMMAND…: as process 1 within the namespaces, where it reaps what daemons leave behind. The command
# gets a session of its own: the process group of this shell includes processes outside, and has no number in here.
bare_inside() {
    local root=$1 name child status=0
    shift
    set -e
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for name in null zero full random urandom tty; do
        : >"$root/dev/$name"
        mount --bind "/dev/$name" "$root/dev/$name"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for name in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${name#*:}" "$root/dev/${name%:*}"; done
    setsid chroot "$root" "$@" &
    child=$!
    # Its end takes a moment: it cleans up.
    trap 'kill -TERM "$child" 2>/dev/null; wait "$child"; exit 143' INT TERM HUP
    wait "$child" || status=$?
    exit $status
}
