"""`forewarn demo`: forecasts for all servers at once, an alert before the disk is full, and nothing left behind."""
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

FOREWARN = sys.argv[1]


def fetch(url):
    return json.loads(urllib.request.urlopen(url, timeout=10).read())


def check_forecasts(url):
    predictions = fetch(url + '/predictions/current')['predictions']
    assert len(predictions) == 25, len(predictions)
    for name, server in predictions.items():
        paths = {m: p for m, p in server.items() if isinstance(p, dict) and 'p50' in p}
        assert len(paths) >= 14, (name, sorted(paths))
        for metric, path in paths.items():
            assert len(path['p10']) == len(path['p50']) == len(path['p90']) == 96
            for low, middle, high in zip(path['p10'], path['p50'], path['p90']):
                assert all(map(math.isfinite, (low, middle, high))), (name, metric)
                assert low <= middle <= high, (name, metric, low, middle, high)


with tempfile.TemporaryDirectory() as scratch:
    began = time.monotonic()
    lines = []
    demo = subprocess.Popen([FOREWARN, 'demo', '--listen', '127.0.0.1:0', '--speed', '120'],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=dict(os.environ, TMPDIR=scratch))
    reader = threading.Thread(target=lambda: lines.extend(iter(demo.stdout.readline, '')))
    reader.start()
    try:
        def wait_for(pattern, seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end and demo.poll() is None:
                for line in list(lines):
                    found = re.search(pattern, line)
                    if found:
                        return found
                time.sleep(0.1)
            raise AssertionError('no %r in %r' % (pattern, lines))

        url = wait_for(r'curl -s (http://\S+?)/predictions', 60).group(1)
        assert time.monotonic() - began < 60
        check_forecasts(url)
        print('ok forecasts')
        alert = wait_for(r'critical (ppdb\d+): disk_usage_pct will pass 95 % in about .*now ([\d.]+)',
                         60)
        assert float(alert.group(2)) < 95, alert.group(0)
        active = fetch(url + '/alerts/active')['alerts']
        assert any(a.get('server_name', a.get('server')) == alert.group(1) for a in active), active
        print('ok', alert.group(0))
        assert os.listdir(scratch), 'its data is here'
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=20) == 0, demo.returncode
        assert not os.listdir(scratch), os.listdir(scratch)
        print('ok nothing left')
    finally:
        demo.kill()
        reader.join()
