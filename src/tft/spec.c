#include "tft/spec.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1, SPEC_DEPTH = 16, MEMORY_PER_BYTE = 24, MEMORY_AT_LEAST = 1 << 16 };

/* Every reading function returns a status and fills err; `path` in texts is the field's name. */
struct reader {
    const char *what;
    struct tft_spec *spec;
    struct arena memory;
    struct fw_json_value root;
    struct fw_error *err;
};

static enum fw_status wrong(const struct reader *r, const char *field, const char *why)
{
    return fw_fail(r->err, FW_ECORRUPT, "%s: %.80s: %s", r->what, field, why);
}

static enum fw_status unsupported(const struct reader *r, const char *field, const char *why)
{
    return fw_fail(r->err, FW_EVERSION, "%s: %.80s: %s", r->what, field, why);
}

static enum fw_status too_big(const struct reader *r, const char *field)
{
    return fw_fail(r->err, FW_ELIMIT, "%s: %.80s: holds too much", r->what, field);
}

static bool is_null(struct fw_json_value value)
{
    return fw_json_type(value) == FW_JSON_NULL;
}

/* A member that is there and not null. */
static bool member(struct fw_json_value object, const char *key, struct fw_json_value *value)
{
    return fw_json_get(object, key, value) && !is_null(*value);
}

static enum fw_status keep_text(struct reader *r, const char *text, size_t len, const char *field,
                                const char **out)
{
    if (len > TFT_NAME_BYTES_MAX || strlen(text) != len)
        return wrong(r, field, "a name is longer than 256 bytes, or holds NUL");
    char *copy = arena_take(&r->memory, len + 1, 1, 1);
    if (copy == NULL)
        return too_big(r, field);
    *out = memcpy(copy, text, len + 1);
    return FW_OK;
}

static enum fw_status read_text(struct reader *r, struct fw_json_value value, const char *field,
                                const char **out)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    if (text == NULL)
        return wrong(r, field, "holds something that is not text");
    return keep_text(r, text, len, field, out);
}

/* A list of names; an absent one is empty. */
static enum fw_status read_names(struct reader *r, struct fw_json_value object, const char *field,
                                 size_t max, struct tft_names *out)
{
    struct fw_json_value list, item;
    *out = (struct tft_names){0, NULL};
    if (!member(object, field, &list))
        return FW_OK;
    if (fw_json_type(list) != FW_JSON_ARRAY)
        return wrong(r, field, "is not a list");
    if (fw_json_count(list) > max)
        return too_big(r, field);
    out->name = ARENA_NEW(&r->memory, fw_json_count(list) + 1, const char *);
    if (out->name == NULL)
        return too_big(r, field);
    struct fw_json_iter iter = fw_json_walk(list);
    while (fw_json_next(&iter, &item)) {
        const enum fw_status status = read_text(r, item, field, &out->name[out->n]);
        if (status != FW_OK)
            return status;
        for (size_t i = 0; max <= TFT_VARIABLES_MAX && i < out->n; i++) {
            if (strcmp(out->name[i], out->name[out->n]) == 0)
                return wrong(r, field, "names something twice");
        }
        out->n++;
    }
    return FW_OK;
}

/* A whole number from low to high. */
static enum fw_status read_count(struct reader *r, struct fw_json_value object, const char *field,
                                 size_t low, size_t high, size_t *out)
{
    struct fw_json_value value;
    int64_t n;
    if (!member(object, field, &value) || !fw_json_int64(value, &n))
        return wrong(r, field, "is missing, or not a whole number");
    if (n < 0 || (uint64_t)n < low || (uint64_t)n > high)
        return fw_fail(r->err, FW_ELIMIT, "%s: %s: must be from %zu to %zu", r->what, field, low,
                       high);
    *out = (size_t)n;
    return FW_OK;
}

