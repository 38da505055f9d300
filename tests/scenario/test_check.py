"""forewarn check: the line and the exit code that Nagios and its like expect, for each state."""
import re
import subprocess
import sys
import tempfile

from daemon import Daemon, Feeder, wait_for

PROGRAM = sys.argv[1]
LINE = r'FOREWARN (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]*(\| probability=[0-9.e-]+;[0-9.]+;[0-9.]+;0;1 risk=[0-9.]+;;;0;100)?\n'


def check(daemon, *arguments):
    """(exit code, line)"""
    done = subprocess.run([PROGRAM, 'check', '--url', f'http://127.0.0.1:{daemon.port}', *arguments], capture_output=True, text=True,
                          timeout=20)
    assert re.fullmatch(LINE, done.stdout), done
    assert done.stderr == '', done
    state = ('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')[done.returncode]
    assert done.stdout.startswith(f'FOREWARN {state} - '), done
    assert (' | probability=' in done.stdout) == (done.returncode != 3), done
    return done.returncode, done.stdout


def wrong(*arguments):
    done = subprocess.run([PROGRAM, 'check', *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3 and done.stdout == '' and 'forewarn check --help' in done.stderr, done


with tempfile.TemporaryDirectory() as directory:
    daemon = Daemon(PROGRAM, directory, '')
    assert 'No such server' in check(daemon, '--server', 'nobody')[1]
    feeder = Feeder(daemon, full={'disk_usage_pct': 99.0}, calm={'disk_usage_pct': 10.0}, **{'a/b|c': {'disk_usage_pct': 99.0}})
    wait_for('a forecast', lambda: check(daemon, '--server', 'full')[0] == 2)
    code, line = check(daemon, '--server', 'full', '--within', '30m')
    assert code == 2 and 'disk_usage_pct' in line, line
    assert wait_for('the calm one', lambda: check(daemon, '--server', 'calm')[0] == 0)
    assert check(daemon, '--server', 'full', '--critical', '1')[0] == 1
    assert check(daemon, '--server', 'calm', '--warning', '0', '--critical', '0')[0] == 2
    code, line = check(daemon, '--server', 'a/b|c')
    assert code == 2 and 'a/b/c: chance' in line, line
    feeder.stop()
    wrong()
    wrong('--server')
    wrong('--server', 'a', '--within', '1h')
    wrong('--server', 'a', '--warning', '0.9', '--critical', '0.8')
    wrong('--server', 'a', '--critical', '1.5')
    daemon.stop()
    code, line = check(daemon, '--server', 'full')
    assert code == 3 and str(daemon.port) in line, line
print('a line and a code for each state')
