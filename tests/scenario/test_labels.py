"""Labels of servers from every protocol: in the API, in both metrics' texts, in Grafana's queries, in what receivers are told;
silences that choose by them; kept over an end and a kill; bounded by the configuration's list."""
import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import remote_write
from daemon import Daemon, Feeder, Receiver, wait_for

PROGRAM = sys.argv[1]
FULL = {'disk_usage_pct': 99.0}
LISTED = '[ingest]\nlabels = dc, rack, service_name, job\n'


def post(daemon, path, body, kind):
    request = urllib.request.Request(f'http://127.0.0.1:{daemon.port}{path}', body, headers=kind)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def write_remotely(daemon, pairs, value):
    """One sample, now."""
    return post(daemon, '/api/v1/write', remote_write.request([(pairs, [(int(time.time() * 1000), value)])]), remote_write.HEADERS)


def otlp(daemon):
    def text(key, value):
        return {'key': key, 'value': {'stringValue': value}}
    point = {'timeUnixNano': str(time.time_ns()), 'asDouble': 1.5}
    body = {'resourceMetrics': [{
        'resource': {'attributes': [text('host.name', 'ot-1'), text('service.name', 'shop'), text('os.type', 'linux')]},
        'scopeMetrics': [{'metrics': [{'name': 'system.cpu.load_average.1m', 'gauge': {'dataPoints': [point]}}]}]}]}
    return post(daemon, '/v1/metrics', json.dumps(body).encode(), {'Content-Type': 'application/json'})


def servers(daemon):
    return {s['name']: s['labels'] for s in daemon.request('GET', '/api/v1/servers')[1]['servers']}


def query(daemon, path, **form):
    status, answer = daemon.request('GET', f'/api/v1/{path}?' + urllib.parse.urlencode(form))
    assert status == 200 and answer['status'] == 'success', answer
    return answer['data']


EXPECTED = {'rw-1': {'dc': 'fra', 'job': 'node'}, 'in-1': {'dc': 'ams', 'rack': 'r 7'}, 'ot-1': {'service_name': 'shop'},
            'js-1': {'dc': 'fra', 'rack': 'r"1\\'}, 'js-2': {}}


def feed_all(daemon):
    now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    called = {'__name__': 'node_load1', 'instance': 'rw-1:9100', 'job': 'node', 'dc': 'fra', 'colour': 'red'}
    assert write_remotely(daemon, called, 1) == 204
    line = f'system,host=in-1,dc=ams,rack=r\\ 7,colour=red load1=0.5 {time.time_ns()}\n'
    assert post(daemon, '/api/v2/write?org=o&bucket=b', line.encode(), {}) == 204
    assert otlp(daemon) == 200
    records = [{'server_name': 'js-1', 'timestamp': now, 'load_average': 1, 'labels': {**EXPECTED['js-1'], 'colour': 'red'}},
               {'server_name': 'js-2', 'timestamp': now, 'load_average': 1, 'labels': {'server': 'x', 'n': 5}}]
    assert daemon.request('POST', '/feed/data', {'records': records})[0] == 200


def check_everywhere(daemon):
    feed_all(daemon)
    wait_for('all of them', lambda: servers(daemon) == EXPECTED)
    assert daemon.request('GET', '/api/v1/servers/in-1')[1]['labels'] == EXPECTED['in-1']
    assert daemon.metric('forewarn_servers_labelled') == 4 and daemon.metric('forewarn_labels_dropped_total') == 0
    line = wait_for('a forecast of one', lambda: [t for t in daemon.request('GET', '/metrics/forecasts')[1].splitlines()
                                                  if 'server="js-1"' in t])[0]
    assert r'server="js-1",dc="fra",rack="r\"1\\"' in line, line
    found = query(daemon, 'query', query='forewarn_observed{dc="fra",metric="load_average"}')['result']
    assert {s['metric']['server']: s['metric'].get('job') for s in found} == {'rw-1': 'node', 'js-1': None}, found
    assert [s['metric']['server'] for s in query(daemon, 'query', query='forewarn_observed{rack=~"r .*"}')['result']] == ['in-1']
    without = query(daemon, 'query', query='forewarn_observed{dc="",metric="load_average"}')['result']
    assert sorted(s['metric']['server'] for s in without) == ['js-2', 'ot-1'], without
    assert query(daemon, 'query', query='forewarn_observed{colour="red"}')['result'] == []
    grouped = query(daemon, 'query', query='sum by (dc) (forewarn_observed{dc!="",metric="load_average"})')['result']
    assert {s['metric']['dc']: s['value'][1] for s in grouped} == {'fra': '2', 'ams': '0.5'}, grouped
    assert query(daemon, 'label/dc/values') == ['ams', 'fra'] and query(daemon, 'label/colour/values') == []
    assert query(daemon, 'label/rack/values', **{'match[]': 'forewarn_observed{dc="ams"}'}) == ['r 7']
    names = query(daemon, 'labels')
    assert {'dc', 'rack', 'service_name', 'job', 'server'} <= set(names) and 'colour' not in names, names
    assert names == sorted(names), names
    assert 'rack' not in query(daemon, 'labels', **{'match[]': 'forewarn_observed{server="rw-1"}'})


