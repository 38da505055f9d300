"""Every system call that the daemon makes, from start over feeds, forecasts, a delivery to a program, a silence by the clock of a
zone and a reload to its end, is one that the unit's filter lets through. Seen with strace; skipped where that or systemd's list of
calls is not there."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'scenario'))
from daemon import Daemon, Feeder, wait_for  # noqa: E402

PROGRAM = sys.argv[1]
UNIT = 'packaging/systemd/forewarn.service'


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def expand(names):
    """Groups (@name) become their calls, by systemd's own list."""
    calls = set()
    for name in names:
        if not name.startswith('@'):
            calls.add(name)
            continue
        text = subprocess.run(['systemd-analyze', 'syscall-filter', '--no-pager', name], check=True, capture_output=True, text=True).stdout
        calls |= expand(line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith('#'))
    return calls


def allowed():
    """As systemd reads SystemCallFilter: the first line allows, ~ takes away, later lines add."""
    calls = set()
    for line in re.findall(r'^SystemCallFilter=(.*)$', open(UNIT, encoding='utf-8').read(), re.M):
        if line.startswith('~'):
            calls -= expand(line[1:].split())
        else:
            calls |= expand(line.split())
    return calls


if shutil.which('strace') is None or shutil.which('systemd-analyze') is None:
    skip('no strace or no systemd-analyze')
if subprocess.run(['strace', '-o', '/dev/null', 'true'], capture_output=True, check=False).returncode != 0:
    skip('strace may not trace here')

with tempfile.TemporaryDirectory() as directory:
    wrapper, trace, told = (os.path.join(directory, name) for name in ('traced', 'trace', 'told'))
    with open(wrapper, 'w', encoding='utf-8') as file:
        file.write(f'#!/bin/sh\nexec strace -f -qq -e signal=none -o {trace} "{PROGRAM}" "$@"\n')
    os.chmod(wrapper, 0o755)
    daemon = Daemon(wrapper, directory, f'[receiver file]\ntype = exec\ncommand = /usr/bin/tee {told}\n')
    traced = int(re.search(r'^(\d+)', open(trace, encoding='utf-8').readline()).group(1))
    feeder = Feeder(daemon, full={'disk_usage_pct': 99.0})
    wait_for('the program to be told', lambda: os.path.exists(told) and os.path.getsize(told) > 0, 60)
    window = {'days': ['sun'], 'from': '02:00', 'duration': '1h', 'zone': 'Europe/Berlin'}
    status, answer = daemon.request('POST', '/api/v1/silences', {'server': '*', 'recurrence': window})
    assert status == 200 and answer['recurrence']['zone'] == 'Europe/Berlin', (status, answer)
    os.kill(traced, signal.SIGHUP)
    wait_for('the reload', lambda: 'reloaded keys=0' in daemon.log_text())
    feeder.stop()
    os.kill(traced, signal.SIGTERM)
    assert daemon.process.wait(30) == 0
    made = set(re.findall(r'^\d+ +([a-z0-9_]+)\(', open(trace, encoding='utf-8').read(), re.M))

if os.geteuid() == 0:
    made.discard('fchown')  # SQLite keeps the owner of a database for its other files, when it is root
assert {'fdatasync', 'accept4', 'execve', 'setpriority'} <= made, made
assert not made - allowed(), made - allowed()
print(f'{len(made)} different calls, all allowed')
