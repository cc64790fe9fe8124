# shellcheck shell=bash
# Sourced where a sandbox is started.

# sandbox_url LOG PID: waits until the sandbox of that process has written its address to its log; sets SANDBOX_URL. If
# it ended before, its log is the output.
sandbox_url() {
    local _
    for _ in {1..100}; do
        SANDBOX_URL=$(sed -n 's/^listening on //p' "$1")
        [[ ! $SANDBOX_URL ]] || return 0
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    cat "$1"
    return 1
}
