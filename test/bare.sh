# shellcheck shell=bash
# ./check bare: the README's commands, as root on a fresh Debian that has nothing but its base system. A machine
# that has run ./check before does not show that a command forgets to install a package. Sourced by check, after
# chroot.sh.

BARE_SUITE=bookworm

run_bare() {
    local passed=0 failed=0
    if chroot_base "$BARE_SUITE"; then
        step bare-demo bare_command ./demo && passed=$((passed + 1)) || failed=$((failed + 1))
        step bare-check bare_command ./check unit regress && passed=$((passed + 1)) || failed=$((failed + 1))
        step bare-readme bare_command test/bare_readme.sh && passed=$((passed + 1)) || failed=$((failed + 1))
    else
        failed=1
    fi
    count $passed $failed 0
    printf '%-12s %d passed, %d failed\n' bare $passed $failed
}

# bare_command COMMAND…: in a fresh copy of the base system.
bare_command() {
    local status=0
    chroot_fresh "$BARE_SUITE" "$T/bare" && chroot_tree "$T/bare" && chroot_run "$T/bare" "$@" || status=$?
    rm -rf "$T/bare"
    return $status
}