/* The same where the field may be absent, or a list (then 0 as well). */
static void read_hint(struct fw_json_value object, const char *field, size_t *out)
{
    struct fw_json_value value;
    int64_t n;
    *out = 0;
    if (member(object, field, &value) && fw_json_int64(value, &n) && n > 0)
        *out = (size_t)n;
}

static enum fw_status read_pair(struct reader *r, struct fw_json_value object, const char *field,
                                const char *first, struct tft_pair *out)
{
    struct fw_json_value center, scale;
    if (!member(object, first, &center) || !member(object, "scale", &scale) ||
        !fw_json_number(center, &out->center) || !fw_json_number(scale, &out->scale))
        return wrong(r, field, "has no number for its center (or mean) and scale");
    if (!(out->scale > 0.0) || !isfinite(out->scale) || !isfinite(out->center))
        return wrong(r, field, "has a scale that is not positive");
    if (fabs(out->center) > 1e15 || out->scale > 1e15 || out->scale < 1e-15)
        return wrong(r, field, "has an absurd center or scale");
    return FW_OK;
}

static enum fw_status read_dims(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value dims, value;
    bool flag;
    double bias;
    if (!fw_json_get(r->root, "dims", &dims) || fw_json_type(dims) != FW_JSON_OBJECT)
        return wrong(r, "dims", "is missing");
    enum fw_status status =
        read_count(r, dims, "max_encoder_length", 1, TFT_STEPS_MAX, &s->history_max);
    if (status == FW_OK)
        status = read_count(r, dims, "max_prediction_length", 1, TFT_STEPS_MAX, &s->horizon);
    if (status != FW_OK)
        return status;
    s->history_min = s->history_max;
    if (member(dims, "min_encoder_length", &value))
        status = read_count(r, dims, "min_encoder_length", 0, s->history_max, &s->history_min);
    if (s->history_min == 0) /* an empty history has no last step to start the horizon from */
        s->history_min = 1;
    if (member(dims, "causal_attention", &value) && fw_json_bool(value, &flag) && !flag)
        return unsupported(r, "causal_attention", "only causal attention is implemented");
    if (member(dims, "share_single_variable_networks", &value) && fw_json_bool(value, &flag) &&
        flag)
        return unsupported(r, "share_single_variable_networks",
                           "shared variable networks are not implemented");
    if (member(dims, "mask_bias", &value) && fw_json_number(value, &bias) && bias > -1e4)
        return unsupported(r, "mask_bias", "masked steps must get no weight (-1e4 or less)");
    read_hint(dims, "hidden_size", &s->said_hidden);
    read_hint(dims, "attention_heads", &s->said_heads);
    read_hint(dims, "lstm_layers", &s->said_layers);
    read_hint(dims, "hidden_continuous_size", &s->said_hidden_continuous);
    read_hint(r->root, "n_parameters", &s->said_parameters);
    return status;
}

static enum fw_status read_quantiles(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value list, item;
    if (!member(r->root, "quantiles", &list) || fw_json_type(list) != FW_JSON_ARRAY ||
        fw_json_count(list) == 0)
        return wrong(r, "quantiles", "is missing");
    if (fw_json_count(list) > TFT_QUANTILES_MAX)
        return too_big(r, "quantiles");
    struct fw_json_iter iter = fw_json_walk(list);
    while (fw_json_next(&iter, &item)) {
        double *q = &s->quantiles[s->n_quantiles++];
        if (!fw_json_number(item, q) || !(*q > 0.0 && *q < 1.0) ||
            (s->n_quantiles > 1 && !(q[-1] < *q)))
            return wrong(r, "quantiles", "must rise, between 0 and 1");
    }
    return FW_OK;
}

static enum fw_status read_targets(struct reader *r)
{
    struct tft_names targets;
    const enum fw_status status = read_names(r, r->root, "targets", TFT_TARGETS_MAX, &targets);
    if (status != FW_OK)
        return status;
    if (targets.n == 0)
        return wrong(r, "targets", "is missing or empty");
    r->spec->n_targets = targets.n;
    for (size_t i = 0; i < targets.n; i++)
        r->spec->targets[i] = targets.name[i];
    return FW_OK;
}

