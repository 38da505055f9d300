// The page is built from elements and text nodes only: nothing here, or anywhere else, makes markup out of text.

export type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | EventListener>;

const SVG = 'http://www.w3.org/2000/svg';

function apply(element: Element, attributes: Attributes): void {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (typeof value === 'function') element.addEventListener(name, value);
        else element.setAttribute(name, value === true ? '' : String(value));
    }
}

export function append(parent: Element, children: readonly Child[]): void {
    for (const child of children)
        if (child !== null && child !== undefined && child !== false)
            parent.append(child instanceof Node ? child : String(child));
}

export function h<K extends keyof HTMLElementTagNameMap>(
    tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
    const element = document.createElement(tag);
    apply(element, attributes);
    append(element, children);
    return element;
}

export function svg(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
    const element = document.createElementNS(SVG, tag);
    apply(element, attributes);
    append(element, children);
    return element;
}

export function fill(parent: Element, ...children: Child[]): void {
    parent.replaceChildren();
    append(parent, children);
}

/** Writes only what changed, so that a screen reader is not told the same again. */
export function setText(element: Element, text: string): void {
    if (element.textContent !== text) element.textContent = text;
}

export function on<K extends keyof WindowEventMap>(
    target: Window, type: K, listener: (event: WindowEventMap[K]) => void, signal: AbortSignal
): void {
    target.addEventListener(type, listener, { signal, passive: type === 'scroll' });
}

/** At most once a frame. */
export function perFrame(work: () => void): () => void {
    let waiting = false;
    return () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
            waiting = false;
            work();
        });
    };
}
