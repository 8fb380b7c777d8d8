#!/bin/sh
# The whole training: short conversations first, then longer ones, and the rate falls at the end.
# usage: train.sh TOKENIZER FOLDER
set -eu
here=$(dirname "$0")
mkdir -p "$2"
train() {
    python "$here/train.py" --tokenizer "$tokenizer" "$@"
}
tokenizer=$1
cd "$2"
