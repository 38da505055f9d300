#!/usr/bin/env python3
"""A pytorch-forecasting model directory through the exporter, `forewarn model import` and `forewarn model run`: the
predictions are those of the reference. The exporter alone: pickle and JSON give the same spec, and a pickle that names
a function is refused."""
import array
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
GOLDEN = os.path.join(os.environ.get('FW_SHARED', os.path.join(ROOT, '..', 'shared')), 'tft', 'golden')
SOURCE = os.path.join(GOLDEN, 'product-model-dir', 'tft_model_20250301_120000')
EXPORT = os.path.join(ROOT, 'tools', 'export_pytorch_forecasting.py')


def tensors(path):
    with open(path, 'rb') as f:
        raw = f.read()
    n = struct.unpack('<Q', raw[:8])[0]
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name != '__metadata__' and t['dtype'] == 'F32':
            out[name] = (t['shape'], array.array('f', raw[8 + n + t['data_offsets'][0]:8 + n + t['data_offsets'][1]]))
    return out


def export(directory, out, expect=0):
    done = subprocess.run([sys.executable, '-B', EXPORT, directory, '--out', out], capture_output=True, text=True)
    assert (done.returncode == 0) == (expect == 0), done.stderr
    return done.stderr


def forewarn(*args, code=0):
    done = subprocess.run([sys.argv[1], 'model', *args], capture_output=True, text=True)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


class Evil:
    def __reduce__(self):
        return os.system, ('touch evil-was-here',)


def refuses_functions(tmp):
    evil = os.path.join(tmp, 'evil')
    os.mkdir(evil)
    with open(os.path.join(evil, 'dataset_parameters.pkl'), 'wb') as f:
        pickle.dump({'target': Evil()}, f)
    shutil.copy(os.path.join(SOURCE, 'model.safetensors'), evil)
    said = export(evil, os.path.join(tmp, 'evil.json'), expect=1)
    assert 'not on the list' in said and not os.path.exists('evil-was-here'), said


def same_spec_both_ways(tmp):
    words = os.path.join(tmp, os.path.basename(SOURCE))
    os.mkdir(words)
    for name in ('dataset_parameters.json', 'model.safetensors', 'server_mapping.json'):
        shutil.copy(os.path.join(SOURCE, name), words)
    export(SOURCE, os.path.join(tmp, 'spec.json'))
    export(words, os.path.join(tmp, 'words.json'))
    with open(os.path.join(tmp, 'spec.json')) as a, open(os.path.join(tmp, 'words.json')) as b:
        assert json.load(a) == json.load(b)


def run_matches(tmp):
    registry, out = os.path.join(tmp, 'registry'), os.path.join(tmp, 'out.safetensors')
    forewarn('import', SOURCE, '--spec', os.path.join(tmp, 'spec.json'), '--out', registry)
    forewarn('check', registry)
    info = json.loads(forewarn('info', registry, '--json')[0])
    assert info['parameters'] == 111320 and info['output_scale'] == 'shifted', info
    forewarn('run', '--model', registry, '--input', os.path.join(GOLDEN, 'argus-single', 'input.safetensors'),
             '--output', out, '--threads', '2')
    got, want = tensors(out), tensors(os.path.join(GOLDEN, 'argus-single', 'output.safetensors'))
    for name, (shape, values) in want.items():
        assert got[name][0] == shape, (name, got[name][0], shape)
        largest = max(1.0, max(map(abs, values)))
        worst = max(abs(a - b) for a, b in zip(got[name][1], values)) / largest
        print(f'  {name:34s} {worst:.2e}')
        assert worst < 1e-5, (name, worst)


def usage_and_failures(tmp):
    registry, spec = os.path.join(tmp, 'registry'), os.path.join(tmp, 'spec.json')
    forewarn(code=2)
    forewarn('dance', code=2)
    forewarn('run', registry, code=2)
    forewarn('run', registry, '--input', 'x', '--output', 'y', '--threads', '0', code=2)
    forewarn('run', registry, '--input', 'x', '--output', 'y', '--path', 'other', code=2)
    forewarn('run', registry, '--input', os.path.join(tmp, 'none'), '--output', os.path.join(tmp, 'y'), code=1)
    forewarn('info', os.path.join(tmp, 'none'), code=1)
    assert 'holds a model already' in forewarn('import', SOURCE, '--spec', spec, '--out', registry, code=1)[1]
    with open(os.path.join(registry, 'model.safetensors'), 'r+b') as f:
        f.seek(-4, os.SEEK_END)
        f.write(struct.pack('<f', float('nan')))
        f.seek(-200, os.SEEK_END)
        f.write(struct.pack('<f', float('inf')))
    reasons = forewarn('check', registry, code=1)[1].strip().split('\n')
    assert len(reasons) >= 2, reasons


def main():
    if not os.path.isdir(SOURCE):
        print(f'skipped: no {SOURCE}')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as tmp:
        refuses_functions(tmp)
        same_spec_both_ways(tmp)
        run_matches(tmp)
        usage_and_failures(tmp)
    print('ok')


if __name__ == '__main__':
    main()
