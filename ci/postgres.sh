#!/usr/bin/env bash
# A private PostgreSQL server for tests: on a free loopback port, in a temporary directory, without fsync.
#
#   ci/postgres.sh run COMMAND…    start it, run COMMAND with BELVEDERE_TEST_POSTGRES_URL set, stop and delete it
#   ci/postgres.sh start DIR       start it in DIR (made if missing) and print the URL
#   ci/postgres.sh stop DIR        stop it and delete DIR
#
# Where PostgreSQL is missing it is installed with apt-get, which needs root. As root the server runs as the user
# postgres, because PostgreSQL refuses to run as root; otherwise as whoever calls.
set -euo pipefail

say() { printf 'postgres: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The directory of the newest installed server's programs.
programs() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb | sort -rV |
        while read -r path; do [ -x "$path" ] && dirname "$path" && break; done) || true
    if [ -z "$found" ] && command -v initdb >/dev/null; then found=$(dirname "$(command -v initdb)"); fi
    [ -n "$found" ] && echo "$found"
}

install_if_missing() {
    programs >/dev/null && return
    [ "$(id -u)" = 0 ] || die "PostgreSQL is not installed: run 'apt-get install postgresql' as root"
    command -v apt-get >/dev/null || die "PostgreSQL is not installed, and there is no apt-get to install it with"
    say "installing Debian's postgresql"
    # No cluster of its own: it would only take a port and memory.
    if [ ! -e /etc/postgresql-common ]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
    apt-get update -qq >&2
    apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >&2
    programs >/dev/null || die "postgresql is installed but initdb is not found"
}

# Runs a command as the user that owns the server, with the variables that POSTGRES_ENV names: `A=b C=d`.
as_owner() {
    local owner=()
    [ "$(id -u)" != 0 ] || owner=(setpriv --reuid=postgres --regid=postgres --init-groups)
    # shellcheck disable=SC2086 # several words
    (cd / && "${owner[@]}" env LC_ALL=C.UTF-8 ${POSTGRES_ENV:-} "$@")
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
    local dir=$1 bin port password attempt
    install_if_missing
    bin=$(programs)
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [ ! -e "$dir/data" ] || die "$dir/data exists: stop the server there first"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf '%s\n' "$password" >"$dir/password")
    [ "$(id -u)" != 0 ] || chown -R postgres:postgres "$dir"
    as_owner "$bin/initdb" --pgdata="$dir/data" --username=belvedere --pwfile="$dir/password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        is_free "$port" || continue
        # Somebody may take the port in between: then this fails and the next one is tried.
        if as_owner "$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/data/server.log" --wait --timeout=60 -o \
            "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=200 \
             -c fsync=off -c synchronous_commit=off -c full_page_writes=off" start >"$dir/start.log" 2>&1; then
            say "$("$bin/postgres" --version) on 127.0.0.1:$port"
            echo "postgres://belvedere:$password@127.0.0.1:$port/postgres"
            return
        fi
        say "attempt $attempt on port $port failed"
    done
    cat "$dir/start.log" "$dir/data/server.log" >&2 || true
    die "the server does not start"
}

stop() {
    local dir=$1 bin
    [ -d "$dir/data" ] || { rm -rf -- "${dir:?}"; return; }
    bin=$(programs)
    as_owner "$bin/pg_ctl" --pgdata="$(cd "$dir" && pwd)/data" --mode=immediate --silent stop || true
    rm -rf -- "${dir:?}"
}

run() {
    local dir url status=0
    dir=$(mktemp -d "${TMPDIR:-/tmp}/belvedere-postgres.XXXXXX")
    chmod 755 "$dir"
    # shellcheck disable=SC2064 # the directory of now
    trap "stop '$dir'" EXIT
    url=$(start "$dir")
    BELVEDERE_TEST_POSTGRES_URL=$url "$@" || status=$?
    return "$status"
}

case ${1:-} in
run) shift; [ $# -gt 0 ] || die "run what?"; run "$@" ;;
start) [ $# = 2 ] || die "start needs a directory"; start "$2" ;;
stop) [ $# = 2 ] || die "stop needs a directory"; stop "$2" ;;
*) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
