// One server: the sentence that says what will happen and why, the fan with the moment of crossing, then what the
// score is made of and every other metric in small.
import { base, get, Refused } from '../api';
import { FanChart } from '../chart';
import { fill, h, on, setText, type Child } from '../dom';
import { labelTerm } from '../filter';
import { chance, clock, duration, metricName, NBSP, plural, profileName, quantity, relative, scoreText, timeZone } from '../format';
import { glyph, markLabel, type Mark } from '../glyph';
import { live } from '../live';
import { fleetHref, parameter, serverApi, setParameters, type Route } from '../route';
import { spark } from '../spark';
import type { Driver, Forecast, Past, PastForecast, Path, ServerDetail, Window } from '../types';
import { alertActions } from '../actions';
import { alertSentence, crossingOf, type Crossing, fallsToBad, forecasterName, reasonText, stateWord } from '../words';

const RANGES: readonly [string, string][] = [['6', '6 h'], ['12', '12 h'], ['24', '24 h'], ['72', '3 d']];
const TILE_STEPS = 96;
const PAST_AGE_MIN_S = 1200, PAST_AGE_MAX_S = 12 * 3600; // younger ones have nothing to be compared with, older ones are over

interface Data {
    detail: ServerDetail;
    forecast: Forecast | null;
    window: Window;
    past: Past | null;
}

/** The threshold that the median reaches first matters most; the critical one if it does not reach any. */
function mainCrossing(metric: string, path: Path, forecast: Forecast): Crossing | null {
    const schema = live.schema.get(metric);
    const of = (kind: 'critical' | 'warning'): Crossing | null => crossingOf(schema, kind, path.current, path, forecast.timestamps, forecast.step_seconds);
    const critical = of('critical'), warning = of('warning');
    if (critical !== null && (critical.crossed || critical.expected !== null)) return critical;
    if (warning !== null && !warning.crossed && (warning.expected !== null || (warning.earliest !== null && critical?.earliest === null))) return warning;
    if (critical === null) return warning;
    return warning?.crossed === true && critical.earliest === null ? warning : critical;
}

function range(crossing: Crossing, now: number): string {
    if (crossing.earliest === null) return '';
    const from = clock(crossing.earliest, now);
    if (crossing.latest === null) return `, ${from} at the earliest`;
    return crossing.latest === crossing.earliest ? '' : `, between ${from} and ${clock(crossing.latest, now)}`;
}

function sentence(metric: string, path: Path, crossing: Crossing | null, drivers: readonly Driver[], now: number): Child[] {
    const name = metricName(metric), value = h('b', {}, quantity(path.current, path.unit));
    if (crossing === null) return [`${name} is at `, value, '. It has no thresholds, so it is shown but not judged.'];
    const limit = quantity(crossing.threshold, path.unit), below = fallsToBad(metric);
    const driver = drivers.find((d) => d.metric === metric && d.threshold === crossing.threshold && d.probability > 0);
    const odds = driver !== undefined ? ` The chance of it within 8 hours is ${chance(driver.probability)}.` : '';
    if (crossing.crossed) {
        const back = path.p50.findIndex((v) => (below ? v > crossing.threshold : v < crossing.threshold));
        return [`${name} is at `, value, `, ${below ? 'under' : 'over'} the ${crossing.kind} ${limit} already. `,
            back < 0 ? 'It is expected to stay there for the next 8 hours.' : `It is expected back on the good side in about ${duration((back + 1) * (live.fleet?.step_seconds ?? 300))}.`];
    }
    const verb = below ? 'falls under' : 'passes';
    if (crossing.expected !== null)
        return [`${name} is at `, value, ` and most likely ${verb} the ${crossing.kind} ${limit} around `, h('b', {}, clock(crossing.expected, now)), `, in `, h('b', {}, duration(crossing.expected - now)), `${range(crossing, now)}.${odds}`];
    if (crossing.earliest !== null)
        return [`${name} is at `, value, `. It will probably not reach the ${crossing.kind} ${limit}, but it could: ${clock(crossing.earliest, now)} at the earliest.${odds}`];
    return [`${name} is at `, value, `. Nothing says that it will reach the ${crossing.kind} ${limit} within 8 hours.${odds}`];
}

