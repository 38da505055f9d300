/* Input assembly: bit for bit against the goldens that hold raw rows, and the rules for what is
 * missing. */
#include "support.h"

#include "base/alloc.h"
#include "base/json.h"
#include "tft/assemble.h"
#include "tft/calendar.h"
#include "tft/file.h"
#include "tft/model.h"
#include "tft/safetensors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, SERVERS = 4, ROWS_MAX = 512, COLUMNS_MAX = 32 };

static void shared_path(char *path, const char *set, const char *name)
{
    const char *shared = getenv("FW_SHARED");
    if (shared != NULL)
        (void)snprintf(path, PATH_SIZE, "%s/tft/golden/%s/%s", shared, set, name);
    else
        (void)snprintf(path, PATH_SIZE, "%s/../shared/tft/golden/%s/%s", FW_SOURCE_DIR, set, name);
}

static void small_path(char *path, const char *set)
{
    (void)snprintf(path, PATH_SIZE, "%s/tests/golden/tft/%s", FW_SOURCE_DIR, set);
}

static struct tft_safetensors *tensors_at(const char *path)
{
    struct tft_safetensors *file;
    struct fw_error err;
    if (tft_safetensors_open(path, &file, &err) != FW_OK)
        fail_msg("%s: %s", path, err.text);
    return file;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    char dir[PATH_SIZE];
    const char *name;
    unsigned char *bytes;
    struct fw_error err;
    int fd;
    assert_true(tft_file_split(path, dir, sizeof dir, &name));
    assert_int_equal(tft_file_open_dir(dir, &fd, &err), FW_OK);
    assert_int_equal(tft_file_read(fd, name, 1 << 26, false, &bytes, size, &err), FW_OK);
    close(fd);
    return bytes;
}

/* One golden set: the model's spec, the rows of each server as columns, the statuses as codes. */
struct golden {
    struct tft_model *model;
    const struct tft_spec *spec;
    struct tft_safetensors *raw, *input;
    struct fw_json_parser *json;
    struct fw_json_value root;
    double columns[COLUMNS_MAX][ROWS_MAX];
    int64_t steps[ROWS_MAX];
    int32_t status[ROWS_MAX], profile;
    struct tft_column reals[COLUMNS_MAX];
    struct tft_codes codes[2];
};

static bool golden_open(struct golden *g, const char *set)
{
    char path[PATH_SIZE];
    size_t size;
    struct fw_error err;
    memset(g, 0, sizeof *g);
    shared_path(path, set, "raw.json");
    if (access(path, R_OK) != 0) {
        print_message("  %s: skipped\n", path);
        return false;
    }
    unsigned char *bytes = read_file(path, &size);
    g->json = fw_json_parser_new(1 << 26, 16);
    assert_int_equal(fw_json_parse(g->json, (const char *)bytes, size, &g->root, &err), FW_OK);
    fw_free(bytes);
    shared_path(path, set, "raw.safetensors");
    g->raw = tensors_at(path);
    shared_path(path, set, "input.safetensors");
    g->input = tensors_at(path);
    shared_path(path, set, "");
    if (tft_model_open(path, NULL, &g->model, &err) != FW_OK)
        fail_msg("%s: %s", path, err.text);
    g->spec = tft_model_spec(g->model);
    return true;
}

static void golden_close(struct golden *g)
{
    tft_model_close(g->model);
    tft_safetensors_close(g->input);
    tft_safetensors_close(g->raw);
    fw_json_parser_free(g->json);
}

static const char *text_of(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    size_t len;
    assert_true(fw_json_get(object, key, &value));
    return fw_json_string(value, &len);
}

