#!/usr/bin/env python3
"""forewarn evaluate --baselines-only gives the published figures of the baselines, byte for byte, on every public set, and
the ETT papers' errors of the repeated last value. Needs ../shared/data beside the checkout."""
import json
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
DATA = os.path.join('..', 'shared', 'data')
EXPECTED = os.path.join(DATA, 'baselines_forecast.csv')
PERSISTENCE = {'ETTh1': (1.294, 0.713), 'ETTh2': (0.432, 0.422)}   # MSE, MAE


def sets():
    """The sets of the expected table, in its order."""
    with open(EXPECTED, encoding='utf-8') as table:
        next(table)
        return list(dict.fromkeys(line.split(',', 1)[0] for line in table))


def compare(expected, actual):
    for number, (want, got) in enumerate(zip(expected.splitlines(), actual.splitlines()), 1):
        assert want == got, f'line {number}: {got.decode()}, expected {want.decode()}'
    assert expected == actual, 'one is longer than the other'


def main():
    if not os.path.exists(EXPECTED):
        print(f'skipped: no {EXPECTED}')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, 'figures.csv')
        done = subprocess.run([PROGRAM, 'evaluate', '--baselines-only', '--json', '--csv', out, '--data',
                               *(os.path.join(DATA, name) for name in sets())], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with open(EXPECTED, 'rb') as expected, open(out, 'rb') as actual:
            compare(expected.read(), actual.read())
    errors = {one['series']: one['persistence'] for one in json.loads(done.stdout)['ett']}
    for series, (mse, mae) in PERSISTENCE.items():
        assert round(errors[series]['mse'], 3) == mse, errors
        assert round(errors[series]['mae'], 3) == mae, errors


main()
