"""packaging/prometheus: promtool takes the rules, each metric in them is one of /metrics, and each fires and stays quiet where it
should; promtool is content with /metrics itself."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'scenario'))
from harness import ask, serving  # noqa: E402

RULES = os.path.abspath('packaging/prometheus/forewarn-rules.yml')
# Per alert: series that make it fire within the hour; the same with nothing wrong come from QUIET.
TROUBLE = {
    'ForewarnDown': 'up{job="forewarn",instance="f"} 0',
    'ForewarnNotReady': 'forewarn_ready{job="forewarn",instance="f"} 0',
    'ForewarnJournalRefuses': 'forewarn_wal_state{job="forewarn",instance="f",state="ok"} 0',
    'ForewarnForecastsOld': 'forewarn_forecast_age_seconds{job="forewarn",instance="f"} 2000',
    'ForewarnServersStale': 'forewarn_servers{job="forewarn",instance="f",state="stale"} 30',
    'ForewarnRecordsRejected': 'forewarn_ingest_rejected_total{job="forewarn",instance="f",protocol="feed",reason="in_future"} 0+5x200',
    'ForewarnDeliveryFails': 'forewarn_notifications_failing{job="forewarn",instance="f",target="chat"} 1',
    'ForewarnHistoryFails': 'forewarn_history_failing{job="forewarn",instance="f"} 1',
}
QUIET = {
    'up{job="forewarn",instance="f"}': '1', 'forewarn_ready{job="forewarn",instance="f"}': '1',
    'forewarn_wal_state{job="forewarn",instance="f",state="ok"}': '1', 'forewarn_forecast_age_seconds{job="forewarn",instance="f"}': '60',
    'forewarn_ingest_records_total{job="forewarn",instance="f",protocol="feed"}': '0+5x200',
    'forewarn_ingest_rejected_total{job="forewarn",instance="f",protocol="feed",reason="in_future"}': '0',
    'forewarn_servers{job="forewarn",instance="f",state="reporting"}': '70',
    'forewarn_servers{job="forewarn",instance="f",state="stale"}': '0',
    'forewarn_notifications_failing{job="forewarn",instance="f",target="chat"}': '0',
    'forewarn_history_failing{job="forewarn",instance="f"}': '0',
}


def promtool(*arguments, text=None):
    done = subprocess.run(['promtool', *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and 'error' not in done.stderr, (arguments, done.stdout, done.stderr)


def fires(alert):
    """The series, and that this alert alone fires with them; none when it is None."""
    series = dict(QUIET)
    if alert is not None:
        name, value = TROUBLE[alert].rsplit(' ', 1)
        series[name] = value
    lines = [f'rule_files: [{RULES}]', 'evaluation_interval: 1m', 'tests:', '- interval: 1m', '  input_series:']
    for name, value in series.items():
        lines += [f"  - series: '{name}'", f"    values: '{value if 'x' in value else value + 'x200'}'"]
    lines += ['  promql_expr_test:', "  - expr: 'count by (alertname) (ALERTS{alertstate=\"firing\"})'", '    eval_time: 2h']
    lines += ['    exp_samples: ' + ('[]' if alert is None else '')]
    if alert is not None:
        lines += [f"    - labels: '{{alertname=\"{alert}\"}}'", '      value: 1']
    return '\n'.join(lines) + '\n'


if shutil.which('promtool') is None:
    print('skipped: no promtool (package prometheus)')
    sys.exit(77)
rules = open(RULES, encoding='utf-8').read()
promtool('check', 'rules', RULES)
assert set(re.findall(r'alert: (\w+)', rules)) == set(TROUBLE)
with tempfile.TemporaryDirectory() as directory:
    for alert in (None, *TROUBLE):
        path = os.path.join(directory, f'{alert}.yml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(fires(alert))
        promtool('test', 'rules', path)
stamp = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())
with serving(sys.argv[1], '--set', 'receiver chat.type=webhook', '--set', 'receiver chat.url=http://127.0.0.1:1/') as server:
    feed = f'{{"records":[{{"timestamp":"{stamp}","server_name":"a","cpu_user_pct":5}}]}}'.encode()
    assert ask(server + '/feed/data', feed, Content_Type='application/json')[0] == 200
    used = set(re.findall(r'\bforewarn_[a-z_]+', ' '.join(re.findall(r'expr: (.*)', rules))))
    end = time.monotonic() + 30
    while True:  # the long history is opened behind everything else
        metrics = ask(server + '/metrics')[2].decode()
        missing = used - set(re.findall(r'^# TYPE (\S+)', metrics, re.M))
        if not missing or time.monotonic() > end:
            break
        time.sleep(0.1)
assert used and not missing, missing
promtool('check', 'metrics', text=metrics)
print(f'{len(TROUBLE)} alerts fire and stay quiet as they should')
