#!/usr/bin/env bash
# lint.sh BUILD-DIR: clang-tidy and cppcheck over the sources, from the build's compile database. 0 findings, or it fails;
# what is switched off says why in .clang-tidy and here.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1

# The database is gcc's; clang-tidy does not know these flags.
database=$(mktemp -d)
trap 'rm -rf "$database"' EXIT
sed -e 's/-fstack-clash-protection//g; s/-ftrivial-auto-var-init=zero//g; s/-Werror\b//g' "$build/compile_commands.json" >"$database/compile_commands.json"

git ls-files 'src/*.c' | xargs -P "$(nproc)" -n 8 clang-tidy-14 -p "$database" --quiet --warnings-as-errors='*' 2>&1 |
    { grep -Ev '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter|^$' || true; } | tee "$database/findings"
[ ! -s "$database/findings" ] || exit 1

# Suppressed: style advice, and reports about libraries' macros that cppcheck cannot see; internalAstError where lanes
# compare vectors, which cppcheck cannot parse (compilers' extension).
cppcheck --enable=warning,portability,performance --error-exitcode=1 --inline-suppr --quiet -j "$(nproc)" \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=uselessAssignmentPtrArg --suppress=normalCheckLevelMaxBranches \
    --suppress=internalAstError:src/tft/kernels/lanes_split.inc \
    --std=c11 -D_POSIX_C_SOURCE=200809L -I src $(git ls-files 'src/*.c')
