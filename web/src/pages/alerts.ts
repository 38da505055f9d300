// Alerts on one line of time: where each began, where now is, and where the forecast says it will cross.
import { alertActions, canSilence } from '../actions';
import { get, offers, write } from '../api';
import { fill, h, setText, svg } from '../dom';
import { labelNames, labelOf, parseFilter } from '../filter';
import { chance, clock, metricName, plural, relative } from '../format';
import { glyph } from '../glyph';
import { live } from '../live';
import { parameter, serverHref, setParameters, type Route } from '../route';
import type { Alert } from '../types';
import type { Recurrence } from '../weekly';
import { alertSentence, calls, crosses, crossingTime, fires, isSilenced, stateWord } from '../words';

interface Silence {
    id: string;
    state: 'active' | 'pending' | 'expired';
    server: string | null;
    labels?: Record<string, string>;
    metric: string | null;
    profile: string | null;
    severity: string | null;
    starts_at_unix: number | null;
    ends_at_unix: number | null;
    recurrence: Recurrence | null;
    reason?: string | null;
    created_by: string;
    comment: string;
}

const BACK_S = 4 * 3600, AHEAD_S = 8 * 3600, TICK_S = 2 * 3600;
const FILTERS: readonly [string, string][] = [['open', 'Open'], ['pending', 'Pending'], ['resolved', 'Resolved'], ['all', 'All']];
const SHOWN_MAX = 200;

function fits(alert: Alert, filter: string): boolean {
    if (filter === 'open') return fires(alert);
    return filter === 'all' || alert.state === filter;
}

/** What somebody must look at first: critical before warning, unacknowledged first, the soonest first. */
function order(a: Alert, b: Alert): number {
    const rank = (alert: Alert): number => (fires(alert) ? 0 : alert.state === 'pending' ? 10 : 20) + (alert.ack !== null || isSilenced(alert) ? 2 : 0) + (alert.severity === 'critical' ? 0 : 1);
    return rank(a) - rank(b) || a.seconds_ahead - b.seconds_ahead || a.server_name.localeCompare(b.server_name);
}

function begin(alert: Alert): number {
    return alert.starts_at_unix ?? alert.pending_since_unix ?? live.now();
}

/** Percent of the way from four hours ago to eight hours ahead. */
function place(at: number, now: number): number {
    return Math.max(0, Math.min(100, ((at - (now - BACK_S)) / (BACK_S + AHEAD_S)) * 100));
}

