#include "train/spec.h"

#include "domain/identity.h"

#include <string.h>

static const char *const calendar[] = {"hour", "day_of_week", "is_weekend"};

/* Of evenly spread time, whatever the data, so that models of different fleets see the same hour
 * alike. */
static const struct tft_scaler calendar_scaler[] = {
    {11.5,      6.9221866},
    {3.0,       2.0      },
    {2.0 / 7.0, 0.4517540}
};

static void text(struct fw_buf *b, const char *value)
{
    fw_buf_json_string(b, value, strlen(value));
}

static void item(struct fw_buf *b, bool *first, const char *value)
{
    if (!*first)
        fw_buf_putc(b, ',');
    *first = false;
    text(b, value);
}

static void joined(struct fw_buf *b, bool *first, const char *name, const char *end)
{
    char full[2 * TFT_NAME_BYTES_MAX];
    const size_t n = strlen(name), m = strlen(end);
    memcpy(full, name, n);
    memcpy(full + n, end, m + 1);
    item(b, first, full);
}

static void open_list(struct fw_buf *b, const char *key, bool *first)
{
    fw_buf_puts(b, ",\n ");
    fw_buf_json_key(b, key);
    fw_buf_putc(b, '[');
    *first = true;
}

static void put_static_reals(const struct train_form *f, struct fw_buf *b, bool *first)
{
    item(b, first, "encoder_length");
    for (size_t i = 0; i < f->n_targets; i++) {
        if (f->level[i]) {
            joined(b, first, f->targets[i], "_center");
            joined(b, first, f->targets[i], "_scale");
        }
    }
}

static size_t calendar_inputs(const struct train_form *f)
{
    return f->weekly ? COUNT(calendar) : 1;
}

static void put_calendar(const struct train_form *f, struct fw_buf *b, bool *first)
{
    for (size_t i = 0; i < calendar_inputs(f); i++)
        item(b, first, calendar[i]);
}

static void put_targets(const struct train_form *f, struct fw_buf *b, bool *first)
{
    for (size_t i = 0; i < f->n_targets; i++)
        item(b, first, f->targets[i]);
}

/* The place in the horizon is an input of the horizon alone: past steps' inputs then stay what they
 * were when the next step arrives, and their work can be kept. */
static void put_lists(const struct train_form *f, struct fw_buf *b)
{
    bool first;
    open_list(b, "targets", &first);
    put_targets(f, b, &first);
    fw_buf_puts(b, "],\n \"static_categoricals\":[\"profile\"]");
    open_list(b, "static_reals", &first);
    put_static_reals(f, b, &first);
    fw_buf_puts(b, f->status ? "],\n \"encoder_categoricals\":[\"status\"]"
                             : "],\n \"encoder_categoricals\":[]");
    open_list(b, "encoder_reals", &first);
    put_calendar(f, b, &first);
    put_targets(f, b, &first);
    fw_buf_puts(b, "],\n \"decoder_categoricals\":[]");
    open_list(b, "decoder_reals", &first);
    put_calendar(f, b, &first);
    item(b, &first, "relative_time_idx");
    fw_buf_putc(b, ']');
    open_list(b, "x_reals", &first);
    put_static_reals(f, b, &first);
    put_calendar(f, b, &first);
    item(b, &first, "relative_time_idx");
    put_targets(f, b, &first);
    fw_buf_puts(b, f->status ? "],\n \"x_categoricals\":[\"profile\",\"status\"]"
                             : "],\n \"x_categoricals\":[\"profile\"]");
}

static void put_vocabularies(const struct train_form *f, struct fw_buf *b)
{
    bool first = true;
    fw_buf_puts(b, ",\n \"categoricals\":{\"profile\":{\"unknown_index\":0,\"classes\":[");
    item(b, &first, "nan");
    for (int p = 0; p < PROFILE_COUNT; p++)
        item(b, &first, profile_name((enum profile)p));
    fw_buf_puts(b, "]}");
    if (f->status) {
        first = true;
        fw_buf_puts(b, ",\"status\":{\"unknown_index\":0,\"classes\":[");
        item(b, &first, "nan");
        for (int s = STATUS_UNKNOWN + 1; s < STATUS_COUNT; s++)
            item(b, &first, server_status_name((enum server_status)s));
        fw_buf_puts(b, "]}");
    }
    fw_buf_putc(b, '}');
}

static void put_scaler(struct fw_buf *b, bool *first, const char *name, const char *end,
                       const struct tft_scaler *s)
{
    if (!*first)
        fw_buf_putc(b, ',');
    *first = true;
    fw_buf_puts(b, "\n  ");
    joined(b, first, name, end);
    fw_buf_printf(b, ":{\"type\":\"StandardScaler\",\"mean\":%.17g,\"scale\":%.17g}", s->mean,
                  s->scale);
    *first = false;
}

static void put_scalers(const struct train_form *f, struct fw_buf *b)
{
    bool first = true;
    fw_buf_puts(b, ",\n \"scalers\":{");
    for (size_t i = 0; i < calendar_inputs(f); i++)
        put_scaler(b, &first, calendar[i], "", &calendar_scaler[i]);
    for (size_t i = 0; i < f->n_targets; i++) {
        if (f->level[i]) {
            put_scaler(b, &first, f->targets[i], "_center", &f->center[i]);
            put_scaler(b, &first, f->targets[i], "_scale", &f->scale[i]);
        }
    }
    fw_buf_putc(b, '}');
}

static void put_normalizer(const struct train_form *f, size_t i, struct fw_buf *b)
{
    if (f->pooled) {
        fw_buf_printf(b,
                      "{\"type\":\"TorchNormalizer\",\"norm\":{\"center\":%.17g,"
                      "\"scale\":%.17g}}",
                      f->pair[i].center, f->pair[i].scale);
        return;
    }
    fw_buf_puts(b, "{\"type\":\"EncoderNormalizer\",\"method\":\"standard\"");
    if (f->center_steps[i] != 0)
        fw_buf_printf(b, ",\"center_steps\":%zu", f->center_steps[i]);
    fw_buf_putc(b, '}');
}

void train_spec_write(const struct train_form *f, struct fw_buf *b)
{
    fw_buf_puts(b, "{\"format_version\":1,\n \"name\":\"forewarn\"");
    fw_buf_printf(b,
                  ",\n \"dims\":{\"max_encoder_length\":%zu,\"min_encoder_length\":%zu,"
                  "\"max_prediction_length\":%zu}",
                  f->history, f->history_min, f->horizon);
    fw_buf_puts(b, ",\n \"quantiles\":[0.02,0.1,0.25,0.5,0.75,0.9,0.98]");
    put_lists(f, b);
    put_vocabularies(f, b);
    put_scalers(f, b);
    fw_buf_puts(b, ",\n \"output_scale\":\"own\","
                   "\n \"target_normalizer\":{\"type\":\"MultiNormalizer\",\"normalizers\":[");
    for (size_t i = 0; i < f->n_targets; i++) {
        fw_buf_puts(b, i == 0 ? "\n  " : ",\n  ");
        put_normalizer(f, i, b);
    }
    fw_buf_puts(b, "]}}\n");
}
