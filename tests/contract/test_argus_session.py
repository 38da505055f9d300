#!/usr/bin/env python3
"""A client session of the reference: the generator's feed bodies, the dashboard's polls, an adapter's batch. Every key
that those programs read is there with its type (docs/api.md; contract sections 3 to 5, 8, 11, 15)."""
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import *  # noqa: E402,F403

FLEET = ([f'ppml{i:04d}' for i in range(1, 4)] + [f'ppdb{i:03d}' for i in range(1, 4)] +
         [f'ppweb{i:03d}' for i in range(1, 5)] + ['ppcon01', 'ppetl001', 'pprisk001', 'ppgen001'])
PROFILES = {'ppml': 'ml_compute', 'ppdb': 'database', 'ppweb': 'web_api', 'ppcon': 'conductor_mgmt',
            'ppetl': 'data_ingest', 'pprisk': 'risk_analytics', 'ppgen': 'generic'}
METRICS = ['cpu_user_pct', 'cpu_sys_pct', 'cpu_iowait_pct', 'cpu_idle_pct', 'java_cpu_pct', 'mem_used_pct',
           'swap_used_pct', 'disk_usage_pct', 'net_in_mb_s', 'net_out_mb_s', 'back_close_wait', 'front_close_wait',
           'load_average', 'uptime_days']
NUMBERS = [float]


def generator_record(name, index, back):
    """What the generator sends: all fourteen metrics and its four extra fields."""
    wave = math.sin((back + index) / 20.0)
    user = 35 + 10 * wave + index % 5
    return {'timestamp': naive(grid(back)) + '.123456', 'server_name': name, 'status': 'healthy',
            'cpu_user_pct': user, 'cpu_sys_pct': 8.25, 'cpu_iowait_pct': 2.5, 'cpu_idle_pct': 100 - user - 10.75,
            'java_cpu_pct': 20.0, 'mem_used_pct': 62.0 + wave, 'swap_used_pct': 1.0,
            'disk_usage_pct': 97.0 if name == 'ppdb002' else 55.0, 'net_in_mb_s': 12.5, 'net_out_mb_s': 7.25,
            'back_close_wait': 3, 'front_close_wait': 2, 'load_average': 2.5, 'uptime_days': 12,
            'profile': next(p for prefix, p in PROFILES.items() if name.startswith(prefix)),
            'problem_child': False, 'cascade_impact': 0.0, 'notes': ''}


LEVEL = {'level': str, 'score': float, 'color': str, 'emoji': str, 'label': str}
DISPLAY = {'current': float, 'predicted': float, 'delta': float, 'unit': str, 'trend': str}
PATH = {'p50': NUMBERS, 'p10': NUMBERS, 'p90': NUMBERS, 'current': float, 'trend': float, 'unit': str,
        'method': str, 'quality': dict, 'last_seen': str}
ALERT = {'server': str, 'metric': str, 'severity': str, 'predicted_value': float, 'threshold': float,
         'steps_ahead': int, 'minutes_ahead': int, 'message': str, 'peak_value': float, 'peak_minutes': int,
         'probability': float, 'id': str, 'state': str, 'starts_at': (str, type(None)),
         'ends_at': (str, type(None)), 'ack': (dict, type(None)), 'silenced_by': (str, type(None)), 'labels': dict,
         'explanation': [dict], 'server_name': str, 'level': str, 'risk_score': float, 'profile': str,
         'time_to_issue': str}
ENVIRONMENT = {'prob_30m': float, 'prob_8h': float, 'incident_probability_30m': float,
               'incident_probability_8h': float, 'high_risk_servers': int, 'total_servers': int,
               'fleet_health': str, 'argus_score_30m': float, 'argus_score_8h': float}
METADATA = {'model_type': str, 'model_dir': str, 'prediction_time': str, 'horizon_steps': int, 'input_points': int,
            'device': str, 'risk_model': str}
SUMMARY = {'total_servers': int, 'critical_count': int, 'warning_count': int, 'degrading_count': int,
           'healthy_count': int, 'avg_risk_score': float, 'max_risk_score': float, 'top_5_risks': [str],
           'top_10_risks': [str], 'top_20_risks': [str], 'risk_calculation_time': str, 'critical': int,
           'warning': int, 'degraded': int, 'healthy': int, 'fleet_health': float, 'prob_30m': float,
           'prob_8h': float}


