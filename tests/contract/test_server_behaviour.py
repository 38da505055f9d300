#!/usr/bin/env python3
"""Methods, paths, keys, validation and nonsense in queries (contract 1, 17, 18)."""
import gzip
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403

BAD_KEY = {'detail': 'Invalid or missing API key. Set TFT_API_KEY environment variable.'}
OPEN = ['/', '/health', '/status', '/livez', '/readyz', '/openapi.json']
LEGACY = ['/predictions/current', '/alerts/active', '/alerts', '/admin/models', '/admin/model-info']
OWN = ['/api/v1/servers', '/api/v1/servers/web-1', '/api/v1/servers/web-1/window', '/api/v1/servers/web-1/forecast',
       '/api/v1/alerts', '/api/v1/alerts/actions', '/api/v1/silences', '/api/v1/outlook', '/api/v1/status', '/metrics']


def fed(daemon):
    daemon.feed(history('web-1', {'cpu_user_pct': [20.0 + k % 7 for k in range(120)]}))
    daemon.feed(history('a/b', {'cpu_user_pct': [20.0] * 120}))
    return daemon.predictions(['web-1', 'a/b'])


def methods_and_paths():
    with Daemon('--rate-limit', 'off') as daemon:
        fed(daemon)
        for path in OPEN + LEGACY + OWN:
            full = daemon.get(path)
            head = daemon.request('HEAD', path)
            equal(f'GET {path}', full.status, 200)
            equal(f'HEAD {path}', (head.status, head.body), (200, b''))
            if path not in ('/status', '/metrics', '/api/v1/status'):
                equal(f'length of {path}', head.headers['Content-Length'] is not None, True)
            wrong = daemon.request('DELETE', path)
            equal(f'DELETE {path}', (wrong.status, wrong.json()), (405, {'detail': 'Method Not Allowed'}))
            assert 'GET' in wrong.headers['Allow']
            equal('nosniff', full.headers['X-Content-Type-Options'], 'nosniff')
            if path != '/':
                slash = daemon.get(path + '/')
                if slash.status == 307:
                    equal(path, slash.headers['Location'].endswith(path), True)
                else:
                    equal(f'{path}/', slash.status, 200)
        equal('POST only', daemon.get('/feed/data').status, 405)
        for path in ('/nothing', '/predictions', '/api/v1', '/api/v1/servers/x/y', '/explain', '/feed/data/x'):
            answer = daemon.get(path)
            equal(path, (answer.status, answer.json()), (404, {'detail': 'Not Found'}))
        equal('a name with a slash', daemon.get('/api/v1/servers/a%2Fb').json()['server_name'], 'a/b')
        equal('unknown server', daemon.get('/api/v1/servers/nobody').status, 404)


def keys():
    for variable in ('NORDIQ_API_KEY', 'TFT_API_KEY', 'TACHYON_API_KEY', 'FOREWARN_API_KEY'):
        with Daemon('--rate-limit', 'off', key='correct-horse-battery', env={variable: ' correct-horse-battery '}) \
                as daemon:
            daemon.wait(lambda: daemon.get('/api/v1/outlook').status == 200, 'the first run')
            for path in OPEN:
                equal(f'open {path}', daemon.get(path, key=None).status, 200)
            for path in LEGACY:
                for key in (None, 'wrong'):
                    answer = daemon.get(path, key=key)
                    equal(f'{path} with {key}', (answer.status, answer.json()), (403, BAD_KEY))
                equal(path, daemon.get(path).status, 200)
            for path in OWN[:1] + OWN[4:5] + OWN[6:]:
                answer = daemon.get(path, key=None)
                equal(path, answer.status, 401)
                assert 'Bearer' in answer.headers['WWW-Authenticate']
                equal(path, daemon.get(path).status, 200)
            # The key comes before the body and before the query.
            equal('key before shape', daemon.request('POST', '/feed/data', {'x': 1}, key='wrong').status, 403)
            equal('key before syntax', daemon.request('POST', '/feed/data', b'{', key='wrong').status, 403)
            equal('key before query', daemon.get('/predictions/current?steps=x', key='wrong').status, 403)
            equal('shape with the key', daemon.request('POST', '/feed/data', {'x': 1}).status, 422)
            for headers in ({'X-API-Key': '  correct-horse-battery '},
                            {'Authorization': 'Bearer correct-horse-battery'},
                            {'Authorization': 'Token correct-horse-battery'}):
                equal(str(headers), daemon.get('/alerts/active', key=None, headers=headers).status, 200)
            assert 'correct-horse' not in daemon.log_text()


