"""Unusual behaviour from end to end over HTTP: days of ordinary data, back-dated and step by step, so that a threshold is learned;
then something clear that passes no threshold. One alert, on that server alone, that names its metrics, is told, survives a kill
and ends; nobody is judged before two days were seen."""
import math
import random
import sys
import tempfile
import time

from daemon import Daemon, Receiver, wait_for

PROGRAM = sys.argv[1]
STEP_S, DAYS, SERVERS = 3600, 6, ['quiet-%d' % i for i in range(7)] + ['odd']
METRIC = 'unusual_behaviour'


def ordinary(generator, server, stamp):
    """A rhythm of the day with noise, far from every threshold."""
    day = math.sin(2 * math.pi * (stamp % 86400) / 86400 + SERVERS.index(server))
    return {'cpu_user_pct': 20 + 6 * day + generator.gauss(0, 1), 'mem_used_pct': 40 + 3 * day + generator.gauss(0, 0.5),
            'net_in_mb_s': 8 + 2 * day + generator.gauss(0, 0.4), 'load_average': 1.5 + 0.4 * day + generator.gauss(0, 0.1)}


class Fleet:
    def __init__(self, daemon, first):
        self.daemon, self.stamp, self.generator = daemon, first, random.Random(7)

    def step(self, **odd):
        """The next step of everybody, and the run that sees it."""
        records = []
        for server in SERVERS:
            values = ordinary(self.generator, server, self.stamp)
            values.update(odd if server == 'odd' else {})
            records.append({'server_name': server, 'timestamp': self.stamp + 5, **values})
        status, answer = self.daemon.request('POST', '/feed/data', {'records': records})
        assert status == 200 and answer['records_accepted'] == len(SERVERS), answer
        self.stamp += STEP_S

        def seen():
            status, answer = self.daemon.request('GET', '/api/v1/servers/odd/forecast?steps=1')
            return status == 200 and answer['timestamps'][0] == self.stamp
        wait_for('the run of a step', seen)

    def unusual(self, state='active'):
        return {a['server']: a for a in self.daemon.alerts(f'?state={state}&metric={METRIC}')}


def run(directory):
    hook = Receiver()
    daemon = Daemon(PROGRAM, directory, '[fleet]\nstale_steps = 1000\nwindow_steps = 300\n[alerts]\nunusual_per_month = 6\n'
                    'keep_resolved = 600000\n'
                    f'[receiver hook]\ntype = webhook\nurl = {hook.url()}\n', step=STEP_S)
    now = int(time.time())
    fleet = Fleet(daemon, now - now % STEP_S - (DAYS + 1) * 86400)
    for step in range(DAYS * 24 - 12):
        fleet.step(**({'net_in_mb_s': 30} if step == 30 else {}))  # a day in, nobody may know yet what is usual
        if step < 47:
            assert not fleet.unusual('all'), 'judged before two days were seen'
    alarms = len(fleet.unusual('all'))
    server_days = (DAYS * 24 - 12) / 24 * len(SERVERS)
    assert alarms <= 6 / 30 * server_days, (alarms, server_days)
    wait_for('nothing unusual', lambda: fleet.step() is None and not fleet.unusual(), 1)
    before = [len(hook.told(status, 'odd')) for status in ('firing', 'resolved')]  # noise may have been told of
    odd = {'cpu_user_pct': 45, 'net_in_mb_s': 35, 'load_average': 4, 'mem_used_pct': 55}
    fleet.step(**odd)
    alert = wait_for('the alert', lambda: fleet.unusual().get('odd'))
    assert alert['state'] == 'firing' and alert['severity'] == 'warning', alert
    assert alert['current_value'] > alert['threshold'] > 0, alert
    reasons = {r['metric']: r for r in alert['reasons']}
    assert len(reasons) == 3 and set(reasons) <= set(odd), reasons
    for metric, reason in reasons.items():
        assert reason['p10'] < reason['p90'] < reason['value'] == odd[metric] and reason['widths'] > 1, reason
    assert [a for a in daemon.alerts('?state=active') if a['metric'] != METRIC] == [], 'a threshold was passed after all'
    told = wait_for('the receiver to hear', lambda: hook.told('firing', 'odd')[before[0]:])[0]
    assert told['labels']['alertname'] == 'ForewarnUnusualBehaviour' and told['labels']['metric'] == METRIC, told
    forecasts = daemon.metric('forewarn_past_forecasts_steps')
    daemon.stop()  # the threshold and earlier forecasts are kept by a clean end, the alert by any
    daemon.start()
    assert daemon.metric('forewarn_past_forecasts_steps') >= forecasts > 100, forecasts
    assert wait_for('the alert after a restart', lambda: fleet.unusual().get('odd'))['id'] == alert['id']
    daemon.kill()
    daemon.start()
    assert wait_for('the alert after a restart', lambda: fleet.unusual().get('odd'))['id'] == alert['id']
    steps = 0
    while 'odd' in fleet.unusual():
        fleet.step()
        steps += 1
        assert steps < 30, 'it does not end'
    assert steps > 1, 'cleared by a restart'
    wait_for('its end', lambda: hook.told('resolved', 'odd')[before[1]:])
    ended = [a for a in daemon.alerts(f'?state=resolved&metric={METRIC}') if a['id'] == alert['id']]
    assert ended[0]['resolved_reason'] == 'cleared', ended
    assert len(hook.told('firing', 'odd')) == before[0] + 1, 'told again after a restart'
    daemon.stop()
    hook.stop()


began = time.monotonic()
with tempfile.TemporaryDirectory(prefix='forewarn-unusual-') as workplace:
    run(workplace)
print(f'ok {time.monotonic() - began:.1f} s')
