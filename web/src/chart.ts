// The fan: what was, what is expected (p10, p50, p90), the thresholds, and the moment of crossing.
import uPlot from 'uplot';
import { perFrame } from './dom';
import { clock, duration, quantity } from './format';
import { colour } from './theme';
import type { Crossing } from './words';

export interface FanData {
    unit: string;
    now: number; // where the forecast begins
    clock: number; // what time it is
    from: number; // first time shown
    times: number[]; // of the history
    values: (number | null)[];
    ahead: number[]; // of the forecast
    p10: number[];
    p50: number[];
    p90: number[];
    warning: number | null;
    critical: number | null;
    low: boolean;
    bounds: [number | null, number | null];
    crossing: Crossing | null;
    past: { timestamps: number[]; p10: number[]; p50: number[]; p90: number[] } | null; // a forecast made earlier
}

type Column = (number | null)[];

/** History, forecast and an earlier forecast on one axis of time. */
function columns(d: FanData): [number[], ...Column[]] {
    const at = new Map<number, Column>();
    const put = (time: number, column: number, value: number | null): void => {
        if (time < d.from) return;
        let row = at.get(time);
        if (row === undefined) at.set(time, (row = Array<number | null>(7).fill(null)));
        row[column] = value;
    };
    d.times.forEach((time, i) => put(time, 0, d.values[i] ?? null));
    d.past?.timestamps.forEach((time, i) => {
        put(time, 4, d.past?.p90[i] ?? null);
        put(time, 5, d.past?.p10[i] ?? null);
        put(time, 6, d.past?.p50[i] ?? null);
    });
    d.ahead.forEach((time, i) => {
        put(time, 1, d.p90[i] ?? null);
        put(time, 2, d.p10[i] ?? null);
        put(time, 3, d.p50[i] ?? null);
    });
    // The fan opens where the history ends.
    for (let i = d.times.length - 1; i >= 0; i--) {
        const value = d.values[i], time = d.times[i] as number;
        if (value === null || value === undefined || (d.ahead.length > 0 && time >= (d.ahead[0] as number))) continue;
        for (const column of [1, 2, 3]) put(time, column, value);
        break;
    }
    const times = [...at.keys()].sort((a, b) => a - b);
    const out: [number[], ...Column[]] = [times];
    for (let column = 0; column < 7; column++) out.push(times.map((time) => at.get(time)?.[column] ?? null));
    return out;
}

function range(d: FanData, low: number | null, high: number | null): [number, number] {
    let min = low ?? 0, max = high ?? 1;
    for (const threshold of [d.warning, d.critical]) {
        if (threshold === null) continue;
        const near = d.crossing !== null && (d.crossing.expected !== null || d.crossing.earliest !== null || d.crossing.crossed);
        const span = Math.max(max - min, Math.abs(threshold) * 0.15);
        if (near || Math.abs(threshold - (d.low ? min : max)) < span * 1.5) {
            min = Math.min(min, threshold);
            max = Math.max(max, threshold);
        }
    }
    const pad = Math.max((max - min) * 0.12, d.unit === '%' ? 0.8 : 1e-3);
    min -= pad;
    max += pad;
    if (d.bounds[0] !== null) min = Math.max(min, d.bounds[0] - pad / 4);
    if (d.bounds[1] !== null) max = Math.min(max, d.bounds[1] + pad / 2);
    return [min, max];
}

export class FanChart {
    private plot: uPlot | undefined;
    private data: FanData | undefined;
    private readonly observer: ResizeObserver;
    private probe: ((text: string) => void) | undefined;

    constructor(private readonly root: HTMLElement, signal: AbortSignal, probe: (text: string) => void) {
        this.probe = probe;
        this.observer = new ResizeObserver(perFrame(() => this.resize()));
        this.observer.observe(root);
        addEventListener('forewarn:theme', () => this.rebuild(), { signal });
        signal.addEventListener('abort', () => {
            this.observer.disconnect();
            this.plot?.destroy();
        });
    }

    set(data: FanData): void {
        const sameUnit = this.data?.unit === data.unit;
        this.data = data;
        if (this.plot === undefined || !sameUnit) this.rebuild();
        else this.plot.setData(columns(data) as uPlot.AlignedData);
    }

    private height(): number {
        return Math.round(Math.max(230, Math.min(this.root.clientWidth * 0.5, innerHeight * 0.46, 620)));
    }

