"""What the scenarios with one server of their own share: free ports, a server that is ready, requests."""
import contextlib
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')


def free_ports(n):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def ask(url, data=None, **headers):
    """Status, headers and body, whatever the status; names of headers with _ for -."""
    request = urllib.request.Request(url, data=data, headers={k.replace('_', '-'): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def wait_for(what, process, condition):
    """Until the process answers; OSError means not yet."""
    end = time.monotonic() + 30
    while True:
        assert process.poll() is None, what + ' ended'
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < end, what + ' does not answer'
        time.sleep(0.1)


class Server(str):
    """Its address, and its process."""
    process = None


@contextlib.contextmanager
def serving(program, *options, key=None):
    """A server on a port and a directory of its own; its address."""
    port, = free_ports(1)
    url = 'http://127.0.0.1:%d' % port
    environment = dict(os.environ) if key is None else {**os.environ, 'FOREWARN_API_KEY': key}
    with tempfile.TemporaryDirectory(prefix='forewarn-scenario-') as directory:
        process = subprocess.Popen([program, 'serve', '--listen', '127.0.0.1:%d' % port, '--data',
                                    os.path.join(directory, 'data'), *options],
                                   env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for('forewarn', process, lambda: ask(url + '/readyz')[0] == 200)
            server = Server(url)
            server.process = process
            yield server
        finally:
            process.kill()
            process.wait()
