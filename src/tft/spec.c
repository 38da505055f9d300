#include "tft/spec.h"

#include "base/alloc.h"
#include "tft/spec_reader.h"

#include <string.h>

enum { FORMAT_VERSION = 1, SPEC_DEPTH = 16, MEMORY_PER_BYTE = 24, MEMORY_AT_LEAST = 1 << 16 };

static enum fw_status read_dims(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value dims, value;
    bool flag;
    double bias;
    if (!fw_json_get(r->root, "dims", &dims) || fw_json_type(dims) != FW_JSON_OBJECT)
        return tft_spec_wrong(r, "dims", "is missing");
    enum fw_status status =
        tft_spec_read_count(r, dims, "max_encoder_length", 1, TFT_STEPS_MAX, &s->history_max);
    if (status == FW_OK)
        status =
            tft_spec_read_count(r, dims, "max_prediction_length", 1, TFT_STEPS_MAX, &s->horizon);
    if (status != FW_OK)
        return status;
    s->history_min = s->history_max;
    if (tft_spec_member(dims, "min_encoder_length", &value))
        status =
            tft_spec_read_count(r, dims, "min_encoder_length", 0, s->history_max, &s->history_min);
    if (s->history_min == 0) /* an empty history has no last step to start the horizon from */
        s->history_min = 1;
    if (tft_spec_member(dims, "causal_attention", &value) && fw_json_bool(value, &flag) && !flag)
        return tft_spec_unsupported(r, "causal_attention", "only causal attention is implemented");
    if (tft_spec_member(dims, "share_single_variable_networks", &value) &&
        fw_json_bool(value, &flag) && flag)
        return tft_spec_unsupported(r, "share_single_variable_networks",
                                    "shared variable networks are not implemented");
    if (tft_spec_member(dims, "mask_bias", &value) && fw_json_number(value, &bias) && bias > -1e4)
        return tft_spec_unsupported(r, "mask_bias",
                                    "masked steps must get no weight (-1e4 or less)");
    tft_spec_read_hint(dims, "hidden_size", &s->said_hidden);
    tft_spec_read_hint(dims, "attention_heads", &s->said_heads);
    tft_spec_read_hint(dims, "lstm_layers", &s->said_layers);
    tft_spec_read_hint(dims, "hidden_continuous_size", &s->said_hidden_continuous);
    tft_spec_read_hint(r->root, "n_parameters", &s->said_parameters);
    return status;
}

static enum fw_status read_quantiles(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value list, item;
    if (!tft_spec_member(r->root, "quantiles", &list) || fw_json_type(list) != FW_JSON_ARRAY ||
        fw_json_count(list) == 0)
        return tft_spec_wrong(r, "quantiles", "is missing");
    if (fw_json_count(list) > TFT_QUANTILES_MAX)
        return tft_spec_too_big(r, "quantiles");
    struct fw_json_iter iter = fw_json_walk(list);
    while (fw_json_next(&iter, &item)) {
        double *q = &s->quantiles[s->n_quantiles++];
        if (!fw_json_number(item, q) || !(*q > 0.0 && *q < 1.0) ||
            (s->n_quantiles > 1 && !(q[-1] < *q)))
            return tft_spec_wrong(r, "quantiles", "must rise, between 0 and 1");
    }
    return FW_OK;
}

static enum fw_status read_targets(struct tft_spec_reader *r)
{
    struct tft_names targets;
    const enum fw_status status =
        tft_spec_read_names(r, r->root, "targets", TFT_TARGETS_MAX, &targets);
    if (status != FW_OK)
        return status;
    if (targets.n == 0)
        return tft_spec_wrong(r, "targets", "is missing or empty");
    r->spec->n_targets = targets.n;
    for (size_t i = 0; i < targets.n; i++)
        r->spec->targets[i] = targets.name[i];
    return FW_OK;
}

static enum fw_status read_shape_entry(struct tft_spec_reader *r, struct fw_json_value item,
                                       struct tft_shape *out)
{
    struct fw_json_value value, dim;
    int64_t size;
    if (!tft_spec_member(item, "name", &value))
        return tft_spec_wrong(r, "parameters", "an entry has no name");
    const enum fw_status status = tft_spec_read_text(r, value, "parameters", &out->name);
    if (status != FW_OK)
        return status;
    out->alias = tft_spec_member(item, "alias_of", &value);
    if (!tft_spec_member(item, "shape", &value) || fw_json_type(value) != FW_JSON_ARRAY ||
        fw_json_count(value) > 4)
        return tft_spec_wrong(r, out->name, "has no shape of up to four dimensions");
    struct fw_json_iter iter = fw_json_walk(value);
    while (fw_json_next(&iter, &dim)) {
        if (!fw_json_int64(dim, &size) || size <= 0)
            return tft_spec_wrong(r, out->name, "has a dimension that is not positive");
        out->shape[out->rank++] = (size_t)size;
    }
    return FW_OK;
}

