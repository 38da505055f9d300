"""node_exporter -> Prometheus -> remote write -> forewarn, with Debian's programs and the snippet of
docs/prometheus.md. The metrics agree with `forewarn agent` on the same host; a kill -9 in the middle
loses nothing that was acknowledged, and Prometheus catches up."""
import datetime
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

FOREWARN = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
STEP = 5
SERVER = '127.0.0.1'
DERIVED = ('cpu_user_pct', 'cpu_sys_pct', 'cpu_iowait_pct', 'cpu_idle_pct', 'mem_used_pct',
           'swap_used_pct', 'disk_usage_pct', 'net_in_mb_s', 'net_out_mb_s', 'back_close_wait',
           'load_average', 'uptime_days')
AVERAGED = {'cpu_user_pct': 2, 'cpu_sys_pct': 2, 'cpu_iowait_pct': 2, 'cpu_idle_pct': 2, 'mem_used_pct': 2, 'swap_used_pct': 2,
            'disk_usage_pct': 1.5, 'load_average': 1, 'uptime_days': 0.001}
# A third of a core, ten times a second: something to agree on.
LOAD = 'import time\nwhile True:\n end = time.monotonic() + 0.033\n while time.monotonic() < end: pass\n time.sleep(0.067)'



def free_ports(n):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def get(port, path):
    with urllib.request.urlopen('http://127.0.0.1:%d%s' % (port, path), timeout=10) as answer:
        return answer.read().decode()


def window(port):
    """{metric: {second of the step: value}}, missing steps left out."""
    try:
        held = json.loads(get(port, '/api/v1/servers/%s/window' % SERVER))['metrics']
    except urllib.error.HTTPError as error:
        assert error.code == 404, error
        return {}
    return {metric: {int(t): v for t, v in zip(column['timestamps'], column['values'])
                     if v is not None} for metric, column in held.items()}


