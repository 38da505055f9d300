// The whole fleet in one look: a cell for each server, its size, form and colour all telling how bad it is.
import { fill, h, perFrame, setText } from './dom';
import { labelOf } from './filter';
import { count, plural, profileName, scoreText } from './format';
import { glyph, markLabel, markOf, MARKS, type Mark } from './glyph';
import { live } from './live';
import { navigate, serverHref } from './route';
import { colour } from './theme';
import type { FleetServer } from './types';
import { whyInShort } from './words';

const SIZE: Record<Mark, number> = { critical: 1, warning: 0.94, watch: 0.82, silent: 0.7, healthy: 0.68 };
const HINT = 'Each cell is a server: the worse, the larger and the more coloured. A ring: an alert fires that nobody has taken.';
const CELL_MAX_REM = 2;
const CELL_MIN = 4;

const GROUPS_MAX = 24; // more would be a list again: the calm ones are then taken together
const GROUP_WIDTH = 190, GROUP_WIDTH_NARROW = 130, GROUP_GAP = 18, GROUP_GAP_ROWS = 8, GROUP_HEAD_REM = 1.6;

interface Group {
    value: string | null; // of the label; null: those that are taken together
    title: string;
    servers: FleetServer[];
}

function titleOf(by: string, value: string): string {
    if (by === 'profile') return profileName(value);
    return value === '' ? `no ${by}` : value;
}

/** By the values of a label, in their own order, so that a group keeps its place while risks change. */
function groupsOf(servers: readonly FleetServer[], by: string): Group[] {
    if (by === '') return [{ value: null, title: '', servers: [...servers] }];
    const groups = new Map<string, FleetServer[]>();
    for (const server of servers) {
        const value = labelOf(server, by);
        const group = groups.get(value);
        if (group === undefined) groups.set(value, [server]);
        else group.push(server);
    }
    const all = [...groups].map(([value, members]) => ({ value, title: titleOf(by, value), servers: members }));
    const inOrder = (some: Group[]): Group[] => some.sort((a, b) => Number(a.value === '') - Number(b.value === '') || a.title.localeCompare(b.title, 'en', { numeric: true }));
    if (all.length <= GROUPS_MAX) return inOrder(all);
    // As the daemon sends them, the riskiest first: groups stand in the order of their worst server.
    const rest = all.slice(GROUPS_MAX - 1);
    return [...inOrder(all.slice(0, GROUPS_MAX - 1)), { value: null, title: `${count(rest.length)} others`, servers: rest.flatMap((group) => group.servers) }];
}

