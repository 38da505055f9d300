"""forewarn import prometheus, with Debian's Prometheus on a made-up history: windows are those that remote write of the same scrapes
gives, with the gap and without harm from a reboot; forecasts are blends at once; a second import changes nothing; live remote write
goes on beside it; what goes wrong is said."""
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import harness
import remote_write
from node_history import Host, open_metrics, write_requests

PROGRAM = sys.argv[1]
STEP, DAYS, DAY = 300, 3, 86400
POINTS = {'cpu_user_pct': 2, 'cpu_sys_pct': 2, 'cpu_iowait_pct': 2, 'cpu_idle_pct': 2, 'mem_used_pct': 2, 'swap_used_pct': 2,
          'disk_usage_pct': 2, 'net_in_mb_s': 0.05, 'net_out_mb_s': 0.05, 'back_close_wait': 0.5, 'load_average': 0.2, 'uptime_days': 0.001}


def every(begin, end, seconds, offset_ms, without=(0, 0)):
    return [ms for ms in range(int(begin) * 1000 + offset_ms, int(end) * 1000, seconds * 1000) if not without[0] <= ms / 1000 < without[1]]


def make_hosts(now):
    """One that was rebooted, one with four hours of silence, one of six hours, one that goes on live, one that is gone since two hours,
    and one that nobody asks for."""
    begin = now - DAYS * DAY - 1800
    gap = (now - DAY, now - DAY + 4 * 3600)
    return (Host('web1', every(begin, now, 60, 7300), reboot=now - 1.5 * DAY), Host('db1', every(begin, now, 60, 41900, gap)),
            Host('new1', every(now - 6 * 3600, now, 15, 3210)), Host('live1', every(begin, now, 60, 20100)),
            Host('gone1', every(begin, now - 7200, 60, 900)), Host('other1', every(now - 3600, now, 60, 100), job='other')), gap


def moments():
    while True:
        yield int(time.time() * 1000)


class Exporter:
    """Goes on with a host's metrics, its counters anew."""

    def __init__(self, name):
        scrapes = Host(name, moments()).samples()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                _, found = next(scrapes)
                text = ''.join('%s{%s} %r\n' % (name, ','.join('%s="%s"' % one for one in labels.items() if one[0] not in ('instance', 'job')), value)
                               for name, labels, value in found).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server.server_address[1]


