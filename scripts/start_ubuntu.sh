#!/bin/sh
# Starts the server in the background where everybody reaches it, and answers when it is ready.
# PORT=8080 takes another port than 80, which needs root; what follows goes to `modelyard up`.
set -eu
cd "$(dirname "$0")/.."
[ -x target/release/modelyard ] || make build
exec target/release/modelyard up --host 0.0.0.0 --port "${PORT:-80}" "$@"
