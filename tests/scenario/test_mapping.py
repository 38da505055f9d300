"""A mapping of one's own: the example of docs/mapping.md and its metric, by line protocol; and what a wrong one says at
start and to check-config."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

FOREWARN = sys.argv[1]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')


def example():
    """The rules and the metric of the documentation."""
    with open(os.path.join(ROOT, 'docs', 'mapping.md'), encoding='utf-8') as file:
        text = file.read()
    rules = '\n'.join(line[4:] for line in text.splitlines() if line.startswith('    ') and 'SERIES' not in line)
    metric = re.search(r'```ini\n(\[metric .*?)```', text, re.S).group(1)
    assert 'rabbitmq_queue_messages' in rules and 'queue_length' in metric
    return rules, metric


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def post(port, body):
    request = urllib.request.Request('http://127.0.0.1:%d/write' % port, data=body.encode(),
                                     headers={'Content-Type': 'text/plain'})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 204, answer.status


def check_values(port):
    # Line protocol puts a measurement before the field, so the example's names are fields of "forewarn".
    now = int(time.time()) // 10 * 10
    for i in range(5):
        stamp = (now - 50 + 10 * i) * 1000000000
        post(port, ''.join('forewarn,host=mq1,queue=%s,vhost=v rabbitmq_queue_messages=%d %d\n' % (queue, n, stamp)
                           for queue, n in (('a', 100), ('b', 20), ('dlq.a', 9000))) +
             ''.join('forewarn,host=mq1,volume=%s backup_volume_used_ratio=%s %d\n' % (volume, ratio, stamp)
                     for volume, ratio in (('x', 0.5), ('y', 0.75))))
    with urllib.request.urlopen('http://127.0.0.1:%d/api/v1/servers/mq1/window' % port, timeout=10) as answer:
        held = json.load(answer)['metrics']
    assert [v for v in held['queue_length']['values'] if v is not None][-1] == 120, held
    assert [v for v in held['disk_usage_pct']['values'] if v is not None][-1] == 75, held


def main():
    rules, metric = example()
    with tempfile.TemporaryDirectory(prefix='forewarn-mapping-') as directory:
        mapping = write(os.path.join(directory, 'mapping'), rules)
        config = write(os.path.join(directory, 'forewarn.ini'), '[ingest]\nmapping = %s\n\n%s' % (mapping, metric))
        done = subprocess.run([FOREWARN, 'check-config', config], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        process = subprocess.Popen([FOREWARN, 'serve', '--config', config, '--listen', '127.0.0.1:%d' % port, '--step', '60',
                                    '--data', os.path.join(directory, 'data')], stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 30
            while True:
                assert process.poll() is None and time.monotonic() < end, 'forewarn does not start'
                try:
                    with urllib.request.urlopen('http://127.0.0.1:%d/readyz' % port, timeout=5):
                        break
                except OSError:
                    time.sleep(0.1)
            check_values(port)
        finally:
            process.kill()
            process.wait()
        write(mapping, '# fine\nx -> no_such_metric\n')
        for command in (['check-config', config], ['serve', '--config', config, '--data', os.path.join(directory, 'other')]):
            done = subprocess.run([FOREWARN] + command, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode != 0 and mapping + ':2: ' in done.stderr and 'no_such_metric' in done.stderr, done.stderr
    print('ok: %d rules' % rules.count('->'))
    return 0


sys.exit(main())
