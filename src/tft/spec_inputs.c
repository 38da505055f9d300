/* Inputs of a spec: reals, categoricals, and which of them each side sees. */
#include "tft/spec_reader.h"

#include <stdio.h>
#include <string.h>

/* StandardScaler, RobustScaler (its center stands where the other has a mean), or none. */
static enum fw_status read_scaler(struct tft_spec_reader *r, const char *name,
                                  struct tft_scaler *out)
{
    struct fw_json_value scalers, one, type;
    struct tft_pair pair = {0.0, 1.0};
    size_t len;
    if (!tft_spec_member(r->root, "scalers", &scalers) || !fw_json_get(scalers, name, &one))
        return tft_spec_wrong(r, name, "has no entry in scalers");
    if (!tft_spec_is_null(one)) {
        const char *text =
            fw_json_get(one, "type", &type) ? fw_json_string(type, &len) : "StandardScaler";
        const bool robust = text != NULL && strcmp(text, "RobustScaler") == 0;
        if (text == NULL || (!robust && strcmp(text, "StandardScaler") != 0))
            return tft_spec_unsupported(r, name,
                                        "its scaler is neither StandardScaler nor RobustScaler");
        const enum fw_status status =
            tft_spec_read_pair(r, one, name, robust ? "center" : "mean", &pair);
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

enum fw_status tft_spec_read_reals(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct tft_names names;
    enum fw_status status = tft_spec_read_names(r, r->root, "x_reals", TFT_VARIABLES_MAX, &names);
    if (status != FW_OK)
        return status;
    s->n_reals = names.n;
    s->reals = ARENA_NEW(&r->memory, names.n + 1, struct tft_real);
    if (s->reals == NULL)
        return tft_spec_too_big(r, "x_reals");
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

static enum fw_status read_vocabulary(struct tft_spec_reader *r, struct fw_json_value all,
                                      struct tft_vocabulary *v)
{
    struct fw_json_value one, unknown;
    int64_t index = -1;
    if (!tft_spec_member(all, v->name, &one))
        return tft_spec_wrong(r, v->name, "has no entry in categoricals");
    enum fw_status status = tft_spec_read_names(r, one, "classes", TFT_CLASSES_MAX, &v->classes);
    if (status != FW_OK)
        return status;
    if (v->classes.n == 0)
        return tft_spec_wrong(r, v->name, "has no classes");
    if (tft_spec_member(one, "unknown_index", &unknown) &&
        (!fw_json_int64(unknown, &index) || index < 0 || (uint64_t)index >= v->classes.n))
        return tft_spec_wrong(r, v->name, "has an unknown_index outside its classes");
    v->unknown_index = (int32_t)index;
    v->sorted = ARENA_NEW(&r->memory, v->classes.n, int32_t);
    return v->sorted == NULL ? tft_spec_too_big(r, v->name) : FW_OK;
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

static enum fw_status sort_vocabulary(const struct tft_spec_reader *r,
                                      const struct tft_vocabulary *v)
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
            return tft_spec_wrong(r, v->name, "names a class twice");
    }
    return FW_OK;
}

enum fw_status tft_spec_read_categoricals(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct tft_names names;
    struct fw_json_value all = {0};
    enum fw_status status =
        tft_spec_read_names(r, r->root, "x_categoricals", TFT_VARIABLES_MAX, &names);
    if (status != FW_OK || names.n == 0)
        return status;
    if (!tft_spec_member(r->root, "categoricals", &all))
        return tft_spec_wrong(r, "categoricals", "is missing");
    s->n_categoricals = names.n;
    s->categoricals = ARENA_NEW(&r->memory, names.n, struct tft_vocabulary);
    if (s->categoricals == NULL)
        return tft_spec_too_big(r, "x_categoricals");
    for (size_t i = 0; i < names.n && status == FW_OK; i++) {
        s->categoricals[i].name = names.name[i];
        if (tft_spec_real(s, names.name[i]) != SIZE_MAX)
            return tft_spec_wrong(r, names.name[i], "is both a real and a categorical");
        status = read_vocabulary(r, all, &s->categoricals[i]);
        if (status == FW_OK)
            status = sort_vocabulary(r, &s->categoricals[i]);
    }
    return status;
}

static enum fw_status add_variable(struct tft_spec_reader *r, const char *field, const char *name,
                                   struct tft_variables *out)
{
    const size_t cat = tft_spec_categorical(r->spec, name);
    const size_t real = tft_spec_real(r->spec, name);
    if (cat == SIZE_MAX && real == SIZE_MAX)
        return tft_spec_wrong(r, name, "is neither in x_categoricals nor in x_reals");
    if (cat != SIZE_MAX && out->n_categoricals != out->n)
        return tft_spec_wrong(r, field, "a categorical stands among the reals");
    out->item[out->n++] = (struct tft_variable){cat != SIZE_MAX, cat != SIZE_MAX ? cat : real};
    out->n_categoricals += cat != SIZE_MAX;
    return FW_OK;
}

/* "<side>_categoricals" then "<side>_reals"; "<side>_variables" is both again, where it is there.
 */
static enum fw_status read_variables(struct tft_spec_reader *r, const char *side,
                                     struct tft_variables *out)
{
    static const char *const parts[] = {"categoricals", "reals", "variables"};
    struct tft_names names[COUNT(parts)];
    char field[64];
    for (size_t i = 0; i < COUNT(parts); i++) {
        (void)snprintf(field, sizeof field, "%s_%s", side, parts[i]);
        const enum fw_status status =
            tft_spec_read_names(r, r->root, field, TFT_VARIABLES_MAX, &names[i]);
        if (status != FW_OK)
            return status;
    }
    const size_t n = names[0].n + names[1].n;
    out->item = ARENA_NEW(&r->memory, n + 1, struct tft_variable);
    if (out->item == NULL || n > TFT_VARIABLES_MAX)
        return tft_spec_too_big(r, field);
    for (size_t i = 0; i < n; i++) {
        const char *name = i < names[0].n ? names[0].name[i] : names[1].name[i - names[0].n];
        if (names[2].n != 0 && (names[2].n != n || strcmp(names[2].name[i], name) != 0))
            return tft_spec_wrong(r, field, "is not the categoricals followed by the reals");
        const enum fw_status status = add_variable(r, field, name, out);
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

enum fw_status tft_spec_read_all_variables(struct tft_spec_reader *r)
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
