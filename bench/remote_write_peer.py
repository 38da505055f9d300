#!/usr/bin/env python3
"""Remote write into forewarn and into Prometheus' own receiver, by turns, from the same bytes.

  One scrape of a real node_exporter becomes a fleet: every host has its series, counters grow and gauges move a little from
  scrape to scrape, 15 s apart, the last one now. Requests carry up to 500 samples of one host, as Prometheus sends them, over
  connections that are kept; each waits for its answer before the next. What is acknowledged is counted, and the time until
  the last answer. forewarn's answer means synced to disk; Prometheus' that its log was written, not synced. Prometheus keeps
  every series as it came, forewarn makes its 14 metrics of them.

  python3 bench/remote_write_peer.py build/forewarn [--hosts 300] [--scrapes 20] [--rounds 3] [--connections 16]

Needs Debian's prometheus and prometheus-node-exporter, and libsnappy (forewarn links it). The client runs on the same cores;
its CPU time is printed. One JSON object to --json FILE.
"""
import argparse
import ctypes
import json
import os
import re
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'scenario'))
import remote_write  # noqa: E402

INTERVAL_MS = 15000
HEAD = (b'POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n'
        b'X-Prometheus-Remote-Write-Version: 0.1.0\r\nUser-Agent: Prometheus/2.42.0\r\nContent-Length: %d\r\n\r\n')


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def wait_until(answers, url, process):
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None, url + ': the process ended'
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return answer.read()
        except OSError:
            pass
        assert time.monotonic() < end, url + ' does not answer'
        time.sleep(answers)


# ---- the bytes ----

snappy = ctypes.CDLL('libsnappy.so.1')


def pack(body):
    size = ctypes.c_size_t(snappy.snappy_max_compressed_length(len(body)))
    out = ctypes.create_string_buffer(size.value)
    assert snappy.snappy_compress(body, ctypes.c_size_t(len(body)), out, ctypes.byref(size)) == 0
    return out.raw[:size.value]


def scrape_exporter():
    """[(labels without the target's, value, whether it is a counter)] of this host."""
    program, port = shutil.which('prometheus-node-exporter'), free_port()
    assert program is not None, 'prometheus-node-exporter is not installed'
    process = subprocess.Popen([program, f'--web.listen-address=127.0.0.1:{port}'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        text = wait_until(0.1, f'http://127.0.0.1:{port}/metrics', process).decode()
    finally:
        process.kill()
        process.wait()
    kinds, series = {}, []
    for line in text.splitlines():
        if line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            kinds[name] = kind
        elif line and not line.startswith('#'):
            name, labels, value = re.fullmatch(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)', line).groups()
            pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ''))
            series.append(({'__name__': name, **pairs}, float(value), kinds.get(name) == 'counter'))
    return series


def requests_of(host, series, scrapes, batch, now_ms):
    """The requests of a host, in the order of time: [(bytes of a POST, samples)]."""
    heads = []
    for labels, value, counter in series:
        target = {**labels, 'instance': f'host-{host:04d}:9100', 'job': 'node', 'datacenter': 'dc%d' % (host % 3)}
        heads.append((remote_write.labels(target), value, counter))
    out = []
    for scrape in range(scrapes):
        time_ms = now_ms - (scrapes - 1 - scrape) * INTERVAL_MS
        wave = 1.0 + 0.01 * ((scrape * 7 + host * 3) % 11)
        pieces = []
        for called, value, counter in heads:
            moved = value + scrape * (1.0 + value * 1e-5) * wave if counter else value * wave
            pieces.append(remote_write.series(called, [(time_ms, moved)]))
        for at in range(0, len(pieces), batch):
            body = pack(b''.join(pieces[at:at + batch]))
            out.append((HEAD % len(body) + body, min(batch, len(pieces) - at)))
    return out


# ---- sending ----

class Connection:
    def __init__(self, port, requests):
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests, self.at, self.answer = requests, 0, b''
        self.send()

    def send(self):
        self.socket.sendall(self.requests[self.at][0])

    def receive(self, counts):
        """False: all is acknowledged."""
        self.answer += self.socket.recv(65536)
        end = self.answer.find(b'\r\n\r\n')
        if end < 0:
            assert self.answer, 'the connection was closed'
            return True
        length = re.search(rb'(?i)content-length: (\d+)', self.answer[:end])
        if length is not None and len(self.answer) - end - 4 < int(length.group(1)):
            return True
        status = int(self.answer.split(b' ', 2)[1])
        text, self.answer = self.answer[end + 4:], b''
        if status == 503:
            counts['again'] += 1
            time.sleep(0.05)
        else:
            assert status in (200, 204), (status, text)
            counts['samples'] += self.requests[self.at][1]
            counts['requests'] += 1
            self.at += 1
        if self.at == len(self.requests):
            self.socket.close()
            return False
        self.send()
        return True


