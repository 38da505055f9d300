/* What a model file can do wrong (RELIABILITY.md, "Model file"), one row each; thousands of mutated
 * files; names that must not leave the model directory; every allocation failing in turn. */
#include "golden_dir.h"
#include "support.h"

#include "base/buf.h"
#include "base/rng.h"
#include "tft/forward.h"
#include "tft/import.h"
#include "tft/model_internal.h"
#include "tft/run_file.h"
#include "tft/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

enum { MUTATIONS = 10000, HEADER_AT = 8 };

/* The tiny model's two files. */
static struct {
    unsigned char *weights, *spec;
    size_t weights_size, spec_size;
    uint64_t header;
} good;

static int load_good(void **state)
{
    char path[GOLDEN_PATH_SIZE];
    (void)state;
    good.weights = golden_bytes(golden_path(path, "tiny", "model.safetensors"), &good.weights_size);
    good.spec = golden_bytes(golden_path(path, "tiny", "spec.json"), &good.spec_size);
    memcpy(&good.header, good.weights, sizeof good.header);
    return 0;
}

static int free_good(void **state)
{
    (void)state;
    fw_free(good.weights);
    fw_free(good.spec);
    return 0;
}

static enum fw_status load(const void *weights, size_t weights_size, const void *spec,
                           size_t spec_size, struct fw_error *err)
{
    struct tft_model *model;
    const enum fw_status status = tft_model_load(copy_bytes(weights, weights_size), weights_size,
                                                 spec, spec_size, NULL, &model, err);
    assert_true((model != NULL) == (status == FW_OK));
    tft_model_close(model);
    return status;
}

/* The header with one piece of text replaced by another, and the data behind it, cut or grown. */
static unsigned char *edited(const char *from, const char *to, long extra, size_t *size)
{
    struct fw_buf buf;
    const char *header = (const char *)good.weights + HEADER_AT;
    uint64_t length;
    fw_buf_init(&buf, (size_t)1 << 24);
    fw_buf_put(&buf, "12345678", 8);
    const char *at = NULL;
    for (size_t i = 0; from != NULL && at == NULL && i + strlen(from) <= good.header; i++) {
        if (memcmp(header + i, from, strlen(from)) == 0)
            at = header + i;
    }
    if (from != NULL && at == NULL)
        fail_msg("no \"%s\" in the header", from);
    if (at == NULL)
        at = header;
    fw_buf_put(&buf, header, (size_t)(at - header));
    fw_buf_puts(&buf, to);
    fw_buf_put(&buf, at + strlen(from == NULL ? "" : from),
               good.header - (size_t)(at - header) - strlen(from == NULL ? "" : from));
    length = buf.len - 8;
    memcpy(buf.data, &length, sizeof length);
    const size_t data = good.weights_size - HEADER_AT - good.header;
    fw_buf_put(&buf, header + good.header, extra < 0 ? data - (size_t)-extra : data);
    for (long i = 0; i < extra; i++)
        fw_buf_putc(&buf, 0);
    *size = buf.len;
    unsigned char *copy = copy_bytes(buf.data, buf.len);
    fw_buf_fini(&buf);
    return copy;
}