/* StandardScaler, RobustScaler (its center stands where the other has a mean), or none. */
static enum fw_status read_scaler(struct reader *r, const char *name, struct tft_scaler *out)
{
    struct fw_json_value scalers, one, type;
    struct tft_pair pair = {0.0, 1.0};
    size_t len;
    if (!member(r->root, "scalers", &scalers) || !fw_json_get(scalers, name, &one))
        return wrong(r, name, "has no entry in scalers");
    if (!is_null(one)) {
        const char *text =
            fw_json_get(one, "type", &type) ? fw_json_string(type, &len) : "StandardScaler";
        const bool robust = text != NULL && strcmp(text, "RobustScaler") == 0;
        if (text == NULL || (!robust && strcmp(text, "StandardScaler") != 0))
            return unsupported(r, name, "its scaler is neither StandardScaler nor RobustScaler");
        const enum fw_status status = read_pair(r, one, name, robust ? "center" : "mean", &pair);
        if (status != FW_OK)
            return status;
    }
    *out = (struct tft_scaler){pair.center, pair.scale};
    return FW_OK;
}

/* Tells what a real is made from: the automatic ones are known by their names. */
static void classify_real(const struct tft_spec *s, struct tft_real *real)
{
    const size_t len = strlen(real->name);
    real->source = TFT_FROM_COLUMN;
    if (strcmp(real->name, "relative_time_idx") == 0)
        real->source = TFT_FROM_RELATIVE_TIME;
    else if (strcmp(real->name, "encoder_length") == 0)
        real->source = TFT_FROM_HISTORY_LENGTH;
    for (size_t t = 0; t < s->n_targets; t++) {
        const size_t n = strlen(s->targets[t]);
        if (len < n || memcmp(real->name, s->targets[t], n) != 0)
            continue;
        const char *rest = real->name + n;
        if (*rest == '\0')
            real->source = TFT_FROM_TARGET;
        else if (strcmp(rest, "_center") == 0)
            real->source = TFT_FROM_CENTER;
        else if (strcmp(rest, "_scale") == 0)
            real->source = TFT_FROM_SCALE;
        else
            continue;
        real->target = t;
        return;
    }
}

