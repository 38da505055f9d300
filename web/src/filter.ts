// What is typed into a search: words, and labels as Prometheus and Alertmanager choose them.
//   db fra            words of the name, the profile or a label's value, in any order
//   dc=fra            exactly so; also != and, for patterns of the whole value, =~ and !~
//   profile=database  and server=~web.* go as well; rack="" means servers without the label
import { profileName } from './format';

export interface Labelled {
    server_name: string;
    profile: string;
    labels?: Record<string, string>;
}

export interface Filter {
    problem: string; // what is wrong with the text; the term is then left out
    terms: number;
    matches(server: Labelled, more?: string): boolean;
}

interface Term {
    name: string; // '': a word
    negative: boolean;
    fits: (value: string) => boolean;
}

const PATTERN_MAX = 200, REPEATS_MAX = 3;
const TOKEN = /(?:"(?:\\.|[^"\\])*"?|[^\s"])+/gu;
const LABEL = /^([A-Za-z_]\w*)(=~|!~|!=|=)(.*)$/su;
const OWN: ReadonlySet<string> = new Set(['server', 'profile']);

export function labelOf(server: Labelled, name: string): string {
    if (name === 'server') return server.server_name;
    if (name === 'profile') return server.profile;
    const labels = server.labels;
    return labels !== undefined && Object.hasOwn(labels, name) ? labels[name] ?? '' : '';
}

/** Names of labels that any of them has, in order. */
export function labelNames(servers: readonly Labelled[]): string[] {
    const names = new Set<string>();
    for (const server of servers) for (const name in server.labels) names.add(name);
    return [...names].sort();
}

/** How a term is written so that it is read back as the same. */
export function labelTerm(name: string, value: string): string {
    return `${name}=${/^[^\s"\\]+$/u.test(value) ? value : `"${value.replace(/["\\]/gu, '\\$&')}"`}`;
}

function unquote(text: string): string {
    return text.replace(/"((?:\\.|[^"\\])*)"?/gu, (_, inside: string) => inside.replace(/\\(.)/gu, '$1'));
}

/** Patterns come with addresses that others sent: what could take for ever is refused. */
function pattern(text: string): RegExp | string {
    if (text.length > PATTERN_MAX) return 'is too long a pattern';
    if (/\)[*+?{]|\(\?(?!:)|\\[1-9k]/u.test(text)) return 'is a pattern with a repeated group, which is not offered here';
    if (text.split('|').some((branch) => (branch.match(/[*+}]/gu) ?? []).length > REPEATS_MAX)) return 'repeats too much for a pattern';
    try {
        return new RegExp(`^(?:${text})$`, 'su');
    } catch {
        return 'is no pattern yet';
    }
}

function word(text: string): Term {
    const wanted = text.toLowerCase();
    return { name: '', negative: false, fits: (all) => all.includes(wanted) };
}

/** The text is read anew with each key, so what is not finished ("dc=") chooses nothing yet. */
export function parseFilter(text: string, known: ReadonlySet<string>): Filter {
    const terms: Term[] = [];
    let problem = '';
    for (const token of text.match(TOKEN) ?? []) {
        const parts = LABEL.exec(token);
        const [, name = '', operator = '', raw = ''] = parts ?? [];
        if (parts === null || !(known.has(name) || OWN.has(name))) {
            terms.push(word(unquote(token)));
            if (parts !== null && problem === '') problem = `No server has the label ${name}.`;
            continue;
        }
        if (raw === '' || raw === '"') continue;
        const value = unquote(raw), negative = operator.startsWith('!');
        if (!operator.endsWith('~')) {
            terms.push({ name, negative, fits: (have) => have === value });
            continue;
        }
        const compiled = pattern(value);
        if (typeof compiled === 'string') problem = `${value} ${compiled}.`;
        else terms.push({ name, negative, fits: remembered((have) => compiled.test(have)) });
    }
    return {
        problem, terms: terms.length,
        matches: (server, more = '') => terms.every((term) => (term.name === ''
            ? term.fits(wordsOf(server, more))
            : term.fits(labelOf(server, term.name)) !== term.negative)),
    };
}

/** Thousands of servers have few values. */
function remembered(test: (value: string) => boolean): (value: string) => boolean {
    const known = new Map<string, boolean>();
    return (value) => {
        let found = known.get(value);
        if (found === undefined) known.set(value, found = test(value));
        return found;
    };
}

function wordsOf(server: Labelled, more: string): string {
    return `${server.server_name} ${profileName(server.profile)} ${server.profile} ${Object.values(server.labels ?? {}).join(' ')} ${more}`.toLowerCase();
}

const OFFERED_MAX = 40;

/** What the last term could become, as whole texts; nothing once it is complete. */
export function completions(text: string, servers: readonly Labelled[], names: readonly string[]): string[] {
    const tokens = text.match(TOKEN) ?? [];
    const last = /\s$/u.test(text) ? '' : tokens.at(-1) ?? '';
    const before = text.slice(0, text.length - last.length);
    const parts = LABEL.exec(last);
    const all = ['profile', ...names];
    if (last === '') return [];
    if (parts === null) return all.filter((name) => name.startsWith(last)).map((name) => `${before}${name}=`);
    const [, name = '', operator = '', raw = ''] = parts;
    if (!all.includes(name) || operator.endsWith('~')) return [];
    const begun = unquote(raw).toLowerCase();
    const values = new Set(servers.map((server) => labelOf(server, name)).filter((value) => value !== '' && value.toLowerCase().startsWith(begun)));
    return [...values].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).slice(0, OFFERED_MAX).map((value) => before + labelTerm(name, value).replace('=', operator)).filter((whole) => whole !== text);
}