static void test_header_rows(void **state)
{
    static const struct {
        const char *name, *from, *to, *reason;
        long extra;
    } rows[] = {
        {"not JSON",               "\"dtype\"",                     "dtype",                              "header",                0 },
        {"not UTF-8",              "input_embeddings",              "input\xff_embedding",                "header",                0 },
        {"a tensor twice",         "prescalers.hour.bias",          "prescalers.hour.weight",             "prescalers.hour",       0 },
        {"unknown tensor",         "\"prescalers.hour.bias",        "\"prescalers.hours.bias",            "hour",                  0 },
        {"unknown type",           "F32",                           "F16",                                "type",                  0 },
        {"wrong type",             "\"F32\",\"shape\":[4,3]",       "\"I64\",\"shape\":[2,3]",            "",                      0 },
        {"wrong rank",             "[4,3]",                         "[12]",                               "dimensions",            0 },
        {"wrong shape",            "[4,3]",                         "[3,4]",                              "",                      0 },
        {"shape product overflow", "[4,3]",                         "[4294967296,4294967296,4294967296]", "overflows",             0 },
        {"shape beyond 64 bits",   "[4,3]",                         "[99999999999999999999,3]",           "",                      0 },
        {"zero dimension",         "[4,3],\"data_offsets\":[0,48]", "[0,3],\"data_offsets\":[0,0]",       "",                      0 },
        {"negative dimension",     "[4,3]",                         "[-4,-3]",                            "whole number",          0 },
        {"fractional dimension",   "[4,3]",                         "[4.0,3]",                            "whole number",          0 },
        {"nine dimensions",        "[4,3]",                         "[4,3,1,1,1,1,1,1,1]",                "8 dimensions",          0 },
        {"negative offset",        "[0,48]",                        "[-48,0]",                            "whole number",          0 },
        {"overlap",                "[48,96]",                       "[0,48]",                             "overlaps",              0 },
        {"hole",                   "[48,96]",                       "[52,100]",                           "belong to no tensor",   0 },
        {"end before start",       "[48,96]",                       "[96,48]",                            "before its start",      0 },
        {"past the end",           "[48,96]",                       "[48,9999999]",                       "past the end",          0 },
        {"three offsets",          "[48,96]",                       "[48,96,96]",                         "pair",                  0 },
        {"a field too many",       "\"dtype\":\"F32\"",             "\"dtype\":\"F32\",\"x\":1",          "field",                 0 },
        {"no shape",               "\"shape\":[4,3],",              "",                                   "each be there once",    0 },
        {"metadata of numbers",    "\"format\":\"pt\"",             "\"format\":1",                       "not text",              0 },
        {"trailing bytes",         NULL,                            "",                                   "after the last tensor", 4 },
        {"file cut short",         NULL,                            "",                                   "past the end",          -4},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t size;
        struct fw_error err = {.text = ""};
        unsigned char *bytes = edited(rows[i].from, rows[i].to, rows[i].extra, &size);
        CHECK_TRUE(rows[i].name, load(bytes, size, good.spec, good.spec_size, &err) != FW_OK);
        if (strstr(err.text, rows[i].reason) == NULL)
            fail_msg("%s: the reason is \"%s\"", rows[i].name, err.text);
        fw_free(bytes);
    }
}

static void test_lengths(void **state)
{
    static const struct {
        const char *name;
        uint64_t header;
        size_t size;
    } rows[] = {
        {"empty file",                      0,                 0   },
        {"seven bytes",                     0,                 7   },
        {"header length 0",                 0,                 4096},
        {"header length 1",                 1,                 4096},
        {"header length 2^63",              (uint64_t)1 << 63, 4096},
        {"header length 2^64 - 1",          UINT64_MAX,        4096},
        {"header one byte beyond the file", 4096 - 8 + 1,      4096},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err;
        unsigned char *bytes = copy_bytes(good.weights, 4096);
        memcpy(bytes, &rows[i].header, sizeof rows[i].header);
        CHECK_EQ(rows[i].name, load(bytes, rows[i].size, good.spec, good.spec_size, &err),
                 FW_ECORRUPT);
        fw_free(bytes);
    }
}

static void test_depth(void **state)
{
    enum { DEPTH = 10000, SIZE = 8 + 2 * DEPTH + 6 };
    static unsigned char bytes[SIZE];
    const uint64_t header = SIZE - 8;
    struct fw_error err;
    (void)state;
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + 8, "{\"a\":", 5);
    memset(bytes + 13, '[', DEPTH);
    memset(bytes + 13 + DEPTH, ']', DEPTH);
    bytes[SIZE - 1] = '}';
    assert_int_equal(load(bytes, SIZE, good.spec, good.spec_size, &err), FW_ECORRUPT);
    assert_int_equal(load(good.weights, good.weights_size, bytes + 13, 2 * DEPTH, &err),
                     FW_ECORRUPT);
}