def check_server(name, server):
    typed(name, server, {'risk_score': float, 'profile': str, 'alert': LEVEL, 'display_metrics': dict,
                         'server_name': str, 'forecast': {'timestamps': [str]}, 'risk_drivers': [dict],
                         'warmup': {'ready': bool, 'have': int, 'need': int}, 'labels': dict, 'last_seen': str,
                         'status': str})
    equal('metrics', [m for m in METRICS if m not in server], [])
    for metric in METRICS:
        typed(f'{name}.{metric}', server[metric], PATH)
        path = server[metric]
        for quantile in ('p10', 'p50', 'p90'):
            equal(f'{metric}.{quantile}', len(path[quantile]), 96)
            assert all(isinstance(v, float) for v in path[quantile]), 'floats even for counts'
        assert all(a <= b <= c for a, b, c in zip(path['p10'], path['p50'], path['p90'])), f'{metric} crosses'
        assert path['method'] in ('tft', 'baseline', 'insufficient')
    # How the dashboard tells metrics from the rest.
    named = {k for k, v in server.items() if isinstance(v, dict) and 'p50' in v}
    assert named <= set(METRICS) | {'cascade_impact'}, named
    for key in ('cpu', 'memory', 'iowait', 'swap', 'load', 'disk', 'net_in', 'net_out'):
        typed(key, server['display_metrics'][key], DISPLAY)
        assert server['display_metrics'][key]['trend'] in ('increasing', 'decreasing', 'stable')
    near('p50[6] is half an hour ahead', server['cpu_user_pct']['p50'][6], server['cpu_user_pct']['current'], 60)
    equal('timestamps', len(server['forecast']['timestamps']), 96)


def cold(daemon):
    """A dashboard that opens before there is anything."""
    equal('health', daemon.get('/health').json()['status'], 'healthy')
    status = daemon.get('/status').json()
    typed('status', status, {'running': bool, 'tick_count': int, 'window_size': int, 'warmup': {
        'is_warmed_up': bool, 'progress_percent': int, 'threshold': int, 'current_size': int, 'required_size': int,
        'message': str}})
    equal('warm', status['warmup']['is_warmed_up'], False)
    equal('message', status['warmup']['message'], 'Waiting for data...')
    body = daemon.get('/predictions/current').json()
    equal('error', body['error'], 'insufficient_data')
    equal('message', body['message'], 'Need at least 100 records, have 0')
    equal('predictions', body['predictions'], {})
    typed('the other keys', body, {'alerts': [ALERT], 'environment': ENVIRONMENT, 'metadata': METADATA,
                                   'summary': SUMMARY})


def a_few(daemon):
    """45 records: still cold, and the count is right at once."""
    answer = daemon.feed([generator_record(FLEET[0], 0, back) for back in range(50, 5, -1)])
    equal('status code', answer.status, 200)
    body = answer.json()
    equal('status', body['status'], 'accepted')
    equal('window', body['window_size'], 45)
    body = daemon.get('/predictions/current').json()
    equal('error', body['error'], 'insufficient_data')
    equal('message', body['message'], 'Need at least 100 records, have 45')


def generator(daemon):
    """One batch per moment with a record for each server, oldest first."""
    for back in range(160, -1, -1):
        answer = daemon.feed([generator_record(name, i, back) for i, name in enumerate(FLEET)])
        equal('status', answer.status, 200)
        body = answer.json()
        typed('answer', body, {'status': str, 'tick': int, 'window_size': int, 'servers_tracked': int,
                               'servers_ready': int, 'warmup_complete': bool, 'records_received': int,
                               'records_accepted': int, 'records_rejected': int, 'rolling_window_size': int,
                               'progress': str, 'errors': [dict]})
        equal('status', body['status'], 'accepted')
        equal('rejected', body['records_rejected'], 0)
        equal('accepted', body['records_accepted'], len(FLEET))
    equal('servers', body['servers_tracked'], len(FLEET))
    equal('ready', body['servers_ready'], len(FLEET))
    equal('warm', body['warmup_complete'], True)
    equal('ticks', body['tick'], 162)


def adapter(daemon):
    """A batch of the Elasticsearch adapter: unsorted, twice, with a record that is broken."""
    batch = [record('es-host', grid(k), cpu_user_pct=20.5 + k, mem_used_pct='55.5') for k in (3, 0, 2, 1, 3)]
    batch.append({'server_name': 'es-host', 'timestamp': naive(grid(0)), 'cpu_user_pct': 'broken'})
    for _ in range(2):
        answer = daemon.feed(batch)
        equal('status', answer.status, 200)
        body = answer.json()
        equal('accepted', body['records_accepted'], 5)
        equal('rejected', body['records_rejected'], 1)
        typed('errors', body['errors'], [{'index': int, 'server_name': (str, type(None)),
                                          'field': (str, type(None)), 'type': str, 'msg': str}])
        equal('index', body['errors'][0]['index'], 5)
        equal('field', body['errors'][0]['field'], 'cpu_user_pct')
    window = daemon.get('/api/v1/servers/es-host/window').json()
    equal('window', window, {'server_name': 'es-host', 'step_seconds': 300, 'metrics': {
        'cpu_user_pct': {'timestamps': [grid(k) for k in (3, 2, 1, 0)], 'values': [23.5, 22.5, 21.5, 20.5]},
        'mem_used_pct': {'timestamps': [grid(k) for k in (3, 2, 1, 0)], 'values': [55.5] * 4}}})


