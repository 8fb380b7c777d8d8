#!/usr/bin/env bash
# Measures, on this machine only: bench/run.sh [quick|all] [case…] [--rounds N] [--seconds S]
#
# quick: one short round of everything, to see that it works; its figures mean nothing.
# all:   the figures of docs/benchmarks.md, which it writes there.
#
# Without names it measures every case but `engine` and `serving`: their checkpoint and peers take gigabytes and an hour.
# It builds what we publish (profile dist: fat LTO). BENCH_PROFILE=dev measures the dev build; BENCH_BUILD=no measures what is there.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=all
if [[ ${1:-} == quick || ${1:-} == all ]]; then
    mode=$1
    shift
fi

cases=()
for word in "$@"; do
    [[ $word == -* ]] && break
    cases+=("$word")
done

profile=${BENCH_PROFILE:-dist}
venvs=target/bench/venvs
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1

# One venv for each peer, because they disagree about versions. It is made again when its list changes.
install_peer() {
    local venv=$venvs/$1 list=bench/peers/$1.txt
    cmp -s "$list" "$venv/installed.txt" && return
    scripts/venv.sh "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet install --requirement "$list"
    cp "$list" "$venv/installed.txt"
}

# Ours is installed from the wheel, as a person would.
install_ours() {
    local venv=$venvs/modelyard wheels=target/wheels/$profile
    [[ ${BENCH_BUILD:-yes} == no && -e $venv/installed ]] && return
    make --no-print-directory "$wheels/built"
    [[ $venv/installed -nt $wheels/built ]] && return
    [[ -x $venv/bin/python ]] || scripts/venv.sh "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
        --force-reinstall "$wheels"/*.whl
    touch "$venv/installed"
}

if [[ ${BENCH_BUILD:-yes} != no ]]; then
    cargo build --locked --profile "$profile" --package modelyard --package bench
fi

mkdir -p "$venvs"
for peer in $("$python" bench/measure.py "$mode" "${cases[@]}" --peers); do
    if [[ $peer == modelyard ]]; then install_ours; else install_peer "$peer"; fi
done

# What a case needs beyond that: programs that are built, models that are converted.
for name in "${cases[@]}"; do
    if [[ -x bench/$name/setup.sh ]]; then "bench/$name/setup.sh"; fi
done

# The tables are worth having also when one peer has failed.
status=0
"$python" bench/measure.py "$mode" "$@" || status=$?
if [[ $mode == all ]]; then
    "$python" bench/report.py --write "${cases[@]}"
fi
"$python" bench/report.py "${cases[@]}"
exit "$status"
