#!/usr/bin/env python3
"""forewarn backtest against the protocol's reference implementation (baselines.py of the public sets): two servers of a set, the
list of alarms matched by that code gives the figures printed, and they are better than its threshold rule and than chance.
Skipped where the sets, numpy or pandas are not there."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
SETS = os.path.join('..', 'shared', 'data')
SET, SERVERS = 'asd', ('omi-06', 'omi-10')

sys.dont_write_bytecode = True


def reference():
    """Runs this file with a Python that has numpy and pandas; 77 where there is none."""
    if not os.path.exists(os.path.join(SETS, SET)):
        sys.exit(77)
    for python in (sys.executable, '/usr/bin/python3'):
        if subprocess.run([python, '-c', 'import numpy, pandas'], capture_output=True, check=False).returncode == 0:
            if python != sys.executable:
                sys.exit(subprocess.run([python, '-B', *sys.argv], check=False).returncode)
            break
    else:
        sys.exit(77)
    sys.path.insert(0, os.path.abspath(SETS))
    import baselines            # pylint: disable=import-error,import-outside-toplevel
    return baselines


def make_part(directory):
    """The set with two servers."""
    part = os.path.join(directory, SET)
    os.mkdir(part)
    for name in SERVERS:
        shutil.copy(os.path.join(SETS, SET, name + '.csv.gz'), part)
    for table in ('servers.csv', 'labels.csv'):
        with open(os.path.join(SETS, SET, table), encoding='utf-8') as f, open(os.path.join(part, table), 'w', encoding='utf-8') as g:
            g.writelines(line for i, line in enumerate(f) if i == 0 or line.split(',')[0] in SERVERS)
    return part


def by_reference(baselines, directory, alarms):
    """Recall, good alarms and false alarms a day of the alarms, by the reference's own functions; and its threshold rule's recall."""
    import numpy                # pylint: disable=import-error,import-outside-toplevel
    import pandas               # pylint: disable=import-error,import-outside-toplevel
    labels = baselines.load_labels(directory, SET)
    caught, good, total, incidents, days, rule, leads = 0, 0, 0, 0, 0.0, 0, []
    for server in baselines.load_set(directory, SET):
        epoch, fired = baselines.detect_server(server)
        known = [i for i in labels.get(server['name'], []) if i[0] >= epoch[0]]
        mine = [tuple(pandas.Timestamp(t).timestamp() for t in a) for a in alarms.get(server['name'], [])]
        one_good, one_leads = baselines.match(mine, known)
        good, caught, total = good + one_good, caught + len(one_leads), total + len(mine)
        leads += one_leads
        incidents += len(known)
        days += (epoch[-1] - epoch[0]) / 86400
        rule += len(baselines.match(baselines.alarms_of(epoch, fired), known)[1])
    return {'caught': caught, 'about_incidents': good, 'incidents': incidents, 'alarms': total,
            'false': (total - good) / days, 'lead': float(numpy.median(leads)), 'rule': rule}


def main():
    baselines = reference()
    with tempfile.TemporaryDirectory() as directory:
        part = make_part(directory)
        done = subprocess.run([PROGRAM, 'backtest', '--data', part, '--format', 'json'],
                              capture_output=True, text=True, timeout=280, check=True)
        one, = json.loads(done.stdout)['sets']
        alarms = {}
        for alarm in one['alerts']:
            if alarm['kind'] == 'unusual':
                alarms.setdefault(alarm['server_name'], []).append((alarm['fired'], alarm['until']))
        found, expected = one['labels']['unusual'], by_reference(baselines, directory, alarms)
        for figure in ('caught', 'about_incidents', 'incidents', 'alarms'):
            assert found[figure] == expected[figure], (figure, found, expected)
        assert abs(found['false_per_server_day'] - expected['false']) < 1e-7, (found, expected)
        assert abs(found['median_lead_s'] - expected['lead']) < 1e-6, (found, expected)
        assert found['caught'] > expected['rule'] and found['recall'] > 3 * found['chance_recall'], (found, expected)


main()
