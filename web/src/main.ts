import { base, key, offers, setKey } from './api';
import { fill, h, setText, svg } from './dom';
import { clockSeconds, duration } from './format';
import { live } from './live';
import { alertsPage } from './pages/alerts';
import { fleetPage } from './pages/fleet';
import { outlookPage } from './pages/outlook';
import { serverPage } from './pages/server';
import { systemPage } from './pages/system';
import { trustPage } from './pages/trust';
import { openHelp } from './help';
import { initTheme, nextTheme, themeLabel } from './theme';
import { calls } from './words';
import { navigate, type Page, type Route, routeOf } from './route';

const TABS: readonly { id: string; label: string; path: string; key: string }[] = [
    { id: 'fleet', label: 'Fleet', path: '', key: 'f' },
    { id: 'alerts', label: 'Alerts', path: 'dashboard/alerts', key: 'a' },
    { id: 'outlook', label: 'Outlook', path: 'dashboard/outlook', key: 'o' },
    { id: 'trust', label: 'Trust', path: 'dashboard/trust', key: 't' },
    { id: 'system', label: 'System', path: 'dashboard/system', key: 's' },
];

const PAGES: Record<string, Page> = {
    fleet: fleetPage, server: serverPage, alerts: alertsPage, outlook: outlookPage, trust: trustPage, system: systemPage,
};

function noPage(root: HTMLElement): void {
    fill(root, h('div', { class: 'gate' }, h('h1', {}, 'No such page'), h('p', {}, 'The address has a mistake. ', h('a', { href: base }, 'All servers'))));
}

const app = document.getElementById('app') as HTMLElement;
const main = h('main', { class: 'page', id: 'main', tabindex: -1 });
const notice = h('div', { class: 'notice', role: 'status', 'aria-live': 'polite' });
const lamp = h('span', { class: 'lamp', 'aria-hidden': 'true' });
const linkText = h('span', {});
const linkTime = h('span', { class: 'link-time' });
const link = h('span', { class: 'link', role: 'status' }, lamp, linkText, linkTime);
const theme = h('button', { type: 'button', class: 'quiet', click: () => { nextTheme(); labelTheme(); } });
const forget = h('button', { type: 'button', class: 'quiet', click: () => { setKey(''); live.restart(); } }, 'Forget key');
const tabs = TABS.map((tab) => h('a', { href: base + tab.path, 'data-tab': tab.id }, h('span', {}, tab.label), h('span', { class: 'badge', hidden: true })));
const nav = h('nav', { 'aria-label': 'Pages' }, ...tabs);

function labelTheme(): void {
    fill(theme, themeGlyph(), h('span', { class: 'theme-word' }, ` ${themeLabel()}`));
    theme.setAttribute('aria-label', `Colours: ${themeLabel()}. Change`);
}

function themeGlyph(): SVGElement {
    return svg('svg', { viewBox: '0 0 16 16', class: 'glyph', 'aria-hidden': 'true', focusable: 'false' },
        svg('circle', { cx: 8, cy: 8, r: 6, class: 'line' }), svg('path', { d: 'M8 2a6 6 0 0 1 0 12z', class: 'ink' }));
}

let page: AbortController | undefined;
let shown = '';
let gate = '';

function show(route: Route): void {
    page?.abort();
    page = new AbortController();
    shown = location.pathname + location.search;
    main.className = `page on-${route.page}`;
    main.replaceChildren();
    for (const tab of tabs) {
        const current = tab.dataset['tab'] === (route.page === 'server' ? 'fleet' : route.page);
        if (current) tab.setAttribute('aria-current', 'page');
        else tab.removeAttribute('aria-current');
    }
    document.title = `${route.title} · forewarn`;
    (PAGES[route.page] ?? noPage)(main, route, page.signal);
}

/** What stands in the way of any page: no key, no data yet, no daemon. '' when nothing does. */
function gateNow(): string {
    if (live.phase === 'key' || live.phase === 'empty') return live.phase;
    if (live.phase === 'live' || (live.phase === 'lost' && live.fleet !== undefined)) return '';
    if (live.phase === 'starting' && live.fleet !== undefined) return '';
    return live.phase;
}

function command(text: string): HTMLElement {
    const button = h('button', { type: 'button', class: 'quiet', click: () => { navigator.clipboard?.writeText(text).then(() => fill(button, 'Copied'), () => undefined); } }, 'Copy');
    return h('div', { class: 'command' }, h('code', {}, text), button);
}

function gateContent(which: string): HTMLElement {
    const origin = location.origin + base.replace(/\/$/, '');
    switch (which) {
    case 'key': {
        const input = h('input', { type: 'password', id: 'key', name: 'key', autocomplete: 'current-password', required: true, spellcheck: 'false' });
        const enter = (event: Event): void => {
            event.preventDefault();
            setKey(input.value.trim());
            live.restart();
        };
        return h('form', { class: 'gate', submit: enter },
            h('h1', {}, 'This fleet is locked'),
            h('p', {}, 'Enter an API key. Reading needs the role ', h('b', {}, 'read'), '. The key stays in this tab and is gone when you close it.'),
            h('label', { for: 'key' }, 'API key'),
            h('div', { class: 'field' }, input, h('button', { type: 'submit', class: 'primary' }, 'Open')),
            key() !== '' && h('p', { class: 'error', role: 'alert' }, `The daemon refused this key: ${live.detail}`));
    }
    case 'empty':
        return h('div', { class: 'gate' },
            h('h1', {}, 'No server has reported yet'),
            h('p', {}, 'forewarn is running and waits for its first samples. This page goes on by itself when they arrive. Three ways to send some:'),
            h('h2', {}, 'This machine, now'), command(`forewarn agent --url ${origin}`),
            h('h2', {}, 'A simulated fleet'), command(`forewarn simulate --servers 25 --days 3 --seed 1 --url ${origin}`),
            h('h2', {}, 'Prometheus, in prometheus.yml'), command(`remote_write: [{url: ${origin}/api/v1/write}]`));
    case 'starting':
        return h('div', { class: 'gate' },
            h('h1', {}, 'forewarn is starting'),
            h('p', {}, 'The windows of the fleet are being rebuilt from the journal. Nothing that was acknowledged is lost; this page opens when the first forecast is made.'),
            h('p', { class: 'hush' }, live.detail), h('div', { class: 'progress', 'aria-hidden': 'true' }));
    case 'lost':
        return h('div', { class: 'gate' },
            h('h1', {}, 'The daemon does not answer'),
            h('p', {}, 'Nothing is known about the fleet: this page was opened, but no figures have come. It asks again every few seconds.'),
            command('systemctl status forewarn'));
    default:
        return h('div', { class: 'gate' }, h('p', { class: 'hush' }, 'Reading the fleet…'));
    }
}

