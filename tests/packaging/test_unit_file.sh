#!/usr/bin/env bash
# The unit file: what systemd-analyze thinks of its exposure, and that systemd takes every line of it.
set -euo pipefail
program=$1
unit=packaging/systemd/forewarn.service

if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: no systemd-analyze (package systemd)"
    exit 77
fi
LC_ALL=C systemd-analyze security --offline=true --threshold=15 --no-pager "$unit" | tail -n 1

# The program of this build stands in for the one that the package installs; its pages are checked elsewhere.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -e "s|^ExecStart=/usr/bin/forewarn|ExecStart=$program|" -e '/^Documentation=/d' "$unit" >"$work/forewarn.service"
said=$(LC_ALL=C systemd-analyze verify "$work/forewarn.service" 2>&1 | grep -F forewarn || true)
if [ -n "$said" ]; then
    echo "$said"
    exit 1
fi

# The configuration that it names is the one that is shipped, and it is fine.
grep -q '^ExecStart=/usr/bin/forewarn serve --config /etc/forewarn/forewarn.conf$' "$unit"
env -i "$program" check-config packaging/forewarn.conf
