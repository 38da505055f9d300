"""Deliveries, with receivers that answer, refuse, hang and drip: who is told what, what survives a kill, and that a dead
receiver costs nobody else anything."""
import json
import os
import stat
import sys
import tempfile
import time

from daemon import Daemon, Feeder, Receiver, wait_for

PROGRAM = sys.argv[1]
FINE, FULL = {'disk_usage_pct': 30.0}, {'disk_usage_pct': 99.0}


def section(name, kind, address, more=''):
    key = 'command' if kind == 'exec' else 'url'
    return f'[receiver {name}]\ntype = {kind}\n{key} = {address}\ntimeout = 1\n{more}\n'


def check_shape(message):
    """Alertmanager's webhook, version 4."""
    assert set(message) == {'version', 'groupKey', 'truncatedAlerts', 'status', 'receiver', 'groupLabels', 'commonLabels',
                            'commonAnnotations', 'externalURL', 'alerts'}, sorted(message)
    assert message['version'] == '4' and message['receiver'] == 'hook', message
    for alert in message['alerts']:
        assert set(alert) == {'status', 'labels', 'annotations', 'startsAt', 'endsAt', 'generatorURL', 'fingerprint'}
        assert all(isinstance(v, str) for v in list(alert['labels'].values()) + list(alert['annotations'].values()))
        assert alert['labels'].items() >= message['commonLabels'].items() >= message['groupLabels'].items()
        assert alert['labels']['env'] == 'test', alert


def test_fires_resolves_and_survives(directory):
    hook = Receiver()
    daemon = Daemon(PROGRAM, directory, '[notify]\nlabels = env=test\n' + section('hook', 'webhook', hook.url()))
    feeder = Feeder(daemon, db1=FULL, db2=FINE)
    wait_for('the beginning', lambda: hook.told('firing', 'db1'))
    # What was accepted is written down a moment later; a kill before that would tell it twice.
    wait_for('the ledger', lambda: daemon.metric('forewarn_notifications_held{target="hook"}') == 1 and
             daemon.metric('forewarn_notifications_waiting{target="hook"}') == 0)
    # Killed, and over while nobody looks: the new process must tell the end of what the old one began.
    daemon.kill()
    feeder.servers['db1'] = FINE
    daemon.start()
    end = wait_for('the end', lambda: hook.told('resolved', 'db1'))[0]
    begin = hook.told('firing', 'db1')
    assert len(begin) == 1, 'told again after the restart'
    assert begin[0]['labels'] == end['labels'] and begin[0]['fingerprint'] == end['fingerprint']
    assert begin[0]['endsAt'] == '0001-01-01T00:00:00Z' and end['endsAt'] > end['startsAt'] == begin[0]['startsAt']
    assert not hook.told('firing', 'db2')
    for message in hook.messages:
        check_shape(message)
    feeder.stop()
    daemon.stop()
    hook.stop()


def test_down_while_it_fires(directory):
    """A receiver that comes back learns what fires; what came and went meanwhile is told as over."""
    hook = Receiver(mode=503)
    daemon = Daemon(PROGRAM, directory, section('hook', 'webhook', hook.url()))
    feeder = Feeder(daemon, db1=FULL, db2=FULL)
    wait_for('tries', lambda: hook.requests >= 2)
    feeder.servers['db2'] = FINE
    wait_for('the end of one', lambda: [a for a in daemon.alerts('?state=resolved') if a['server'] == 'db2'])
    daemon.kill()
    hook.mode = 200
    daemon.start()
    wait_for('what fires', lambda: hook.told('firing', 'db1'))
    wait_for('what is over', lambda: hook.told('resolved', 'db2'))
    assert not hook.told('firing', 'db2')
    assert daemon.metric('forewarn_notifications_total{target="hook",outcome="delivered"}') >= 2
    wait_for('the queue to empty', lambda: daemon.metric('forewarn_notifications_waiting{target="hook"}') == 0)
    feeder.stop()
    daemon.stop()
    hook.stop()


def test_the_dead_cost_nobody(directory):
    """Three dead receivers (hanging, dripping, refusing connections) beside a good one and a program."""
    hang, drip, good = Receiver('hang'), Receiver('drip'), Receiver()
    heard = os.path.join(directory, 'heard')
    hook = os.path.join(directory, 'hook.sh')
    with open(hook, 'w', encoding='utf-8') as file:
        file.write('#!/bin/sh\ncat >> "$1"\necho >> "$1"\n')
    os.chmod(hook, stat.S_IRWXU)
    config = section('hang', 'webhook', hang.url(), 'queue = 3') + section('drip', 'webhook', drip.url()) + \
        section('closed', 'alertmanager', 'http://127.0.0.1:9') + section('good', 'webhook', good.url()) + \
        section('program', 'exec', f'{hook} {heard}') + section('broken', 'exec', '/nonexistent/program') + \
        section('sleepy', 'exec', '/bin/sleep 1000')
    daemon = Daemon(PROGRAM, directory, config)
    servers = {f'db{i}': FULL for i in range(8)}
    feeder = Feeder(daemon, **servers)
    wait_for('all at the good one', lambda: all(good.told('firing', s) for s in servers))

    def at_program():
        if not os.path.exists(heard):
            return False
        lines = open(heard, encoding='utf-8').read().splitlines()
        return {json.loads(line)['groupLabels']['server'] for line in lines if line} == set(servers)
    wait_for('all at the program', at_program)
    wait_for('a second try', lambda: hang.requests >= 2 and drip.requests >= 2)
    for name in ('hang', 'drip', 'closed', 'broken', 'sleepy'):
        wait_for('the failure of ' + name, lambda: daemon.metric(f'forewarn_notifications_failing{{target="{name}"}}') == 1)
    assert daemon.metric('forewarn_notifications_failing{target="good"}') == 0
    assert daemon.metric('forewarn_notifications_held{target="hang"}') == 3
    assert daemon.metric('forewarn_notifications_dropped_total{target="hang"}') == 5
    assert daemon.metric('forewarn_notifications_dropped_total{target="drip"}') == 0
    assert feeder.accepted > 0
    feeder.stop()
    daemon.stop()  # within its time although deliveries hang
    for receiver in (hang, drip, good):
        receiver.stop()


def test_refused_for_good(directory):
    hook = Receiver(mode=400)
    daemon = Daemon(PROGRAM, directory, section('hook', 'webhook', hook.url()))
    feeder = Feeder(daemon, db1=FULL)
    wait_for('the refusal', lambda: daemon.metric('forewarn_notifications_total{target="hook",outcome="rejected"}') == 1)
    wait_for('nothing more to tell', lambda: daemon.metric('forewarn_notifications_waiting{target="hook"}') == 0)
    assert daemon.log_text().count('refuses a message for good') == 1
    feeder.stop()
    daemon.stop()
    hook.stop()


def main():
    for test in (test_fires_resolves_and_survives, test_down_while_it_fires, test_the_dead_cost_nobody, test_refused_for_good):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix='forewarn-notify-') as directory:
            test(directory)
        print(f'ok {test.__name__} {time.monotonic() - began:.1f} s', flush=True)


main()
