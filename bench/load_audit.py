#!/usr/bin/env python3
"""The load test of the audit, against a daemon of its own.

  10 workers post 1000 bodies of 100 servers x 288 steps (28,800 records, about 11 MB each), while
  500 other servers are fed one minute after the other (a fleet-minute a second: time x 60), and
  20 clients poll GET /predictions/current every 5 seconds.

Wanted: no failure; p99 of the GETs and of the small feeds under 100 ms; resident memory flat; a log
under 1 MB an hour of fleet time. Standard library only; the figures go to standard output, and as
one JSON object to --json FILE.

  python3 bench/load_audit.py build/forewarn                       the whole test (about half an hour)
  python3 bench/load_audit.py build/forewarn --posts 40 --minutes 2   a short one

The client runs on the same cores as the daemon. Bodies are made once and only a digit in each is
changed between posts, so that it costs little; what it costs is in the summary (client_cpu_s).
"""
import argparse
import gzip
import http.client
import json
import multiprocessing
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

STEP_S = 300
METRICS = (
    b'"cpu_user_pct":2D.%(a)d,"cpu_sys_pct":%(b)d.25,"cpu_iowait_pct":1.5,"cpu_idle_pct":6%(c)d.5,'
    b'"java_cpu_pct":%(a)d.5,"mem_used_pct":4D.%(b)d,"swap_used_pct":0.5,"disk_usage_pct":5%(c)d.75,'
    b'"net_in_mb_s":1D.%(a)d,"net_out_mb_s":%(b)d.125,"back_close_wait":%(a)d,"front_close_wait":%(c)d,'
    b'"load_average":1.%(b)d,"uptime_days":12')


def iso(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(seconds)).encode()


