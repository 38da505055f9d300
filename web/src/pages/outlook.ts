// The fleet ahead of time: how likely an incident is, when servers are expected to cross, and what fills up within a day.
import { get } from '../api';
import { fill, h, setText, svg } from '../dom';
import { chance, clock, count, duration, metricName, metricValue, number, plural, NBSP } from '../format';
import { glyph } from '../glyph';
import { live } from '../live';
import { serverHref, type Route } from '../route';
import type { Filling, FleetServer } from '../types';
import { driverInShort } from '../words';

const SLOT_S = 1800, SLOTS = 17, STACK_MAX = 12; // the half hour that runs, and 8 hours

interface Outlook {
    environment: { prob_30m: number; prob_8h: number; high_risk_servers: number; total_servers: number };
}

function gauge(label: string, value: number, text: string): HTMLElement {
    const bar = h('span', { class: 'gauge', role: 'img', 'aria-label': `${label}: ${chance(value)}` });
    bar.style.setProperty('--share', `${Math.round(value * 1000) / 10}%`);
    return h('div', { class: 'odds-card' }, h('h2', {}, label), h('p', { class: 'big' }, chance(value)), bar, h('p', { class: 'hush' }, text));
}

/** Servers as dots, stacked over the half hour in which they are expected to cross. */
function calendar(servers: readonly FleetServer[], now: number): HTMLElement {
    const slots: FleetServer[][] = Array.from({ length: SLOTS }, () => []);
    const first = Math.floor(now / SLOT_S) * SLOT_S;
    const already = servers.filter((server) => server.driver?.crossed === true);
    for (const server of servers) {
        const at = server.driver?.crossed === true ? null : server.driver?.crossing_unix ?? null;
        if (at === null) continue;
        const slot = Math.floor((at - 1 - first) / SLOT_S); // the end of a step belongs to it
        if (slot < SLOTS) slots[Math.max(0, slot)]?.push(server);
    }
    const named = slots.every((slot) => slot.length <= 4);
    const columns = slots.map((slot, i) => {
        const from = first + i * SLOT_S;
        const label = i === 0 ? 'now' : clock(from, now).replace(/^\D+ /, '');
        const sorted = [...slot].sort((a, b) => b.risk_score - a.risk_score);
        return h('li', {},
            h('div', { class: 'stack' }, sorted.length > STACK_MAX && h('span', { class: 'more' }, `+${sorted.length - STACK_MAX}`),
                ...sorted.slice(0, STACK_MAX).reverse().map((server) => h('a', { href: serverHref(server.server_name, server.driver?.metric), class: server.level, title: `${server.server_name}: ${server.driver === null ? '' : driverInShort(server.driver, now)}`, 'aria-label': `${server.server_name}: ${server.driver === null ? '' : driverInShort(server.driver, now)}` }, glyph(server.level), named && h('span', {}, server.server_name)))),
            h('span', { class: i === 0 || (i < SLOTS - 1 && /[02468]:/.test(label)) ? 'slot' : 'slot odd' }, i === 0 || (label.endsWith(':00') && i > 1) ? label : ''));
    });
    const total = slots.reduce((sum, slot) => sum + slot.length, 0);
    return h('section', { class: 'calendar', 'aria-label': 'When' }, h('h2', {}, 'Who passes a threshold, and when'),
        h('p', { class: 'hush' }, total === 0 ? 'No server is expected to pass a threshold within the next 8 hours.' : `${plural(total, 'server')} within the next 8 hours, each by its worst metric${already.length > 0 ? `; ${count(already.length)} beyond one already` : ''}.`),
        h('ol', {}, ...columns));
}

/** What grows by the hour is no measure of tomorrow, unless it is a disk. */
function lasting(item: Filling): boolean {
    return item.basis !== 'extrapolated' || item.metric === 'disk_usage_pct';
}

