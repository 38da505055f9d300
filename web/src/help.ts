import { h } from './dom';
import { glyph, markLabel, MARKS } from './glyph';

const KEYS: readonly [string, string][] = [
    ['/', 'search: words, or labels as dc=fra1 or role=~web|api'], ['j k', 'next, previous server'], ['Enter', 'open the server'], ['Esc', 'clear the search'],
    ['← →', 'previous, next metric of a server'], ['g f', 'fleet'], ['g a', 'alerts'], ['g o', 'outlook'], ['g t', 'trust'],
    ['g s', 'system'], ['?', 'this'],
];

const MEANING: Record<string, string> = {
    critical: 'score 70 and more: act now', warning: 'score 40 and more: investigate', watch: 'score 20 and more: keep an eye on it',
    healthy: 'score below 20: nothing to do', silent: 'no data for three steps; what is shown is what was',
};

export function openHelp(): void {
    const dialog = h('dialog', { class: 'help', 'aria-labelledby': 'help-title', close: () => dialog.remove() },
        h('h2', { id: 'help-title' }, 'Keyboard and legend'),
        h('dl', { class: 'keys' }, ...KEYS.flatMap(([keys, text]) => [h('dt', {}, ...keys.split(' ').map((k) => h('kbd', {}, k))), h('dd', {}, text)])),
        h('dl', { class: 'keys' }, ...MARKS.flatMap((mark) => [h('dt', {}, glyph(mark), ` ${markLabel(mark)}`), h('dd', {}, MEANING[mark])])),
        h('button', { type: 'button', class: 'primary', click: () => dialog.close() }, 'Close'));
    document.body.append(dialog);
    dialog.showModal();
}
