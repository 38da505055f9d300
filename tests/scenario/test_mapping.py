"""A mapping of one's own: the example of docs/mapping.md and its metric, by line protocol; and what a wrong one says at
start and to check-config."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

from harness import ROOT, ask, serving

FOREWARN = sys.argv[1]


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


def post(url, body):
    assert ask(url + '/write', body.encode(), Content_Type='text/plain')[0] == 204


def check_values(url):
    # Line protocol puts a measurement before the field, so the example's names are fields of "forewarn".
    now = int(time.time()) // 10 * 10
    for i in range(5):
        stamp = (now - 50 + 10 * i) * 1000000000
        post(url, ''.join('forewarn,host=mq1,queue=%s,vhost=v rabbitmq_queue_messages=%d %d\n' % (queue, n, stamp)
                           for queue, n in (('a', 100), ('b', 20), ('dlq.a', 9000))) +
             ''.join('forewarn,host=mq1,volume=%s backup_volume_used_ratio=%s %d\n' % (volume, ratio, stamp)
                     for volume, ratio in (('x', 0.5), ('y', 0.75))))
    held = json.loads(ask(url + '/api/v1/servers/mq1/window')[2])['metrics']
    assert [v for v in held['queue_length']['values'] if v is not None][-1] == 120, held
    assert [v for v in held['disk_usage_pct']['values'] if v is not None][-1] == 75, held


def main():
    rules, metric = example()
    with tempfile.TemporaryDirectory(prefix='forewarn-mapping-') as directory:
        mapping = write(os.path.join(directory, 'mapping'), rules)
        config = write(os.path.join(directory, 'forewarn.ini'), '[ingest]\nmapping = %s\n\n%s' % (mapping, metric))
        done = subprocess.run([FOREWARN, 'check-config', config], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        with serving(FOREWARN, '--config', config, '--step', '60') as url:
            check_values(url)
        write(mapping, '# fine\nx -> no_such_metric\n')
        for command in (['check-config', config], ['serve', '--config', config, '--data', os.path.join(directory, 'other')]):
            done = subprocess.run([FOREWARN] + command, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode != 0 and mapping + ':2: ' in done.stderr and 'no_such_metric' in done.stderr, done.stderr
        # The built-in rules are a mapping as well.
        builtin = subprocess.run([FOREWARN, 'mapping'], capture_output=True, text=True, timeout=30, check=True).stdout
        assert 'node_load1' in builtin and 'system.cpu.time' in builtin and 'cpu.usage_user' in builtin
        write(mapping, builtin)
        subprocess.run([FOREWARN, 'mapping', mapping], stdout=subprocess.DEVNULL, timeout=30, check=True)
    print('ok: %d rules' % rules.count('->'))
    return 0


sys.exit(main())
