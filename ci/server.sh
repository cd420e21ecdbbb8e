# Sourced by the scripts beside it: starts and stops a `belvedere serve` of the built program.

# Path of a built program.
program() {
    local path=${CARGO_TARGET_DIR:-target}/${PROFILE:-debug}/$1
    [ -x "$path" ] || { echo "$path is not built: cargo build --workspace --bins --tests" >&2; return 1; }
    echo "$path"
}

# start_server STATE FOLDER…: sets BASE to the URL once the server answers.
start_server() {
    local state=$1 binary port attempt
    shift
    binary=$(program belvedere) || return
    mkdir -p "$state"
    port=$((32000 + (RANDOM * 32768 + RANDOM) % 12000))
    BASE=http://127.0.0.1:$port
    "$binary" serve --state "$state" --host 127.0.0.1 --port "$port" "$@" >"$state/server.log" 2>&1 &
    SERVER=$! SERVER_LOG=$state/server.log
    for attempt in $(seq 150); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        kill -0 "$SERVER" 2>/dev/null || break
        sleep 0.2
    done
    echo "the server does not answer at $BASE (attempt $attempt); the end of its log:" >&2
    tail -n 40 "$SERVER_LOG" >&2
    return 1
}

stop_server() {
    [ -n "${SERVER:-}" ] || return 0
    kill "$SERVER" 2>/dev/null || true
    wait "$SERVER" 2>/dev/null || true
    SERVER=
}
