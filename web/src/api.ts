// Requests to the daemon that served this page, and nobody else. The key is kept for as long as the tab lives.

const STORED_KEY = 'forewarn-key';

/** Where the daemon's paths begin: the script lies in <base>assets/. */
export const base = new URL('../', import.meta.url).pathname;

export class Refused extends Error {
    constructor(readonly status: number, readonly detail: string) {
        super(detail);
    }
}

export class Unreachable extends Error {}

export function key(): string {
    return sessionStorage.getItem(STORED_KEY) ?? '';
}

export function setKey(value: string): void {
    if (value === '') sessionStorage.removeItem(STORED_KEY);
    else sessionStorage.setItem(STORED_KEY, value);
}

export function headers(extra: Record<string, string> = {}): Record<string, string> {
    const all: Record<string, string> = { Accept: 'application/json', ...extra };
    if (key() !== '') all['X-API-Key'] = key();
    return all;
}

async function detailOf(response: Response): Promise<string> {
    const body: unknown = await response.json().catch(() => null);
    const detail = (body as { detail?: unknown } | null)?.detail;
    if (typeof detail === 'string') return detail;
    if (Array.isArray(detail) && detail.length > 0) return String((detail[0] as { msg?: unknown }).msg ?? response.statusText);
    return response.statusText || `HTTP ${response.status}`;
}

async function send(path: string, init: RequestInit): Promise<Response> {
    try {
        return await fetch(base + path, { cache: 'no-store', credentials: 'omit', redirect: 'error', ...init });
    } catch (error) {
        if (error instanceof DOMException && error.name === 'AbortError') throw error;
        throw new Unreachable('no answer');
    }
}

const TIMEOUT_MS = 15000;

function limited(signal?: AbortSignal): AbortSignal {
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    return signal === undefined || !('any' in AbortSignal) ? signal ?? deadline : AbortSignal.any([signal, deadline]);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
    const response = await send(path, { headers: headers(), signal: limited(signal) });
    if (!response.ok) throw new Refused(response.status, await detailOf(response));
    return (await response.json()) as T;
}

export async function getText(path: string): Promise<string> {
    const response = await send(path, { headers: headers({ Accept: 'text/plain' }), signal: limited() });
    if (!response.ok) throw new Refused(response.status, await detailOf(response));
    return response.text();
}

export async function write(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
    const init: RequestInit = { method, headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }), signal: limited() };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await send(path, init);
    if (!response.ok) throw new Refused(response.status, await detailOf(response));
}

/** A body that is asked for again and again: an unchanged one costs a 304. */
export class Polled<T> {
    private etag = '';
    private last: T | undefined;

    constructor(private readonly path: string) {}

    /** The body and whether it differs from the one before. */
    async fetch(): Promise<{ body: T; changed: boolean }> {
        const extra: Record<string, string> = this.etag === '' ? {} : { 'If-None-Match': this.etag };
        const response = await send(this.path, { headers: headers(extra), signal: limited() });
        if (response.status === 304 && this.last !== undefined) return { body: this.last, changed: false };
        if (!response.ok) throw new Refused(response.status, await detailOf(response));
        this.last = (await response.json()) as T;
        this.etag = response.headers.get('ETag') ?? '';
        return { body: this.last, changed: true };
    }

    forget(): void {
        this.etag = '';
        this.last = undefined;
    }
}

/** A stream of server-sent events, read with fetch() because an EventSource cannot show a key. */
export async function* events(path: string, signal: AbortSignal): AsyncGenerator<{ event: string; data: string }> {
    const response = await send(path, { headers: headers({ Accept: 'text/event-stream' }), signal });
    if (!response.ok || response.body === null) throw new Refused(response.status, await detailOf(response));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    try {
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            rest += decoder.decode(value, { stream: true });
            const blocks = rest.split(/\r?\n\r?\n/);
            rest = blocks.pop() ?? '';
            for (const block of blocks) yield parseEvent(block);
        }
    } catch (error) {
        if (signal.aborted) return;
        throw new Unreachable(String(error));
    } finally {
        reader.cancel().catch(() => undefined);
    }
}

function parseEvent(block: string): { event: string; data: string } {
    let event = 'message';
    const data: string[] = [];
    for (const line of block.split(/\r?\n/)) {
        const colon = line.indexOf(':');
        if (colon <= 0) continue;
        const value = line.slice(colon + 1).replace(/^ /, '');
        if (line.startsWith('event:')) event = value;
        else if (line.startsWith('data:')) data.push(value);
    }
    return { event, data: data.join('\n') };
}

// What this daemon offers, read once from its own description.
let offered: Promise<Record<string, Record<string, unknown>>> | undefined;

export function offers(path: string, method = 'get'): Promise<boolean> {
    offered ??= get<{ paths: Record<string, Record<string, unknown>> }>('openapi.json').then((document) => document.paths);
    return offered.then((paths) => paths[path]?.[method] !== undefined).catch(() => {
        offered = undefined;
        return false;
    });
}
