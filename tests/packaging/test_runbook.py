"""docs/runbook.md knows every line that the program logs at INFO and above, and every metric of /metrics; and it tells of none
that there is not."""
import glob
import re

C_STRING = r'"((?:[^"\\]|\\.)*)"'


def logged():
    """"area: what happened", without the pairs behind it."""
    found = set()
    for path in glob.glob('src/**/*.c', recursive=True):
        text = open(path, encoding='utf-8').read()
        for call in re.finditer(r'FW_LOG_(?:INFO|WARN|ERROR)\(\s*' + C_STRING + r',\s*((?:' + C_STRING + r'\s*|PRI[a-zA-Z0-9]+\s*)+)', text):
            event = ''.join(re.findall(C_STRING, call.group(2)))
            found.add(call.group(1) + ': ' + re.split(r',? [a-z0-9_]+=', event)[0])
    assert '"lines suppressed by the rate cap count=' in open('src/base/log.c', encoding='utf-8').read()
    return found | {'log: lines suppressed by the rate cap'}


def metrics():
    """Counters without their _total."""
    found = set()
    for path in ('metrics.c', 'metrics_outlook.c', 'metrics_forecasts.c'):
        found |= set(re.findall(r'"((?:forewarn|process)_[a-z0-9_]+)"', open('src/api/' + path, encoding='utf-8').read()))
    return found


runbook = open('docs/runbook.md', encoding='utf-8').read()
rows = [line for line in runbook.splitlines() if line.startswith('| `')]
told = {re.split(r',? [a-z0-9_]+=', name)[0] for line in rows for name in re.findall(r'`([a-z]+: [^`]+)`', line.split(' | ')[0])}
events = logged()
assert len(events) > 60, len(events)
assert not events - told, 'not in the runbook: ' + '\n'.join(sorted(events - told))
assert not told - events, 'nothing logs: ' + '\n'.join(sorted(told - events))

known = metrics()
assert len(known) > 60, len(known)
shown = {re.sub(r'_total$', '', name) for line in rows for name in re.findall(r'`((?:forewarn|process)_[a-z0-9_]+)', line.split(' | ')[0])}
known = {re.sub(r'_total$', '', name) for name in known}
assert not known - shown, 'not in the runbook: ' + ' '.join(sorted(known - shown))
assert not shown - known, 'not in /metrics: ' + ' '.join(sorted(shown - known))
print(f'{len(events)} log lines and {len(known)} metrics are in the runbook')