def validation():
    """Contract 1.4: [type, loc] of each entry."""
    cases = [
        ('no body', b'', [['missing', ['body']]]),
        ('broken JSON', b'{"records":[', [['json_invalid', None]]),
        ('NaN is not JSON', b'{"records":[{"server_name":"a","cpu_user_pct":NaN}]}', [['json_invalid', None]]),
        ('no records', b'{}', [['missing', ['body', 'records']]]),
        ('records is no list', b'{"records":{}}', [['list_type', ['body', 'records']]]),
        ('a number', b'5', [['model_attributes_type', ['body']]]),
    ]
    with Daemon('--rate-limit', 'off') as daemon:
        for name, body, expected in cases:
            answer = daemon.request('POST', '/feed/data', body, {'Content-Type': 'application/json'})
            equal(name, answer.status, 422)
            detail = answer.json()['detail']
            equal(name, [e['type'] for e in detail], [e[0] for e in expected])
            for entry, (_, loc) in zip(detail, expected):
                equal(f'{name} keys', {'type', 'loc', 'msg', 'input'} <= set(entry), True)
                if loc is not None:
                    equal(name, entry['loc'], loc)
                else:
                    equal(name, (entry['loc'][0], type(entry['loc'][1])), ('body', int))
        # Bad records alone: rejected, with the place of each.
        bad = [7, {'timestamp': naive(grid())}, record('x', grid()), {**record('x', grid()), 'cpu_user_pct': 1e9},
               {'server_name': 'x', 'timestamp': 'soon', 'cpu_user_pct': 1}]
        answer = daemon.feed(bad)
        equal('all bad', answer.status, 422)
        body = answer.json()
        equal('status', body['status'], 'rejected')
        equal('counts', (body['records_received'], body['records_accepted'], body['records_rejected']), (5, 0, 5))
        equal('places', [e['loc'][:3] for e in body['detail']], [['body', 'records', i] for i in range(5)])
        equal('errors', [e['index'] for e in body['errors']], list(range(5)))
        many = daemon.feed([7] * 100 + [record('x', grid(), cpu_user_pct=1)]).json()
        equal('one good one', (many['status'], many['records_rejected'], len(many['errors'])), ('accepted', 100, 20))
        equal('empty', daemon.feed([]).json(), {'status': 'ignored', 'reason': 'empty batch'})
        # Other shapes of the same thing.
        lines = b'\n'.join(json.dumps(record('nd', grid(k), cpu_user_pct=k)).encode() for k in range(3))
        equal('NDJSON', daemon.request('POST', '/feed/data', lines,
                                       {'Content-Type': 'application/x-ndjson'}).json()['records_accepted'], 3)
        equal('array', daemon.request('POST', '/feed/data',
                                      [record('ar', grid(), cpu_user_pct=1)]).json()['records_accepted'], 1)
        packed = gzip.compress(json.dumps({'records': [record('gz', grid(), cpu_user_pct=1)]}).encode())
        equal('gzip', daemon.request('POST', '/feed/data', packed,
                                     {'Content-Encoding': 'gzip'}).json()['records_accepted'], 1)
        equal('another type that parses', daemon.request(
            'POST', '/feed/data', json.dumps({'records': [record('tx', grid(), cpu_user_pct=1)]}),
            {'Content-Type': 'text/plain'}).json()['records_accepted'], 1)


def conditional():
    with Daemon('--rate-limit', 'off') as daemon:
        fed(daemon)
        plain = daemon.get('/predictions/current')
        etag = plain.headers['ETag']
        unchanged = daemon.get('/predictions/current', headers={'If-None-Match': etag})
        equal('304', (unchanged.status, unchanged.body), (304, b''))
        packed = daemon.get('/predictions/current', headers={'Accept-Encoding': 'gzip'})
        equal('gzip', packed.headers['Content-Encoding'], 'gzip')
        equal('the same', gzip.decompress(packed.body), plain.body)
        equal('other query, other tag', daemon.get('/predictions/current?steps=1').headers['ETag'] == etag, False)
        daemon.feed([record('web-1', grid(), cpu_user_pct=90)])
        daemon.wait(lambda: daemon.get('/predictions/current', headers={'If-None-Match': etag}).status == 200,
                    'another outlook')


