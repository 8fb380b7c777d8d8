#!/bin/sh
# The whole training, 1,570 steps of 6,144 tokens: short conversations first, longer ones at the end.
# usage: train.sh TOKENIZER FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tokenizer=$1 folder=$2
mkdir -p "$folder"
train() {
    python "$here/train.py" --tokenizer "$tokenizer" --checkpoint "$folder/last.ckpt" "$@"
}
train --steps 700 --rows 64 --length 96
train --resume "$folder/last.ckpt" --steps 1000 --rows 48 --length 128 --more JSON follow-up
# What takes longest to learn gets the larger part of the rest.
set -- --more JSON JSON JSON JSON follow-up follow-up follow-up
train --resume "$folder/last.ckpt" --steps 1200 --rows 48 --length 128 "$@"
train --resume "$folder/last.ckpt" --steps 1450 --rows 24 --length 256 --decay 250 "$@"
# A little polish, with a small rate: who it is, and JSON.
set -- --more JSON JSON JSON JSON follow-up follow-up fact fact
train --resume "$folder/last.ckpt" --steps 1570 --rows 48 --length 128 --rate 0.0012 --decay 120 "$@"