function banner(): string {
    const known = performance.now() - live.lastAnswer;
    if (live.phase === 'lost') return `Disconnected. What you see is ${duration(known / 1000)} old; asking again…`;
    if (live.phase === 'starting') return 'The daemon is restarting. What you see is from before.';
    const fleet = live.fleet, status = live.status;
    if (fleet === undefined || status === undefined) return '';
    if (fleet.servers.length > 0 && fleet.servers.every((server) => server.stale))
        return 'No server reports any more. Forecasts and alerts are held as they were: check the senders, then the network.';
    if (!status.warmup.is_warmed_up && status.servers_tracked > 0)
        return `Warming up: ${status.warmup.servers_ready} of ${status.servers_tracked} servers have enough history (${status.warmup.current_size} of ${status.warmup.required_size} steps on average). Forecasts are made already, but they know little of the day's rhythm.`;
    return '';
}

function update(): void {
    const now = gateNow();
    if (now !== gate || (now === 'key' && live.detail !== '')) {
        gate = now;
        if (now !== '') {
            page?.abort();
            page = undefined;
            main.className = 'page';
            fill(main, gateContent(now));
            document.title = 'forewarn';
            if (now === 'key') document.getElementById('key')?.focus();
        }
    }
    if (now === '' && page === undefined) show(routeOf(location));
    app.dataset['phase'] = live.phase;
    forget.hidden = key() === '';
    nav.hidden = now !== '';
    tick();
    const firing = live.alerts.filter(calls).length;
    const badge = tabs[1]?.querySelector('.badge') as HTMLElement;
    badge.hidden = firing === 0;
    setText(badge, String(firing));
    tabs[1]?.setAttribute('aria-label', firing === 0 ? 'Alerts' : `Alerts, ${firing} firing`);
}

function tick(): void {
    const text = banner();
    notice.hidden = text === '';
    setText(notice, text);
    notice.className = `notice ${live.phase}`;
    const fleet = live.fleet;
    const words: Record<string, string> = { loading: 'connecting', key: 'locked', starting: 'starting', empty: 'waiting for data', lost: 'disconnected' };
    const well = live.phase === 'live' && fleet !== undefined;
    setText(linkText, well ? (live.streaming ? 'live' : 'polling') : words[live.phase] ?? '');
    setText(linkTime, well ? clockSeconds(fleet.generated_at_unix) : '');
    link.title = well ? 'When the forecast was made' : '';
    link.className = `link ${live.phase}`;
}

function follow(event: MouseEvent): void {
    const anchor = (event.target as Element | null)?.closest('a');
    if (anchor === null || anchor === undefined || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || anchor.origin !== location.origin) return;
    if (routeOf(anchor).page === '' || anchor.hasAttribute('download') || anchor.hash !== '') return;
    event.preventDefault();
    navigate(anchor.pathname + anchor.search);
    main.focus({ preventScroll: true });
}

let prefix = 0;
function hotkey(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const typing = target.matches('input, select, textarea') || target.closest('dialog') !== null;
    if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === '?') {
        event.preventDefault();
        openHelp();
    } else if (event.key === 'g') {
        prefix = performance.now();
    } else if (performance.now() - prefix < 1200) {
        prefix = 0;
        const tab = TABS.find((candidate) => candidate.key === event.key);
        if (tab !== undefined && gate === '') {
            event.preventDefault();
            navigate(base + tab.path);
        }
    }
}

function begin(): void {
    initTheme();
    labelTheme();
    // The address changes without loading a page; what is relative to it must not.
    for (const icon of document.querySelectorAll<HTMLLinkElement>('link[rel="icon"]')) icon.setAttribute('href', icon.href);
    const help = h('button', { type: 'button', class: 'quiet', 'aria-label': 'Keyboard and legend', click: openHelp }, '?');
    fill(app,
        h('a', { class: 'skip', href: '#main', click: (event: Event) => { event.preventDefault(); main.focus(); } }, 'Skip to content'),
        h('header', { class: 'bar' }, h('a', { class: 'brand', href: base, 'aria-label': 'forewarn, fleet' }, 'forewarn'), nav, link, h('span', { class: 'tools' }, forget, theme, help)),
        notice, main);
    document.addEventListener('click', follow);
    document.addEventListener('keydown', hotkey);
    addEventListener('popstate', () => { if (gate === '' && location.pathname + location.search !== shown) show(routeOf(location)); });
    addEventListener('forewarn:navigate', () => { if (gate === '') show(routeOf(location)); });
    live.subscribe(update, new AbortController().signal);
    setInterval(tick, 1000);
    live.start();
    void offers('/api/v1/silences'); // the description is read while there is time
    update();
}

begin();
