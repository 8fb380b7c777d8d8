#!/usr/bin/env bash
# Makes what the case `serving` needs: the checkpoint with random weights of the case `engine`.
set -euo pipefail
cd "$(dirname "$0")/../.."

model=target/bench/engine/qwen3-0.6b
if [[ ! -e $model/model.safetensors ]]; then
    PYTHONDONTWRITEBYTECODE=1 target/bench/venvs/llama-cpp/bin/python bench/engine/make_checkpoint.py "$model"
fi
