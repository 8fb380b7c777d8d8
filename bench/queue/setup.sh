#!/usr/bin/env bash
# Installs BullMQ, with which the case `queue` compares, below target/bench/queue. Needs Node.
set -euo pipefail
cd "$(dirname "$0")/../.."

home=target/bench/queue
mkdir -p "$home"
if ! cmp -s bench/queue/package-lock.json "$home/package-lock.json"; then
    cp bench/queue/package.json bench/queue/package-lock.json "$home"
    npm install --prefix "$home" --omit=optional --no-save --no-audit --no-fund --silent
fi
# Node looks for packages beside the program that imports them.
cp bench/queue/*.mjs "$home"
