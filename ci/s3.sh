#!/usr/bin/env bash
# A private S3 server for tests: moto (Python) on a free loopback port, with its objects in memory. It checks signatures.
#
#   ci/s3.sh run COMMAND…    start it, run COMMAND with BELVEDERE_TEST_S3_… set, stop it
#   ci/s3.sh start DIR       start it in DIR (made if missing) and print the settings, one NAME=VALUE per line
#   ci/s3.sh stop DIR        stop it and delete DIR
#
# Where moto is missing it is installed with pip into a directory of its own (BELVEDERE_S3_DIR, default
# ~/.cache/belvedere/moto), which needs python3 with venv: on Debian these are installed with apt-get, as root. Where that
# cannot be had, start and run say so and exit with status 3; run then runs nothing.
set -euo pipefail

VERSION=5.2.5
HOME_DIR=${BELVEDERE_S3_DIR:-${HOME:-/tmp}/.cache/belvedere/moto}
BUCKET=belvedere-test

say() { printf 's3: %s\n' "$*" >&2; }
skip() { say "skipped: $*"; exit 3; }

install_if_missing() {
    "$HOME_DIR/bin/python" -c 'import moto.server, boto3' 2>/dev/null && return
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        [ "$(id -u)" = 0 ] || skip "there is no python3 with venv: run 'apt-get install python3-venv' as root"
        command -v apt-get >/dev/null || skip "there is no python3 with venv, and no apt-get to install it with"
        say "installing Debian's python3-venv"
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || skip "apt-get update failed"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >&2 ||
            skip "python3-venv could not be installed"
    fi
    say "installing moto $VERSION"
    rm -rf -- "${HOME_DIR:?}"
    mkdir -p "$(dirname "$HOME_DIR")"
    python3 -m venv "$HOME_DIR"
    "$HOME_DIR/bin/pip" install -q "moto[server]==$VERSION" >&2 || skip "moto could not be installed"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A bucket, and the one key that may use it: from the fifth request on, all must be signed with it.
set_up() {
    "$HOME_DIR/bin/python" - "$1" "$BUCKET" <<'PY'
import json, sys
import boto3
url, bucket = sys.argv[1:]
def client(name):
    return boto3.client(name, endpoint_url=url, region_name="us-east-1", aws_access_key_id="setup", aws_secret_access_key="setup")
client("s3").create_bucket(Bucket=bucket)
iam = client("iam")
iam.create_user(UserName="test")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_user_policy(UserName="test", PolicyName="all", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="test")["AccessKey"]
for name, value in (("ENDPOINT", url), ("BUCKET", bucket), ("REGION", "us-east-1"),
                    ("KEY_ID", key["AccessKeyId"]), ("SECRET", key["SecretAccessKey"])):
    print(f"BELVEDERE_TEST_S3_{name}={value}")
PY
}

start() {
    local dir=$1 port attempt pid waited
    install_if_missing
    mkdir -p "$dir"
    for attempt in 1 2 3 4 5; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        is_free "$port" || continue
        INITIAL_NO_AUTH_ACTION_COUNT=4 setsid "$HOME_DIR/bin/moto_server" -H 127.0.0.1 -p "$port" \
            </dev/null >"$dir/server.log" 2>&1 &
        pid=$!
        echo "$pid" >"$dir/pid"
        for ((waited = 0; waited < 300; waited++)); do
            kill -0 "$pid" 2>/dev/null || break
            if ! is_free "$port"; then
                say "moto $VERSION on 127.0.0.1:$port"
                (umask 077 && set_up "http://127.0.0.1:$port" >"$dir/settings")
                cat "$dir/settings"
                return
            fi
            sleep 0.1
        done
        kill "$pid" 2>/dev/null || true
        say "attempt $attempt on port $port failed"
    done
    cat "$dir/server.log" >&2 || true
    skip "moto does not start"
}

stop() {
    local dir=$1
    [ ! -s "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true
    rm -rf -- "${dir:?}"
}

run() {
    local dir status=0
    dir=$(mktemp -d "${TMPDIR:-/tmp}/belvedere-s3.XXXXXX")
    # shellcheck disable=SC2064 # the directory of now
    trap "stop '$dir'" EXIT
    start "$dir" >/dev/null
    set -a
    # shellcheck disable=SC1091 # made above
    . "$dir/settings"
    set +a
    "$@" || status=$?
    return "$status"
}

case ${1:-} in
run) shift; [ $# -gt 0 ] || { say "run what?"; exit 2; }; run "$@" ;;
start) [ $# = 2 ] || { say "start needs a directory"; exit 2; }; start "$2" ;;
stop) [ $# = 2 ] || { say "stop needs a directory"; exit 2; }; stop "$2" ;;
*) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