def wait_for(what, condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def snippet(port, exporter):
    """The first yaml block of the documentation, for this test's ports."""
    text = open(os.path.join(ROOT, 'docs', 'prometheus.md'), encoding='utf-8').read()
    text = re.search(r'```yaml\n(.*?)```', text, re.S).group(1)
    for old, new in (('127.0.0.1:8000', '127.0.0.1:%d' % port), ('scrape_interval: 15s', 'scrape_interval: 1s'),
                     ('127.0.0.1:9100', '127.0.0.1:%d' % exporter)):
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


class Peers:
    def __init__(self, directory):
        self.directory, self.running, self.log = directory, [], {}
        self.port, self.exporter, self.prometheus = free_ports(3)

    def start(self, name, *command, **more):
        log = open(os.path.join(self.directory, name + '.log'), 'a', encoding='utf-8')
        process = subprocess.Popen(command, stderr=log, text=True, **more)
        self.running.append(process)
        return process

    def start_forewarn(self):
        process = self.start('forewarn', FOREWARN, 'serve', '--listen', '127.0.0.1:%d' % self.port,
                             '--data', os.path.join(self.directory, 'data'), '--step', str(STEP),
                             stdout=subprocess.DEVNULL)

        def ready():
            assert process.poll() is None, 'forewarn ended'
            try:
                return 'ready' in get(self.port, '/readyz')
            except OSError:
                return False
        wait_for('forewarn is not ready', ready, 20)
        return process

    def start_others(self):
        config = os.path.join(self.directory, 'prometheus.yml')
        with open(config, 'w', encoding='utf-8') as file:
            file.write(snippet(self.port, self.exporter))
        self.start('node_exporter', 'prometheus-node-exporter', '--collector.tcpstat',
                   '--web.listen-address=127.0.0.1:%d' % self.exporter, stdout=subprocess.DEVNULL)
        self.start('prometheus', 'prometheus', '--config.file=' + config,
                   '--storage.tsdb.path=' + os.path.join(self.directory, 'tsdb'),
                   '--web.listen-address=127.0.0.1:%d' % self.prometheus, stdout=subprocess.DEVNULL)

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()

    def tell(self):
        for name in ('forewarn', 'prometheus', 'node_exporter'):
            path = os.path.join(self.directory, name + '.log')
            if os.path.exists(path):
                print('--- %s\n%s' % (name, open(path, encoding='utf-8').read()[-1500:]))


def read_agent(process):
    """[(second of the reading, record)] of every second: a reading tells of the second before it."""
    process.send_signal(signal.SIGTERM)
    lines = process.communicate(timeout=10)[0].splitlines()
    readings = []
    for line in lines[1:]:  # the first one covers a part of a second
        record = json.loads(line)
        stamp = datetime.datetime.fromisoformat(record['timestamp'].rstrip('Z')).replace(tzinfo=datetime.timezone.utc)
        readings.append((stamp.timestamp(), record))
    return readings


def agent_share(readings, metric, begin, end):
    """The agent's mean over a span of time: readings by the part of their second that lies in it. None: not covered."""
    weight = total = 0.0
    for (before, _), (now, record) in zip(readings, readings[1:]):
        part = min(now, end) - max(before, begin)
        if part > 0:
            weight, total = weight + part, total + part * record[metric]
    return total / weight if weight > (end - begin) * 0.99 else None


def agent_steps(readings, scrapes, metric):
    """{second of the step: what the agent has for it}, where its readings cover all of it. Shares of CPU are asked for the very
    spans between two scrapes that the other side has, since they jump from one second to the next."""
    steps = {}
    if metric.startswith('cpu_'):
        for begin, end in zip(scrapes, scrapes[1:]):
            steps.setdefault(int(end) // STEP * STEP, []).append(agent_share(readings, metric, begin, end))
    else:
        for now, record in readings:
            steps.setdefault(int(now) // STEP * STEP, []).append(record[metric])
        whole = sorted(steps)[1:-1]
        steps = {t: steps[t] for t in whole}
    return {t: sum(values) / len(values) for t, values in steps.items() if None not in values}


def check_agreement(held, readings, scrapes):
    """Step by step within two points: CPU as well."""
    for metric, tolerance in AVERAGED.items():
        agent = agent_steps(readings, scrapes, metric)
        steps = [t for t in sorted(agent) if t in held[metric]][:-1]
        assert len(steps) >= 3, (metric, steps, sorted(agent))
        ours = sum(held[metric][t] for t in steps) / len(steps)
        theirs = sum(agent[t] for t in steps) / len(steps)
        worst = max(abs(held[metric][t] - agent[t]) for t in steps)
        print('  %-16s remote write %8.3f  agent %8.3f  worst of %d steps %.3f' % (metric, ours, theirs, len(steps), worst))
        assert worst <= tolerance, (metric, worst, [(t, held[metric][t], agent[t]) for t in steps])


NOT_DISKS = {'tmpfs', 'devtmpfs', 'ramfs', 'overlay', 'squashfs', 'proc', 'sysfs', 'nfs', 'nfs4', 'virtiofs', '9p', 'fuse.lxcfs'}
NOT_DEVICES = re.compile(r'lo$|veth|docker|br-|virbr|vnet|tun|tap|cni|flannel|cali|wg|vxlan|dummy|ifb|sit|ip6tnl|gre|erspan|tunl|teql')


class Raw:
    """What Prometheus itself stored, scrape by scrape, and the 14 metrics' formulas a second time."""

    def __init__(self, port, seconds):
        self.port, self.seconds = port, seconds

    def series(self, name):
        """[(labels, {time: value})]"""
        query = urllib.parse.urlencode({'query': '%s[%ds]' % (name, self.seconds)})
        found = json.loads(get(self.port, '/api/v1/query?' + query))['data']['result']
        return [(one['metric'], {t: float(v) for t, v in one['values']}) for one in found]

    def single(self, name):
        return self.series(name)[0][1]

    def growth(self, name, kind, keep=lambda labels: True):
        """{time: {value of the label `kind`: growth since the scrape before}}, where no counter went back."""
        grown = {}
        for labels, values in self.series(name):
            times = sorted(values) if keep(labels) else []
            for before, now in zip(times, times[1:]):
                one = grown.setdefault(now, {})
                one[labels[kind]] = one.get(labels[kind], 0) + max(0, values[now] - values[before])
                one['seconds'] = now - before
        return grown

    def metrics(self):
        """{metric: {time: value}}"""
        made = {}
        for t, by_mode in self.growth('node_cpu_seconds_total', 'mode').items():
            total = sum(v for mode, v in by_mode.items() if mode != 'seconds')
            for name, modes in (('cpu_user_pct', ('user', 'nice')), ('cpu_sys_pct', ('system', 'irq', 'softirq')),
                                ('cpu_iowait_pct', ('iowait',)), ('cpu_idle_pct', ('idle',))):
                if total > 0:
                    made.setdefault(name, {})[t] = 100 * sum(by_mode.get(mode, 0) for mode in modes) / total
        for name, raw in (('net_in_mb_s', 'node_network_receive_bytes_total'), ('net_out_mb_s', 'node_network_transmit_bytes_total')):
            made[name] = {t: sum(v for device, v in by.items() if device != 'seconds') / by['seconds'] / 1048576
                          for t, by in self.growth(raw, 'device', lambda l: not NOT_DEVICES.match(l['device'])).items()}
        total, available = self.single('node_memory_MemTotal_bytes'), self.single('node_memory_MemAvailable_bytes')
        made['mem_used_pct'] = {t: 100 * (1 - available[t] / total[t]) for t in available if t in total}
        now, boot = self.single('node_time_seconds'), self.single('node_boot_time_seconds')
        made['uptime_days'] = {t: (now[t] - boot[t]) / 86400 for t in now if t in boot}
        made['load_average'] = self.single('node_load1')
        sizes = {}
        for name in ('size', 'free', 'avail'):
            for labels, values in self.series('node_filesystem_%s_bytes' % name):
                path = labels['mountpoint'] + '/'
                if labels['fstype'] in NOT_DISKS or path.startswith(('/run/', '/boot/efi/', '/dev/', '/proc/', '/sys/')):
                    continue
                for t, v in values.items():
                    sizes.setdefault((t, labels['device'], path), {})[name] = v
        for (t, _, _), one in sizes.items():
            if len(one) == 3 and one['size'] > 0:
                used = one['size'] - one['free']
                disks = made.setdefault('disk_usage_pct', {})
                disks[t] = max(disks.get(t, 0), 100 * used / (used + one['avail']))
        return made


def check_derivation(held, raw, seconds):
    """Step by step: the mean of the scrapes inside a step, by the second formulas."""
    tolerances = {'uptime_days': 1e-4, 'net_in_mb_s': 0.01, 'net_out_mb_s': 0.01}
    for metric, values in sorted(raw.metrics().items()):
        by_step = {}
        for t, value in values.items():
            by_step.setdefault(int(t) // STEP * STEP, []).append(value)
        # The first and the newest steps are not whole on both sides.
        whole = [s for s in sorted(by_step) if s in held[metric] and s >= seconds[0] and s <= seconds[1]]
        assert len(whole) >= 3, (metric, sorted(by_step), seconds)
        worst = max(abs(held[metric][s] - sum(by_step[s]) / len(by_step[s])) for s in whole)
        print('  %-16s derived twice, worst of %d steps %.5f' % (metric, len(whole), worst))
        assert worst <= tolerances.get(metric, 0.05), (metric, worst)


def check_kept(before, after, kill_second):
    """Steps that were over are the same; the ones under way have at least what they had."""
    for metric, values in before.items():
        for second, value in values.items():
            assert second in after[metric], ('lost', metric, second)
            if second + 4 * STEP < kill_second:
                assert after[metric][second] == value, (metric, second, value, after[metric][second])


def check_whole(held, first, last):
    for metric in DERIVED:
        missing = [t for t in range(first, last + STEP, STEP) if t not in held[metric]]
        assert not missing, (metric, missing)


def counters(port):
    return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1])
            for line in get(port, '/metrics').splitlines() if line and line[0] != '#'}


def run(peers):
    forewarn = peers.start_forewarn()
    peers.start_others()
    wait_for('the derived metrics', lambda: set(DERIVED) <= set(window(peers.port)), 25)
    load = subprocess.Popen([sys.executable, '-c', LOAD])
    agent = subprocess.Popen([FOREWARN, 'agent', '--print', '--interval', '1'], stdout=subprocess.PIPE, text=True)
    peers.running += [load, agent]
    time.sleep(6.2 * STEP)
    readings = read_agent(agent)
    load.kill()
    first, last = (int(readings[i][0]) // STEP * STEP for i in (0, -1))
    # Prometheus sends what it has every five seconds.
    wait_for('the steps that the agent saw', lambda: last + STEP in window(peers.port)['cpu_user_pct'], 15)
    before = window(peers.port)
    forewarn.send_signal(signal.SIGKILL)
    killed = int(time.time())
    forewarn.wait()
    assert 'java_cpu_pct' not in before and 'front_close_wait' not in before, sorted(before)
    raw = Raw(peers.prometheus, 120)
    check_agreement(before, readings, sorted(raw.single('node_cpu_seconds_total')))
    check_derivation(before, raw, (first, last - STEP))
    time.sleep(3)
    peers.start_forewarn()
    check_kept(before, window(peers.port), killed)
    target = (int(time.time()) // STEP + 1) * STEP
    wait_for('catching up', lambda: target in window(peers.port).get('cpu_user_pct', {}), 25)
    held = window(peers.port)
    check_kept(before, held, killed)
    # close_wait is known to be 0 only two scrapes later, so the newest step may lack it.
    check_whole(held, max(min(before[m]) for m in DERIVED), target - STEP)
    now = counters(peers.port)
    operation = 'forewarn_http_requests_total{operation="remote_write",code="%s"}'
    assert now[operation % '2xx'] > 0 and now[operation % '4xx'] == 0, now
    assert now['forewarn_series_samples_total{outcome="full"}'] == 0, now
    assert now['forewarn_series_samples_total{outcome="no_server"}'] == 0, now
    print('ok: %d steps of %d metrics, killed at step %d' %
          (len(held['cpu_user_pct']), len(held), killed // STEP * STEP - min(held['load_average'])))


def main():
    for program in ('prometheus', 'prometheus-node-exporter'):
        if shutil.which(program) is None:
            print('skipped: no program "%s" (Debian package of that name)' % program)
            return 77
    with tempfile.TemporaryDirectory(prefix='forewarn-prometheus-') as directory:
        peers = Peers(directory)
        try:
            run(peers)
        except BaseException:
            peers.tell()
            raise
        finally:
            peers.stop()
    return 0


sys.exit(main())
