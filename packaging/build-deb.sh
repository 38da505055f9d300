#!/usr/bin/env bash
# Builds the Debian package from what git tracks, and has lintian look at it where lintian is there.
#
#   packaging/build-deb.sh [OUT]     the .deb goes to OUT (build-deb)
#
# FW_BUILD_DEPS=install installs what debian/control names (apt-get, as root).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:-build-deb}"
out=$(cd "${1:-build-deb}" && pwd)

[ "${FW_BUILD_DEPS:-}" != install ] ||
    DEBIAN_FRONTEND=noninteractive apt-get build-dep -y -qq --no-install-recommends "$PWD/packaging" >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/forewarn
mkdir "$tree"
git ls-files -z | tar -c --null --files-from=- | tar -x -C "$tree"
mv "$tree/packaging/debian" "$tree/debian"
(cd "$tree" && dpkg-buildpackage -b -us -uc >"$work/log" 2>&1) || {
    tail -n 60 "$work/log" >&2
    exit 1
}
cp "$work"/forewarn_*.deb "$out/"
if command -v lintian >/dev/null; then
    lintian --allow-root --info --fail-on error,warning "$work"/forewarn_*.changes
else
    echo "skipped: lintian is not there" >&2
fi
ls "$out"/forewarn_*.deb