static void test_values(void **state)
{
    static const struct {
        const char *name;
        float value;
        const char *reason;
    } rows[] = {
        {"NaN",            NAN,       "sane weight"         },
        {"infinity",       INFINITY,  "sane weight"         },
        {"minus infinity", -INFINITY, "sane weight"         },
        {"1e38",           1e38f,     "sane weight"         },
        {"just too large", 10001.0f,  "sane weight"         },
        {"all zero",       0.0f,      "all weights are zero"},
    };
    (void)state;
    const size_t data = HEADER_AT + (size_t)good.header;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {.text = ""};
        unsigned char *bytes = copy_bytes(good.weights, good.weights_size);
        if (rows[i].value == 0.0f)
            memset(bytes + data, 0, good.weights_size - data);
        else
            memcpy(bytes + data, &rows[i].value, sizeof(float));
        CHECK_EQ(rows[i].name, load(bytes, good.weights_size, good.spec, good.spec_size, &err),
                 FW_ECORRUPT);
        if (strstr(err.text, rows[i].reason) == NULL)
            fail_msg("%s: the reason is \"%s\"", rows[i].name, err.text);
        fw_free(bytes);
    }
}

/* The spec's text with one piece replaced (the first one found). */
static char *edited_spec(const char *from, const char *to, size_t *size)
{
    const char *spec = (const char *)good.spec;
    char *text = fw_calloc(good.spec_size + strlen(to) + 1, 1);
    for (size_t i = 0; i + strlen(from) <= good.spec_size; i++) {
        if (memcmp(spec + i, from, strlen(from)) != 0)
            continue;
        memcpy(text, spec, i);
        memcpy(text + i, to, strlen(to));
        memcpy(text + i + strlen(to), spec + i + strlen(from), good.spec_size - i - strlen(from));
        *size = good.spec_size + strlen(to) - strlen(from);
        return text;
    }
    fail_msg("no \"%s\" in the spec", from);
    return text;
}

static void test_spec_rows(void **state)
{
    static const struct {
        const char *name, *from, *to, *reason;
        enum fw_status status;
    } rows[] = {
        {"not JSON",                      "{",                                       "",                             "",                      FW_ECORRUPT},
        {"wrong format version",          "{",                                       "{\"format_version\": 2,",      "format_version",        FW_EVERSION},
        {"right format version",          "{",                                       "{\"format_version\": 1,",      "",                      FW_OK      },
        {"wrong checksum",                "{",                                       "{\"weights_sha256\": \"00\",", "SHA-256",               FW_ECORRUPT},
        {"own scale",                     "{",                                       "{\"output_scale\": \"own\",",  "",                      FW_OK      },
        {"odd scale",                     "{",                                       "{\"output_scale\": \"else\",", "output_scale",          FW_ECORRUPT},
        {"no horizon",                    "\"max_prediction_length\"",               "\"no\"",                       "max_prediction_length", FW_ECORRUPT},
        {"horizon of zero",               "\"max_prediction_length\": 4",            "\"max_prediction_length\": 0", "",
         FW_ELIMIT                                                                                                                                       },
        {"horizon of 2^40",               "\"max_prediction_length\": 4",
         "\"max_prediction_length\": 1099511627776",                                                                 "",                      FW_ELIMIT  },
        {"hidden size: the shapes win",   "\"hidden_size\": 8",                      "\"hidden_size\": 99",          "",                      FW_OK      },
        {"parameters of another network", "\"n_parameters\": 5824",                  "\"n_parameters\": 5825",
         "n_parameters",                                                                                                                      FW_ECORRUPT},
        {"scale of zero",                 "\"scale\": 6.8",                          "\"scale\": 0.0, \"y\": 6.8",   "scale",                 FW_ECORRUPT},
        {"negative scale",                "\"scale\": 6.8",                          "\"scale\": -6.8",              "scale",                 FW_ECORRUPT},
        {"another metric",                "\"mem_pct\"",                             "\"disk_pct\"",                 "",                      FW_ECORRUPT},
        {"quantiles fall",                "0.02",                                    "0.98",                         "quantiles",             FW_ECORRUPT},
        {"a quantile less",               "0.02,",                                   "",                             "",                      FW_ECORRUPT},
        {"not causal",                    "\"causal_attention\": true",              "\"causal_attention\": false",  "causal",
         FW_EVERSION                                                                                                                                     },
        {"unknown transformation",        "\"softplus\"",                            "\"logit\"",                    "transformation",        FW_EVERSION},
        {"unknown normaliser",            "\"GroupNormalizer\"",                     "\"Other\"",                    "type",                  FW_EVERSION},
        {"unknown scaler",                "\"StandardScaler\",\n   \"mean\": 36.39",
         "\"Other\",\n   \"mean\": 36.39",                                                                           "scaler",                FW_EVERSION},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t size = 0;
        struct fw_error err = {.text = ""};
        char *spec = edited_spec(rows[i].from, rows[i].to, &size);
        const enum fw_status got = load(good.weights, good.weights_size, spec, size, &err);
        if (got != rows[i].status || (got != FW_OK && strstr(err.text, rows[i].reason) == NULL))
            fail_msg("%s: %s \"%s\"", rows[i].name, fw_status_name(got), err.text);
        fw_free(spec);
    }
}

