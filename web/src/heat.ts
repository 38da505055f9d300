// The whole fleet in one look: a cell for each server, its size, form and colour all telling how bad it is.
import { fill, h, on, perFrame, setText } from './dom';
import { count, plural, profileName } from './format';
import { markLabel, markOf, MARKS, type Mark } from './glyph';
import { live } from './live';
import { navigate, serverHref } from './route';
import { colour } from './theme';
import type { FleetServer } from './types';
import { whyInShort } from './words';

const SIZE: Record<Mark, number> = { critical: 1, warning: 0.94, watch: 0.82, silent: 0.7, healthy: 0.68 };
const HINT = 'Each cell is a server: the worse, the larger and the more coloured.';
const CELL_MAX = 30;
const CELL_MIN = 4;

interface Group {
    label: string;
    servers: FleetServer[];
}

function groupsOf(servers: readonly FleetServer[], byProfile: boolean): Group[] {
    if (!byProfile) return [{ label: '', servers: [...servers] }];
    const groups = new Map<string, FleetServer[]>();
    for (const server of servers) {
        const group = groups.get(server.profile);
        if (group === undefined) groups.set(server.profile, [server]);
        else group.push(server);
    }
    return [...groups].map(([profile, members]) => ({ label: profileName(profile), servers: members }))
        .sort((a, b) => b.servers.length - a.servers.length);
}

/** The largest cells with which everything stays within the height. */
function cellSize(groups: readonly Group[], width: number, height: number): number {
    for (let size = CELL_MAX; size > CELL_MIN; size--) {
        const columns = Math.max(1, Math.floor(width / size));
        const rows = groups.reduce((sum, group) => sum + Math.ceil(group.servers.length / columns), 0);
        if (rows * size <= height) return size;
    }
    return CELL_MIN;
}

function drawCell(context: CanvasRenderingContext2D, mark: Mark, x: number, y: number, size: number, paint: Record<Mark, string>, cut: string): void {
    const side = Math.max(2, (size - 1) * SIZE[mark]);
    const left = x + (size - side) / 2, top = y + (size - side) / 2;
    context.fillStyle = paint[mark];
    context.beginPath();
    if (mark === 'warning' && size >= 8) {
        context.moveTo(left + side / 2, top);
        context.lineTo(left + side, top + side / 2);
        context.lineTo(left + side / 2, top + side);
        context.lineTo(left, top + side / 2);
    } else if (mark === 'critical' && size >= 8) {
        context.moveTo(left + side / 2, top);
        context.lineTo(left + side, top + side);
        context.lineTo(left, top + side);
    } else {
        context.roundRect(left, top, side, side, Math.min(4, side / 5));
    }
    context.fill();
    if (mark === 'silent' && size >= 8) {
        context.strokeStyle = cut;
        context.lineWidth = Math.max(1, size / 12);
        context.beginPath();
        context.moveTo(left + side * 0.2, top + side * 0.8);
        context.lineTo(left + side * 0.8, top + side * 0.2);
        context.stroke();
    }
}

export class HeatMap {
    readonly element: HTMLElement;
    private readonly body = h('div', { class: 'cells' });
    private readonly readout = h('p', { class: 'readout', 'aria-hidden': 'true' }, HINT);
    private servers: readonly FleetServer[] = [];
    private byProfile = false;

    constructor(signal: AbortSignal) {
        this.element = h('section', { class: 'heat', 'aria-label': 'Heat map' }, this.body, this.readout);
        const draw = perFrame(() => this.draw());
        on(window, 'resize', draw, signal);
        addEventListener('forewarn:theme', draw, { signal });
    }

    set(servers: readonly FleetServer[], byProfile: boolean): void {
        const same = byProfile === this.byProfile && servers.length === this.servers.length && servers.every((server, i) => server === this.servers[i]);
        this.servers = servers;
        this.byProfile = byProfile;
        if (!same || this.body.childElementCount === 0) this.draw();
    }

    private summary(servers: readonly FleetServer[]): string {
        const parts = MARKS.map((mark) => [mark, servers.filter((server) => markOf(server) === mark).length] as const)
            .filter(([, n]) => n > 0).map(([mark, n]) => `${n} ${markLabel(mark).toLowerCase()}`);
        return `${plural(servers.length, 'server')}: ${parts.join(', ')}. The list below has the same servers by name.`;
    }

    private draw(): void {
        const width = this.body.clientWidth;
        if (width === 0) return;
        const groups = groupsOf(this.servers, this.byProfile);
        const labels = this.byProfile ? groups.length * 22 : 0;
        const budget = Math.max(width < 600 ? 150 : 168, Math.min(260, innerHeight * 0.26));
        const size = cellSize(groups, width, Math.max(100, budget - labels));
        fill(this.body, ...groups.flatMap((group) => [
            group.label !== '' && h('h3', { class: 'group' }, group.label, h('span', {}, count(group.servers.length))),
            this.canvas(group.servers, width, size),
        ]));
    }

    private canvas(servers: readonly FleetServer[], width: number, size: number): HTMLCanvasElement {
        const columns = Math.max(1, Math.floor(width / size));
        const rows = Math.ceil(servers.length / columns);
        const scale = Math.min(2, devicePixelRatio || 1);
        const canvas = h('canvas', { role: 'img', 'aria-label': this.summary(servers), width: Math.round(columns * size * scale), height: Math.round(rows * size * scale) });
        canvas.style.width = `${columns * size}px`;
        canvas.style.height = `${rows * size}px`;
        const context = canvas.getContext('2d');
        if (context === null) return canvas;
        context.scale(scale, scale);
        const paint = Object.fromEntries(MARKS.map((mark) => [mark, colour(mark === 'healthy' ? 'calm' : mark)])) as Record<Mark, string>;
        const cut = colour('panel');
        servers.forEach((server, i) => drawCell(context, markOf(server), (i % columns) * size, Math.floor(i / columns) * size, size, paint, cut));
        const under = (event: MouseEvent): FleetServer | undefined => {
            const column = Math.floor(event.offsetX / size), row = Math.floor(event.offsetY / size);
            return column < columns ? servers[row * columns + column] : undefined;
        };
        canvas.addEventListener('mousemove', (event) => this.point(under(event), canvas));
        canvas.addEventListener('mouseleave', () => this.point(undefined, canvas));
        canvas.addEventListener('click', (event) => {
            const server = under(event);
            if (server !== undefined) navigate(serverHref(server.server_name));
        });
        return canvas;
    }

    private point(server: FleetServer | undefined, canvas: HTMLCanvasElement): void {
        canvas.classList.toggle('over', server !== undefined);
        setText(this.readout, server === undefined ? HINT : `${server.server_name} · ${server.risk_score.toFixed(0)} · ${whyInShort(server, live.now())}`);
    }
}
