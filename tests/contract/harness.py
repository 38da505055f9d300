"""A daemon of its own for each test, and what the tests ask it. Python's standard library only."""
import http.client
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

STEP = 300
BEGAN = int(time.time())


class Daemon:
    """`forewarn serve` on a free port with a fresh data directory."""

    def __init__(self, *options, key=None, env=None, step=STEP):
        self.dir = tempfile.mkdtemp(prefix='forewarn-contract-')
        self.key = key
        environment = {k: v for k, v in os.environ.items()
                       if not k.endswith('_API_KEY') and not k.startswith('FOREWARN_') and k != 'CORS_ORIGINS'}
        environment['FOREWARN_LOG_LEVEL'] = 'warn'
        environment.update(env or {})
        self.log = open(os.path.join(self.dir, 'log'), 'w+b')
        self.process = subprocess.Popen(
            [sys.argv[1], 'serve', '--listen', '127.0.0.1:0', '--data', os.path.join(self.dir, 'data'),
             '--step', str(step), '--set', 'forecast.min_interval=1', *options],
            stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r'forewarn listening on http://127\.0\.0\.1:(\d+)\n', line)
        if not found:
            self.stop()
            raise AssertionError(f'first line: {line!r}, log: {self.log_text()}')
        self.port = int(found.group(1))
        self.wait(lambda: self.get('/status').status == 200, 'the daemon to start')

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode('utf-8', 'replace')

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if kind is not None:
            sys.stderr.write(self.log_text()[-4000:])
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        if kind is None:
            assert code == 0, f'the daemon ended with {code}'

    def request(self, method, target, body=None, headers=None, key='own'):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        sent = dict(headers or {})
        shown = self.key if key == 'own' else key
        if shown is not None:
            sent['X-API-Key'] = shown
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent.setdefault('Content-Type', 'application/json')
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        result = Answer(answer.status, answer.headers, answer.read())
        connection.close()
        return result

    def get(self, target, **more):
        return self.request('GET', target, **more)

    def feed(self, records, **more):
        return self.request('POST', '/feed/data', {'records': records}, **more)

    def wait(self, condition, what, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = condition()
            except OSError:
                found = None
            if found:
                return found
            assert time.monotonic() < deadline, f'waited {seconds} s for {what}'
            assert self.process.poll() is None, f'the daemon died while {what} was awaited'
            time.sleep(0.05)

    def predictions(self, names=(), query=''):
        """The body once it holds every name, has no error, and is of a run that no other follows at once: the whole
        body may be an interval older than the newest run, which a part of it is always of."""
        def newest():
            return self.get('/predictions/current?fields=metadata').json()['metadata']['run_id']

        def ready():
            run = newest()
            time.sleep(0.2)
            body = self.get('/predictions/current' + query).json()
            good = 'error' not in body and all(n in body['predictions'] for n in names)
            return body if good and body['metadata']['run_id'] == run == newest() else None
        return self.wait(ready, f'predictions of {list(names)[:3]}')


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return strict(self.body)


def strict(body):
    """Parses JSON and refuses what JSON does not have: NaN and the infinities."""
    def refuse(word):
        raise AssertionError(f'{word} in a body')
    value = json.loads(body, parse_constant=refuse)
    walk(value)
    return value


def walk(value):
    if isinstance(value, float):
        assert math.isfinite(value), 'a number that is not finite'
    elif isinstance(value, dict):
        for member in value.values():
            walk(member)
    elif isinstance(value, list):
        for member in value:
            walk(member)


def grid(steps_back=0, step=STEP):
    """Start of the step so many before the one in which the test began, Unix seconds."""
    return BEGAN // step * step - steps_back * step


def naive(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))


def record(name, seconds, **values):
    return {'timestamp': naive(seconds), 'server_name': name, 'status': 'healthy', **values}


def history(name, columns, step=STEP):
    """Records for one server; columns: metric -> values, oldest first, the last one in the current step."""
    n = max(len(values) for values in columns.values())
    return [record(name, grid(n - 1 - k, step), **{m: v[k] for m, v in columns.items() if k < len(v)})
            for k in range(n)]


def equal(what, got, expected):
    assert got == expected, f'{what}: {got!r}, expected {expected!r}'


def near(what, got, expected, tolerance):
    assert abs(got - expected) <= tolerance, f'{what}: {got!r}, expected {expected!r} +- {tolerance}'


def typed(where, value, shape):
    """Checks keys and JSON types. A shape is a type, a tuple of types, a dict of shapes (keys that must be there), or
    a list of one shape (for every member). int is taken for float, bool never for a number."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), f'{where}: {value!r} is no object'
        for key, inner in shape.items():
            assert key in value, f'{where}: no {key!r} among {sorted(value)}'
            typed(f'{where}.{key}', value[key], inner)
    elif isinstance(shape, list):
        assert isinstance(value, list), f'{where}: {value!r} is no list'
        for i, member in enumerate(value):
            typed(f'{where}[{i}]', member, shape[0])
    else:
        allowed = shape if isinstance(shape, tuple) else (shape,)
        if bool not in allowed:
            assert not isinstance(value, bool), f'{where}: {value!r}'
        if float in allowed:
            allowed += (int,)
        assert isinstance(value, allowed), f'{where}: {value!r} is not {shape}'


def run(*tests):
    """Runs functions as tests, names the one that fails."""
    if len(sys.argv) != 2:
        sys.exit('usage: test_NAME.py FOREWARN')
    if not os.path.exists(sys.argv[1]):
        print('skipped: no program')
        sys.exit(77)
    for test in tests:
        began = time.monotonic()
        try:
            test()
        except BaseException:
            print(f'not ok {test.__name__}', flush=True)
            raise
        print(f'ok {test.__name__} {time.monotonic() - began:.1f} s', flush=True)
    assert threading.active_count() == 1, 'threads left'


__all__ = [name for name in dir() if not name.startswith('_')]
