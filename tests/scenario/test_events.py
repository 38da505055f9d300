"""/api/v1/events: what is told, in which order, resumed, over a restart, to many, to those who do not read, and beyond the
limit."""
import http.client
import json
import socket
import sys
import tempfile
import threading
import time

from daemon import Daemon, Feeder, wait_for

PROGRAM = sys.argv[1]
FULL, FINE = {'disk_usage_pct': 99.0}, {'disk_usage_pct': 30.0}


class Follower:
    """Reads events on a thread: (id, name, data)."""

    def __init__(self, daemon, last=None):
        self.events, self.last, self.beats, self.ended = [], last, 0, False
        self.connection = http.client.HTTPConnection('127.0.0.1', daemon.port, timeout=60)
        self.connection.request('GET', '/api/v1/events', headers={} if last is None else {'Last-Event-ID': last})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200 and self.answer.headers['Content-Type'] == 'text/event-stream', self.answer.status
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        fields = {}
        try:
            for line in self.answer:
                line = line.decode().rstrip('\n')
                if line == '':
                    self.last = fields.get('id', self.last)
                    if 'data' in fields:
                        self.events.append((int(self.last), fields['event'], json.loads(fields['data'])))
                    fields = {}
                elif line.startswith(':'):
                    self.beats += 1
                else:
                    name, value = line.split(': ', 1)
                    fields[name] = value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.ended = True

    def of(self, name):
        return [data for _, what, data in list(self.events) if what == name]

    def transitions(self, server):
        return [a['transition'] for a in self.of('alert') if a['server'] == server]

    def close(self):
        if self.connection.sock is not None:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.connection.close()


def test_what_is_told(directory):
    daemon = Daemon(PROGRAM, directory, '')
    follower = Follower(daemon)
    feeder = Feeder(daemon, db_1=FULL, db_2=FINE)
    wait_for('firing', lambda: 'firing' in follower.transitions('db-1'))
    assert follower.transitions('db-1') == ['pending', 'firing'], follower.events
    alert = [a for a in follower.of('alert') if a['transition'] == 'firing'][0]
    listed = [a for a in daemon.alerts() if a['server'] == 'db-1'][0]
    assert set(alert) == set(listed) | {'transition'} and alert['id'] == listed['id'], alert
    daemon.request('POST', f"/api/v1/alerts/{alert['id']}/ack", {'by': 'ann'})
    wait_for('acknowledged', lambda: follower.transitions('db-1')[-1] == 'acknowledged')
    assert [a for a in follower.of('alert') if a['acknowledged_by'] == 'ann']
    silence = daemon.request('POST', '/api/v1/silences', {'server': 'db-1', 'duration': '1h'})[1]
    wait_for('silenced', lambda: follower.transitions('db-1')[-1] == 'silenced')
    daemon.request('DELETE', '/api/v1/silences/' + silence['id'])
    wait_for('acknowledged again', lambda: follower.transitions('db-1')[-1] == 'acknowledged')
    feeder.servers['db-1'] = FINE
    wait_for('resolved', lambda: follower.transitions('db-1')[-1] == 'resolved')
    assert follower.transitions('db-2') == []
    outlooks = follower.of('outlook')
    assert set(outlooks[-1]) == {'run', 'generated_at', 'servers', 'changed'} and outlooks[-1]['servers'] == 2, outlooks[-1]
    runs = [o['run'] for o in outlooks]
    assert runs == list(range(runs[0], runs[0] + len(runs))), 'an outlook was skipped'
    # Who is told of an outlook finds it.
    assert daemon.request('GET', '/api/v1/outlook')[1]['run_id'] >= runs[-1]
    numbers = [number for number, _, _ in follower.events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), 'a gap'
    feeder.stop()
    follower.close()
    daemon.stop()


def test_resume(directory):
    daemon = Daemon(PROGRAM, directory, '')
    steady, moody = Follower(daemon), Follower(daemon)
    feeder = Feeder(daemon, db_1=FULL)
    seen = []
    for _ in range(5):
        wait_for('an event', lambda: len(moody.events) >= 2)
        moody.close()
        seen += moody.events
        time.sleep(0.7)
        moody = Follower(daemon, moody.last)
    wait_for('an event', lambda: moody.events)
    moody.close()
    seen += moody.events
    wait_for('the steady one', lambda: steady.events[-1][0] >= seen[-1][0])
    assert seen == [e for e in steady.events if seen[0][0] <= e[0] <= seen[-1][0]], 'lost or told twice'
    # One that knows a number from nowhere, and all after a restart, begin anew.
    for last in ('12345', 'x', '99999999999999999999', str(steady.events[-1][0] + 100000)):
        stranger = Follower(daemon, last)
        wait_for('a reset', lambda: stranger.events)
        assert stranger.events[0][1:] == ('reset', {}), (last, stranger.events)
        stranger.close()
    # After a clean restart nothing is missing: what changed meanwhile is told, and no reset.
    feeder.servers['db-1'] = FINE
    daemon.stop()
    wait_for('the end', lambda: steady.ended)
    steady.close()
    daemon.start()
    after = Follower(daemon, steady.last)
    wait_for('the end of the alert', lambda: 'resolved' in after.transitions('db-1'))
    assert not after.of('reset') and after.events[0][0] == int(steady.last) + 1, after.events[:3]
    assert 'firing' not in after.transitions('db-1'), 'told once more'
    # A kill leaves nobody to say what is missing.
    daemon.kill()
    wait_for('the end', lambda: after.ended)
    after.close()
    steady = after
    daemon.start()
    again = Follower(daemon, steady.last)
    wait_for('a reset', lambda: again.events)
    assert again.events[0][1] == 'reset', again.events
    wait_for('an outlook', lambda: again.of('outlook'))
    feeder.stop()
    again.close()
    daemon.stop()


def test_limit_and_stop(directory):
    daemon = Daemon(PROGRAM, directory, '[server]\nevent_clients = 20\n')
    followers = [Follower(daemon) for _ in range(20)]
    status, answer = daemon.request('GET', '/api/v1/events')
    assert status == 503 and 'detail' in answer, answer
    assert daemon.metric('forewarn_events_clients') == 20
    assert daemon.metric('forewarn_events_refused_total') == 1
    feeder = Feeder(daemon, db_1=FINE)
    wait_for('all to hear', lambda: all(f.of('outlook') for f in followers))
    followers[0].close()
    wait_for('the place to be free', lambda: daemon.metric('forewarn_events_clients') == 19)
    feeder.stop()
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 10
    wait_for('the streams to end', lambda: all(f.ended for f in followers))
    for follower in followers[1:]:
        follower.close()


def main():
    for test in (test_what_is_told, test_resume, test_limit_and_stop):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix='forewarn-events-') as directory:
            test(directory)
        print(f'ok {test.__name__} {time.monotonic() - began:.1f} s', flush=True)


main()
