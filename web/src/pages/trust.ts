// How far the forecasts can be believed: by metric and horizon, how many of the values that came lay inside the band,
// against the promise; and the error against that of forecasts that cost nothing.
import { get, getText } from '../api';
import { fill, h, setText, svg } from '../dom';
import { parseMetrics, type Sample } from '../exposition';
import { count, duration, metricName, NBSP, number, plural } from '../format';
import { live } from '../live';
import type { Route } from '../route';
import type { QualityRow } from '../types';

const PROMISE = 0.8, SLACK = 0.1;
const SAMPLES_MIN = 200; // fewer may miss the promise by chance, the more so as values of one hour resemble each other
const NO_LOSS = 1e-6; // below: a metric that stands still, whose band is a line; coverage says nothing of it

const TRUSTED = 'Whom it trusts', ON_WIDE_SCREENS = /^(Error|Whom)/;

const VOICES: Record<string, string> = {
    persistence: 'as it is', level: 'usual level', day: 'the day before', week: 'the week before', recent: 'recent days',
    trend: 'trend', linear: 'straight line', climate: 'course of the day', tft: 'trained model',
};

function kept(coverage: number): boolean {
    return Math.abs(coverage - PROMISE) <= SLACK;
}

function exact(loss: number | null | undefined): boolean {
    return loss !== null && loss !== undefined && loss < NO_LOSS;
}

/** A dot on a line from 50 to 100 %, with the promise marked: right of it the band is too wide, left of it too narrow. */
function coverageDot(coverage: number): HTMLElement {
    const place = Math.max(1.5, Math.min(98.5, (coverage - 0.5) * 200));
    return h('span', { class: 'coverage' }, h('b', {}, `${Math.round(coverage * 100)}${NBSP}%`),
        svg('svg', { viewBox: '0 0 100 12', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' },
            svg('path', { d: 'M0 6H100', class: 'rail' }), svg('rect', { x: 40, y: 2, width: 40, height: 8, class: 'good' }), svg('path', { d: 'M60 0V12', class: 'promise' }),
            svg('rect', { x: place - 1.5, y: 0.5, width: 3, height: 11, class: kept(coverage) ? 'dot' : 'dot off' })),
        !kept(coverage) && h('span', { class: 'small hush' }, coverage > PROMISE ? 'wide' : 'narrow'));
}

function coverageCell(row: QualityRow | undefined): HTMLElement {
    if (row === undefined || row.coverage === null) return h('td', { class: 'hush' }, 'not due');
    if (row.samples < SAMPLES_MIN) return h('td', { class: 'hush small', title: `Judged from ${count(SAMPLES_MIN)} values on` }, `${plural(row.samples, 'value')} so far`);
    if (exact(row.pinball.ours)) return h('td', { class: 'hush', title: `${count(row.samples)} values` }, 'exact');
    return h('td', { title: `${count(row.samples)} values` }, coverageDot(row.coverage));
}

/** Over the whole horizon: each block counts by its values. */
function against(rows: readonly QualityRow[], other: 'persistence' | 'day_before'): HTMLElement {
    let ours = 0, theirs = 0;
    for (const row of rows) {
        const a = row.pinball.ours, b = row.pinball[other];
        if (a === null || b === null) continue;
        ours += a * row.samples;
        theirs += b * row.samples;
    }
    if (theirs <= 0) return h('td', { class: 'hush wide' }, '–');
    const better = Math.round((1 - ours / theirs) * 100);
    if (better === 0) return h('td', { class: 'wide' }, 'the same');
    const share = better === 100 && ours > 0 ? `over${NBSP}99` : `${Math.abs(better)}`;
    return h('td', { class: better > 0 ? 'better wide' : 'worse wide' }, `${share}${NBSP}% ${better > 0 ? 'less' : 'more'}`);
}

function trusted(rows: readonly QualityRow[]): string {
    if (rows.every((row) => exact(row.pinball.ours))) return '–'; // all voices say the same
    const sums = new Map<string, number>();
    for (const row of rows) for (const [voice, share] of Object.entries(row.weights ?? {})) sums.set(voice, (sums.get(voice) ?? 0) + share / rows.length);
    return [...sums].filter(([, share]) => share >= 0.1).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([voice, share]) => `${VOICES[voice] ?? voice} ${Math.round(share * 100)}${NBSP}%`).join(', ') || '–';
}

function table(caption: string, heads: readonly string[], rows: HTMLElement[]): HTMLElement {
    return h('div', { class: 'scroll panel', tabindex: 0, role: 'region', 'aria-label': caption }, h('table', {}, h('caption', { class: 'unseen' }, caption),
        h('thead', {}, h('tr', {}, ...heads.map((text) => h('th', { scope: 'col', class: ON_WIDE_SCREENS.test(text) ? 'wide' : null }, text)))), h('tbody', {}, ...rows)));
}

