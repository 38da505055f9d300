#include "history/history.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/text.h"
#include "domain/identity.h"
#include "history/history_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t *bucket_of(const struct history *d, const char *name, size_t len)
{
    size_t at = fw_hash_stable(name, len) & (d->n_buckets - 1);
    while (d->bucket[at] != 0) {
        const char *there = d->series[d->bucket[at] - 1].name;
        if (strlen(there) == len && memcmp(there, name, len) == 0)
            break;
        at = (at + 1) & (d->n_buckets - 1);
    }
    return &d->bucket[at];
}

static bool grow_table(struct history *d)
{
    const size_t wanted = d->capacity == 0 ? 64 : d->capacity * 2;
    struct history_series *series = fw_realloc_array(d->series, wanted, sizeof *series);
    if (series == NULL)
        return false;
    d->series = series;
    d->capacity = wanted;
    fw_free(d->bucket);
    d->n_buckets = 4 * wanted;
    d->bucket = fw_calloc(d->n_buckets, sizeof *d->bucket);
    if (d->bucket == NULL)
        return false;
    for (size_t i = 0; i < d->n_series; i++)
        *bucket_of(d, d->series[i].name, strlen(d->series[i].name)) = i + 1;
    return true;
}

struct history_series *history_series_of(struct history *d, const char *name, size_t len,
                                         struct fw_error *err)
{
    if (d->n_series == d->capacity && !grow_table(d)) {
        (void)fw_fail(err, FW_ENOMEM, "no memory for more servers");
        return NULL;
    }
    size_t *bucket = bucket_of(d, name, len);
    if (*bucket != 0)
        return &d->series[*bucket - 1];
    if (d->n_series == HISTORY_SERIES_MAX) {
        (void)fw_fail(err, FW_ELIMIT, "more than %d servers", HISTORY_SERIES_MAX);
        return NULL;
    }
    struct history_series *s = &d->series[d->n_series];
    memset(s, 0, sizeof *s);
    s->name = fw_malloc(len + 1);
    if (s->name == NULL) {
        (void)fw_fail(err, FW_ENOMEM, "no memory for more servers");
        return NULL;
    }
    memcpy(s->name, name, len);
    s->name[len] = '\0';
    *bucket = ++d->n_series;
    return s;
}

/* Moves a column into a larger array, `shift` elements behind its start; new elements are 0xff in
 * floats, which is NaN. */
static bool move_column(void **array, size_t size, size_t steps, size_t shift, size_t capacity,
                        int fill)
{
    if (*array == NULL)
        return true;
    unsigned char *wider = fw_malloc(capacity * size);
    if (wider == NULL)
        return false;
    memset(wider, fill, capacity * size);
    memcpy(wider + shift * size, *array, steps * size);
    fw_free(*array);
    *array = wider;
    return true;
}

static bool resize(struct history_series *s, size_t shift, size_t capacity)
{
    bool ok = true;
    for (size_t i = 0; i < HISTORY_COLUMNS_MAX && ok; i++) {
        void *value = s->value[i], *count = s->count[i];
        ok = move_column(&value, sizeof(float), s->steps, shift, capacity, 0xff);
        s->value[i] = value;
        ok = ok && move_column(&count, sizeof *s->count[i], s->steps, shift, capacity, 0);
        s->count[i] = count;
        void *exact = s->exact[i], *carry = s->carry[i];
        ok = ok && move_column(&exact, sizeof(double), s->steps, shift, capacity, 0xff);
        s->exact[i] = exact;
        ok = ok && move_column(&carry, sizeof(double), s->steps, shift, capacity, 0);
        s->carry[i] = carry;
    }
    void *status = s->status;
    ok = ok && move_column(&status, 1, s->steps, shift, capacity, 0);
    s->status = status;
    if (ok)
        s->capacity = capacity;
    return ok;
}

enum fw_status history_series_reach(struct history_series *s, int64_t step, size_t *at,
                                    struct fw_error *err)
{
    size_t shift = 0, steps = s->steps;
    if (steps == 0)
        s->first = step;
    const int64_t ahead = step - s->first;
    if (ahead > HISTORY_STEPS_MAX || ahead < -(int64_t)HISTORY_STEPS_MAX)
        return fw_fail(err, FW_ELIMIT, "the times of a server span more than %d steps",
                       HISTORY_STEPS_MAX);
    if (ahead < 0)
        shift = (size_t)-ahead;
    else if ((size_t)ahead >= steps)
        steps = (size_t)ahead + 1;
    if (shift + steps > HISTORY_STEPS_MAX)
        return fw_fail(err, FW_ELIMIT, "the times of a server span more than %d steps",
                       HISTORY_STEPS_MAX);
    if (shift != 0 || steps > s->capacity) {
        const size_t capacity = (shift + steps) * 3 / 2 + 64;
        if (!resize(s, shift, capacity))
            return fw_fail(err, FW_ENOMEM, "no memory for the values");
        s->first -= (int64_t)shift;
    }
    s->steps = shift + steps;
    *at = (size_t)(step - s->first);
    return FW_OK;
}