static enum fw_status read_reals(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct tft_names names;
    enum fw_status status = read_names(r, r->root, "x_reals", TFT_VARIABLES_MAX, &names);
    if (status != FW_OK)
        return status;
    s->n_reals = names.n;
    s->reals = ARENA_NEW(&r->memory, names.n + 1, struct tft_real);
    if (s->reals == NULL)
        return too_big(r, "x_reals");
    for (size_t t = 0; t < s->n_targets; t++)
        s->target_real[t] = SIZE_MAX;
    for (size_t i = 0; i < names.n; i++) {
        struct tft_real *real = &s->reals[i];
        real->name = names.name[i];
        real->scaler.scale = 1.0;
        classify_real(s, real);
        if (real->source == TFT_FROM_TARGET)
            s->target_real[real->target] = i;
        else if (real->source != TFT_FROM_RELATIVE_TIME && real->source != TFT_FROM_HISTORY_LENGTH)
            status = read_scaler(r, real->name, &real->scaler);
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

static enum fw_status read_vocabulary(struct reader *r, struct fw_json_value all,
                                      struct tft_vocabulary *v)
{
    struct fw_json_value one, unknown;
    int64_t index = -1;
    if (!member(all, v->name, &one))
        return wrong(r, v->name, "has no entry in categoricals");
    enum fw_status status = read_names(r, one, "classes", TFT_CLASSES_MAX, &v->classes);
    if (status != FW_OK)
        return status;
    if (v->classes.n == 0)
        return wrong(r, v->name, "has no classes");
    if (member(one, "unknown_index", &unknown) &&
        (!fw_json_int64(unknown, &index) || index < 0 || (uint64_t)index >= v->classes.n))
        return wrong(r, v->name, "has an unknown_index outside its classes");
    v->unknown_index = (int32_t)index;
    v->sorted = ARENA_NEW(&r->memory, v->classes.n, int32_t);
    return v->sorted == NULL ? too_big(r, v->name) : FW_OK;
}

/* Heapsort of the codes by their text: the standard qsort has no way to see the texts. */
static void sift(const struct tft_vocabulary *v, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        const char *const *name = v->classes.name;
        if (child + 1 < n && strcmp(name[v->sorted[child]], name[v->sorted[child + 1]]) < 0)
            child++;
        if (strcmp(name[v->sorted[at]], name[v->sorted[child]]) >= 0)
            return;
        const int32_t moved = v->sorted[at];
        v->sorted[at] = v->sorted[child];
        v->sorted[child] = moved;
    }
}

static enum fw_status sort_vocabulary(const struct reader *r, const struct tft_vocabulary *v)
{
    const size_t n = v->classes.n;
    for (size_t i = 0; i < n; i++)
        v->sorted[i] = (int32_t)i;
    for (size_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (size_t end = n; end-- > 1;) {
        const int32_t largest = v->sorted[0];
        v->sorted[0] = v->sorted[end];
        v->sorted[end] = largest;
        sift(v, 0, end);
    }
    for (size_t i = 1; i < n; i++) {
        if (strcmp(v->classes.name[v->sorted[i - 1]], v->classes.name[v->sorted[i]]) == 0)
            return wrong(r, v->name, "names a class twice");
    }
    return FW_OK;
}

static enum fw_status read_categoricals(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct tft_names names;
    struct fw_json_value all = {0};
    enum fw_status status = read_names(r, r->root, "x_categoricals", TFT_VARIABLES_MAX, &names);
    if (status != FW_OK || names.n == 0)
        return status;
    if (!member(r->root, "categoricals", &all))
        return wrong(r, "categoricals", "is missing");
    s->n_categoricals = names.n;
    s->categoricals = ARENA_NEW(&r->memory, names.n, struct tft_vocabulary);
    if (s->categoricals == NULL)
        return too_big(r, "x_categoricals");
    for (size_t i = 0; i < names.n && status == FW_OK; i++) {
        s->categoricals[i].name = names.name[i];
        if (tft_spec_real(s, names.name[i]) != SIZE_MAX)
            return wrong(r, names.name[i], "is both a real and a categorical");
        status = read_vocabulary(r, all, &s->categoricals[i]);
        if (status == FW_OK)
            status = sort_vocabulary(r, &s->categoricals[i]);
    }
    return status;
}

static enum fw_status add_variable(struct reader *r, const char *field, const char *name,
                                   struct tft_variables *out)
{
    const size_t cat = tft_spec_categorical(r->spec, name);
    const size_t real = tft_spec_real(r->spec, name);
    if (cat == SIZE_MAX && real == SIZE_MAX)
        return wrong(r, name, "is neither in x_categoricals nor in x_reals");
    if (cat != SIZE_MAX && out->n_categoricals != out->n)
        return wrong(r, field, "a categorical stands among the reals");
    out->item[out->n++] = (struct tft_variable){cat != SIZE_MAX, cat != SIZE_MAX ? cat : real};
    out->n_categoricals += cat != SIZE_MAX;
    return FW_OK;
}

/* "<side>_categoricals" then "<side>_reals"; "<side>_variables" is both again, where it is there.
 */
static enum fw_status read_variables(struct reader *r, const char *side, struct tft_variables *out)
{
    static const char *const parts[] = {"categoricals", "reals", "variables"};
    struct tft_names names[COUNT(parts)];
    char field[64];
    for (size_t i = 0; i < COUNT(parts); i++) {
        (void)snprintf(field, sizeof field, "%s_%s", side, parts[i]);
        const enum fw_status status = read_names(r, r->root, field, TFT_VARIABLES_MAX, &names[i]);
        if (status != FW_OK)
            return status;
    }
    const size_t n = names[0].n + names[1].n;
    out->item = ARENA_NEW(&r->memory, n + 1, struct tft_variable);
    if (out->item == NULL || n > TFT_VARIABLES_MAX)
        return too_big(r, field);
    for (size_t i = 0; i < n; i++) {
        const char *name = i < names[0].n ? names[0].name[i] : names[1].name[i - names[0].n];
        if (names[2].n != 0 && (names[2].n != n || strcmp(names[2].name[i], name) != 0))
            return wrong(r, field, "is not the categoricals followed by the reals");
        const enum fw_status status = add_variable(r, field, name, out);
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

static enum fw_status read_all_variables(struct reader *r)
{
    struct tft_spec *s = r->spec;
    enum fw_status status = read_variables(r, "static", &s->stat);
    if (status == FW_OK)
        status = read_variables(r, "encoder", &s->encoder);
    if (status == FW_OK)
        status = read_variables(r, "decoder", &s->decoder);
    if (status != FW_OK)
        return status;
    for (size_t i = 0; i < s->decoder.n; i++) {
        if (!s->decoder.item[i].categorical)
            s->reals[s->decoder.item[i].column].known = true;
    }
    for (size_t i = 0; i < s->stat.n; i++) {
        if (!s->stat.item[i].categorical)
            s->reals[s->stat.item[i].column].known = true;
    }
    return FW_OK;
}

static int pairs_by_group(const void *a, const void *b)
{
    return strcmp(((const struct tft_group_pair *)a)->group,
                  ((const struct tft_group_pair *)b)->group);
}

static int pairs_by_code(const void *a, const void *b)
{
    const int64_t x = ((const struct tft_group_pair *)a)->code,
                  y = ((const struct tft_group_pair *)b)->code;
    return (x > y) - (x < y);
}

static int codes_by_group(const void *a, const void *b)
{
    return strcmp(((const struct tft_group_code *)a)->group,
                  ((const struct tft_group_code *)b)->group);
}

static int names_by_server(const void *a, const void *b)
{
    return strcmp(((const struct tft_group_name *)a)->server,
                  ((const struct tft_group_name *)b)->server);
}

static enum fw_status read_group_pairs(struct reader *r, struct fw_json_value norm,
                                       struct tft_normalizer *out)
{
    const size_t n = fw_json_count(norm);
    struct fw_json_value item, code;
    const char *key;
    size_t len;
    if (n == 0 || n > TFT_GROUPS_MAX)
        return wrong(r, "target_normalizer", "knows no group, or too many");
    out->by_group = ARENA_NEW(&r->memory, n, struct tft_group_pair);
    out->by_code = ARENA_NEW(&r->memory, n, struct tft_group_pair);
    if (out->by_group == NULL || out->by_code == NULL)
        return too_big(r, "target_normalizer");
    struct fw_json_iter iter = fw_json_walk(norm);
    while (fw_json_next_member(&iter, &key, &len, &item)) {
        struct tft_group_pair *g = &out->by_group[out->n_groups++];
        enum fw_status status = keep_text(r, key, len, "target_normalizer", &g->group);
        if (status == FW_OK)
            status = read_pair(r, item, g->group, "center", &g->pair);
        if (status == FW_OK && (!member(item, "code", &code) || !fw_json_int64(code, &g->code)))
            status = wrong(r, g->group, "has no code in target_normalizer");
        if (status != FW_OK)
            return status;
    }
    memcpy(out->by_code, out->by_group, n * sizeof *out->by_code);
    qsort(out->by_group, n, sizeof *out->by_group, pairs_by_group);
    qsort(out->by_code, n, sizeof *out->by_code, pairs_by_code);
    for (size_t i = 1; i < n; i++) {
        if (pairs_by_group(&out->by_group[i - 1], &out->by_group[i]) == 0 ||
            out->by_code[i - 1].code == out->by_code[i].code)
            return wrong(r, out->by_group[i].group,
                         "is twice in target_normalizer, or shares its code");
    }
    return FW_OK;
}

static enum fw_status read_transform(struct reader *r, struct fw_json_value one,
                                     enum tft_transform *out)
{
    struct fw_json_value value;
    size_t len;
    *out = TFT_IDENTITY;
    if (!member(one, "transformation", &value))
        return FW_OK;
    const char *text = fw_json_string(value, &len);
    if (text == NULL || strcmp(text, "softplus") != 0)
        return unsupported(r, "target_normalizer",
                           "its transformation is neither softplus nor none");
    *out = TFT_SOFTPLUS;
    return FW_OK;
}

static enum fw_status read_fitted(struct reader *r, struct fw_json_value one,
                                  struct tft_normalizer *out)
{
    struct fw_json_value groups, norm, missing, flag;
    bool by_group;
    if (member(one, "scale_by_group", &flag) && fw_json_bool(flag, &by_group) && by_group)
        return unsupported(r, "target_normalizer", "scale_by_group is not implemented");
    if (!member(one, "norm", &norm) || fw_json_type(norm) != FW_JSON_OBJECT)
        return wrong(r, "target_normalizer", "has no norm");
    const size_t n = fw_json_get(one, "groups", &groups) ? fw_json_count(groups) : 0;
    if (n > 1)
        return unsupported(r, "target_normalizer",
                           "more than one grouping column is not implemented");
    if (n == 0) {
        out->kind = TFT_ONE_PAIR;
        return read_pair(r, norm, "target_normalizer", "center", &out->missing);
    }
    out->kind = TFT_PER_GROUP;
    if (!member(one, "missing", &missing))
        return wrong(r, "target_normalizer", "says nothing for servers that it does not know");
    const enum fw_status status =
        read_pair(r, missing, "target_normalizer", "center", &out->missing);
    return status == FW_OK ? read_group_pairs(r, norm, out) : status;
}

static enum fw_status read_normalizer(struct reader *r, struct fw_json_value one,
                                      struct tft_normalizer *out)
{
    struct fw_json_value value;
    size_t len;
    bool centered;
    const char *type = member(one, "type", &value) ? fw_json_string(value, &len) : NULL;
    if (type == NULL)
        return wrong(r, "target_normalizer", "has no type");
    const enum fw_status status = read_transform(r, one, &out->transform);
    if (status != FW_OK)
        return status;
    if (strcmp(type, "GroupNormalizer") == 0 || strcmp(type, "TorchNormalizer") == 0)
        return read_fitted(r, one, out);
    if (strcmp(type, "EncoderNormalizer") != 0)
        return unsupported(r, "target_normalizer", "is of a type that is not implemented");
    const char *method = member(one, "method", &value) ? fw_json_string(value, &len) : "standard";
    if (method == NULL || strcmp(method, "standard") != 0)
        return unsupported(r, "target_normalizer",
                           "EncoderNormalizer is implemented for the method standard only");
    if (member(one, "center", &value) && (!fw_json_bool(value, &centered) || !centered))
        return unsupported(r, "target_normalizer",
                           "EncoderNormalizer without centering is not implemented");
    if (member(one, "max_length", &value))
        return unsupported(r, "target_normalizer",
                           "EncoderNormalizer with max_length is not implemented");
    out->kind = TFT_PER_SAMPLE;
    out->center_steps = 0;
    if (member(one, "center_steps", &value))
        return read_count(r, one, "center_steps", 1, TFT_STEPS_MAX, &out->center_steps);
    return FW_OK;
}

static enum fw_status read_normalizers(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value root, list, item;
    if (!member(r->root, "target_normalizer", &root))
        return wrong(r, "target_normalizer", "is missing");
    if (!member(root, "normalizers", &list)) {
        if (s->n_targets != 1)
            return wrong(r, "target_normalizer", "there must be one for every target");
        return read_normalizer(r, root, &s->normalizers[0]);
    }
    if (fw_json_type(list) != FW_JSON_ARRAY || fw_json_count(list) != s->n_targets)
        return wrong(r, "target_normalizer", "there must be one for every target");
    struct fw_json_iter iter = fw_json_walk(list);
    enum fw_status status = FW_OK;
    for (size_t i = 0; status == FW_OK && fw_json_next(&iter, &item); i++)
        status = read_normalizer(r, item, &s->normalizers[i]);
    return status;
}

/* The codes of the encoder "__group_id__<group>", by which the output scale is looked up. */
static enum fw_status read_output_codes(struct reader *r, struct fw_json_value classes)
{
    struct tft_spec *s = r->spec;
    const size_t n = fw_json_count(classes);
    struct fw_json_value item;
    const char *key;
    size_t len;
    if (fw_json_type(classes) != FW_JSON_OBJECT || n > TFT_GROUPS_MAX)
        return wrong(r, "group_encoders", "holds no classes, or too many");
    s->output_codes = ARENA_NEW(&r->memory, n + 1, struct tft_group_code);
    if (s->output_codes == NULL)
        return too_big(r, "group_encoders");
    struct fw_json_iter iter = fw_json_walk(classes);
    while (fw_json_next_member(&iter, &key, &len, &item)) {
        struct tft_group_code *c = &s->output_codes[s->n_output_codes++];
        const enum fw_status status = keep_text(r, key, len, "group_encoders", &c->group);
        if (status != FW_OK)
            return status;
        if (!fw_json_int64(item, &c->code))
            return wrong(r, "group_encoders", "holds a code that is not a whole number");
    }
    qsort(s->output_codes, n, sizeof *s->output_codes, codes_by_group);
    for (size_t i = 1; i < n; i++) {
        if (codes_by_group(&s->output_codes[i - 1], &s->output_codes[i]) == 0)
            return wrong(r, "group_encoders", "names a server twice");
    }
    s->output_scale_shifted = true;
    return FW_OK;
}

static enum fw_status read_output_scale(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value value, encoders, encoder, classes;
    struct tft_names groups;
    size_t len;
    char key[TFT_NAME_BYTES_MAX + 16];
    if (member(r->root, "output_scale", &value)) {
        const char *text = fw_json_string(value, &len);
        if (text == NULL || (strcmp(text, "own") != 0 && strcmp(text, "shifted") != 0))
            return wrong(r, "output_scale", "must be own or shifted");
        if (strcmp(text, "own") == 0)
            return FW_OK;
    }
    const enum fw_status status = read_names(r, r->root, "group_ids", TFT_VARIABLES_MAX, &groups);
    if (status != FW_OK || groups.n == 0 || s->normalizers[0].kind == TFT_PER_SAMPLE)
        return status;
    (void)snprintf(key, sizeof key, "__group_id__%s", groups.name[0]);
    if (!member(r->root, "group_encoders", &encoders) || !member(encoders, key, &encoder) ||
        !member(encoder, "classes", &classes))
        return FW_OK;
    return read_output_codes(r, classes);
}

/* {"server name": "group id", ...}, kept in order of name. */
static enum fw_status read_group_names(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value map, item;
    const char *key;
    size_t len;
    if (!member(r->root, "group_names", &map))
        return FW_OK;
    const size_t n = fw_json_count(map);
    if (fw_json_type(map) != FW_JSON_OBJECT || n > TFT_GROUPS_MAX)
        return wrong(r, "group_names", "is no table of names, or too long");
    s->group_names = ARENA_NEW(&r->memory, n + 1, struct tft_group_name);
    if (s->group_names == NULL)
        return too_big(r, "group_names");
    struct fw_json_iter iter = fw_json_walk(map);
    while (fw_json_next_member(&iter, &key, &len, &item)) {
        struct tft_group_name *g = &s->group_names[s->n_group_names++];
        enum fw_status status = keep_text(r, key, len, "group_names", &g->server);
        if (status == FW_OK)
            status = read_text(r, item, "group_names", &g->group);
        if (status != FW_OK)
            return status;
    }
    qsort(s->group_names, n, sizeof *s->group_names, names_by_server);
    return FW_OK;
}

static enum fw_status read_shape_entry(struct reader *r, struct fw_json_value item,
                                       struct tft_shape *out)
{
    struct fw_json_value value, dim;
    int64_t size;
    if (!member(item, "name", &value))
        return wrong(r, "parameters", "an entry has no name");
    const enum fw_status status = read_text(r, value, "parameters", &out->name);
    if (status != FW_OK)
        return status;
    out->alias = member(item, "alias_of", &value);
    if (!member(item, "shape", &value) || fw_json_type(value) != FW_JSON_ARRAY ||
        fw_json_count(value) > 4)
        return wrong(r, out->name, "has no shape of up to four dimensions");
    struct fw_json_iter iter = fw_json_walk(value);
    while (fw_json_next(&iter, &dim)) {
        if (!fw_json_int64(dim, &size) || size <= 0)
            return wrong(r, out->name, "has a dimension that is not positive");
        out->shape[out->rank++] = (size_t)size;
    }
    return FW_OK;
}

static enum fw_status read_shapes(struct reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value list, item;
    if (!member(r->root, "parameters", &list))
        return FW_OK;
    if (fw_json_type(list) != FW_JSON_ARRAY)
        return wrong(r, "parameters", "is not a list");
    s->shapes = ARENA_NEW(&r->memory, fw_json_count(list) + 1, struct tft_shape);
    if (s->shapes == NULL)
        return too_big(r, "parameters");
    struct fw_json_iter iter = fw_json_walk(list);
    enum fw_status status = FW_OK;
    while (status == FW_OK && fw_json_next(&iter, &item))
        status = read_shape_entry(r, item, &s->shapes[s->n_shapes++]);
    return status;
}

static enum fw_status read_spec(struct reader *r)
{
    static enum fw_status (*const steps[])(struct reader *) = {
        read_dims,         read_quantiles,     read_targets,     read_reals,
        read_categoricals, read_all_variables, read_normalizers, read_output_scale,
        read_group_names,  read_shapes,
    };
    struct fw_json_value value;
    enum fw_status status = FW_OK;
    int64_t format;
    if (fw_json_type(r->root) != FW_JSON_OBJECT)
        return wrong(r, "the file", "is not an object");
    if (member(r->root, "format_version", &value) &&
        (!fw_json_int64(value, &format) || format != FORMAT_VERSION))
        return unsupported(r, "format_version", "this program reads version 1");
    r->spec->name = "";
    if (member(r->root, "name", &value))
        status = read_text(r, value, "name", &r->spec->name);
    if (status == FW_OK && member(r->root, "weights_sha256", &value))
        status = read_text(r, value, "weights_sha256", &r->spec->weights_sha256);
    for (size_t i = 0; i < COUNT(steps) && status == FW_OK; i++)
        status = steps[i](r);
    return status;
}

enum fw_status tft_spec_parse(const char *json, size_t size, const char *what,
                              struct tft_spec **out, struct fw_error *err)
{
    struct reader r = {.what = what, .err = err};
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

const char *tft_spec_group(const struct tft_spec *spec, const char *server_name)
{
    const struct tft_group_name key = {server_name, NULL}, *found = NULL;
    if (spec->n_group_names != 0)
        found = bsearch(&key, spec->group_names, spec->n_group_names, sizeof key, names_by_server);
    return found == NULL ? server_name : found->group;
}
