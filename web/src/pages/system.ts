// The daemon itself: is data coming in, is it on disk, is the forecast fresh, which model speaks.
import { get, getText, Refused } from '../api';
import { fill, h, setText, type Child } from '../dom';
import { parseMetrics, type Sample } from '../exposition';
import { bytes, clock, count, duration, milliseconds, number, plural, relative } from '../format';
import { glyph } from '../glyph';
import { live } from '../live';
import { spark } from '../spark';
import type { Route } from '../route';

interface StatusV1 {
    version: string;
    uptime_seconds: number;
    started_at_unix: number;
    fleet: { servers: number; stale: number; ready: number; bytes: number; bytes_per_server: number; step_seconds: number; window_steps: number };
    limits: Record<string, number>;
    ingest: { batches: number; samples: number; late: number; duplicates: number; rejected: Record<string, number>; refused_batches: Record<string, number> };
    journal: { state: string; segments: number; bytes: number; queued: number; sync_seconds: { p50: number; p99: number } };
    history: { state: string; days_kept: number; bytes: number } | null;
    forecast: { age_seconds: number; run_seconds: number; servers: number; computed: number; model_type: string; model_id: string; risk_model: string } | null;
    model_loaded: boolean;
    log_level?: string;
    log_lines_suppressed: number;
}

const ROUND_MS = 3000, KEPT = 60;

function row(label: string, ...value: Child[]): HTMLElement {
    return h('div', { class: 'fact' }, h('dt', {}, label), h('dd', {}, ...value));
}

function card(title: string, ok: boolean, verdict: string, ...rows: (HTMLElement | null)[]): HTMLElement {
    return h('section', { class: 'card', 'aria-label': title }, h('h2', {}, title), h('p', { class: `state ${ok ? 'healthy' : 'critical'}` }, glyph(ok ? 'healthy' : 'critical'), verdict), h('dl', {}, ...rows));
}

function total(samples: readonly Sample[] | undefined): number {
    return (samples ?? []).reduce((sum, sample) => sum + sample.value, 0);
}

function nonZero(values: Record<string, number>): string {
    const parts = Object.entries(values).filter(([, n]) => n > 0).map(([name, n]) => `${name.replace(/_/g, ' ')} ${count(n)}`);
    return parts.length === 0 ? 'none' : parts.join(', ');
}

