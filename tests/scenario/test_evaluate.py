#!/usr/bin/env python3
"""forewarn evaluate: the baselines of a small fleet against the reference implementation's figures (numpy and pandas), the
keys of the JSON, a picture that stands alone, sets from plain files, and clear refusals.

tests/golden/evaluate/fleet is from forewarn simulate: one server whole, one of 100 s with gaps and missing values, one that
begins too late for residuals; baselines.csv was made from it once."""
import json
import math
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PROGRAM = sys.argv[1]
GOLDEN = os.path.join('tests', 'golden', 'evaluate')
FLEET = os.path.join(GOLDEN, 'fleet')
QUANTILES = ('p10', 'p50', 'p90')
BASELINES = {'persistence', 'seasonal_naive_day', 'linear_24', 'climatology_hour', 'persistence+resid', 'seasonal_naive_day+resid'}


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, 'evaluate', *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, (arguments, done.returncode, done.stderr)
    return done


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def check_baselines(directory):
    out = os.path.join(directory, 'baselines.csv')
    run('--baselines-only', '--data', FLEET, '--csv', out)
    assert read(out) == read(os.path.join(GOLDEN, 'baselines.csv'))


def check_ratio(one):
    for quantile in QUANTILES:
        best = min(figures[quantile] for figures in one['baselines'].values())
        assert math.isclose(one['ratio'][quantile], one['qrisk'][quantile] / best, rel_tol=1e-6), one
        assert one['baselines'][one['best'][quantile]][quantile] == best


def check_json(directory):
    out, picture = os.path.join(directory, 'figures.csv'), os.path.join(directory, 'figures.svg')
    done = run('--data', FLEET, '--json', '--csv', out, '--svg', picture)
    assert done.stderr == '', done.stderr     # no progress but on a terminal
    all_ = json.loads(done.stdout)
    assert [one['metric'] for one in all_['sets']] == [
        'cpu_user_pct', 'cpu_used_pct', 'mem_used_pct', 'net_in_mb_s', 'back_close_wait', 'load_average']
    for one in all_['sets']:
        assert one['set'] == 'fleet' and set(one['baselines']) == BASELINES
        assert [(block['from'], block['to']) for block in one['blocks']] == [(1, 12), (13, 36), (37, 60), (61, 96)]
        assert sum(server['points'] for server in one['servers']) == one['points'] > 1500
        assert {server['server_name'] for server in one['servers']} == {'ppdb001', 'ppml0001', 'ppweb001'}
        assert 0 < one['coverage'] <= 1
        check_ratio(one)
    summary, = all_['summary']
    for quantile in QUANTILES:
        mean = math.exp(sum(math.log(one['ratio'][quantile]) for one in all_['sets']) / len(all_['sets']))
        assert math.isclose(summary['ratio'][quantile], mean, rel_tol=1e-6)
        assert summary['above_1_05'][quantile] == sum(one['ratio'][quantile] > 1.05 for one in all_['sets'])
    assert summary['worst']['ratio'] == max(one['ratio'][q] for one in all_['sets'] for q in QUANTILES)
    assert math.isclose(summary['coverage'], sum(one['coverage'] for one in all_['sets']) / len(all_['sets']), rel_tol=1e-6)
    assert summary['left_out'] == 0 and sum(summary['methods'].values()) == summary['forecasts'] > 0
    rows = [line.split(',') for line in read(out).decode().splitlines()]
    assert [row for row in rows if row[2] != 'forewarn'] == [
        line.split(',') for line in read(os.path.join(GOLDEN, 'baselines.csv')).decode().splitlines()]
    assert sum(row[2] == 'forewarn' for row in rows) == len(all_['sets']) + 1
    assert xml.etree.ElementTree.parse(picture).getroot().tag == '{http://www.w3.org/2000/svg}svg'


def check_text():
    text = run('--data', FLEET, '--threads', '1').stdout
    for words in ('fleet: 3 servers, 6 metrics, steps of 300 s, 18 origins', '(geometric mean)', 'cpu_used_pct', '61 to 96', 'worst: '):
        assert words in text, text
    assert 'cpu_idle_pct' not in text


def check_plain(directory):
    """Two files together are one set; its last fifth is tested, or what is asked for."""
    files = [os.path.join(FLEET, name + '.csv.gz') for name in ('ppml0001', 'ppweb001')]
    one = json.loads(run('--data', *files, '--baselines-only', '--json').stdout)['summary'][0]
    assert one['set'] == 'data' and one['servers'] == 2, one
    assert one['ratio'] == {q: None for q in QUANTILES} and one['coverage'] is None and one['worst'] is None
    named = json.loads(run('--data', *files, '--baselines-only', '--json', '--set', 'mine',
                           '--test-from', '2026-01-08T00:00:00Z').stdout)['summary'][0]
    assert named['set'] == 'mine' and named['origins'] > one['origins'], named
    hourly = json.loads(run('--data', files[0], FLEET, '--baselines-only', '--json', '--step', '600').stdout)['summary']
    assert [(s['set'], s['step_seconds']) for s in hourly] == [('ppml0001', 600), ('fleet', 600)], hourly


def check_refusals(directory):
    short = os.path.join(directory, 'short.csv')
    with open(short, 'w', encoding='utf-8') as f:
        f.write('timestamp,server_name,x\n2026-01-05,a,1\n')
    with open(os.path.join(directory, 'servers.csv'), 'w', encoding='utf-8') as f:
        f.write('server_name,test_from\na,never\n')
    for arguments, words, code in (
        ((), 'which --data', 2),
        (('--data', FLEET, '--step', '0'), '0: not a value in its range', 2),
        (('--data', FLEET, '--test-from', 'soon'), 'soon: not a value in its range', 2),
        (('--data', FLEET, '--baselines-only', '--model', directory), 'exclude each other', 2),
        (('--data', FLEET, '--baselines-only', '--svg', short), '--svg', 2),
        (('--data', FLEET, '--frobnicate'), 'no option --frobnicate', 2),
        (('--data', FLEET, FLEET), 'another set is called fleet', 1),
        (('--data', os.path.join(directory, 'none')), 'none', 1),
        (('--data', directory), 'servers.csv:2: test_from is not an ISO 8601 time: never', 1),
        (('--data', short), 'no server has 288 steps', 1),
        (('--data', FLEET, '--model', directory), 'spec.json', 1),
        (('--data', FLEET, '--baselines-only', '--csv', os.path.join(directory, 'no', 'where')), 'where: ', 1),
    ):
        said = run(*arguments, code=code).stderr
        assert words in said, (arguments, said)


def main():
    with tempfile.TemporaryDirectory() as directory:
        check_baselines(directory)
        check_json(directory)
        check_text()
        check_plain(directory)
        check_refusals(directory)


main()
