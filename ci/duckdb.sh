#!/usr/bin/env bash
# Tests the feature `duckdb`: fetches the prebuilt library and the extension for full-text search, builds with the feature,
# and opens what the program makes with the DuckDB of a Python package. Where a registry cannot be reached nothing is
# tested, and the last line says so; exit status 0 then.
#
# A directory given as argument keeps what is fetched: `ci/duckdb.sh target/duckdb`.
set -euo pipefail
cd "$(dirname "$0")/.."

# One version everywhere: the library, the crate (`~1.10505` in Cargo.toml), the extension and the other DuckDB.
VERSION=1.5.5
LIBRARY="@duckdb/node-bindings-linux-x64@$VERSION-r.1"

if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    echo "skipped: the feature duckdb is tested on Linux x86_64 only"
    exit 0
fi

KEPT=${1:-}
WORK=${KEPT:-$(mktemp -d "${TMPDIR:-/tmp}/belvedere-duckdb.XXXXXX")}
[ -n "$KEPT" ] || trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK"
WORK=$(cd "$WORK" && pwd)

skip() {
    echo "skipped: $1"
    exit 0
}

# The address of the package as npm knows it, without npm.
library() {
    [ -f "$WORK/lib/libduckdb.so" ] && return
    local registry=${NPM_CONFIG_REGISTRY:-${npm_config_registry:-}}
    if [ -z "$registry" ] && command -v npm >/dev/null; then registry=$(npm config get registry); fi
    registry=${registry:-https://registry.npmjs.org/}
    local name=${LIBRARY%@*} version=${LIBRARY##*@}
    mkdir -p "$WORK/lib"
    curl -fsSL --max-time 300 -o "$WORK/lib.tgz" "${registry%/}/$name/-/${name#*/}-$version.tgz" || return 1
    tar -xzf "$WORK/lib.tgz" -C "$WORK/lib" --strip-components=1 package/libduckdb.so
    rm "$WORK/lib.tgz"
}

python() {
    [ -x "$WORK/venv/bin/python" ] || python3 -m venv "$WORK/venv" || return 1
    "$WORK/venv/bin/pip" install -q "duckdb==$VERSION" "duckdb-extension-fts==$VERSION" || return 1
    mkdir -p "$WORK/extensions"
    cp "$WORK"/venv/lib/python3*/site-packages/duckdb_extension_fts/extensions/v$VERSION/fts.duckdb_extension "$WORK/extensions/"
}

library || skip "the package $LIBRARY cannot be fetched"
python || skip "the Python packages duckdb and duckdb-extension-fts $VERSION cannot be installed"

export DUCKDB_LIB_DIR="$WORK/lib"
export DUCKDB_INDEX_EXTENSIONS_DIRECTORY="$WORK/extensions"
export BELVEDERE_TEST_PYTHON="$WORK/venv/bin/python"
# A variable of the machine would make the build look elsewhere.
unset DUCKDB_DOWNLOAD_LIB DUCKDB_INCLUDE_DIR

# Over the whole workspace, as every step of `.ci/run`, so that nothing but DuckDB and what depends on it is built.
cargo test --workspace --features belvedere/duckdb --test duckdb --test duckdb_files
# Its commits to a remote Hub, against the stand-in.
cargo test --workspace --features belvedere/duckdb --test remote duckdb
