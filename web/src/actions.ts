// Acknowledging and silencing, for daemons that offer it (their own description says so).
import { offers, Refused, write } from './api';
import { h, setText } from './dom';
import { labelOf } from './filter';
import { metricName, plural } from './format';
import { live } from './live';
import type { Alert } from './types';
import { WEEKLY, weekly } from './weekly';
import { fires, isSilenced } from './words';

const ACK_PATH = '/api/v1/alerts/{id}/ack';
const SILENCE_PATH = '/api/v1/silences';
const DURATIONS: readonly [string, string][] = [['30 minutes', '30m'], ['2 hours', '2h'], ['8 hours', '8h'], ['1 day', '1d'], ['1 week', '1w']];

export const canAcknowledge = (): Promise<boolean> => offers(ACK_PATH, 'post');
export const canSilence = (): Promise<boolean> => offers(SILENCE_PATH, 'post');

const LABELS_MAX = 8;
const STORED_NAME = 'forewarn-operator';

function problem(error: unknown): string {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) return 'This key may not do that: it needs the role admin.';
    return error instanceof Error ? error.message : String(error);
}

/** A dialog with one action; closes when it is done, says why when it is not. */
function ask(title: string, explanation: string, fields: HTMLElement[], action: string, act: () => Promise<void>): void {
    const complaint = h('p', { class: 'error', role: 'alert' });
    const go = h('button', { type: 'submit', class: 'primary' }, action);
    const dialog = h('dialog', { 'aria-labelledby': 'ask-title', close: () => dialog.remove() });
    const submit = (event: Event): void => {
        event.preventDefault();
        go.disabled = true;
        act().then(() => {
            dialog.close();
            live.refresh(true);
        }, (error: unknown) => {
            go.disabled = false;
            setText(complaint, problem(error));
        });
    };
    dialog.append(h('form', { submit }, h('h2', { id: 'ask-title' }, title), h('p', {}, explanation), ...fields, complaint,
        h('div', { class: 'buttons' }, h('button', { type: 'button', click: () => dialog.close() }, 'Cancel'), go)));
    document.body.append(dialog);
    dialog.showModal();
}

function operator(): HTMLInputElement {
    return h('input', { id: 'by', autocomplete: 'name', required: true, maxlength: 60, value: sessionStorage.getItem(STORED_NAME) ?? '' });
}

function comment(): HTMLInputElement {
    return h('input', { id: 'comment', autocomplete: 'off', maxlength: 200 });
}

function field(label: string, input: HTMLElement): HTMLElement {
    return h('div', { class: 'labelled' }, h('label', { for: input.id }, label), input);
}

export function acknowledge(alert: Alert): void {
    const by = operator(), note = comment();
    ask('Acknowledge', `${alert.server_name}, ${metricName(alert.metric)}: somebody has it. The alert stays in the list and is not notified again until it ends or becomes worse.`,
        [field('Your name', by), field('Comment', note)], 'Acknowledge', async () => {
            sessionStorage.setItem(STORED_NAME, by.value);
            await write('POST', `api/v1/alerts/${encodeURIComponent(alert.id)}/ack`, { by: by.value, comment: note.value });
        });
}

/** Silences choose by patterns of * and ?; a value is to mean itself. */
function literal(value: string): string {
    return value.replace(/\*/g, '?');
}

