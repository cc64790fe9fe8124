# shellcheck shell=bash
# A Debian of its own in a folder, for ./check bare, ./check matrix and ./package. Sourced after stage.sh.
#
# debootstrap makes a base system from Debian's mirror as apt knows it here. A command gets a fresh copy of it, or one
# that is kept from call to call. All of it runs in namespaces of its own for mounts and processes. The kernel ends
# these with their first process, however that process ends, so that nothing stays mounted or running.

CHROOT_PACKAGES=(debootstrap)
# The host's environment, as far as package managers need it to reach their mirrors: NAME=VALUE.
CHROOT_ENVIRONMENT=()
CHROOT='' CHROOT_BASE='' CHROOT_LOCK=''

# chroot_needs_root WHAT
chroot_needs_root() {
    ((EUID == 0)) || fail "$1 needs root, for debootstrap and chroot: run it as root, or with sudo"
}

# chroot_base SUITE: its base system as a file, made anew if it is missing or older than 30 days; sets CHROOT_BASE.
chroot_base() {
    local name
    CHROOT_ENVIRONMENT=()
    for name in $(compgen -e); do
        case ${name,,} in
        *_proxy | npm_config_* | node_extra_ca_certs | ssl_cert_file | curl_ca_bundle)
            CHROOT_ENVIRONMENT+=("$name=${!name}")
            ;;
        esac
    done
    CHROOT_BASE=$(cache_folder)/$1-$(dpkg --print-architecture).tar
    if [[ ! $(find "$CHROOT_BASE" -mtime -30 2>/dev/null) ]]; then
        step "base-$1" chroot_make_base "$1" "$T/base" || return 1
    fi
    printf '%-12s base system: %s\n' "$1" "$CHROOT_BASE"
}

