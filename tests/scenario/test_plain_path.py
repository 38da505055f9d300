#!/usr/bin/env python3
"""A model whose compiled form differs from the plain one by more than the tolerance: the log says so, and the daemon
forecasts with the plain path. The model is the shipped one with the weights of its LSTM twenty times as large: what it says
is nonsense, but a network of such weights amplifies the last bits."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import harness

PROGRAM = sys.argv[1]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIPPED = os.path.join(ROOT, 'models', 'forewarn')
STEP_S, STEPS = 300, 600


def steep_model(path):
    os.mkdir(path)
    shutil.copy(os.path.join(SHIPPED, 'spec.json'), path)
    with open(os.path.join(SHIPPED, 'model.safetensors'), 'rb') as f:
        data = bytearray(f.read())
    (size,) = struct.unpack_from('<Q', data)
    tensors = json.loads(data[8:8 + size])
    for name, tensor in tensors.items():
        if name.startswith('lstm_'):
            first, end = (8 + size + at for at in tensor['data_offsets'])
            count = (end - first) // 4
            weights = struct.unpack_from('<%df' % count, data, first)
            struct.pack_into('<%df' % count, data, first, *(20.0 * w for w in weights))
    with open(os.path.join(path, 'model.safetensors'), 'wb') as f:
        f.write(data)


def history():
    """Two days of one server, up to now."""
    now = int(time.time()) // STEP_S * STEP_S
    return [{'timestamp': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now - (STEPS - 1 - i) * STEP_S)),
             'server_name': 'steep', 'status': 'healthy', 'cpu_user_pct': 20.0 + i % 7 + (i * 37 % 11) / 7}
            for i in range(STEPS)]


def outlook(url):
    return json.loads(harness.ask(url + '/predictions/current')[2])


def main():
    with tempfile.TemporaryDirectory() as data:
        model = os.path.join(data, 'steep')
        steep_model(model)
        refused = subprocess.run([PROGRAM, 'model', 'run', model, '--path', 'compiled', '--input', os.devnull,
                                  '--output', os.path.join(data, 'out.safetensors')],
                                 stderr=subprocess.PIPE, text=True)
        assert refused.returncode == 1 and 'differs from the plain one by' in refused.stderr, refused
        log_path = os.path.join(data, 'log')
        with open(log_path, 'w') as log:
            daemon = subprocess.Popen([PROGRAM, 'serve', '--listen', '127.0.0.1:0', '--rate-limit', 'off', '--data',
                                       os.path.join(data, 'data'), '--model', model],
                                      stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            url = 'http://127.0.0.1:' + daemon.stdout.readline().strip().rsplit(':', 1)[1]
            harness.wait_for('forewarn', daemon, lambda: harness.ask(url + '/readyz')[0] == 200)
            status, _, answer = harness.ask(url + '/feed/data', json.dumps({'records': history()}).encode(),
                                            Content_Type='application/json')
            assert status == 200, answer
            harness.wait_for('forewarn', daemon, lambda: 'steep' in outlook(url)['predictions'])
            body = outlook(url)
        finally:
            daemon.terminate()
            code = daemon.wait(20)
        assert code == 0, code
        assert body['metadata']['model_type'] == 'TFT', body['metadata']
        path = body['predictions']['steep']['cpu_user_pct']
        assert all(len(path[q]) == 96 and all(isinstance(v, float) for v in path[q]) for q in ('p10', 'p50', 'p90')), path
        with open(log_path) as log:
            text = log.read()
        assert 'forecasts take the plain path' in text and 'differs from the plain one by' in text, text
    print('ok')
    return 0


if __name__ == '__main__':
    sys.exit(main())
