"""node_exporter -> Prometheus -> remote write -> forewarn -> Alertmanager, with Debian's programs and the files that the
documentation gives. The exporter reads a /proc of ours, so that memory fills up and empties again. The alert is seen with
amtool, survives a kill -9 of forewarn and an Alertmanager that forgot everything, and resolves."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from daemon import Daemon, free_port, wait_for

PROGRAM = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
STEP = 5
PROGRAMS = ('prometheus', 'prometheus-node-exporter', 'prometheus-alertmanager', 'amtool')


def read(*path):
    with open(os.path.join(ROOT, *path), encoding='utf-8') as file:
        return file.read()


def changed(text, **replacements):
    """The text with each key (of its values: old, new) replaced; each stands there once."""
    for old, new in replacements.values():
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


class Host:
    """A /proc with nothing but memory in it, and what is asked of it."""

    def __init__(self, directory):
        self.proc = os.path.join(directory, 'proc')
        os.mkdir(self.proc)
        self.use(40)

    def use(self, percent):
        total = 16 << 20
        text = f'MemTotal: {total} kB\nMemFree: {total * (100 - percent) // 100} kB\n' \
               f'MemAvailable: {total * (100 - percent) // 100} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n'
        path = os.path.join(self.proc, 'meminfo')
        with open(path + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(path + '.new', path)


class Peers:
    def __init__(self, directory):
        self.directory, self.running = directory, []
        self.host = Host(directory)
        self.exporter, self.prometheus, self.alertmanager = free_port(), free_port(), free_port()
        self.manager = None

    def start(self, name, *command):
        log = open(os.path.join(self.directory, name + '.log'), 'a', encoding='utf-8')
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, text=True)
        self.running.append(process)
        return process

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def start_sources(self, port):
        text = re.search(r'```yaml\n(.*?)```', read('docs', 'prometheus.md'), re.S).group(1)
        config = self.write('prometheus.yml', changed(
            text, url=('127.0.0.1:8000', f'127.0.0.1:{port}'), often=('scrape_interval: 15s', 'scrape_interval: 1s'),
            target=('127.0.0.1:9100', f'127.0.0.1:{self.exporter}')))
        self.start('node_exporter', 'prometheus-node-exporter', '--collector.disable-defaults', '--collector.meminfo',
                   f'--path.procfs={self.host.proc}', f'--web.listen-address=127.0.0.1:{self.exporter}')
        self.start('prometheus', 'prometheus', '--config.file=' + config,
                   '--storage.tsdb.path=' + os.path.join(self.directory, 'tsdb'),
                   f'--web.listen-address=127.0.0.1:{self.prometheus}')

    def start_alertmanager(self, storage):
        config = self.write('alertmanager.yml', read('packaging', 'alertmanager', 'alertmanager.yml'))
        self.manager = self.start('alertmanager', 'prometheus-alertmanager', '--config.file=' + config,
                                  '--storage.path=' + os.path.join(self.directory, storage), '--cluster.listen-address=',
                                  f'--web.listen-address=127.0.0.1:{self.alertmanager}')

    def alerts(self):
        """What amtool sees: active alerts."""
        answer = subprocess.run(['amtool', f'--alertmanager.url=http://127.0.0.1:{self.alertmanager}', 'alert', 'query',
                                 '--output=json'], capture_output=True, text=True, timeout=20)
        return json.loads(answer.stdout) if answer.returncode == 0 and answer.stdout else []

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()

    def tell(self):
        for name in sorted(os.listdir(self.directory)):
            if name.endswith('.log'):
                with open(os.path.join(self.directory, name), encoding='utf-8') as file:
                    print(f'--- {name}\n{file.read()[-1500:]}')


def memory_alerts(alerts):
    return [a for a in alerts if a['labels'].get('metric') == 'mem_used_pct']


def steps(daemon):
    status, window = daemon.request('GET', '/api/v1/servers/127.0.0.1/window')
    if status != 200 or 'mem_used_pct' not in window['metrics']:
        return {}
    column = window['metrics']['mem_used_pct']
    return {t: v for t, v in zip(column['timestamps'], column['values']) if v is not None}


def run(directory, peers):
    config = changed(read('packaging', 'alertmanager', 'forewarn.conf'),
                     url=('127.0.0.1:9093', f'127.0.0.1:{peers.alertmanager}'))
    config = config.replace('[notify]\n', '[notify]\nresend = 2\n')
    peers.start_alertmanager('am-1')
    daemon = Daemon(PROGRAM, directory, config, step=STEP)
    try:
        peers.start_sources(daemon.port)
        wait_for('memory of the exporter', lambda: steps(daemon), 30)
        assert not peers.alerts()
        peers.host.use(99)
        began = time.monotonic()
        alert = wait_for('the alert in Alertmanager', lambda: memory_alerts(peers.alerts()), 60)[0]
        print(f'  in Alertmanager {time.monotonic() - began:.1f} s after memory filled up (steps of {STEP} s)')
        assert alert['labels'] == {'alertname': 'ForewarnThresholdForecast', 'env': 'production', 'job': 'node',
                                   'metric': 'mem_used_pct', 'profile': 'generic', 'server': '127.0.0.1', 'severity': 'critical'}, alert
        assert alert['annotations']['summary'].startswith('127.0.0.1: mem_used_pct'), alert
        assert alert['generatorURL'] == f'http://127.0.0.1:{daemon.port}/servers/127.0.0.1', alert

        before, ours = steps(daemon), [a['id'] for a in daemon.alerts('?metric=mem_used_pct')]
        daemon.kill()
        peers.manager.kill()
        peers.manager.wait()
        killed = time.time()
        peers.start_alertmanager('am-2')  # remembers nothing
        daemon.start()
        held = steps(daemon)
        lost = {t: v for t, v in before.items() if t + 4 * STEP < killed and held.get(t) != v}
        assert not lost and set(before) <= set(held), (lost, before, held)
        again = wait_for('the alert after both came back', lambda: memory_alerts(peers.alerts()), 30)[0]
        for same in ('fingerprint', 'labels', 'startsAt'):
            assert again[same] == alert[same], (same, again, alert)
        assert [a['id'] for a in daemon.alerts('?metric=mem_used_pct')] == ours
        # Ends are as long as four resends away, so it is the resends that keep it.
        time.sleep(9)
        assert memory_alerts(peers.alerts()), 'not kept alive'

        peers.host.use(40)
        began = time.monotonic()
        wait_for('the end in Alertmanager', lambda: not memory_alerts(peers.alerts()), 90)
        print(f'  over in Alertmanager {time.monotonic() - began:.1f} s after memory emptied')
        resolved = daemon.alerts('?state=resolved&metric=mem_used_pct')
        assert [a['id'] for a in resolved] == ours, resolved
        assert daemon.metric('forewarn_notifications_total{target="alertmanager",outcome="rejected"}') == 0
        daemon.stop()
    finally:
        if daemon.process.poll() is None:
            daemon.kill()


def main():
    for program in PROGRAMS:
        if shutil.which(program) is None:
            print(f'skipped: no program "{program}" (Debian: prometheus, prometheus-node-exporter, prometheus-alertmanager)')
            return 77
    with tempfile.TemporaryDirectory(prefix='forewarn-alertmanager-') as directory:
        peers = Peers(directory)
        try:
            run(directory, peers)
        except BaseException:
            peers.tell()
            raise
        finally:
            peers.stop()
    print('ok')
    return 0


sys.exit(main())