    private resize(): void {
        if (this.plot === undefined) this.rebuild();
        else this.plot.setSize({ width: this.root.clientWidth, height: this.height() });
    }

    private rebuild(): void {
        this.plot?.destroy();
        this.plot = undefined;
        if (this.data === undefined || this.root.clientWidth === 0) return;
        this.plot = new uPlot(this.options(), columns(this.data) as uPlot.AlignedData, this.root);
    }

    private options(): uPlot.Options {
        const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
        const font = `${Math.round(rem * 0.78)}px system-ui, sans-serif`;
        const ink = colour('hush'), grid = colour('grid'), ahead = colour('ahead'), band = colour('band'), ghost = colour('ghost');
        const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
        const hidden = { points: { show: false }, stroke: 'transparent', width: 0, spanGaps: false };
        return {
            width: this.root.clientWidth,
            height: this.height(),
            padding: [rem * 1.9, rem * 1.3, 0, 0],
            legend: { show: false },
            cursor: { drag: { x: false, y: false }, points: { size: 7 } },
            scales: {
                x: { time: true },
                y: { range: (_plot, low, high) => range(this.data as FanData, low, high) },
            },
            axes: [
                { ...axis, size: rem * 2, space: rem * 4.6, values: (_plot, splits) => splits.map((at, i) => this.tickText(at, splits[i - 1])) },
                { ...axis, size: rem * 3.4, space: rem * 2.6, values: (_plot, splits) => splits.map((v) => quantity(v, this.data?.unit === '%' ? '%' : '')) },
            ],
            series: [
                {},
                { stroke: colour('past'), width: 2, points: { show: false } },
                hidden, hidden,
                { stroke: ahead, width: 2.2, dash: [6, 4], points: { show: false } },
                // An earlier forecast is known at every eighth step only.
                { ...hidden, spanGaps: true }, { ...hidden, spanGaps: true },
                { stroke: ghost, width: 2, dash: [2, 3], points: { show: false }, spanGaps: true },
            ],
            bands: [
                { series: [2, 3], fill: band },
                { series: [5, 6], fill: colour('ghost-band') },
            ],
            hooks: {
                drawClear: [(plot) => this.drawBehind(plot)],
                draw: [(plot) => this.drawOver(plot, font)],
                setCursor: [(plot) => this.describe(plot)],
            },
        };
    }

    private tickText(at: number, before: number | undefined): string {
        const date = new Date(at * 1000);
        const fresh = before === undefined || new Date(before * 1000).getDate() !== date.getDate();
        const time = `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`;
        return fresh && before !== undefined ? date.toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric' }) : time;
    }

    private drawBehind(plot: uPlot): void {
        const d = this.data as FanData;
        const { ctx, bbox } = plot;
        const x = Math.max(bbox.left, plot.valToPos(d.now, 'x', true));
        ctx.save();
        ctx.fillStyle = colour('future');
        ctx.fillRect(x, bbox.top, bbox.left + bbox.width - x, bbox.height);
        ctx.restore();
    }

    private drawOver(plot: uPlot, font: string): void {
        const d = this.data as FanData;
        const { ctx } = plot;
        ctx.save();
        const ratio = devicePixelRatio || 1;
        ctx.font = font.replace(/^(\d+)px/, (_, size) => `${Number(size) * ratio}px`);
        ctx.lineWidth = 1.5 * ratio;
        this.drawThreshold(plot, d.warning, 'warning', ratio);
        this.drawThreshold(plot, d.critical, 'critical', ratio);
        this.drawNow(plot, ratio);
        if (d.crossing !== null && !d.crossing.crossed) this.drawCrossing(plot, d.crossing, ratio);
        ctx.restore();
    }

