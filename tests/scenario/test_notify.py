"""Deliveries, with receivers that answer, refuse, hang and drip: who is told what, what survives a kill, and that a dead
receiver costs nobody else anything."""
import json
import os
import signal
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


def test_reload(directory):
    """SIGHUP: receivers come, go, change and stay, while alerts fire."""
    stays, changes, goes, comes, moved = Receiver(), Receiver(), Receiver('hang'), Receiver(), Receiver()

    def config(*sections, labels='env=test'):
        with open(daemon.config, 'w', encoding='utf-8') as file:
            file.write(head + f'[notify]\nlabels = {labels}\n' + ''.join(sections))

    def reload(line):
        before = daemon.log_text().count(line)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(line, lambda: daemon.log_text().count(line) > before)
    daemon = Daemon(PROGRAM, directory, '[log]\nlines_per_minute = 1000000\n')
    head = open(daemon.config, encoding='utf-8').read()
    keep, gone = section('stays', 'webhook', stays.url()), section('goes', 'webhook', goes.url())
    config(keep, gone, section('changes', 'webhook', changes.url()))
    reload('reloaded')
    feeder = Feeder(daemon, db1=FULL, db2=FINE)
    for hook in (stays, changes):
        wait_for('the beginning', lambda: hook.told('firing', 'db1'))
    wait_for('a hanging delivery', lambda: goes.requests)
    wait_for('all but one to be up to date', lambda: [daemon.metric('forewarn_notifications_waiting{target="%s"}' % n)
                                                      for n in ('stays', 'changes', 'goes')] == [0, 0, 1])
    text = keep + section('changes', 'webhook', moved.url(), 'send_resolved = on') + section('comes', 'webhook', comes.url())
    config(text)
    reload('a receiver was removed, what it was still to be told is dropped receiver=goes waiting=1')
    assert 'a receiver was changed receiver=changes' in daemon.log_text() and 'a receiver was added receiver=comes' in daemon.log_text()
    assert 'was changed receiver=stays' not in daemon.log_text()
    assert daemon.metric('forewarn_notifications_held{target="goes"}') is None
    assert daemon.metric('forewarn_notifications_total{target="changes",outcome="delivered"}') == 1  # goes on counting
    wait_for('what fires at the new one', lambda: comes.told('firing', 'db1'))
    feeder.servers['db1'], feeder.servers['db2'] = FINE, FULL
    for hook in (stays, comes, moved):
        wait_for('the end', lambda: hook.told('resolved', 'db1'))
        wait_for('another beginning', lambda: hook.told('firing', 'db2'))
    assert len(stays.told('firing', 'db1')) == 1 and not moved.told('firing', 'db1'), 'told again after the reload'
    requests = goes.requests
    # What cannot be read, and receivers that are none, change nothing.
    for wrong in (text + '[receiver x]\ntype = webhook\n', text + '[receiver x]\ntype = pigeon\n'):
        config(wrong)
        reload('reload failed, nothing changes')
        assert daemon.metric('forewarn_notifications_held{target="x"}') is None
    # Other labels of all: everybody changes, nobody is told anew; the one removed is forgotten for good.
    config(text, labels='env=other')
    reload('a receiver was changed receiver=stays')
    config(text, gone, labels='env=other')
    goes.mode = 200
    reload('a receiver was added receiver=goes')
    wait_for('it to hear what fires', lambda: goes.told('firing', 'db2'))
    assert not goes.told('resolved', 'db1') and goes.requests > requests
    assert len(stays.told('firing', 'db2')) == 1
    wait_for('ledgers', lambda: [daemon.metric('forewarn_notifications_waiting{target="%s"}' % n)
                                 for n in ('stays', 'comes', 'changes', 'goes')] == [0] * 4)
    daemon.kill()
    daemon.start()
    feeder.servers['db2'] = FINE
    for hook in (stays, comes, moved, goes):
        wait_for('the end after a kill', lambda: hook.told('resolved', 'db2'))
        assert len(hook.told('firing', 'db2')) == 1
    # Sixty reloads while alerts come and go leave nothing behind.
    threads = len(os.listdir(f'/proc/{daemon.process.pid}/task'))
    for i in range(60):
        config(text, *([gone] if i % 2 else []), labels='env=%d' % (i % 3))
        feeder.servers['db1'] = FULL if i % 20 < 10 else FINE
        reload('reloaded')
    reload('reloaded')
    wait_for('all threads to be as before', lambda: len(os.listdir(f'/proc/{daemon.process.pid}/task')) == threads)
    feeder.stop()
    daemon.stop()
    for hook in (stays, changes, goes, comes, moved):
        hook.stop()


def main():
    for test in (test_fires_resolves_and_survives, test_down_while_it_fires, test_the_dead_cost_nobody, test_refused_for_good,
                 test_reload):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix='forewarn-notify-') as directory:
            test(directory)
        print(f'ok {test.__name__} {time.monotonic() - began:.1f} s', flush=True)


main()
