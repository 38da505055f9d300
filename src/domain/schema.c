#include "domain/schema.h"

#include <math.h>
#include <string.h>

/* As doubles: the macros of math.h are floats. */
#define NONE ((double)NAN)
#define UNBOUNDED ((double)INFINITY)

static const struct schema_metric defaults[METRIC_DEFAULT_COUNT] = {
    {"cpu_user_pct",     "%",    0, 100,       false, false, METRIC_WORSE_HIGH, 85,   95  },
    {"cpu_sys_pct",      "%",    0, 100,       false, false, METRIC_WORSE_HIGH, 50,   70  },
    {"cpu_iowait_pct",   "%",    0, 100,       false, false, METRIC_WORSE_HIGH, 20,   30  },
    {"cpu_idle_pct",     "%",    0, 100,       false, false, METRIC_WORSE_LOW,  10,   4   },
    {"java_cpu_pct",     "%",    0, 100,       false, false, METRIC_WORSE_HIGH, 80,   92  },
    {"mem_used_pct",     "%",    0, 100,       false, true,  METRIC_WORSE_HIGH, 90,   98  },
    {"swap_used_pct",    "%",    0, 100,       false, true,  METRIC_WORSE_HIGH, 25,   50  },
    {"disk_usage_pct",   "%",    0, 100,       false, true,  METRIC_WORSE_HIGH, 85,   95  },
    {"net_in_mb_s",      "MB/s", 0, UNBOUNDED, false, false, METRIC_WORSE_NONE, NONE, NONE},
    {"net_out_mb_s",     "MB/s", 0, UNBOUNDED, false, false, METRIC_WORSE_NONE, NONE, NONE},
    {"back_close_wait",  "",     0, UNBOUNDED, true,  false, METRIC_WORSE_HIGH, NONE, NONE},
    {"front_close_wait", "",     0, UNBOUNDED, true,  false, METRIC_WORSE_HIGH, NONE, NONE},
    {"load_average",     "",     0, UNBOUNDED, false, false, METRIC_WORSE_HIGH, NONE, NONE},
    {"uptime_days",      "days", 0, UNBOUNDED, false, false, METRIC_WORSE_NONE, NONE, NONE},
    {"cascade_impact",   "",     0, 1,         false, false, METRIC_WORSE_HIGH, NONE, NONE},
};

void schema_default(struct schema *schema)
{
    memset(schema, 0, sizeof *schema);
    schema->count = METRIC_DEFAULT_COUNT;
    memcpy(schema->metrics, defaults, sizeof defaults);
}

int schema_find(const struct schema *schema, const char *name, size_t len)
{
    if (len == 0 || len > SCHEMA_METRIC_NAME_MAX)
        return -1;
    for (size_t i = 0; i < schema->count; i++) {
        const char *known = schema->metrics[i].name;
        /* The last byte differs between most names, the first between few. */
        if (known[len - 1] == name[len - 1] && known[len] == '\0' && memcmp(known, name, len) == 0)
            return (int)i;
    }
    return -1;
}

bool schema_name_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char c = name[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        const bool digit = c >= '0' && c <= '9';
        if (!letter && !(digit && i > 0))
            return false;
    }
    return len > 0 && len <= SCHEMA_METRIC_NAME_MAX;
}

static bool thresholds_valid(const struct schema_metric *m)
{
    const bool both = !isnan(m->warning) && !isnan(m->critical);
    if (!isnan(m->warning) && (m->warning < m->min || m->warning > m->max))
        return false;
    if (!isnan(m->critical) && (m->critical < m->min || m->critical > m->max))
        return false;
    if (m->worse == METRIC_WORSE_NONE)
        return isnan(m->warning) && isnan(m->critical);
    if (both && m->worse == METRIC_WORSE_HIGH)
        return m->warning <= m->critical;
    if (both && m->worse == METRIC_WORSE_LOW)
        return m->warning >= m->critical;
    return true;
}

enum fw_status schema_set(struct schema *schema, const struct schema_metric *metric,
                          struct fw_error *err)
{
    if (!schema_name_valid(metric->name, strnlen(metric->name, sizeof metric->name)))
        return fw_fail(err, FW_EINVAL, "metric name \"%.63s\" is not [a-zA-Z_][a-zA-Z0-9_]*",
                       metric->name);
    if (!(metric->min < metric->max))
        return fw_fail(err, FW_EINVAL, "metric %s: min %g is not below max %g", metric->name,
                       metric->min, metric->max);
    if (!thresholds_valid(metric))
        return fw_fail(err, FW_EINVAL,
                       "metric %s: thresholds %g (warning) and %g (critical) do not fit its bounds "
                       "and direction",
                       metric->name, metric->warning, metric->critical);
    const int known = schema_find(schema, metric->name, strlen(metric->name));
    if (known >= 0) {
        schema->metrics[known] = *metric;
        return FW_OK;
    }
    if (schema->count == SCHEMA_METRICS_MAX)
        return fw_fail(err, FW_ELIMIT, "metric %s: the schema holds %d metrics already",
                       metric->name, SCHEMA_METRICS_MAX);
    schema->metrics[schema->count++] = *metric;
    return FW_OK;
}

void schema_take_over(struct schema *schema, const struct schema *fresh)
{
    for (size_t i = 0; i < schema->count; i++) {
        struct schema_metric *metric = &schema->metrics[i];
        const int at = schema_find(fresh, metric->name, strlen(metric->name));
        if (at >= 0)
            *metric = fresh->metrics[at];
    }
}

bool schema_accept(const struct schema_metric *metric, double *value)
{
    if (!isfinite(*value) || fabs(*value) > 1e30)
        return false;
    const double slack = isfinite(metric->max) ? 0.005 * (metric->max - metric->min) : 0.0;
    if (*value < metric->min - slack || *value > metric->max + slack)
        return false;
    if (*value < metric->min)
        *value = metric->min;
    if (*value > metric->max)
        *value = metric->max;
    if (fabs(*value) < 1e-30)
        *value = 0.0; /* no denormals in windows: they slow every later product down */
    return true;
}
