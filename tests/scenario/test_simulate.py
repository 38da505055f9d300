"""`forewarn simulate`: files that are equal byte for byte, readable, and true to their labels; the feeder's endpoints."""
import csv
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

FOREWARN = sys.argv[1]
NAMES = re.compile(r'pp(ml\d{4}|(db|web|etl|risk|gen)\d{3}|con\d{2})$')


def simulate(*args):
    return subprocess.run([FOREWARN, 'simulate', *args], capture_output=True, timeout=120)


def test_files(directory):
    paths = [os.path.join(directory, name) for name in ('a.csv.gz', 'b.csv.gz', 'l.csv', 'c.csv')]
    common = ('--servers', '12', '--days', '3', '--seed', '5', '--incidents', '8')
    assert simulate(*common, '--out', paths[0], '--labels', paths[2]).returncode == 0
    assert simulate(*common, '--out', paths[1]).returncode == 0
    assert simulate(*common, '--out', paths[3]).returncode == 0
    data = open(paths[0], 'rb').read()
    assert data == open(paths[1], 'rb').read(), 'same arguments, same bytes'
    text = gzip.decompress(data)
    assert text == open(paths[3], 'rb').read() == simulate(*common, '--out', '-').stdout
    rows = list(csv.DictReader(text.decode().splitlines()))
    assert len(rows) == 12 * 3 * 288
    assert list(rows[0])[:4] == ['timestamp', 'server_name', 'status', 'profile']
    assert len(rows[0]) == 18
    assert rows[0]['timestamp'] == '2026-01-05T00:00:00Z'
    servers = {row['server_name'] for row in rows}
    assert len(servers) == 12 and all(NAMES.match(name) for name in servers), servers
    for row in rows:
        shares = sum(float(row[m]) for m in list(row)[4:8])
        assert 0 < shares <= 100.0001, row
    labels = list(csv.DictReader(open(paths[2])))
    assert labels and list(labels[0]) == ['server_name', 'start', 'end', 'metrics', 'kind']
    for label in labels:
        assert label['server_name'] in servers and label['metrics'], label
        assert not label['end'] or label['start'] <= label['end'], label
    full = [label for label in labels if label['kind'] == 'disk_fill' and label['end']]
    for label in full:
        peak = max(float(r['disk_usage_pct']) for r in rows if r['server_name'] == label['server_name']
                   and label['start'] <= r['timestamp'] <= label['end'])
        assert peak > 94, (label, peak)


def test_usage():
    for args in ((), ('--out', 'x', '--url', 'http://h'), ('--out', '-', '--servers', '0'),
                 ('--out', '-', '--scenario', 'apocalypse'), ('--out', '-', '--listen', '127.0.0.1'),
                 ('--out', '-', '--start', 'yesterday')):
        assert simulate(*args).returncode == 2, args
    assert simulate('--out', '/nowhere/x.csv').returncode == 1
    assert simulate('--out', '/dev/full', '--days', '1').returncode == 1
    assert simulate('--help').returncode == 0


def call(url, body=None):
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None)
    request.add_header('Content-Type', 'application/json')
    return json.loads(urllib.request.urlopen(request, timeout=10).read())


def test_feeder(directory):
    daemon = subprocess.Popen([FOREWARN, 'serve', '--listen', '127.0.0.1:0', '--rate-limit', 'off', '--data',
                               os.path.join(directory, 'data')], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    feeder = None
    try:
        url = re.search(r'http\S+?:\d+', daemon.stdout.readline()).group(0)
        for _ in range(200):
            try:
                urllib.request.urlopen(url + '/readyz', timeout=10)
                break
            except OSError:
                time.sleep(0.05)
        feeder = subprocess.Popen([FOREWARN, 'simulate', '--servers', '20', '--days', '3', '--url', url,
                                   '--listen', '127.0.0.1:0'], stderr=subprocess.PIPE, text=True)
        line = feeder.stderr.readline()
        control = 'http://127.0.0.1:' + re.search(r'port=(\d+)', line).group(1)
        for line in feeder.stderr:  # a busy daemon may be told of first
            if 'history fed' in line:
                break
        assert 'history fed' in line, line
        status = call(control + '/scenario/status')
        assert status == {'scenario': 'healthy', 'affected_servers': [], 'total_affected': 0,
                          'fleet_size': 20, 'tick_count': status['tick_count']}, status
        answer = call(control + '/scenario/set', {'scenario': 'degrading'})
        assert answer['old_scenario'] == 'healthy' and answer['new_scenario'] == 'degrading', answer
        assert answer['affected_servers'] == 4, answer
        status = call(control + '/scenario/status')
        assert status['total_affected'] == 4 and len(status['affected_servers']) == 4, status
        answer = call(control + '/scenario/set', {'scenario': 'nonsense'})
        assert answer['status'] == 'error' and answer['message'], answer
        assert call(control + '/status')['status'] == 'running'
        assert 'service' in call(control + '/')
        deadline = time.monotonic() + 60
        servers = {}
        while len(servers) < 20 and time.monotonic() < deadline:
            time.sleep(0.1)
            try:
                servers = call(url + '/predictions/current').get('predictions', {})
            except urllib.error.HTTPError as refusal:  # busy: come again
                assert refusal.code == 503, refusal
        assert len(servers) == 20, len(servers)
        feeder.send_signal(signal.SIGTERM)
        _, log = feeder.communicate(timeout=20)
        assert feeder.returncode == 0 and 'rejected=0' in log, log
    finally:
        if feeder:
            feeder.kill()
        daemon.terminate()
        daemon.wait(timeout=20)


with tempfile.TemporaryDirectory() as scratch:
    test_files(scratch)
    print('ok files')
    test_usage()
    print('ok usage')
    test_feeder(scratch)
    print('ok feeder')