function methodSentence(path: Path): string {
    const reason = reasonText(path.method_reason);
    const share = path.forecaster === 'blend' && path.model_share !== undefined && path.model_share > 0 ? `; the trained model has ${Math.round(path.model_share * 100)}${NBSP}% of the say` : '';
    const quality = path.quality;
    const measured = quality.coverage === null || quality.forecasts === 0
        ? 'How well it does here has not been measured yet.'
        : `Of its last ${plural(quality.forecasts, 'forecast')} here, ${Math.round(quality.coverage * 100)}${NBSP}% of what came lay inside the band; 80${NBSP}% is what it promises.`;
    return `Forecast by ${forecasterName(path.forecaster)}${share}${reason === '' ? '' : `, because ${reason}`}. ${measured}`;
}

function between(path: readonly number[], at: readonly number[], time: number): number | null {
    const next = at.findIndex((t) => t >= time);
    if (next < 0) return null;
    if (next === 0) return path[0] as number;
    const share = (time - (at[next - 1] as number)) / ((at[next] as number) - (at[next - 1] as number));
    return (path[next - 1] as number) + share * ((path[next] as number) - (path[next - 1] as number));
}

/** What an earlier forecast said against what came. */
function verdictOf(past: PastForecast, column: { timestamps: number[]; values: (number | null)[] }, now: number, unit: string): string {
    let seen = 0, inside = 0, off = 0;
    column.timestamps.forEach((time, i) => {
        const value = column.values[i];
        if (value === null || value === undefined || time < past.origin_unix) return;
        const low = between(past.p10, past.timestamps, time), middle = between(past.p50, past.timestamps, time), high = between(past.p90, past.timestamps, time);
        if (low === null || middle === null || high === null) return;
        seen++;
        if (value >= low && value <= high) inside++;
        off += Math.abs(value - middle);
    });
    if (seen === 0) return '';
    return `Of the ${plural(seen, 'value')} that came since ${clock(past.origin_unix, now)}, ${Math.round((inside / seen) * 100)}${NBSP}% lay inside that band; its middle was off by ${quantity(off / seen, unit)} on average.`;
}