static void forecast_first(const struct tft_model *m, float *out, size_t n)
{
    const struct tft_net *net = m->net;
    enum { E = 12, D = 4, WIDTH = 16 };
    static int32_t codes[(E + D) * WIDTH];
    static float reals[(E + D) * WIDTH], prediction[D * 64];
    static unsigned char scratch[1 << 20];
    const float scale[] = {30.0f, 7.0f};
    const size_t e = E, d = D;
    struct fw_rng rng;
    fw_rng_init(&rng, 7);
    for (size_t i = 0; i < COUNT_OF(reals); i++)
        reals[i] = (float)fw_rng_normal(&rng);
    assert_true(net->n_reals <= WIDTH && net->output.n_out <= 64 && net->n_targets == 1);
    assert_true(tft_forward_scratch_bytes(m, E, D) <= sizeof scratch);
    const struct tft_input in = {1,  E,  D,     codes, codes, reals, reals + E * net->n_reals,
                                 &e, &d, scale, NULL};
    const struct tft_output to = {.prediction = prediction};
    tft_forward(m, &in, &to, arena_over(scratch, sizeof scratch));
    memcpy(out, prediction, n * sizeof *out);
}

static void mutate(struct fw_rng *rng, unsigned char *bytes, size_t *size, size_t room)
{
    size_t at =
        fw_rng_below(rng, 2) ? fw_rng_below(rng, *size) : fw_rng_below(rng, 8 + good.header);
    const size_t n = 1 + fw_rng_below(rng, 64);
    at %= *size; /* an earlier mutation may have cut the header itself */
    switch (fw_rng_below(rng, 6)) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << fw_rng_below(rng, 8));
        break;
    case 1:
        bytes[at] = (unsigned char)fw_rng_next(rng);
        break;
    case 2:
        for (size_t i = at; i < at + n && i < *size; i++)
            bytes[i] = (unsigned char)fw_rng_next(rng);
        break;
    case 3:
        *size = at;
        break;
    case 4:
        if (*size + n <= room) {
            memmove(bytes + at + n, bytes + at, *size - at);
            *size += n;
        }
        break;
    default: {
        const size_t from = fw_rng_below(rng, *size), most = *size - (from > at ? from : at);
        memmove(bytes + at, bytes + from, n < most ? n : most);
    }
    }
}

/* M1: each mutated pair is refused, or opens and gives a finite forecast; the good model is
 * untouched by any of it. */
