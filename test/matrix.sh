# shellcheck shell=bash
# ./check matrix: the other parts of ./check on each supported major of PostgreSQL, in the Debian that it comes with.
# Sourced by check, after chroot.sh.
#
# Each major has a chroot that is kept, with the packages and the build of its last run in it. An own ./check runs in
# there, as root, and its lines are read for the table.

MATRIX_PARTS=(unit regress e2e lint)

# run_matrix [MAJOR]… [PART]… [arguments for pytest]
run_matrix() {
    local majors=() parts=() major part
    while (($#)); do
        if [[ " ${MATRIX_PARTS[*]} soak " == *" $1 "* ]]; then
            parts+=("$1")
        elif [[ $1 =~ ^[0-9]+$ ]]; then
            [[ ${SUITES[$1]:-} ]] || fail "no Debian here has PostgreSQL $1; the majors are ${MAJORS[*]}"
            majors+=("$1")
        else
            break
        fi
        shift
    done
    if (($#)) && ! includes e2e "${parts[@]}" && ! includes soak "${parts[@]}"; then
        fail "unknown major or part \"$1\"; the majors are ${MAJORS[*]}, the parts unit, regress, e2e, lint and soak"
    fi
    ((${#majors[@]})) || majors=("${MAJORS[@]}")
    ((${#parts[@]})) || parts=("${MATRIX_PARTS[@]}")
    chroot_needs_root matrix
    stage_packages "${CHROOT_PACKAGES[@]}"
    stage_open kombo-check
    for major in "${majors[@]}"; do
        if chroot_kept "${SUITES[$major]}"; then
            step "matrix-$major" chroot_run "$CHROOT" ./check "${parts[@]}" "$@"
            chroot_release
        fi
    done
    matrix_table
}

# A line a part, a column a major. A part without a line of its own has failed: what it needs could not be built.
matrix_table() {
    local line cell
    printf '\n%-12s' part
    printf ' %20s' "${majors[@]/#/PostgreSQL }"
    printf '    (passed/failed/skipped)\n'
    for part in "${parts[@]}"; do
        line=$(printf '%-12s' "$part")
        for major in "${majors[@]}"; do
            matrix_cell "$part" "$LOG/matrix-$major.log"
            line+=$(printf ' %20s' "$cell")
        done
        printf '%s\n' "$line"
    done
}

# matrix_cell PART LOG: sets cell, and counts.
matrix_cell() {
    local numbers
    read -ra numbers < <(sed -nE "s/^$1 +([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?\$/\\1 \\2 \\4/p" "$2" |
        tail -n 1)
    if ((${#numbers[@]} == 0)); then
        cell='not run'
        count 0 1 0
    else
        count "${numbers[0]}" "${numbers[1]}" "${numbers[2]:-0}"
        cell=${numbers[0]}/${numbers[1]}/${numbers[2]:-0}
    fi
}
