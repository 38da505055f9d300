// Sentences: what a figure means, in the words of somebody on call.
import { chance, clock, duration, metricName, metricValue, relative } from './format';
import { live } from './live';
import type { Alert, FleetDriver, FleetServer, MetricSchema } from './types';

export function fallsToBad(metric: string): boolean {
    return live.schema.get(metric)?.worse === 'low';
}

/** One line for a row of the list. */
export function whyInShort(server: FleetServer, now: number): string {
    if (server.stale)
        return server.last_seen_unix === null ? 'No data' : `No data for ${duration(now - server.last_seen_unix)}`;
    const driver = server.driver;
    if (driver === null) return 'Calm';
    return driverInShort(driver, now);
}

export function driverInShort(driver: FleetDriver, now: number): string {
    const name = metricName(driver.metric);
    const value = metricValue(driver.metric, driver.current);
    if (driver.threshold === null) return `${name} ${value}`;
    const limit = metricValue(driver.metric, driver.threshold);
    const below = fallsToBad(driver.metric);
    if (driver.crossed) return `${name} ${value}, ${below ? 'under' : 'over'} ${limit}`;
    if (driver.crossing_unix !== null)
        return `${name} ${value} → ${limit} ${driver.crossing_unix > now ? `in ${duration(driver.crossing_unix - now)}` : 'now'}`;
    return `${name} ${value}, ${chance(driver.probability)} chance to ${below ? 'fall under' : 'pass'} ${limit}`;
}

/** The sentence of the fleet page about its worst server. */
export function worstSentence(server: FleetServer, now: number): string {
    if (server.stale) return whyInShort(server, now);
    const driver = server.driver;
    if (driver === null) return '';
    const name = metricName(driver.metric);
    if (driver.threshold === null) return `${name} is at ${metricValue(driver.metric, driver.current)}.`;
    const limit = metricValue(driver.metric, driver.threshold);
    if (driver.crossed) return `${name} is at ${metricValue(driver.metric, driver.current)}, ${fallsToBad(driver.metric) ? 'under' : 'over'} ${limit} already.`;
    if (driver.crossing_unix !== null)
        return `${name} reaches ${limit} around ${clock(driver.crossing_unix, now)}, in ${duration(driver.crossing_unix - now)}. Chance within 8 hours: ${chance(driver.probability)}.`;
    return `${name} is at ${metricValue(driver.metric, driver.current)}; the chance that it ${fallsToBad(driver.metric) ? 'falls under' : 'passes'} ${limit} within 8 hours is ${chance(driver.probability)}.`;
}

const FORECASTERS: Record<string, string> = {
    tft: 'the trained model', blend: 'a blend that has learnt here whom to trust', persistence: 'persistence (it stays as it is)', seasonal: 'the same time a day before',
    climatology: 'the usual course of the day', trend: 'a damped trend', argus: 'a straight line',
};

const REASONS: Record<string, string> = {
    no_model: 'no model is loaded', short_history: 'its history is too short for the model',
    metric_unknown: 'the model does not know this metric', not_finite: 'the model gave no usable number',
    step_mismatch: 'the model was trained on another step',
};

export function forecasterName(forecaster: string): string {
    return FORECASTERS[forecaster] ?? forecaster;
}

export function reasonText(reason: string | undefined): string {
    return reason === undefined || reason === '' || reason === 'by_choice' ? '' : REASONS[reason] ?? reason.replace(/_/g, ' ');
}

export interface Crossing {
    threshold: number;
    kind: 'critical' | 'warning';
    crossed: boolean;
    earliest: number | null; // by the bad quantile
    expected: number | null; // by the median
    latest: number | null; // by the good quantile
}

function firstBeyond(path: readonly number[], at: readonly number[], step: number, threshold: number, low: boolean): number | null {
    for (let i = 0; i < path.length; i++) {
        const value = path[i] as number;
        if (low ? value <= threshold : value >= threshold) return (at[i] as number) + step;
    }
    return null;
}

