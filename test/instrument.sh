# shellcheck shell=bash
# Our own code under sanitizers or valgrind in the server. Sourced by stage.sh.
#
# SANITIZE   what our own code is built with, as -fsanitize=… has it; "address,undefined" by ./check --sanitize
# VALGRIND   "yes": the server runs under it
#
# PostgreSQL itself is Debian's and not instrumented. An error ends the process by a signal, hence in the server's crash
# recovery and a failed test; what was found is in $LOG.

SANITIZED='address,undefined'

# instrument_postgres: puts a script in the place of the program `postgres`, if there is reason to.
instrument_postgres() {
    local before
    if [[ ${SANITIZE:-} == address* ]]; then
        before=$(under_sanitizers) || return 1
    elif [[ ${VALGRIND:-} ]]; then
        export PGCTLTIMEOUT=600
        before="valgrind --quiet --trace-children=yes --num-callers=40 --leak-check=no --gen-suppressions=all"
        before+=" --suppressions=$SRC/test/valgrind.supp --log-file=$LOG/valgrind.%p"
    else
        return 0
    fi
    [[ -e $PGBIN/postgres.real ]] || as_owner mv "$PGBIN/postgres" "$PGBIN/postgres.real" || return 1
    # shellcheck disable=SC2016 # for the script
    printf '#!/bin/sh\nexec %s "${0%%/*}/postgres.real" "$@"\n' "$before" | as_owner tee "$PGBIN/postgres" &&
        as_owner chmod 755 "$PGBIN/postgres"
}

# The libraries come before all others, since postgres knows nothing of them; libstdc++ too, as AddressSanitizer looks
# for the functions that throw when the program starts. With AddressSanitizer before it, glibc 2.36 waits for ever for
# its own lock in the first bindtextdomain() of postgres: messages stay untranslated. Leaks are not looked for:
# PostgreSQL leaves its memory to the end of the process. An error ends in a signal: a backend that ends with status 1
# has only closed its session.
under_sanitizers() {
    local libraries=() name settings
    for name in libasan.so libubsan.so libstdc++.so; do
        libraries+=("$(readlink -f "$(g++ -print-file-name=$name)")")
    done
    settings="abort_on_error=1:print_stacktrace=1:log_path=$LOG/sanitizer"
    printf 'char *%s(const char *a, const char *b) { return (void)a, (char *)b; }\n' bindtextdomain \
        bind_textdomain_codeset | as_owner gcc -shared -fPIC -x c - -o "$PGBIN/untranslated.so" || return 1
    libraries+=("$PGBIN/untranslated.so")
    printf 'env LD_PRELOAD="%s" ASAN_OPTIONS=%s UBSAN_OPTIONS=%s' "${libraries[*]}" "detect_leaks=0:$settings" \
        "$settings"
}

# memory_errors: the logs of processes in which something was found.
memory_errors() {
    {
        find "${LOG:-/nonexistent}" \( -name 'sanitizer.*' -o -name 'valgrind.*' \) -size +0
        # UndefinedBehaviorSanitizer beside AddressSanitizer says it on standard error: in the log of the server.
        if [[ ${SANITIZE:-} ]]; then grep -l ': runtime error: ' "$LOG"/*.log; fi
    } 2>/dev/null | sort
}
