// The Prometheus text format, as far as our own /metrics uses it.
export interface Sample {
    labels: Record<string, string>;
    value: number;
}

export function parseMetrics(text: string): Map<string, Sample[]> {
    const all = new Map<string, Sample[]>();
    for (const line of text.split('\n')) {
        const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
        if (found === null) continue;
        const labels: Record<string, string> = {};
        for (const pair of (found[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[pair[1] as string] = (pair[2] as string).replace(/\\(.)/g, '$1');
        const name = found[1] as string;
        const list = all.get(name) ?? [];
        list.push({ labels, value: Number(found[3]) });
        all.set(name, list);
    }
    return all;
}
