#!/usr/bin/env bash
# Makes what the case `engine` compares with, below target/bench/engine: a checkpoint with random weights, llama.cpp and its
# GGUF files, the models of OpenVINO. What is there already is kept. Some 20 minutes on two processors, 15 GB with the
# virtual environments (`bench/run.sh` makes them; they must be there).
set -euo pipefail
cd "$(dirname "$0")/../.."

home=target/bench/engine
venvs=$PWD/target/bench/venvs
llama_version=0.3.36
export PYTHONDONTWRITEBYTECODE=1

model=$home/qwen3-0.6b
gguf=$home/gguf/qwen3-0.6b
tools=$home/llama.cpp
mkdir -p "$home/gguf" "$home/openvino"

if [[ ! -e $model/model.safetensors ]]; then
    "$venvs/llama-cpp/bin/python" bench/engine/make_checkpoint.py "$model"
fi

# The Python package of llama.cpp carries its sources; its program for benchmarks has to be built from them.
build_llama() {
    local work source
    work=$(mktemp -d "$home/build.XXXX")
    "$venvs/llama-cpp/bin/python" -m pip --disable-pip-version-check --quiet download \
        --no-deps --no-binary llama-cpp-python --dest "$work" "llama-cpp-python==$llama_version"
    tar -xzf "$work/llama_cpp_python-$llama_version.tar.gz" -C "$work"
    source=$work/llama_cpp_python-$llama_version/vendor/llama.cpp

    # GCC 12 drops the stores into the configuration of the tiles, and the first matrix crashes.
    local mmq=$source/ggml/src/ggml-cpu/amx/mmq.cpp
    local barrier='__asm__ volatile("" : : "r"(\&tc) : "memory");'
    sed -i "s|^    _tile_loadconfig(&tc);|    $barrier\n&|" "$mmq"
    grep -q '__asm__ volatile' "$mmq"

    PATH=$venvs/llama-cpp/bin:$PATH cmake -S "$source" -B "$work/build" -G Ninja \
        -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF \
        -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DLLAMA_OPENSSL=OFF >"$work/log"
    PATH=$venvs/llama-cpp/bin:$PATH cmake --build "$work/build" \
        --target llama-bench llama-batched-bench llama-quantize >>"$work/log"
    mkdir -p "$tools.new"
    cp "$work/build/bin/"llama-{bench,batched-bench,quantize} "$tools.new/"
    mv "$tools.new" "$tools"
    rm -rf "$work"
}
[[ -d $tools ]] || build_llama

if [[ ! -e $gguf-bf16.gguf ]]; then
    "$venvs/llama-cpp/bin/python" bench/engine/make_gguf.py "$model" "$gguf-bf16.gguf"
fi
for format in Q8_0 Q4_0; do
    if [[ ! -e $gguf-$format.gguf ]]; then
        "$tools/llama-quantize" "$gguf-bf16.gguf" "$gguf-$format.part" "$format" 2 >/dev/null 2>&1
        mv "$gguf-$format.part" "$gguf-$format.gguf"
    fi
done

# Weights alone are quantised; `fp16` is how bf16 weights are stored there.
for format in fp16 int8 int4; do
    folder=$home/openvino/$format
    if [[ ! -d $folder ]]; then
        rm -rf "$folder.part"
        "$venvs/torch/bin/python" -m optimum.commands.optimum_cli export openvino \
            --model "$model" --task text-generation-with-past \
            --weight-format "$format" "$folder.part" >"$home/openvino/$format.log" 2>&1
        mv "$folder.part" "$folder"
    fi
done

# Activations as well, for the matrix units that multiply int8.
if [[ ! -d $home/openvino/w8a8 ]]; then
    rm -rf "$home/openvino/w8a8.part"
    "$venvs/torch/bin/python" bench/engine/quantize_openvino.py \
        "$home/openvino/fp16" "$home/openvino/w8a8.part" >"$home/openvino/w8a8.log" 2>&1
    mv "$home/openvino/w8a8.part" "$home/openvino/w8a8"
fi
