"""The daemon against clients that mean harm: malformed requests, mutated ones, slow ones, and keys that are none.

Black box: nothing is known of the program but its port, so that the same script can be run against any build. Needs
only Python's standard library. Usage: test_http_wire.py PATH_OF_FOREWARN
"""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

KEY = "black-box-key-0123456789"
HOST = b"Host: localhost\r\n"
SKIPPED = 77


class Daemon:
    """A daemon on a port of its own with one admin key, and an empty data directory."""

    def __init__(self, program):
        self.dir = tempfile.mkdtemp(prefix="forewarn-hostile-")
        keys = os.path.join(self.dir, "keys")
        with open(keys, "w", opener=lambda p, f: os.open(p, f, 0o600)) as out:
            out.write("box:admin:%s\n" % KEY)
        self.log = open(os.path.join(self.dir, "log"), "w+b")
        self.process = subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0", "--data", os.path.join(self.dir, "data"),
             "--api-key-file", keys, "--rate-limit", "off", "--step", "60", "--log-level", "debug"],
            stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        match = re.search(r":(\d+)\s*$", line)
        if match is None:
            self.stop()
            print("skipped: the program does not serve here: %r" % line)
            sys.exit(SKIPPED)
        self.port = int(match.group(1))
        self.wait_until_ready()

    def wait_until_ready(self):
        """It listens before its windows are whole."""
        for _ in range(600):
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                s.sendall(b"GET /readyz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
                if s.recv(64).split(b" ")[1:2] == [b"200"]:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError("never ready")

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=20)
        self.log.seek(0)
        text = self.log.read()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return code, text

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=8)

    def ask(self, data, half_close=True):
        """Status (0: closed without an answer) and everything received."""
        with self.connect() as sock:
            try:
                sock.sendall(data)
                if half_close:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it hung up before it had heard everything
            answer = b""
            try:
                while True:
                    piece = sock.recv(65536)
                    if not piece:
                        break
                    answer += piece
            except ConnectionResetError:
                pass
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
        return (int(match.group(1)) if match else 0), answer

    def get(self, path, headers=b"", method=b"GET"):
        return self.ask(method + b" " + path.encode() + b" HTTP/1.1\r\n" + HOST +
                        b"Connection: close\r\n" + headers + b"\r\n")

    def check_health(self, name):
        status, _ = self.get("/health")
        assert status == 200, "%s: health is %d afterwards" % (name, status)
        assert self.process.poll() is None, "%s: the daemon is gone" % name


def feed(lines, body=b""):
    return b"POST /feed/data HTTP/1.1\r\n" + HOST + b"X-API-Key: " + KEY.encode() + b"\r\n" + lines + b"\r\n" + body


def get(lines, line=b"GET /status HTTP/1.1\r\n"):
    return line + lines + b"\r\n"


