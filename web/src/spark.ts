// Small pictures of a series beside its words: history, fan, threshold, and the place where they meet.
import { svg } from './dom';

export interface Spark {
    width: number;
    height: number;
    history: readonly (number | null)[];
    p10?: readonly number[];
    p50: readonly number[];
    p90?: readonly number[];
    threshold: number | null;
    low: boolean; // the bad side of the threshold is the lower one
    spread: number; // of the values at least so much is shown, so that noise does not look like a storm
}

function line(points: readonly (readonly [number, number] | null)[]): string {
    let path = '';
    let pen = false;
    for (const point of points) {
        if (point !== null) path += `${pen ? 'L' : 'M'}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
        pen = point !== null;
    }
    return path;
}

export function spark(s: Spark): SVGElement {
    const all = [...s.history.filter((v): v is number => v !== null), ...s.p50, ...(s.p10 ?? []), ...(s.p90 ?? [])];
    let low = Math.min(...all), high = Math.max(...all);
    if (all.length === 0) low = high = 0;
    const middle = (low + high) / 2;
    if (high - low < s.spread) {
        low = middle - s.spread / 2;
        high = middle + s.spread / 2;
    }
    // A threshold that is near belongs into the picture; one that is far away would flatten it.
    const t = s.threshold;
    const shown = t !== null && t <= high + (high - low) * 1.2 && t >= low - (high - low) * 1.2;
    if (shown) {
        low = Math.min(low, t);
        high = Math.max(high, t);
    }
    const pad = 3;
    const n = s.history.length + s.p50.length;
    const x = (i: number): number => pad + (i * (s.width - 2 * pad)) / Math.max(1, n - 1);
    const y = (v: number): number => s.height - pad - ((v - low) * (s.height - 2 * pad)) / Math.max(1e-9, high - low);
    const past = s.history.length;
    const at = (values: readonly number[]): [number, number][] => values.map((v, i) => [x(past + i), y(v)]);
    const children: SVGElement[] = [];
    if (s.p10 !== undefined && s.p90 !== undefined && s.p10.length > 0) {
        const outline = [...at(s.p90), ...at(s.p10).reverse()];
        children.push(svg('path', { d: line(outline) + 'Z', class: 'fan' }));
    }
    if (shown) children.push(svg('path', { d: `M0 ${y(t).toFixed(1)}H${s.width}`, class: 'limit' }));
    const last = s.history[past - 1];
    const start: [number, number][] = last === null || last === undefined ? [] : [[x(past - 1), y(last)]];
    children.push(svg('path', { d: line(s.history.map((v, i) => (v === null ? null : [x(i), y(v)]))), class: 'past' }));
    children.push(svg('path', { d: line([...start, ...at(s.p50)]), class: 'ahead' }));
    const beyond = (v: number): boolean => t !== null && (s.low ? v <= t : v >= t);
    if (t !== null && !(typeof last === 'number' && beyond(last))) {
        const i = s.p50.findIndex(beyond);
        if (i >= 0) children.push(svg('circle', { cx: x(past + i).toFixed(1), cy: y(shown ? t : s.p50[i] as number).toFixed(1), r: 3, class: 'cross' }));
    }
    return svg('svg', { viewBox: `0 0 ${s.width} ${s.height}`, width: s.width, height: s.height, class: 'spark', 'aria-hidden': 'true', focusable: 'false' }, ...children);
}
