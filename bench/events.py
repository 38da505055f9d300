#!/usr/bin/env python3
"""What followers of /api/v1/events cost: `bench/events.py FOREWARN [--clients 1000] [--seconds 60]`.

A daemon of its own is fed at a steady rate, without followers and with so many that read, by turns, and then with so many that
never read. Reported: latency of the feeds in each phase, events lost, memory of the daemon and of the kernel's sockets for each
follower. Exit 1 when an event was lost or a follower holds 64 KiB or more."""
import argparse
import http.client
import json
import multiprocessing
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time


def feed(port, rate, seconds, out):
    """Posts 50 records `rate` times a second; the latencies in ms go to the queue."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    latencies, began, n = [], time.monotonic(), 0
    while time.monotonic() - began < seconds:
        stamp = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())
        # Disks of a third of the servers fill up and empty again, so that alerts come and go.
        records = [{'timestamp': stamp, 'server_name': f'server-{i:03d}', 'cpu_user_pct': 20 + i % 30, 'mem_used_pct': 40,
                    'disk_usage_pct': 99 if (i + int(time.time()) // 15) % 3 == 0 else 30} for i in range(50)]
        body = json.dumps({'records': records})
        sent = time.monotonic()
        connection.request('POST', '/feed/data', body, {'Content-Type': 'application/json'})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        latencies.append((time.monotonic() - sent) * 1000)
        n += 1
        time.sleep(max(0.0, began + n / rate - time.monotonic()))
    out.put(latencies)


def measure_feed(port, rate, seconds, meanwhile):
    """Latencies of a feeder in a process of its own, while `meanwhile(end)` runs here."""
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=feed, args=(port, rate, seconds, out))
    process.start()
    meanwhile(time.monotonic() + seconds)
    latencies = sorted(out.get(timeout=60))
    process.join()
    return latencies


def tell_feed(name, latencies):
    def at(q):
        return latencies[min(len(latencies) - 1, int(q * len(latencies)))]
    print(f'{name:12} feeds {len(latencies):6}  p50 {at(0.5):6.2f} ms  p99 {at(0.99):6.2f} ms  max {latencies[-1]:6.2f} ms',
          flush=True)


def resident(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'VmRSS:\s+(\d+) kB', file.read()).group(1)) * 1024


def socket_bytes():
    """The kernel's memory of all TCP sockets, of this machine."""
    with open('/proc/net/sockstat', encoding='ascii') as file:
        return int(re.search(r'TCP: .* mem (\d+)', file.read()).group(1)) * os.sysconf('SC_PAGE_SIZE')


class Followers:
    def __init__(self, port, n):
        self.selector, self.sockets = selectors.DefaultSelector(), []
        for _ in range(n):
            s = socket.create_connection(('127.0.0.1', port))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(b'GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\n\r\n')
            s.setblocking(False)
            self.sockets.append(s)
            self.selector.register(s, selectors.EVENT_READ, {'rest': b'', 'first': None, 'last': None, 'n': 0, 'lost': 0, 'ended': False})

    def read(self, end):
        while time.monotonic() < end:
            for key, _ in self.selector.select(0.2):
                self.take(key.fileobj, key.data)

    def take(self, s, state):
        try:
            data = s.recv(65536)
        except OSError:
            data = b''
        if data == b'':
            state['ended'] = True
            self.selector.unregister(s)
            return
        # Cheap, since the readers share the machine with the daemon: events are counted, ids read once a turn.
        data = state['rest'] + data
        end = data.rfind(b'\n\n') + 2
        state['rest'] = data[max(end, 2):] if end > 1 else data
        n = data.count(b'\nevent: ', 0, end) if end > 1 else 0
        if n == 0:
            return
        if state['first'] is None:
            at = data.index(b'\nevent: ')
            state['first'] = int(data[data.rindex(b'id: ', 0, at) + 4:at])
        state['n'] += n
        at = data.rindex(b'\nevent: ', 0, end)
        state['last'] = int(data[data.rindex(b'id: ', 0, at) + 4:at])
        state['lost'] = state['last'] - state['first'] + 1 - state['n'] + data.count(b'event: reset')

    def states(self):
        return [key.data for key in self.selector.get_map().values()]

    def close(self):
        for s in self.sockets:
            s.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('forewarn')
    parser.add_argument('--clients', type=int, default=1000)
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--rate', type=float, default=20)
    arguments = parser.parse_args()
    short = min(arguments.seconds, 60)
    directory = tempfile.mkdtemp(prefix='forewarn-events-')
    daemon = subprocess.Popen(
        [arguments.forewarn, 'serve', '--listen', '127.0.0.1:0', '--data', directory, '--step', '5', '--rate-limit', 'off',
         '--set', 'forecast.min_interval=1', '--set', f'server.event_clients={2 * arguments.clients}', '--log-level', 'warn'],
        stdout=subprocess.PIPE, text=True)
    port = int(daemon.stdout.readline().rsplit(':', 1)[1])
    failed = False
    try:
        time.sleep(1)
        measure_feed(port, arguments.rate, 20, lambda end: None)  # warm
        alone, reading, lost, each, sockets, heard = [], [], 0, 0.0, 0.0, []
        rounds = 1 if arguments.seconds > 60 else 6  # by turns: other work on the machine hits both
        for _ in range(rounds):
            alone += measure_feed(port, arguments.rate, short / rounds, lambda end: time.sleep(max(0, end - time.monotonic())))
            before, kernel = resident(daemon.pid), socket_bytes()
            followers = Followers(port, arguments.clients)
            reading += measure_feed(port, arguments.rate, arguments.seconds / rounds, followers.read)
            states = followers.states()
            lost += sum(s['lost'] for s in states) + (arguments.clients - len(states))
            heard.append((min(s['n'] for s in states), max(s['n'] for s in states)))
            each = max(each, (resident(daemon.pid) - before) / arguments.clients)
            sockets = max(sockets, (socket_bytes() - kernel) / arguments.clients)
            followers.close()
            time.sleep(1)
        tell_feed('alone', sorted(alone))
        tell_feed('reading', sorted(reading))
        print(f'{"":12} {arguments.clients} followers, {sum(h[0] for h in heard)} to {sum(h[1] for h in heard)} events each, '
              f'{lost} lost; {each / 1024:.1f} KiB resident and {sockets / 1024:.1f} KiB of sockets each', flush=True)
        failed = lost > 0 or each + sockets >= 65536
        time.sleep(2)
        before, kernel = resident(daemon.pid), socket_bytes()
        followers = Followers(port, arguments.clients)
        peak = [0, 0]

        def watch(end):
            while time.monotonic() < end:
                peak[0] = max(peak[0], resident(daemon.pid) - before)
                peak[1] = max(peak[1], socket_bytes() - kernel)
                time.sleep(0.5)
        tell_feed('not reading', measure_feed(port, arguments.rate, short, watch))
        connection = http.client.HTTPConnection('127.0.0.1', port)
        connection.request('GET', '/metrics')
        metrics = connection.getresponse().read().decode()
        cut = int(re.search(r'reason="stalled"} (\d+)', metrics).group(1))
        print(f'{"":12} at most {peak[0] / arguments.clients / 1024:.1f} KiB resident and {peak[1] / arguments.clients / 1024:.1f} '
              f'KiB of sockets each (both ends); {cut} cut off', flush=True)
        failed = failed or (peak[0] + peak[1]) / arguments.clients >= 65536
        followers.close()
    finally:
        daemon.terminate()
        daemon.wait(20)
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