    private drawThreshold(plot: uPlot, value: number | null, name: 'warning' | 'critical', ratio: number): void {
        const { ctx, bbox } = plot;
        if (value === null) return;
        const y = plot.valToPos(value, 'y', true);
        if (y < bbox.top || y > bbox.top + bbox.height) return;
        ctx.strokeStyle = ctx.fillStyle = colour(name);
        ctx.setLineDash(name === 'critical' ? [] : [5 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.setLineDash([]);
        ctx.fillStyle = colour(`${name}-text`);
        ctx.textAlign = 'left';
        ctx.textBaseline = 'bottom';
        ctx.fillText(`${name} ${quantity(value, this.data?.unit ?? '')}`, bbox.left + 6 * ratio, y - 3 * ratio);
    }

    private drawNow(plot: uPlot, ratio: number): void {
        const { ctx, bbox } = plot;
        const x = plot.valToPos((this.data as FanData).now, 'x', true);
        if (x < bbox.left || x > bbox.left + bbox.width) return;
        ctx.strokeStyle = colour('ink');
        ctx.lineWidth = ratio;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top - 4 * ratio);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.fillStyle = colour('ink');
        ctx.textAlign = 'center';
        ctx.textBaseline = 'bottom';
        ctx.fillText('now', x, bbox.top - 6 * ratio);
    }

    private drawCrossing(plot: uPlot, crossing: Crossing, ratio: number): void {
        const { ctx, bbox } = plot;
        const d = this.data as FanData;
        const y = plot.valToPos(crossing.threshold, 'y', true);
        const right = bbox.left + bbox.width;
        const place = (at: number): number => Math.min(right, Math.max(bbox.left, plot.valToPos(at, 'x', true)));
        ctx.strokeStyle = ctx.fillStyle = colour(crossing.kind);
        if (crossing.earliest !== null) {
            ctx.globalAlpha = 0.35;
            ctx.lineWidth = 9 * ratio;
            ctx.beginPath();
            ctx.moveTo(place(crossing.earliest), y);
            ctx.lineTo(crossing.latest === null ? right : place(crossing.latest), y);
            ctx.stroke();
            ctx.globalAlpha = 1;
        }
        if (crossing.expected === null) return;
        const x = place(crossing.expected);
        ctx.lineWidth = 1.5 * ratio;
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x, y);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.setLineDash([]);
        ctx.beginPath();
        ctx.arc(x, y, 6 * ratio, 0, 2 * Math.PI);
        ctx.fill();
        ctx.strokeStyle = colour('panel');
        ctx.lineWidth = 2 * ratio;
        ctx.stroke();
        this.drawFlag(plot, x, y, `${clock(crossing.expected, d.clock)} · in ${duration(crossing.expected - d.clock)}`, ratio);
    }

    /** The moment in words, on a plate that stays inside the picture and off the curve. */
    private drawFlag(plot: uPlot, x: number, y: number, text: string, ratio: number): void {
        const { ctx, bbox } = plot;
        const pad = 6 * ratio;
        const font = ctx.font;
        ctx.font = `600 ${font}`;
        const width = ctx.measureText(text).width + 2 * pad, height = 22 * ratio;
        // The curve comes from the left, so the plate stands to the right while there is room.
        const left = Math.max(bbox.left + pad, Math.min(x + 10 * ratio, bbox.left + bbox.width - width - pad));
        const low = (this.data as FanData).low;
        const down = low ? y - height - 12 * ratio : y + 14 * ratio;
        const top = Math.max(bbox.top + 2, Math.min(down, bbox.top + bbox.height - height - 4 * ratio));
        ctx.fillStyle = colour('plate');
        ctx.strokeStyle = colour(this.data?.crossing?.kind ?? 'critical');
        ctx.lineWidth = 1.2 * ratio;
        ctx.beginPath();
        ctx.roundRect(left, top, width, height, 4 * ratio);
        ctx.fill();
        ctx.stroke();
        ctx.fillStyle = colour('ink');
        ctx.textAlign = 'left';
        ctx.textBaseline = 'middle';
        ctx.fillText(text, left + pad, top + height / 2 + ratio * 0.5);
        ctx.font = font;
    }

    private describe(plot: uPlot): void {
        const at = plot.cursor.idx;
        const d = this.data as FanData;
        if (at === null || at === undefined || plot.cursor.left === undefined || plot.cursor.left < 0) {
            this.probe?.('');
            return;
        }
        const time = plot.data[0][at] as number;
        const value = (column: number): number | null => (plot.data[column]?.[at] ?? null) as number | null;
        const parts = [clock(time, d.now)];
        if (value(1) !== null) parts.push(`measured ${quantity(value(1), d.unit)}`);
        if (value(4) !== null && time >= (d.ahead[0] ?? Infinity))
            parts.push(`expected ${quantity(value(4), d.unit)} (${quantity(value(3), d.unit)} to ${quantity(value(2), d.unit)})`);
        if (value(7) !== null) parts.push(`was expected ${quantity(value(7), d.unit)} (${quantity(value(6), d.unit)} to ${quantity(value(5), d.unit)})`);
        this.probe?.(parts.join(' · '));
    }
}
