#!/usr/bin/env python3
"""kill -9 over and over while four writers post, and nothing acknowledged may be missing.

Each sample has a second and a value of its own (the daemon's step is one second), so that after each
restart the windows tell exactly what the daemon holds: every acknowledged sample must be there with
its value, and nothing that was never sent. A post whose answer the kill swallowed may be there or not,
whole; half of these are sent again, as a client would.

  python3 bench/crash_loop.py build/forewarn              200 cycles, about 5 minutes
  python3 bench/crash_loop.py build/forewarn --cycles 10

Standard library only. Prints one summary line; exit status 1 when a promise was broken.
"""
import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

METRICS = ('net_in_mb_s', 'net_out_mb_s', 'load_average')
SERVERS_EACH = 2
SECONDS_HELD = 7200  # of the window of 8640 steps: the rest is for the test's own duration


def value_of(second, server, metric):
    """Unique, and exact in float32: below 2^24 for 7200 seconds of 8 servers and 3 metrics."""
    return (second * 64 + server) * 3 + metric + 1


class Daemon:
    def __init__(self, forewarn, data, log):
        self.process = subprocess.Popen(
            [forewarn, 'serve', '--listen', '127.0.0.1:0', '--data', data, '--step', '1',
             '--rate-limit', 'off', '--set', 'fleet.window_steps=8640'],
            stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        match = re.search(r':(\d+)/?\s*$', line)
        if not match:
            raise SystemExit('crash_loop: the daemon did not start: %r' % line)
        self.port = int(match.group(1))
        began = time.monotonic()
        while self.get('/readyz')[0] != 200:
            if self.process.poll() is not None or time.monotonic() - began > 60:
                raise SystemExit('crash_loop: the daemon does not get ready')
            time.sleep(0.01)
        self.ready_s = time.monotonic() - began

    def get(self, path):
        try:
            connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
            connection.request('GET', path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b''

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class Writer:
    """Posts one second after the other for its servers; remembers what was sent and acknowledged."""

    def __init__(self, number, base):
        self.number, self.base = number, base
        self.names = ['crash-%d-%d' % (number, n) for n in range(SERVERS_EACH)]
        self.next = 0            # the first second never sent
        self.sent = set()        # seconds
        self.acknowledged = set()
        self.open = None         # sent, and no answer came
        self.refused = []
        self.posts = 0

    def body(self, seconds):
        records = []
        for second in seconds:
            stamp = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(self.base + second))
            for n, name in enumerate(self.names):
                record = {'timestamp': stamp, 'server_name': name, 'status': 'healthy'}
                for m, metric in enumerate(METRICS):
                    record[metric] = value_of(second, self.number * SERVERS_EACH + n, m)
                records.append(record)
        return json.dumps({'records': records})

    def post(self, connection, seconds):
        self.sent.update(seconds)
        self.open = seconds
        connection.request('POST', '/feed/data', self.body(seconds),
                           {'Content-Type': 'application/json'})
        answer = connection.getresponse()
        text = answer.read()
        self.posts += 1
        if answer.status == 200 and json.loads(text).get('records_rejected') == 0:
            self.acknowledged.update(seconds)
        else:
            self.refused.append((answer.status, text[:200]))
        self.open = None

    def run(self, port, budget, rng, stop):
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        try:
            if self.open and rng.random() < 0.5:
                self.post(connection, self.open)
            self.open = None
            end = self.next + budget
            while not stop.is_set():
                if self.next < end:
                    seconds = list(range(self.next, min(end, self.next + rng.randint(1, 3))))
                    self.next = seconds[-1] + 1
                else:  # the budget is spent: keep the daemon busy with what it knows
                    seconds = [rng.randrange(self.next)]
                self.post(connection, seconds)
                time.sleep(rng.random() * 0.004)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # killed
        finally:
            connection.close()


def verify(daemon, writers):
    """What is lost, and what is there though it was never sent or with another value."""
    lost, invented = [], []
    for writer in writers:
        for n, name in enumerate(writer.names):
            status, text = daemon.get('/api/v1/servers/%s/window' % name)
            held = json.loads(text)['metrics'] if status == 200 else {}
            for m, metric in enumerate(METRICS):
                column = held.get(metric, {'timestamps': [], 'values': []})
                values = {int(t) - writer.base: v
                          for t, v in zip(column['timestamps'], column['values']) if v is not None}
                if len(values) != sum(v is not None for v in column['values']):
                    invented.append((name, metric, 'a second twice'))
                server = writer.number * SERVERS_EACH + n
                for second in writer.acknowledged:
                    if values.get(second) != value_of(second, server, m):
                        lost.append((name, metric, second, values.get(second)))
                for second, value in values.items():
                    if second not in writer.sent or value != value_of(second, server, m):
                        invented.append((name, metric, second, value))
    return lost, invented


def run(forewarn, cycles, writer_count=4, seed=None, keep_log=False):
    seed = random.randrange(1 << 30) if seed is None else seed
    rng = random.Random(seed)
    directory = tempfile.mkdtemp(prefix='forewarn-crash-')
    base = int(time.time()) - SECONDS_HELD - 60
    writers = [Writer(n, base) for n in range(writer_count)]
    budget = max(1, SECONDS_HELD // (cycles + 1))
    ready, failures = [], []
    with open(os.path.join(directory, 'daemon.log'), 'wb') as log:
        for cycle in range(cycles):
            daemon = Daemon(forewarn, os.path.join(directory, 'data'), log)
            ready.append(daemon.ready_s)
            lost, invented = verify(daemon, writers)
            if lost or invented:
                failures.append('cycle %d: lost %r invented %r' % (cycle, lost[:3], invented[:3]))
                daemon.kill()
                break
            stop = threading.Event()
            threads = [threading.Thread(target=w.run,
                                        args=(daemon.port, budget, random.Random(rng.random()), stop))
                       for w in writers]
            for thread in threads:
                thread.start()
            time.sleep(0.05 + rng.random() * 0.4)
            daemon.kill()
            stop.set()
            for thread in threads:
                thread.join()
        else:
            daemon = Daemon(forewarn, os.path.join(directory, 'data'), log)
            lost, invented = verify(daemon, writers)
            if lost or invented:
                failures.append('at the end: lost %r invented %r' % (lost[:3], invented[:3]))
            daemon.process.terminate()
            if daemon.process.wait(timeout=30) != 0:
                failures.append('SIGTERM: exit status %d' % daemon.process.returncode)
            daemon.process.stdout.close()
    refused = [r for w in writers for r in w.refused]
    if refused:
        failures.append('refused: %r' % (refused[:3],))
    samples = sum(len(w.acknowledged) for w in writers) * SERVERS_EACH * len(METRICS)
    figures = {'seed': seed, 'cycles': cycles, 'acknowledged_samples': samples,
               'posts': sum(w.posts for w in writers),
               'ready_p50_s': round(sorted(ready)[len(ready) // 2], 3),
               'ready_max_s': round(max(ready), 3), 'failures': failures}
    if failures and keep_log:
        print('kept: %s' % directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('forewarn')
    parser.add_argument('--cycles', type=int, default=200)
    parser.add_argument('--writers', type=int, default=4)
    parser.add_argument('--seed', type=int)
    args = parser.parse_args()
    figures = run(args.forewarn, args.cycles, args.writers, args.seed, keep_log=True)
    print(json.dumps(figures))
    return 1 if figures['failures'] else 0


if __name__ == '__main__':
    sys.exit(main())