def test_protocols_and_restarts(directory):
    daemon = Daemon(PROGRAM, directory, LISTED)
    check_everywhere(daemon)
    daemon.stop()  # the end writes them
    daemon.start()
    assert servers(daemon) == EXPECTED, servers(daemon)
    # A change survives a kill from its acknowledgement on, of a server that is known and of one that is not; and so does what
    # was there before it, whatever of the two is in the store by then.
    for turn, (name, label) in enumerate((('js-2', {'rack': 'new'}), ('js-3', {'dc': 'ber'}), ('js-2', {'dc': 'ber'}))):
        now = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
        records = [{'server_name': name, 'timestamp': now, 'load_average': 1, 'labels': label}]
        assert daemon.request('POST', '/feed/data', {'records': records})[0] == 200
        daemon.kill()
        daemon.start()
        expected = [{**EXPECTED, 'js-2': {'rack': 'new'}}, {**EXPECTED, 'js-2': {'rack': 'new'}, 'js-3': {'dc': 'ber'}},
                    {**EXPECTED, 'js-2': {'rack': 'new', 'dc': 'ber'}, 'js-3': {'dc': 'ber'}}][turn]
        assert servers(daemon) == expected, (turn, servers(daemon))
    time.sleep(7)  # now they are in the store as well, and the journal has its say on top
    daemon.kill()
    daemon.start()
    assert servers(daemon) == expected, servers(daemon)
    # Another list: what is no longer on it goes with the next start.
    daemon.stop()
    with open(daemon.config, 'a', encoding='utf-8') as file:
        file.write('[ingest]\nlabels = rack\n')
    daemon.start()
    assert servers(daemon) == {'rw-1': {}, 'in-1': {'rack': 'r 7'}, 'ot-1': {}, 'js-1': {'rack': 'r"1\\'}, 'js-2': {'rack': 'new'}, 'js-3': {}}
    daemon.stop()


def test_alerts_and_silences(directory):
    hook = Receiver()
    daemon = Daemon(PROGRAM, directory, LISTED + '[notify]\nlabels = dc=nowhere, env=test\n'
                    f'[receiver hook]\ntype = webhook\nurl = {hook.url()}\n')
    status, silence = daemon.request('POST', '/api/v1/silences', {
        'labels': {'rack': 'r*', 'dc': 'fra'}, 'duration': '1h', 'created_by': 'ann'})
    assert status == 200 and silence['labels'] == {'dc': 'fra', 'rack': 'r*'} and silence['server'] is None, (status, silence)
    feeder = Feeder(daemon, held={**FULL, 'labels': {'dc': 'fra', 'rack': 'r1'}},
                    told={**FULL, 'labels': {'dc': 'fra', 'rack': 'x1'}}, bare=FULL)
    wait_for('those it is not about', lambda: hook.told('firing', 'told') and hook.told('firing', 'bare'))
    states = {a['server']: (a['state'], a['labels'], a['silenced_by']) for a in daemon.alerts('?state=active')}
    assert states == {'held': ('silenced', {'dc': 'fra', 'rack': 'r1'}, silence['id']),
                      'told': ('firing', {'dc': 'fra', 'rack': 'x1'}, None), 'bare': ('firing', {}, None)}, states
    assert not hook.told('firing', 'held')
    labels = hook.told('firing', 'told')[0]['labels']
    assert labels['dc'] == 'fra' and labels['rack'] == 'x1' and labels['env'] == 'test', labels
    assert hook.told('firing', 'bare')[0]['labels']['dc'] == 'nowhere'
    rules = daemon.request('GET', '/api/v1/rules')[1]['data']['groups'][0]['rules'][0]['alerts']
    assert {a['labels']['server']: a['labels'].get('rack') for a in rules} == {'held': 'r1', 'told': 'x1', 'bare': None}, rules
    daemon.kill()
    daemon.start()
    wait_for('the silence after a kill', lambda: [a for a in daemon.alerts('?state=silenced') if a['server'] == 'held'])
    assert daemon.request('DELETE', '/api/v1/silences/' + silence['id'])[0] == 200
    wait_for('what was held', lambda: hook.told('firing', 'held'))
    # A window that comes every day, by a label.
    status, window = daemon.request('POST', '/api/v1/silences', {'labels': {'rack': 'x1'}, 'recurrence': {
        'days': ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], 'from': time.strftime('%H:%M', time.gmtime()),
        'duration': '2h'}})
    assert status == 200 and window['state'] == 'active', window
    wait_for('the window', lambda: [a for a in daemon.alerts('?state=silenced') if a['server'] == 'told'])
    for labels in ([], 'rack=x', {'a b': 'x'}, {'rack': 7}, {'rack': ''}, {f'l{i}': 'x' for i in range(9)}):
        status, answer = daemon.request('POST', '/api/v1/silences', {'labels': labels, 'duration': '1h'})
        assert status in (400, 422) and 'labels' in json.dumps(answer), (labels, status, answer)
    feeder.stop()
    daemon.stop()
    hook.stop()


def main():
    for test in (test_protocols_and_restarts, test_alerts_and_silences):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix='forewarn-labels-') as directory:
            test(directory)
        print(f'ok {test.__name__} {time.monotonic() - began:.1f} s', flush=True)


main()
