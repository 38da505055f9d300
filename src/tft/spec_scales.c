/* How a spec scales its targets and knows its servers. */
#include "tft/spec_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum fw_status read_group_pairs(struct tft_spec_reader *r, struct fw_json_value norm,
                                       struct tft_normalizer *out)
{
    const size_t n = fw_json_count(norm);
    struct fw_json_value item, code;
    const char *key;
    size_t len;
    if (n == 0 || n > TFT_GROUPS_MAX)
        return tft_spec_wrong(r, "target_normalizer", "knows no group, or too many");
    out->by_group = ARENA_NEW(&r->memory, n, struct tft_group_pair);
    out->by_code = ARENA_NEW(&r->memory, n, struct tft_group_pair);
    if (out->by_group == NULL || out->by_code == NULL)
        return tft_spec_too_big(r, "target_normalizer");
    struct fw_json_iter iter = fw_json_walk(norm);
    while (fw_json_next_member(&iter, &key, &len, &item)) {
        struct tft_group_pair *g = &out->by_group[out->n_groups++];
        enum fw_status status = tft_spec_keep_text(r, key, len, "target_normalizer", &g->group);
        if (status == FW_OK)
            status = tft_spec_read_pair(r, item, g->group, "center", &g->pair);
        if (status == FW_OK &&
            (!tft_spec_member(item, "code", &code) || !fw_json_int64(code, &g->code)))
            status = tft_spec_wrong(r, g->group, "has no code in target_normalizer");
        if (status != FW_OK)
            return status;
    }
    memcpy(out->by_code, out->by_group, n * sizeof *out->by_code);
    qsort(out->by_group, n, sizeof *out->by_group, pairs_by_group);
    qsort(out->by_code, n, sizeof *out->by_code, pairs_by_code);
    for (size_t i = 1; i < n; i++) {
        if (pairs_by_group(&out->by_group[i - 1], &out->by_group[i]) == 0 ||
            out->by_code[i - 1].code == out->by_code[i].code)
            return tft_spec_wrong(r, out->by_group[i].group,
                                  "is twice in target_normalizer, or shares its code");
    }
    return FW_OK;
}

static enum fw_status read_transform(struct tft_spec_reader *r, struct fw_json_value one,
                                     enum tft_transform *out)
{
    struct fw_json_value value;
    size_t len;
    *out = TFT_IDENTITY;
    if (!tft_spec_member(one, "transformation", &value))
        return FW_OK;
    const char *text = fw_json_string(value, &len);
    if (text == NULL || strcmp(text, "softplus") != 0)
        return tft_spec_unsupported(r, "target_normalizer",
                                    "its transformation is neither softplus nor none");
    *out = TFT_SOFTPLUS;
    return FW_OK;
}

static enum fw_status read_fitted(struct tft_spec_reader *r, struct fw_json_value one,
                                  struct tft_normalizer *out)
{
    struct fw_json_value groups, norm, missing, flag;
    bool by_group;
    if (tft_spec_member(one, "scale_by_group", &flag) && fw_json_bool(flag, &by_group) && by_group)
        return tft_spec_unsupported(r, "target_normalizer", "scale_by_group is not implemented");
    if (!tft_spec_member(one, "norm", &norm) || fw_json_type(norm) != FW_JSON_OBJECT)
        return tft_spec_wrong(r, "target_normalizer", "has no norm");
    const size_t n = fw_json_get(one, "groups", &groups) ? fw_json_count(groups) : 0;
    if (n > 1)
        return tft_spec_unsupported(r, "target_normalizer",
                                    "more than one grouping column is not implemented");
    if (n == 0) {
        out->kind = TFT_ONE_PAIR;
        return tft_spec_read_pair(r, norm, "target_normalizer", "center", &out->missing);
    }
    out->kind = TFT_PER_GROUP;
    if (!tft_spec_member(one, "missing", &missing))
        return tft_spec_wrong(r, "target_normalizer",
                              "says nothing for servers that it does not know");
    const enum fw_status status =
        tft_spec_read_pair(r, missing, "target_normalizer", "center", &out->missing);
    return status == FW_OK ? read_group_pairs(r, norm, out) : status;
}

static enum fw_status read_normalizer(struct tft_spec_reader *r, struct fw_json_value one,
                                      struct tft_normalizer *out)
{
    struct fw_json_value value;
    size_t len;
    bool centered;
    const char *type = tft_spec_member(one, "type", &value) ? fw_json_string(value, &len) : NULL;
    if (type == NULL)
        return tft_spec_wrong(r, "target_normalizer", "has no type");
    const enum fw_status status = read_transform(r, one, &out->transform);
    if (status != FW_OK)
        return status;
    if (strcmp(type, "GroupNormalizer") == 0 || strcmp(type, "TorchNormalizer") == 0)
        return read_fitted(r, one, out);
    if (strcmp(type, "EncoderNormalizer") != 0)
        return tft_spec_unsupported(r, "target_normalizer", "is of a type that is not implemented");
    const char *method =
        tft_spec_member(one, "method", &value) ? fw_json_string(value, &len) : "standard";
    if (method == NULL || strcmp(method, "standard") != 0)
        return tft_spec_unsupported(
            r, "target_normalizer",
            "EncoderNormalizer is implemented for the method standard only");
    if (tft_spec_member(one, "center", &value) && (!fw_json_bool(value, &centered) || !centered))
        return tft_spec_unsupported(r, "target_normalizer",
                                    "EncoderNormalizer without centering is not implemented");
    if (tft_spec_member(one, "max_length", &value))
        return tft_spec_unsupported(r, "target_normalizer",
                                    "EncoderNormalizer with max_length is not implemented");
    out->kind = TFT_PER_SAMPLE;
    out->center_steps = 0;
    if (tft_spec_member(one, "center_steps", &value))
        return tft_spec_read_count(r, one, "center_steps", 1, TFT_STEPS_MAX, &out->center_steps);
    return FW_OK;
}

