// A list of which only the rows in sight exist: five thousand servers scroll like fifty. The window scrolls, not a box.
import { on, perFrame } from './dom';

export interface Row<T> {
    element: HTMLElement;
    show(item: T, index: number, total: number): void;
}

const OVERSCAN = 6;

export class VirtualList<T> {
    private items: readonly T[] = [];
    private readonly rows: Row<T>[] = [];
    private first = 0;

    constructor(private readonly list: HTMLElement, private readonly make: () => Row<T>, private readonly height: () => number, signal: AbortSignal) {
        const place = perFrame(() => this.place(false));
        on(window, 'scroll', place, signal);
        on(window, 'resize', perFrame(() => this.place(true)), signal);
    }

    set(items: readonly T[]): void {
        this.items = items;
        this.place(true);
    }

    get length(): number {
        return this.items.length;
    }

    at(index: number): T | undefined {
        return this.items[index];
    }

    /** The row of an item that is in sight after scrolling there. */
    reveal(index: number): HTMLElement | undefined {
        const height = this.height();
        const top = this.list.getBoundingClientRect().top + index * height;
        const margin = height * 2;
        if (top < margin + 60) scrollBy(0, top - margin - 60);
        else if (top + height > innerHeight - margin) scrollBy(0, top + height - innerHeight + margin);
        this.place(false);
        return this.rows[index - this.first]?.element;
    }

    private place(all: boolean): void {
        const height = this.height();
        const total = this.items.length;
        const top = this.list.getBoundingClientRect().top;
        const visible = Math.ceil(innerHeight / height) + 2 * OVERSCAN;
        const first = Math.max(0, Math.min(Math.floor(-top / height) - OVERSCAN, total - visible));
        const wanted = Math.min(total - first, visible);
        this.list.style.height = `${total * height}px`;
        while (this.rows.length < wanted) {
            const row = this.make();
            this.rows.push(row);
            this.list.append(row.element);
        }
        while (this.rows.length > wanted) this.rows.pop()?.element.remove();
        // Rows that stay in sight keep their element: the pool is turned, not refilled.
        const moved = first - this.first;
        if (!all && moved !== 0 && Math.abs(moved) < wanted) {
            if (moved > 0) this.rows.push(...this.rows.splice(0, moved));
            else this.rows.unshift(...this.rows.splice(wanted + moved));
        }
        this.rows.forEach((row, i) => {
            const index = first + i;
            const fresh = all || moved === 0 ? all : Math.abs(moved) >= wanted || (moved > 0 ? i >= wanted - moved : i < -moved);
            if (fresh) row.show(this.items[index] as T, index, total);
            if (fresh || all) row.element.style.transform = `translateY(${index * height}px)`;
        });
        this.first = first;
    }
}
