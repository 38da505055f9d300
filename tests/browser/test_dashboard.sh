#!/usr/bin/env bash
# The dashboard in Chromium; needs Debian's chromium, node and what `npm ci` in web/ installs.
set -euo pipefail
if ! command -v node >/dev/null; then
    echo "skipped: node is not installed"
    exit 77
fi
if ! command -v chromium >/dev/null; then
    echo "skipped: chromium is not installed"
    exit 77
fi
if [ ! -d web/node_modules/playwright-core ] || [ ! -d web/node_modules/axe-core ]; then
    echo "skipped: web/node_modules is missing (npm ci in web/)"
    exit 77
fi
exec node tests/browser/dashboard.mjs "$1"