function matured(all: readonly QualityRow[], step: number): HTMLElement {
    const metrics = [...new Set(all.map((row) => row.metric))];
    const blocks = new Map(all.map((row) => [row.block, row]));
    const horizon = [...blocks.keys()].sort((a, b) => a - b);
    const ahead = (block: number): string => {
        const row = blocks.get(block) as QualityRow;
        return row.horizon_from === 1 ? `Up to ${duration(row.horizon_to * step)}` : `${duration((row.horizon_from - 1) * step)} to ${duration(row.horizon_to * step)}`;
    };
    return h('section', {}, h('h2', {}, 'Forecasts that came due'),
        h('p', { class: 'hush' }, 'Share of values that lay inside the band, by how far ahead they were forecast; 80 % is promised. Error is pinball loss, that of the three quantiles together, against forecasts that cost nothing.'),
        table('Forecasts that came due, by metric and horizon', ['Metric', ...horizon.map(ahead), 'Error against “stays as it is”', 'Error against the day before', TRUSTED], metrics.map((metric) => {
            const rows = all.filter((row) => row.metric === metric);
            return h('tr', {}, h('th', { scope: 'row' }, metricName(metric)), ...horizon.map((block) => coverageCell(rows.find((row) => row.block === block))), against(rows, 'persistence'), against(rows, 'day_before'), h('td', { class: 'hush small wide' }, trusted(rows)));
        })),
        h('p', { class: 'hush small narrow-only' }, 'Errors against plain forecasts stand here on a wider screen.'));
}

function windows(coverage: readonly Sample[], pinball: readonly Sample[]): HTMLElement {
    return h('section', {}, h('h2', {}, 'As issued, all horizons'),
        h('p', { class: 'hush' }, 'Mean over the servers whose forecasts have come due often enough.'),
        table('Coverage, all horizons', ['Metric', 'Inside the band', 'Pinball loss'], coverage.map((sample) => {
            const metric = sample.labels['metric'] ?? '';
            const loss = pinball.find((other) => other.labels['metric'] === metric)?.value;
            return h('tr', {}, h('th', { scope: 'row' }, metricName(metric)), exact(loss) ? h('td', { class: 'hush' }, 'exact') : h('td', {}, coverageDot(sample.value)), h('td', {}, exact(loss) ? '–' : loss === undefined || !Number.isFinite(loss) ? '–' : `${number(loss, loss < 1 ? 3 : 2)} ${live.schema.get(metric)?.unit ?? ''}`));
        })));
}

function verdict(cells: readonly number[]): string {
    const good = cells.filter(kept).length;
    if (cells.length === 0) return 'Not measured yet';
    return good === cells.length ? 'The bands keep their promise' : `The bands keep their promise in ${good} of ${cells.length} cases`;
}

export function trustPage(root: HTMLElement, _route: Route, signal: AbortSignal): void {
    const headline = h('h1', {}, 'How far to trust it');
    const sub = h('p', { class: 'hush' });
    const body = h('div', {});
    let run = -1;

    async function load(): Promise<void> {
        const now = live.fleet?.run_id ?? 0;
        if (now === run) return;
        run = now;
        const [status, text] = await Promise.all([get<{ forecast_quality?: QualityRow[] | null }>('api/v1/status', signal), getText('metrics')]).catch(() => [null, ''] as const);
        if (status === null || signal.aborted) return;
        const metrics = parseMetrics(text);
        const finite = (name: string): Sample[] => (metrics.get(name) ?? []).filter((sample) => Number.isFinite(sample.value));
        const coverage = finite('forewarn_forecast_coverage_ratio'), pinball = finite('forewarn_pinball_loss');
        const quality = (status.forecast_quality ?? []).filter((row) => row.samples > 0);
        const cells = quality.filter((row) => row.coverage !== null && row.samples >= SAMPLES_MIN && !exact(row.pinball.ours)).map((row) => row.coverage as number);
        const still = new Set(pinball.filter((sample) => exact(sample.value)).map((sample) => sample.labels['metric']));
        setText(headline, verdict(cells.length > 0 ? cells : coverage.filter((sample) => !still.has(sample.labels['metric'])).map((sample) => sample.value)));
        setText(sub, quality.length > 0 || coverage.length > 0 ? 'A band from p10 to p90 promises to hold four of five values that come. Below is how many it held.' : 'A band from p10 to p90 promises to hold four of five values that come. Here will be how many it held.');
        fill(body,
            quality.length > 0 ? matured(quality, live.fleet?.step_seconds ?? 300)
                : h('p', { class: 'notice calm' }, coverage.length > 0 ? 'The comparison by how far ahead a forecast was made is summed up every few steps; it comes with the next sum.' : 'No forecast has come due yet. Each is kept until its time has come and is then compared with what was measured: the first ones an hour after they were made.'),
            coverage.length > 0 && windows(coverage, pinball));
    }

    root.append(h('section', { class: 'verdict' }, h('div', {}, headline, sub)), body);
    live.subscribe(() => void load(), signal);
    void load();
}
