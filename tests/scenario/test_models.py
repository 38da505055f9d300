#!/usr/bin/env python3
"""A model directory of the reference is imported, loaded through the API and kept over a restart; one that is damaged is
refused while the running one goes on. Needs the larger goldens; skipped without them."""
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get('FW_SHARED', os.path.join(ROOT, '..', 'shared'))
GOLDEN = os.path.join(SHARED, 'tft', 'golden', 'argus-single')


class Daemon:
    def __init__(self, data):
        self.process = subprocess.Popen(
            [PROGRAM, 'serve', '--listen', '127.0.0.1:0', '--data', data, '--rate-limit', 'off'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.port = int(line.rsplit(':', 1)[1])
        while self.call('GET', '/readyz')[0] == 503:
            assert self.process.poll() is None, 'the daemon ended'

    def call(self, method, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0


def main():
    if not os.path.exists(os.path.join(GOLDEN, 'model.safetensors')):
        print('skipped: no goldens in', SHARED)
        return 77
    with tempfile.TemporaryDirectory() as data:
        models = os.path.join(data, 'models')
        daemon = Daemon(data)
        subprocess.run([PROGRAM, 'model', 'import', GOLDEN, '--out', os.path.join(models, 'good')], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.copytree(os.path.join(models, 'good'), os.path.join(models, 'bad'))
        weights = os.path.join(models, 'bad', 'model.safetensors')
        with open(weights, 'r+b') as f:
            f.seek(os.path.getsize(weights) // 2)
            f.write(b'\xff' * 4)  # a NaN in the middle

        info = daemon.call('GET', '/admin/model-info')[1]
        assert info['loaded'] is True and info['model_name'] == 'shipped' and info['model_path'] == 'shipped', info
        status, body = daemon.call('POST', '/admin/reload-model?model_path=good')
        assert status == 200 and body['success'] is True, body
        info = daemon.call('GET', '/admin/model-info')[1]
        assert info['loaded'] is True and info['model_name'] == 'good', info

        status, body = daemon.call('POST', '/admin/reload-model?model_path=bad')
        assert status == 200 and body['success'] is False, body
        assert daemon.call('GET', '/admin/model-info')[1]['model_name'] == 'good'
        for path in ('..', '../../etc', '/etc/passwd', 'good%2F..%2Fbad', '.hidden', 'none%0Asuch'):
            body = daemon.call('POST', '/admin/reload-model?model_path=' + path)[1]
            assert body.get('success', False) is False, (path, body)
        daemon.stop()

        daemon = Daemon(data)
        info = daemon.call('GET', '/admin/model-info')[1]
        assert info['loaded'] is True and info['model_name'] == 'good', info
        listed = daemon.call('GET', '/admin/models')[1]
        assert {m['name']: m['is_current'] for m in listed['models']} == {'good': True, 'bad': False}, listed
        daemon.stop()
    print('ok')
    return 0


if __name__ == '__main__':
    sys.exit(main())
