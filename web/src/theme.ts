// Light and dark: as the system has it, until somebody chooses.
const STORED = 'forewarn-theme';
const ORDER = ['auto', 'light', 'dark'] as const;
type Theme = (typeof ORDER)[number];

let theme: Theme = 'auto';

function apply(): void {
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    dispatchEvent(new Event('forewarn:theme'));
}

export function initTheme(): void {
    const stored = localStorage.getItem(STORED);
    theme = ORDER.find((candidate) => candidate === stored) ?? 'auto';
    apply();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
}

export function nextTheme(): void {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] as Theme;
    if (theme === 'auto') localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, theme);
    apply();
}

export function themeLabel(): string {
    return { auto: 'Auto', light: 'Light', dark: 'Dark' }[theme];
}

/** A colour of the style sheet, for what is drawn on a canvas. */
export function colour(name: string): string {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
