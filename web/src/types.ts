// What the API sends, as far as the dashboard reads it; docs/api.md is the definition.

export type Level = 'critical' | 'warning' | 'watch' | 'healthy';

export interface Driver {
    metric: string;
    points: number;
    current: number | null;
    predicted: number | null;
    threshold: number | null;
    probability: number;
}

export interface FleetDriver extends Driver {
    crossed: boolean;
    crossing_unix: number | null;
    earliest_unix: number | null;
    latest_unix: number | null;
    path: number[];
}

export interface FleetServer {
    server_name: string;
    profile: string;
    stale: boolean;
    risk_score: number;
    level: Level;
    method: string;
    probability_30m: number;
    probability_8h: number;
    last_seen_unix: number | null;
    labels?: Record<string, string>;
    drivers: number;
    driver: FleetDriver | null;
}

export interface Fleet {
    run_id: number;
    generated_at_unix: number;
    step_seconds: number;
    stale: boolean;
    model_id: string;
    servers: FleetServer[];
}

export interface Acknowledgement {
    by?: string;
    at_unix?: number;
    until_unix?: number | null;
    comment?: string;
}

export interface Alert {
    id: string;
    server_name: string;
    metric: string;
    severity: 'warning' | 'critical';
    state: 'pending' | 'firing' | 'acknowledged' | 'silenced' | 'resolved'; // the middle three fire
    threshold: number;
    current_value: number;
    predicted_value: number;
    peak_value: number;
    seconds_ahead: number;
    probability: number;
    held: boolean;
    crossed: boolean;
    resolved_reason: string;
    pending_since_unix: number | null;
    starts_at_unix: number | null;
    ends_at_unix: number | null;
    updated_at_unix: number | null;
    ack: Acknowledgement | null;
    silenced_by: string | null;
    inhibited_by?: string | null;
    labels?: Record<string, string>;
    risk_score: number;
    profile: string;
}

export interface AlertList {
    timestamp_unix: number;
    total: number;
    stale: boolean;
    alerts: Alert[];
}

export interface Status {
    timestamp_unix: number;
    last_prediction_unix: number | null;
    servers_tracked: number;
    step_seconds: number;
    model_loaded: boolean;
    warmup: { is_warmed_up: boolean; progress_percent: number; current_size: number; required_size: number; servers_ready: number };
}

export interface MetricSchema {
    name: string;
    unit: string;
    min: number | null;
    max: number | null;
    worse: 'high' | 'low' | 'none';
    warning: number | null;
    critical: number | null;
    integer: boolean;
    accumulates: boolean;
}

export interface Path {
    current: number | null;
    p10: number[];
    p50: number[];
    p90: number[];
    unit: string;
    method: string;
    forecaster: string;
    method_reason?: string;
    model_share?: number; // of the trained model in a blend's median
    quality: { coverage: number | null; pinball: number | null; forecasts: number };
}

export interface ServerDetail {
    server_name: string;
    profile: string;
    status: string;
    stale: boolean;
    steps_held: number;
    last_seen_unix: number | null;
    risk_score: number | null;
    level: Level | null;
    method: string;
    crossing_probability_30m: number | null;
    crossing_probability_8h: number | null;
    warmup: { ready: boolean; have: number; need: number };
    labels?: Record<string, string>;
    alerts?: Alert[];
}

export interface Forecast {
    run_id: number;
    made_at_unix: number;
    origin_unix: number;
    step_seconds: number;
    model_id: string;
    stale: boolean;
    timestamps: number[];
    metrics: Record<string, Path>;
    risk_drivers: Driver[];
}

export interface Window {
    step_seconds: number;
    metrics: Record<string, { timestamps: number[]; values: (number | null)[] }>;
}

export interface PastForecast {
    made_at_unix: number;
    origin_unix: number;
    timestamps: number[];
    p10: number[];
    p50: number[];
    p90: number[];
}

export interface Past {
    metrics: Record<string, PastForecast[]>; // newest first
}

export interface Filling {
    server_name: string;
    metric: string;
    current: number;
    threshold: number;
    per_hour: number;
    probability_8h: number;
    basis: 'reached' | 'forecast' | 'extrapolated';
    reaches_unix: number | null;
    earliest_unix: number | null;
    latest_unix: number | null;
    stale: boolean;
}

export interface QualityRow {
    metric: string;
    block: number;
    horizon_from: number;
    horizon_to: number;
    samples: number;
    pinball: { ours: number | null; persistence: number | null; day_before: number | null };
    coverage: number | null;
    weights?: Record<string, number>;
}
