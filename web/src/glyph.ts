// Severity is told by shape and word as well as by colour: triangle, diamond, half disc, ring, dashed ring.
import { svg } from './dom';
import type { FleetServer, Level } from './types';

export type Mark = Level | 'silent';

export const MARKS: readonly Mark[] = ['critical', 'warning', 'watch', 'healthy', 'silent'];

const LABELS: Record<Mark, string> = {
    critical: 'Critical', warning: 'Warning', watch: 'Watch', healthy: 'Healthy', silent: 'Silent',
};

export function markLabel(mark: Mark): string {
    return LABELS[mark];
}

export function markOf(server: FleetServer): Mark {
    return server.stale ? 'silent' : server.level;
}

function shape(mark: Mark): SVGElement[] {
    switch (mark) {
    case 'critical':
        return [svg('path', { d: 'M8 1.5 15.2 14H.8z', class: 'ink' }), svg('path', { d: 'M8 6v4M8 11.6v.9', class: 'cut' })];
    case 'warning':
        return [svg('path', { d: 'M8 .8 15.2 8 8 15.2.8 8z', class: 'ink' }), svg('path', { d: 'M8 4.6v4.2M8 10.6v.9', class: 'cut' })];
    case 'watch':
        return [svg('circle', { cx: 8, cy: 8, r: 6, class: 'line' }), svg('path', { d: 'M8 2a6 6 0 0 1 0 12z', class: 'ink' })];
    case 'healthy':
        return [svg('circle', { cx: 8, cy: 8, r: 5.5, class: 'line' })];
    default:
        return [svg('circle', { cx: 8, cy: 8, r: 5.5, class: 'line dashed' }), svg('path', { d: 'M4.2 11.8 11.8 4.2', class: 'line' })];
    }
}

/** Decorative: the word stands beside it, or in the name of what holds it. */
export function glyph(mark: Mark): SVGElement {
    return svg('svg', { viewBox: '0 0 16 16', class: `glyph ${mark}`, 'aria-hidden': 'true', focusable: 'false' }, ...shape(mark));
}
