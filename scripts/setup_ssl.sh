#!/bin/sh
# Makes a certificate for this machine and the names and addresses that follow; the server uses it from its next start on.
set -eu
cd "$(dirname "$0")/.."
[ -x target/release/modelyard ] || make build
exec target/release/modelyard tls init "$@"