static void test_mutated_files(void **state)
{
    struct fw_rng rng;
    struct tft_model *kept;
    struct fw_error err;
    float before[28], after[28];
    size_t accepted = 0;
    (void)state;
    fw_rng_init(&rng, 20);
    assert_int_equal(tft_model_load(copy_bytes(good.weights, good.weights_size), good.weights_size,
                                    (const char *)good.spec, good.spec_size, NULL, &kept, &err),
                     FW_OK);
    forecast_first(kept, before, COUNT_OF(before));
    for (size_t i = 0; i < MUTATIONS; i++) {
        const size_t room = 64;
        const bool on_spec = i % 4 == 3;
        size_t size = on_spec ? good.spec_size : good.weights_size;
        unsigned char *bytes = fw_malloc(size + room);
        memcpy(bytes, on_spec ? good.spec : good.weights, size);
        for (size_t k = 1 + fw_rng_below(&rng, 3); k > 0 && size > 0; k--)
            mutate(&rng, bytes, &size, (on_spec ? good.spec_size : good.weights_size) + room);
        struct tft_model *m;
        const enum fw_status status =
            on_spec ? tft_model_load(copy_bytes(good.weights, good.weights_size), good.weights_size,
                                     (char *)bytes, size, NULL, &m, &err)
                    : tft_model_load(bytes, size, (const char *)good.spec, good.spec_size, NULL, &m,
                                     &err);
        if (on_spec)
            fw_free(bytes);
        if (status != FW_OK)
            continue;
        accepted++;
        if (m->spec->history_max == 12 && m->spec->horizon == 4 && m->net->n_targets == 1) {
            forecast_first(m, after, COUNT_OF(after));
            for (size_t j = 0; j < COUNT_OF(after); j++)
                CHECK_TRUE("an accepted model forecasts", isfinite(after[j]));
        }
        tft_model_close(m);
    }
    forecast_first(kept, after, COUNT_OF(after));
    assert_memory_equal(before, after, sizeof before);
    tft_model_close(kept);
    print_message("  %zu of %d mutated files were accepted\n", accepted, MUTATIONS);
    assert_true(accepted > 0 && accepted < MUTATIONS);
}

/* A file without the second names loads to the same forecast; a second name that differs is
 * refused. */
static void test_aliases(void **state)
{
    struct tft_safetensors *file;
    struct fw_error err;
    struct tft_tensor_out kept[512];
    size_t n = 0;
    float want[28], got[28];
    struct tft_model *m;
    struct fw_buf buf;
    char room[256];
    (void)state;
    assert_int_equal(tft_safetensors_parse(copy_bytes(good.weights, good.weights_size),
                                           good.weights_size, "x", &file, &err),
                     FW_OK);
    for (int second = 0; second < 2;
         second++) { /* the first names only, then one second name only */
        n = 0;
        for (size_t i = 0; i < tft_safetensors_count(file); i++) {
            const struct tft_tensor *t = tft_safetensors_at(file, i);
            const bool alias = tft_net_first_name(t->name, room, sizeof room) != t->name;
            const bool hour =
                strcmp(t->name, "decoder_variable_selection.prescalers.hour.weight") == 0;
            if (second ? (alias && !hour) || strcmp(t->name, "prescalers.hour.weight") == 0 : alias)
                continue;
            kept[n] = (struct tft_tensor_out){
                .name = t->name, .dtype = t->dtype, .rank = t->rank, .data = t->data};
            memcpy(kept[n++].shape, t->shape, sizeof t->shape);
        }
        fw_buf_init(&buf, (size_t)1 << 24);
        tft_safetensors_write(&buf, kept, n);
        assert_false(buf.failed);
        if (tft_model_load(copy_bytes(buf.data, buf.len), buf.len, (const char *)good.spec,
                           good.spec_size, NULL, &m, &err) != FW_OK)
            fail_msg("%s", err.text);
        forecast_first(m, second ? got : want, COUNT_OF(want));
        tft_model_close(m);
        fw_buf_fini(&buf);
    }
    assert_memory_equal(want, got, sizeof want);
    unsigned char *bytes = copy_bytes(good.weights, good.weights_size);
    const struct tft_tensor *alias =
        tft_safetensors_find(file, "decoder_variable_selection.prescalers.hour.weight");
    uintptr_t lowest = UINTPTR_MAX; /* the first tensor begins where the header ends */
    for (size_t i = 0; i < tft_safetensors_count(file); i++) {
        const uintptr_t at = (uintptr_t)tft_safetensors_at(file, i)->data;
        lowest = at < lowest ? at : lowest;
    }
    bytes[8 + good.header + ((uintptr_t)alias->data - lowest)] ^= 1;
    assert_int_equal(load(bytes, good.weights_size, good.spec, good.spec_size, &err), FW_ECORRUPT);
    assert_non_null(strstr(err.text, "shares its weights"));
    fw_free(bytes);
    tft_safetensors_close(file);
}

