#!/usr/bin/env bash
# Installs a package on this machine, tries it as its service would run, and purges it. For machines that are thrown away: root,
# nothing else of forewarn's installed.
#
#   packaging/try-deb.sh FILE.deb
set -euo pipefail
deb=$(realpath "$1")
port=${FW_TRY_PORT:-18000}
url=http://127.0.0.1:$port

fail() {
    echo "try-deb: $*" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || fail "needs root"
# Outputs are read whole: a grep that stops reading would make the command before it fail.
! grep -qF 'ok installed' <<<"$(dpkg-query -W -f '${Status}' forewarn 2>/dev/null)" || fail "forewarn is installed already"

# RUNLEVEL=1: nothing is started; the service runs by hand below, as systemd would.
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$deb" >/dev/null
daemon=
end() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq forewarn >/dev/null
}
trap end EXIT

id forewarn >/dev/null
forewarn check-config /etc/forewarn/forewarn.conf
grep -qF /etc/forewarn/forewarn.conf <<<"$(dpkg-query -W -f '${Conffiles}' forewarn)" || fail "the configuration is no conffile"
grep -q '^#listen = 127.0.0.1:8000$' /etc/forewarn/forewarn.conf || fail "another address than loopback"
# Nothing opens a port beyond loopback without a key.
if env -i forewarn serve --config /etc/forewarn/forewarn.conf --listen "0.0.0.0:$port" 2>/dev/null; then
    fail "it listens beyond loopback without a key"
fi

install -d -o forewarn -g forewarn -m 0700 /var/lib/forewarn
command=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/forewarn.service)
# shellcheck disable=SC2086 # words of the unit's command line
(cd /var/lib/forewarn && exec setpriv --reuid forewarn --regid forewarn --clear-groups --no-new-privs env -i \
    $command --set "server.listen=:$port") &
daemon=$!
for _ in $(seq 100); do
    curl -sf "$url/readyz" >/dev/null && break
    kill -0 "$daemon" || fail "the service ended"
    sleep 0.1
done
curl -sf "$url/readyz" >/dev/null || fail "the service does not become ready"
listens=$(ss -Hltn "sport = :$port" | awk '{ print $4 }')
[ -n "$listens" ] || fail "nobody listens"
! grep -qvE '^(127\.|\[::1\])' <<<"$listens" || fail "it listens beyond loopback"

# This host's first forecast.
forewarn agent --url "$url" --once --name tried >/dev/null 2>&1
forecast_made() {
    grep -qF '"p50"' <<<"$(curl -sf "$url/api/v1/servers/tried/forecast")"
}
for _ in $(seq 300); do
    forecast_made && break
    sleep 0.1
done
forecast_made || fail "no forecast"
# The zones of tzdata, which the package depends on.
forewarn silence add --url "$url" --server '*' --days sun --from 02:00 --for 1h --zone Europe/Berlin >/dev/null || fail "no time zones"
forewarn check --url "$url" --server tried || [ $? -le 2 ] || fail "check knows nothing"
kill "$daemon"
wait "$daemon" || fail "the service does not end well"
daemon=
end
trap - EXIT
if [ -e /var/lib/forewarn ] || [ -e /etc/forewarn ]; then
    fail "purge leaves data or configuration"
fi
echo "installed, tried, purged"
