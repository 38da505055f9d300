#include "tft/spec_reader.h"

#include <math.h>
#include <string.h>

enum fw_status tft_spec_wrong(const struct tft_spec_reader *r, const char *field, const char *why)
{
    return fw_fail(r->err, FW_ECORRUPT, "%s: %.80s: %s", r->what, field, why);
}

enum fw_status tft_spec_unsupported(const struct tft_spec_reader *r, const char *field,
                                    const char *why)
{
    return fw_fail(r->err, FW_EVERSION, "%s: %.80s: %s", r->what, field, why);
}

enum fw_status tft_spec_too_big(const struct tft_spec_reader *r, const char *field)
{
    return fw_fail(r->err, FW_ELIMIT, "%s: %.80s: holds too much", r->what, field);
}

bool tft_spec_is_null(struct fw_json_value value)
{
    return fw_json_type(value) == FW_JSON_NULL;
}

bool tft_spec_member(struct fw_json_value object, const char *key, struct fw_json_value *value)
{
    return fw_json_get(object, key, value) && !tft_spec_is_null(*value);
}

enum fw_status tft_spec_keep_text(struct tft_spec_reader *r, const char *text, size_t len,
                                  const char *field, const char **out)
{
    if (len > TFT_NAME_BYTES_MAX || strlen(text) != len)
        return tft_spec_wrong(r, field, "a name is longer than 256 bytes, or holds NUL");
    char *copy = arena_take(&r->memory, len + 1, 1, 1);
    if (copy == NULL)
        return tft_spec_too_big(r, field);
    *out = memcpy(copy, text, len + 1);
    return FW_OK;
}

enum fw_status tft_spec_read_text(struct tft_spec_reader *r, struct fw_json_value value,
                                  const char *field, const char **out)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    if (text == NULL)
        return tft_spec_wrong(r, field, "holds something that is not text");
    return tft_spec_keep_text(r, text, len, field, out);
}

enum fw_status tft_spec_read_names(struct tft_spec_reader *r, struct fw_json_value object,
                                   const char *field, size_t max, struct tft_names *out)
{
    struct fw_json_value list, item;
    *out = (struct tft_names){0, NULL};
    if (!tft_spec_member(object, field, &list))
        return FW_OK;
    if (fw_json_type(list) != FW_JSON_ARRAY)
        return tft_spec_wrong(r, field, "is not a list");
    if (fw_json_count(list) > max)
        return tft_spec_too_big(r, field);
    out->name = ARENA_NEW(&r->memory, fw_json_count(list) + 1, const char *);
    if (out->name == NULL)
        return tft_spec_too_big(r, field);
    struct fw_json_iter iter = fw_json_walk(list);
    while (fw_json_next(&iter, &item)) {
        const enum fw_status status = tft_spec_read_text(r, item, field, &out->name[out->n]);
        if (status != FW_OK)
            return status;
        for (size_t i = 0; max <= TFT_VARIABLES_MAX && i < out->n; i++) {
            if (strcmp(out->name[i], out->name[out->n]) == 0)
                return tft_spec_wrong(r, field, "names something twice");
        }
        out->n++;
    }
    return FW_OK;
}

enum fw_status tft_spec_read_count(struct tft_spec_reader *r, struct fw_json_value object,
                                   const char *field, size_t low, size_t high, size_t *out)
{
    struct fw_json_value value;
    int64_t n;
    if (!tft_spec_member(object, field, &value) || !fw_json_int64(value, &n))
        return tft_spec_wrong(r, field, "is missing, or not a whole number");
    if (n < 0 || (uint64_t)n < low || (uint64_t)n > high)
        return fw_fail(r->err, FW_ELIMIT, "%s: %s: must be from %zu to %zu", r->what, field, low,
                       high);
    *out = (size_t)n;
    return FW_OK;
}

void tft_spec_read_hint(struct fw_json_value object, const char *field, size_t *out)
{
    struct fw_json_value value;
    int64_t n;
    *out = 0;
    if (tft_spec_member(object, field, &value) && fw_json_int64(value, &n) && n > 0)
        *out = (size_t)n;
}

enum fw_status tft_spec_read_pair(struct tft_spec_reader *r, struct fw_json_value object,
                                  const char *field, const char *first, struct tft_pair *out)
{
    struct fw_json_value center, scale;
    if (!tft_spec_member(object, first, &center) || !tft_spec_member(object, "scale", &scale) ||
        !fw_json_number(center, &out->center) || !fw_json_number(scale, &out->scale))
        return tft_spec_wrong(r, field, "has no number for its center (or mean) and scale");
    if (!(out->scale > 0.0) || !isfinite(out->scale) || !isfinite(out->center))
        return tft_spec_wrong(r, field, "has a scale that is not positive");
    if (fabs(out->center) > 1e15 || out->scale > 1e15 || out->scale < 1e-15)
        return tft_spec_wrong(r, field, "has an absurd center or scale");
    return FW_OK;
}
