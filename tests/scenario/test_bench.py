#!/usr/bin/env python3
"""bench forecast, train and latency at tiny sizes, the first two alone and beside a peer: which figures there are and what they must be of one
another, never how large; and what is said of a peer that is missing, fails, prints something else, or does not end."""
import json
import math
import os
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TINY = os.path.join(ROOT, 'tests', 'golden', 'tft', 'tiny')
STAGES = ('contexts', 'selection', 'lstm', 'enrichment', 'attention', 'output')

# What it was given goes to a file beside it; forecasts take 2 ms a server, training 10 sequences a second.
PEER = '''#!/bin/sh
echo "$* OMP=$OMP_NUM_THREADS BLAS=$OPENBLAS_NUM_THREADS" >>"$0.log"
echo "some words before"
echo '{"peer": "other", "servers": 99, "median_ms": 1}'
case "$1" in
--bench) echo '{"peer": "fake", "servers": '$3', "median_ms": '$((2 * $3))', "min_ms": 1, "cpu_ms": 7}' ;;
--bench-train) echo '{"peer": "fake train", "batch": '$3', "sequences_per_s": 10}' ;;
*) exit 9 ;;
esac
'''


def bench(*arguments, code=0):
    done = subprocess.run([PROGRAM, 'bench', *arguments, '--json'], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, (arguments, done)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def check_positive(line, *keys):
    for key in keys:
        assert isinstance(line[key], (int, float)) and line[key] > 0, (key, line)


def check_network(line, servers):
    assert (line['bench'], line['path'], line['servers']) == ('forecast', 'network', servers), line
    check_positive(line, 'median_s', 'min_s', 'ms_per_server', 'best_ms_per_server', 'cpu_ms_per_server', 'mflop_per_series',
                   *(stage + '_us' for stage in STAGES))
    assert line['min_s'] <= line['median_s'] and line['best_ms_per_server'] <= line['ms_per_server'], line
    assert math.isclose(line['median_s'] * 1e3 / servers, line['ms_per_server'], rel_tol=0.05, abs_tol=1e-4), line
    work = sum(line[stage + '_mflop'] for stage in STAGES)
    assert math.isclose(work, line['mflop_per_series'], abs_tol=0.01), (work, line)
    if line['peak_gflops'] is not None:  # null where there are no multiply-adds to measure
        check_positive(line, 'peak_gflops', 'fraction_of_peak')


def check_comparison(line, peer, runs):
    assert (line['path'], line['peer'], line['rounds']) == ('peer', peer, runs), line
    assert 0 < line['ratio_min'] <= line['ratio'] <= line['ratio_max'], line


def forecasts():
    outlook, network = bench('forecast', '--servers', '3', '--threads', '2', '--runs', '1', '--seconds', '1')[0]
    assert (outlook['bench'], outlook['path'], outlook['servers'], outlook['threads']) == ('forecast', 'tft', 3, 2), outlook
    check_positive(outlook, 'median_s', 'first_s', 'forecast_s', 'risk_s', 'render_s', 'core_s', 'gather_core_s', 'experts_core_s',
                   'network_core_s', 'combine_core_s', 'paths', 'paths_by_model', 'body_bytes')
    check_network(network, 3)
    assert network['series'] == 3 * 14 and network['model'] == 'shipped', network

    lines, _ = bench('forecast', '--servers', '2', '--runs', '1', '--model', 'none')
    assert [line['path'] for line in lines] == ['statistical'], lines
    assert lines[0]['paths_by_model'] == 0, lines


def beside_a_peer(peer):
    lines, said = bench('forecast', '--model', TINY, '--servers', '5', '--threads', '1', '--runs', '2', '--seconds', '1',
                        '--peer', peer)
    assert [line['path'] for line in lines] == ['network', 'peer'], lines
    assert 'the network alone, no outlook' in said and 'forecasts 4 steps' in said, said
    check_network(lines[0], 5)
    check_comparison(lines[1], 'fake', 2)
    check_positive(lines[1], 'cpu_ratio')
    assert lines[1]['peer_ms_per_server'] == 2 and lines[1]['peer_cpu_ms_per_server'] == 1.4, lines[1]

    lines, _ = bench('train', '--batch', '2', '--threads', '1', '--runs', '2', '--peer', peer)
    assert [line['path'] for line in lines] == ['tft', 'peer'], lines
    check_positive(lines[0], 'median_s', 'sequences_per_s', 'sequences_per_core_s', 'gradient_s', 'update_s', 'loss', 'rss_bytes')
    assert (lines[0]['batch'], lines[0]['parameters'], lines[0]['mflop_per_sequence']) == (2, 111320, 125.1), lines[0]
    check_comparison(lines[1], 'fake train', 2)
    assert math.isclose(lines[1]['peer_sequences_per_s'], 10), lines[1]
    with open(peer + '.log') as log:
        assert log.read().splitlines() == 2 * ['--bench --servers 5 --threads 1 OMP=1 BLAS=1'] + \
            2 * ['--bench-train --batch 2 --threads 1 OMP=1 BLAS=1']


def latency():
    lines, _ = bench('latency', '--servers', '2', '--seconds', '1', '--runs', '1')
    assert [line['path'] for line in lines] == ['idle', 'while the fleet is forecast', 'feeds alone', 'feeds beside runs'], lines
    for line in lines:
        assert line['bench'] == 'latency' and line['servers'] == 2, line
        assert 0 < line['p50_ms'] <= line['p99_ms'] <= line['max_ms'], line
    for line in lines[:2]:
        check_positive(line, 'samples', 'acknowledged_p50_ms', 'acknowledged_p99_ms', 'longest_run_ms')
        assert line['forecast_runs'] >= 3, line
    check_positive(lines[3], 'forecast_runs', 'run_s', 'p99_ratio', 'posts')


def alive(group):
    """Processes of the group that have not ended."""
    found = []
    for entry in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % entry) as f:
                state, _, pgrp = f.read().rsplit(')', 1)[1].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state not in 'ZX':
            found.append(entry)
    return found


