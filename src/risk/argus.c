/* The reference's point tables (API contract 13.1), the database row working. */
#include "risk/risk_internal.h"

#include <math.h>

struct row {
    double at_least;
    double points;
};

enum { ROWS_MAX = 4 };
struct table {
    struct row current[ROWS_MAX];   /* highest first; unused rows have no points */
    struct row predicted[ROWS_MAX]; /* likewise */
};

static const struct table cpu_table = {
    {{98, 60}, {95, 40}, {90, 25}, {80, 15}},
    {{98, 40},        {95, 25},         {90, 15} },
};
static const struct table memory_table = {
    {{98, 50},  {95, 30}, {90, 15}, {85, 10}},
    {{98, 30}, {95, 20}        },
};
static const struct table memory_database_table = {
    {{99, 50}, {98, 30}, {95, 15}},
    {{98, 30},        {95, 20}        },
};
static const struct table iowait_table = {
    {{30, 40}, {20, 25}, {10, 15}},
    {{30, 25},        {20, 15}        },
};
static const struct table swap_table = {
    {{50, 30},  {25, 20}, {10, 10}},
    {{0, 0}}
};
static const struct table load_table = {
    {{12, 20}, {8, 10}},
    {{0, 0}       }
};

/* The points of the highest row that `value` reaches, and that row's bound; NaN without one. */
static double points_of(const struct row rows[ROWS_MAX], double value, double *bound)
{
    *bound = (double)NAN;
    for (size_t i = 0; i < ROWS_MAX && rows[i].points > 0; i++) {
        if (value >= rows[i].at_least) {
            *bound = rows[i].at_least;
            return rows[i].points;
        }
    }
    return 0.0;
}

static double mean_p90(const struct forecast_path *path)
{
    double sum = 0.0;
    for (size_t i = 0; i < RISK_STEPS_30M; i++)
        sum += (double)path->p90[i];
    return sum / RISK_STEPS_30M;
}

/* Scores one signal. Idle is turned into use, with the reference's (optimistic) tail. */
static double score_signal(const struct schema *schema, const struct forecast_path *path,
                           const struct table *table, bool idle, struct risk_drivers *drivers)
{
    if (path == NULL)
        return 0.0;
    double current = (double)path->current;
    double predicted = mean_p90(path);
    if (idle) {
        current = 100.0 - current;
        predicted = 100.0 - predicted;
    }
    double now_bound, soon_bound;
    const double now = points_of(table->current, current, &now_bound);
    const double soon = points_of(table->predicted, predicted, &soon_bound);
    const double points = 0.70 * now + 0.30 * soon;
    double bound = now > 0.0 ? now_bound : soon_bound;
    if (idle)
        bound = 100.0 - bound;
    struct risk_driver driver = {
        .metric = path->metric,
        .points = (float)points,
        .current = path->current,
        .predicted = (float)(idle ? 100.0 - predicted : predicted),
        .threshold = (float)bound,
    };
    if (points > 0.0)
        driver.probability = (float)risk_crossing_probability(&schema->metrics[path->metric], path,
                                                              bound, FORECAST_HORIZON);
    risk_add_driver(drivers, &driver);
    return points;
}

double risk_argus_score(const struct schema *schema, const struct forecast *forecast,
                        struct risk_drivers *drivers)
{
    const struct forecast_path *idle = risk_path(forecast, METRIC_CPU_IDLE);
    const struct forecast_path *cpu = idle != NULL ? idle : risk_path(forecast, METRIC_CPU_USER);
    const struct table *memory =
        forecast->profile == PROFILE_DATABASE ? &memory_database_table : &memory_table;
    double sum = 0.0;
    sum += score_signal(schema, cpu, &cpu_table, idle != NULL, drivers);
    sum += score_signal(schema, risk_path(forecast, METRIC_MEM_USED), memory, false, drivers);
    sum +=
        score_signal(schema, risk_path(forecast, METRIC_CPU_IOWAIT), &iowait_table, false, drivers);
    sum += score_signal(schema, risk_path(forecast, METRIC_SWAP_USED), &swap_table, false, drivers);
    sum +=
        score_signal(schema, risk_path(forecast, METRIC_LOAD_AVERAGE), &load_table, false, drivers);
    return sum;
}
