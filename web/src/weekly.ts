// When a silence recurs: on days of the week, from a time of day by some place's clock, for so long.
import { h } from './dom';

export interface Recurrence {
    days: string[];
    from: string;
    duration: string;
    zone: string;
}

const DAYS: readonly [string, string][] = [['mon', 'Monday'], ['tue', 'Tuesday'], ['wed', 'Wednesday'], ['thu', 'Thursday'], ['fri', 'Friday'], ['sat', 'Saturday'], ['sun', 'Sunday']];
const LENGTHS: readonly [string, string][] = [['30 minutes', '30m'], ['1 hour', '1h'], ['2 hours', '2h'], ['4 hours', '4h'], ['8 hours', '8h'], ['1 day', '24h']];

/** The value of the choice that these fields belong to. */
export const WEEKLY = 'weekly';

function labelled(label: string, input: HTMLElement): HTMLElement {
    return h('div', { class: 'labelled' }, h('label', { for: input.id }, label), input);
}

/** Fields that stay hidden, and unasked for, until they are shown. The zone is the browser's own until another one is typed. */
export function weekly(): { box: HTMLElement; show: (shown: boolean) => void; value: () => Recurrence } {
    const today = (new Date().getDay() + 6) % 7;
    const days = DAYS.map(([value, label], i) => ({ label, input: h('input', { type: 'checkbox', value, checked: i === today }) }));
    const from = h('input', { id: 'weekly-from', type: 'time', required: true, value: '02:00' });
    const length = h('select', { id: 'weekly-length' }, ...LENGTHS.map(([label, value]) => h('option', { value }, label)));
    const zone = h('input', { id: 'weekly-zone', required: true, maxlength: 63, autocomplete: 'off', spellcheck: 'false', list: 'weekly-zones', value: Intl.DateTimeFormat().resolvedOptions().timeZone });
    const known = h('datalist', { id: 'weekly-zones' }, ...('supportedValuesOf' in Intl ? Intl.supportedValuesOf('timeZone') : []).map((name) => h('option', { value: name })));
    const box = h('fieldset', { class: 'labelled', hidden: true, disabled: true }, h('legend', {}, 'Every week'),
        h('div', { class: 'days' }, ...days.map(({ label, input }) => h('label', { class: 'check' }, input, h('span', {}, label)))),
        labelled('From', from), labelled('Lasts', length), labelled('By the clock of', zone), known);
    return {
        box,
        show: (shown) => { box.hidden = box.disabled = !shown; },
        value: () => ({ days: days.filter(({ input }) => input.checked).map(({ input }) => input.value), from: from.value, duration: length.value, zone: zone.value.trim() }),
    };
}
