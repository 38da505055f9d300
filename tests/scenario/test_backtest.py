#!/usr/bin/env python3
"""forewarn backtest on a simulated fleet with incidents: the sums add up from the list, what fired agrees with the data, the
labels are matched as the protocol says (computed here again, from the list), the formats agree, and refusals are clear."""
import csv
import datetime
import io
import json
import math
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
EARLY, STEP = 7200, 300
THRESHOLDS = {'cpu_user_pct': (85, 95), 'mem_used_pct': (90, 98), 'disk_usage_pct': (85, 95), 'swap_used_pct': (25, 50)}


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code, (arguments, done.returncode, done.stderr)
    return done


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-8)      # nine digits are printed


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp()


def read_fleet(path):
    """{(server, metric): {second: value}}"""
    out = {}
    with open(path, encoding='utf-8') as f:
        for row in csv.DictReader(f):
            for metric in THRESHOLDS:
                if row[metric]:
                    out.setdefault((row['server_name'], metric), {})[seconds(row['timestamp'])] = float(row[metric])
    return out


def read_labels(path):
    out = {}
    with open(path, encoding='utf-8') as f:
        for row in csv.DictReader(f):
            end = seconds(row['end']) if row['end'] else math.inf
            out.setdefault(row['server_name'], []).append((seconds(row['start']), end))
    return out


def match(alarms, incidents):
    """-> (alarms that are about an incident, lead of every caught incident); {server: [(first, last)]}, {server: [(start, end)]}"""
    good, leads = set(), []
    for server, known in incidents.items():
        for start, end in known:
            hits = [(server, a) for a in alarms.get(server, []) if a[0] <= end and a[1] >= start - EARLY]
            good.update(hits)
            if hits:
                leads.append(start - max(min(a[0] for _, a in hits), start - EARLY))
    return good, leads


def check_thresholds(one, fleet):
    """What the list says about an alert is what the data says."""
    listed = [a for a in one['alerts'] if a['kind'] == 'threshold']
    current = next(s for s in one['threshold_settings'] if s['current'])
    assert len(listed) == current['alerts'] >= 5, current
    for outcome in ('true', 'false', 'unknown'):
        assert sum(a['outcome'] == outcome for a in listed) == current[outcome]
    judged = current['true'] + current['false']
    assert close(current['precision'], current['true'] / judged)
    assert close(current['false_per_server_day'], current['false'] / one['server_days'])
    looked_at = 0
    for alert in listed:
        if alert['metric'] not in THRESHOLDS:
            continue
        values = fleet[alert['server_name'], alert['metric']]
        assert alert['threshold'] in THRESHOLDS[alert['metric']], alert
        assert seconds(alert['fired']) - seconds(alert['opened']) >= STEP, alert    # two steps of data
        if alert['outcome'] == 'true':
            at = seconds(alert['crossed'])
            assert values[at] >= alert['threshold'] - 1e-4, alert
            assert alert['lead_s'] == at - seconds(alert['fired'])
            looked_at += 1
            between = [t for t in values if seconds(alert['opened']) <= t < at]
            assert all(values[t] < alert['threshold'] for t in between), alert
        elif alert['outcome'] == 'false':
            end = max(seconds(alert['until']), seconds(alert['fired']) + 12 * STEP)
            assert all(values[t] < alert['threshold'] for t in values if seconds(alert['fired']) <= t <= end), alert
            assert alert['crossed'] is None and alert['lead_s'] is None
    assert looked_at >= 3
    by_metric = [s for s in one['threshold_settings_by_metric'] if s['factor'] == 1]
    for figure in ('alerts', 'true', 'false', 'crossings', 'missed'):
        assert sum(s[figure] for s in by_metric) == current[figure], figure
    assert current['missed'] >= current['missed_brief']
    # Two steps instead of one cannot fire more often; lower thresholds are passed at least as often.
    one_step = next(s for s in one['threshold_settings'] if (s['setting'], s['value']) == ('for_runs', 1))
    assert one_step['alerts'] >= current['alerts'] and one_step['missed'] <= current['missed']
    disk = [s for s in one['threshold_settings_by_metric'] if s['metric'] == 'disk_usage_pct']
    assert len(disk) == 6 and all(s['warning'] < s['critical'] for s in disk)


def check_labels(one, labels):
    start = {s['server_name']: seconds(s['from']) for s in one['servers']}
    known = {s: [i for i in labels.get(s, []) if i[0] >= start[s]] for s in start}
    alarms = {}
    for alarm in one['alerts']:
        if alarm['kind'] == 'unusual':
            alarms.setdefault(alarm['server_name'], []).append((seconds(alarm['fired']), seconds(alarm['until'])))
            assert alarm['score'] > alarm['threshold'] and 1 <= len(alarm['reasons']) <= 5
            widths = [abs(r['widths']) for r in alarm['reasons']]
            assert widths == sorted(widths, reverse=True)
            for reason in alarm['reasons']:
                above = reason['value'] > reason['p90']
                assert (reason['widths'] > 0) == above and (above or reason['value'] < reason['p10']), alarm
    for one_server in alarms.values():
        assert all(b[0] - a[1] > 3600 for a, b in zip(one_server, one_server[1:])), one_server
    good, leads = match(alarms, known)
    found, incidents = one['labels']['unusual'], sum(map(len, known.values()))
    total = sum(map(len, alarms.values()))
    assert found['alarms'] == total and found['incidents'] == incidents > 10
    assert found['caught'] == len(leads) and found['about_incidents'] == len(good)
    assert close(found['recall'], len(leads) / incidents)
    assert close(found['false_per_server_day'], (total - len(good)) / one['server_days'])
    leads.sort()
    middle = len(leads) // 2
    assert found['median_lead_s'] == (leads[middle] if len(leads) % 2 else (leads[middle - 1] + leads[middle]) / 2)
    # The detector finds more than chance would, within what was wanted.
    assert found['recall'] > 3 * found['chance_recall'] and found['recall'] > 0.15, found
    assert found['false_per_server_day'] <= 0.2, found
    rates = one['unusual_settings']
    assert [r['wanted_per_server_day'] for r in rates] == [.02, .05, .1, .15, .2, .25, .3, .4, .5, 1]
    assert all(a['alarms'] <= b['alarms'] for a, b in zip(rates, rates[1:]))
    assert next(r for r in rates if r['current'])['alarms'] == total
    best = one['labels']['at_0_1_false_per_server_day']
    assert best['caught'] == max(r['caught'] for r in rates if r['false_per_server_day'] <= 0.1)