function bar(item: Filling): SVGElement {
    const now = Math.min(100, item.current), limit = Math.min(100, item.threshold);
    return svg('svg', { class: 'fill', viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true', focusable: 'false' },
        svg('rect', { x: 0, y: 0, width: 100, height: 10, class: 'room' }), svg('rect', { x: 0, y: 0, width: now, height: 10, class: 'used' }), svg('path', { d: `M${limit} 0V10`, class: 'limit' }));
}

function row(item: Filling, now: number): HTMLElement {
    const when = item.basis === 'reached' ? 'now' : item.reaches_unix === null ? '–' : clock(item.reaches_unix, now);
    const left = item.basis === 'reached' ? 'already over it' : item.reaches_unix === null ? '' : `in ${duration(item.reaches_unix - now)}`;
    const sure = item.basis === 'extrapolated' ? 'straight line' : item.basis === 'reached' ? '' : chance(item.probability_8h);
    return h('tr', {}, h('th', { scope: 'row' }, h('a', { href: serverHref(item.server_name, item.metric) }, item.server_name)), h('td', {}, h('b', {}, when), ' ', h('span', { class: 'hush' }, left)),
        h('td', {}, metricName(item.metric)), h('td', { class: 'level-cell' }, h('span', {}, metricValue(item.metric, item.current)), bar(item)),
        h('td', { class: 'wide' }, `${item.per_hour > 0 ? '+' : item.per_hour < 0 ? '−' : ''}${number(Math.abs(item.per_hour), 1)}${NBSP}%/h`), h('td', { class: 'hush wide' }, sure));
}

export function outlookPage(root: HTMLElement, _route: Route, signal: AbortSignal): void {
    const headline = h('h1', {}, 'The next 8 hours');
    const odds = h('div', { class: 'odds-cards' });
    const when = h('div', {});
    const capacity = h('section', { class: 'capacity', 'aria-label': 'Capacity' });
    let run = -1;

    async function load(): Promise<void> {
        const fleet = live.fleet;
        if (fleet === undefined || fleet.run_id === run) return;
        run = fleet.run_id;
        const [outlook, filling] = await Promise.all([get<Outlook>('api/v1/outlook', signal), get<{ total: number; items: Filling[] }>('api/v1/capacity?hours=24&limit=100', signal)]).catch(() => [null, null] as const);
        if (outlook === null || filling === null || signal.aborted) return;
        const now = live.now();
        const items = filling.items.filter(lasting), left = filling.items.length - items.length;
        const env = outlook.environment;
        setText(headline, items.some((item) => item.metric === 'disk_usage_pct') ? `${plural(new Set(items.filter((item) => item.metric === 'disk_usage_pct').map((item) => item.server_name)).size, 'disk fills', 'disks fill')} up within the day` : 'No disk fills up within the day');
        fill(odds, gauge('Incident within 30 minutes', env.prob_30m, 'Chance that at least one server passes a critical threshold.'),
            gauge('Incident within 8 hours', env.prob_8h, 'The same until the end of the forecast. Servers are taken as independent, so this is an upper estimate.'),
            h('div', { class: 'odds-card' }, h('h2', {}, 'Servers likely to have one within 30 minutes'), h('p', { class: 'big' }, count(env.high_risk_servers)), h('p', { class: 'hush' }, `of ${plural(env.total_servers, 'server')}, with a chance of more than 50 %.`)));
        fill(when, calendar(fleet.servers.filter((server) => !server.stale), now));
        fill(capacity, h('h2', {}, 'What fills up within 24 hours'),
            items.length === 0 ? h('p', { class: 'hush' }, 'No disk, memory or swap is expected to reach its critical threshold within 24 hours.')
                : h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Table: what fills up' }, h('table', {}, h('caption', { class: 'unseen' }, 'What fills up within 24 hours, the soonest first'),
                    h('thead', {}, h('tr', {}, ...['Server', 'Critical', 'Resource', 'Used', 'Growth', 'Chance in 8 h'].map((text, i) => h('th', { scope: 'col', class: i > 3 ? 'wide' : null }, text)))),
                    h('tbody', {}, ...items.map((item) => row(item, now))))),
            filling.total > filling.items.length && h('p', { class: 'hush' }, `${count(filling.total - filling.items.length)} more.`),
            (left > 0 || items.some((item) => item.basis === 'extrapolated')) && h('p', { class: 'hush small' }, `Beyond 8 hours a disk's forecast goes on in a straight line: an estimate without a chance.${left > 0 ? ` Memory and swap follow the day rather than a line, so ${plural(left, 'such estimate is', 'such estimates are')} left out.` : ''}`));
    }

    root.append(h('section', { class: 'verdict' }, h('div', {}, headline)), odds, when, capacity);
    live.subscribe(() => void load(), signal);
    void load();
}
