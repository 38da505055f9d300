"""`forewarn agent` against a peer of a few lines: --print, --once, back-filling after an absence, SIGTERM."""
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

FOREWARN = sys.argv[1]
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden', 'agent')
METRICS = ('cpu_user_pct', 'cpu_sys_pct', 'cpu_iowait_pct', 'cpu_idle_pct', 'mem_used_pct',
           'load_average', 'uptime_days')


class Peer:
    """A daemon that takes what it gets while `code` is 200."""

    def __init__(self, port=0):
        peer = self
        self.code, self.records, self.keys, self.posts = 200, [], set(), 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                peer.posts += 1
                peer.keys.add(self.headers.get('X-API-Key'))
                if peer.code == 200:
                    assert self.path == '/feed/data', self.path
                    peer.records.extend(json.loads(body)['records'])
                self.send_response(peer.code)
                self.send_header('Content-Length', '2')
                if peer.code == 503:
                    self.send_header('Retry-After', '1')
                self.end_headers()
                self.wfile.write(b'{}')

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.url = 'http://127.0.0.1:%d' % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def agent(*args, **more):
    return subprocess.run([FOREWARN, 'agent', *args], capture_output=True, text=True, timeout=60,
                          **more)


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_print():
    done = agent('--once', '--print', '--name', 'me')
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record['server_name'] == 'me'
    for metric in METRICS:
        assert 0 <= record[metric] < 1e6, (metric, record)
    shares = sum(record[m] for m in METRICS[:4])
    assert 50 < shares <= 100.01, shares


def test_print_of_a_fixture():
    done = agent('--once', '--print', '--name', 'x', '--root', os.path.join(GOLDEN, 'container'))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record['mem_used_pct'] == 70 and record['load_average'] == 0.1, record
    assert 'cpu_user_pct' not in record and 'java_cpu_pct' not in record, record
    assert 'net_in_mb_s' not in record and 'swap_used_pct' not in record, record
    done = agent('--once', '--print', '--root', '/nowhere')
    assert done.returncode == 1 and 'nothing could be read' in done.stderr, done.stderr


def test_once():
    peer = Peer()
    with tempfile.NamedTemporaryFile('w') as key:
        key.write(' secret-key \n')
        key.flush()
        done = agent('--once', '--url', peer.url, '--name', 'me', '--api-key-file', key.name)
    assert done.returncode == 0, done.stderr
    assert len(peer.records) == 1 and peer.keys == {'secret-key'}, (peer.records, peer.keys)
    assert 'labels' not in peer.records[0], peer.records
    done = agent('--once', '--url', peer.url, '--name', 'me', '--label', 'dc=fra "1"', '--label', 'role=db=x', '--label', 'dc=ams')
    assert done.returncode == 0 and peer.records[-1]['labels'] == {'dc': 'ams', 'role': 'db=x'}, (done.stderr, peer.records)
    for code in (403, 422, 500):
        peer.code = code
        done = agent('--once', '--url', peer.url, '--name', 'me')
        assert done.returncode == 1 and str(code) in done.stderr, done.stderr
    peer.server.shutdown()
    peer.server.server_close()
    done = agent('--once', '--url', peer.url)
    assert done.returncode == 1 and 'onnect' in done.stderr, done.stderr


def test_usage():
    for args in ((), ('--url', 'ftp://x'), ('--url', 'http://x', '--interval', '0'),
                 ('--url', 'http://x', 'more'), ('--url', 'http://x', '--nonsense'),
                 ('--url', 'http://x', '--name', 'a\nb'), ('--url', 'http://x', '--label', 'dc'),
                 ('--url', 'http://x', '--label', 'd c=x'), ('--url', 'http://x', '--label', 'dc=')):
        done = agent(*args)
        assert done.returncode == 2 and done.stderr, args
    done = agent('--help')
    assert done.returncode == 0 and '--interval' in done.stdout


def test_absence_and_end():
    peer = Peer()
    peer.code = 503
    process = subprocess.Popen([FOREWARN, 'agent', '--url', peer.url, '--interval', '1', '--name',
                                'me'], stderr=subprocess.PIPE, text=True)
    try:
        wait_for('tries', lambda: peer.posts >= 2)
        time.sleep(2)
        assert not peer.records
        peer.code = 200
        wait_for('back-fill', lambda: len(peer.records) >= 4)
        peer.code = 503
        time.sleep(2.5)
        peer.code = 200  # likely within a pause: the flush at the end brings the rest
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, (process.returncode, log)
    # Whole seconds come without a fraction, and '.' sorts before 'Z'.
    stamps = [r['timestamp'] if '.' in r['timestamp'] else r['timestamp'].replace('Z', '.000Z') for r in peer.records]
    assert stamps == sorted(stamps) and len(set(stamps)) == len(stamps), stamps
    assert 'lost=0' in log, log
    lines = [line for line in log.splitlines() if 'agent:' in line]
    assert len(lines) <= 9, log  # changes of state, not posts


for test in (test_print, test_print_of_a_fixture, test_once, test_usage, test_absence_and_end):
    test()
    print('ok', test.__name__)
