"""/metrics/forecasts: agrees with the forecasts of the API, escapes what must be, takes what is asked for, and passes
promtool where that is installed."""
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

from daemon import Daemon, Feeder, wait_for

PROGRAM = sys.argv[1]
ODD = 'a"b\\c <x>'


def samples(text):
    """{(name, labels as a frozenset): value}"""
    found = {}
    for line in text.splitlines():
        if line.startswith('#'):
            continue
        name, labels, value = re.fullmatch(r'(\w+)\{(.*)\} (\S+)', line).groups()
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)
        key = (name, frozenset((k, v.replace('\\"', '"').replace('\\\\', '\\')) for k, v in pairs))
        assert key not in found, line
        found[key] = float(value)
    return found


def get(daemon, path):
    status, text = daemon.request('GET', path)
    assert status == 200, (path, status, text)
    return text


def check_lint(text):
    if shutil.which('promtool') is None:
        return
    done = subprocess.run(['promtool', 'check', 'metrics'], input=text, capture_output=True, text=True, timeout=20)
    problems = [line for line in done.stderr.splitlines() if 'forewarn' in line or 'error' in line.lower()]
    assert done.returncode in (0, 3) and not [p for p in problems if 'error' in p.lower()], (done.returncode, problems)


def run(daemon):
    feeder = Feeder(daemon, db_1={'mem_used_pct': 97.0, 'net_in_mb_s': 3.25}, web_1={'mem_used_pct': 20.0})
    feeder.servers[ODD] = {'mem_used_pct': 30.0}
    wait_for('all servers', lambda: len(samples(get(daemon, '/metrics/forecasts?families=risk'))) == 3)
    feeder.stop()

    def both():
        """The text and the forecasts of one run."""
        before = daemon.request('GET', '/api/v1/outlook')[1]['run_id']
        text = get(daemon, '/metrics/forecasts?horizons=6s,96s&families=value,max,crossing,risk')
        forecasts = {s: daemon.request('GET', f'/api/v1/servers/{urllib.parse.quote(s, safe="")}/forecast?precision=6')[1]
                     for s in ('db-1', ODD)}
        return (text, forecasts) if daemon.request('GET', '/api/v1/outlook')[1]['run_id'] == before else None
    text, forecasts = wait_for('a run that lasts', both)
    check_lint(text)
    check_lint(get(daemon, '/metrics'))
    found = samples(text)
    for server, forecast in forecasts.items():
        path = forecast['metrics']['mem_used_pct']
        for quantile, key in (('0.1', 'p10'), ('0.5', 'p50'), ('0.9', 'p90')):
            for horizon, step in (('6s', 6), ('96s', 96)):
                labels = {'server': server, 'metric': 'mem_used_pct', 'quantile': quantile}
                value = found['forewarn_forecast', frozenset({**labels, 'horizon': horizon}.items())]
                assert abs(value - path[key][step - 1]) < 1e-4, (server, key, step, value, path[key][step - 1])
                value = found['forewarn_forecast_max', frozenset({**labels, 'within': horizon}.items())]
                assert abs(value - max(path[key][:step])) < 1e-4, (server, key, step, value)
        assert abs(found['forewarn_risk_score', frozenset({('server', server)})] - forecast['risk_score']) < 0.06
    crossing = {k[1]: v for k, v in found.items() if k[0] == 'forewarn_crossing_probability'}
    assert crossing[frozenset({'server': 'db-1', 'metric': 'mem_used_pct', 'threshold': 'warning', 'within': '6s'}.items())] > 0.9
    assert not [k for k in crossing if ('metric', 'net_in_mb_s') in k], 'a metric without a threshold'
    assert all(0 <= v <= 1 for v in crossing.values())
    # By default: value and risk at three horizons; filters cut.
    names = {k[0] for k in samples(get(daemon, '/metrics/forecasts'))}
    assert names == {'forewarn_forecast', 'forewarn_risk_score'}, names
    some = samples(get(daemon, '/metrics/forecasts?server=db-*&metrics=net_in_mb_s&horizons=6s'))
    assert sorted(dict(k[1]).get('metric', '-') for k in some) == ['-'] + ['net_in_mb_s'] * 3, some
    for wrong in ('horizons=', 'horizons=97s', 'horizons=0s', 'horizons=1s,1s,1s,1s,1s,1s,1s,1s,1s', 'families=x', 'metrics=x'):
        assert daemon.request('GET', '/metrics/forecasts?' + wrong)[0] == 422, wrong


def main():
    with tempfile.TemporaryDirectory(prefix='forewarn-metrics-') as directory:
        daemon = Daemon(PROGRAM, directory, '')
        try:
            run(daemon)
            daemon.stop()
        finally:
            if daemon.process.poll() is None:
                daemon.kill()
    print('ok')


main()
