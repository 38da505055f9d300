#!/usr/bin/env bash
# Makes the shipped model (docs/model.md) from the data sets given, up to what each holds out for tests, in OUT.
#
#   tools/make_model.sh OUT DATA...        for instance: tools/make_model.sh models/forewarn sets/services sets/asd sets/smd
#
# DATA are directories as `forewarn train` reads them; with servers.csv, nothing from test_from on is learned from.
# Five minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=${FOREWARN:-build/forewarn}
"$program" train --data "$@" --out "$work/model" --batch 64 --learning-rate 0.001 --dropout 0.1 --epochs 45 --seed 1
mkdir -p "$out"
cp "$work/model/model.safetensors" "$work/model/spec.json" "$out/"
"$program" model check "$out"
