#!/usr/bin/env bash
# The unit under a systemd that runs: started as Type=notify, watched, reloaded, killed, held in its sandbox, stopped.
#
# A systemd of its own boots in namespaces, over a copy-on-write view of this machine's files, with a cgroup of its own; nothing of it
# is left. Needs root, namespaces, overlayfs and cgroup2, and is skipped without them. FW_DEB=FILE.deb installs that package instead
# of this build's program, and purges it.
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: $*"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "needs root"
for wanted in /lib/systemd/systemd /usr/bin/dbus-daemon /usr/bin/curl; do
    [ -x "$wanted" ] || skip "no $wanted"
done
unshare --mount --pid --fork --uts --ipc --net --cgroup true 2>/dev/null || skip "no namespaces"
[ ! -e /lib/systemd/system/forewarn.service ] || skip "forewarn is installed here"

work=$(mktemp -d)
mkdir "$work"/{cgroups,files,root}
group=forewarn-live-$$ booted=
end() {
    if [ -n "$booted" ]; then
        kill -9 "$(pgrep -P "$booted")" 2>/dev/null || true
        wait "$booted" 2>/dev/null || true
    fi
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount bash -c 'mount -t cgroup2 none "$0/cgroups" && find "$0/cgroups/$1" -depth -type d -exec rmdir {} \;' \
        "$work" "$group" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

# ---- a small machine ----

# Kernel settings are read-only to it, and it may not set the clock, load modules or reboot: they are this machine's.
boot() {
    set -e
    local root=$work/root device
    mount -t tmpfs none "$work/files"
    mkdir "$work"/files/{upper,work}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/files/upper,workdir=$work/files/work" "$root"
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 none "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root"/dev/{pts,shm}
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs none "$root/dev/shm"
    mount -t tmpfs -o mode=755 none "$root/run"
    mount -t tmpfs none "$root/tmp"
    # Nothing starts but what is asked for here.
    rm -rf "$root"/etc/systemd/system/* "$root"/lib/systemd/system/*.wants "$root"/lib/systemd/system-generators/* \
        "$root"/lib/systemd/system/systemd-journald-audit.socket "$root/usr/sbin/policy-rc.d"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -s /lib/systemd/system/systemd-journald.service /lib/systemd/system/dbus.socket \
        "$root/etc/systemd/system/multi-user.target.wants/"
    install -D -m 755 "$work/probe" "$root/usr/local/bin/forewarn-probe"
    install -D -m 644 "$work/live.conf" "$root/etc/systemd/system/forewarn.service.d/live.conf"
    [ -z "${FW_DEB:-}" ] || cp "$FW_DEB" "$root/root/forewarn.deb"
    if [ -z "${FW_DEB:-}" ]; then
        install -m 755 "$program" "$root/usr/bin/forewarn"
        install -D -m 644 packaging/forewarn.conf "$root/etc/forewarn/forewarn.conf"
        install -m 644 packaging/systemd/forewarn.service "$root/lib/systemd/system/"
        install -m 644 packaging/debian/forewarn.sysusers "$root/usr/lib/sysusers.d/forewarn.conf"
    fi
    # Open to everybody, were it not for the sandbox.
    install -d -m 777 "$root"/{etc,usr,var/lib,home,opt}/open
    touch "$root/tmp/of-others"
    ip link set lo up
    # A new root and not chroot: who is in one gets no user namespace (PrivateUsers).
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    exec env -i container=forewarn-test PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set -sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-audit_control,-mac_admin,-mac_override \
        /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no
}

# What a receiver can do inside the service's sandbox: it is a child of the daemon.
cat >"$work/probe" <<'PROBE'
#!/bin/sh
exec >/var/lib/forewarn/probe.new 2>&1
for path in /etc /usr /var/lib /home /opt; do
    (: >"$path/open/forewarn-was-here") 2>/dev/null && echo "writes $path"
done
[ ! -e /home/open ] || echo "sees /home"
[ ! -e /tmp/of-others ] || echo "sees /tmp of others"
[ ! -e /proc/1/comm ] || echo "sees process 1"
unshare --user true 2>/dev/null && echo "makes namespaces"
echo asked
mv /var/lib/forewarn/probe.new /var/lib/forewarn/probe
PROBE
printf '[Service]\nWatchdogSec=4\n' >"$work/live.conf"

export -f boot
export work program FW_DEB=${FW_DEB:+$(realpath "$FW_DEB")}
# shellcheck disable=SC2016 # for the inner shell
unshare --mount bash -c 'set -e
    mount -t cgroup2 none "$work/cgroups"
    mkdir "$work/cgroups/$0"
    echo $$ >"$work/cgroups/$0/cgroup.procs"
    umount "$work/cgroups"
    exec unshare --cgroup --pid --fork --kill-child --mount --uts --ipc --net bash -c boot' "$group" >"$work/console" 2>&1 &
booted=$!

inside() {
    nsenter -t "$(pgrep -P "$booted")" --mount --uts --ipc --net --pid --cgroup --root --wdns=/ \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C timeout 60 "$@"
}
fail() {
    echo "FAILED: $*"
    tail -n 20 "$work/console"
    inside systemctl status --no-pager -l forewarn 2>/dev/null || true
    inside journalctl --no-pager -n 40 2>/dev/null || true
    exit 1
}
# wait_for WHAT COMMAND...: until the command succeeds, half a minute at most.
wait_for() {
    local what=$1
    shift
    for _ in $(seq 300); do
        "$@" && return 0
        sleep 0.1
    done
    fail "waited in vain for $what"
}
runs() {
    [ "$(inside systemctl is-system-running 2>/dev/null)" = running ]
}
for _ in $(seq 200); do
    runs && break
    kill -0 "$booted" 2>/dev/null || break
    sleep 0.1
done
runs || { tail -n 20 "$work/console"; skip "systemd does not boot here"; }

# ---- the service ----

property() {
    inside systemctl show -P "$1" forewarn
}
# says TEXT COMMAND...: the command succeeds and prints the text. Read whole: a grep that stops reading would make the command fail.
says() {
    local text=$1 said
    shift
    said=$("$@") && grep -qF -- "$text" <<<"$said"
}
ask() {
    inside curl -sf "http://127.0.0.1:8000$1" "${@:2}"
}
# A record of this moment with a full disk.
feed() {
    says '"records_accepted":1' ask /feed/data -H 'Content-Type: application/json' -d "{\"records\":[{\"server_name\":\"$1\",
        \"timestamp\":\"$(date -u +%FT%TZ)\",\"disk_usage_pct\":99}]}"
}

if [ -n "$FW_DEB" ]; then
    inside dpkg -i /root/forewarn.deb >/dev/null || fail "the package does not install"
    inside systemctl is-enabled --quiet forewarn || fail "the package does not enable the service"
    inside systemctl is-active --quiet forewarn || fail "the package does not start the service"
    inside systemctl stop forewarn
else
    inside systemd-sysusers
    inside systemctl daemon-reload
fi
cat >"$work/more.conf" <<'CONF'
[fleet]
step = 1
stale_steps = 60
[receiver probe]
type = exec
command = /usr/local/bin/forewarn-probe
CONF
append() {
    inside sh -c 'cat >>/etc/forewarn/forewarn.conf' <"$1"
}
append "$work/more.conf"
inside systemctl start forewarn || fail "it does not start"
ask /readyz >/dev/null || fail "started, and not ready: Type=notify does not wait"
[ "$(property SubState)" = running ] || fail "it is $(property SubState)"
echo "started: ready when systemctl returns"

first=$(property MainPID)

state=$(inside cat "/proc/$first/status")
grep -qE '^NoNewPrivs:\s1$' <<<"$state" || fail "NoNewPrivs"
grep -qE '^Seccomp:\s2$' <<<"$state" || fail "no seccomp filter"
grep -qE '^CapBnd:\s0+$' <<<"$state" || fail "capabilities"
[ "$(inside stat -c %U "/proc/$first")" = forewarn ] || fail "it runs as $(inside stat -c %U "/proc/$first")"
[ "$(inside stat -c %U:%a /var/lib/forewarn)" = forewarn:700 ] || fail "the state directory is open"
inside systemd-analyze security --no-pager forewarn.service | tail -n 1

# A full disk long enough for an alert: the receiver tells what it could do.
asked() {
    feed probed || fail "a record was refused"
    inside test -e /var/lib/forewarn/probe
}
wait_for "the receiver" asked
[ "$(inside cat /var/lib/forewarn/probe)" = asked ] || fail "the sandbox is open: $(inside cat /var/lib/forewarn/probe)"
echo "sandboxed: a receiver writes to the state directory alone"

# The watchdog is fed.
fed=$(property WatchdogTimestampMonotonic)
is_fed() {
    [ "$(property WatchdogTimestampMonotonic)" -gt "$fed" ]
}
wait_for "the watchdog to be fed" is_fed

printf '[metric disk_usage_pct]\nwarning = 61\n' >"$work/threshold.conf"
append "$work/threshold.conf"
inside systemctl reload forewarn || fail "it does not reload"
reloaded() {
    says '"warning":61.0,' ask /api/v1/schema
}
wait_for "the reload" reloaded
[ "$(property MainPID)" = "$first" ] || fail "a reload makes another process"
echo "reloaded: the same process, other thresholds"

# Killed: it comes back with all that was acknowledged.
feed kept-1 || fail "a record was refused"
inside kill -9 "$first"
again() {
    local now
    now=$(property MainPID)
    [ "$now" != "$1" ] && [ "$now" != 0 ] && [ "$(property SubState)" = running ] && ask /readyz >/dev/null
}
wait_for "the restart" again "$first"
says '"kept-1"' ask /api/v1/servers || fail "an acknowledged record is lost"
echo "killed: restarted ($(property NRestarts)) with everything acknowledged"

# It hangs: the watchdog ends it, and it comes back.
second=$(property MainPID)
inside kill -STOP "$second"
wait_for "the watchdog" again "$second"
says 'forewarn.service: Watchdog timeout' inside journalctl -u forewarn --no-pager || fail "something else than the watchdog ended it"
echo "hung: ended by the watchdog, restarted"

inside systemctl stop forewarn || fail "it does not stop"
[ "$(property Result)" = success ] || fail "it ends with $(property Result)"
says 'daemon: stopped' inside journalctl -u forewarn --no-pager -n 5 || fail "it does not end in order"
if [ -n "$FW_DEB" ]; then
    inside dpkg -P forewarn >/dev/null 2>&1 || fail "the package does not purge"
    inside test ! -e /var/lib/forewarn || fail "purge leaves data"
    echo "purged"
fi
echo "the unit lives as it says"
