# shellcheck shell=bash
# The fuzzers of ./check fuzz. Sourced by check, after stage.sh.

# stage_fuzz: builds them. They are clang's, so cmake has a folder of its own for them.
stage_fuzz() {
    as_owner cmake -S "$TREE/src/test/fuzz" -B "$TREE/fuzz" -DCMAKE_CXX_COMPILER=clang++ &&
        as_owner cmake --build "$TREE/fuzz" -j "$JOBS" || return 1
    as_owner mkdir -p "$BUILD/fuzz" "$TREE/corpus" &&
        as_owner find "$TREE/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -exec cp -t "$BUILD/fuzz" {} +
}

# fuzz_all [MINUTES]: all of them, as many at once as there are processors, so that it takes that long. Each begins with
# its seeds and with what earlier runs found worth keeping. Without MINUTES it is half of one, always from the same seed
# and without what was kept: what fails then is for the change at hand to mend. Writes "ok NAME: N inputs" or
# "not ok NAME".
fuzz_all() {
    local fuzzers=("$BUILD"/fuzz/fuzz_*) seconds corpus=$TREE/corpus seed=0
    if [[ ! ${1:-} ]]; then corpus=$T/tmp/corpus seed=1; fi
    seconds=$(awk -v minutes="${1:-0.5}" -v jobs="$JOBS" -v count=${#fuzzers[@]} \
        'BEGIN {seconds = minutes * 60 * jobs / count; print int(seconds < 3 ? 3 : seconds)}')
    printf '%s\0' "${fuzzers[@]}" |
        as_owner KOMBO_LOG="$LOG" xargs -0 -P "$JOBS" -n 1 bash -c "$(declare -f fuzz_one); fuzz_one \"\$@\"" fuzz_one \
            "$seconds" "$seed" "$corpus"
}

# fuzz_one SECONDS SEED CORPUS PROGRAM: an input that fails is kept beside the logs. The seed 0 is a new one each time.
fuzz_one() {
    local name=${4##*/fuzz_} log
    log=$KOMBO_LOG/fuzz-$name.log
    mkdir -p "$3/$name"
    if "$4" -max_total_time="$1" -seed="$2" -timeout=20 -rss_limit_mb=2048 -max_len=20000 -print_final_stats=1 \
        -dict="test/fuzz/$name.dict" -artifact_prefix="$KOMBO_LOG/fuzz-$name-" "$3/$name" "test/fuzz/seeds/$name" \
        >"$log" 2>&1 </dev/null; then
        printf 'ok %s: %s inputs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        printf 'not ok %s: %s\n' "$name" "$(grep -aE '^not true: |ERROR: |runtime error: ' "$log" | head -n 1)"
        tail -n 30 "$log"
        return 1
    fi
}
