"""Bodies that are small on the wire and large once unpacked, or small and costly to read, to every path that takes one:
refused or read within the memory bound, one by one and sixteen at once, and the server answers afterwards."""
import gzip
import json
import sys
import threading

from harness import ask, serving

FOREWARN = sys.argv[1]
PROTOBUF, JSON, TEXT = 'application/x-protobuf', 'application/json', 'text/plain'


def rise(process):
    """Highest resident size so far, in MiB."""
    with open('/proc/%d/status' % process.pid, encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmHWM')) / 1024


def bombs():
    """(path, content type, body before packing)"""
    zeros = bytes(64 << 20)
    nested = b'{"resourceMetrics":' + b'[' * (1 << 20)
    numbers = b'{"resourceMetrics":[' + b'0,' * (12 << 20) + b'0]}'
    fitting = b'{"x":[' + b'0,' * (3 << 20) + b'0]}'
    names = b''.join(b'm%07d,host=h f=1\n' % i for i in range(1500000))
    fields = b'm,host=h ' + b','.join(b'f%d=1' % i for i in range(100000)) + b'\n'
    points = b'\x0a\x00' * (12 << 20)
    for path in ('/write', '/api/v2/write'):
        for body in (zeros, names, fields, b'm v="' + b'x' * (30 << 20), b'm,t=' + b'\\,' * (14 << 20), b'\n' * (31 << 20)):
            yield path, TEXT, body
    for body in (zeros, nested, numbers, fitting, b'{"x":"' + b'y' * (7 << 20) + b'"}'):
        yield '/v1/metrics', JSON, body
    for body in (zeros, points, b'\x0a\xff\xff\xff\x0f' * (6 << 20)):
        yield '/v1/metrics', PROTOBUF, body
    yield '/feed/data', JSON, b' ' * (80 << 20)
    yield '/api/v1/query', 'application/x-www-form-urlencoded', b'query=' + b'(' * (1 << 20)


def throw(url, path, kind, body, packed):
    headers = {'Content_Encoding': 'gzip'} if packed else {}
    return ask(url + path, body, Content_Type=kind, **headers)[0]


def main():
    with serving(FOREWARN, '--rate-limit', 'off') as url:
        begin = rise(url.process)
        # Packed, where most are refused for what they grow to; and plain, where the readers see them.
        packed = [(path, kind, gzip.compress(body, 6), True) for path, kind, body in bombs()]
        plain = [(path, kind, body, False) for path, kind, body in bombs() if len(body) <= 32 << 20 and path != '/api/v1/query']
        risen = []
        for bodies, most in ((packed, 96), (plain, 192)):
            for bomb in bodies:
                status = throw(url, *bomb)
                assert status in (200, 204, 400, 413, 422, 503), (bomb[:2], len(bomb[2]), status)
            risen.append(rise(url.process) - begin)
            assert risen[-1] <= most, risen
        for at in range(0, len(packed), 16):
            threads = [threading.Thread(target=throw, args=(url, *bomb)) for bomb in packed[at:at + 16]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        risen.append(rise(url.process) - begin)
        assert risen[-1] <= 256, risen
        assert ask(url + '/readyz')[0] == 200
        body = json.dumps([{'server_name': 'a', 'timestamp': '2026-01-01T00:00:00Z', 'load_average': 1}]).encode()
        assert ask(url + '/feed/data', body, Content_Type=JSON)[0] in (200, 422)
    print('ok: %d bodies; at most %d MiB packed, %d MiB plain, %d MiB sixteen at once' % (len(packed) + len(plain), *risen))
    return 0


sys.exit(main())
