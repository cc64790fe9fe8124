# shellcheck shell=bash
# How far a long step is, read from its log. Sourced by stage.sh.
#
# Everything here counts in one way: the log has "[ 45%]" where a part of the work was done. cmake and pytest write that
# by themselves, percentages does it for others.

# Seconds between two lines where there is no terminal. The variable is for the tests.
PROGRESS_EVERY=${KOMBO_PROGRESS_EVERY:-60}
TICKER=''

# percentages TOTAL PATTERN: copies its input, and writes a percentage before each line that the pattern matches.
percentages() {
    local line count=0
    while IFS= read -r line; do
        if [[ $line =~ $2 ]] && (($1 > 0)); then
            printf '[%3d%%] ' $((count < $1 ? 100 * count / $1 : 99))
            count=$((count + 1))
        fi
        printf '%s\n' "$line"
    done
}

# watched NAME COMMAND…: runs it in a group of its own, its output in $LOG/NAME.log, and shows how far it is meanwhile.
watched() {
    local name=$1 status=0
    shift
    : >"$LOG/$name.log"
    show_progress "$name" &
    TICKER=$!
    in_group "$@" >"$LOG/$name.log" 2>&1 || status=$?
    end_progress
    return $status
}

end_progress() {
    [[ $TICKER ]] || return 0
    kill "$TICKER" 2>/dev/null
    wait "$TICKER" 2>/dev/null
    TICKER=''
    if [[ -t 1 ]]; then printf '\r\e[K'; fi
}

# show_progress NAME: a line that is rewritten every second on a terminal, elsewhere a line a minute.
show_progress() {
    local log=$LOG/$1.log percent first='' began=0 shown=$SECONDS start=$SECONDS
    while :; do
        if [[ -t 1 ]]; then
            printf '\r\e[K%-12s %s  %s' "$1" "$(how_far "${percent:-}" "$first" $began $start)" "$log"
        elif ((SECONDS - shown >= PROGRESS_EVERY)); then
            printf '%-12s %s  %s\n' "$1" "$(how_far "${percent:-}" "$first" $began $start)" "$log"
            shown=$SECONDS
        fi
        sleep 1 >/dev/null 2>&1
        # It ends with the command, however that ends.
        kill -0 $$ 2>/dev/null || return
        percent=$(tail -c 20000 "$log" 2>/dev/null | grep -aoE '\[ *[0-9]+%\]' | tail -n 1 | grep -oE '[0-9]+')
        if [[ $percent && ! $first ]]; then first=$percent began=$SECONDS; fi
    done
}

# how_far PERCENT FIRST BEGAN START: the percentage, and what is left if it goes on as it went since FIRST was seen. A
# build that is half there begins with 50 %.
how_far() {
    local elapsed=$((SECONDS - $3)) done=0
    if [[ ! $1 ]]; then
        printf '%d s' $((SECONDS - $4))
        return
    fi
    done=$(($1 - $2))
    printf '%d %%' "$1"
    if ((elapsed >= 10 && done >= 5)); then
        local left=$((elapsed * (100 - $1) / done))
        if ((left >= 90)); then
            printf ', about %d min left' $(((left + 30) / 60))
        else
            printf ', about %d s left' $(((left + 9) / 10 * 10))
        fi
    fi
}
