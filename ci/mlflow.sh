#!/usr/bin/env bash
# A private MLflow tracking server for tests, on a free loopback port, with SQLite behind it.
#
#   ci/mlflow.sh run COMMAND…    start it, run COMMAND with BELVEDERE_TEST_MLFLOW set to its address and
#                                BELVEDERE_TEST_MLFLOW_PYTHON to a Python that has its client, stop it
#
# It is installed with pip into BELVEDERE_MLFLOW_DIR (default /var/cache/belvedere/mlflow, which any user may enter: programs of
# tasks do not run as root), which takes two minutes and 850 MB. Where that cannot be had this says so and exits with
# status 3, without running anything.
set -euo pipefail

VERSION=3.17.2
HOME_DIR=${BELVEDERE_MLFLOW_DIR:-/var/cache/belvedere/mlflow}

say() { printf 'mlflow: %s\n' "$*" >&2; }
skip() { say "skipped: $*"; exit 3; }

install_if_missing() {
    [ "$(cat "$HOME_DIR/version" 2>/dev/null)" = "$VERSION" ] && return
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        [ "$(id -u)" = 0 ] || skip "there is no python3 with venv: run 'apt-get install python3-venv' as root"
        command -v apt-get >/dev/null || skip "there is no python3 with venv, and no apt-get to install it with"
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || skip "apt-get update failed"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >&2 ||
            skip "python3-venv could not be installed"
    fi
    say "installing mlflow $VERSION"
    rm -rf -- "${HOME_DIR:?}"
    mkdir -p "$(dirname "$HOME_DIR")" || skip "$(dirname "$HOME_DIR") cannot be made"
    # The interpreter of the system: any user may start it.
    "$(PATH=/usr/bin:/bin:$PATH command -v python3)" -m venv --copies "$HOME_DIR"
    "$HOME_DIR/bin/pip" install -q "mlflow==$VERSION" >&2 || skip "mlflow could not be installed"
    echo "$VERSION" >"$HOME_DIR/version"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

run() {
    local dir port status=0 waited=0
    install_if_missing
    dir=$(mktemp -d "${TMPDIR:-/tmp}/belvedere-mlflow.XXXXXX")
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if is_free "$port"; then break; fi
    done
    # Without the setting it starts seven processes more.
    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false setsid nohup "$HOME_DIR/bin/mlflow" server \
        --host 127.0.0.1 --port "$port" --backend-store-uri "sqlite:///$dir/mlflow.db" --artifacts-destination "$dir/artifacts" \
        --workers 1 </dev/null >"$dir/log" 2>&1 &
    # Its own processes are in its group.
    # shellcheck disable=SC2064 # the values of now
    trap "kill -KILL -- -$! 2>/dev/null || true; rm -rf -- '$dir'" EXIT
    until "$HOME_DIR/bin/python" - "http://127.0.0.1:$port/health" 2>/dev/null <<'PY'; do
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=2)
PY
        waited=$((waited + 1))
        [ $waited -lt 240 ] || { tail -n 20 "$dir/log" >&2; say "no answer"; exit 1; }
        sleep 0.5
    done
    BELVEDERE_TEST_MLFLOW=http://127.0.0.1:$port BELVEDERE_TEST_MLFLOW_PYTHON=$HOME_DIR/bin/python "$@" || status=$?
    return "$status"
}

case ${1:-} in
run) shift; [ $# -gt 0 ] || { say "run what?"; exit 2; }; run "$@" ;;
*) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