struct reasons {
    size_t n;
};

static void count_reason(void *ctx, const char *text)
{
    struct reasons *r = ctx;
    assert_true(text[0] != '\0');
    r->n++;
}

/* Every reason is told, not only the first. */
static void test_all_reasons(void **state)
{
    struct reasons seen = {0};
    const struct tft_report report = {count_reason, &seen};
    struct tft_model *m;
    const float bad = NAN;
    (void)state;
    unsigned char *bytes = copy_bytes(good.weights, good.weights_size);
    memcpy(bytes + 8 + good.header, &bad, sizeof bad);
    memcpy(bytes + 8 + good.header + 48, &bad, sizeof bad);
    assert_int_equal(tft_model_load(bytes, good.weights_size, (const char *)good.spec,
                                    good.spec_size, &report, &m, NULL),
                     FW_ECORRUPT);
    assert_int_equal(seen.n, 2);
}

static void test_no_memory(void **state)
{
    struct fw_error err;
    long n = 0;
    (void)state;
    for (;;) {
        unsigned char *bytes = copy_bytes(good.weights, good.weights_size);
        struct tft_model *m;
        fw_alloc_fail_at(++n);
        const enum fw_status status = tft_model_load(
            bytes, good.weights_size, (const char *)good.spec, good.spec_size, NULL, &m, &err);
        const bool reached = fw_alloc_count() >= n;
        fw_alloc_fail_at(0);
        tft_model_close(m);
        if (!reached)
            break;
        CHECK_EQ("status", status, FW_ENOMEM);
    }
    assert_true(n > 10);
}

/* ---------------------------------------------------------------- files that are no files */
static char root[64];

static void in_root(char *path, const char *name)
{
    (void)snprintf(path, GOLDEN_PATH_SIZE, "%s/%s", root, name);
}

