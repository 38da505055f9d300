"""SIGHUP: keys, the log's level and the rules that servers are judged by follow the file, what cannot is named, and a wrong
file changes nothing."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from daemon import Daemon, Feeder, wait_for

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


def thresholds(daemon):
    """Of the fullest file system: what requests are told."""
    metrics = {m['name']: m for m in daemon.request('GET', '/api/v1/schema')[1]['metrics']}
    return metrics['disk_usage_pct']['warning'], metrics['disk_usage_pct']['critical'], set(metrics)


def server(daemon):
    answer = daemon.request('GET', '/api/v1/servers/ora-1')[1]
    return answer['profile'], answer.get('labels', {})


def write_line(daemon, text):
    request = urllib.request.Request(f'http://127.0.0.1:{daemon.port}/write', text.encode(), headers={'Content-Type': 'text/plain'})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def load(daemon):
    window = daemon.request('GET', '/api/v1/servers/ora-2/window')
    values = window[1]['metrics'].get('load_average', {}).get('values', []) if window[0] == 200 else []
    return ([v for v in values if v is not None] or [None])[-1]


def rules_follow(directory):
    """Thresholds, profiles, labels, mapping, alerts: all of one file, or nothing."""
    mapping = os.path.join(directory, 'mapping')
    write(mapping, 'my_load -> load_average\n')
    daemon = Daemon(PROGRAM, directory, '[ingest]\nlabels = dc\n')
    base = open(daemon.config, encoding='utf-8').read().replace('labels = dc\n', '')
    feeder = Feeder(daemon, ora_1={'disk_usage_pct': 90.0, 'labels': {'dc': 'fra', 'rack': 'r1'}})
    wait_for('the alert', lambda: any(a['state'] == 'firing' for a in daemon.alerts()))
    assert server(daemon) == ('generic', {'dc': 'fra'}), server(daemon)
    assert write_line(daemon, f'forewarn,host=ora-2 my_load=3 {time.time_ns()}\n') == 204 and load(daemon) is None

    text = f'labels = rack\nmapping = {mapping}\n[metric disk_usage_pct]\nwarning = 95\ncritical = 98\n[profiles]\nora-* = database\n'
    write(daemon.config, base + text + '[alerts]\nclear_runs = 1\n')
    reload(daemon, 'reloaded keys=0')
    assert 'restart needed' not in daemon.log_text(), daemon.log_text()
    assert thresholds(daemon)[:2] == (95, 98)
    wait_for('the end of the alert', lambda: [a['state'] for a in daemon.alerts()] == ['resolved'])
    wait_for('profile and labels', lambda: server(daemon) == ('database', {'rack': 'r1'}))
    write_line(daemon, f'forewarn,host=ora-2 my_load=4 {time.time_ns()}\n')
    assert load(daemon) == 4
    write(mapping, 'my_load -> load_average * 2\n')  # the file's own text counts
    reload(daemon, 'reloaded keys=0')
    time.sleep(1.1)
    write_line(daemon, f'forewarn,host=ora-2 my_load=4 {time.time_ns()}\n')
    assert load(daemon) == 8

    # A new column waits for a restart, named; what stands beside it does not wait.
    write(daemon.config, base + text.replace('95', '94') + '[metric fresh_one]\nunit = s\n')
    reload(daemon, 'restart needed for changed settings')
    assert 'names="metric.fresh_one"' in daemon.log_text().splitlines()[-1], daemon.log_text()
    assert thresholds(daemon)[:2] == (94, 98) and 'fresh_one' not in thresholds(daemon)[2]

    # Wrong files: the line is named, and what stands before it changes nothing.
    before = len((base + text.replace('95', '70')).splitlines())
    for tail, rules, says in (('[alerts]\nfor_runs = many\n', 'my_load -> load_average\n', f'forewarn.conf:{before + 2}: '),
                              ('', '# fine\nmy_load -> nonsense\n', 'mapping:2: '),
                              ('[metric fresh_one]\nunit = s\n', 'x -> fresh_one\n', 'restart needed for metrics that are new')):
        write(mapping, rules)
        write(daemon.config, base + text.replace('95', '70') + tail)
        reload(daemon, 'reload failed, nothing changes')
        assert says in daemon.log_text().splitlines()[-1], daemon.log_text().splitlines()[-1]
        assert thresholds(daemon)[:2] == (94, 98)
        time.sleep(1.1)
        write_line(daemon, f'forewarn,host=ora-2 my_load=5 {time.time_ns()}\n')
        assert load(daemon) == 10
    feeder.stop()
    daemon.stop()
    write(mapping, 'x -> fresh_one\n')
    daemon.start()
    assert 'fresh_one' in thresholds(daemon)[2]
    daemon.stop()


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
    reload(daemon, 'restart needed for changed settings')
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
with tempfile.TemporaryDirectory() as place:
    rules_follow(place)
print('reloads take over what they can and nothing else')
