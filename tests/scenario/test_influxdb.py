"""Line protocol as InfluxDB reads it: the same bodies to Debian's InfluxDB and to forewarn, and the same
answers, names, values and times from both. What differs on purpose is listed."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from harness import ask, free_ports, serving, wait_for

FOREWARN = sys.argv[1]
STEP = 60

# {h} is a server's name of this case alone, {t} a time in this very step, in nanoseconds.
CASES = [
    'forewarn,host={h} load_average=1', 'forewarn,host={h} load_average=1 {t}', 'forewarn,host={h} load_average=12i {t}',
    ' forewarn,host={h} load_average=1', '\tforewarn,host={h} load_average=1', 'forewarn,host={h}  load_average=1  {t} ',
    'forewarn,host={h} load_average=.5', 'forewarn,host={h} load_average=5.', 'forewarn,host={h} load_average=1e1',
    'forewarn,host={h} load_average=1E+1', 'forewarn,host={h} load_average=1e-1', 'forewarn,host={h} load_average=1e-400',
    'forewarn,host={h} load_average=0.1', 'forewarn,host={h} load_average=01', 'forewarn,host={h} load_average=00i',
    'forewarn,host={h} load_average=+1', 'forewarn,host={h} load_average=1e', 'forewarn,host={h} load_average=1e400',
    'forewarn,host={h} load_average=0x10', 'forewarn,host={h} load_average=NaN', 'forewarn,host={h} load_average=nan',
    'forewarn,host={h} load_average=Inf', 'forewarn,host={h} load_average=-Inf', 'forewarn,host={h} load_average=1_0',
    'forewarn,host={h} load_average=--1', 'forewarn,host={h} load_average=1.2.3', 'forewarn,host={h} load_average=1.5i',
    'forewarn,host={h} load_average=1e3i', 'forewarn,host={h} load_average=i', 'forewarn,host={h} load_average=-',
    'forewarn,host={h} load_average=9223372036854775808i', 'forewarn,host={h} x=-9223372036854775808i',
    'forewarn,host={h} load_average=1#c', 'forewarn,host={h} load_average=1 # c', 'forewarn,host={h} load_average=1\t',
    'forewarn,host={h} x=t,load_average=2', 'forewarn,host={h} x=True,y=F,z=false', 'forewarn,host={h} x=tRue',
    'forewarn,host={h} x=yes', "forewarn,host={h} x='a'",
    'forewarn,host={h} x="a",load_average=2', 'forewarn,host={h} x="a b,c=d",load_average=2',
    'forewarn,host={h} x="a\\"b",load_average=2', 'forewarn,host={h} x="a\\\\",load_average=2',
    'forewarn,host={h} x="a\nb",load_average=2', 'forewarn,host={h} x="",load_average=2', 'forewarn,host={h} x="a',
    'forewarn,host={h} x="a\nforewarn,host={h} load_average=3', 'forewarn,host={h} x=a"',
    'forewarn,host={h}\\ b load_average=1', 'forewarn,host={h}\\,b load_average=1', 'forewarn,host={h}\\=b load_average=1',
    'forewarn,host={h}\\b load_average=1', 'forewarn,host={h}=b load_average=1', 'forewarn,host={h}\\ load_average=1',
    'forewarn,host={h}\\\\ load_average=1', 'forewarn,host="{h}" load_average=1', 'forewarn,host="{h} b" load_average=1',
    'forewarn,a\\ b=1,host={h} load_average=1', 'forewarn,host={h},a\\,b=c\\=d load_average=1',
    'forewarn,host={h},a=1,a=2 load_average=1', 'forewarn,host={h},a= load_average=1', 'forewarn,host={h},a load_average=1',
    'forewarn,host={h},=a load_average=1', 'forewarn,host={h}, load_average=1', 'forewarn,,host={h} load_average=1',
    ',host={h} load_average=1', 'fore\\ warn,host={h} load_average=1', 'forewarn,host={h}\u00e4 load_average=1',
    'forewarn,host={h}', 'forewarn,host={h} ', 'forewarn,host={h} load_average', 'forewarn,host={h} load_average=',
    'forewarn,host={h} =1', 'forewarn,host={h} load_average=1,', 'forewarn,host={h} load_average=1,,x=2',
    'forewarn,host={h} load_average=1, x=2', 'forewarn,host={h} a\\ b=1,c\\,d=2,e\\=f=3,g"h=4,load_average=5',
    'forewarn,host={h} "a b"=1', 'forewarn,host={h} load_average=1,load_average=2',
    'forewarn,host={h} load_average=1 1.5', 'forewarn,host={h} load_average=1 1e5', 'forewarn,host={h} load_average=1 +5',
    'forewarn,host={h} load_average=1 5i', 'forewarn,host={h} load_average=1 {t} 20', 'forewarn,host={h} load_average=1 abc',
    'forewarn,host={h} load_average=1 9223372036854775808', 'forewarn,host={h} load_average=1 {t}\nforewarn,host={h} load_average=2 {t}',
    '# c', ' # c', '', '\n', '\n\nforewarn,host={h} load_average=1\n\n', '#forewarn,host={h} load_average=1\nforewarn,host={h} load_average=2',
    'forewarn,host={h} load_average=1 {t}\nbad\nforewarn,host={h}b load_average=2 {t}',
    'forewarn,host={h} load_average=1\n# c\nforewarn,host={h}b load_average=2',
    'bad\nworse\nforewarn,host={h} load_average=1',
]
# Taken here and refused there, or the other way round: unsigned integers (1.6 has them switched off), line ends as
# Windows writes them, text glued to a quoted value.
DIFFERENT = [
    ('forewarn,host={h} load_average=1u', 204, 400),
    ('forewarn,host={h} load_average=1\r\nforewarn,host={h}b load_average=2\r\n', 204, 400),
    ('forewarn,host={h} x="a"b', 400, 204),
]


class Influx:
    def __init__(self, directory):
        port, rpc = free_ports(2)
        self.url = 'http://127.0.0.1:%d' % port
        config = os.path.join(directory, 'influxdb.conf')
        with open(config, 'w', encoding='utf-8') as file:
            file.write('reporting-disabled = true\nbind-address = "127.0.0.1:%d"\n[meta]\ndir = "%s/meta"\n'
                       '[data]\ndir = "%s/data"\nwal-dir = "%s/wal"\n[http]\nbind-address = "127.0.0.1:%d"\n'
                       'log-enabled = false\n[monitor]\nstore-enabled = false\n'
                       % (rpc, directory, directory, directory, port))
        self.process = subprocess.Popen(['influxd', '-config', config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for('influxd', self.process, lambda: ask(self.url + '/ping')[0] == 204)

    def query(self, text):
        status, _, body = ask(self.url + '/query?' + urllib.parse.urlencode({'db': 't', 'epoch': 'ns', 'q': text}), b'')
        assert status == 200, body
        return json.loads(body)['results'][0].get('series', [])

    def write(self, body):
        """The status, and {server: its newest load_average}."""
        self.query('DROP DATABASE t')
        self.query('CREATE DATABASE t')
        status = ask(self.url + '/write?db=t', body, Content_Type='text/plain')[0]
        held = {}
        for series in self.query('SELECT last(load_average) FROM forewarn GROUP BY host'):
            held[series['tags']['host']] = series['values'][0][1]
        return status, held


class Forewarn:
    def __init__(self, url):
        self.url = url

    def write(self, body, name):
        """The same; servers of this case begin with its name."""
        status = ask(self.url + '/write?db=t', body, Content_Type='text/plain')[0]
        held = {}
        for server in json.loads(ask(self.url + '/api/v1/servers?limit=1000')[2])['servers']:
            server = server['server_name']
            if server.strip('"').startswith(name):
                window = json.loads(ask(self.url + '/api/v1/servers/%s/window' % urllib.parse.quote(server, safe=''))[2])
                held[server] = [v for v in window['metrics']['load_average']['values'] if v is not None][-1]
        return status, held


def body_of(case, name):
    return case.replace('{h}', name).replace('{t}', str(int(time.time()) * 1000000000)).encode()


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(abs(ours[s] - theirs[s]) < 1e-6 * max(1, abs(ours[s])) for s in ours)


def run(influx, forewarn):
    faults = []
    for number, case in enumerate(CASES):
        name = 's%03d' % number
        body = body_of(case, name)
        theirs, ours = influx.write(body), forewarn.write(body, name)
        # 1.6 averages nothing: of two samples of one time the last wins, here as well.
        if ours[0] != theirs[0] or not same(ours[1], theirs[1]):
            faults.append((body, ours, theirs))
    for number, (case, here, there) in enumerate(DIFFERENT):
        name = 'd%03d' % number
        body = body_of(case, name)
        if forewarn.write(body, name)[0] != here or influx.write(body)[0] != there:
            faults.append((body, 'expected', here, there))
    for fault in faults:
        print(*fault)
    assert not faults
    print('ok: %d bodies answered alike, %d on purpose not' % (len(CASES), len(DIFFERENT)))


def main():
    if shutil.which('influxd') is None:
        print('skipped: no program "influxd" (Debian package influxdb)')
        return 77
    with tempfile.TemporaryDirectory(prefix='forewarn-influxdb-') as directory:
        influx = Influx(directory)
        try:
            with serving(FOREWARN, '--step', str(STEP)) as url:
                run(influx, Forewarn(url))
        finally:
            influx.process.kill()
            influx.process.wait()
    return 0


sys.exit(main())