def dashboard(daemon):
    """The polls of the reference's dashboard, with what it reads from each."""
    body = daemon.predictions(FLEET)
    assert 'error' not in body
    typed('body', body, {'predictions': dict, 'alerts': [ALERT], 'environment': ENVIRONMENT, 'metadata': METADATA,
                         'summary': SUMMARY, 'timestamp': str, 'timestamp_unix': int, 'step_seconds': int,
                         'stale': bool})
    equal('order', list(body['predictions']), sorted(body['predictions']))
    for name in FLEET:
        check_server(name, body['predictions'][name])
    equal('profile', body['predictions']['ppweb001']['profile'], 'Web API')
    equal('profile', body['predictions']['ppcon01']['profile'], 'Conductor Mgmt')
    equal('truth', body['metadata']['model_type'], 'heuristic')
    assert 0 <= body['environment']['prob_30m'] <= body['environment']['prob_8h'] <= 1
    equal('counts', sum(body['summary'][f'{w}_count'] for w in ('critical', 'warning', 'degrading', 'healthy')),
          body['summary']['total_servers'])
    equal('riskiest', body['summary']['top_5_risks'][0], 'ppdb002')
    scores = [body['predictions'][n]['risk_score'] for n in body['summary']['top_20_risks']]
    equal('sorted by risk', scores, sorted(scores, reverse=True))
    full = [a for a in body['alerts'] if a['server'] == 'ppdb002' and a['metric'] == 'disk_usage_pct']
    equal('one alert per server and metric', len(full), 1)
    equal('severity', full[0]['severity'], 'critical')
    active = daemon.get('/alerts/active').json()
    typed('alerts', active, {'timestamp': str, 'count': int, 'alerts': [ALERT]})
    equal('count', active['count'], len(active['alerts']))
    equal('same list', [a['id'] for a in active['alerts']], [a['id'] for a in body['alerts']])
    equal('alias', daemon.get('/alerts').json()['count'], active['count'])
    steps = daemon.get('/alerts/active?legacy=steps&server=ppdb002').json()
    equal('twelve for a full disk', [a['steps_ahead'] for a in steps['alerts']], list(range(1, 13)))
    equal('minutes', steps['alerts'][2]['minutes_ahead'], 15)
    equal('words', steps['alerts'][0]['message'], 'ppdb002: disk_usage_pct predicted to reach 97.0')
    status = daemon.get('/status').json()
    equal('new servers never un-ready a fleet', status['warmup']['is_warmed_up'], True)
    assert status['warmup']['progress_percent'] > 90
    equal('model', daemon.get('/admin/model-info').json(), {'loaded': False, 'mode': 'heuristic'})
    typed('models', daemon.get('/admin/models').json(), {'models': [dict], 'count': int, 'models_dir': str})
    reload = daemon.request('POST', '/admin/reload-model', {'model_path': 'no_such_model'})
    equal('reload', (reload.status, reload.json()['success']), (200, False))
    health = daemon.get('/health').json()
    equal('health', {k: health[k] for k in ('status', 'service', 'running')},
          {'status': 'healthy', 'service': 'tft_inference_daemon', 'running': True})
    card = daemon.get('/').json()
    typed('card', card, {'service': str, 'version': str, 'status': str, 'endpoints': dict, 'features': dict,
                         'feed_example': dict})
    for place in card['endpoints'].values():
        method, path = place.split()
        assert path.startswith('/') and method in ('GET', 'POST'), place
    equal('its example works', daemon.request('POST', '/feed/data', card['feed_example']).status in (200, 422), True)


def session():
    with Daemon('--rate-limit', 'off', '--model', 'none') as daemon:
        cold(daemon)
        a_few(daemon)
        generator(daemon)
        warm = daemon.get('/status').json()['warmup']
        equal('warm', (warm['is_warmed_up'], warm['progress_percent']), (True, 100))
        adapter(daemon)
        dashboard(daemon)


run(session)