/* Turns one server's rows into the view that the daemon would give. Returns the number of rows. */
static size_t load_server(struct golden *g, struct fw_json_value server)
{
    char name[64];
    struct fw_json_value list, item;
    (void)snprintf(name, sizeof name, "rows.%s", text_of(server, "server_id"));
    const struct tft_tensor *rows = tft_safetensors_find(g->raw, name);
    const size_t n = rows->shape[0], width = rows->shape[1];
    assert_true(n <= ROWS_MAX && width <= COLUMNS_MAX);
    for (size_t r = 0; r < n; r++) {
        for (size_t c = 0; c < width; c++)
            g->columns[c][r] = tft_tensor_f64(rows, r * width + c);
        g->steps[r] = (int64_t)g->columns[0][r];
    }
    assert_true(fw_json_get(g->root, "columns", &list));
    struct fw_json_iter iter = fw_json_walk(list);
    for (size_t c = 0; fw_json_next(&iter, &item); c++) {
        size_t len;
        const size_t at = tft_spec_real(g->spec, fw_json_string(item, &len));
        if (at != SIZE_MAX)
            g->reals[at] = (struct tft_column){g->columns[c], NULL, n};
    }
    const size_t status = tft_spec_categorical(g->spec, "status"),
                 profile = tft_spec_categorical(g->spec, "profile");
    assert_true(fw_json_get(server, "status", &list));
    iter = fw_json_walk(list);
    for (size_t r = 0; fw_json_next(&iter, &item); r++) {
        size_t len;
        g->status[r] =
            tft_vocabulary_code(&g->spec->categoricals[status], fw_json_string(item, &len));
    }
    g->profile = tft_vocabulary_code(&g->spec->categoricals[profile], text_of(server, "profile"));
    g->codes[status] = (struct tft_codes){g->status, n};
    g->codes[profile] = (struct tft_codes){&g->profile, 1};
    return n;
}

static void same_bits(const char *what, const struct tft_tensor *want, size_t at, const float *got,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float x = tft_tensor_f32(want, at + i);
        if (memcmp(&x, &got[i], sizeof x) != 0)
            fail_msg("%s: [%zu] is %.9g, expected %.9g", what, i, (double)got[i], (double)x);
    }
}

static void same_codes(const char *what, const struct tft_tensor *want, size_t at,
                       const int32_t *got, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(what, got[i], tft_tensor_i64(want, at + i));
}

static void check_server(struct golden *g, size_t i, size_t rows, const struct tft_scales *scales)
{
    const struct tft_spec *s = g->spec;
    const size_t e = s->history_max * s->n_reals, d = s->horizon * s->n_reals;
    const size_t ec = s->history_max * s->n_categoricals, dc = s->horizon * s->n_categoricals;
    float output_scale[2 * TFT_TARGETS_MAX];
    struct tft_assembled out = {
        .history_codes = fw_calloc(ec, sizeof(int32_t)),
        .horizon_codes = fw_calloc(dc, sizeof(int32_t)),
        .history_reals = fw_calloc(e, sizeof(float)),
        .horizon_reals = fw_calloc(d, sizeof(float)),
        .output_scale = output_scale,
    };
    const struct tft_series series = {rows, g->steps, g->reals, g->codes};
    struct fw_error err;
    if (tft_assemble(s, &series, scales, &out, &err) != FW_OK)
        fail_msg("server %zu: %s", i, err.text);
    CHECK_EQ("length", out.history_length,
             tft_tensor_i64(tft_safetensors_find(g->input, "encoder_lengths"), i));
    same_bits("encoder_cont", tft_safetensors_find(g->input, "encoder_cont"), i * e,
              out.history_reals, e);
    same_bits("decoder_cont", tft_safetensors_find(g->input, "decoder_cont"), i * d,
              out.horizon_reals, d);
    same_bits("target_scale", tft_safetensors_find(g->input, "target_scale"), i * 2 * s->n_targets,
              output_scale, 2 * s->n_targets);
    same_codes("encoder_cat", tft_safetensors_find(g->input, "encoder_cat"), i * ec,
               out.history_codes, ec);
    same_codes("decoder_cat", tft_safetensors_find(g->input, "decoder_cat"), i * dc,
               out.horizon_codes, dc);
    fw_free(out.history_codes);
    fw_free(out.horizon_codes);
    fw_free(out.history_reals);
    fw_free(out.horizon_reals);
}

static void bit_for_bit(const char *set)
{
    static struct golden g;
    const char *groups[SERVERS];
    struct tft_scales scales[SERVERS];
    struct fw_json_value servers, server;
    if (!golden_open(&g, set))
        skip();
    assert_true(fw_json_get(g.root, "servers", &servers));
    assert_int_equal(fw_json_count(servers), SERVERS);
    struct fw_json_iter iter = fw_json_walk(servers);
    for (size_t i = 0; fw_json_next(&iter, &server); i++)
        groups[i] = text_of(server, "server_id");
    tft_scales_of_set(g.spec, SERVERS, groups, scales);
    iter = fw_json_walk(servers);
    for (size_t i = 0; fw_json_next(&iter, &server); i++)
        check_server(&g, i, load_server(&g, server), &scales[i]);
    golden_close(&g);
}

static void test_argus_single(void **state)
{
    (void)state;
    bit_for_bit("argus-single");
}

