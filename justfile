# Everything a developer does often. `just` lists it.

_default:
    @just --list --unsorted

# format, lints and documentation: what must be clean
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
    @if command -v cargo-deny >/dev/null; then cargo deny --workspace check bans licenses sources; else echo 'cargo-deny is not installed: licences and sources not checked'; fi

# all tests on SQLite; arguments filter them
test *arguments:
    @if command -v cargo-nextest >/dev/null; then cargo nextest run --workspace {{ arguments }}; else cargo test --workspace {{ arguments }}; fi

# all tests, on PostgreSQL as well: a private server is started, and installed first where it is missing
test-pg *arguments:
    ci/postgres.sh run just test {{ arguments }}

# all tests, on PostgreSQL and on S3 as well: private servers are started, and installed first where they are missing
test-all *arguments:
    ci/s3.sh run ci/postgres.sh run just test {{ arguments }}

# format, apply what the lints suggest, accept nothing else
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# serve a folder of datasets (the examples by default)
run *arguments='examples':
    cargo run --release -p belvedere -- serve {{ arguments }}

# measure; without a name, list what can be measured
bench name='' *arguments:
    @if [ -z '{{ name }}' ]; then ls benches/src/bin | sed 's/\.rs$//'; else cargo run --release -p belvedere-benches --bin {{ name }} -- {{ arguments }}; fi

# write the generated pages and snapshots anew; look at the difference before you commit it
docs:
    UPDATE_DOCS=1 INSTA_UPDATE=always cargo test --workspace
    git diff --stat -- docs crates

# compare with the recorded answers of the reference
conformance *arguments:
    cargo build --workspace --bins --tests
    ci/conformance.sh {{ arguments }}

# what a merge needs
ci:
    .ci/run
