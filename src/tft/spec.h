/* What a model's weights mean: variables and their order, vocabularies, scalers, lengths,
 * quantiles. Read from the spec.json that lies beside model.safetensors (docs/formats/model.md).
 * Code never repeats any of it.
 *
 * Sizes of the network (hidden size, heads, layers) are read off the weights instead, see model.h;
 * the ones in spec.json are only compared. */
#ifndef FW_TFT_SPEC_H
#define FW_TFT_SPEC_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TFT_TARGETS_MAX = 64,
    TFT_QUANTILES_MAX = 64,
    TFT_VARIABLES_MAX = 1024, /* in one list */
    TFT_CLASSES_MAX = 65536,  /* of one categorical */
    TFT_GROUPS_MAX = 1 << 20, /* servers known to a normaliser */
    TFT_STEPS_MAX = 16384,    /* history or horizon */
    TFT_NAME_BYTES_MAX = 256,
};

#define TFT_SPEC_MAX_BYTES ((size_t)16 << 20)

struct tft_names {
    size_t n;
    const char **name;
};

/* A categorical: codes are positions in `classes`. */
struct tft_vocabulary {
    const char *name;
    struct tft_names classes;
    int32_t *sorted;       /* codes in order of their text, for tft_vocabulary_code() */
    int32_t unknown_index; /* what a text outside the list gets; -1: such a text is an error */
};

struct tft_scaler {
    double mean, scale; /* scaled = (x - mean) / scale; scale is positive */
};

/* What a real input is made from. */
enum tft_source {
    TFT_FROM_COLUMN,         /* the series' column of that name, standard-scaled */
    TFT_FROM_TARGET,         /* a target's column, transformed and normalised */
    TFT_FROM_CENTER,         /* a target's own center, standard-scaled */
    TFT_FROM_SCALE,          /* a target's own scale, standard-scaled */
    TFT_FROM_HISTORY_LENGTH, /* encoder_length */
    TFT_FROM_RELATIVE_TIME,  /* relative_time_idx */
};

struct tft_real {
    const char *name;
    enum tft_source source;
    size_t target; /* of FROM_TARGET, FROM_CENTER, FROM_SCALE */
    bool known;    /* its value on the horizon is an input as well */
    struct tft_scaler scaler;
};

enum tft_transform { TFT_IDENTITY, TFT_SOFTPLUS };
enum tft_normalizer_kind {
    TFT_PER_GROUP,  /* one pair for every server seen in training */
    TFT_ONE_PAIR,   /* one pair for all */
    TFT_PER_SAMPLE, /* computed from each history (EncoderNormalizer) */
};

struct tft_pair {
    double center, scale;
};

struct tft_group_pair {
    const char *group;
    int64_t code;
    struct tft_pair pair;
};

/* How one target is brought to order 1 and back: normalised = (g(y) - center) / scale. */
struct tft_normalizer {
    enum tft_normalizer_kind kind;
    enum tft_transform transform;
    size_t center_steps; /* TFT_PER_SAMPLE: the center is the mean of that many last steps of the
                            history; 0: of all */
    size_t n_groups;
    struct tft_group_pair *by_group; /* in order of group */
    struct tft_group_pair *by_code;  /* in order of code */
    struct tft_pair
        missing; /* for servers not seen in training; the pair itself for TFT_ONE_PAIR */
};

struct tft_group_code {
    const char *group;
    int64_t code;
};

/* Training may have known a server by another text than its name. */
struct tft_group_name {
    const char *server, *group;
};

struct tft_shape {
    const char *name;
    size_t rank;
    size_t shape[4];
    bool alias;
};

struct tft_variable {
    bool categorical;
    size_t column; /* in x_categoricals or x_reals */
};

struct tft_variables {
    size_t n, n_categoricals; /* categoricals come first */
    struct tft_variable *item;
};

struct tft_spec {
    const char *name;           /* "" when the file gives none */
    const char *weights_sha256; /* of the weights that belong to it, hexadecimal; NULL when the file
                                   does not say */
    size_t history_max, history_min, horizon; /* steps */
    size_t n_targets, n_quantiles;
    const char *targets[TFT_TARGETS_MAX];
    size_t target_real[TFT_TARGETS_MAX]; /* its place in reals; SIZE_MAX when it is no input */
    double quantiles[TFT_QUANTILES_MAX];
    struct tft_normalizer normalizers[TFT_TARGETS_MAX];
    size_t n_reals, n_categoricals;
    struct tft_real *reals;              /* x_reals, in the order of the input tensor */
    struct tft_vocabulary *categoricals; /* x_categoricals, likewise */
    struct tft_variables stat, encoder, decoder;
    /* The scale that turns the network's output back: a pytorch-forecasting model's own look-up of
     * it is off by one server, and its weights were trained with that. See assemble.h. */
    bool output_scale_shifted;
    size_t n_output_codes;
    struct tft_group_code *output_codes; /* the look-up's codes, in order of group */
    size_t n_group_names;
    struct tft_group_name *group_names; /* in order of server */
    /* What the file says about the network, 0 where it says nothing. */
    size_t said_hidden, said_heads, said_layers, said_hidden_continuous, said_parameters;
    size_t n_shapes;
    struct tft_shape *shapes;
    void *memory; /* of the spec's arrays and strings */
};

/* Parses spec.json. `what` names it in error texts. On success *out is the caller's, released with
 * tft_spec_free(). FW_ECORRUPT: not JSON, a field missing or wrong, a scale that is not positive,
 * lists that contradict each other; FW_EVERSION: something this program does not implement;
 * FW_ELIMIT; FW_ENOMEM. Immutable afterwards. */
FW_MUST_CHECK enum fw_status tft_spec_parse(const char *json, size_t size, const char *what,
                                            struct tft_spec **out, struct fw_error *err);
void tft_spec_free(struct tft_spec *spec);

/* The code of a class, or unknown_index when the vocabulary does not hold it. */
int32_t tft_vocabulary_code(const struct tft_vocabulary *vocabulary, const char *text);
/* Places of names, SIZE_MAX when there is no such variable. */
size_t tft_spec_real(const struct tft_spec *spec, const char *name);
size_t tft_spec_categorical(const struct tft_spec *spec, const char *name);
/* The group id under which training knew a server of that name; `name` itself where the spec has no
 * such table. */
const char *tft_spec_group(const struct tft_spec *spec, const char *server_name);

#endif