enum fw_status tft_spec_read_normalizers(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value root, list, item;
    if (!tft_spec_member(r->root, "target_normalizer", &root))
        return tft_spec_wrong(r, "target_normalizer", "is missing");
    if (!tft_spec_member(root, "normalizers", &list)) {
        if (s->n_targets != 1)
            return tft_spec_wrong(r, "target_normalizer", "there must be one for every target");
        return read_normalizer(r, root, &s->normalizers[0]);
    }
    if (fw_json_type(list) != FW_JSON_ARRAY || fw_json_count(list) != s->n_targets)
        return tft_spec_wrong(r, "target_normalizer", "there must be one for every target");
    struct fw_json_iter iter = fw_json_walk(list);
    enum fw_status status = FW_OK;
    for (size_t i = 0; status == FW_OK && fw_json_next(&iter, &item); i++)
        status = read_normalizer(r, item, &s->normalizers[i]);
    return status;
}

/* The codes of the encoder "__group_id__<group>", by which the output scale is looked up. */
static enum fw_status read_output_codes(struct tft_spec_reader *r, struct fw_json_value classes)
{
    struct tft_spec *s = r->spec;
    const size_t n = fw_json_count(classes);
    struct fw_json_value item;
    const char *key;
    size_t len;
    if (fw_json_type(classes) != FW_JSON_OBJECT || n > TFT_GROUPS_MAX)
        return tft_spec_wrong(r, "group_encoders", "holds no classes, or too many");
    s->output_codes = ARENA_NEW(&r->memory, n + 1, struct tft_group_code);
    if (s->output_codes == NULL)
        return tft_spec_too_big(r, "group_encoders");
    struct fw_json_iter iter = fw_json_walk(classes);
    while (fw_json_next_member(&iter, &key, &len, &item)) {
        struct tft_group_code *c = &s->output_codes[s->n_output_codes++];
        const enum fw_status status = tft_spec_keep_text(r, key, len, "group_encoders", &c->group);
        if (status != FW_OK)
            return status;
        if (!fw_json_int64(item, &c->code))
            return tft_spec_wrong(r, "group_encoders", "holds a code that is not a whole number");
    }
    qsort(s->output_codes, n, sizeof *s->output_codes, codes_by_group);
    for (size_t i = 1; i < n; i++) {
        if (codes_by_group(&s->output_codes[i - 1], &s->output_codes[i]) == 0)
            return tft_spec_wrong(r, "group_encoders", "names a server twice");
    }
    s->output_scale_shifted = true;
    return FW_OK;
}

enum fw_status tft_spec_read_output_scale(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value value, encoders, encoder, classes;
    struct tft_names groups;
    size_t len;
    char key[TFT_NAME_BYTES_MAX + 16];
    if (tft_spec_member(r->root, "output_scale", &value)) {
        const char *text = fw_json_string(value, &len);
        if (text == NULL || (strcmp(text, "own") != 0 && strcmp(text, "shifted") != 0))
            return tft_spec_wrong(r, "output_scale", "must be own or shifted");
        if (strcmp(text, "own") == 0)
            return FW_OK;
    }
    const enum fw_status status =
        tft_spec_read_names(r, r->root, "group_ids", TFT_VARIABLES_MAX, &groups);
    if (status != FW_OK || groups.n == 0 || s->normalizers[0].kind == TFT_PER_SAMPLE)
        return status;
    (void)snprintf(key, sizeof key, "__group_id__%s", groups.name[0]);
    if (!tft_spec_member(r->root, "group_encoders", &encoders) ||
        !tft_spec_member(encoders, key, &encoder) || !tft_spec_member(encoder, "classes", &classes))
        return FW_OK;
    return read_output_codes(r, classes);
}

/* {"server name": "group id", ...}, kept in order of name. */
enum fw_status tft_spec_read_group_names(struct tft_spec_reader *r)
{
    struct tft_spec *s = r->spec;
    struct fw_json_value map, item;
    const char *key;
    size_t len;
    if (!tft_spec_member(r->root, "group_names", &map))
        return FW_OK;
    const size_t n = fw_json_count(map);
    if (fw_json_type(map) != FW_JSON_OBJECT || n > TFT_GROUPS_MAX)
        return tft_spec_wrong(r, "group_names", "is no table of names, or too long");
    s->group_names = ARENA_NEW(&r->memory, n + 1, struct tft_group_name);
    if (s->group_names == NULL)
        return tft_spec_too_big(r, "group_names");
    struct fw_json_iter iter = fw_json_walk(map);
    while (fw_json_next_member(&iter, &key, &len, &item)) {
        struct tft_group_name *g = &s->group_names[s->n_group_names++];
        enum fw_status status = tft_spec_keep_text(r, key, len, "group_names", &g->server);
        if (status == FW_OK)
            status = tft_spec_read_text(r, item, "group_names", &g->group);
        if (status != FW_OK)
            return status;
    }
    qsort(s->group_names, n, sizeof *s->group_names, names_by_server);
    return FW_OK;
}

const char *tft_spec_group(const struct tft_spec *spec, const char *server_name)
{
    const struct tft_group_name key = {server_name, NULL}, *found = NULL;
    if (spec->n_group_names != 0)
        found = bsearch(&key, spec->group_names, spec->n_group_names, sizeof key, names_by_server);
    return found == NULL ? server_name : found->group;
}
