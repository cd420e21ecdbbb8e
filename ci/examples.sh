#!/usr/bin/env bash
# Serves the examples with the built program and asks what the README asks.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/server.sh

scratch=$(mktemp -d "${TMPDIR:-/tmp}/belvedere-examples.XXXXXX")
trap 'stop_server; rm -rf -- "${scratch:?}"' EXIT
start_server "$scratch" examples

# ask PATH TEXT: the answer must hold TEXT; asked again while it is being prepared.
ask() {
    local answer attempt
    for attempt in $(seq 120); do
        answer=$(curl --silent --show-error --include --max-time 60 "$BASE$1")
        if ! grep -qi '^x-error-code: ResponseNotReady' <<<"$answer"; then break; fi
        sleep 0.5
    done
    if grep -qF -- "$2" <<<"$answer"; then
        echo "ok      $1"
    else
        echo "FAILED  $1 (attempt $attempt): no $2 in ${answer:0:900}"
        return 1
    fi
}

status=0
ask '/splits?dataset=local/penguins' '{"dataset":"local/penguins","config":"default","split":"train"}' || status=1
ask '/first-rows?dataset=local/penguins&config=default&split=train' '"species":"Adelie"' || status=1
ask '/rows?dataset=local/penguins&config=default&split=train&offset=200&length=50' '"row_idx":249' || status=1
ask '/size?dataset=local/penguins' '"num_rows":344' || status=1
ask '/rows?dataset=local/countries&config=default&split=train&offset=0&length=5' '"largest_cities":[{' || status=1
ask '/rows?dataset=local/nycflights13&config=flights&split=july&offset=29000&length=100' '"row_idx":29099' || status=1
ask '/info?dataset=local/seattle-weather' '"num_examples":365' || status=1
exit "$status"
