"""Acknowledging, silencing and inhibition by API and by command line: what the list says, what receivers are told, what a
kill leaves, and that every act is journalled."""
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from zoneinfo import ZoneInfo

from daemon import Daemon, Feeder, Receiver, wait_for

PROGRAM = sys.argv[1]
FULL, HIGH = {'disk_usage_pct': 99.0}, {'disk_usage_pct': 88.0}


def forewarn(daemon, *arguments, code=0):
    done = subprocess.run([PROGRAM, *arguments, '--url', f'http://127.0.0.1:{daemon.port}'], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == code, (arguments, done)
    return done.stdout if code == 0 else done.stderr


def alert_of(daemon, server, metric='disk_usage_pct'):
    found = [a for a in daemon.alerts('?state=active') if a['server'] == server and a['metric'] == metric]
    return found[0] if found else None


def firing(daemon, server):
    return wait_for(f'{server} to fire', lambda: [a for a in daemon.alerts('?state=firing') if a['server'] == server])[0]


def test_silence(directory):
    hook = Receiver()
    daemon = Daemon(PROGRAM, directory, f'[receiver hook]\ntype = webhook\nurl = {hook.url()}\n')
    text = forewarn(daemon, 'silence', 'add', '--server', 'db-*', '--duration', '1h', '--by', 'ann', '--comment', 'moving house')
    assert 'active' in text and 'ann: moving house' in text, text
    feeder = Feeder(daemon, db_1=FULL, web_1=FULL)
    firing(daemon, 'db-1')
    wait_for('the other one', lambda: hook.told('firing', 'web-1'))
    silences = daemon.request('GET', '/api/v1/silences')[1]['silences']
    assert [s['server'] for s in silences] == ['db-*'], silences
    alert = alert_of(daemon, 'db-1')
    assert alert['state'] == 'silenced' and alert['silenced_by'] == silences[0]['id'], alert
    assert [a['server'] for a in daemon.alerts('?state=silenced')] == ['db-1']
    daemon.kill()
    daemon.start()
    wait_for('the silence after a kill', lambda: (alert_of(daemon, 'db-1') or {}).get('state') == 'silenced')
    assert not hook.told('firing', 'db-1')
    assert 'expired' in forewarn(daemon, 'silence', 'end', silences[0]['id'])
    wait_for('what was silenced', lambda: hook.told('firing', 'db-1'))
    assert forewarn(daemon, 'silence', 'list') == ''
    assert silences[0]['id'] in forewarn(daemon, 'silence', 'list', '--state', 'expired')
    # A maintenance window that is open now, by profile, every day.
    now = time.gmtime()
    window = forewarn(daemon, 'silence', 'add', '--profile', 'generic', '--days', 'daily', '--from',
                      time.strftime('%H:%M', now), '--for', '2h', '--zone', 'utc', '--json')
    assert json.loads(window)['state'] == 'active' and json.loads(window)['ends_at'] is None, window
    wait_for('the window', lambda: alert_of(daemon, 'web-1')['silenced_by'] == json.loads(window)['id'])
    actions = daemon.request('GET', '/api/v1/alerts/actions')[1]['actions']
    assert [(a['action'], a['by']) for a in actions] == [
        ('silence_added', 'unknown'), ('silence_ended', 'unknown'), ('silence_added', 'ann')], actions
    feeder.stop()
    daemon.stop()
    hook.stop()


def test_acknowledge(directory):
    daemon = Daemon(PROGRAM, directory, '')
    feeder = Feeder(daemon, db_1=HIGH)
    alert = firing(daemon, 'db-1')
    assert alert['severity'] == 'warning' and alert['state'] == 'firing' and alert['acknowledged_by'] is None, alert
    assert 'acknowledged' in forewarn(daemon, 'alerts', 'ack', alert['id'], '--by', 'ann', '--comment', 'on "it"')
    daemon.kill()
    daemon.start()
    held = wait_for('the alert after a kill', lambda: alert_of(daemon, 'db-1'))
    assert held['state'] == 'acknowledged' and held['acknowledged_by'] == 'ann' and held['ack']['comment'] == 'on "it"', held
    assert alert['id'] in forewarn(daemon, 'alerts', 'list', '--state', 'acknowledged')
    assert 'acknowledged_by  ann' in forewarn(daemon, 'alerts', 'show', alert['id'])
    body = wait_for('a body with it', lambda: [a for a in daemon.request('GET', '/predictions/current')[1]['alerts']
                                               if a['state'] == 'acknowledged'])
    assert body[0]['ack']['by'] == 'ann', body
    feeder.servers['db-1'] = FULL  # worse than what was acknowledged
    wait_for('the rise', lambda: alert_of(daemon, 'db-1')['state'] == 'firing')
    forewarn(daemon, 'alerts', 'ack', alert['id'])
    assert alert_of(daemon, 'db-1')['acknowledged_by'] == 'unknown'
    forewarn(daemon, 'alerts', 'unack', alert['id'])
    assert alert_of(daemon, 'db-1')['state'] == 'firing'
    assert 'is not acknowledged' in forewarn(daemon, 'alerts', 'unack', alert['id'], code=1)
    assert 'unacknowledged' in forewarn(daemon, 'alerts', 'actions')
    feeder.stop()
    daemon.stop()


def test_inhibition(directory):
    hook = Receiver()
    daemon = Daemon(PROGRAM, directory, f'[receiver hook]\ntype = webhook\nurl = {hook.url()}\n')
    feeder = Feeder(daemon, db_1={'disk_usage_pct': 99.0, 'mem_used_pct': 30.0})
    critical = firing(daemon, 'db-1')
    feeder.servers['db-1'] = {'disk_usage_pct': 99.0, 'mem_used_pct': 93.0}
    warning = wait_for('the warning', lambda: [a for a in daemon.alerts('?state=firing') if a['metric'] == 'mem_used_pct'])[0]
    assert warning['inhibited_by'] == critical['id'] and critical['inhibited_by'] is None, warning
    feeder.servers['db-1'] = {'disk_usage_pct': 30.0, 'mem_used_pct': 93.0}
    wait_for('the warning to be told', lambda: [a for a in hook.told('firing', 'db-1') if a['labels']['metric'] == 'mem_used_pct'])
    assert hook.told('resolved', 'db-1'), 'told before the end of what inhibited it'
    feeder.stop()
    daemon.stop()
    hook.stop()


def test_zone(directory):
    """A window by the clock of a zone, over a restart, and over one without the zone's data."""
    daemon = Daemon(PROGRAM, directory, '')
    begin = datetime.datetime.now(ZoneInfo('Australia/Lord_Howe')) - datetime.timedelta(minutes=5)
    added = json.loads(forewarn(daemon, 'silence', 'add', '--server', '*', '--days', 'daily', '--from', begin.strftime('%H:%M'),
                                '--for', '2h', '--zone', 'Australia/Lord_Howe', '--json'))
    assert added['state'] == 'active' and added['reason'] is None, added
    assert added['recurrence']['zone'] == 'Australia/Lord_Howe', added
    ends = begin.replace(second=0, microsecond=0).timestamp() + 7200
    assert added['changes_at_unix'] == ends, (added, ends)
    assert '(Australia/Lord_Howe)' in forewarn(daemon, 'silence', 'list')
    written = daemon.request('GET', '/api/v1/silences?tz=Australia/Lord_Howe')[1]['silences'][0]
    assert datetime.datetime.fromisoformat(written['changes_at']).utcoffset() == begin.utcoffset(), written
    assert daemon.request('GET', '/api/v1/silences?tz=Australia/Nowhere')[0] == 422
    assert 'no time zone Europe/Berlim in /usr/share/zoneinfo' in forewarn(
        daemon, 'silence', 'add', '--server', '*', '--days', 'daily', '--from', '02:00', '--for', '1h', '--zone', 'Europe/Berlim', code=1)
    daemon.kill()
    daemon.start()
    kept = daemon.request('GET', '/api/v1/silences')[1]['silences'][0]
    assert kept == {**added, 'state': kept['state']}, (kept, added)
    daemon.stop()
    empty = os.path.join(directory, 'no zones')
    os.mkdir(empty)
    os.environ['TZDIR'] = empty
    try:
        daemon.start()
    finally:
        del os.environ['TZDIR']
    lost = daemon.request('GET', '/api/v1/silences')[1]['silences'][0]
    assert (lost['state'], lost['changes_at']) == ('pending', None), lost
    assert lost['reason'] == 'no time zone Australia/Lord_Howe on this machine', lost
    assert 'does not hold: no time zone Australia/Lord_Howe' in forewarn(daemon, 'silence', 'list')
    assert 'expired' in forewarn(daemon, 'silence', 'end', added['id'])
    daemon.stop()


def test_wrong(directory):
    daemon = Daemon(PROGRAM, directory, '')
    for body, where in (({}, 'ends_at'), ({'duration': '1h'}, 'server'), ({'server': 'a', 'duration': '1x'}, 'duration'),
                        ({'server': 'a', 'duration': '1h', 'ends_at': 4e9}, 'ends_at'),
                        ({'server': 'a', 'duration': '1h', 'ends_at': 4000000000}, 'duration'),
                        ({'server': 'a', 'ends_at': 1000}, 'ends_at'), ({'server': 'a', 'duration': '1h', 'id': 'x'}, 'id'),
                        ({'server': 'a\n', 'duration': '1h'}, 'server'), ({'profile': 'x', 'duration': '1h'}, 'profile'),
                        ({'server': 'a', 'recurrence': {'days': ['monday'], 'from': '1:00'}}, 'recurrence.days'),
                        ({'server': 'a', 'recurrence': {'days': ['mon'], 'from': '24:00', 'duration': '1h'}}, 'recurrence.from'),
                        ({'server': 'a', 'recurrence': {'days': ['mon'], 'from': '10:00'}}, 'recurrence.duration'),
                        ({'server': 'a', 'recurrence': {'days': ['mon'], 'from': '10:00', 'duration': '1h', 'zone': '../x'}}, 'recurrence.zone'),
                        ({'server': 'a', 'recurrence': {'days': ['mon'], 'from': '10:00', 'duration': '1h', 'zone': 'x' * 2000}}, 'recurrence.zone'),
                        ({'server': 'a', 'recurrence': {'days': ['mon'], 'from': '10:00', 'duration': '1h', 'zone': 'Mars/Olympus'}}, 'recurrence.zone'),
                        ({'server': 'a', 'recurrence': {'days': ['mon'], 'from': '10:00', 'duration': '1h', 'zone': 60}}, 'recurrence.zone')):
        status, answer = daemon.request('POST', '/api/v1/silences', body)
        assert status == 422 and answer['detail'][0]['loc'] == ['body', where], (body, status, answer)
    for method, path, body, expected in (
            ('DELETE', '/api/v1/silences/0123456789abcdef', None, 404), ('DELETE', '/api/v1/silences/x', None, 404),
            ('POST', '/api/v1/alerts/0123456789abcdef/ack', {}, 404), ('POST', '/api/v1/alerts/x/ack', {'by': 3}, 422),
            ('GET', '/api/v1/alerts/0123456789abcdef', None, 404), ('GET', '/api/v1/silences?state=x', None, 422)):
        assert daemon.request(method, path, body)[0] == expected, (method, path)
    assert daemon.request('GET', '/api/v1/silences?state=all')[1] == {'silences': [], 'count': 0}
    forewarn(daemon, 'alerts', 'ack', '../x', code=2)
    daemon.stop()


def main():
    for test in (test_silence, test_acknowledge, test_inhibition, test_zone, test_wrong):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix='forewarn-control-') as directory:
            test(directory)
        print(f'ok {test.__name__} {time.monotonic() - began:.1f} s', flush=True)


main()