/** Which of the alert's server's labels choose; the daemon takes up to eight. */
function labelChoice(alert: Alert): { box: HTMLElement; show: (shown: boolean) => void; chosen: () => Record<string, string> } {
    const reach = h('p', { class: 'hush small', role: 'status' });
    const boxes = Object.entries(alert.labels ?? {}).slice(0, LABELS_MAX).map(([name, value]) => {
        const input = h('input', { type: 'checkbox', 'data-name': name, change: () => count() });
        return { name, value, input, row: h('label', { class: 'check' }, input, h('span', {}, `${name} = ${value}`)) };
    });
    const picked = (): typeof boxes => boxes.filter(({ input }) => input.checked);
    const count = (): void => {
        const servers = live.fleet?.servers ?? [];
        const n = servers.filter((server) => picked().every(({ name, value }) => labelOf(server, name) === value)).length;
        setText(reach, picked().length === 0 ? 'Choose at least one.' : `${plural(n, 'server')} of ${servers.length} now, and those that come later.`);
        boxes[0]?.input.setCustomValidity(picked().length === 0 ? 'Choose at least one label.' : '');
    };
    const box = h('fieldset', { class: 'labelled', hidden: true, disabled: true }, h('legend', {}, 'Servers that have all of'), ...boxes.map(({ row }) => row), reach);
    count();
    return { box, show: (shown) => { box.hidden = box.disabled = !shown; }, chosen: () => Object.fromEntries(picked().map(({ name, value }) => [name, literal(value)])) };
}

export function silence(alert: Alert): void {
    const by = operator(), note = comment();
    const recurring = weekly();
    const span = h('select', { id: 'span', change: () => recurring.show(span.value === WEEKLY) }, ...DURATIONS.map(([label, value]) => h('option', { value }, label)),
        h('option', { value: WEEKLY }, 'A time of the week, every week'));
    const metric = metricName(alert.metric), labels = labelChoice(alert), some = Object.keys(alert.labels ?? {}).length > 0;
    const scope = h('select', { id: 'scope', change: () => labels.show(scope.value.startsWith('label')) },
        h('option', { value: 'metric' }, `${metric} of ${alert.server_name}`), h('option', { value: 'server' }, `Everything of ${alert.server_name}`),
        some && h('option', { value: 'label-metric' }, `${metric} of servers by label`), some && h('option', { value: 'label' }, 'Everything of servers by label'));
    ask('Silence', 'Nobody is notified while a silence lasts. Alerts go on being raised and are shown as silenced.',
        [field('What', scope), labels.box, field('For', span), recurring.box, field('Your name', by), field('Why', note)], 'Silence', async () => {
            sessionStorage.setItem(STORED_NAME, by.value);
            await write('POST', 'api/v1/silences', {
                ...(scope.value.startsWith('label') ? { labels: labels.chosen() } : { server: literal(alert.server_name) }),
                ...(scope.value.endsWith('metric') ? { metric: alert.metric } : {}),
                ...(span.value === WEEKLY ? { recurrence: recurring.value() } : { duration: span.value }), created_by: by.value, comment: note.value,
            });
        });
}

function takeBack(alert: Alert): void {
    ask('Take the acknowledgement back', `${alert.server_name}, ${metricName(alert.metric)}: nobody has it any more, and it is notified again.`, [], 'Take back',
        () => write('DELETE', `api/v1/alerts/${encodeURIComponent(alert.id)}/ack`));
}

/** The buttons beside an alert; empty where the daemon offers neither, or where they make no sense. */
export function alertActions(alert: Alert): HTMLElement {
    const box = h('span', { class: 'actions' });
    if (alert.state === 'resolved') return box;
    void Promise.all([canAcknowledge(), canSilence()]).then(([ack, quiet]) => {
        const label = `${alert.server_name}, ${metricName(alert.metric)}`;
        if (ack && alert.ack !== null && fires(alert))
            box.append(h('button', { type: 'button', 'aria-label': `Take back the acknowledgement of ${label}`, click: () => takeBack(alert) }, 'Take back'));
        if (ack && alert.ack === null && fires(alert))
            box.append(h('button', { type: 'button', 'aria-label': `Acknowledge ${label}`, click: () => acknowledge(alert) }, 'Acknowledge'));
        if (quiet && !isSilenced(alert))
            box.append(h('button', { type: 'button', 'aria-label': `Silence ${label}`, click: () => silence(alert) }, 'Silence'));
    });
    return box;
}