static void *column_new(const struct history_series *s, size_t size, int fill)
{
    void *array = fw_malloc(s->capacity * size);
    return array == NULL ? NULL : memset(array, fill, s->capacity * size);
}

static bool column_made(struct history_series *s, size_t column, bool exact)
{
    if (s->value[column] != NULL)
        return true;
    s->value[column] = column_new(s, sizeof(float), 0xff);
    s->count[column] = column_new(s, sizeof *s->count[column], 0);
    if (exact)
        s->exact[column] = column_new(s, sizeof(double), 0xff);
    return s->value[column] != NULL && s->count[column] != NULL &&
           (!exact || s->exact[column] != NULL);
}

/* Exact means are compensated sums until the end (Kahan 1965). */
static bool add_exact(struct history_series *s, size_t column, size_t at, bool first, double value)
{
    double *sum = &s->exact[column][at];
    if (first) {
        *sum = value;
        return true;
    }
    if (s->carry[column] == NULL)
        s->carry[column] = column_new(s, sizeof(double), 0);
    if (s->carry[column] == NULL)
        return false;
    double *carry = &s->carry[column][at];
    const double more = value - *carry, wider = *sum + more;
    *carry = wider - *sum - more;
    *sum = wider;
    return true;
}

/* Running mean: the count goes up to 65535 and stays there. */
enum fw_status history_series_add(struct history_series *s, size_t column, size_t at, double value,
                                  const double *exact, struct fw_error *err)
{
    if (!column_made(s, column, exact != NULL))
        return fw_fail(err, FW_ENOMEM, "no memory for the values");
    float *to = &s->value[column][at];
    uint16_t *count = &s->count[column][at];
    if (*count < UINT16_MAX) {
        ++*count;
        if (exact != NULL && !add_exact(s, column, at, *count == 1, *exact))
            return fw_fail(err, FW_ENOMEM, "no memory for the values");
    }
    *to =
        *count == 1 ? (float)value : (float)((double)*to + (value - (double)*to) / (double)*count);
    return FW_OK;
}

enum fw_status history_series_status(struct history_series *s, size_t at, uint8_t status,
                                     struct fw_error *err)
{
    if (s->status == NULL)
        s->status = column_new(s, 1, 0);
    if (s->status == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the values");
    s->status[at] = status;
    return FW_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct history_series *)a)->name,
                  ((const struct history_series *)b)->name);
}

void history_finish(struct history *d)
{
    struct profile_rules rules;
    profile_rules_default(&rules);
    fw_free(d->bucket);
    d->bucket = NULL;
    if (d->n_series != 0)
        qsort(d->series, d->n_series, sizeof *d->series, by_name);
    for (size_t i = 0; i < d->n_series; i++) {
        struct history_series *s = &d->series[i];
        if (!s->profile_given)
            s->profile = (uint8_t)profile_resolve(&rules, s->name);
        for (size_t c = 0; c < HISTORY_COLUMNS_MAX; c++) {
            for (size_t t = 0; s->exact[c] != NULL && t < s->steps; t++) {
                if (s->count[c][t] > 1)
                    s->exact[c][t] /= (double)s->count[c][t];
            }
            fw_free(s->count[c]);
            fw_free(s->carry[c]);
            s->count[c] = NULL;
            s->carry[c] = NULL;
        }
    }
}

void history_free(struct history *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n_series; i++) {
        struct history_series *s = &d->series[i];
        for (size_t c = 0; c < HISTORY_COLUMNS_MAX; c++) {
            fw_free(s->value[c]);
            fw_free(s->exact[c]);
            fw_free(s->carry[c]);
            fw_free(s->count[c]);
        }
        fw_free(s->status);
        fw_free(s->name);
    }
    fw_free(d->series);
    fw_free(d->bucket);
    fw_free(d);
}

enum fw_status history_column_of(struct history *d, const char *name, int *column,
                                 struct fw_error *err)
{
    const size_t len = strlen(name);
    assert(len > 0 && len <= HISTORY_COLUMN_NAME_MAX);
    *column = history_column(d, name);
    if (*column >= 0)
        return FW_OK;
    if (d->n_columns == HISTORY_COLUMNS_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d different columns", HISTORY_COLUMNS_MAX);
    memcpy(d->column[d->n_columns], name, len + 1);
    *column = (int)d->n_columns++;
    return FW_OK;
}

int history_column(const struct history *d, const char *name)
{
    for (size_t i = 0; i < d->n_columns; i++) {
        if (strcmp(d->column[i], name) == 0)
            return (int)i;
    }
    return -1;
}