/** When a path passes a threshold; times as alerts count them, at the end of the step. */
export function crossingOf(
    schema: MetricSchema | undefined, kind: 'critical' | 'warning', current: number | null,
    path: { p10: number[]; p50: number[]; p90: number[] }, at: readonly number[], step: number
): Crossing | null {
    const threshold = schema?.[kind] ?? null;
    if (schema === undefined || threshold === null || schema.worse === 'none') return null;
    const low = schema.worse === 'low';
    return {
        threshold, kind,
        crossed: current !== null && (low ? current <= threshold : current >= threshold),
        earliest: firstBeyond(low ? path.p10 : path.p90, at, step, threshold, low),
        expected: firstBeyond(path.p50, at, step, threshold, low),
        latest: firstBeyond(low ? path.p90 : path.p10, at, step, threshold, low),
    };
}

/** When the alert's crossing is due: as the fleet has it where both speak of the same, so that no two places name two
 *  times; else by the end of its step. */
export function crossingTime(alert: Alert, now: number): number {
    const driver = live.fleet?.servers.find((server) => server.server_name === alert.server_name)?.driver;
    if (driver != null && driver.metric === alert.metric && driver.threshold === alert.threshold && driver.crossing_unix !== null && !driver.crossed) return driver.crossing_unix;
    const step = live.fleet?.step_seconds ?? 300;
    return Math.ceil(((alert.updated_at_unix ?? now) + alert.seconds_ahead) / step) * step;
}

const CHANCE_SMALL = 0.1;

function isLikely(alert: Alert): boolean {
    const beyond = fallsToBad(alert.metric) ? alert.predicted_value <= alert.threshold : alert.predicted_value >= alert.threshold;
    return beyond || alert.probability >= 0.5;
}

/** Whether a crossing lies ahead: an alert that fires until it is safely over names its worst step to come, which may be none. */
export function crosses(alert: Alert): boolean {
    return alert.state !== 'resolved' && alert.seconds_ahead > 0 && (isLikely(alert) || alert.probability >= CHANCE_SMALL);
}

export function alertSentence(alert: Alert, now: number): string {
    if (alert.metric === 'server_silent') return 'No data arrives';
    const name = metricName(alert.metric);
    const limit = metricValue(alert.metric, alert.threshold);
    const below = fallsToBad(alert.metric);
    if (alert.state === 'resolved') return `${name} is clear of ${limit} again`;
    const value = metricValue(alert.metric, alert.current_value);
    if (below ? alert.current_value <= alert.threshold : alert.current_value >= alert.threshold) return `${name} is at ${value}, ${below ? 'under' : 'over'} ${limit}`;
    if (!crosses(alert)) return `${name} is at ${value}, not yet safely clear of ${limit}`;
    const when = crossingTime(alert, now);
    return `${name} ${isLikely(alert) ? 'will' : 'may'} ${below ? 'fall under' : 'pass'} ${limit} around ${clock(when, now)}, ${relative(when, now)}`;
}

export function fires(alert: Alert): boolean {
    return alert.state !== 'pending' && alert.state !== 'resolved';
}

/** Fires, and nobody has taken it: neither acknowledged nor silenced. */
export function calls(alert: Alert): boolean {
    return fires(alert) && alert.ack === null && !isSilenced(alert);
}

export function stateWord(alert: Alert): string {
    if (fires(alert) && alert.ack !== null) return 'Acknowledged';
    if (fires(alert) && isSilenced(alert)) return 'Silenced';
    if (fires(alert) && alert.inhibited_by != null) return 'Firing, behind a worse one';
    return alert.held ? 'Held: no data' : alert.state.charAt(0).toUpperCase() + alert.state.slice(1);
}

export function isSilenced(alert: Alert): boolean {
    return alert.silenced_by != null || alert.state === 'silenced';
}