def malformed():
    """(name, bytes): none may be answered 2xx or 5xx (505 for another major version apart)."""
    yield "bare LF", b"GET /status HTTP/1.1\nHost: localhost\n\n"
    yield "bare LF once", get(b"Host: localhost\nX: y\r\n")
    yield "obs-fold", get(HOST + b"X: a\r\n b\r\n")
    yield "NUL in a value", get(HOST + b"X: a\0b\r\n")
    yield "no Host", get(b"")
    yield "two Hosts", get(HOST + HOST)
    yield "rebinding Host", get(b"Host: evil.example\r\n")
    yield "absolute form", get(HOST, b"GET http://localhost/status HTTP/1.1\r\n")
    yield "lower-case method", get(HOST, b"get /status HTTP/1.1\r\n")
    yield "HTTP/1.7", get(HOST, b"GET /status HTTP/1.7\r\n")
    yield "HTTP/3.0", get(HOST, b"GET /status HTTP/3.0\r\n")
    yield "target of 5000", get(HOST, b"GET /status?" + b"a" * 5000 + b" HTTP/1.1\r\n")
    yield "100 header lines", get(HOST + b"".join(b"X-%d: a\r\n" % i for i in range(100)))
    yield "header of 20000", get(HOST + b"X: " + b"a" * 20000 + b"\r\n")
    yield "header of a megabyte", get(HOST + b"X: " + b"a" * 1000000 + b"\r\n")
    yield "TE and CL", feed(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")
    yield "two lengths", feed(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}x")
    for value in (b"+2", b"-2", b"0x2", b"2 2", b"2,2", b"2.0", b"", b"two", b"9" * 40):
        yield "length %r" % value, feed(b"Content-Length: " + value + b"\r\n", b"{}")
    for value in (b"gzip", b"chunked, chunked", b"identity", b"xchunked", b"chunked;a=b", b""):
        yield "TE %r" % value, feed(b"Transfer-Encoding: " + value + b"\r\n", b"2\r\n{}\r\n0\r\n\r\n")
    for size in (b"0x2", b"+2", b"-2", b"2 ", b" 2", b"g", b"", b"2;a=b", b"f" * 17):
        yield "chunk size %r" % size, feed(b"Transfer-Encoding: chunked\r\n", size + b"\r\n{}\r\n0\r\n\r\n")
    for coding in (b"br", b"deflate", b"gzip, gzip", b"zstd", b"\xff"):
        yield "coding %r" % coding, feed(b"Content-Encoding: " + coding + b"\r\nContent-Length: 2\r\n", b"{}")
    yield "gzip that is none", feed(b"Content-Encoding: gzip\r\nContent-Length: 2\r\n", b"{}")
    yield "short body", feed(b"Content-Length: 100\r\n", b"{}")
    yield "ten gigabytes", feed(b"Content-Length: 10000000000\r\n", b"{}")
    for name in (b"X ", b"X\t", b"X\x01", b"X(", b"", b"X\xe9"):
        yield "header name %r" % name, get(HOST + name + b": a\r\n")
    for target in (b"*", b"status", b"/sta tus", b"/st\x01", b"/\xff", b"/%", b"/%zz", b"/%00", b"/%c0%af", b"/a#b",
                   b"/..", b"//status", b"/status/../status", b"/%2e%2e/status"):
        yield "target %r" % target, get(HOST, b"GET " + target + b" HTTP/1.1\r\n")
    yield "rubbish", bytes(range(256)) * 8
    yield "TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500


def test_malformed(daemon):
    count = 0
    for name, data in malformed():
        start = time.monotonic()
        status, answer = daemon.ask(data)
        assert status == 0 or 400 <= status <= 499 or status == 505, "%s: %d %r" % (name, status, answer[:200])
        assert time.monotonic() - start < 5, "%s: it took %.1f s" % (name, time.monotonic() - start)
        daemon.check_health(name)
        count += 1
    assert count >= 65, count
    print("malformed: %d refused" % count)


def test_mutated(daemon):
    """Good requests with bytes changed, dropped, doubled: anything but a crash, a hang, or a 5xx."""
    rng = random.Random(1)
    body = b'{"records":[{"timestamp":"2026-11-23T01:00:00","server_name":"box","cpu_user_pct":5}]}'
    seeds = [get(HOST + b"Accept-Encoding: gzip, zstd;q=0.5\r\nIf-None-Match: W/\"x\"\r\n"),
             feed(b"Content-Length: %d\r\nContent-Type: application/json\r\n" % len(body), body),
             feed(b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
             b"OPTIONS /feed/data HTTP/1.1\r\n" + HOST +
             b"Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"]
    for i in range(1500):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            kind = rng.randrange(4)
            if kind == 0:
                data[at] = rng.randrange(256)
            elif kind == 1:
                del data[at:at + rng.randint(1, 8)]
            elif kind == 2:
                data[at:at] = data[at:at + rng.randint(1, 40)]
            else:
                data[at:at] = rng.choice([b"\r", b"\n", b"\0", b" ", b":", b"\r\n", b"%", b"\xff"])
            if not data:
                data = bytearray(b"x")
        status, answer = daemon.ask(bytes(data))
        assert status < 500 or status == 505, (i, status, bytes(data), answer[:200])
    daemon.check_health("mutated")


def test_keys(daemon):
    """Every path of the API's own description, with no key and with bad ones: open or refused, never served."""
    _, answer = daemon.get("/openapi.json")
    paths = json.loads(answer.split(b"\r\n\r\n", 1)[1])["paths"]
    free = {"/", "/health", "/status", "/livez", "/readyz", "/openapi.json", "/metrics", "/ping", "/influx/ping"}
    free |= {"/servers/{name}", "/dashboard/{page}", "/assets/{file}"}  # the dashboard's own files: nothing of the fleet
    bad = [b"", b"X-API-Key: wrong\r\n", b"Authorization: Bearer wrong\r\n", b"Authorization: Basic Ondyb25n\r\n",
           b"X-API-Key: " + KEY[:-1].encode() + b"\r\n", b"X-API-Key: " + KEY.upper().encode() + b"\r\n"]
    refused = 0
    for path, methods in paths.items():
        for method in methods:
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            for headers in bad:
                concrete = re.sub(r"\{[^}]*\}", "x", path)
                status, answer = daemon.get(concrete, headers, method.upper().encode())
                if status in (401, 403, 429):
                    refused += 1
                else:
                    assert path in free or path.startswith("/docs"), (method, path, headers, status)
                assert KEY.encode() not in answer
    assert refused >= 20, refused
    print("keys: %d refused" % refused)


def test_slow(daemon):
    """Slow clients of five kinds: a normal client does not notice, and unfinished heads are cut off."""
    kinds = [b"", b"GET /status HT", b"GET /status HTTP/1.1\r\nHost: loc", b"POST /feed/data HTTP/1.1\r\n" + HOST +
             b"X-API-Key: " + KEY.encode() + b"\r\nContent-Length: 1000\r\n\r\n", get(HOST)]
    socks = [(i % len(kinds), daemon.connect()) for i in range(300)]
    for kind, sock in socks:
        sock.sendall(kinds[kind])
        sock.setblocking(False)
    stop = threading.Event()
    worst = [0.0]

    def normal():
        while not stop.is_set():
            start = time.monotonic()
            assert daemon.get("/health")[0] == 200
            worst[0] = max(worst[0], time.monotonic() - start)
            time.sleep(0.02)

    thread = threading.Thread(target=normal)
    thread.start()
    start = time.monotonic()
    unfinished = {sock for kind, sock in socks if kind in (1, 2)}
    while unfinished and time.monotonic() - start < 15:
        for kind, sock in socks:
            if sock not in unfinished:
                continue
            try:
                sock.send(b"a")
                if sock.recv(4096) == b"":
                    unfinished.discard(sock)
            except BlockingIOError:
                pass
            except OSError:
                unfinished.discard(sock)
        time.sleep(0.2)
    took = time.monotonic() - start
    stop.set()
    thread.join()
    for _, sock in socks:
        sock.close()
    assert not unfinished, "%d unfinished heads still open after 15 s" % len(unfinished)
    assert worst[0] < 1.0, "a normal client waited %.2f s" % worst[0]
    print("slow: unfinished heads gone after %.1f s, a normal client waited %.0f ms at most" % (took, worst[0] * 1000))


def check_log(text):
    for line in text.split(b"\n"):
        assert len(line) < 4096, line[:200]
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line), line
    assert KEY.encode() not in text


def main():
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        print("skipped: no program")
        return SKIPPED
    daemon = Daemon(sys.argv[1])
    try:
        test_malformed(daemon)
        test_mutated(daemon)
        test_slow(daemon)
        test_keys(daemon)  # last: it locks this source out for a minute
    finally:
        code, text = daemon.stop()
    assert code == 0, "the daemon ended with %d" % code
    check_log(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
