"""SIGHUP: keys and the log's level follow the file, what cannot is named, and a wrong file changes nothing."""
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from daemon import Daemon, wait_for

PROGRAM = sys.argv[1]
FIRST, SECOND = 'first-key-0123456789abcdef', 'second-key-0123456789abcdef'


def write(path, text):
    """In one go: a reload never sees half of it."""
    with open(path + '.new', 'w', encoding='utf-8', opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    os.rename(path + '.new', path)


def status(daemon, key=None):
    request = urllib.request.Request(f'http://127.0.0.1:{daemon.port}/api/v1/servers', headers={} if key is None else {'X-API-Key': key})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def reload(daemon, line):
    """Sends the signal and waits until the log has one more such line."""
    before = daemon.log_text().count(line)
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(line, lambda: daemon.log_text().count(line) > before)


with tempfile.TemporaryDirectory() as directory:
    keys = os.path.join(directory, 'keys')
    write(keys, f'ops:admin:{FIRST}\n')
    daemon = Daemon(PROGRAM, directory, f'[server]\napi_key_file = {keys}\n')
    first_config = open(daemon.config, encoding='utf-8').read()
    assert (status(daemon), status(daemon, FIRST), status(daemon, SECOND)) == (401, 200, 401)
    write(keys, f'ops:admin:{SECOND}\n')
    reload(daemon, 'reloaded keys=1')
    assert (status(daemon, FIRST), status(daemon, SECOND)) == (401, 200)

    # What cannot be taken over is named, what can be is taken over beside it.
    write(daemon.config, first_config + 'records = 5\n[log]\njson = on\n')
    reload(daemon, 'changed settings wait for a restart')
    line = daemon.log_text().splitlines()[-1]
    assert line.startswith('{') and 'server.records' in line and 'fleet' not in line, line

    # A wrong file, a file without keys: as before.
    for text, says in ((first_config + '[log]\nlevel = loud\n', 'expected debug, info, warn or error'),
                       (first_config.replace(keys, keys + '-missing'), 'keys-missing')):
        write(daemon.config, text)
        reload(daemon, 'reload failed, nothing changes')
        line = daemon.log_text().splitlines()[-1]
        assert line.startswith('{') and says in line, line
        assert (status(daemon), status(daemon, SECOND)) == (401, 200)

    # On loopback the last key may go.
    write(daemon.config, first_config.replace(f'api_key_file = {keys}', ''))
    reload(daemon, 'reloaded keys=0')
    assert status(daemon) == 200
    daemon.stop()

    # Beyond loopback it may not: the address that is listened on counts, whatever the file says now.
    write(daemon.config, first_config.replace('[server]', '[server]\nlisten = 0.0.0.0'))
    options = ['--config', daemon.config, '--set', f'server.listen=:{daemon.port}', '--data', os.path.join(directory, 'data'), '--step', '1']
    daemon.process = subprocess.Popen([PROGRAM, 'serve', *options], stdout=subprocess.DEVNULL, stderr=daemon.log)
    wait_for('the daemon to be ready', daemon.ready)
    write(daemon.config, first_config.replace(f'api_key_file = {keys}', ''))
    reload(daemon, 'listening on 0.0.0.0 needs an API key')
    assert (status(daemon), status(daemon, SECOND)) == (401, 200)
    daemon.stop()
print('reloads take over what they can and nothing else')