static enum fw_status read_shapes(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value list, item;
    if (!tft_spec_member(r->root, "parameters", &list))
        return FW_OK;
    if (fw_json_type(list) != FW_JSON_ARRAY)
        return tft_spec_wrong(r, "parameters", "is not a list");
    s->shapes = ARENA_NEW(&r->memory, fw_json_count(list) + 1, struct tft_shape);
    if (s->shapes == NULL)
        return tft_spec_too_big(r, "parameters");
    struct fw_json_iter iter = fw_json_walk(list);
    enum fw_status status = FW_OK;
    while (status == FW_OK && fw_json_next(&iter, &item))
        status = read_shape_entry(r, item, &s->shapes[s->n_shapes++]);
    return status;
}

static enum fw_status read_spec(struct tft_spec_reader *r)
{
    static enum fw_status (*const steps[])(struct tft_spec_reader *) = {
        read_dims,
        read_quantiles,
        read_targets,
        tft_spec_read_reals,
        tft_spec_read_categoricals,
        tft_spec_read_all_variables,
        tft_spec_read_normalizers,
        tft_spec_read_output_scale,
        tft_spec_read_group_names,
        read_shapes,
    };
    struct fw_json_value value;
    enum fw_status status = FW_OK;
    int64_t format;
    if (fw_json_type(r->root) != FW_JSON_OBJECT)
        return tft_spec_wrong(r, "the file", "is not an object");
    if (tft_spec_member(r->root, "format_version", &value) &&
        (!fw_json_int64(value, &format) || format != FORMAT_VERSION))
        return tft_spec_unsupported(r, "format_version", "this program reads version 1");
    r->spec->name = "";
    if (tft_spec_member(r->root, "name", &value))
        status = tft_spec_read_text(r, value, "name", &r->spec->name);
    if (status == FW_OK && tft_spec_member(r->root, "weights_sha256", &value))
        status = tft_spec_read_text(r, value, "weights_sha256", &r->spec->weights_sha256);
    for (size_t i = 0; i < COUNT(steps) && status == FW_OK; i++)
        status = steps[i](r);
    return status;
}

enum fw_status tft_spec_parse(const char *json, size_t size, const char *what,
                              struct tft_spec **out, struct fw_error *err)
{
    struct tft_spec_reader r = {.what = what, .err = err};
    struct fw_error inner;
    *out = NULL;
    if (size > TFT_SPEC_MAX_BYTES)
        return fw_fail(err, FW_ELIMIT, "%s: %zu bytes, the limit is %zu", what, size,
                       TFT_SPEC_MAX_BYTES);
    struct fw_json_parser *parser = fw_json_parser_new(TFT_SPEC_MAX_BYTES, SPEC_DEPTH);
    r.spec = fw_calloc(1, sizeof *r.spec);
    const size_t room = size * MEMORY_PER_BYTE + MEMORY_AT_LEAST;
    void *memory = fw_malloc(room);
    enum fw_status status = FW_OK;
    if (parser == NULL || r.spec == NULL || memory == NULL) {
        fw_free(memory);
        status = fw_fail(err, FW_ENOMEM, "%s", what);
        goto out;
    }
    r.spec->memory = memory;
    r.memory = arena_over(memory, room);
    status = fw_json_parse(parser, json, size, &r.root, &inner);
    if (status != FW_OK)
        status = fw_fail_at(err, status == FW_ENOMEM ? FW_ENOMEM : FW_ECORRUPT, inner.offset,
                            "%s: %.160s", what, inner.text);
    else
        status = read_spec(&r);
    if (status == FW_OK) {
        *out = r.spec;
        r.spec = NULL;
    }
out:
    fw_json_parser_free(parser);
    tft_spec_free(r.spec);
    return status;
}

void tft_spec_free(struct tft_spec *spec)
{
    if (spec == NULL)
        return;
    fw_free(spec->memory);
    fw_free(spec);
}

int32_t tft_vocabulary_code(const struct tft_vocabulary *vocabulary, const char *text)
{
    size_t low = 0, high = vocabulary->classes.n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int32_t code = vocabulary->sorted[mid];
        const int order = strcmp(text, vocabulary->classes.name[code]);
        if (order == 0)
            return code;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return vocabulary->unknown_index;
}

size_t tft_spec_real(const struct tft_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_reals; i++) {
        if (strcmp(spec->reals[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

size_t tft_spec_categorical(const struct tft_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_categoricals; i++) {
        if (strcmp(spec->categoricals[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}
