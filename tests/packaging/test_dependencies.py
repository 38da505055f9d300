"""The Debian package and the image are built with what ./run builds with, and the image has every library that the program needs. Building it takes a Docker
daemon and Debian's archive, which a test does not ask for."""
import os
import re
import shutil
import subprocess
import sys

stages = open('packaging/docker/Dockerfile', encoding='utf-8').read().split('\nFROM ')[1:]
assert len(stages) == 2, stages


def packages(stage):
    text = re.search(r'--no-install-recommends(.*?)&&', stage.replace('\\\n', ' '), re.S).group(1)
    return set(text.split())


run = re.search(r'^BUILD_PACKAGES=\((.*?)\)', open('run', encoding='utf-8').read(), re.S | re.M).group(1)
assert packages(stages[0]) == set(run.split()), packages(stages[0]) ^ set(run.split())
control = open('packaging/debian/control', encoding='utf-8').read()
wanted = set(re.findall(r'^(?: +|Build-Depends: )([a-z0-9.+-]+)', control.split('\n\n')[0], re.M))
libraries = {package for package in run.split() if package.endswith('-dev') and package != 'libc6-dev'}
assert libraries | {'cmake', 'ninja-build', 'pkg-config', 'python3'} <= wanted, libraries - wanted
# Not as root, and without a key nothing that others could reach: the program itself sees to that.
assert re.search(r'^USER [1-9]\d*:[1-9]\d*$', stages[1], re.M)
command = re.findall(r'"([^"]+)"', re.search(r'^CMD (.*)$', stages[1], re.M).group(1))
refused = subprocess.run([sys.argv[1], *command], env={}, capture_output=True, text=True, timeout=20, check=False)
assert refused.returncode == 2 and 'needs an API key' in refused.stderr, refused

if shutil.which('dpkg') is None or 'bookworm' not in open('/etc/os-release', encoding='utf-8').read():
    print('skipped: names of libraries are those of Debian 12')
    sys.exit(77)
dynamic = subprocess.run(['objdump', '-p', sys.argv[1]], check=True, capture_output=True, text=True).stdout
needed = set()
for library in re.findall(r'NEEDED +(\S+)', dynamic):
    owners = subprocess.run(['dpkg', '-S', '*/x86_64-linux-gnu/' + library], check=True, capture_output=True, text=True).stdout
    needed |= {line.split(':')[0] for line in owners.splitlines() if not line.startswith('diversion')}
missing = needed - packages(stages[1]) - {'libc6', 'libasan8', 'libubsan1', 'libtsan2'}
assert needed and not missing, missing
print(f'{len(needed)} packages of libraries are in the image')
