#!/usr/bin/env python3
"""Writes the files below a folder as C arrays, each as it is and compressed: embed.py DIST OUT.c

The result depends on the files alone: names sorted, no time in the gzip header."""
import gzip
import hashlib
import os
import re
import sys

TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.txt': 'text/plain; charset=utf-8',
}
PER_LINE = 24


def files(root):
    for directory, folders, names in os.walk(root):
        folders.sort()
        for name in names:
            path = os.path.join(directory, name)
            yield os.path.relpath(path, root).replace(os.sep, '/'), path


def array(name, data):
    rows = [','.join(map(str, data[i:i + PER_LINE])) for i in range(0, len(data), PER_LINE)]
    return f'static const unsigned char {name}[] = {{\n' + ',\n'.join(rows) + '};\n'


def main():
    root, target = sys.argv[1:]
    arrays, entries = [], []
    for index, (name, path) in enumerate(sorted(files(root))):
        kind = TYPES.get(os.path.splitext(name)[1])
        if kind is None or not re.fullmatch(r'(assets/)?[0-9A-Za-z._-]+', name):
            sys.exit(f'embed: {name}: neither a known type nor a plain name')
        data = open(path, 'rb').read()
        packed = gzip.compress(data, 9, mtime=0)
        arrays += [array(f'file{index}', data), array(f'gzip{index}', packed)]
        entries.append(f'    {{"{name}", "{kind}", "{hashlib.sha256(data).hexdigest()[:16]}", '
                       f'file{index}, gzip{index}, {len(data)}, {len(packed)}}},\n')
    if not entries:
        sys.exit(f'embed: {root} holds no files')
    text = ('/* Made by tools/embed.py. */\n#include "web/web_internal.h"\n\n' + '\n'.join(arrays) +
            '\nconst struct web_asset web_embedded[] = {\n' + ''.join(entries) + '};\n' +
            'const size_t web_embedded_count = sizeof web_embedded / sizeof web_embedded[0];\n' +
            '_Static_assert(sizeof web_embedded / sizeof web_embedded[0] <= WEB_ASSETS_MAX, "WEB_ASSETS_MAX");\n')
    with open(target, 'w', encoding='ascii') as out:
        out.write(text)


main()