def check_formats(directory, fleet, labels):
    """Three formats of one short run, with other thresholds and another number of alarms; and without labels."""
    config = os.path.join(directory, 'forewarn.conf')
    with open(config, 'w', encoding='utf-8') as f:
        f.write('[metric mem_used_pct]\nwarning = 45\ncritical = 96\n[alerts]\nunusual_per_month = 12\n')
    arguments = ('--data', fleet, '--from', '2026-01-06T00:00:00Z', '--to', '2026-01-08T00:00:00Z', '--config', config,
                 '--alarms-per-day', '0.45')
    one = json.loads(run('backtest', *arguments, '--labels', labels, '--format', 'json').stdout)['sets'][0]
    assert (one['servers'][0]['from'], one['servers'][0]['to']) == ('2026-01-06T00:00:00Z', '2026-01-07T23:55:00Z')
    memory = [a for a in one['alerts'] if a.get('metric') == 'mem_used_pct']
    assert memory and all(a['threshold'] in (45, 96) for a in memory)
    assert [s['warning'] for s in one['threshold_settings_by_metric'] if s['metric'] == 'mem_used_pct' and s['factor'] == 1] == [45]
    assert [r['wanted_per_server_day'] for r in one['unusual_settings'] if r['current']] == [0.45]
    wanted = json.loads(run('backtest', *arguments[:-2], '--format', 'json').stdout)['sets'][0]
    assert [r['wanted_per_server_day'] for r in wanted['unusual_settings'] if r['current']] == [0.4]
    rows = list(csv.DictReader(io.StringIO(run('backtest', *arguments, '--labels', labels, '--format', 'csv').stdout)))
    assert len(rows) == len(one['alerts'])
    for row, alert in zip(rows, one['alerts']):
        assert (row['server_name'], row['kind'], row['fired']) == (alert['server_name'], alert['kind'], alert['fired'])
        assert row['label'] == ('yes' if alert['label'] else 'no')
    text = run('backtest', *arguments, '--threads', '1').stdout
    for words in ('20.0 server-days watched', 'as set', 'thresholds, metric by metric', 'for_runs 1 ', 'near_probability 0.40', '0.45  as set'):
        assert words in text, text
    assert 'against labels' not in text and 'recall' not in text


def check_refusals(directory, fleet):
    labels = os.path.join(directory, 'bad.csv')
    with open(labels, 'w', encoding='utf-8') as f:
        f.write('server_name,start,end\nppweb001,2026-01-06,soon\n')
    for arguments, words, code in (
        ((), 'which --data', 2),
        (('--data', fleet, '--format', 'xml'), 'xml: not a value in its range', 2),
        (('--data', fleet, '--alarms-per-day', '0'), '0: not a value in its range', 2),
        (('--data', fleet, '--from', '2026-01-12', '--to', '2026-01-11'), '--to is not after --from', 2),
        (('--data', fleet, '--frobnicate'), 'no option --frobnicate', 2),
        (('--data', fleet, '--labels', labels), 'bad.csv:2: end is not an ISO 8601 time: soon', 1),
        (('--data', fleet, '--labels', os.path.join(directory, 'none.csv')), 'none.csv', 1),
        (('--data', fleet, '--from', '2027-01-01'), 'no server has data in the time asked for', 1),
        (('--data', fleet, '--config', labels), 'bad.csv:1', 1),
        (('--data', os.path.join(directory, 'none')), 'none', 1),
        (('--data', fleet, '--model', directory), 'spec.json', 1),
    ):
        said = run('backtest', *arguments, code=code).stderr
        assert words in said, (arguments, said)


def main():
    with tempfile.TemporaryDirectory() as directory:
        fleet, labels = os.path.join(directory, 'fleet.csv'), os.path.join(directory, 'labels.csv')
        run('simulate', '--servers', '10', '--days', '9', '--seed', '5', '--start', '2026-01-05T00:00:00Z', '--incidents', '2',
            '--out', fleet, '--labels', labels)
        arguments = ('--data', fleet, '--labels', labels)
        done = run('backtest', *arguments, '--format', 'json')
        assert done.stderr == '', done.stderr     # no progress but on a terminal
        one, = json.loads(done.stdout)['sets']
        assert one['set'] == 'fleet' and close(one['server_days'], 10 * (6 - 1 / 288)), one['server_days']
        check_thresholds(one, read_fleet(fleet))
        check_labels(one, read_labels(labels))
        check_formats(directory, fleet, labels)
        check_refusals(directory, fleet)


main()
