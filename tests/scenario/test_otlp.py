"""OTLP/HTTP against the real server: hostmetrics of a made-up host, those of the scrapers that
packaging/opentelemetry/forewarn.yaml names, as the collector's exporter sends them to its endpoint, once as protobuf, written and read by Debian's protobuf compiler from tests/scenario/otlp.proto, and once as JSON. Both give the
same windows; refusals, partial successes and gzip are answered as exporters need them."""
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time

from harness import ROOT, ask, serving

FOREWARN = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
STEP, SCRAPES, INTERVAL = 60, 12, 10
GIB = 1 << 30
EXPECTED = {'cpu_user_pct': 20, 'cpu_sys_pct': 10, 'cpu_iowait_pct': 5, 'cpu_idle_pct': 60, 'mem_used_pct': 60,
            'swap_used_pct': 25, 'disk_usage_pct': 80, 'net_in_mb_s': 3, 'net_out_mb_s': 1, 'back_close_wait': 7,
            'load_average': 1.5, 'uptime_days': 2, 'java_cpu_pct': 40}


def configuration():
    """What the collector's file says that a test can do: the scrapers, the exporter's path, how it packs."""
    with open(os.path.join(ROOT, 'packaging', 'opentelemetry', 'forewarn.yaml'), encoding='utf-8') as file:
        text = file.read()
    scrapers = re.findall(r'^      (\w+):', text.split('scrapers:')[1].split('processors:')[0], re.M)
    assert 'endpoint: http://127.0.0.1:8000\n' in text and 'compression: gzip\n' in text and 'resourcedetection' in text
    return scrapers


SCRAPERS = configuration()
SCRAPED = {'cpu': 'system.cpu.time', 'memory': 'system.memory.', 'paging': 'system.paging.', 'filesystem': 'system.filesystem.',
           'network': 'system.network.', 'load': 'system.cpu.load_average.', 'system': 'system.uptime', 'process': 'process.'}


def is_scraped(name):
    return name == 'system.processes.count' or any(name.startswith(SCRAPED[scraper]) for scraper in SCRAPERS)


# ---- a request as JSON; protobuf's text is made of it ----

def attributes(**values):
    def any_value(v):
        if isinstance(v, bool):
            return {'boolValue': v}
        return {'intValue': str(v)} if isinstance(v, int) else {'stringValue': v}
    return [{'key': k.replace('__', '.'), 'value': any_value(v)} for k, v in values.items()]


def point(second, value, **labels):
    made = {'timeUnixNano': str(second * 10 ** 9 + 123456789), 'attributes': attributes(**labels)}
    made.update({'asInt': str(value)} if isinstance(value, int) else {'asDouble': value})
    return made


def metric(name, points, temporality=None):
    if temporality is None:
        return {'name': name, 'gauge': {'dataPoints': points}}
    return {'name': name, 'sum': {'dataPoints': points, 'aggregationTemporality': temporality, 'isMonotonic': True}}


def scrape(i, second, delta):
    """Scrape i of the host; counters as deltas since the one before, or cumulative."""
    kind, n = (1, 1) if delta else (2, i)
    cpu = [point(second, share * INTERVAL * n / 100.0, cpu='cpu%d' % c, state=state)
           for c in range(4) for state, share in (('user', 19), ('nice', 1), ('system', 8), ('interrupt', 1), ('softirq', 1),
                                                  ('wait', 5), ('idle', 60), ('steal', 5))]
    io = [point(second, int(rate * 1048576 * INTERVAL * n), device=device, direction=direction)
          for device, direction, rate in (('eth0', 'receive', 2), ('eth1', 'receive', 1), ('eth0', 'transmit', 1), ('lo', 'receive', 50),
                                          ('veth1', 'receive', 9))]
    memory = [point(second, v, state=s) for s, v in (('used', 60 * GIB), ('free', 20 * GIB), ('buffered', 5 * GIB), ('cached', 15 * GIB),
                                                     ('slab_reclaimable', 9 * GIB))]
    paging = [point(second, v * GIB, device='/dev/sda2', state=s) for s, v in (('used', 1), ('free', 3))]
    disk = [point(second, v * GIB, device=d, mountpoint=m, mode=mode, type=t, state=s)
            for d, m, mode, t, values in (('/dev/sda1', '/', 'rw', 'ext4', (30, 70, 5)), ('/dev/sdb1', '/data', 'rw', 'xfs', (80, 20, 0)),
                                          ('tmpfs', '/tmp', 'rw', 'tmpfs', (99, 1, 0)), ('/dev/sr0', '/cd', 'ro', 'ext4', (99, 1, 0)))
            for s, v in zip(('used', 'free', 'reserved'), values)]
    connections = [point(second, v, protocol='tcp', state=s) for s, v in (('CLOSE_WAIT', 7), ('ESTABLISHED', 90))]
    metrics = [metric('system.cpu.time', cpu, kind), metric('system.memory.usage', memory, 2), metric('system.paging.usage', paging, 2),
            metric('system.filesystem.usage', disk, 2), metric('system.network.io', io, kind),
            metric('system.network.connections', connections, 2), metric('system.cpu.load_average.1m', [point(second, 1.5)]),
            metric('system.uptime', [point(second, 172800)]), metric('system.processes.count', [point(second, 5)], 2)]
    return [m for m in metrics if is_scraped(m['name'])]


