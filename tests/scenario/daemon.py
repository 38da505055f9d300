"""What the scenarios of deliveries share: a daemon on steps of a second, and a receiver that can be told to misbehave.
Python's standard library only."""
import atexit
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f'waited {seconds} s for {what}'
        time.sleep(0.05)


class Daemon:
    """forewarn serve; start() goes on with the same port, directory and configuration."""

    def __init__(self, program, directory, config, step=1):
        self.program, self.directory, self.step = program, directory, step
        self.port = free_port()
        self.config = os.path.join(directory, 'forewarn.conf')
        with open(self.config, 'w', encoding='utf-8') as file:
            file.write('[forecast]\nmin_interval = 0\n[fleet]\nstale_steps = 60\n' + config)
        self.log = open(os.path.join(directory, 'forewarn.log'), 'a+', encoding='utf-8')
        self.process = None
        atexit.register(self.end)  # of a test that failed
        self.start()

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith('FOREWARN_') and k != 'http_proxy'}
        self.process = subprocess.Popen(
            [self.program, 'serve', '--config', self.config, '--listen', f'127.0.0.1:{self.port}', '--data',
             os.path.join(self.directory, 'data'), '--step', str(self.step), '--rate-limit', 'off'],
            stdout=subprocess.DEVNULL, stderr=self.log, env=environment)
        wait_for('the daemon to be ready', self.ready)

    def ready(self):
        assert self.process.poll() is None, 'the daemon ended:\n' + self.log_text()
        try:
            return self.request('GET', '/readyz')[0] == 200
        except OSError:
            return False

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(20) == 0
        self.log.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def log_text(self):
        self.log.flush()
        with open(self.log.name, encoding='utf-8') as file:
            return file.read()

    def request(self, method, path, body=None):
        """(status, parsed body or text)"""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', data, method=method,
                                         headers={'Content-Type': 'application/json'})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def alerts(self, query='?state=all'):
        return self.request('GET', '/api/v1/alerts' + query)[1]['alerts']

    def metric(self, line):
        for text in self.request('GET', '/metrics')[1].splitlines():
            if text.startswith(line + ' '):
                return float(text.rsplit(' ', 1)[1])
        return None


class Feeder:
    """Sends a record a server and second; values may change on the way."""

    def __init__(self, daemon, **servers):
        self.daemon, self.servers = daemon, {name.replace('_', '-'): value for name, value in servers.items()}
        self.accepted, self.slowest, self.stopping = 0, 0.0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            now = time.time()
            stamp = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))
            records = [{'timestamp': stamp, 'server_name': name, **values} for name, values in self.servers.items()]
            try:
                began = time.monotonic()
                status, answer = self.daemon.request('POST', '/feed/data', {'records': records})
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.accepted += answer['records_accepted'] if status == 200 else 0
            except OSError:
                pass
            time.sleep(max(0.0, 0.5 - (time.time() - now)))

    def stop(self):
        self.stopping = True
        self.thread.join()


class Receiver:
    """A webhook. `mode`: an HTTP status, 'hang' (accepts and never answers) or 'drip' (a byte a second)."""

    def __init__(self, mode=200, port=0):
        self.messages, self.requests, self.mode = [], 0, mode
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                outer.requests += 1
                if outer.mode == 'hang':
                    outer.released.wait(30)
                    return
                if outer.mode == 'drip':
                    self.wfile.write(b'HTTP/1.1 200 OK\r\nX-Drip: ')
                    while not outer.released.wait(0.2):
                        try:
                            self.wfile.write(b'x')
                        except OSError:
                            return
                    return
                outer.messages += [json.loads(body)] if outer.mode == 200 else []
                self.send_response(outer.mode)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.released = threading.Event()
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)
        self.thread.start()

    def url(self):
        return f'http://127.0.0.1:{self.port}/hook'

    def told(self, status, server):
        """Alerts of a server that were told with this status."""
        return [a for m in list(self.messages) for a in m['alerts']
                if a['status'] == status and a['labels']['server'] == server]

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