export function serverPage(root: HTMLElement, route: Route, signal: AbortSignal): void {
    const name = route.name;
    let metric = parameter('metric');
    let hours = RANGES.some(([value]) => value === parameter('hours')) ? parameter('hours') : '12';
    let before = Number(parameter('before')) || 0; // hours ago that the forecast to compare with was made; 0: none
    let origin = 0; // of that forecast
    let data: Data | undefined;
    let run = -1;
    let loading = false;

    const badge = h('span', { class: 'badge-big' });
    const facts = h('p', { class: 'facts hush' });
    const labels = h('ul', { class: 'labels', 'aria-label': 'Labels' });
    const why = h('p', { class: 'sentence', 'aria-live': 'polite' });
    const method = h('p', { class: 'method hush' });
    const probe = h('p', { class: 'probe', 'aria-hidden': 'true' });
    const figure = h('div', { class: 'fan-chart' });
    const chart = new FanChart(figure, signal, (text) => setText(probe, text === '' ? standing : text));
    let standing = '';
    const table = h('details', { class: 'table' });
    const drivers = h('section', { class: 'drivers', 'aria-label': 'Why this score' });
    const alerts = h('section', { class: 'server-alerts', 'aria-label': 'Alerts of this server' });
    const tiles = h('div', { class: 'tiles', role: 'group', 'aria-label': 'Metrics' });
    const stale = h('p', { class: 'notice lost', hidden: true });
    const ranges = h('div', { class: 'switch', role: 'group', 'aria-label': 'History shown' }, ...RANGES.map(([value, label]) =>
        h('button', { type: 'button', 'data-value': value, click: () => { hours = value; paint(); } }, label)));
    const pasts = h('div', { class: 'switch', role: 'group', 'aria-label': 'Compare with the forecast made', hidden: true });
    const ghostKey = h('span', { class: 'key ghost', hidden: true }, 'what was forecast');
    const versus = h('p', { class: 'method versus', hidden: true });
    const heading = h('h2', { class: 'metric-name' });
    const legend = h('p', { class: 'legend hush', 'aria-hidden': 'true' },
        h('span', { class: 'key past' }, 'measured'), h('span', { class: 'key ahead' }, 'expected (p50)'), h('span', { class: 'key band' }, 'p10 to p90'), ghostKey);

    root.append(
        h('header', { class: 'server-head' }, h('div', {}, h('p', { class: 'crumb' }, h('a', { href: base }, '‹ Fleet')), h('h1', { class: 'server-name' }, name), facts, labels), badge), stale,
        h('section', { class: 'fan', 'aria-label': 'Forecast' }, why,
            h('div', { class: 'fan-bar' }, heading, ranges, pasts), probe, figure, legend, versus, method, table),
        h('div', { class: 'below' }, drivers, alerts),
        h('h2', {}, 'All metrics'), tiles);

    function order(found: Data): string[] {
        const names = Object.keys(found.window.metrics);
        const rank = new Map((found.forecast?.risk_drivers ?? []).filter((d) => d.points >= 0.05).map((d, i) => [d.metric, i]));
        const place = [...live.schema.keys()];
        return names.sort((a, b) => (rank.get(a) ?? 99) - (rank.get(b) ?? 99) || place.indexOf(a) - place.indexOf(b));
    }

    function paintHead(found: Data): void {
        const { detail } = found;
        const mark: Mark = detail.stale ? 'silent' : detail.level ?? 'healthy';
        fill(badge, glyph(mark), h('b', {}, detail.risk_score === null ? '–' : scoreText(detail.risk_score)), h('span', {}, markLabel(mark)));
        badge.className = `badge-big ${mark}`;
        const now = live.now();
        const seen = detail.last_seen_unix === null ? 'never seen' : `last sample ${relative(detail.last_seen_unix, now)}`;
        setText(facts, `${profileName(detail.profile)} · ${seen} · incident within 30 min ${chance(detail.crossing_probability_30m)}, 8 h ${chance(detail.crossing_probability_8h)}`);
        paintLabels(detail.labels ?? {});
        stale.hidden = !detail.stale && detail.warmup.ready;
        stale.className = detail.stale ? 'notice lost' : 'notice';
        setText(stale, detail.stale
            ? `Silent${detail.last_seen_unix === null ? '' : ` for ${duration(now - detail.last_seen_unix)}`}: what follows is the forecast from its last data. Its alerts are held, not resolved.`
            : `Warming up: ${detail.warmup.have} of ${detail.warmup.need} steps. The forecast exists, but knows little of this server's day yet.`);
    }

    /** Each leads to the servers that have it as well. */
    function paintLabels(now: Record<string, string>): void {
        const text = JSON.stringify(now);
        labels.hidden = text === '{}';
        if (labels.dataset['text'] === text) return;
        labels.dataset['text'] = text;
        fill(labels, ...Object.entries(now).map(([label, value]) => h('li', {}, h('a', { class: 'label', href: fleetHref(labelTerm(label, value)), title: `All servers with ${label}=${value}` }, h('span', {}, label), ` ${value}`))));
    }

    function paintFan(found: Data): void {
        const path = found.forecast?.metrics[metric];
        const column = found.window.metrics[metric];
        setText(heading, metricName(metric));
        for (const button of ranges.querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset['value'] === hours));
        if (column === undefined) return;
        const now = live.now();
        if (found.forecast === null || path === undefined) {
            fill(why, `There is no forecast of ${metricName(metric)} yet.`);
            return;
        }
        const forecast = found.forecast, schema = live.schema.get(metric);
        const crossing = mainCrossing(metric, path, forecast);
        const inShort = live.fleet?.servers.find((server) => server.server_name === name)?.driver;
        fill(why, ...sentence(metric, path, crossing, inShort == null ? forecast.risk_drivers : [inShort, ...forecast.risk_drivers], now));
        setText(method, methodSentence(path));
        const past = pickPast(found, now);
        const words = past === null ? '' : verdictOf(past, column, now, path.unit);
        setText(versus, words);
        versus.hidden = words === '';
        ghostKey.hidden = past === null;
        standing = `Times in ${timeZone()}. Point at the chart for values.`;
        setText(probe, standing);
        chart.set({
            unit: path.unit, now: forecast.origin_unix, clock: now, from: forecast.origin_unix - Number(hours) * 3600,
            times: column.timestamps, values: column.values, ahead: forecast.timestamps, p10: path.p10, p50: path.p50, p90: path.p90,
            warning: schema?.warning ?? null, critical: schema?.critical ?? null, low: schema?.worse === 'low',
            bounds: [schema?.min ?? null, schema?.max ?? null], crossing, past,
        });
        figure.setAttribute('role', 'img');
        figure.setAttribute('aria-label', `${metricName(metric)} of ${name}: ${why.textContent ?? ''} The table below has the values.`);
        paintTable(path, forecast, now);
    }

    /** The earlier forecast to show, with a button for each that there is. */
    function pickPast(found: Data, now: number): PastForecast | null {
        const all = (found.past?.metrics[metric] ?? []).filter((past) => now - past.origin_unix >= PAST_AGE_MIN_S && now - past.origin_unix <= PAST_AGE_MAX_S);
        if (all.length === 0) {
            pasts.hidden = true;
            return null;
        }
        if (before > 0 && !all.some((past) => past.origin_unix === origin))
            origin = all.reduce((best, past) => (Math.abs(now - before * 3600 - past.origin_unix) < Math.abs(now - before * 3600 - best.origin_unix) ? past : best)).origin_unix;
        if (before === 0) origin = 0;
        const focused = pasts.contains(document.activeElement) ? document.activeElement?.textContent : null;
        pasts.hidden = false;
        fill(pasts, h('span', { class: 'hush' }, 'What was forecast'), ...all.map((past) => {
            const age = Math.max(0.5, Math.round((now - past.origin_unix) / 1800) / 2);
            return h('button', { type: 'button', 'aria-pressed': String(past.origin_unix === origin), click: () => {
                before = origin === past.origin_unix ? 0 : age;
                origin = before === 0 ? 0 : past.origin_unix;
                paint();
            } }, `${duration(age * 3600)} ago`);
        }));
        if (focused !== null) [...pasts.querySelectorAll('button')].find((button) => button.textContent === focused)?.focus({ preventScroll: true });
        return all.find((past) => past.origin_unix === origin) ?? null;
    }

    function paintTable(path: Path, forecast: Forecast, now: number): void {
        const rows = forecast.timestamps.map((at, i) => [at, i] as const).filter(([, i]) => i % 12 === 11 || i === 0 || i === 5);
        const open = table.open;
        fill(table, h('summary', {}, 'The forecast as a table'),
            h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Table of the forecast' }, h('table', {}, h('caption', { class: 'unseen' }, `${metricName(metric)}, expected`), h('thead', {}, h('tr', {}, ...['Time', 'Low (p10)', 'Expected (p50)', 'High (p90)'].map((text) => h('th', { scope: 'col' }, text)))),
                h('tbody', {}, ...rows.map(([at, i]) => h('tr', {}, h('th', { scope: 'row' }, clock(at, now)), ...[path.p10, path.p50, path.p90].map((p) => h('td', {}, quantity(p[i], path.unit)))))))));
        table.open = open;
    }

    function paintDrivers(found: Data): void {
        const list = (found.forecast?.risk_drivers ?? []).filter((d) => d.points >= 0.05);
        fill(drivers, h('h2', {}, 'Why this score'),
            list.length === 0
                ? h('p', { class: 'hush' }, 'No metric of this server comes near a threshold, so nothing has points.')
                : h('ul', {}, ...list.map((d) => {
                    const path = found.forecast?.metrics[d.metric];
                    const unit = path?.unit ?? '';
                    const bar = h('span', { class: 'bar' });
                    bar.style.setProperty('--share', `${Math.min(100, d.points)}%`);
                    return h('li', {}, h('button', { type: 'button', class: 'plain', click: () => choose(d.metric) }, metricName(d.metric)), h('span', { class: 'points' }, h('b', {}, d.points.toFixed(1)), ' points'), bar,
                        h('span', { class: 'hush' }, `now ${quantity(d.current, unit)}, counted at ${quantity(d.predicted, unit)}${d.threshold === null ? '' : `, threshold ${quantity(d.threshold, unit)}, chance ${chance(d.probability)}`}`));
                })),
            list.length > 0 && h('p', { class: 'hush small' }, 'One exhausted resource is enough for a high score; several add up. ', h('b', {}, `Score ${found.detail.risk_score?.toFixed(1) ?? '–'}`), ' of 100.'));
    }

    function paintAlerts(found: Data): void {
        const now = live.now();
        const list = live.alerts.filter((alert) => alert.server_name === name);
        fill(alerts, h('h2', {}, 'Alerts'), list.length === 0
            ? h('p', { class: 'hush' }, 'None in the last hour.')
            : h('ul', {}, ...list.map((alert) => h('li', { class: alert.state },
                glyph(alert.state === 'resolved' ? 'healthy' : alert.severity),
                h('span', {}, h('b', {}, stateWord(alert)), ` · ${alertSentence(alert, now)}`, alert.starts_at_unix !== null && h('span', { class: 'hush' }, `, since ${clock(alert.starts_at_unix, now)}`)),
                alertActions(alert)))));
        alerts.hidden = found.detail.alerts === undefined && list.length === 0;
    }

    function paintTiles(found: Data): void {
        const focused = (document.activeElement as HTMLElement | null)?.dataset['metric'];
        fill(tiles, ...order(found).map((each) => {
            const column = found.window.metrics[each], path = found.forecast?.metrics[each];
            const schema = live.schema.get(each);
            const crossing = path === undefined || found.forecast === null ? null : mainCrossing(each, path, found.forecast);
            const trouble = crossing !== null && (crossing.crossed || crossing.expected !== null) ? crossing.kind : '';
            const now = live.now();
            const words = crossing?.crossed === true ? `${fallsToBad(each) ? 'under' : 'over'} ${quantity(crossing.threshold, path?.unit ?? '')}`
                : crossing?.expected != null ? `${quantity(crossing.threshold, path?.unit ?? '')} in ${duration(crossing.expected - now)}` : '';
            return h('button', { type: 'button', class: `tile ${trouble}`, 'data-metric': each, 'aria-pressed': String(each === metric), click: () => choose(each) },
                h('span', { class: 'tile-name' }, metricName(each)), h('span', { class: 'tile-value' }, quantity(path?.current ?? null, path?.unit ?? '')),
                h('span', { class: 'tile-words' }, words),
                spark({ width: 220, height: 48, history: column?.values.slice(-TILE_STEPS) ?? [], p10: path?.p10 ?? [], p50: path?.p50 ?? [], p90: path?.p90 ?? [],
                    threshold: schema?.critical ?? null, low: schema?.worse === 'low', spread: path?.unit === '%' ? 6 : 0.5 }));
        }));
        if (focused !== undefined) tiles.querySelector<HTMLElement>(`[aria-pressed][data-metric="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }

    function choose(next: string): void {
        metric = next;
        paint();
        figure.scrollIntoView({ block: 'nearest' });
    }

    function paint(): void {
        if (data === undefined) return;
        if (data.window.metrics[metric] === undefined) metric = order(data)[0] ?? '';
        setParameters({ metric: parameter('metric') === '' && metric === order(data)[0] ? '' : metric, hours: hours === '12' ? '' : hours, before: before === 0 ? '' : String(before) });
        paintHead(data);
        paintFan(data);
        paintDrivers(data);
        paintAlerts(data);
        paintTiles(data);
    }

    async function loadPast(): Promise<void> {
        const past = await get<Past>(serverApi(name, '/past'), signal).catch(() => null);
        if (signal.aborted || data === undefined) return;
        data.past = past;
        paintFan(data);
    }

    async function load(): Promise<void> {
        if (loading) return;
        loading = true;
        run = live.fleet?.run_id ?? 0;
        try {
            const [detail, forecast, window] = await Promise.all([
                get<ServerDetail>(`${serverApi(name)}?steps=1&metrics=cpu_user_pct`, signal),
                get<Forecast>(serverApi(name, '/forecast'), signal).catch((error: unknown) => {
                    if (error instanceof Refused && error.status === 503) return null;
                    throw error;
                }),
                get<Window>(serverApi(name, '/window'), signal),
            ]);
            data = { detail, forecast, window, past: data?.past ?? null };
            paint();
            if (metric !== '') await loadPast();
        } catch (error) {
            if (signal.aborted) return;
            if (error instanceof Refused && error.status === 404 && data === undefined)
                fill(root, h('div', { class: 'gate' }, h('h1', {}, 'No such server'), h('p', {}, `No server called “${name}” is known. It may have been silent for so long that it was forgotten, or the address has a mistake.`), h('p', {}, h('a', { href: base }, 'All servers'))));
        } finally {
            loading = false;
        }
    }

    on(window, 'keydown', (event) => {
        const target = event.target as HTMLElement;
        if (data === undefined || target.matches('input, select, textarea') || target.closest('dialog') !== null || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
        const all = order(data);
        const next = all[all.indexOf(metric) + (event.key === 'ArrowRight' ? 1 : -1)];
        if (next === undefined) return;
        event.preventDefault();
        choose(next);
    }, signal);
    live.subscribe(() => {
        if (live.phase === 'live' && (live.fleet?.run_id ?? 0) !== run) void load();
        else if (data !== undefined) {
            paintHead(data);
            paintAlerts(data);
        }
    }, signal);
    void load();
}
