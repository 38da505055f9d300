// Addresses: every view has one, so that it can be sent to somebody else.
import { base } from './api';

export interface Route {
    page: string; // '' when the address is none of ours
    title: string;
    name: string; // of the server
}

export type Page = (root: HTMLElement, route: Route, signal: AbortSignal) => void;

const TITLES: Record<string, string> = { alerts: 'Alerts', outlook: 'Outlook', trust: 'Trust', system: 'System' };

export function routeOf(at: { pathname: string }): Route {
    const path = at.pathname.startsWith(base) ? at.pathname.slice(base.length) : '';
    const server = /^servers\/([^/]+)$/.exec(path);
    if (server !== null) {
        const name = decode(server[1] as string);
        return { page: 'server', title: name, name };
    }
    const page = /^dashboard\/([a-z]+)$/.exec(path)?.[1] ?? '';
    const title = TITLES[page];
    if (title !== undefined) return { page, title, name: '' };
    if (path === '' || path === 'dashboard/fleet') return { page: 'fleet', title: 'Fleet', name: '' };
    return { page: '', title: 'forewarn', name: '' };
}

function decode(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

export function serverHref(name: string, metric?: string): string {
    const query = metric === undefined ? '' : `?metric=${encodeURIComponent(metric)}`;
    return `${base}servers/${encodeURIComponent(name)}${query}`;
}

/** The fleet, searched. */
export function fleetHref(search: string): string {
    return `${base}?q=${encodeURIComponent(search)}`;
}

export function serverApi(name: string, rest = ''): string {
    return `api/v1/servers/${encodeURIComponent(name)}${rest}`;
}

export function navigate(to: string): void {
    history.pushState(null, '', to);
    scrollTo(0, 0);
    dispatchEvent(new Event('forewarn:navigate'));
}

/** Keeps a choice (filter, metric, range) in the address without a new entry in the history. */
export function setParameters(values: Record<string, string>): void {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values))
        if (value === '') query.delete(name);
        else query.set(name, value);
    const text = query.toString();
    history.replaceState(null, '', location.pathname + (text === '' ? '' : `?${text}`));
}

export function parameter(name: string): string {
    return new URLSearchParams(location.search).get(name) ?? '';
}
