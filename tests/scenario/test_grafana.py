"""Every query of the dashboard in packaging/grafana, with its variables filled in as Grafana does it, against the
real server; and, where Debian's Prometheus is there, promtool as a client of the query API that somebody else wrote,
and as the judge of /metrics."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

from harness import ROOT, ask, serving

FOREWARN = sys.argv[1]
STEP, STEPS = 60, 300
METRICS = ('cpu_user_pct', 'mem_used_pct', 'disk_usage_pct')


class Grafana:
    """Asks as Grafana's Prometheus source does: POST with a form."""

    def __init__(self, url):
        self.url = url

    def ask(self, path, **form):
        data = urllib.parse.urlencode(form, doseq=True).encode() if form else None
        status, _, body = ask(self.url + path, data)
        assert status == 200, (path, form, status, body)
        body = json.loads(body)
        assert body['status'] == 'success', body
        return body['data']

    def label_values(self, text):
        """label_values([selector,] label), as a variable has it."""
        inner = re.fullmatch(r'label_values\((.*)\)', text).group(1)
        selector, _, label = inner.rpartition(',')
        path = '/api/v1/label/%s/values' % label.strip()
        if selector:
            path += '?' + urllib.parse.urlencode({'match[]': selector.strip()})
        return self.ask(path)


def feed(url, now):
    records = []
    for step in range(STEPS):
        for server in ('db1', 'web1'):
            record = {'server_name': server, 'timestamp': now - (STEPS - 1 - step) * STEP}
            record.update({m: 20 + 10 * i + step % 7 for i, m in enumerate(METRICS)})
            record['disk_usage_pct'] = 60 + step * 0.1
            records.append(record)
    body = ask(url + '/feed/data', json.dumps({'records': records}).encode(), Content_Type='application/json')[2]
    assert json.loads(body)['records_accepted'] == len(records), body


def wait_for_forecasts(grafana):
    end = time.monotonic() + 60
    while not grafana.ask('/api/v1/query', query='forewarn_forecast{server="db1"}', time=int(time.time()) + 2 * STEP)['result']:
        assert time.monotonic() < end, 'no forecast'
        time.sleep(0.2)


def fill(text, variables):
    for name, value in variables.items():
        text = text.replace('$' + name, value)
    assert '$' not in text, text
    return text


def check_dashboard(grafana, now):
    with open(os.path.join(ROOT, 'packaging', 'grafana', 'dashboards', 'forewarn.json'), encoding='utf-8') as file:
        dashboard = json.load(file)
    assert grafana.ask('/api/v1/query', query='1+1', time=4) == {'resultType': 'scalar', 'result': [4, '2']}
    variables = {}
    for variable in dashboard['templating']['list']:
        if variable['type'] == 'query':
            values = grafana.label_values(fill(variable['definition'], variables))
            assert values, variable['name']
            variables[variable['name']] = values[0]
    assert variables['server'] == 'db1' and variables['metric'] in METRICS, variables
    start, end = now - 8 * 3600, now + 8 * 3600  # as the dashboard's own range
    assert dashboard['time'] == {'from': 'now-8h', 'to': 'now+8h'}
    seen = {}
    for panel in dashboard['panels']:
        for target in panel['targets']:
            expr = fill(target['expr'], variables)
            if target['instant']:
                data = grafana.ask('/api/v1/query', query=expr, time=now)
                assert data['resultType'] == 'vector', data
            else:
                data = grafana.ask('/api/v1/query_range', query=expr, start=start, end=end, step=60)
                assert data['resultType'] == 'matrix', data
            seen[expr] = data['result']
    observed = seen['forewarn_observed{server="db1",metric="%s"}' % variables['metric']][0]['values']
    assert observed[-1][0] <= now + STEP and len(observed) >= STEPS, len(observed)
    ahead = {}
    for quantile in ('0.1', '0.5', '0.9'):
        series = seen['forewarn_forecast{server="db1",metric="%s",quantile="%s"}' % (variables['metric'], quantile)]
        ahead[quantile] = {t: float(v) for t, v in series[0]['values'] if t > now + STEP}
    assert len(ahead['0.5']) >= 90, len(ahead['0.5'])
    assert all(ahead['0.1'][t] <= ahead['0.5'][t] <= ahead['0.9'][t] for t in ahead['0.5'])
    empty = [expr for expr, result in seen.items() if not result]
    assert not empty, empty
    return len(seen)


def promtool(*arguments, text=None):
    done = subprocess.run(('promtool',) + arguments, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def check_promtool(url, now):
    if shutil.which('promtool') is None:
        print('without promtool (Debian package prometheus)')
        return
    assert promtool('query', 'instant', url, '1+1').startswith('scalar: 2'), 'instant'
    assert 'forewarn_risk_score{' in promtool('query', 'instant', url, 'forewarn_risk_score')
    text = promtool('query', 'range', '--start=%d' % (now - 600), '--end=%d' % now, '--step=1m', url,
                    'max by (server) (forewarn_observed{metric="disk_usage_pct"})')
    assert '{server="db1"} =>' in text and '{server="web1"} =>' in text, text
    assert 'server="web1"' in promtool('query', 'series', '--match=forewarn_observed', url)
    assert promtool('query', 'labels', url, 'server').split() == ['db1', 'web1']
    promtool('check', 'metrics', text=ask(url + '/metrics')[2].decode())


def check_history():
    """What left the window comes from the long history: 290 steps of a second, of which some leave a window of 300 once
    their blocks are written."""
    begin = int(time.time()) - 290
    with serving(FOREWARN, '--step', '1', '--set', 'fleet.window_steps=300', '--set', 'fleet.future_skew=10') as url:
        grafana = Grafana(url)

        def send(first, last):
            body = json.dumps({'records': [{'server_name': 'db1', 'timestamp': t, 'load_average': (t - begin) / 4.0}
                                           for t in range(first, last)]}).encode()
            assert ask(url + '/feed/data', body, Content_Type='application/json')[0] == 200

        def blocks():
            found = re.search(r'^forewarn_history_blocks ([0-9]+)$', ask(url + '/metrics')[2].decode(), re.M)
            return int(found.group(1)) if found else 0

        def values():
            found = grafana.ask('/api/v1/query_range', query='forewarn_observed{metric="load_average"}', start=begin,
                                end=begin + 320, step=1)['result']
            return {t: float(v) for t, v in found[0]['values']} if found else {}

        send(begin, begin + 290)
        end = time.monotonic() + 90
        while blocks() < 2 or time.time() < begin + 320:
            assert time.monotonic() < end, 'no blocks'
            time.sleep(0.2)
        send(begin + 318, begin + 320)  # the window begins at begin + 20
        while begin + 319 not in values():
            assert time.monotonic() < end, 'no outlook'
            time.sleep(0.2)
        held = values()
    old = [t for t in held if t < begin + 19]
    assert len(old) >= 15, sorted(held)[:20]
    assert all(abs(v - (t - begin) / 4.0) < 0.01 for t, v in held.items() if t < begin + 290), held


def main():
    now = int(time.time())
    with serving(FOREWARN, '--step', str(STEP), '--set', 'forecast.min_interval=0') as url:
        grafana = Grafana(url)
        feed(url, now)
        wait_for_forecasts(grafana)
        queries = check_dashboard(grafana, now)
        check_promtool(url, now)
    check_history()
    print('ok: %d queries of the dashboard' % queries)
    return 0


sys.exit(main())