def java(i, second, delta):
    """A process of 1.6 cores on four."""
    kind, n = (1, 1) if delta else (2, i)
    return [] if 'process' not in SCRAPERS else [metric('process.cpu.time', [point(second, v * INTERVAL * n, state=s) for s, v in (('user', 1.2), ('system', 0.4))], kind)]


def request(host, i, second, delta):
    def resource(**more):
        return {'attributes': attributes(**{'os__type': 'linux', 'host__name': host, 'host__id': 'i-1', 'host__cpu__count': 4, **more})}
    return {'resourceMetrics': [
        {'resource': resource(), 'scopeMetrics': [{'scope': {'name': 'hostmetrics'}, 'metrics': scrape(i, second, delta)}]},
        {'resource': resource(process__executable__name='java', process__pid=17), 'scopeMetrics': [{'metrics': java(i, second, delta)}]}]}


def snake(name):
    return ''.join('_' + c.lower() if c.isupper() else c for c in name)


NUMBERS = ('timeUnixNano', 'startTimeUnixNano', 'asInt', 'intValue')


def text_of(message):
    """Protobuf's text format of the JSON form."""
    out = []
    for key, value in message.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                out.append('%s {%s}' % (snake(key), text_of(item)))
            elif isinstance(item, bool):
                out.append('%s: %s' % (snake(key), 'true' if item else 'false'))
            elif isinstance(item, str) and key not in NUMBERS:
                out.append('%s: %s' % (snake(key), json.dumps(item)))
            else:
                out.append('%s: %s' % (snake(key), item))
    return ' '.join(out)


