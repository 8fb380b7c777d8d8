#!/bin/sh
# Stops what start_ubuntu.sh has started; what follows goes to `modelyard down`.
set -eu
cd "$(dirname "$0")/.."
exec target/release/modelyard down "$@"