def send_all(port, shares):
    counts = {'samples': 0, 'requests': 0, 'again': 0}
    poll, open_ones = select.epoll(), {}
    began = time.monotonic()
    for share in shares:
        connection = Connection(port, share)
        open_ones[connection.socket.fileno()] = connection
        poll.register(connection.socket.fileno(), select.EPOLLIN)
    while open_ones:
        for descriptor, _ in poll.poll():
            if not open_ones[descriptor].receive(counts):
                del open_ones[descriptor]
    counts['seconds'] = time.monotonic() - began
    return counts


# ---- the two ----

def forewarn_command(program, directory, port):
    return [program, 'serve', '--listen', f'127.0.0.1:{port}', '--data', os.path.join(directory, 'data'), '--rate-limit', 'off'], \
        f'http://127.0.0.1:{port}/readyz'


def prometheus_command(program, directory, port):
    config = os.path.join(directory, 'prometheus.yml')
    with open(config, 'w', encoding='utf-8') as file:
        file.write('global:\n  scrape_interval: 15s\n')
    return [program, f'--config.file={config}', f'--web.listen-address=127.0.0.1:{port}',
            '--storage.tsdb.path=' + os.path.join(directory, 'data'), '--web.enable-remote-write-receiver', '--log.level=error'], \
        f'http://127.0.0.1:{port}/-/ready'


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def peak_mib(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        return int(re.search(r'VmHWM:\s+(\d+)', file.read()).group(1)) / 1024


def measure(command_of, program, shares):
    port = free_port()
    with tempfile.TemporaryDirectory(prefix='remote-write-peer-') as directory:
        command, ready = command_of(program, directory, port)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(0.05, ready, process)
            before, ours = cpu_seconds(process.pid), resource.getrusage(resource.RUSAGE_SELF)
            counts = send_all(port, shares)
            after = resource.getrusage(resource.RUSAGE_SELF)
            counts['cpu_s'] = cpu_seconds(process.pid) - before
            counts['peak_mib'] = peak_mib(process.pid)
            counts['client_cpu_s'] = after.ru_utime + after.ru_stime - ours.ru_utime - ours.ru_stime
        finally:
            process.kill()
            process.wait()
    counts['samples_per_s'] = counts['samples'] / counts['seconds']
    counts['cpu_us_per_sample'] = counts['cpu_s'] / counts['samples'] * 1e6
    return counts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('forewarn')
    arguments.add_argument('--prometheus', default='prometheus')
    arguments.add_argument('--hosts', type=int, default=300)
    arguments.add_argument('--scrapes', type=int, default=20)
    arguments.add_argument('--batch', type=int, default=500)
    arguments.add_argument('--rounds', type=int, default=3)
    arguments.add_argument('--connections', type=int, default=16)
    arguments.add_argument('--json')
    options = arguments.parse_args()
    series = scrape_exporter()
    now_ms = int(time.time() * 1000)
    shares = [[] for _ in range(options.connections)]
    by_host = [requests_of(h, series, options.scrapes, options.batch, now_ms) for h in range(options.hosts)]
    per_scrape = len(by_host[0]) // options.scrapes
    for scrape in range(options.scrapes):  # all hosts of a scrape before the next, as in life
        for host, requests in enumerate(by_host):
            shares[host % options.connections] += requests[scrape * per_scrape:(scrape + 1) * per_scrape]
    total = sum(n for share in shares for _, n in share)
    size = sum(len(r) for share in shares for r, _ in share)
    print(f'{options.hosts} hosts x {len(series)} series x {options.scrapes} scrapes = {total} samples, {size / 1e6:.0f} MB in '
          f'{sum(map(len, shares))} requests over {options.connections} connections, {os.cpu_count()} cores')
    peers = (('forewarn', forewarn_command, options.forewarn), ('prometheus', prometheus_command, options.prometheus))
    found = {name: [] for name, _, _ in peers}
    for _ in range(options.rounds):
        for name, command_of, program in peers:
            one = measure(command_of, program, shares)
            assert one['samples'] == total, one
            found[name].append(one)
            print(f'{name:11} {one["samples_per_s"] / 1e6:.3f} M samples/s, CPU {one["cpu_s"]:.2f} s '
                  f'({one["cpu_us_per_sample"]:.2f} us a sample), peak {one["peak_mib"]:.0f} MiB, told to come again '
                  f'{one["again"]} times, client CPU {one["client_cpu_s"]:.2f} s', flush=True)

    def median(name, key):
        return statistics.median(one[key] for one in found[name])
    for key, better in (('samples_per_s', 'more'), ('cpu_s', 'less'), ('peak_mib', 'less')):
        ratio = median('forewarn', key) / median('prometheus', key)
        print(f'{key}: forewarn / prometheus = {ratio:.2f} ({better} is better)')
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump({'series': len(series), 'samples': total, 'options': vars(options), **found}, file, indent=1)


main()