def backfill_body(worker, servers, steps, end_s):
    """A body whose letters D stand for a digit that bytes.replace() fills in: the size stays."""
    records = []
    for step in range(steps):
        stamp = iso(end_s - (steps - step) * STEP_S)
        for server in range(servers):
            values = METRICS % {b'a': (step * 7 + server) % 10, b'b': (step + server * 3) % 10,
                                b'c': (step // 9 + server) % 10}
            records.append(b'{"timestamp":"%s","server_name":"bulk%02d-%03d","status":"healthy",%s}'
                           % (stamp, worker, server, values))
    return b'{"records":[' + b','.join(records) + b']}'


def fleet_body(servers, stamp_s, turn):
    stamp = iso(stamp_s)
    records = []
    for server in range(servers):
        values = METRICS % {b'a': (turn * 3 + server) % 10, b'b': (turn + server) % 10,
                            b'c': (turn // 5 + server) % 10}
        records.append(b'{"timestamp":"%s","server_name":"live-%03d","status":"healthy",%s}'
                       % (stamp, server, values.replace(b'D', b'%d' % (turn % 10))))
    return b'{"records":[' + b','.join(records) + b']}'


class Client:
    """One kept-alive connection; an answer that is not wanted is noted as a failure."""

    def __init__(self, port, failures):
        self.port, self.failures = port, failures
        self.connection = None

    def request(self, method, path, body=None, headers=None, wanted=(200,)):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
                self.connection.connect()
            began = time.perf_counter()
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            first = time.perf_counter()
            data = answer.read()
            took = time.perf_counter() - began
        except Exception as error:  # whatever went wrong, it is a failure of the test
            self.failures.append('%s %s: %r' % (method, path, error))
            self.connection = None
            return None, b'', 0, 0, {}
        if answer.status not in wanted:
            self.failures.append('%s %s: %d %r' % (method, path, answer.status, data[:200]))
        return answer.status, data, took, first - began, answer.headers


def worker(number, body, port, posts, failures, times):
    client = Client(port, failures)
    for post in range(posts):
        text = body.replace(b'D', b'%d' % (post % 10))
        status, data, took, _, _ = client.request('POST', '/feed/data', text,
                                                  {'Content-Type': 'application/json'})
        times.append(took)
        if status == 200 and b'"records_rejected":0' not in data:
            failures.append('post of worker %d: %r' % (number, data[:300]))


def bulk(args, port, posts_each, end_s, queue, ready):
    """All workers, in a process of their own: what they cost must not delay those who measure."""
    failures, times = [], []
    threads = [threading.Thread(target=worker,
                                args=(n, backfill_body(n, args.bulk_servers, args.steps, end_s),
                                      port, posts, failures, times))
               for n, posts in enumerate(posts_each)]
    ready.set()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    queue.put((failures, times, usage.ru_utime + usage.ru_stime))


def feeder(args, port, failures, times, start_s, stop):
    client = Client(port, failures)
    began = time.monotonic()
    turn = 0
    while not stop.is_set():
        stamp = start_s + turn * 60
        body = fleet_body(args.servers, stamp, turn)
        status, data, took, _, _ = client.request('POST', '/feed/data', body,
                                                  {'Content-Type': 'application/json'})
        times.append(took)
        if status == 200 and b'"records_rejected":0' not in data:
            failures.append('feed of minute %d: %r' % (turn, data[:300]))
        turn += 1
        stop.wait(max(0, began + turn * 60 / args.speed - time.monotonic()))


def poller(number, args, port, failures, times, firsts, sizes, stop):
    client = Client(port, failures)
    etag = None
    stop.wait(number * args.poll / max(1, args.pollers))
    while not stop.is_set():
        began = time.monotonic()
        headers = {}
        if args.gzip:
            headers['Accept-Encoding'] = 'gzip'
        if etag and args.conditional:
            headers['If-None-Match'] = etag
        status, data, took, first, given = client.request(
            'GET', '/predictions/current', None, headers, (200, 304))
        if status is not None:
            times.append(took)
            firsts.append(first)
            sizes.append(len(data))
            etag = given.get('ETag')
            if number == 0 and status == 200:
                text = gzip.decompress(data) if given.get('Content-Encoding') == 'gzip' else data
                if not text.startswith(b'{') or not text.endswith(b'}'):
                    failures.append('GET: not a whole object')
        stop.wait(max(0, began + args.poll - time.monotonic()))


def process_figures(pid):
    with open('/proc/%d/status' % pid) as file:
        text = file.read()
    rss = int(re.search(r'VmRSS:\s+(\d+)', text).group(1)) / 1024
    threads = int(re.search(r'Threads:\s+(\d+)', text).group(1))
    return rss, threads, len(os.listdir('/proc/%d/fd' % pid))


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else float('nan')


def slope_per_minute(points):
    """Least squares; points (seconds, value)."""
    if len(points) < 3:
        return float('nan')
    mean_t = sum(t for t, _ in points) / len(points)
    mean_v = sum(v for _, v in points) / len(points)
    above = sum((t - mean_t) * (v - mean_v) for t, v in points)
    below = sum((t - mean_t) ** 2 for t, _ in points)
    return 60 * above / below if below else float('nan')


def start_daemon(args, data, log):
    command = [args.forewarn, 'serve', '--listen', '127.0.0.1:0', '--data', data, '--rate-limit',
               'off'] + args.serve
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    line = process.stdout.readline()
    match = re.search(r':(\d+)/?\s*$', line)
    if not match:
        sys.exit('load_audit: the daemon did not start: %r' % line)
    port = int(match.group(1))
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
            connection.request('GET', '/readyz')
            if connection.getresponse().status == 200:
                return process, port
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit('load_audit: the daemon is not ready')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('forewarn')
    parser.add_argument('--workers', type=int, default=10)
    parser.add_argument('--posts', type=int, default=1000, help='in all')
    parser.add_argument('--bulk-servers', type=int, default=100, help='in a body')
    parser.add_argument('--steps', type=int, default=288, help='of each of them')
    parser.add_argument('--servers', type=int, default=500, help='fed every fleet-minute')
    parser.add_argument('--speed', type=float, default=60, help='fleet-minutes a minute')
    parser.add_argument('--pollers', type=int, default=20)
    parser.add_argument('--poll', type=float, default=5, help='seconds')
    parser.add_argument('--minutes', type=float, default=0,
                        help='go on for at least so long (30 minutes of fleet time at the least)')
    parser.add_argument('--plain', dest='gzip', action='store_false', help='poll without gzip')
    parser.add_argument('--unconditional', dest='conditional', action='store_false',
                        help='poll without If-None-Match')
    parser.add_argument('--data', help='directory for data (a temporary one)')
    parser.add_argument('--serve', action='append', default=[], help='further flag of serve')
    parser.add_argument('--json', help='file for the figures')
    args = parser.parse_args()

    directory = args.data or tempfile.mkdtemp(prefix='forewarn-audit-')
    log_path = os.path.join(directory, 'daemon.log')
    log = open(log_path, 'wb')
    process, port = start_daemon(args, os.path.join(directory, 'data'), log)
    failures, posts, feeds, gets, firsts, sizes, memory = [], [], [], [], [], [], []
    stop = threading.Event()
    now = time.time()
    posts_each = [args.posts // args.workers + (n < args.posts % args.workers)
                  for n in range(args.workers)]
    seconds = max(args.minutes * 60, 1800 / args.speed)
    # The fed fleet's time runs faster than ours and must not pass it: it begins far enough back.
    span = 2.5 * 86400
    start = now - min(span, max(seconds, args.posts * 1.5) * args.speed)
    queue, ready = multiprocessing.Queue(), multiprocessing.Event()
    workers = multiprocessing.Process(target=bulk, args=(args, port, posts_each, int(now), queue, ready))
    bulk_done = None
    bulk_seconds = 0
    others = [threading.Thread(target=feeder, args=(args, port, failures, feeds, start, stop))]
    others += [threading.Thread(target=poller, args=(n, args, port, failures, gets, firsts, sizes,
                                                     stop)) for n in range(args.pollers)]
    workers.start()
    ready.wait()
    began = time.monotonic()
    for thread in others:
        thread.start()
    while bulk_done is None or time.monotonic() - began < seconds:
        if bulk_done is None and not queue.empty():
            bulk_done = queue.get()
            bulk_seconds = time.monotonic() - began
            bulk_counts = (len(gets), len(feeds))
        if process.poll() is not None:
            failures.append('the daemon ended: %d' % process.returncode)
            break
        elapsed = time.monotonic() - began
        memory.append((elapsed,) + process_figures(process.pid))
        if sys.stderr.isatty():
            sys.stderr.write('\r%5.0f s  %d gets  %.0f MiB  %d failures ' % (
                elapsed, len(gets), memory[-1][1], len(failures)))
        if now + elapsed < start + elapsed * args.speed:
            failures.append('the fed fleet caught up with the clock: shorten the test')
            break
        time.sleep(1)
    stop.set()
    if bulk_done is None:  # ended early
        workers.kill()
        bulk_done, bulk_counts = ([], [], 0), (len(gets), len(feeds))
    workers.join()
    for thread in others:
        thread.join()
    failures += bulk_done[0]
    posts = bulk_done[1]
    elapsed = time.monotonic() - began
    process.terminate()
    code = process.wait(timeout=30)
    if code != 0:
        failures.append('the daemon ended with %d' % code)
    log.close()

    usage = resource.getrusage(resource.RUSAGE_SELF)
    daemon = resource.getrusage(resource.RUSAGE_CHILDREN)
    settled = [(m[0], m[1]) for m in memory if m[0] > elapsed / 2]
    log_bytes = os.path.getsize(log_path)
    fleet_hours = elapsed * args.speed / 3600
    figures = {
        'seconds': round(elapsed, 1), 'cores': os.cpu_count(),
        'posts': len(posts), 'records': len(posts) * args.bulk_servers * args.steps,
        'bulk_seconds': round(bulk_seconds, 1),
        'records_per_s_while_bulk': round(len(posts) * args.bulk_servers * args.steps /
                                          max(bulk_seconds, 1e-9)),
        'get_p99_ms_while_bulk': round(1e3 * quantile(gets[:bulk_counts[0]], 0.99), 2),
        'get_p99_ms_after': round(1e3 * quantile(gets[bulk_counts[0]:], 0.99), 2),
        'feed_p99_ms_while_bulk': round(1e3 * quantile(feeds[:bulk_counts[1]], 0.99), 2),
        'feed_p99_ms_after': round(1e3 * quantile(feeds[bulk_counts[1]:], 0.99), 2),
        'post_p50_s': round(quantile(posts, 0.5), 3), 'post_p99_s': round(quantile(posts, 0.99), 3),
        'feeds': len(feeds), 'feed_p50_ms': round(1e3 * quantile(feeds, 0.5), 2),
        'feed_p99_ms': round(1e3 * quantile(feeds, 0.99), 2),
        'feed_max_ms': round(1e3 * max(feeds, default=0), 2),
        'gets': len(gets), 'get_p50_ms': round(1e3 * quantile(gets, 0.5), 2),
        'get_p99_ms': round(1e3 * quantile(gets, 0.99), 2),
        'get_max_ms': round(1e3 * max(gets, default=0), 2),
        'get_first_byte_p99_ms': round(1e3 * quantile(firsts, 0.99), 2),
        'get_largest_bytes': max(sizes, default=0),
        'rss_peak_mib': round(max((m[1] for m in memory), default=0), 1),
        'rss_end_mib': round(memory[-1][1], 1) if memory else 0,
        'rss_slope_mib_per_min_second_half': round(slope_per_minute(settled), 3),
        'threads': sorted({m[2] for m in memory}), 'descriptors_max': max((m[3] for m in memory), default=0),
        'log_bytes': log_bytes, 'log_bytes_per_fleet_hour': round(log_bytes / fleet_hours),
        'daemon_cpu_s': round(daemon.ru_utime + daemon.ru_stime - bulk_done[2], 1),
        'client_cpu_s': round(usage.ru_utime + usage.ru_stime + bulk_done[2], 1),
        'failures': len(failures), 'first_failures': failures[:5],
    }
    for key, value in figures.items():
        print('%-36s %s' % (key, value))
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file)
            file.write('\n')
    if not args.data:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
