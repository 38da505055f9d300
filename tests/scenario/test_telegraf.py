"""What Telegraf sends with packaging/telegraf/forewarn.conf: lines of a made-up host, chosen by the file's inputs and its
namepass, packed with gzip, with the token, to the path of its output. Every metric that Telegraf can give is there."""
import gzip
import json
import os
import sys
import time
import tomllib

from harness import ROOT, ask, serving

FOREWARN = sys.argv[1]
STEP, INTERVAL, GATHERINGS = 60, 10, 12
KEY = 'a-key-that-is-long-enough-0123456789'
EXPECTED = {'cpu_user_pct': 21, 'cpu_sys_pct': 9, 'cpu_iowait_pct': 2, 'cpu_idle_pct': 68, 'java_cpu_pct': 40, 'mem_used_pct': 62.5,
            'swap_used_pct': 12.5, 'disk_usage_pct': 71, 'net_in_mb_s': 3, 'net_out_mb_s': 1, 'back_close_wait': 6,
            'load_average': 2.25, 'uptime_days': 3}


def gather(plugin, i):
    """Lines without times, as the plugin of that name makes them."""
    grown = INTERVAL * i * 1048576
    lines = {
        'cpu': ['cpu,cpu=cpu-total,host=db\\ 1 usage_user=20.5,usage_system=8,usage_idle=68,usage_nice=0.5,usage_iowait=2,usage_irq=0.25,'
                'usage_softirq=0.75,usage_steal=0,usage_guest=0,usage_guest_nice=0'],
        'mem': ['mem,host=db\\ 1 active=5i,available=6442450944i,available_percent=37.5,total=17179869184i,used=9i,used_percent=55.5'],
        'swap': ['swap,host=db\\ 1 free=7i,total=8i,used=1i,used_percent=12.5', 'swap,host=db\\ 1 in=0i,out=0i'],
        'disk': ['disk,device=sda1,fstype=ext4,host=db\\ 1,mode=rw,path=/ free=5i,total=9i,used=4i,used_percent=44.5,inodes_used=3i',
                 'disk,device=sdb1,fstype=xfs,host=db\\ 1,mode=rw,path=/var/lib/my\\ data free=5i,total=9i,used=4i,used_percent=71',
                 'disk,device=sr0,fstype=iso9660,host=db\\ 1,mode=ro,path=/cdrom used_percent=100'],
        'net': ['net,host=db\\ 1,interface=eth0 bytes_recv=%di,bytes_sent=%di,packets_recv=5i,err_in=0i' % (2 * grown, grown),
                'net,host=db\\ 1,interface=eth1 bytes_recv=%di,bytes_sent=0i' % grown,
                'net,host=db\\ 1,interface=docker0 bytes_recv=%di,bytes_sent=%di' % (9 * grown, 9 * grown)],
        'netstat': ['netstat,host=db\\ 1 tcp_established=90i,tcp_close_wait=6i,tcp_listen=8i,udp_socket=4i'],
        'system': ['system,host=db\\ 1 load1=2.25,load5=2,load15=1.75,n_cpus=4i,n_users=2i', 'system,host=db\\ 1 uptime=259200i',
                   'system,host=db\\ 1 uptime_format="3 days,  0:00"'],
        'procstat': ['procstat,exe=java,host=db\\ 1,pid=17,process_name=java,user=app cpu_usage=100,memory_rss=5i,cmdline="java -cp \\"a b\\""',
                     'procstat,exe=java,host=db\\ 1,pid=18,process_name=java,user=app cpu_usage=60,memory_rss=5i'],
    }
    return lines[plugin]


def send(url, path, token, body):
    headers = {'Content_Encoding': 'gzip', 'Content_Type': 'text/plain; charset=utf-8', 'User_Agent': 'Telegraf'}
    if token is not None:
        headers['Authorization'] = 'Token ' + token
    return ask(url + path, gzip.compress(body.encode()), **headers)[0]


def run(url, config):
    output, = config['outputs']['influxdb_v2']
    assert output['urls'] == ['http://127.0.0.1:8000'] and output['token'].startswith('$')
    path = '/api/v2/write?bucket=%s&org=%s' % (output['bucket'], output['organization'])
    begin = int(time.time()) // INTERVAL * INTERVAL - GATHERINGS * INTERVAL
    for i in range(1, GATHERINGS + 1):
        lines = [line for plugin in config['inputs'] for line in gather(plugin, i) if line.split(',')[0] in output['namepass']]
        stamped = ''.join('%s %d000000000\n' % (line, begin + i * INTERVAL) for line in lines)
        assert send(url, path, KEY, stamped) == 204
    assert send(url, path, None, stamped) == 401 and send(url, path, 'wrong', stamped) in (401, 403)
    held = json.loads(ask(url + '/api/v1/servers/db%201/window', X_API_Key=KEY)[2])['metrics']
    for name, expected in EXPECTED.items():
        values = [v for v in held[name]['values'] if v is not None]
        assert values and all(abs(v - expected) < 0.01 for v in values), (name, values)
    assert set(held) == set(EXPECTED), sorted(held)


def main():
    with open(os.path.join(ROOT, 'packaging', 'telegraf', 'forewarn.conf'), 'rb') as file:
        config = tomllib.load(file)
    with serving(FOREWARN, '--step', str(STEP), key=KEY) as url:
        run(url, config)
    print('ok: %d metrics of %d inputs' % (len(EXPECTED), len(config['inputs'])))
    return 0


sys.exit(main())