export function systemPage(root: HTMLElement, _route: Route, signal: AbortSignal): void {
    const headline = h('h1', {}, 'System');
    const sub = h('p', { class: 'hush' });
    const cards = h('div', { class: 'cards' });
    const rates: number[] = [];
    let before: { at: number; samples: number } | undefined;

    async function load(): Promise<void> {
        const [status, text, ready] = await Promise.all([
            get<StatusV1>('api/v1/status', signal), getText('metrics'),
            get<{ status: string; reasons: string[] }>('readyz', signal).catch((error: unknown) => ({ status: 'not_ready', reasons: [error instanceof Refused ? error.detail : 'no answer'] })),
        ]).catch(() => [null, '', null] as const);
        if (status === null || ready === null || signal.aborted) return;
        const metrics = parseMetrics(text);
        const samples = total(metrics.get('forewarn_ingest_samples_total'));
        const at = performance.now() / 1000;
        if (before !== undefined && at > before.at) {
            rates.push((samples - before.samples) / (at - before.at));
            if (rates.length > KEPT) rates.shift();
        }
        before = { at, samples };
        paint(status, metrics, ready);
    }

    function paint(s: StatusV1, metrics: Map<string, Sample[]>, ready: { status: string; reasons: string[] }): void {
        const now = live.now();
        const fine = ready.status === 'ready';
        setText(headline, fine ? 'The daemon is well' : 'The daemon is not ready');
        headline.className = fine ? 'healthy' : 'critical';
        setText(sub, fine ? `forewarn ${s.version}, up for ${duration(s.uptime_seconds)}, since ${clock(s.started_at_unix, now)}.` : ready.reasons.join('; '));
        const mean = rates.length === 0 ? null : rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
        const byProtocol = (metrics.get('forewarn_ingest_samples_total') ?? []).filter((sample) => sample.value > 0).map((sample) => `${(sample.labels['protocol'] ?? '').replace(/_/g, ' ')} ${count(sample.value)}`).join(', ');
        const refused = Object.values(s.ingest.refused_batches).reduce((sum, n) => sum + n, 0);
        const resident = total(metrics.get('process_resident_memory_bytes'));
        const forecast = s.forecast;
        const newest = (live.fleet?.servers ?? []).reduce((latest, server) => Math.max(latest, server.last_seen_unix ?? 0), 0);
        fill(cards,
            card('Ingest', refused === 0, refused === 0 ? 'Taking everything' : `${plural(refused, 'batch', 'batches')} turned away`,
                row('Rate', mean === null ? 'measuring…' : `${number(mean, mean < 10 ? 1 : 0)} samples/s`, rates.length > 5 && spark({ width: 150, height: 30, history: rates, p50: [], threshold: null, low: false, spread: 1 })),
                row('Newest sample', newest === 0 ? 'none yet' : relative(newest, now)), row('Samples', byProtocol === '' ? 'none yet' : byProtocol), row('Rejected records', nonZero(s.ingest.rejected)), row('Late values', count(s.ingest.late)), row('Duplicates', count(s.ingest.duplicates))),
            card('Journal', s.journal.state === 'ok', s.journal.state === 'ok' ? 'On disk before it is acknowledged' : s.journal.state === 'full' ? 'The disk is full' : 'A write failed',
                row('Size', `${bytes(s.journal.bytes)} in ${plural(s.journal.segments, 'segment')}`), row('Lag', s.journal.queued === 0 ? 'none, nothing waits' : plural(s.journal.queued, 'batch waits', 'batches wait')), row('Sync', `${milliseconds(s.journal.sync_seconds.p50)} median, ${milliseconds(s.journal.sync_seconds.p99)} p99`),
                s.history === null ? row('Long history', 'not kept') : row('Long history', `${bytes(s.history.bytes)}, ${s.history.days_kept} days are kept`)),
            card('Forecast', forecast !== null, forecast === null ? 'No run yet' : `Made ${duration(forecast.age_seconds)} ago`,
                ...(forecast === null ? [] : [row('Run', `${milliseconds(forecast.run_seconds)} for ${plural(forecast.servers, 'server')}, ${count(forecast.computed)} of them computed`), row('Risk scored by', forecast.risk_model)])),
            card('Model', true, s.model_loaded ? 'A trained model forecasts' : 'Statistical forecasts',
                row('In use', s.model_loaded && forecast !== null ? forecast.model_id : 'none'), row('What it means', s.model_loaded ? 'The model speaks in a blend with the statistical forecasters; each metric of a server learns whom to trust.' : 'No model is loaded: forecasts come from the day\'s rhythm, trends and persistence.')),
            card('Fleet', s.fleet.stale === 0, s.fleet.stale === 0 ? 'Every server reports' : plural(s.fleet.stale, 'server is silent', 'servers are silent'),
                row('Servers', `${count(s.fleet.servers)} of at most ${count(s.limits['servers'] ?? 0)}`), row('With enough history', count(s.fleet.ready)), row('Step', duration(s.fleet.step_seconds)), row('Windows', `${duration(s.fleet.window_steps * s.fleet.step_seconds)}, ${bytes(s.fleet.bytes_per_server)} a server`)),
            card('Process', true, 'Running', row('Memory', resident > 0 ? bytes(resident) : '–'), row('Windows in memory', bytes(s.fleet.bytes)), s.log_level === undefined ? null : row('Log level', s.log_level), row('Log lines held back', count(s.log_lines_suppressed)),
                row('Requests', count(total(metrics.get('forewarn_http_requests_total'))))));
    }

    root.append(h('section', { class: 'verdict' }, h('div', {}, headline, sub)), cards,
        h('p', { class: 'hush small' }, 'uPlot (MIT licence) draws the charts: ', h('a', { href: new URL('licences.txt', import.meta.url).pathname, target: '_blank', rel: 'noopener' }, 'licences'), '. The API describes itself in ', h('a', { href: new URL('../openapi.json', import.meta.url).pathname, target: '_blank', rel: 'noopener' }, 'openapi.json'), '.'));
    const timer = setInterval(() => { if (!document.hidden) void load(); }, ROUND_MS);
    signal.addEventListener('abort', () => clearInterval(timer));
    void load();
}
