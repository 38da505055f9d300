"""The bytes of remote write: a protobuf message WriteRequest (prometheus/prompb/remote.proto) in a block of snappy."""
import struct

HEADERS = {'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf', 'X-Prometheus-Remote-Write-Version': '0.1.0'}


def varint(n):
    out = b''
    while n >= 0x80:
        out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
    return out + bytes([n])


def field(number, data):
    """A field that carries its length."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def labels(pairs):
    """What a series is called, for series()."""
    return b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items()))


def series(called, samples):
    """One series, [(milliseconds, value)]; a message is any number of them, one behind the other."""
    return field(1, called + b''.join(field(2, b'\x09' + struct.pack('<d', value) + b'\x10' + varint(ms)) for ms, value in samples))


def literals(message):
    """A block of snappy that compresses nothing, for where no libsnappy is at hand."""
    pieces = [varint(len(message))]
    for at in range(0, len(message), 65536):
        piece = message[at:at + 65536]
        pieces += [b'\xf4' + struct.pack('<H', len(piece) - 1), piece]
    return b''.join(pieces)


def request(every):
    """[(labels, [(milliseconds, value)])] as a body to be sent with HEADERS."""
    return literals(b''.join(series(labels(pairs), samples) for pairs, samples in every))
