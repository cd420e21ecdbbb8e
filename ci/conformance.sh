#!/usr/bin/env bash
# Serves the conformance datasets with the built programs and compares the answers with the recorded ones.
#
#   ci/conformance.sh [ARGUMENTS of `belvedere-conformance run`…]
#
# Without arguments: the formats and endpoints that are supported, at least REQUIRE (default 0.95) of the answers equal.
# PROFILE=release takes the release build. Build first: cargo build --workspace --bins --tests
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/server.sh

# Formats that are read today, which are all that were recorded.
FORMATS=('api-*' 'csv-*' 'tsv-*' 'json-*' 'jsonl-*' 'text-*' 'arrow-*' 'parquet-*' 'split-*' 'stats-*' 'multi-config-*' 'many-*'
    'classlabel-*' 'card-*' 'huge-*' 'unicode-*' 'wide-*' 'penguins-*' 'image-urls' 'script-*' 'fail-*'
    'imagefolder-*' 'audiofolder-*' 'webdataset-*' 'xml-*')
# Endpoints that are answered today.
ENDPOINTS=(splits first-rows rows filter parquet info size hub-cache compatible-libraries croissant-crumbs statistics search)

# The rules and limits of the reference.
export COMPAT=reference

runner=$(program belvedere-conformance)
compare() { "$runner" run --base "$BASE" --require "${REQUIRE:-0.95}" "$@"; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/belvedere-conformance.XXXXXX")
trap 'stop_server; rm -rf -- "${scratch:?}"' EXIT
"$runner" lay "$scratch"

status=0
start_server "$scratch/state" "conformance=$scratch/conformance"
if [ $# -gt 0 ]; then compare "$@" || status=$?; else compare --only "${FORMATS[@]}" --endpoint "${ENDPOINTS[@]}" || status=$?; fi
stop_server

if [ $# = 0 ]; then
    # Recorded with a limit of its own, which would cut other datasets too.
    mkdir "$scratch/partial"
    cp -r "$scratch/conformance/partial-csv" "$scratch/partial/"
    export PARQUET_AND_INFO_MAX_DATASET_SIZE_BYTES=60000
    start_server "$scratch/state-partial" "conformance=$scratch/partial"
    compare --only partial-csv --endpoint "${ENDPOINTS[@]}" || status=$?
fi
exit "$status"
