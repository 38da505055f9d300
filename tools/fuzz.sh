#!/usr/bin/env bash
# fuzz.sh BUILD-DIR SECONDS: runs every fuzz target from its committed corpus for that long; past crashes first.
# New inputs go to BUILD-DIR, findings stay there and fail the run.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2 failed=0
# Freed memory is held back for 4 MiB of later allocations instead of 256: fresh pages for every run would cost up to half of it.
export ASAN_OPTIONS=quarantine_size_mb=4:max_malloc_fill_size=256${ASAN_OPTIONS:+:$ASAN_OPTIONS}
for target in "$build"/fuzz/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    work=$build/corpus/$name
    mkdir -p "$work"
    corpora=("$work")
    [ ! -d "fuzz/corpus/${name#fuzz_}" ] || corpora+=("fuzz/corpus/${name#fuzz_}")
    if [ -d "fuzz/crashes/${name#fuzz_}" ] && ! "$target" fuzz/crashes/"${name#fuzz_}"/* >"$work.log" 2>&1; then
        echo "$name: a past crash is back"
        tail -n 40 "$work.log"
        failed=1
    fi
    options=fuzz/$name.options # as OSS-Fuzz reads them; only max_len is used
    length=$(sed -n 's/^max_len *= *//p' "$options" 2>/dev/null || true)
    if "$target" ${length:+-max_len="$length"} -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$work/finding-" \
        -print_final_stats=1 "${corpora[@]}" >"$work.log" 2>&1; then
        printf '%-40s %s runs\n' "$name" "$(sed -n 's/.*stat::number_of_executed_units: *//p' "$work.log")"
    else
        echo "$name: FAILED"
        tail -n 40 "$work.log"
        failed=1
    fi
done

# A folder of inputs that no target reads would be a check that is not made.
for inputs in fuzz/corpus/*/ fuzz/crashes/*/; do
    [ -d "$inputs" ] || continue
    [ -x "$build/fuzz/fuzz_$(basename "$inputs")" ] || { echo "$inputs: no target of that name"; failed=1; }
done
exit "$failed"
