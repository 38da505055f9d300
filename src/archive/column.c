#include "archive/column.h"

#include "archive/block.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum {
    PARTS = 32, /* a quantum is at most so small a part of the typical change */
    PLANES_MAX = 3,
    MANTISSA_MAX = 99,
    EXPONENT_MIN = -60,
    EXPONENT_MAX = 40,
};
#define MULTIPLE_MAX (INT64_C(1) << 30)

/* ---- multiples of a quantum ---- */

static double ten_to(int n)
{
    double power = 1.0;
    for (int i = 0; i < n; i++)
        power *= 10.0;
    return power;
}

/* Division by a power of ten gives the double nearest to the decimal, so that 1234 / 10^2 becomes
 * the float that was read from "12.34". */
static double times(double factor, struct archive_quantum q)
{
    const double product = factor * (double)q.mantissa;
    return q.exponent < 0 ? product / ten_to(-q.exponent) : product * ten_to(q.exponent);
}

double archive_quantum_value(struct archive_quantum quantum)
{
    return times(1.0, quantum);
}

/* What decoding needs of a quantum, worked out once. */
struct scale {
    double mantissa, divisor, factor;
};

static struct scale scale_of(struct archive_quantum q)
{
    return (struct scale){(double)q.mantissa, ten_to(q.exponent < 0 ? -q.exponent : 0),
                          ten_to(q.exponent > 0 ? q.exponent : 0)};
}

static bool value_at(const struct scale *s, int64_t multiple, float *value)
{
    const double exact = (double)multiple * s->mantissa / s->divisor * s->factor;
    if (!(fabs(exact) <= (double)FLT_MAX))
        return false;
    *value = (float)exact;
    return true;
}

/* The nearest multiples. False when one does not fit. */
static bool round_all(const float *values, size_t n, struct archive_quantum q, int64_t *multiples)
{
    const double quantum = archive_quantum_value(q);
    const struct scale scale = scale_of(q);
    float unused;
    for (size_t i = 0; i < n; i++) {
        const double ratio = (double)values[i] / quantum;
        if (!(fabs(ratio) < (double)MULTIPLE_MAX))
            return false;
        multiples[i] = (int64_t)(ratio + (ratio < 0.0 ? -0.5 : 0.5));
        if (!value_at(&scale, multiples[i], &unused))
            return false;
    }
    return true;
}

static bool lies_on(const float *values, size_t n, struct archive_quantum q)
{
    int64_t multiples[ARCHIVE_STEPS];
    const struct scale scale = scale_of(q);
    if (!round_all(values, n, q, multiples))
        return false;
    for (size_t i = 0; i < n; i++) {
        float back;
        if (!value_at(&scale, multiples[i], &back) || back != values[i])
            return false;
    }
    return true;
}

/* ---- which quantum ---- */

struct changes {
    double typical, smallest; /* of those that are not zero; 0 when there is none */
};

static struct changes changes_of(const float *values, size_t n)
{
    double logs = 0.0, smallest = (double)INFINITY;
    size_t count = 0;
    for (size_t i = 1; i < n; i++) {
        const double change = fabs((double)values[i] - (double)values[i - 1]);
        if (!(change > 0.0))
            continue;
        logs += log(change);
        smallest = change < smallest ? change : smallest;
        count++;
    }
    if (count == 0)
        return (struct changes){0.0, 0.0};
    return (struct changes){exp(logs / (double)count), smallest};
}

/* The coarsest power of ten, not below `limit`, that all values are multiples of. */
static bool decimal_grid(const float *values, size_t n, double smallest, double limit,
                         struct archive_quantum *out)
{
    /* No grid is wider than the smallest change on it; floats blur that a little. */
    int exponent = (int)floor(log10(smallest * 1.01));
    if (exponent > EXPONENT_MAX)
        exponent = EXPONENT_MAX;
    for (; exponent >= EXPONENT_MIN; exponent--) {
        const struct archive_quantum q = {1, (int8_t)exponent};
        if (archive_quantum_value(q) < limit)
            return false;
        if (lies_on(values, n, q)) {
            *out = q;
            return true;
        }
    }
    return false;
}

/* The largest quantum of two digits up to `limit`. */
static struct archive_quantum below(double limit)
{
    int exponent = (int)floor(log10(limit)) - 1;
    struct archive_quantum q = {MANTISSA_MAX, (int8_t)exponent};
    while (archive_quantum_value(q) > limit) {
        if (q.mantissa > 10)
            q.mantissa--;
        else
            q = (struct archive_quantum){MANTISSA_MAX, (int8_t)--exponent};
    }
    return q;
}

static struct archive_quantum choose(const float *values, size_t n, const struct changes *changes,
                                     struct archive_quantum kept)
{
    const double limit = changes->typical / PARTS;
    struct archive_quantum q;
    if (decimal_grid(values, n, changes->smallest, limit, &q))
        return q;
    if (kept.mantissa == 0)
        return below(limit);
    while (archive_quantum_value(kept) > limit && kept.exponent > EXPONENT_MIN)
        kept.exponent--;
    return kept;
}

