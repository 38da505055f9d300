/* What was learned, as bytes: docs/formats/surprise.md. */
#include "base/alloc.h"
#include "base/bytes.h"
#include "surprise/surprise_internal.h"

#include <math.h>
#include <string.h>

enum { VERSION = 1 };

/* ---- pieces ---- */

static void put_float(struct fw_buf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int shift = 0; shift < 32; shift += 8)
        fw_buf_putc(out, (char)(bits >> shift & 0xff));
}

static void put_floats(struct fw_buf *out, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_float(out, values[i]);
}

/* Nothing that is kept is negative or without end; what is, is damage. */
static float get_float(struct fw_bytes *in)
{
    uint32_t bits = 0;
    float value;
    for (int shift = 0; shift < 32; shift += 8)
        bits |= (uint32_t)fw_bytes_byte(in) << shift;
    memcpy(&value, &bits, sizeof value);
    in->bad |= !(value >= 0.0f && isfinite(value));
    return value;
}

static void get_floats(struct fw_bytes *in, float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = get_float(in);
}

/* A step as its distance to the newest one, plus 1; 0: long ago. */
static void put_step(struct fw_buf *out, int64_t newest, int64_t step)
{
    fw_buf_put_varint(out, step == SURPRISE_LONG_AGO ? 0 : (uint64_t)(newest - step) + 1);
}

static int64_t get_step(struct fw_bytes *in, int64_t newest)
{
    const uint64_t ago = fw_bytes_varint(in);
    if (ago == 0 || ago > (uint64_t)INT32_MAX * 64)
        return SURPRISE_LONG_AGO;
    return newest - (int64_t)(ago - 1);
}

/* ---- a server ---- */

void surprise_server_encode(const struct surprise_server *s, const struct schema *schema,
                            uint32_t step_s, struct fw_buf *out)
{
    fw_buf_putc(out, VERSION);
    fw_buf_put_varint(out, step_s);
    fw_buf_put_varint(out, fw_zigzag(s->step));
    put_step(out, s->step, s->since_step);
    put_step(out, s->step, s->above_step);
    fw_buf_put_varint(out, s->scored);
    put_float(out, s->ladder.days);
    put_floats(out, s->ladder.alarms, SURPRISE_LEVELS);
    for (size_t i = 0; i < SURPRISE_LEVELS; i++)
        put_step(out, s->step, s->ladder.last[i]);
    fw_buf_put_varint(out, fw_zigzag(s->daily.bin));
    put_floats(out, s->daily.usual, SURPRISE_BINS);
    put_floats(out, s->daily.today, SURPRISE_BINS);
    fw_buf_put_varint(out, s->metric_count);
    for (size_t i = 0; i < s->metric_count; i++) {
        const struct surprise_metric *m = &s->metrics[i];
        const char *name = schema->metrics[m->metric].name;
        fw_buf_put_varint(out, strlen(name));
        fw_buf_puts(out, name);
        put_floats(out, m->errors, SURPRISE_AHEADS);
        put_floats(out, m->weights, SURPRISE_AHEADS);
    }
}

/* Metrics that the schema no longer has are passed over. */
static bool get_metric(struct fw_bytes *in, const struct schema *schema, struct surprise_server *s)
{
    const size_t len = (size_t)fw_bytes_varint(in);
    const char *name = fw_bytes_take(in, len);
    struct surprise_metric one = {0};
    get_floats(in, one.errors, SURPRISE_AHEADS);
    get_floats(in, one.weights, SURPRISE_AHEADS);
    const int metric = in->bad || name == NULL ? -1 : schema_find(schema, name, len);
    if (metric < 0)
        return true;
    struct surprise_metric *to = surprise_server_metric(s, (uint16_t)metric);
    if (to == NULL)
        return false;
    memcpy(to->errors, one.errors, sizeof to->errors);
    memcpy(to->weights, one.weights, sizeof to->weights);
    return true;
}

enum fw_status surprise_server_decode(struct surprise_server *s, const struct schema *schema,
                                      uint32_t step_s, const void *data, size_t len,
                                      struct fw_error *err)
{
    struct fw_bytes in = fw_bytes_of(data, len);
    if (fw_bytes_byte(&in) != VERSION)
        return fw_fail(err, FW_EVERSION, "%.100s: what was learned has another version", s->name);
    if (fw_bytes_varint(&in) != step_s)
        return fw_fail(err, FW_EINVAL, "%.100s: what was learned is of another step", s->name);
    s->step = fw_unzigzag(fw_bytes_varint(&in));
    in.bad |= s->step < -1 || s->step > INT64_C(1) << 40;
    s->since_step = get_step(&in, s->step);
    s->above_step = get_step(&in, s->step);
    s->scored = (uint32_t)fw_bytes_varint(&in);
    s->ladder.days = get_float(&in);
    get_floats(&in, s->ladder.alarms, SURPRISE_LEVELS);
    for (size_t i = 0; i < SURPRISE_LEVELS; i++)
        s->ladder.last[i] = get_step(&in, s->step);
    s->daily.bin = fw_unzigzag(fw_bytes_varint(&in));
    in.bad |= s->daily.bin < -1 || s->daily.bin > INT64_C(1) << 40;
    get_floats(&in, s->daily.usual, SURPRISE_BINS);
    get_floats(&in, s->daily.today, SURPRISE_BINS);
    const uint64_t metrics = fw_bytes_varint(&in);
    for (uint64_t i = 0; i < metrics && !in.bad; i++)
        if (!get_metric(&in, schema, s))
            return fw_fail(err, FW_ENOMEM, "no memory for what was learned of %.100s", s->name);
    if (in.bad || in.at != in.end)
        return fw_fail(err, FW_ECORRUPT, "%.100s: what was learned is damaged", s->name);
    return FW_OK;
}
