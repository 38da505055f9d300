// The state of the fleet as this page knows it, kept fresh by server-sent events where the daemon has them and by
// polling where it has not; and what is known about the connection itself.
import { events, offers, Polled, Refused, get } from './api';
import type { Alert, AlertList, Fleet, MetricSchema, Status } from './types';

export type Phase = 'loading' | 'key' | 'starting' | 'empty' | 'live' | 'lost';

const POLL_MS = 3000;
const POLL_HIDDEN_MS = 30000;
const CHECK_MS = 15000; // beside an event stream
const RETRY_MAX_MS = 8000;
const ALERTS_MS = 9000;

class Live {
    phase: Phase = 'loading';
    streaming = false;
    fleet: Fleet | undefined;
    alerts: Alert[] = [];
    alertsStale = false;
    status: Status | undefined;
    schema = new Map<string, MetricSchema>();
    detail = ''; // what the daemon said when it refused
    lastAnswer = 0; // performance.now() of the last good answer

    private readonly listeners = new Set<() => void>();
    private readonly fleetBody = new Polled<Fleet>('api/v1/fleet');
    private timer = 0;
    private busy = false;
    private again = false;
    private failures = 0;
    private alertsAt = 0;
    private streamAbort: AbortController | undefined;
    private eventsMissing = false;
    private reference = { server: 0, local: 0, speed: 1 };

    subscribe(listener: () => void, signal: AbortSignal): void {
        this.listeners.add(listener);
        signal.addEventListener('abort', () => this.listeners.delete(listener));
    }

    private tell(): void {
        for (const listener of [...this.listeners]) listener();
    }

    /** The daemon's clock: not always ours, and in a simulation not even as fast. */
    now(): number {
        const { server, local, speed } = this.reference;
        return server === 0 ? Date.now() / 1000 : server + ((performance.now() - local) / 1000) * speed;
    }

    private learnClock(server: number): void {
        const local = performance.now();
        const passed = (local - this.reference.local) / 1000;
        let speed = this.reference.speed;
        if (this.reference.server !== 0 && passed > 2) {
            const seen = (server - this.reference.server) / passed;
            speed = seen > 1.5 && seen < 1000 ? seen : 1;
        }
        this.reference = { server, local, speed };
    }

    start(): void {
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) this.refresh();
        });
        addEventListener('online', () => this.refresh());
        this.refresh();
    }

    /** Starts over, for instance with another key. */
    restart(): void {
        this.streamAbort?.abort();
        this.eventsMissing = false;
        this.fleetBody.forget();
        this.alertsAt = 0;
        this.schema.clear();
        this.refresh();
    }

    refresh(alertsToo = false): void {
        if (alertsToo) this.alertsAt = 0;
        if (this.busy) {
            this.again = true;
            return;
        }
        clearTimeout(this.timer);
        void this.round();
    }

    private async round(): Promise<void> {
        this.busy = true;
        try {
            await this.load();
            this.failures = 0;
            this.lastAnswer = performance.now();
            this.detail = '';
        } catch (error) {
            this.fail(error);
        }
        this.busy = false;
        this.tell();
        this.schedule();
        if (this.phase === 'live' && !this.streaming && !this.eventsMissing && this.streamAbort === undefined) void this.stream();
    }

    private schedule(): void {
        clearTimeout(this.timer);
        let wait = document.hidden ? POLL_HIDDEN_MS : this.streaming ? CHECK_MS : POLL_MS;
        if (this.failures > 0) wait = Math.min(RETRY_MAX_MS, 500 * 2 ** this.failures) * (0.8 + 0.4 * Math.random());
        if (this.phase === 'key') return;
        if (this.again) wait = 50;
        this.again = false;
        this.timer = window.setTimeout(() => void this.round(), wait);
    }

    private fail(error: unknown): void {
        this.failures++;
        if (error instanceof Refused) {
            this.detail = error.detail;
            if (error.status === 401 || error.status === 403) {
                this.phase = 'key';
                return;
            }
            if (error.status === 503) {
                this.phase = this.status !== undefined && this.status.servers_tracked === 0 ? 'empty' : 'starting';
                this.failures = Math.min(this.failures, 2);
                return;
            }
        }
        this.phase = 'lost';
    }

    private async load(): Promise<void> {
        this.status = await get<Status>('status');
        this.learnClock(this.status.timestamp_unix);
        if (this.schema.size === 0) {
            const { metrics } = await get<{ metrics: MetricSchema[] }>('api/v1/schema');
            this.schema = new Map(metrics.map((metric) => [metric.name, metric]));
        }
        const { body, changed } = await this.fleetBody.fetch();
        this.fleet = body;
        if (changed || performance.now() - this.alertsAt > ALERTS_MS) {
            const list = await get<AlertList>('api/v1/alerts?state=all');
            this.alerts = list.alerts;
            this.alertsStale = list.stale;
            this.alertsAt = performance.now();
        }
        this.phase = body.servers.length === 0 && this.status.servers_tracked === 0 ? 'empty' : 'live';
    }

    private async stream(): Promise<void> {
        const abort = new AbortController();
        this.streamAbort = abort;
        try {
            // Asking a daemon that has no such path would only fill the console.
            if (!(await offers('/api/v1/events'))) throw new Refused(404, 'no events');
            for await (const { event } of events('api/v1/events', abort.signal)) {
                this.streaming = true;
                if (event === 'outlook' || event === 'model') this.refresh();
                else if (event === 'alert') this.refresh(true);
                else if (event === 'reset') this.restart();
            }
        } catch (error) {
            this.eventsMissing = error instanceof Refused && (error.status === 404 || error.status === 405);
        }
        this.streaming = false;
        if (this.streamAbort === abort) this.streamAbort = undefined;
        if (!abort.signal.aborted) this.refresh();
    }
}

export const live = new Live();