def queries():
    with Daemon('--rate-limit', 'off') as daemon:
        fed(daemon)
        few = daemon.get('/predictions/current?servers=web-1&metrics=cpu_user_pct&quantiles=p50,p90&steps=6'
                         '&precision=1&tz=utc').json()
        equal('servers', list(few['predictions']), ['web-1'])
        path = few['predictions']['web-1']['cpu_user_pct']
        equal('quantiles', ('p10' in path, len(path['p50']), len(path['p90'])), (False, 6, 6))
        equal('zone', few['timestamp'][-1], 'Z')
        equal('precision', all(round(v, 1) == v for v in path['p50']), True)
        equal('fields', set(daemon.get('/predictions/current?fields=summary').json()),
              {'timestamp', 'timestamp_unix', 'step_seconds', 'stale', 'summary'})
        page = daemon.get('/predictions/current?limit=1&offset=1').json()
        equal('page', (list(page['predictions']), page['page']['total']), (['web-1'], 2))
        for query in ('steps=0', 'steps=x', 'metrics=bad', 'quantiles=p1', 'limit=-1', 'sort=up', 'tz=x', 'fields=x',
                      'precision=99', 'steps=%00', 'limit=' + '9' * 40):
            answer = daemon.get('/predictions/current?' + query)
            assert answer.status in (400, 422), f'{query}: {answer.status}'
            if answer.status == 422:
                equal(query, answer.json()['detail'][0]['loc'], ['query', query.split('=')[0]])
        equal('unknown names are ignored', daemon.get('/predictions/current?colour=blue').status, 200)
        hostile = daemon.get('/predictions/current?sort=%3Cscript%3Ealert(1)%3C/script%3E')
        equal('refused', hostile.status, 422)
        assert b'<' not in hostile.body


def limits():
    """Contract 1.2, as long as they are on."""
    with Daemon() as daemon:
        statuses = [daemon.get('/alerts/active').status for _ in range(31)]
        equal('thirty a minute', (statuses[:30], statuses[30]), ([200] * 30, 429))
        answer = daemon.get('/alerts/active')
        body = answer.json()
        equal('words', body['error'], 'Rate limit exceeded: 30 per 1 minute')
        assert 'detail' in body and int(answer.headers['Retry-After']) >= 1
        equal('each on its own', daemon.get('/predictions/current').status, 200)
        equal('never health', daemon.get('/health').status, 200)


def probes_and_metrics():
    with Daemon('--rate-limit', 'off') as daemon:
        fed(daemon)
        equal('ready', daemon.get('/readyz').json(), {'status': 'ready', 'reasons': []})
        plain = daemon.get('/metrics')
        assert plain.headers['Content-Type'].startswith('text/plain; version=0.0.4')
        text = plain.body.decode()
        for line in text.splitlines():
            assert line.startswith('# ') or ' ' in line, line
        assert 'forewarn_ingest_samples_total{protocol="feed"} 240' in text, text[:2000]
        modern = daemon.get('/metrics', headers={'Accept': 'application/openmetrics-text; version=1.0.0'})
        assert modern.body.endswith(b'# EOF\n')


# What some paths cannot do without.
NEEDED = {'query': '1', 'start': '0', 'end': '60', 'step': '60', 'match[]': 'forewarn_observed'}


def documented():
    """Every GET of /openapi.json answers with the keys that its schema calls required."""
    with Daemon('--rate-limit', 'off') as daemon:
        fed(daemon)
        document = daemon.get('/openapi.json').json()
        schemas = document['components']['schemas']
        equal('feed', daemon.feed(history('web-2', {'disk_usage_pct': [99.0] * 3})).status, 200)
        alert = daemon.wait(lambda: daemon.get('/api/v1/alerts').json()['alerts'], 'an alert')[0]['id']

        def check(where, value, schema):
            if '$ref' in schema:
                schema = schemas[schema['$ref'].rsplit('/', 1)[1]]
            if 'anyOf' in schema:
                return
            kinds = schema.get('type', [])
            kinds = [kinds] if isinstance(kinds, str) else kinds
            names = {dict: 'object', list: 'array', str: 'string', bool: 'boolean', int: 'integer', float: 'number',
                     type(None): 'null'}
            kind = names[type(value)]
            assert not kinds or kind in kinds or (kind == 'integer' and 'number' in kinds), f'{where}: {kind} {kinds}'
            if isinstance(value, dict):
                for key in schema.get('required', []):
                    assert key in value, f'{where}: no {key}'
                for key, member in value.items():
                    inner = schema.get('properties', {}).get(key) or schema.get('additionalProperties')
                    if isinstance(inner, dict):
                        check(f'{where}.{key}', member, inner)
            elif isinstance(value, list) and 'items' in schema:
                for i, member in enumerate(value):
                    check(f'{where}[{i}]', member, schema['items'])

        for path, operations in document['paths'].items():
            if 'get' not in operations:
                continue
            content = operations['get']['responses'].get('200', {}).get('content', {})
            if 'application/json' not in content:
                continue
            asks = {p['name'] for p in operations['get']['parameters']}
            query = '&'.join(f'{name}={value}' for name, value in NEEDED.items() if name in asks)
            path = path.replace('{name}', 'web-1').replace('{id}', alert)
            answer = daemon.get(path + ('?' + query if query else ''))
            equal(path, answer.status, 200)
            check(path, answer.json(), content['application/json']['schema'])


run(methods_and_paths, keys, validation, conditional, queries, limits, probes_and_metrics, documented)
