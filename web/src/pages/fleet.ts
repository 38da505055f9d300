// The fleet in five seconds: one sentence about the worst, every server as a cell, then the list with the riskiest
// first, each row saying why and when.
import { fill, h, on, setText } from '../dom';
import { completions, type Filter, labelNames, labelTerm, parseFilter } from '../filter';
import { chance, count, plural, profileName, scoreText } from '../format';
import { glyph, markLabel, markOf, MARKS, type Mark } from '../glyph';
import { HeatMap } from '../heat';
import { live } from '../live';
import { parameter, serverHref, setParameters, type Route } from '../route';
import { spark } from '../spark';
import type { FleetServer } from '../types';
import { type Row, VirtualList } from '../virtual';
import { calls, fallsToBad, fires, whyInShort, worstSentence } from '../words';

const narrow = matchMedia('(max-width: 760px)');
const SORTS: Record<string, (a: FleetServer, b: FleetServer) => number> = {
    risk: () => 0, // as the daemon sends it
    soonest: (a, b) => (a.driver?.crossing_unix ?? Infinity) - (b.driver?.crossing_unix ?? Infinity) || b.risk_score - a.risk_score,
    name: (a, b) => a.server_name.localeCompare(b.server_name, 'en', { numeric: true }),
};

function rowHeight(): number {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    return Math.round((narrow.matches ? 5.5 : 3.25) * rem);
}

/** The worst that is to be said of a server's alerts, and how grave it is. */
function alertState(name: string): { word: string; severity: Mark | null } {
    let word = '';
    let severity: Mark | null = null;
    for (const alert of live.alerts) {
        if (alert.server_name !== name || !fires(alert)) continue;
        if (calls(alert)) {
            severity = severity === 'critical' ? severity : alert.severity;
            word = 'firing';
        } else if (word !== 'firing') {
            word = alert.ack !== null ? 'acknowledged' : word === '' ? 'silenced' : word;
        }
    }
    return { word, severity };
}

/** The profile and what the labels say besides. */
function kindOf(server: FleetServer): string {
    const profile = profileName(server.profile);
    return [profile, ...Object.values(server.labels ?? {}).filter((value) => value.toLowerCase() !== profile.toLowerCase())].join(' · ');
}

function labelsInWords(server: FleetServer): string {
    return Object.entries(server.labels ?? {}).map(([name, value]) => `${name}: ${value}`).join('\n');
}

function makeRow(): Row<FleetServer> {
    const score = h('span', { class: 'score' });
    const name = h('span', { class: 'name' });
    const kind = h('span', { class: 'kind' });
    const why = h('span', { class: 'why' });
    const picture = h('span', { class: 'picture' });
    const soonValue = h('span', {}), laterValue = h('span', {});
    const soon = h('span', { class: 'p30' }, h('span', { class: 'unseen' }, 'incident within 30 minutes: '), soonValue);
    const later = h('span', { class: 'p8' }, h('span', { class: 'unseen' }, 'within 8 hours: '), laterValue);
    const state = h('span', { class: 'state' });
    const link = h('a', { href: '' }, score, h('span', { class: 'who' }, name, kind), why, picture, soon, later, state);
    const element = h('li', {}, link);
    return {
        element,
        show(server, index, total) {
            const mark = markOf(server);
            const now = live.now();
            element.className = mark;
            element.setAttribute('aria-setsize', String(total));
            element.setAttribute('aria-posinset', String(index + 1));
            link.setAttribute('href', serverHref(server.server_name));
            link.dataset['index'] = String(index);
            fill(score, glyph(mark), h('b', {}, scoreText(server.risk_score)), h('span', { class: 'word' }, markLabel(mark)));
            setText(name, server.server_name);
            name.title = server.server_name;
            setText(kind, kindOf(server));
            kind.title = labelsInWords(server);
            setText(why, whyInShort(server, now));
            const driver = server.driver;
            fill(picture, driver !== null && !server.stale && spark({
                width: 150, height: 30, history: [driver.current], p50: driver.path, threshold: driver.threshold,
                low: fallsToBad(driver.metric), spread: 4,
            }));
            setText(soonValue, chance(server.probability_30m));
            setText(laterValue, chance(server.probability_8h));
            const { word, severity } = alertState(server.server_name);
            fill(state, severity !== null && glyph(severity), word);
            state.dataset['word'] = word;
            state.title = severity === null ? '' : `A ${severity} alert fires`;
        },
    };
}