static uint64_t difference(const int64_t *multiples, size_t i)
{
    return fw_zigzag(multiples[i] - multiples[i - 1]);
}

/* Bytes that the largest difference takes, at least 1. */
static unsigned planes_for(const int64_t *multiples, size_t n)
{
    uint64_t all = 0;
    unsigned planes = 1;
    for (size_t i = 1; i < n; i++)
        all |= difference(multiples, i);
    while (all >> (8 * planes) != 0)
        planes++;
    return planes;
}

struct archive_plan archive_column_plan(const float *values, size_t n, struct archive_quantum kept)
{
    assert(n >= 1 && n <= ARCHIVE_STEPS);
    const struct changes changes = changes_of(values, n);
    int64_t multiples[ARCHIVE_STEPS];
    if (!(changes.typical > 0.0))
        return (struct archive_plan){.form = ARCHIVE_CONSTANT};
    const struct archive_quantum q = choose(values, n, &changes, kept);
    if (round_all(values, n, q, multiples)) {
        const unsigned planes = planes_for(multiples, n);
        if (planes <= PLANES_MAX)
            return (struct archive_plan){ARCHIVE_MULTIPLES, q, planes};
    }
    return (struct archive_plan){.form = ARCHIVE_FLOATS};
}

/* ---- bytes ---- */

static void put_multiples(const float *values, size_t n, const struct archive_plan *plan,
                          struct fw_buf *out)
{
    int64_t multiples[ARCHIVE_STEPS];
    const bool fits = round_all(values, n, plan->quantum, multiples);
    assert(fits);
    fw_buf_putc(out, (char)plan->quantum.mantissa);
    fw_buf_putc(out, (char)plan->quantum.exponent);
    fw_buf_putc(out, (char)plan->planes);
    fw_buf_put_varint(out, fw_zigzag(multiples[0]));
    for (unsigned plane = 0; plane < plan->planes; plane++)
        for (size_t i = 1; i < n; i++)
            fw_buf_putc(out, (char)(difference(multiples, i) >> (8 * plane) & 0xff));
}

static void put_floats(const float *values, size_t n, struct fw_buf *out)
{
    for (unsigned plane = 0; plane < sizeof(float); plane++) {
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            fw_buf_putc(out, (char)(bits >> (8 * plane) & 0xff));
        }
    }
}

void archive_column_put(const float *values, size_t n, const struct archive_plan *plan,
                        struct fw_buf *out)
{
    assert(n >= 1 && n <= ARCHIVE_STEPS);
    if (plan->form == ARCHIVE_CONSTANT)
        put_floats(values, 1, out);
    else if (plan->form == ARCHIVE_MULTIPLES)
        put_multiples(values, n, plan, out);
    else
        put_floats(values, n, out);
}

static bool get_floats(struct fw_bytes *in, size_t n, float *values)
{
    const unsigned char *planes = fw_bytes_take(in, n * sizeof(float));
    if (planes == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)planes[i] | (uint32_t)planes[n + i] << 8 |
                              (uint32_t)planes[2 * n + i] << 16 | (uint32_t)planes[3 * n + i] << 24;
        memcpy(&values[i], &bits, sizeof bits);
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

static bool get_multiples(struct fw_bytes *in, size_t n, float *values, struct archive_quantum *q)
{
    q->mantissa = fw_bytes_byte(in);
    q->exponent = (int8_t)fw_bytes_byte(in);
    const unsigned planes = fw_bytes_byte(in);
    int64_t multiple = fw_unzigzag(fw_bytes_varint(in));
    if (in->bad || q->mantissa < 1 || q->mantissa > MANTISSA_MAX || q->exponent < EXPONENT_MIN ||
        q->exponent > EXPONENT_MAX || planes < 1 || planes > PLANES_MAX ||
        multiple >= MULTIPLE_MAX || multiple <= -MULTIPLE_MAX)
        return false;
    const unsigned char *bytes = fw_bytes_take(in, (n - 1) * planes);
    if (bytes == NULL)
        return false;
    const struct scale scale = scale_of(*q);
    for (size_t i = 0; i < n; i++) {
        uint64_t step = 0;
        for (unsigned plane = 0; i > 0 && plane < planes; plane++)
            step |= (uint64_t)bytes[plane * (n - 1) + i - 1] << (8 * plane);
        multiple += fw_unzigzag(step); /* 144 times less than 2^23: far from the end of int64_t */
        if (!value_at(&scale, multiple, &values[i]))
            return false;
    }
    return true;
}

bool archive_column_get(struct fw_bytes *in, enum archive_form form, size_t n, float *values,
                        struct archive_quantum *quantum)
{
    *quantum = (struct archive_quantum){0, 0};
    switch (form) {
    case ARCHIVE_CONSTANT:
        if (!get_floats(in, 1, values))
            return false;
        for (size_t i = 1; i < n; i++)
            values[i] = values[0];
        return true;
    case ARCHIVE_MULTIPLES:
        return get_multiples(in, n, values, quantum);
    case ARCHIVE_FLOATS:
        return get_floats(in, n, values);
    default:
        return false;
    }
}