chroot_make_base() {
    local suite=$1 root=$2 mirror scripts=()
    mirror=$(chroot_sources "$suite" | awk '{print $2; exit}')
    if [[ ! $mirror ]]; then
        echo "apt has no mirror of Debian's $HOST_SUITE here"
        return 1
    fi
    # This debootstrap may be older than the suite.
    [[ -e /usr/share/debootstrap/scripts/$suite ]] || scripts=(/usr/share/debootstrap/scripts/sid)
    # debootstrap mounts things, too.
    chroot_namespaces debootstrap --variant=minbase "$suite" "$root" "$mirror" "${scripts[@]}" &&
        rm -f "$root"/var/cache/apt/archives/*.deb &&
        mkdir -p "${CHROOT_BASE%/*}" &&
        tar -C "$root" --numeric-owner -cf "$CHROOT_BASE.$$" . &&
        mv "$CHROOT_BASE.$$" "$CHROOT_BASE" || {
        rm -f "$CHROOT_BASE.$$"
        return 1
    }
    rm -rf "$root"
}

# chroot_sources SUITE: Debian's own repositories as apt knows them, as lines of a sources.list. Other repositories
# could bring newer packages than a fresh Debian finds. Another suite than the host's lies on the same mirrors; a suite
# that is not yet released has neither updates nor security.
chroot_sources() {
    local kind uri release component only=''
    # apt fills the $(…) in. It knows only the repositories whose lists it has fetched.
    # shellcheck disable=SC2016
    local ask=(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages')
    "${ask[@]}" | grep " $HOST_SUITE main" >/dev/null || apt-get -q update >&2
    if [[ $1 != "$HOST_SUITE" && $1 == "${SUITES[${MAJORS[-1]}]}" ]]; then only=yes; fi
    "${ask[@]}" | while read -r kind uri release component; do
        if [[ $kind == deb && $component == main && $release =~ ^$HOST_SUITE(-updates|-security)?$ &&
            ($release == "$HOST_SUITE" || ! $only) ]]; then
            printf 'deb %s %s main\n' "$uri" "$1${release#"$HOST_SUITE"}"
        fi
    done
}

# chroot_fresh SUITE ROOT: a copy of its base system in ROOT, with the host's way to the mirrors.
chroot_fresh() {
    rm -rf "$2"
    mkdir -p "$2" && tar -C "$2" --numeric-owner -xpf "$CHROOT_BASE" && chroot_settings "$1" "$2"
}

# chroot_kept SUITE: a system that stays, with the project's folder as it is now; sets CHROOT. It is made anew after 30
# days, as its packages are not upgraded. One command at a time uses it, until chroot_release.
chroot_kept() {
    local folder
    folder=$(cache_folder)
    CHROOT=$folder/$1-$(dpkg --print-architecture)
    chroot_base "$1" || return 1
    exec {CHROOT_LOCK}>>"$CHROOT.lock"
    flock -n "$CHROOT_LOCK" || fail "another command uses $CHROOT"
    if [[ ! $(find "$CHROOT/etc/kombo_sync" -mtime -30 2>/dev/null) ]]; then
        step "system-$1" chroot_fresh "$1" "$CHROOT" || return 1
        : >"$CHROOT/etc/kombo_sync"
    fi
    printf '%-12s kept in %s, %s (--clean removes it)\n' "$1" "$CHROOT" "$(size_of "$CHROOT")"
    chroot_settings "$1" "$CHROOT" && chroot_tree "$CHROOT"
}

chroot_release() {
    exec {CHROOT_LOCK}>&-
}

# chroot_clean FOLDER: removes the systems that are kept there, for --clean.
chroot_clean() {
    local file
    for file in "$1"/*.lock; do
        [[ -e $file ]] || continue
        flock -n "$file" true || fail "another command uses ${file%.lock}"
        rm -rf --one-file-system "${file%.lock}" "$file"
    done
    rm -f "$1"/*.tar
}

# chroot_tree ROOT: the project's folder in there, as it is now.
chroot_tree() {
    rm -rf "$1/root/kombo_sync"
    mkdir "$1/root/kombo_sync" &&
        tree_files --others --exclude-standard | tar --null -T - -cf - |
        tar -C "$1/root/kombo_sync" -xf - --no-same-owner
}

# chroot_run ROOT COMMAND…: in the project's folder in there. The logs that the command itself has kept come to ours.
chroot_run() {
    local root=$1 status=0
    shift
    find "$root/tmp" -mindepth 1 -delete
    # shellcheck disable=SC2016
    chroot_namespaces bash -c "$(declare -f chroot_inside); chroot_inside \"\$@\"" bash "$root" \
        env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        "${CHROOT_ENVIRONMENT[@]}" bash -c 'cd /root/kombo_sync && "$@"' bash "$@" || status=$?
    find "$root/tmp" -maxdepth 1 -name 'kombo-*-log' -exec cp -r {} "$LOG/" \;
    return $status
}

# Settings to reach this machine's mirrors, and to keep packages from starting services.
chroot_settings() {
    local root=$2 file
    chroot_sources "$1" >"$root/etc/apt/sources.list"
    apt-config dump --no-empty | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/99host"
    rm -f "$root/etc/resolv.conf"
    {
        printf '%s\n' /etc/resolv.conf /etc/hosts /etc/npmrc /etc/ssl/certs/ca-certificates.crt
        printf '%s\n' /etc/apt/auth.conf /etc/apt/auth.conf.d
        # A newer suite may be signed with keys of its own.
        if [[ $1 == "$HOST_SUITE" ]]; then echo /etc/apt/trusted.gpg.d; fi
        # Certificates that apt's settings or the environment name.
        sed -n 's/.* "\(\/.*\)";$/\1/p' "$root/etc/apt/apt.conf.d/99host"
        printf '%s\n' "${CHROOT_ENVIRONMENT[@]#*=}" | grep '^/'
    } | sort -u | while IFS= read -r file; do
        if [[ -e $file ]]; then
            mkdir -p "$root${file%/*}"
            cp -rL --preserve=mode,timestamps "$file" "$root${file%/*}/"
        fi
    done
    if [[ -e $HOME/.npmrc ]]; then cp -L "$HOME/.npmrc" "$root/root/"; fi
    # The package ca-certificates makes its bundle anew, from its own certificates and from those in /usr/local.
    file=/etc/ssl/certs/ca-certificates.crt
    if [[ -e $file ]]; then install -D -m 644 "$file" "$root/usr/local/share/ca-certificates/host.crt"; fi
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

chroot_namespaces() {
    unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$@"
}

# chroot_inside ROOT COMMAND…: as process 1 within the namespaces, where it reaps what daemons leave behind. The command
# gets a session of its own: the process group of this shell includes processes outside, and has no number in here.
chroot_inside() {
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
