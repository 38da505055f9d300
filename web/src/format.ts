// Numbers, units and times as a person reads them. Times are the browser's local ones.

const NAMES: Record<string, string> = {
    cpu_user_pct: 'CPU user', cpu_sys_pct: 'CPU system', cpu_iowait_pct: 'I/O wait', cpu_idle_pct: 'CPU idle',
    java_cpu_pct: 'Java CPU', mem_used_pct: 'Memory', swap_used_pct: 'Swap', disk_usage_pct: 'Disk',
    net_in_mb_s: 'Network in', net_out_mb_s: 'Network out', back_close_wait: 'CLOSE_WAIT, back',
    front_close_wait: 'CLOSE_WAIT, front', load_average: 'Load average', uptime_days: 'Uptime',
    cascade_impact: 'Cascade impact', server_silent: 'Silence',
};

export const NBSP = '\u00a0';

export function metricName(metric: string): string {
    return NAMES[metric] ?? metric.replace(/_pct$/, '').replace(/_/g, ' ');
}

const PROFILES: Record<string, string> = {
    ml_compute: 'ML compute', database: 'Database', web_api: 'Web', conductor_mgmt: 'Conductor',
    data_ingest: 'Data ingest', risk_analytics: 'Risk analytics', generic: 'Generic',
};

export function profileName(profile: string): string {
    return PROFILES[profile] ?? profile.replace(/_/g, ' ');
}

export function unitOf(metric: string): string {
    if (metric.endsWith('_pct')) return '%';
    if (metric.endsWith('_mb_s')) return 'MB/s';
    return metric.endsWith('_days') ? 'days' : '';
}

export function number(value: number, digits?: number): string {
    const size = Math.abs(value);
    const places = digits ?? (size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 1 : 2);
    return value.toLocaleString('en', { minimumFractionDigits: digits ?? 0, maximumFractionDigits: places });
}

/** A score as a whole number that never claims the next level: 19.6 is healthy, so it is no 20. */
export function scoreText(score: number): string {
    return String(Math.floor(score));
}

export function count(value: number): string {
    return value.toLocaleString('en');
}

export function quantity(value: number | null | undefined, unit: string): string {
    if (value === null || value === undefined || !Number.isFinite(value)) return '–';
    return number(value) + (unit === '' ? '' : NBSP + unit);
}

export function metricValue(metric: string, value: number | null | undefined): string {
    return quantity(value, unitOf(metric));
}

/** 0.994 -> "99 %"; never a plain 0 or 100 for what is neither. */
export function chance(value: number | null | undefined): string {
    if (value === null || value === undefined) return '–';
    if (value <= 0) return `0${NBSP}%`;
    if (value < 0.01) return `<1${NBSP}%`;
    if (value > 0.99) return `>99${NBSP}%`;
    return `${Math.round(value * 100)}${NBSP}%`;
}

export function bytes(value: number): string {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let at = 0;
    while (value >= 1024 && at < units.length - 1) {
        value /= 1024;
        at++;
    }
    return number(value, at === 0 || value >= 100 ? 0 : 1) + NBSP + units[at];
}

/** "3 h 50 min", "12 min", "40 s", "2 d 3 h". */
export function duration(seconds: number): string {
    const s = Math.max(0, Math.round(seconds));
    if (s < 90) return `${s}${NBSP}s`;
    const minutes = Math.round(s / 60);
    if (minutes < 90 && minutes !== 60) return `${minutes}${NBSP}min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${hours}${NBSP}h` + (minutes % 60 === 0 ? '' : `${NBSP}${minutes % 60}${NBSP}min`);
    const days = Math.floor(hours / 24);
    return `${days}${NBSP}d` + (hours % 24 === 0 ? '' : `${NBSP}${hours % 24}${NBSP}h`);
}

export function milliseconds(seconds: number): string {
    if (seconds < 0.0095) return `${number(seconds * 1000, 1)}${NBSP}ms`;
    return seconds < 1 ? `${Math.round(seconds * 1000)}${NBSP}ms` : `${number(seconds, 1)}${NBSP}s`;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const secondFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { weekday: 'short' });
const dateFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

function dayNumber(unix: number): number {
    const date = new Date(unix * 1000);
    return Math.floor(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86400000);
}

/** "21:05", with the day when it is not today: "tomorrow 02:10", "Sun 02:10", "3 Dec 02:10". */
export function clock(unix: number, now: number): string {
    const time = clockFormat.format(unix * 1000);
    const days = dayNumber(unix) - dayNumber(now);
    if (days === 0) return time;
    if (days === 1) return `tomorrow ${time}`;
    if (days === -1) return `yesterday ${time}`;
    return `${(Math.abs(days) < 7 ? dayFormat : dateFormat).format(unix * 1000)} ${time}`;
}

export function clockSeconds(unix: number): string {
    return secondFormat.format(unix * 1000);
}

/** "in 3 h 50 min", "now", "25 min ago". */
export function relative(unix: number, now: number): string {
    const ahead = unix - now;
    if (Math.abs(ahead) < 20) return 'now';
    return ahead > 0 ? `in ${duration(ahead)}` : `${duration(-ahead)} ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
    return `${count(n)} ${n === 1 ? one : many}`;
}

export function timeZone(): string {
    return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