/** The largest cells with which everything stays within the height; groups stand beside each other in `abreast` columns. */
function cellSize(all: readonly Group[], whole: number, width: number, height: number, abreast: number, largest: number): number {
    const groups = all.filter((group) => group.value !== null), together = all.find((group) => group.value === null);
    for (let size = largest; size > CELL_MIN; size--) {
        const columns = Math.max(1, Math.floor(width / size));
        let total = together === undefined ? 0 : Math.ceil(together.servers.length / Math.max(1, Math.floor(whole / size)));
        for (let i = 0; i < groups.length; i += abreast)
            total += Math.max(...groups.slice(i, i + abreast).map((group) => Math.ceil(group.servers.length / columns)));
        if (total * size <= height) return size;
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

function drawRing(context: CanvasRenderingContext2D, x: number, y: number, size: number, ink: string): void {
    const width = Math.max(1, size / 20);
    context.strokeStyle = ink;
    context.lineWidth = width;
    context.beginPath();
    context.roundRect(x + width / 2, y + width / 2, size - width, size - width, size / 5);
    context.stroke();
}

export class HeatMap {
    readonly element: HTMLElement;
    private readonly body = h('div', { class: 'cells' });
    private readonly readout = h('p', { class: 'readout', 'aria-hidden': 'true' }, HINT);
    private servers: readonly FleetServer[] = [];
    private by = '';
    private drawn = 0; // the width it was drawn for
    private calling: ReadonlySet<string> = new Set();

    /** `choose` narrows the fleet to one value of what it is grouped by. */
    constructor(signal: AbortSignal, private readonly choose: (name: string, value: string) => void) {
        this.element = h('section', { class: 'heat', 'aria-label': 'Heat map' }, this.body, this.readout);
        const draw = perFrame(() => this.draw());
        // The width changes with the window, and when a scroll bar comes.
        const watch = new ResizeObserver(() => { if (this.body.clientWidth !== this.drawn) draw(); });
        watch.observe(this.body);
        signal.addEventListener('abort', () => watch.disconnect());
        addEventListener('forewarn:theme', draw, { signal });
    }

    /** `calling`: names of those of which an alert fires that nobody has taken. */
    set(servers: readonly FleetServer[], by: string, calling: ReadonlySet<string>): void {
        const same = by === this.by && servers.length === this.servers.length && servers.every((server, i) => server === this.servers[i]) &&
            calling.size === this.calling.size && [...calling].every((name) => this.calling.has(name));
        this.servers = servers;
        this.by = by;
        this.calling = calling;
        if (!same || this.body.childElementCount === 0) this.draw();
    }

    private summary(servers: readonly FleetServer[]): string {
        const parts = MARKS.map((mark) => [mark, servers.filter((server) => markOf(server) === mark).length] as const)
            .filter(([, n]) => n > 0).map(([mark, n]) => `${n} ${markLabel(mark).toLowerCase()}`);
        return `${plural(servers.length, 'server')}: ${parts.join(', ')}. The list below has the same servers by name.`;
    }

    private draw(): void {
        const whole = this.body.clientWidth;
        if (whole === 0) return;
        this.drawn = whole;
        const groups = groupsOf(this.servers, this.by), grouped = this.by !== '';
        const abreast = grouped ? Math.max(1, Math.min(groups.length, Math.floor((whole + GROUP_GAP) / ((whole < 600 ? GROUP_WIDTH_NARROW : GROUP_WIDTH) + GROUP_GAP)))) : 1;
        const rem = parseFloat(getComputedStyle(document.documentElement).fontSize), head = GROUP_HEAD_REM * rem + GROUP_GAP_ROWS;
        const width = Math.floor((whole - (abreast - 1) * GROUP_GAP) / abreast);
        const heads = grouped ? Math.ceil(groups.length / abreast) * head : 0;
        const budget = Math.max(whole < 600 ? 150 : 168, Math.min((grouped ? 23 : 17) * rem, innerHeight * (grouped ? 0.34 : 0.26)));
        const size = cellSize(groups, whole, width, Math.max(100, budget - heads), abreast, Math.round(CELL_MAX_REM * rem));
        this.body.classList.toggle('grouped', grouped);
        this.body.style.setProperty('--abreast', String(abreast));
        const focused = (document.activeElement as HTMLElement | null)?.dataset['group'];
        fill(this.body, ...groups.map((group) => {
            const canvas = this.canvas(group.servers, group.value === null ? whole : width, size);
            return grouped ? h('div', { class: group.value === null ? 'group whole' : 'group' }, this.head(group), canvas) : canvas;
        }));
        if (focused !== undefined) this.body.querySelector<HTMLElement>(`[data-group="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }

    private head(group: Group): HTMLElement {
        const { value } = group;
        const bad = MARKS.filter((mark) => mark !== 'healthy').map((mark) => [mark, group.servers.filter((server) => markOf(server) === mark).length] as const).filter(([, n]) => n > 0);
        const name = value === null || value === '' ? h('span', { class: 'group-name' }, group.title)
            : h('button', { type: 'button', class: 'plain group-name', 'data-group': value, title: `Show only ${group.title}`, click: () => this.choose(this.by, value) }, group.title);
        return h('h3', {}, name, h('span', { class: 'hush' }, count(group.servers.length)),
            ...bad.map(([mark, n]) => h('span', { class: 'group-bad' }, glyph(mark), count(n), h('span', { class: 'unseen' }, ` ${markLabel(mark).toLowerCase()}`))));
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
        const ink = colour('ink');
        servers.forEach((server, i) => {
            const x = (i % columns) * size, y = Math.floor(i / columns) * size;
            drawCell(context, markOf(server), x, y, size, paint, cut);
            if (this.calling.has(server.server_name)) drawRing(context, x, y, size, ink);
        });
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
        setText(this.readout, server === undefined ? HINT : `${server.server_name} · ${scoreText(server.risk_score)} · ${whyInShort(server, live.now())}`);
    }
}