/** The chance that any of them has an incident; in a large fleet that is certain, and how many is what one asks. */
function oddsOf(servers: readonly FleetServer[], pick: (server: FleetServer) => number): string {
    const any = 1 - servers.reduce((none, server) => none * (1 - pick(server)), 1);
    const expected = servers.reduce((sum, server) => sum + pick(server), 0);
    return any > 0.99 && expected >= 2 ? `about ${plural(Math.round(expected), 'server')}` : `${chance(any)} chance`;
}

/** Silent, and nobody has said that it may be. */
function missing(servers: readonly FleetServer[]): number {
    const known = new Set(live.alerts.filter((alert) => alert.metric === 'server_silent' && fires(alert) && !calls(alert)).map((alert) => alert.server_name));
    return servers.filter((server) => server.stale && !known.has(server.server_name)).length;
}

export function fleetPage(root: HTMLElement, _route: Route, signal: AbortSignal): void {
    const headline = h('h1', {});
    const worst = h('p', { class: 'worst' });
    const odds = h('p', { class: 'odds hush' });
    const chips = new Map<Mark, { button: HTMLButtonElement; n: HTMLElement }>();
    const search = h('input', { type: 'search', id: 'search', placeholder: narrow.matches ? 'Name or label=value' : 'Search: name or label=value   /', 'aria-label': 'Search servers by name, profile or label, for instance dc=fra', autocomplete: 'off', spellcheck: 'false', list: 'terms', value: parameter('q') });
    const sort = h('select', { 'aria-label': 'Order' }, h('option', { value: 'risk' }, 'Riskiest first'), h('option', { value: 'soonest' }, 'Soonest first'), h('option', { value: 'name' }, 'By name'));
    const terms = h('datalist', { id: 'terms' });
    const grouping = h('select', { 'aria-label': 'Group the heat map' });
    const found = h('p', { class: 'found hush', role: 'status' });
    const heat = new HeatMap(signal, (name, value) => {
        search.value = `${search.value.trim()} ${labelTerm(name, value)}`.trim();
        update();
        search.focus();
    });
    const list = h('ol', { class: 'servers', 'aria-label': 'Servers' });
    const none = h('p', { class: 'none', hidden: true });
    const rows = new VirtualList<FleetServer>(list, makeRow, rowHeight, signal);
    let level = parameter('level');
    sort.value = parameter('sort') in SORTS ? parameter('sort') : 'risk';
    let by = parameter('map') === 'risk' ? '' : parameter('map');
    let names: string[] = [];

    const levels = h('div', { class: 'levels', role: 'group', 'aria-label': 'Show only' }, ...MARKS.map((mark) => {
        const n = h('b', {}, '0');
        const button = h('button', { type: 'button', class: `chip ${mark}`, click: () => {
            level = level === mark ? '' : mark;
            update();
        } }, glyph(mark), n, h('span', {}, markLabel(mark)));
        chips.set(mark, { button, n });
        return button;
    }));

    function verdict(servers: readonly FleetServer[], calling: ReadonlySet<string>): void {
        const tally = new Map<Mark, number>();
        for (const server of servers) tally.set(markOf(server), (tally.get(markOf(server)) ?? 0) + 1);
        for (const [mark, { button, n }] of chips) {
            setText(n, count(tally.get(mark) ?? 0));
            button.setAttribute('aria-pressed', String(level === mark));
            button.disabled = (tally.get(mark) ?? 0) === 0 && level !== mark;
        }
        const critical = tally.get('critical') ?? 0, silent = tally.get('silent') ?? 0, lost = missing(servers);
        // A server needs somebody when its score says so, and also when an alert that nobody has taken fires early.
        const called = servers.filter((server) => !server.stale && server.level !== 'critical' && (server.level === 'warning' || calling.has(server.server_name)));
        const text = critical > 0
            ? `${plural(critical, 'server is', 'servers are')} critical${called.length > 0 ? `, ${count(called.length)} more ${called.length === 1 ? 'needs' : 'need'} attention` : ''}`
            : called.length > 0 ? `${plural(called.length, 'server needs', 'servers need')} attention`
            : silent === servers.length ? 'Every server is silent'
            : lost > 0 ? `${plural(lost, 'server is', 'servers are')} silent, else nothing needs you` : 'Nothing needs you now';
        setText(headline, text);
        const urgent = live.alerts.some((alert) => calls(alert) && alert.severity === 'critical' && !alert.held);
        headline.className = critical > 0 || urgent ? 'critical' : called.length > 0 ? 'warning' : lost > 0 ? 'silent' : 'healthy';
        const top = servers.find((server) => !server.stale && server.level === 'critical') ?? called.find((server) => server.driver !== null) ?? servers.find((server) => !server.stale && server.level === 'watch');
        const now = live.now();
        fill(worst, top !== undefined && h('a', { href: serverHref(top.server_name, top.driver?.metric) }, top.server_name),
            top !== undefined ? ` ${worstSentence(top, now)}` : `${plural(servers.length, 'server')}, none of which is expected to pass a threshold soon.`);
        setText(odds, `Incidents anywhere in the fleet: ${oddsOf(servers, (s) => s.probability_30m)} within 30 minutes, ${oddsOf(servers, (s) => s.probability_8h)} within 8 hours.`);
    }

    /** Labels come and go with the servers; what may be chosen follows, and the search is read by it. */
    function learnNames(servers: readonly FleetServer[]): Filter {
        const now = labelNames(servers);
        if (grouping.childElementCount === 0 || now.join() !== names.join()) {
            names = now;
            fill(grouping, h('option', { value: '' }, 'Map: all together'), ...['profile', ...names].map((name) => h('option', { value: name }, `Map by ${name}`)));
        }
        if (by !== '' && by !== 'profile' && !names.includes(by) && servers.length > 0) by = '';
        grouping.value = by;
        return parseFilter(search.value, new Set(names));
    }

    function offer(): void {
        fill(terms, ...completions(search.value, live.fleet?.servers ?? [], names).map((text) => h('option', { value: text })));
    }

    function update(): void {
        const servers = live.fleet?.servers ?? [];
        const filter = learnNames(servers);
        setParameters({ q: search.value, level, sort: sort.value === 'risk' ? '' : sort.value, map: by });
        const calling = new Set(live.alerts.filter(calls).map((alert) => alert.server_name));
        verdict(servers, calling);
        const shown = servers.filter((server) => (level === '' || markOf(server) === level) && filter.matches(server));
        heat.set(shown, by, calling);
        const order = SORTS[sort.value];
        if (order !== undefined && sort.value !== 'risk') shown.sort(order);
        rows.set(shown);
        const tally = shown.length === servers.length ? plural(servers.length, 'server') : `${count(shown.length)} of ${plural(servers.length, 'server')}`;
        setText(found, filter.problem === '' ? tally : `${filter.problem} ${tally}`);
        none.hidden = shown.length > 0 || servers.length === 0;
        setText(none, `No server ${level === '' ? '' : `that is ${markLabel(level as Mark).toLowerCase()} `}matches${search.value === '' ? '' : ` “${search.value}”`}.`);
        head.hidden = shown.length === 0;
    }

    function move(by: number): void {
        const at = Number((document.activeElement as HTMLElement | null)?.dataset['index'] ?? (by > 0 ? -1 : 0));
        const next = Math.max(0, Math.min(rows.length - 1, at + by));
        (rows.reveal(next)?.firstElementChild as HTMLElement | null)?.focus({ preventScroll: true });
    }

    on(window, 'keydown', (event) => {
        const typing = (event.target as HTMLElement).matches('input, select');
        if (event.key === 'Escape' && event.target === search) {
            search.value = '';
            update();
            search.blur();
        } else if (event.key === 'ArrowDown' && event.target === search && terms.childElementCount === 0) {
            event.preventDefault();
            move(1);
        } else if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
            if (event.key === '/') {
                event.preventDefault();
                search.focus();
                search.select();
            } else if (event.key === 'j' || event.key === 'k') {
                move(event.key === 'j' ? 1 : -1);
            } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && document.activeElement?.closest('.servers')) {
                event.preventDefault();
                move(event.key === 'ArrowDown' ? 1 : -1);
            }
        }
    }, signal);
    search.addEventListener('input', () => {
        update();
        offer();
    });
    search.addEventListener('focus', offer);
    sort.addEventListener('change', update);
    grouping.addEventListener('change', () => {
        by = grouping.value;
        update();
    });
    narrow.addEventListener('change', update, { signal });

    const head = h('div', { class: 'head', 'aria-hidden': 'true' }, h('span', {}, 'Score'), h('span', {}, 'Server'), h('span', {}, 'Why'), h('span', {}, 'Next 8 hours'), h('span', {}, '30 min'), h('span', {}, '8 h'), h('span', {}, 'Alert'));
    root.append(
        h('section', { class: 'verdict', 'aria-label': 'At a glance' }, h('div', {}, headline, worst, odds), levels),
        heat.element,
        h('div', { class: 'toolbar' }, search, terms, sort, grouping, found),
        head, list, none);
    live.subscribe(update, signal);
    update();
}
