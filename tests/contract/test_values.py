#!/usr/bin/env python3
"""Numbers that are none, wild times and names that are markup: refused or harmless, alone, and never in an output."""
import json
import os
import random
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403

ODD_NUMBERS = ['1e308', '-1e308', '1e400', '-1e400', '1e-310', '4.9e-324', '-0', '-0.0', '0.1e-40', 'null', 'true',
               '[]', '{}', '"NaN"', '"Infinity"', '"-Infinity"', '"1e999"', '"0x10"', '""', '" "', '"12,5"', '1e38',
               '3.5e38', '100.4', '100.6', '-0.4', '-0.6', '99999999999999999999', '"' + '9' * 400 + '"']
WILD_TIMES = [0, -1, 1, 1e18, -1e18, 253402300800, 99999999999, 1e300, '0000-01-01', '9999-12-31T23:59:59',
              '10000-01-01', '1970-01-01', '2038-01-19T03:14:08', '2026-02-30', '2026-13-01', 'now', '', None, True, [],
              {}, '2026-01-01T25:00:00', '2026-01-01T00:00:00+99:00', '1e9']
NAMES = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'-alert(1)-'", '</title><svg/onload=alert(1)>',
         'javascript:alert(1)', '{{constructor.constructor("alert(1)")()}}', '${7*7}', '<!--', '-->', ']]>', '&lt;b&gt;',
         '<a href="//evil">x</a>', 'a"b', 'a\\b', "a'b", 'a`b`', '%3Cscript%3E', '<iframe srcdoc="&lt;script&gt;">',
         '</script>', '<style>@import"//x"</style>', '<base href=//x>', '<math><mtext></mtext>', '=cmd|calc',
         '+1+1', '@SUM(1)', '--', 'a{b="c"}', 'a b', 'Ω≈ç√∫', '名前', '🔥' * 30, 'a/b/../c', '..', '.', '%00', 'a%2Fb',
         'null', 'NaN', '__proto__', 'constructor']
REFUSED_NAMES = ['', ' ', ' a', 'a ', 'a\nb', 'a\rb', 'a\x00b', 'a\x1bb', '\u202eabc', '\u2028', 'x' * 129,
                 '\u0085', 7, None, True, [], {}, ['a']]


def raw_feed(daemon, records):
    return daemon.request('POST', '/feed/data', '{"records":[' + ','.join(records) + ']}',
                          {'Content-Type': 'application/json'})


def scan(daemon, names=()):
    """Reads every body that could show a number and checks that it has none that is not finite."""
    paths = ['/predictions/current', '/predictions/current?precision=9', '/alerts/active', '/alerts/active?legacy=steps',
             '/status', '/api/v1/servers', '/api/v1/alerts?state=all', '/api/v1/outlook', '/api/v1/status']
    for name in names:
        quoted = urllib.parse.quote(name, safe='')
        paths += [f'/api/v1/servers/{quoted}{part}' for part in ('', '/window', '/forecast')]
    for path in paths:
        answer = daemon.get(path)
        equal(path, answer.status, 200)
        answer.json()
    for line in daemon.get('/metrics').body.decode().splitlines():
        if not line.startswith('#'):
            value = line.rsplit(' ', 1)[1]
            assert value.lower() not in ('nan', '+inf', '-inf', 'inf'), line


def numbers():
    with Daemon('--rate-limit', 'off') as daemon:
        daemon.feed(history('good', {'cpu_user_pct': [20.0 + k % 5 for k in range(150)]}))
        before = daemon.predictions(['good'])['predictions']['good']
        taken = []
        for i, text in enumerate(ODD_NUMBERS):
            for metric in ('cpu_user_pct', 'net_in_mb_s', 'back_close_wait'):
                name = f'odd-{i}-{metric}'
                answer = raw_feed(daemon, [
                    f'{{"server_name":"{name}","timestamp":{grid(k)},"{metric}":{text},"load_average":1}}'
                    for k in range(3, -1, -1)])
                assert answer.status in (200, 422), f'{text}: {answer.status}'
                body = answer.json()
                if 'records_received' in body:
                    equal(text, body['records_accepted'] + body['records_rejected'], body['records_received'])
                if answer.status == 200:
                    taken.append(name)
        assert taken
        body = daemon.predictions(taken)
        # What others sent is nothing to a server that sent nothing new.
        equal('the good one', body['predictions']['good'], before)
        for name in taken:
            for metric, path in body['predictions'][name].items():
                if isinstance(path, dict) and 'p50' in path:
                    assert all(a <= b <= c for a, b, c in zip(path['p10'], path['p50'], path['p90'])), (name, metric)
        scan(daemon, taken)