function strip(alert: Alert, now: number): SVGElement {
    const from = place(begin(alert), now), to = place(alert.ends_at_unix ?? now, now), here = place(now, now);
    const cross = crosses(alert) ? place(crossingTime(alert, now), now) : null;
    return svg('svg', { class: `strip ${alert.severity} ${alert.state}`, viewBox: '0 0 100 20', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' },
        svg('path', { d: `M${here} 0V20`, class: 'nowline' }),
        svg('path', { d: `M${from.toFixed(2)} 10H${Math.max(to, from + 0.6).toFixed(2)}`, class: 'span' }),
        cross !== null ? svg('path', { d: `M${here} 10H${cross.toFixed(2)}`, class: 'wait' }) : null,
        cross !== null ? svg('path', { d: `M${cross.toFixed(2)} 2V18`, class: 'hit' }) : null);
}

/** Every other whole hour, and now. */
function axis(now: number): HTMLElement {
    const first = Math.ceil((now - BACK_S) / TICK_S) * TICK_S;
    const hours = Array.from({ length: (BACK_S + AHEAD_S) / TICK_S }, (_, i) => first + i * TICK_S).filter((at) => Math.abs(at - now) > TICK_S / 2);
    return h('div', { class: 'strip-axis', 'aria-hidden': 'true' }, ...[now, ...hours].map((at) => {
        const mark = h('span', {}, at === now ? h('b', {}, 'now') : clock(at, now).replace(/^\D+ /, ''));
        mark.style.left = `${place(at, now)}%`;
        return mark;
    }));
}

function item(alert: Alert, now: number): HTMLElement {
    const word = stateWord(alert);
    const ack = alert.ack?.by;
    const since = alert.state === 'resolved' && alert.ends_at_unix !== null ? `ended ${relative(alert.ends_at_unix, now)}` : `since ${clock(begin(alert), now)}`;
    return h('li', { class: `alert ${alert.severity} ${alert.state}${alert.ack !== null ? ' acked' : ''}`, 'data-id': alert.id },
        h('div', { class: 'alert-what' },
            h('span', { class: 'alert-mark' }, glyph(alert.state === 'resolved' ? 'healthy' : alert.severity), h('span', {}, alert.severity === 'critical' ? 'Critical' : 'Warning')),
            h('span', { class: 'alert-text' },
                h('a', { href: serverHref(alert.server_name, alert.metric === 'server_silent' ? undefined : alert.metric) }, alert.server_name),
                h('span', {}, ` ${alertSentence(alert, now)}`),
                h('span', { class: 'hush' }, ` ${word}${ack === undefined ? '' : ` by ${ack}`}, ${since}${alert.state !== 'resolved' && alert.metric !== 'server_silent' ? `, chance ${chance(alert.probability)}` : ''}`)),
            alertActions(alert)),
        strip(alert, now));
}

function silenceTime(silence: Silence, now: number): string {
    if (silence.recurrence !== null) return `${silence.recurrence.days.join(', ')} from ${silence.recurrence.from} for ${silence.recurrence.duration} (${silence.recurrence.zone})${typeof silence.reason === 'string' ? `; does not hold: ${silence.reason}` : ''}`;
    const until = silence.ends_at_unix === null ? 'until somebody ends it' : `until ${clock(silence.ends_at_unix, now)}`;
    return silence.state === 'pending' && silence.starts_at_unix !== null ? `from ${clock(silence.starts_at_unix, now)} ${until}` : until;
}

function counts(pending: number, taken: number, resolved: number): string {
    const parts = [pending > 0 && `${plural(pending, 'alert')} pending`, taken > 0 && `${taken} acknowledged or silenced`, resolved > 0 && `${resolved} resolved within the last hour`].filter((part) => part !== false);
    return parts.length === 0 ? 'Nothing is pending, and nothing was resolved within the last hour.' : `${parts.join(', ')}.`;
}

function matcherText(silence: Silence): string {
    const labels = Object.entries(silence.labels ?? {}).map(([name, value]) => `${name}=${value}`);
    return [silence.metric === null ? null : metricName(silence.metric), silence.server, ...labels, silence.profile, silence.severity].filter((part) => part !== null).join(', ');
}

const CROWD = 5; // so many alerts need a summary

/** What many alerts have in common: their metric, and a label of their servers that is no label of most. */
function commonText(alerts: readonly Alert[]): string {
    if (alerts.length < CROWD) return '';
    const fleet = live.fleet?.servers ?? [];
    const hit = [...new Map(alerts.map((alert) => [alert.server_name, alert])).values()];
    const most = <T>(all: readonly T[]): [T, number] | undefined => {
        const tally = new Map<T, number>();
        for (const each of all) tally.set(each, (tally.get(each) ?? 0) + 1);
        return [...tally].sort((a, b) => b[1] - a[1])[0];
    };
    const metric = most(alerts.map((alert) => alert.metric));
    const shared = labelNames(hit).map((name) => {
        const [value = '', n = 0] = most(hit.map((alert) => labelOf(alert, name)).filter((text) => text !== '')) ?? [];
        const everywhere = fleet.filter((server) => labelOf(server, name) === value).length;
        return { name, value, n, lift: n / hit.length - everywhere / Math.max(1, fleet.length) };
    }).filter(({ n, lift }) => n >= 3 && n >= hit.length * 0.6 && lift > 0.25).sort((a, b) => b.lift - a.lift)[0];
    return [metric !== undefined && metric[1] >= alerts.length / 2 && ` ${metric[1]} are about ${metricName(metric[0])}.`,
        hit.length > 1 && ` ${hit.length} servers have alerts${shared === undefined ? '' : `, ${shared.n} of them with ${shared.name}=${shared.value}`}.`].filter((part) => part !== false).join('');
}

export function alertsPage(root: HTMLElement, _route: Route, signal: AbortSignal): void {
    let filter = FILTERS.some(([value]) => value === parameter('state')) ? parameter('state') : 'open';
    let severity = parameter('severity') === 'critical' ? 'critical' : '';
    const headline = h('h1', {});
    const sub = h('p', { class: 'hush' });
    const list = h('ol', { class: 'alerts', 'aria-label': 'Alerts' });
    const scale = h('div', { class: 'alert-scale' });
    const more = h('p', { class: 'hush' });
    const silences = h('section', { class: 'silences', 'aria-label': 'Silences', hidden: true });
    const search = h('input', { type: 'search', id: 'search', placeholder: matchMedia('(max-width: 760px)').matches ? 'Search' : 'Name, metric or label=value   /', 'aria-label': 'Search alerts by server, metric or label, for instance dc=fra', autocomplete: 'off', spellcheck: 'false', value: parameter('q') });
    const filters = h('div', { class: 'switch', role: 'group', 'aria-label': 'State' }, ...FILTERS.map(([value, label]) =>
        h('button', { type: 'button', 'data-value': value, click: () => { filter = value; paint(true); } }, label)));
    const critical = h('button', { type: 'button', class: 'chip critical', click: () => { severity = severity === '' ? 'critical' : ''; paint(true); } }, glyph('critical'), 'Critical only');
    let signature = '';

    function paint(force: boolean): void {
        const now = live.now();
        const firing = live.alerts.filter(fires);
        const open = firing.filter(calls);
        const bad = open.filter((alert) => alert.severity === 'critical').length;
        setText(headline, open.length === 0 ? (firing.length === 0 ? 'No alert is firing' : 'Every firing alert is taken care of') : bad === open.length ? `${plural(bad, 'critical alert')} firing` : `${plural(open.length, 'alert')} firing${bad > 0 ? `, ${bad} of them critical` : ''}`);
        headline.className = bad > 0 ? 'critical' : open.length > 0 ? 'warning' : 'healthy';
        const pending = live.alerts.filter((alert) => alert.state === 'pending').length;
        setText(sub, live.alertsStale ? 'No server reports, so this list cannot tell: alerts are held as they were.'
            : counts(pending, firing.length - open.length, live.alerts.filter((alert) => alert.state === 'resolved').length) + commonText(open));
        for (const button of filters.querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset['value'] === filter));
        critical.setAttribute('aria-pressed', String(severity !== ''));
        setParameters({ state: filter === 'open' ? '' : filter, severity, q: search.value });
        const chosen = parseFilter(search.value, new Set(labelNames([...live.alerts, ...live.fleet?.servers ?? []])));
        const shown = live.alerts.filter((alert) => fits(alert, filter) && (severity === '' || alert.severity === severity) &&
            chosen.matches(alert, `${metricName(alert.metric)} ${alert.metric}`)).sort(order);
        // Buttons keep their place and their focus while nothing has changed.
        const next = JSON.stringify([shown.map((alert) => [alert.id, alert.state, alert.severity, alert.ack, alert.silenced_by, alert.seconds_ahead, alert.updated_at_unix]), Math.floor(now / 60)]);
        if (!force && next === signature) return;
        signature = next;
        const focused = document.activeElement?.closest('li')?.dataset['id'];
        fill(scale, h('span', {}), shown.length > 0 && axis(now));
        fill(list, ...shown.slice(0, SHOWN_MAX).map((alert) => item(alert, now)));
        if (focused !== undefined) list.querySelector<HTMLElement>(`[data-id="${CSS.escape(focused)}"] a`)?.focus({ preventScroll: true });
        setText(more, [chosen.problem, shown.length > SHOWN_MAX ? `${shown.length - SHOWN_MAX} more: search, or show critical ones only.` : shown.length === 0 ? emptyText(live.alerts.filter((alert) => fits(alert, filter)).length) : ''].filter((text) => text !== '').join(' '));
    }

    function emptyText(unfiltered: number): string {
        if (unfiltered > 0) return `${plural(unfiltered, 'alert is', 'alerts are')} hidden by the search or “Critical only”.`;
        return { open: 'No alert is firing.', pending: 'Nothing is pending: no forecast has crossed a threshold only once.', resolved: 'Nothing was resolved within the last hour.' }[filter] ?? 'No alerts.';
    }

    async function paintSilences(): Promise<void> {
        if (!(await canSilence()) || !(await offers('/api/v1/silences'))) return;
        const answer = await get<Silence[] | { silences: Silence[] }>('api/v1/silences', signal).catch(() => null);
        if (answer === null || signal.aborted) return;
        const all = Array.isArray(answer) ? answer : answer.silences;
        const active = all.filter((silence) => silence.state !== 'expired');
        const removable = await offers('/api/v1/silences/{id}', 'delete');
        silences.hidden = false;
        fill(silences, h('h2', {}, 'Silences'), active.length === 0 ? h('p', { class: 'hush' }, 'None. Choose “Silence” beside an alert to make one.')
            : h('ul', {}, ...active.map((silence) => h('li', {}, h('span', {}, h('b', {}, matcherText(silence)), ` ${silenceTime(silence, live.now())}`,
                h('span', { class: 'hush' }, ` ${[silence.created_by, silence.comment].filter((text) => text !== '').join(': ')}`)),
            removable && h('button', { type: 'button', 'aria-label': `End the silence of ${matcherText(silence)}`, click: () => { void write('DELETE', `api/v1/silences/${encodeURIComponent(silence.id)}`).then(() => { live.refresh(true); void paintSilences(); }, () => undefined); } }, 'End now')))));
    }

    search.addEventListener('input', () => paint(true));
    addEventListener('keydown', (event) => {
        if (event.key === '/' && !(event.target as HTMLElement).matches('input, select')) {
            event.preventDefault();
            search.focus();
        }
    }, { signal });
    root.append(h('section', { class: 'verdict' }, h('div', {}, headline, sub)), h('div', { class: 'toolbar' }, filters, critical, search), scale, list, more, silences);
    live.subscribe(() => {
        paint(false);
        void paintSilences();
    }, signal);
    paint(true);
    void paintSilences();
}