static void put_file(const char *name, const void *bytes, size_t size)
{
    char path[GOLDEN_PATH_SIZE];
    in_root(path, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static void make_dir(const char *name)
{
    char path[GOLDEN_PATH_SIZE];
    in_root(path, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void link_in_root(const char *target, const char *name)
{
    char path[GOLDEN_PATH_SIZE];
    in_root(path, name);
    assert_int_equal(symlink(target, path), 0);
}

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/fw-test-model-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command); /* NOLINT: the path is ours */
}

static void test_kinds_of_files(void **state)
{
    static const struct {
        const char *name, *dir;
        enum fw_status status;
    } rows[] = {
        {"fine",               "fine",    FW_OK       },
        {"missing weights",    "missing", FW_ENOTFOUND},
        {"a directory",        "dir",     FW_EINVAL   },
        {"a FIFO",             "fifo",    FW_EINVAL   },
        {"a link",             "link",    FW_EINVAL   },
        {"a link to a device", "device",  FW_EINVAL   },
        {"10 GB, sparse",      "sparse",  FW_ELIMIT   },
        {"empty",              "empty",   FW_ECORRUPT },
    };
    char path[GOLDEN_PATH_SIZE], other[GOLDEN_PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        make_dir(rows[i].dir);
        (void)snprintf(other, sizeof other, "%s/spec.json", rows[i].dir);
        put_file(other, good.spec, good.spec_size);
    }
    put_file("fine/model.safetensors", good.weights, good.weights_size);
    make_dir("dir/model.safetensors");
    in_root(path, "fifo/model.safetensors");
    assert_int_equal(mkfifo(path, 0600), 0);
    link_in_root("../fine/model.safetensors", "link/model.safetensors");
    link_in_root("/dev/zero", "device/model.safetensors");
    put_file("empty/model.safetensors", "", 0);
    put_file("sparse/model.safetensors", good.weights, 64);
    in_root(path, "sparse/model.safetensors");
    assert_int_equal(truncate(path, (off_t)10 << 30), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tft_model *m;
        struct fw_error err = {.text = ""};
        in_root(path, rows[i].dir);
        const enum fw_status got = tft_model_open(path, NULL, &m, &err);
        if (got != rows[i].status)
            fail_msg("%s: %s \"%s\"", rows[i].name, fw_status_name(got), err.text);
        tft_model_close(m);
    }
}

/* M4: none of these names opens anything outside the root. */
static void test_names(void **state)
{
    static const struct {
        const char *name;
        enum fw_status status;
    } rows[] = {
        {"fine",                 FW_OK       },
        {"nested/fine",          FW_OK       },
        {"",                     FW_EINVAL   },
        {".",                    FW_EINVAL   },
        {"..",                   FW_EINVAL   },
        {"../outside",           FW_EINVAL   },
        {"fine/..",              FW_EINVAL   },
        {"fine/../fine",         FW_EINVAL   },
        {"nested/../../outside", FW_EINVAL   },
        {"./fine",               FW_EINVAL   },
        {"/",                    FW_EINVAL   },
        {"/etc",                 FW_EINVAL   },
        {"//fine",               FW_EINVAL   },
        {"fine/",                FW_EINVAL   },
        {"nested//fine",         FW_EINVAL   },
        {"fine\n",               FW_EINVAL   },
        {"fi\tne",               FW_EINVAL   },
        {"fi\x7fne",             FW_EINVAL   },
        {"fi\x01ne",             FW_EINVAL   },
        {" fine",                FW_EINVAL   },
        {"fine ",                FW_EINVAL   },
        {"fi\xc0\xafne",         FW_EINVAL   },
        {"\xff",                 FW_EINVAL   },
        {"..%2foutside",         FW_ENOTFOUND},
        {"%2e%2e",               FW_ENOTFOUND},
        {"..\\outside",          FW_ENOTFOUND},
        {"con",                  FW_ENOTFOUND},
        {"nul",                  FW_ENOTFOUND},
        {"COM1",                 FW_ENOTFOUND},
        {"C:",                   FW_ENOTFOUND},
        {"~",                    FW_ENOTFOUND},
        {"~root",                FW_ENOTFOUND},
        {"-rf",                  FW_ENOTFOUND},
        {"$HOME",                FW_ENOTFOUND},
        {"`id`",                 FW_ENOTFOUND},
        {"fine;id",              FW_ENOTFOUND},
        {"...",                  FW_ENOTFOUND},
        {"FINE",                 FW_ENOTFOUND},
        {"fine.",                FW_ENOTFOUND},
        {"spec.json",            FW_EINVAL   },
        {"way-out",              FW_EINVAL   },
        {"way-out/inner",        FW_EINVAL   },
        {"parent-link/fine",     FW_EINVAL   },
        {"self",                 FW_EINVAL   },
        {"hard",                 FW_EINVAL   },
        {"inner-link",           FW_EINVAL   },
    };
    char path[GOLDEN_PATH_SIZE], from[GOLDEN_PATH_SIZE], models[GOLDEN_PATH_SIZE], name[5000];
    (void)state;
    make_dir("models");
    make_dir("outside");
    const char *const dirs[] = {"models/fine", "models/nested",     "models/nested/fine",
                                "models/hard", "models/inner-link", "outside/inner"};
    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        make_dir(dirs[i]);
    const char *const homes[] = {"models/fine", "models/nested/fine", "outside/inner",
                                 "outside",     "models/hard",        "models/inner-link"};
    for (size_t i = 0; i < COUNT_OF(homes); i++) {
        (void)snprintf(name, sizeof name, "%s/spec.json", homes[i]);
        put_file(name, good.spec, good.spec_size);
        (void)snprintf(name, sizeof name, "%s/model.safetensors", homes[i]);
        if (i < 4)
            put_file(name, good.weights, good.weights_size);
    }
    put_file("models/spec.json", good.spec, good.spec_size);
    link_in_root("../outside", "models/way-out");
    link_in_root("nested", "models/parent-link");
    link_in_root(".", "models/self");
    link_in_root("../../outside/model.safetensors", "models/inner-link/model.safetensors");
    in_root(from, "outside/model.safetensors");
    in_root(path, "models/hard/model.safetensors");
    assert_int_equal(link(from, path), 0);
    in_root(models, "models");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tft_model *m;
        struct fw_error err = {.text = ""};
        const enum fw_status got = tft_model_open_beneath(models, rows[i].name, NULL, &m, &err);
        if (got != rows[i].status)
            fail_msg("\"%s\": %s \"%s\"", rows[i].name, fw_status_name(got), err.text);
        tft_model_close(m);
    }
    for (size_t len = 256; len < sizeof name; len *= 4) { /* long names */
        struct tft_model *m;
        memset(name, 'a', len);
        name[len] = '\0';
        CHECK_EQ("long name", tft_model_open_beneath(models, name, NULL, &m, NULL), FW_EINVAL);
    }
}

static void test_import(void **state)
{
    char from[GOLDEN_PATH_SIZE], to[GOLDEN_PATH_SIZE], missing[GOLDEN_PATH_SIZE];
    struct tft_model *m;
    struct fw_error err;
    (void)state;
    golden_path(from, "tiny", "");
    in_root(to, "imported");
    in_root(missing, "no-such-dir");
    assert_int_equal(tft_import(missing, NULL, to, NULL, &err), FW_ENOTFOUND);
    assert_int_equal(tft_model_open(to, NULL, &m, NULL), FW_ENOTFOUND);
    if (tft_import(from, NULL, to, NULL, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(tft_model_open(to, NULL, &m, &err), FW_OK);
    tft_model_close(m);
    assert_int_equal(tft_import(from, NULL, to, NULL, &err),
                     FW_EINVAL); /* never over another model */
}

/* model run, file to file: what is written is what the reader reads. */
static void test_run_file(void **state)
{
    char dir[GOLDEN_PATH_SIZE], in[GOLDEN_PATH_SIZE], out[GOLDEN_PATH_SIZE], want[GOLDEN_PATH_SIZE];
    struct tft_safetensors *a, *b;
    struct tft_model *m;
    struct fw_error err;
    (void)state;
    assert_int_equal(tft_model_open(golden_path(dir, "tiny", ""), NULL, &m, &err), FW_OK);
    in_root(out, "out.safetensors");
    golden_path(in, "tiny", "input.safetensors");
    if (tft_run_file(m, in, out, 2, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(tft_safetensors_open(out, &a, &err), FW_OK);
    assert_int_equal(
        tft_safetensors_open(golden_path(want, "tiny", "output.safetensors"), &b, &err), FW_OK);
    for (size_t i = 0; i < tft_safetensors_count(b); i++) {
        const struct tft_tensor *x = tft_safetensors_at(b, i),
                                *y = tft_safetensors_find(a, x->name);
        assert_non_null(y);
        CHECK_EQ(x->name, y->rank, x->rank);
        CHECK_EQ(x->name, memcmp(y->shape, x->shape, x->rank * sizeof *x->shape), 0);
        for (size_t j = 0; j < x->count; j++)
            CHECK_NEAR(x->name, tft_tensor_f32(y, j), tft_tensor_f32(x, j), 1e-4);
    }
    tft_safetensors_close(a);
    tft_safetensors_close(b);
    assert_int_equal(tft_run_file(m, golden_path(want, "tiny", "output.safetensors"), out, 1, &err),
                     FW_EINVAL);
    tft_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_rows),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_spec_rows),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_all_reasons),
        cmocka_unit_test(test_mutated_files),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test_setup_teardown(test_kinds_of_files, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_names, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_import, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_run_file, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, load_good, free_good);
}