static void test_argus_multi(void **state)
{
    (void)state;
    bit_for_bit("argus-multi");
}

/* The pairs that the tiny set was scaled with: center and scale of the server before, by the
 * shifted look-up. */
static void test_scales(void **state)
{
    char path[PATH_SIZE];
    struct tft_model *m;
    struct fw_error err;
    (void)state;
    small_path(path, "tiny");
    assert_int_equal(tft_model_open(path, NULL, &m, &err), FW_OK);
    const struct tft_spec *s = tft_model_spec(m);
    const struct tft_normalizer *n = &s->normalizers[0];
    const struct {
        const char *name, *group;
        bool first_new;
        struct tft_pair own, used;
    } rows[] = {
        {"the first gets the medians",        "s01", false, n->by_group[0].pair, n->missing         },
        {"the second gets the first's",       "s02", false, n->by_group[1].pair, n->by_group[0].pair},
        {"the first new one gets the last's", "zz",  true,  n->missing,
         n->by_group[n->n_groups - 1].pair                                                          },
        {"another new one gets the medians",  "zz",  false, n->missing,          n->missing         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tft_scales got;
        tft_scales_of(s, rows[i].group, rows[i].first_new, &got);
        CHECK_NEAR(rows[i].name, got.own[0].center, rows[i].own.center, 0.0);
        CHECK_NEAR(rows[i].name, got.used[0].center, rows[i].used.center, 0.0);
        CHECK_NEAR(rows[i].name, got.used[0].scale, rows[i].used.scale, 0.0);
    }
    tft_model_close(m);
}

/* EncoderNormalizer: the pair of each golden sample from its own history. */
static void test_sample_normaliser(void **state)
{
    char path[PATH_SIZE], file[PATH_SIZE + 32];
    struct tft_model *m;
    struct fw_error err;
    (void)state;
    small_path(path, "tiny-edge");
    assert_int_equal(tft_model_open(path, NULL, &m, &err), FW_OK);
    const struct tft_spec *s = tft_model_spec(m);
    (void)snprintf(file, sizeof file, "%s/input.safetensors", path);
    struct tft_safetensors *in = tensors_at(file);
    const struct tft_tensor *y = tft_safetensors_find(in, "encoder_target");
    const struct tft_tensor *pairs = tft_safetensors_find(in, "target_scale");
    const struct tft_tensor *reals = tft_safetensors_find(in, "encoder_cont");
    const struct tft_tensor *lengths = tft_safetensors_find(in, "encoder_lengths");
    const struct tft_codes codes[2] = {
        {(const int32_t[]){0}, 1},
        {(const int32_t[]){0}, 1}
    };
    for (size_t b = 0; b < 3; b++) {
        const size_t n = (size_t)tft_tensor_i64(lengths, b);
        double cpu[16] = {0}, mem[16] = {0};
        for (size_t t = 0; t < n; t++) {
            cpu[t] = (double)tft_tensor_f32(y, (b * 12 + t) * 2);
            mem[t] = (double)tft_tensor_f32(y, (b * 12 + t) * 2 + 1);
        }
        const struct tft_column columns[] = {
            {cpu, NULL, n},
            {mem, NULL, n}
        };
        const struct tft_series series = {n + s->horizon, NULL, columns, codes};
        int32_t hc[24], dc[8];
        float hr[24], dr[8], scale[4];
        struct tft_assembled out = {hc, dc, hr, dr, scale, 0};
        struct tft_scales scales;
        tft_scales_of(s, "s01", false, &scales);
        assert_int_equal(tft_assemble(s, &series, &scales, &out, &err), FW_OK);
        CHECK_EQ("length", out.history_length, n);
        for (size_t i = 0; i < 4; i++)
            CHECK_NEAR("pair", scale[i], tft_tensor_f32(pairs, b * 4 + i), 3e-5);
        for (size_t i = 0; i < 2 * n; i++)
            CHECK_NEAR("scaled", hr[i], tft_tensor_f32(reals, b * 24 + i), 3e-5);
    }
    tft_safetensors_close(in);
    tft_model_close(m);
}

/* The tiny spec: 12 -> 4 steps, at least 6; reals ..., hour, relative_time_idx, cpu_pct, mem_pct.
 */
static void test_missing_values(void **state)
{
    char path[PATH_SIZE];
    struct tft_model *m;
    struct fw_error err;
    (void)state;
    small_path(path, "tiny");
    assert_int_equal(tft_model_open(path, NULL, &m, &err), FW_OK);
    const struct tft_spec *s = tft_model_spec(m);
    const size_t hour = tft_spec_real(s, "hour"), mem = tft_spec_real(s, "mem_pct"),
                 cpu = s->target_real[0];
    double hours[16], cpus[12];
    float mems[12];
    int32_t status[12];
    for (size_t i = 0; i < 16; i++)
        hours[i] = (double)i;
    for (size_t i = 0; i < 12; i++) {
        cpus[i] = i < 2 ? (double)NAN : 40.0 + (double)i;
        mems[i] = i == 5 ? NAN : i == 6 ? INFINITY : 50.0f + (float)i;
        status[i] = i == 0 ? -1 : i == 4 ? -1 : 2;
    }
    struct tft_column reals[7] = {{0}};
    reals[hour] = (struct tft_column){hours, NULL, 16};
    reals[cpu] = (struct tft_column){cpus, NULL, 12};
    reals[mem] = (struct tft_column){NULL, mems, 12};
    const struct tft_codes codes[2] = {
        {(const int32_t[]){1}, 1 },
        {status,               12}
    };
    int32_t hc[24], dc[8];
    float hr[12 * 7], dr[4 * 7], scale[2];
    struct tft_assembled out = {hc, dc, hr, dr, scale, 0};
    struct tft_scales scales;
    tft_scales_of(s, "s02", false, &scales);
    const struct tft_series series = {16, NULL, reals, codes};
    assert_int_equal(tft_assemble(s, &series, &scales, &out, &err), FW_OK);
    CHECK_EQ("length", out.history_length, 12);
    CHECK_NEAR("no target yet", hr[0 * 7 + cpu], 0.0, 0.0);
    CHECK_NEAR("first target", hr[2 * 7 + cpu], (42.0 - scales.own[0].center) / scales.own[0].scale,
               1e-6);
    CHECK_NEAR("a missing value repeats", hr[5 * 7 + mem], hr[4 * 7 + mem], 0.0);
    CHECK_NEAR("an infinite one repeats", hr[6 * 7 + mem], hr[4 * 7 + mem], 0.0);
    CHECK_NEAR("then goes on", hr[7 * 7 + mem],
               (57.0 - s->reals[mem].scaler.mean) / s->reals[mem].scaler.scale, 1e-6);
    CHECK_NEAR("unknown on the horizon", dr[mem], 0.0, 0.0);
    CHECK_NEAR("known on the horizon", dr[hour],
               (12.0 - s->reals[hour].scaler.mean) / s->reals[hour].scaler.scale, 1e-6);
    CHECK_EQ("no code yet", hc[1], s->categoricals[1].unknown_index);
    CHECK_EQ("code", hc[3], 2);
    CHECK_EQ("a missing code repeats", hc[4 * 2 + 1], 2);
    const int64_t steps[] = {0, 1, 1};
    const struct tft_series standing = {3, steps, reals, codes}, few = {9, NULL, reals, codes};
    assert_int_equal(tft_assemble(s, &standing, &scales, &out, &err), FW_EINVAL);
    assert_int_equal(tft_assemble(s, &few, &scales, &out, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "shortest history"));
    tft_model_close(m);
}

static void test_calendar(void **state)
{
    static const struct {
        const char *name;
        int64_t time_ms;
        double hour, day, month, weekend;
    } rows[] = {
        {"epoch, a Thursday",            0,             0,  3, 1,  0},
        {"one millisecond before",       -1,            23, 2, 12, 0},
        {"Saturday 2025-03-01 05:59:59", 1740808799000, 5,  5, 3,  1},
        {"Sunday 2024-12-29 12:00",      1735473600000, 12, 6, 12, 1},
        {"Monday 2024-02-26 00:00",      1708905600000, 0,  0, 2,  0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *const names[] = {"hour", "day_of_week", "month", "is_weekend"};
        const double want[] = {rows[i].hour, rows[i].day, rows[i].month, rows[i].weekend};
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            double got = -1.0;
            tft_calendar_fill(tft_calendar_kind(names[k]), 1, &rows[i].time_ms, &got);
            CHECK_NEAR(rows[i].name, got, want[k], 0.0);
        }
    }
    assert_int_equal(tft_calendar_kind("cpu"), TFT_NO_CALENDAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argus_single),   cmocka_unit_test(test_argus_multi),
        cmocka_unit_test(test_scales),         cmocka_unit_test(test_sample_normaliser),
        cmocka_unit_test(test_missing_values), cmocka_unit_test(test_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
