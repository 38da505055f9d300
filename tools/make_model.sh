#!/usr/bin/env bash
# Makes the shipped model (docs/model.md): a simulated fleet and the data sets given, up to what each holds out for
# tests, to a model in OUT.
#
#   tools/make_model.sh OUT DATA...        for instance: tools/make_model.sh models/forewarn sets/services sets/asd sets/smd
#
# DATA are directories as `forewarn train` reads them; with servers.csv, nothing from test_from on is learned from.
# Ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=${FOREWARN:-build/forewarn}
mkdir "$work/simulated"
"$program" simulate --servers 25 --days 14 --seed 1 --out "$work/simulated/fleet.csv.gz"
"$program" train --data "$@" "$work/simulated" --out "$work/model" --samples 196608 --batch 64 --learning-rate 0.001 \
    --dropout 0.1 --epochs 45 --seed 1
mkdir -p "$out"
cp "$work/model/model.safetensors" "$work/model/spec.json" "$out/"
"$program" model check "$out"