class Stage:
    def __init__(self, directory, daemon):
        self.directory, self.daemon, self.prometheus = directory, daemon, None
        self.port, = harness.free_ports(1)
        self.url = 'http://127.0.0.1:%d' % self.port

    def start(self, hosts, exporter):
        text = os.path.join(self.directory, 'history.txt')
        open_metrics(hosts, text)
        made = subprocess.run(['promtool', 'tsdb', 'create-blocks-from', '-q', 'openmetrics', '--max-block-duration=162h', text,
                               os.path.join(self.directory, 'tsdb')], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        config = os.path.join(self.directory, 'prometheus.yml')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(f'''
scrape_configs:
  - job_name: node
    scrape_interval: 1s
    static_configs: [{{targets: ['127.0.0.1:{exporter.port}'], labels: {{instance: 'live1:9100'}}}}]
remote_write:
  - url: {self.daemon}/api/v1/write
''')
        log = open(os.path.join(self.directory, 'prometheus.log'), 'w', encoding='utf-8')
        self.prometheus = subprocess.Popen(['prometheus', '--config.file=' + config, '--storage.tsdb.path=' + os.path.join(self.directory, 'tsdb'),
                                            '--storage.tsdb.retention.time=30d', '--web.listen-address=127.0.0.1:%d' % self.port], stderr=log)
        harness.wait_for('prometheus', self.prometheus, lambda: harness.ask(self.url + '/-/ready')[0] == 200)

    def stop(self):
        if self.prometheus is not None:
            self.prometheus.kill()
            self.prometheus.wait()


def run(*options, code=0, **more):
    """What an import says, to the output and beside it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith('FOREWARN_') and k != 'http_proxy'}
    done = subprocess.run([PROGRAM, 'import', 'prometheus', *options], capture_output=True, text=True, env=environment, timeout=200, **more)
    assert done.returncode == code, (options, done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


def get(daemon, path):
    status, _, body = harness.ask(daemon + path)
    assert status == 200, (path, status, body)
    return json.loads(body)


def window(daemon, server):
    held = get(daemon, '/api/v1/servers/%s/window' % server)['metrics']
    return {metric: {int(t): v for t, v in zip(column['timestamps'], column['values']) if v is not None} for metric, column in held.items()}


def compare(ours, theirs, name, steps):
    """Step by step what remote write of the same scrapes gave."""
    assert set(ours) == set(theirs) == set(POINTS), (sorted(ours), sorted(theirs))
    for metric, tolerance in POINTS.items():
        assert len(ours[metric]) >= steps, (name, metric, len(ours[metric]))
        # The first step and the newest ones are not whole on both sides.
        first = max(min(ours[metric]), min(theirs[metric]))
        both = sorted(t for t in set(ours[metric]) | set(theirs[metric]) if t >= first)[2:-2]
        assert len(both) >= steps - 8, (name, metric, len(both))
        missing = [t for t in both if (t in ours[metric]) != (t in theirs[metric])]
        assert not missing, (name, metric, missing)
        worst = max(abs(ours[metric][t] - theirs[metric][t]) for t in both)
        print('  %-6s %-16s %d steps, at worst %.4f from remote write' % (name, metric, len(both), worst))
        assert worst <= tolerance, (name, metric, worst)


def check_windows(daemon, hosts, gap, now):
    web1, db1, new1 = hosts[:3]
    with harness.serving(PROGRAM, '--rate-limit', 'off') as other:
        for host in (web1, db1, new1):
            # Later than the window's begin, which moves while this goes on: what is before it is refused.
            for series in write_requests(host, (now - DAYS * DAY + 4 * STEP) * 1000):
                status, _, body = harness.ask(other + '/api/v1/write', remote_write.request(series), **remote_write.HEADERS)
                assert status == 204, body
        for host, steps in ((web1, 850), (db1, 800), (new1, 68)):
            compare(window(daemon, host.name), window(other, host.name), host.name, steps)
    held = window(daemon, 'db1')
    for metric, column in held.items():
        inside = [t for t in column if gap[0] + STEP < t < gap[1] - STEP]
        assert not inside, ('a gap stays one', metric, inside)
    reboot = int(web1.reboot) // STEP * STEP
    held = window(daemon, 'web1')
    assert max(held['net_in_mb_s'].values()) < 3, 'the reset counter brings no traffic'
    assert held['cpu_user_pct'][reboot] < 60 and held['uptime_days'][reboot + STEP] < 0.1 < 39 < held['uptime_days'][reboot - STEP]


def check_forecast(daemon, host):
    """By a blend, at once, that knows the rhythm of the day: also where live samples came before those of the past."""
    def blended():
        found = get(daemon, '/api/v1/servers/%s/forecast' % host.name)
        return found['metrics']['mem_used_pct']['forecaster'] == 'blend' and found
    harness.wait_for('a blend', daemon.process, blended)
    time.sleep(1)
    answer = blended()
    found = answer['metrics']['mem_used_pct']
    truth = [100 * (0.1 + 0.5 * host.load(t + STEP / 2)) for t in answer['timestamps']]
    off = sum(abs(a - b) for a, b in zip(found['p50'], truth)) / len(truth)
    flat = sum(abs(truth[0] - b) for b in truth) / len(truth)
    print('  %-6s mem_used_pct by %s: %.2f points off, the newest value %.2f' % (host.name, found['forecaster'], off, flat))
    assert off < flat / 3, (host.name, off, flat)


def check_live(daemon, before):
    """Remote write went on: nothing of it was late or came twice, and its server has only its own steps."""
    def counts():
        text = harness.ask(daemon + '/metrics')[2].decode()
        return {outcome: int(n) for outcome, n in re.findall(r'^forewarn_series_samples_total\{outcome="(\w+)"\} (\d+)', text, re.M)}
    harness.wait_for('live samples', daemon.process, lambda: counts()['mapped'] > before)
    assert counts()['late'] == counts()['full'] == 0, counts()
    return counts()['mapped']


def check_import(stage, daemon, hosts, gap, now):
    from_to = ('--from', stage.url, '--url', daemon, '--match', '{job="node"}')
    harness.wait_for('live samples', stage.prometheus, lambda: any(s['server_name'] == 'live1' for s in get(daemon, '/api/v1/servers')['servers']))
    mapped = check_live(daemon, 0)
    out, err = run('--from', stage.url, '--url', daemon, '--match', 'job="node"', '--dry-run')
    assert 'none sent' in out and len(get(daemon, '/api/v1/servers')['servers']) == 1, out
    out, err = run(*from_to)
    print(out, err)
    assert 'servers 4, of 5 hosts' in out and '(--gone takes them): 1, as gone1' in out, out
    assert 'next: forewarn check --server' in out and '100 %' in err, (out, err)
    names = {s['server_name'] for s in get(daemon, '/api/v1/servers')['servers']}
    assert names == {'web1', 'db1', 'new1', 'live1'}, names
    mapped = check_live(daemon, mapped)
    check_windows(daemon, hosts, gap, now)
    for host in (hosts[0], hosts[3]):
        check_forecast(daemon, host)
    before = {name: window(daemon, name) for name in ('web1', 'db1', 'new1')}
    out, _ = run(*from_to)
    again = {name: window(daemon, name) for name in before}
    for name, metrics in before.items():
        for metric, column in metrics.items():
            for t, value in sorted(column.items())[:-1]:  # the newest step was not over, and may have got another minute since
                assert again[name][metric].get(t, value) == value, ('a repeated import changes nothing', name, metric, t)
    check_live(daemon, mapped)


def check_stopped(stage, daemon):
    """Interrupted, and gone on with."""
    process = subprocess.Popen([PROGRAM, 'import', 'prometheus', '--from', stage.url, '--url', daemon], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stderr.readline()  # the first word of progress
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and 'stopped' in err or process.returncode == 0, (process.returncode, err)
    out, _ = run('--from', stage.url, '--url', daemon, '--gone')
    assert 'servers 6' in out and get(daemon, '/api/v1/servers/gone1')['stale'], out


def check_errors(stage, daemon):
    nobody = 'http://127.0.0.1:%d' % harness.free_ports(1)[0]
    from_to = ('--from', stage.url, '--url', daemon)
    for words, options, code in (
            (('--from where',), ('--url', daemon), 2),
            (('no answer', nobody), ('--from', nobody, '--url', daemon), 1),
            (('no Prometheus API',), ('--from', stage.url + '/elsewhere', '--url', daemon), 1),
            (('does not answer',), ('--from', stage.url, '--url', nobody), 1),
            (('not as a forewarn',), ('--from', stage.url, '--url', stage.url), 1),
            (('none of the', 'node_', '--match'), (*from_to, '--match', '{job="nobody"}'), 1),
            (('400', 'parse error'), (*from_to, '--match', '{job=node}'), 1),
            (('matchers of labels',), (*from_to, '--match', 'node_load1{job="node"}'), 2),
            (('number of days',), (*from_to, '--days', 'x'), 2),
            (('http',), ('--from', 'localhost:9090', '--url', daemon), 1),
            (('key file',), (*from_to, '--bearer-token-file', '/nonexistent'), 1),
            (('mapping',), (*from_to, '--mapping', os.path.join(stage.directory, 'mapping')), 1)):
        with open(os.path.join(stage.directory, 'mapping'), 'w', encoding='utf-8') as file:
            file.write('nonsense\n')
        out, err = run(*options, code=code)
        assert all(word in err for word in words), (options, err)
    subprocess.run([PROGRAM, 'import', '--help'], check=True, stdout=subprocess.DEVNULL)
    assert subprocess.run([PROGRAM, 'import', 'nagios'], stderr=subprocess.DEVNULL).returncode == 2


class Guarded:
    """Before Prometheus: wants a name and a word, or says no."""

    def __init__(self, answers):
        self.seen = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.seen.append(self.headers.get('Authorization'))
                self.rfile.read(int(self.headers.get('Content-Length') or 0))
                code, text = answers(self.path)
                self.send_response(code)
                self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = 'http://127.0.0.1:%d' % self.server.server_address[1]


def check_refusals(stage, daemon):
    """What others may answer, and what they are shown."""
    secret = os.path.join(stage.directory, 'secret')
    with open(secret, 'w', encoding='utf-8') as file:
        file.write('ann:of news\n')
    peer = Guarded(lambda path: (401, 'Unauthorized'))
    for option, shown in (('--basic-auth-file', 'Basic YW5uOm9mIG5ld3M='), ('--bearer-token-file', 'Bearer ann:of news')):
        err = run('--from', peer.url, '--url', daemon, option, secret, code=1)[1]
        assert 'refuses us (401): Unauthorized' in err and peer.seen[-1] == shown, (err, peer.seen)
    found = {'__name__': ['node_load1'], 'instance': ['a:1'], 'host': []}

    def limited(path):
        if 'query_range' in path:
            return 422, json.dumps({'status': 'error', 'errorType': 'execution', 'error': 'query would load too many samples'})
        return 200, json.dumps({'status': 'success', 'data': found[path.split('/')[4]]})
    err = run('--from', Guarded(limited).url, '--url', daemon, code=1)[1]
    assert '422' in err and 'too many samples' in err, err
    for text in ('<html>', '{"status":"success"}', '{"status":"success","data":{}}'):
        err = run('--from', Guarded(lambda path: (200, text)).url, '--url', daemon, code=1)[1]
        assert 'the answer' in err or 'data is not' in err, err
    with harness.serving(PROGRAM, key='x' * 32) as closed:
        assert '--api-key-file' in run('--from', stage.url, '--url', closed, code=1)[1]


def check_key_and_mapping(stage):
    """A daemon with a key, rules of one's own, a Prometheus behind a password (which Prometheus itself does not ask for)."""
    texts = {'key': 'k' * 32, 'mapping': 'node_load1 -> ignore\nnode_disk_io_now -> sum load_average by device\n', 'basic': 'ann:word'}
    for name, text in texts.items():
        with open(os.path.join(stage.directory, name), 'w', encoding='utf-8') as file:
            file.write(text + '\n')
    path = {name: os.path.join(stage.directory, name) for name in texts}
    with harness.serving(PROGRAM, key=texts['key']) as closed:
        run('--from', stage.url + '/', '--url', closed, '--match', 'instance="web1:9100"', '--days', '0.2', '--api-key-file', path['key'],
            '--mapping', path['mapping'], '--basic-auth-file', path['basic'])
        held = json.loads(harness.ask(closed + '/api/v1/servers/web1/window', X_API_Key=texts['key'])[2])['metrics']
        loads = [v for v in held['load_average']['values'] if v is not None]
        assert len(loads) > 50 and set(loads) == {1}, loads


def check_full_fleet(stage):
    """What the daemon does not take is counted with its reason; nothing taken at all is a failure."""
    config = os.path.join(stage.directory, 'small.conf')
    with open(config, 'w', encoding='utf-8') as file:
        file.write('[fleet]\nservers = 2\n')
    with harness.serving(PROGRAM, '--config', config) as small:
        record = {'server_name': 'first', 'timestamp': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), 'cpu_idle_pct': 1}
        assert harness.ask(small + '/feed/data', json.dumps({'records': [record]}).encode(), Content_Type='application/json')[0] == 200
        out, _ = run('--from', stage.url, '--url', small, '--match', '{instance=~"web1:.*|db1:.*"}', '--days', '0.5')
        assert re.search(r'accepted [1-9]\d*, refused [1-9]\d* \(server_limit [1-9]', out), out
        taken = {s['server_name'] for s in get(small, '/api/v1/servers')['servers']} - {'first'}
        other, = {'web1', 'db1'} - taken
        out, err = run('--from', stage.url, '--url', small, '--match', 'instance="%s:9100"' % other, '--days', '0.5', code=1)
        assert 'accepted 0, refused' in out and 'took none of the records' in err, (out, err)


def main():
    for program in ('prometheus', 'promtool'):
        if shutil.which(program) is None:
            print('skipped: no program "%s" (Debian package prometheus)' % program)
            return 77
    with tempfile.TemporaryDirectory(prefix='forewarn-import-') as directory, harness.serving(PROGRAM) as daemon:
        now = int(time.time()) - 30
        hosts, gap = make_hosts(now)
        stage = Stage(directory, daemon)
        try:
            stage.start(hosts, Exporter('live1'))
            check_import(stage, daemon, hosts, gap, now)
            check_stopped(stage, daemon)
            check_errors(stage, daemon)
            check_refusals(stage, daemon)
            check_key_and_mapping(stage)
            check_full_fleet(stage)
        finally:
            stage.stop()
    return 0


sys.exit(main())