def times():
    with Daemon('--rate-limit', 'off') as daemon:
        daemon.feed(history('good', {'cpu_user_pct': [20.0 + k % 5 for k in range(150)]}))
        window = daemon.get('/api/v1/servers/good/window').json()
        for wild in WILD_TIMES:
            answer = daemon.feed([{'server_name': 'good', 'timestamp': wild, 'cpu_user_pct': 99},
                                  record('other', grid(), cpu_user_pct=1)])
            equal(str(wild), (answer.status, answer.json()['records_accepted']), (200, 1))
        for text in (naive(grid() + 3600), naive(grid() - 864 * 300)):
            equal(text, daemon.feed([{'server_name': 'good', 'timestamp': text, 'cpu_user_pct': 1}]).status, 422)
        equal('the window', daemon.get('/api/v1/servers/good/window').json(), window)
        counts = daemon.get('/api/v1/status').json()['ingest']['rejected']
        assert counts['bad_timestamp'] > 0 and counts['too_old'] > 0 and counts['in_future'] > 0, counts


def names():
    with Daemon('--rate-limit', 'off') as daemon:
        for bad in REFUSED_NAMES:
            answer = daemon.feed([{'server_name': bad, 'timestamp': naive(grid()), 'cpu_user_pct': 1}])
            equal(repr(bad), answer.status, 422)
            assert b'<' not in answer.body
        for name in NAMES:
            answer = daemon.feed([record(name, grid(k), cpu_user_pct=99) for k in range(3, -1, -1)])
            equal(name, answer.status, 200)
            equal(name, answer.json()['records_accepted'], 4)
        body = daemon.predictions(NAMES)
        equal('as they came', set(body['predictions']), set(NAMES))
        # "." and ".." cannot be path segments; everything else is addressed by its quoted name.
        scan(daemon, [n for n in NAMES if n not in ('.', '..')])
        for path in ('/predictions/current', '/alerts/active', '/api/v1/servers', '/api/v1/outlook',
                     '/api/v1/alerts', '/metrics', '/predictions/current?server=' +
                     urllib.parse.quote('<script>alert(1)</script>')):
            answer = daemon.get(path)
            equal(path, answer.status, 200)
            equal('nosniff', answer.headers['X-Content-Type-Options'], 'nosniff')
            if path != '/metrics':
                assert not any(c in answer.body for c in b'<>'), f'{path}: markup'
                assert not any(c < 0x20 for c in answer.body), f'{path}: control bytes'
        metrics = daemon.get('/metrics').body.decode()
        assert '<' not in metrics and '__proto__' not in metrics
        log = daemon.log_text()
        assert '\x1b' not in log and not any(line.startswith('b') and 'server' in line for line in log.splitlines())


def accounting():
    """accepted + rejected = sent, whatever is sent; the counters agree with the answers."""
    seed = random.randrange(1 << 30)
    print(f'seed {seed}')
    rng = random.Random(seed)
    with Daemon('--rate-limit', 'off') as daemon:
        sent = accepted = 0
        for _ in range(60):
            batch = []
            for _ in range(rng.randrange(1, 120)):
                one = record(f's{rng.randrange(8)}', grid(rng.randrange(40)), cpu_user_pct=rng.uniform(0, 100))
                kind = rng.random()
                if kind < 0.05:
                    one['timestamp'] = naive(grid() + 7200)
                elif kind < 0.10:
                    one['timestamp'] = naive(grid() - 5000 * 300)
                elif kind < 0.15:
                    one['cpu_user_pct'] = rng.choice(['x', 1e9, True, []])
                elif kind < 0.18:
                    one = rng.choice([7, None, 'text', []])
                batch.append(one)
            body = daemon.feed(batch).json()
            equal('sent', body['records_received'], len(batch))
            equal('sum', body['records_accepted'] + body['records_rejected'], len(batch))
            equal('by reason', sum(body.get('rejected_by', {}).values()), body['records_rejected'])
            sent += len(batch)
            accepted += body['records_accepted']
        totals = daemon.get('/api/v1/status').json()['ingest']
        equal('accepted', totals['records'], accepted)
        equal('rejected', sum(totals['rejected'].values()), sent - accepted)


def large_and_small():
    """Large bodies on one side, small feeds and reads on the other; nothing fails."""
    with Daemon('--rate-limit', 'off') as daemon:
        failures = []

        def post_large(number):
            records = [record(f'big-{number}-{s}', grid(k), cpu_user_pct=50, mem_used_pct=40)
                       for s in range(20) for k in range(287, -1, -1)]
            for _ in range(3):
                answer = daemon.feed(records)
                if answer.status != 200 or answer.json()['records_accepted'] != len(records):
                    failures.append((answer.status, answer.body[:200]))

        threads = [threading.Thread(target=post_large, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for k in range(40):
            equal('small', daemon.feed([record('small', grid(k), cpu_user_pct=10)]).status, 200)
            equal('read', daemon.get('/predictions/current?fields=summary').status, 200)
        for thread in threads:
            thread.join()
        equal('failures', failures, [])
        body = daemon.predictions([f'big-{n}-19' for n in range(4)] + ['small'])
        equal('all', len(body['predictions']), 81)
        json.dumps(body)


run(numbers, times, names, accounting, large_and_small)