def protoc(action, message, data):
    done = subprocess.run(['protoc', '--proto_path=' + HERE, '--%s=facts.%s' % (action, message), 'otlp.proto'], input=data,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Exporter:
    def __init__(self, url, proto):
        self.url, self.proto = url, proto
        self.type = 'application/x-protobuf' if proto else 'application/json'

    def post(self, body, path='/v1/metrics', **headers):
        status, found, answer = ask(self.url + path, body, **{'Content_Type': self.type, **headers})
        return status, found['Content-Type'], answer

    def encode(self, message):
        return protoc('encode', 'Request', text_of(message).encode()) if self.proto else json.dumps(message).encode()

    def export(self, message, packed=False, path='/v1/metrics'):
        """The status and the answer as JSON of camelCase, {} for an empty one."""
        body = self.encode(message)
        status, kind, answer = self.post(gzip.compress(body), path, Content_Encoding='gzip') if packed else self.post(body, path)
        assert kind == self.type or not answer, (kind, answer)
        if not self.proto:
            return status, json.loads(answer)
        text = protoc('decode', 'Response' if status == 200 else 'Status', answer).decode()
        return status, text


def window(url, server):
    return json.loads(ask(url + '/api/v1/servers/%s/window' % server)[2])['metrics']


def check_windows(exporter, delta):
    host = 'host-%s-%s' % ('pb' if exporter.proto else 'json', 'delta' if delta else 'sum')
    begin = int(time.time()) // INTERVAL * INTERVAL - SCRAPES * INTERVAL
    for i in range(1, SCRAPES + 1):
        status, answer = exporter.export(request(host, i, begin + i * INTERVAL, delta), packed=i % 2 == 0,
                                         path='/v1/metrics' if i % 3 else '/api/v1/otlp/v1/metrics')
        assert status == 200 and not answer, (status, answer)
    held = window(exporter.url, host)
    for name, expected in EXPECTED.items():
        values = [v for v in held[name]['values'] if v is not None]
        assert values and all(abs(v - expected) < 0.01 for v in values), (host, name, values, expected)
    assert set(held) == set(EXPECTED), sorted(held)


def check_answers(exporter):
    now = int(time.time())
    assert exporter.post(b'' if exporter.proto else b'{}')[0] == 200
    status, kind, answer = exporter.post(b'\xff\xff' if exporter.proto else b'{"resourceMetrics":')
    assert status == 400 and kind == exporter.type and answer, (status, kind, answer)
    if exporter.proto:
        assert 'code: 3' in protoc('decode', 'Status', answer).decode()
    else:
        assert json.loads(answer)['code'] == 3
    # One point from long ago, one of a sum that does not say what it is, and a good one.
    resource = {'attributes': attributes(host__name='partly-%d' % exporter.proto)}
    message = {'resourceMetrics': [{'resource': resource, 'scopeMetrics': [{'metrics': [
        metric('system.cpu.load_average.1m', [point(1000, 1.0), point(now, 2.0)]),
        metric('system.cpu.time', [point(now, 2.0, cpu='cpu0', state='user')], 0)]}]}]}
    status, answer = exporter.export(message)
    assert status == 200, status
    if exporter.proto:
        assert 'rejected_data_points: 2' in answer and 'too_old' in answer, answer
    else:
        assert answer['partialSuccess']['rejectedDataPoints'] == '2', answer
        assert 'too_old' in answer['partialSuccess']['errorMessage'], answer
    assert [v for v in window(exporter.url, 'partly-%d' % exporter.proto)['load_average']['values'] if v is not None] == [2.0]
    # Without any name of a host it is the peer.
    nameless = {'resourceMetrics': [{'scopeMetrics': [{'metrics': [metric('system.cpu.load_average.1m', [point(now, 3.0)])]}]}]}
    assert exporter.export(nameless)[0] == 200
    assert window(exporter.url, '127.0.0.1')['load_average']
    # A histogram means nothing here, which is no fault; a flag says that there is no value.
    odd = {'resourceMetrics': [{'resource': resource, 'scopeMetrics': [{'metrics': [
        {'name': 'http.server.duration', 'histogram': {'dataPoints': [{'timeUnixNano': str(now * 10 ** 9), 'count': '5'}],
                                                       'aggregationTemporality': 2}},
        metric('system.cpu.load_average.1m', [dict(point(now, 9.0), flags=1)])]}]}]}
    if exporter.proto:
        odd = json.loads(json.dumps(odd).replace('"count": "5"', '"count": 5'))
    status, answer = exporter.export(odd)
    assert status == 200 and not answer, (status, answer)
    assert exporter.post(b'{}', Content_Type='text/plain')[0] == 415


def check_counted(url):
    text = ask(url + '/metrics')[2].decode()
    assert 'forewarn_series_unmapped_total{name="http.server.duration"}' in text
    assert 'forewarn_series_unmapped_total{name="system.processes.count"}' in text
    assert 'forewarn_ingest_samples_total{protocol="otlp"}' in text


def main():
    forms = [False]
    if shutil.which('protoc') is not None:
        forms.append(True)
    else:
        print('JSON only: no program "protoc" (Debian package protobuf-compiler)')
    with serving(FOREWARN, '--step', str(STEP)) as url:
        for proto in forms:
            exporter = Exporter(url, proto)
            for delta in (False, True):
                check_windows(exporter, delta)
            check_answers(exporter)
        check_counted(url)
    print('ok: %d forms, %d metrics each, cumulative and delta' % (len(forms), len(EXPECTED)))
    return 0


sys.exit(main())
