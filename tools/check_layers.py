#!/usr/bin/env python3
"""Checks the include directions of src/ against the table in docs/ARCHITECTURE.md.

A row of the table is `| folder | may include |`; "everything" means all folders but `cli`. Every folder may include
itself and base. A public header must compile alone, and `*_internal.h` may be included from its own folder only.
Exit 0: clean; 1: a list of what is not."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, 'src')


def table():
    text = open(os.path.join(ROOT, 'docs', 'ARCHITECTURE.md'), encoding='utf-8').read()
    begin, end = '<!-- include table -->', '<!-- end of include table -->'
    rows = text[text.index(begin):text.index(end)].splitlines()
    allowed = {}
    for row in rows:
        cells = [c.strip() for c in row.strip().strip('|').split('|')]
        if len(cells) < 2 or not row.startswith('|') or set(cells[0]) <= set('-: ') or cells[0] == 'Folder':
            continue
        for folder in re.findall(r'[a-z]+', cells[0]):
            allowed[folder] = set(re.findall(r'[a-z]+', cells[1])) - {'nothing', 'and', 'only'}
    return allowed


def sources():
    for directory, _, names in os.walk(SRC):
        for name in sorted(names):
            if name.endswith(('.c', '.h', '.cpp')):
                yield os.path.join(directory, name)


def check_directions(allowed):
    problems = []
    folders = {d for d in os.listdir(SRC) if os.path.isdir(os.path.join(SRC, d))}
    problems += [f'src/{d}: not in the include table' for d in sorted(folders - set(allowed))]
    for path in sources():
        folder = os.path.relpath(path, SRC).split(os.sep)[0]
        may = allowed.get(folder, set())
        may = (set(allowed) - {'cli'} if 'everything' in may else may) | {folder, 'base'}
        if folder == 'base':
            may = {'base'}
        for number, line in enumerate(open(path, encoding='utf-8'), 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not found:
                continue
            target = found.group(1)
            where = f'{os.path.relpath(path, ROOT)}:{number}'
            if not os.path.exists(os.path.join(SRC, target)):
                problems.append(f'{where}: "{target}" is not a path from src/')
                continue
            other = target.split('/')[0]
            if other not in may:
                problems.append(f'{where}: {folder} may not include {other}')
            if target.endswith('_internal.h') and other != folder:
                problems.append(f'{where}: {target} is internal to {other}')
    return problems


def check_headers():
    """Every header compiles alone: one translation unit each, all in one compiler run."""
    headers = [os.path.relpath(p, SRC) for p in sources() if p.endswith('.h')]
    problems = []
    with tempfile.TemporaryDirectory() as directory:
        for header in headers:
            unit = os.path.join(directory, header.replace('/', '_') + '.c')
            with open(unit, 'w', encoding='utf-8') as f:
                f.write(f'#include "{header}"\nextern int not_empty;\n')
        units = [os.path.join(directory, n) for n in sorted(os.listdir(directory))]
        flags = ['-std=c17', '-D_POSIX_C_SOURCE=200809L', '-fsyntax-only', '-I', SRC]
        done = subprocess.run(['cc', *flags, *units], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            problems += [line for line in done.stderr.splitlines() if 'error' in line]
    return problems


def main():
    problems = check_directions(table()) + check_headers()
    for problem in problems:
        print(problem)
    print(f'{sum(1 for _ in sources())} files, {len(problems)} problems')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