def bad_peers(directory):
    def refused(peer, *words, more=()):
        lines, said = bench('forecast', '--model', TINY, '--servers', '2', '--runs', '1', '--seconds', '1', '--peer', peer, *more, code=1)
        assert lines == [], lines
        for word in words:
            assert word in said, (word, said)

    def script(name, text):
        path = os.path.join(directory, name)
        with open(path, 'w') as f:
            f.write('#!/bin/sh\n' + text)
        os.chmod(path, 0o755)
        return path

    missing = os.path.join(directory, 'missing')
    refused(missing, missing, 'No such file')
    refused('   ', 'is no program')
    refused(script('nothing', ''), 'no line of JSON with "servers": 2', '"median_ms"')
    refused(script('garbage', 'printf "\\001\\002 not json\\n{\\"servers\\": 2\\n"'), 'its output begins ".. not json"')
    refused(script('other', 'echo \'{"servers": 3, "median_ms": 4}\''), 'no line of JSON with "servers": 2')
    refused(script('minus', 'echo \'{"servers": 2, "median_ms": -4}\''), 'a positive "median_ms"')
    refused(script('failing', 'echo \'{"servers": 2, "median_ms": 4}\'; exit 3'), 'ended with exit code 3')
    refused(script('killed', 'kill -9 $$'), 'was ended by signal 9')
    refused(script('loud', 'yes'), 'prints more than 1048576 bytes')
    pid = os.path.join(directory, 'pid')
    refused(script('endless', 'echo $$ >%s; sleep 1000' % pid), 'did not end within 1 s', more=('--peer-timeout', '1'))
    with open(pid) as f:
        group = int(f.read())
    deadline = time.monotonic() + 10
    while alive(group):
        assert time.monotonic() < deadline, 'the peer, or what it started, lives on'
        time.sleep(0.02)
    _, said = bench('forecast', '--model', 'none', '--peer', missing, code=1)
    assert 'compared with a network' in said, said


def main():
    forecasts()
    latency()
    with tempfile.TemporaryDirectory() as directory:
        peer = os.path.join(directory, 'peer')
        with open(peer, 'w') as f:
            f.write(PEER)
        os.chmod(peer, 0o755)
        beside_a_peer(peer)
        bad_peers(directory)
    print('ok')
    return 0


if __name__ == '__main__':
    sys.exit(main())
