#!/usr/bin/env bash
# What is embedded is what web/ gives: types are checked, the bundle is made again and compared.
set -euo pipefail
if ! command -v node >/dev/null || [ ! -d web/node_modules/esbuild ] || [ ! -d web/node_modules/typescript ]; then
    echo "skipped: node or web/node_modules is missing (npm ci in web/)"
    exit 77
fi
if grep -q '"resolved"' web/package-lock.json; then
    echo "web/package-lock.json names where packages came from"
    exit 1
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
(cd web && node_modules/.bin/tsc --noEmit && node build.mjs "$made/dist")
diff -r "$made/dist" src/web/dist
