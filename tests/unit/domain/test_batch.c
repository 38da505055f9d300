/* Batches: filling, refusing, and the journal's bytes there and back. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/rng.h"
#include "domain/batch.h"

#include <stdlib.h>

static struct schema schema;

static void add(struct sample_batch *batch, const char *name, int64_t time_ms, const int *metrics,
                size_t n)
{
    struct sample_row head = {.time_ms = time_ms,
                              .record = (uint32_t)batch->records++,
                              .status = STATUS_IDLE,
                              .profile = PROFILE_DATABASE};
    assert_int_equal(batch_name(batch, name, strlen(name), &head.name), FW_OK);
    assert_int_equal(batch_row_begin(batch, &head), FW_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(batch_value(batch, metrics[i], (float)metrics[i] + 0.5f), FW_OK);
    assert_true(batch_row_end(batch));
}

static void test_filling(void **state)
{
    (void)state;
    struct sample_batch *batch = batch_new();
    static const int metrics[] = {METRIC_CPU_USER, METRIC_LOAD_AVERAGE};
    add(batch, "a", 1000, metrics, 2);
    add(batch, "b", 2000, metrics, 1);
    add(batch, "a", 3000, metrics, 2);
    assert_int_equal(batch->name_count, 2);
    assert_int_equal(batch->row_count, 3);
    assert_int_equal(batch->value_count, 5);
    assert_int_equal(batch->rows[2].name, 0);
    /* A metric twice in a row: the last value. */
    struct sample_row head = {.time_ms = 1};
    assert_int_equal(batch_row_begin(batch, &head), FW_OK);
    assert_int_equal(batch_value(batch, 3, 1), FW_OK);
    assert_int_equal(batch_value(batch, 3, 2), FW_OK);
    assert_true(batch_row_end(batch));
    assert_int_equal(batch->rows[3].value_count, 1);
    CHECK_NEAR("last", batch->values[5].value, 2, 0);
    /* A row without values goes away. */
    assert_int_equal(batch_row_begin(batch, &head), FW_OK);
    assert_false(batch_row_end(batch));
    assert_int_equal(batch->row_count, 4);
    batch->rows[0].value_count = 0;
    batch->rows[3].value_count = 0;
    batch_compact(batch);
    assert_int_equal(batch->row_count, 2);
    assert_int_equal(batch->rows[0].name, 1);
    assert_int_equal(batch->rows[1].time_ms, 3000);
    batch_free(batch);
    batch_free(NULL);
}

static void test_many_names(void **state)
{
    (void)state;
    enum { NAMES = 20000 };
    struct sample_batch *batch = batch_new();
    for (int round = 0; round < 3; round++) {
        for (int pass = 0; pass < 2; pass++) {
            for (uint32_t i = 0; i < NAMES; i++) {
                char name[32];
                uint32_t index;
                const int len = snprintf(name, sizeof name, "server-%u", i * 7919u);
                assert_int_equal(batch_name(batch, name, (size_t)len, &index), FW_OK);
                assert_int_equal(index, i);
                assert_string_equal(batch->names[i].text, name);
            }
        }
        assert_int_equal(batch->name_count, NAMES);
        batch_reset(batch);
        assert_int_equal(batch->name_count, 0);
    }
    batch_free(batch);
}

static void test_refusals(void **state)
{
    (void)state;
    struct sample_batch *batch = batch_new();
    char long_name[SERVER_NAME_MAX + 20];
    memset(long_name, 'n', sizeof long_name);
    for (size_t i = 0; i < 50; i++)
        batch_reject(batch, i, i % 2 ? BATCH_BAD_VALUE : BATCH_TOO_OLD, i == 0 ? NULL : "field",
                     long_name,
                     i == 1   ? SERVER_NAME_MAX
                     : i == 2 ? sizeof long_name
                              : 3,
                     "text %zu", i);
    assert_int_equal(batch_rejected_total(batch), 50);
    assert_int_equal(batch->rejected[BATCH_BAD_VALUE], 25);
    assert_int_equal(batch->error_count, BATCH_ERRORS_MAX);
    assert_string_equal(batch->errors[0].field, "");
    assert_string_equal(batch->errors[3].text, "text 3");
    assert_string_equal(batch->errors[3].server_name, "nnn");
    assert_int_equal(strlen(batch->errors[1].server_name), SERVER_NAME_MAX);
    assert_string_equal(batch->errors[2].server_name, "");
    for (int reason = 0; reason < BATCH_REASON_COUNT; reason++)
        assert_non_null(batch_reason_name((enum batch_reason)reason));
    batch_reset(batch);
    assert_int_equal(batch_rejected_total(batch) + batch->error_count, 0);
    batch_free(batch);
}

static void change_labels(struct sample_batch *batch)
{
    struct label_set set;
    label_set_clear(&set);
    assert_true(label_set_put(&set, "dc", 2, "fra", 3));
    assert_true(batch_label_change(batch, "s1", 2, &set));
    assert_true(label_set_put(&set, "rack", 4, "r\xc3\xa4", 3));
    assert_true(batch_label_change(batch, "elsewhere", 9, &set));
}

static struct sample_batch *random_batch(struct fw_rng *rng, size_t rows)
{
    struct sample_batch *batch = batch_new();
    batch->received_ms = INT64_C(1800000000000) + (int64_t)fw_rng_below(rng, 1000000);
    for (size_t i = 0; i < rows; i++) {
        char name[16];
        struct sample_value values[METRIC_DEFAULT_COUNT];
        size_t n = 0;
        for (int m = 0; m < METRIC_DEFAULT_COUNT; m++)
            if (fw_rng_below(rng, 2) > 0)
                values[n++] = (struct sample_value){(uint16_t)m, (float)fw_rng_uniform(rng)};
        if (n == 0)
            values[n++] = (struct sample_value){METRIC_DISK_USAGE, 1};
        struct sample_row head = {.time_ms = (int64_t)fw_rng_below(rng, 1u << 30) * 1000,
                                  .record = (uint32_t)batch->records++,
                                  .status = (uint8_t)fw_rng_below(rng, STATUS_COUNT),
                                  .profile =
                                      fw_rng_below(rng, 2) ? PROFILE_UNKNOWN : PROFILE_WEB_API};
        snprintf(name, sizeof name, "s%u", (unsigned)fw_rng_below(rng, 9));
        assert_int_equal(batch_name(batch, name, strlen(name), &head.name), FW_OK);
        assert_int_equal(batch_row_put(batch, &head, values, n), FW_OK);
    }
    if (rows % 2 == 0)
        change_labels(batch);
    return batch;
}

static void assert_same(const struct sample_batch *a, const struct sample_batch *b)
{
    assert_int_equal(a->received_ms, b->received_ms);
    assert_int_equal(a->name_count, b->name_count);
    for (size_t i = 0; i < a->name_count; i++)
        assert_string_equal(a->names[i].text, b->names[i].text);
    assert_int_equal(a->row_count, b->row_count);
    for (size_t i = 0; i < a->row_count; i++) {
        const struct sample_row *x = &a->rows[i], *y = &b->rows[i];
        assert_true(x->name == y->name && x->time_ms == y->time_ms && x->status == y->status &&
                    x->profile == y->profile && x->value_count == y->value_count);
        for (size_t k = 0; k < x->value_count; k++) {
            assert_int_equal(a->values[x->first_value + k].metric,
                             b->values[y->first_value + k].metric);
            CHECK_NEAR("value", a->values[x->first_value + k].value,
                       b->values[y->first_value + k].value, 0);
        }
    }
}

static void assert_same_labels(const struct sample_batch *a, const struct sample_batch *b)
{
    size_t x = 0, y = 0, x_len, y_len;
    const char *x_server, *y_server;
    struct label_set x_set, y_set;
    assert_int_equal(batch_label_changes(a), batch_label_changes(b));
    while (batch_label_changes_next(a, &x, &x_server, &x_len, &x_set)) {
        assert_true(batch_label_changes_next(b, &y, &y_server, &y_len, &y_set));
        assert_true(x_len == y_len && memcmp(x_server, y_server, x_len) == 0);
        assert_true(x_set.count > 0 && label_set_equal(&x_set, &y_set));
    }
    assert_false(batch_label_changes_next(b, &y, &y_server, &y_len, &y_set));
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    for (size_t rows = 0; rows < 300; rows += 1 + rows / 3) {
        struct sample_batch *batch = random_batch(&rng, rows), *back = batch_new();
        struct fw_buf bytes;
        fw_buf_init(&bytes, 1 << 20);
        batch_encode(batch, &schema, &bytes);
        assert_false(bytes.failed);
        assert_int_equal(batch_decode(bytes.data, bytes.len, &schema, back, NULL), FW_OK);
        assert_same(batch, back);
        assert_same_labels(batch, back);
        assert_int_equal(back->records, rows);
        assert_int_equal(bytes.data[0], rows % 2 == 0 ? 2 : 1); /* the old form where it will do */
        fw_buf_fini(&bytes);
        batch_free(batch);
        batch_free(back);
    }
}

static void test_changed_schema(void **state)
{
    (void)state;
    struct schema other = schema;
    /* The reader has lost a metric and its own numbers differ. */
    other.metrics[METRIC_CPU_USER] = schema.metrics[METRIC_LOAD_AVERAGE];
    snprintf(other.metrics[METRIC_LOAD_AVERAGE].name, sizeof other.metrics[0].name, "other");
    struct sample_batch *batch = batch_new(), *back = batch_new();
    static const int both[] = {METRIC_CPU_USER, METRIC_LOAD_AVERAGE}, lost[] = {METRIC_CPU_USER};
    add(batch, "a", 1000, both, 2);
    add(batch, "a", 2000, lost, 1);
    struct fw_buf bytes;
    fw_buf_init(&bytes, 1 << 20);
    batch_encode(batch, &schema, &bytes);
    assert_int_equal(batch_decode(bytes.data, bytes.len, &other, back, NULL), FW_OK);
    assert_int_equal(back->row_count, 1);
    assert_int_equal(back->values[0].metric, METRIC_CPU_USER);
    CHECK_NEAR("value", back->values[0].value, METRIC_LOAD_AVERAGE + 0.5, 0);
    fw_buf_fini(&bytes);
    batch_free(batch);
    batch_free(back);
}

/* A body has no checksum of its own (the record has), so a flip may pass as another value; it must
 * not pass as a wrong one. */
static void test_cuts_and_flips(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 2);
    struct sample_batch *batch = random_batch(&rng, 40);
    struct fw_buf bytes;
    fw_buf_init(&bytes, 1 << 20);
    batch_encode(batch, &schema, &bytes);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        char *exact = malloc(cut + 1); /* so that ASan sees a read beyond the cut */
        memcpy(exact, bytes.data, cut);
        struct sample_batch *back = batch_new();
        struct fw_error err = {0};
        assert_int_equal(batch_decode(exact, cut, &schema, back, &err), FW_ECORRUPT);
        assert_true(err.text[0] != '\0' && err.offset <= cut);
        batch_free(back);
        free(exact);
    }
    fw_buf_putc(&bytes, 0);
    struct sample_batch *longer = batch_new();
    assert_int_equal(batch_decode(bytes.data, bytes.len, &schema, longer, NULL), FW_ECORRUPT);
    batch_free(longer);
    bytes.len--;
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        struct sample_batch *back = batch_new();
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
        const enum fw_status status = batch_decode(bytes.data, bytes.len, &schema, back, NULL);
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << bit % 8));
        assert_true(status == FW_OK || status == FW_ECORRUPT || status == FW_EVERSION);
        for (size_t i = 0; i < back->row_count && status == FW_OK; i++) {
            const struct sample_row *row = &back->rows[i];
            assert_true(row->name < back->name_count && row->status < STATUS_COUNT);
            assert_true(row->time_ms >= 0 && row->time_ms < BATCH_TIME_END_MS);
            for (size_t k = 0; k < row->value_count; k++) {
                const struct sample_value *v = &back->values[row->first_value + k];
                double value = (double)v->value;
                assert_true(schema_accept(&schema.metrics[v->metric], &value));
            }
        }
        batch_free(back);
    }
    bytes.data[0] = 3;
    struct sample_batch *back = batch_new();
    struct fw_error err;
    assert_int_equal(batch_decode(bytes.data, bytes.len, &schema, back, &err), FW_EVERSION);
    batch_free(back);
    fw_buf_fini(&bytes);
    batch_free(batch);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 3);
    struct sample_batch *batch = random_batch(&rng, 400);
    struct fw_buf bytes;
    fw_buf_init(&bytes, 1 << 20);
    batch_encode(batch, &schema, &bytes);
    long n = 1;
    for (bool ran_out = true; ran_out; n++) {
        struct sample_batch *back = batch_new();
        fw_alloc_fail_at(n);
        const enum fw_status status = batch_decode(bytes.data, bytes.len, &schema, back, NULL);
        ran_out = fw_alloc_count() >= n;
        fw_alloc_fail_at(0);
        CHECK_EQ("decode", status, ran_out ? FW_ENOMEM : FW_OK);
        batch_free(back);
    }
    assert_true(n > 8);
    fw_alloc_fail_at(1);
    assert_null(batch_new());
    fw_alloc_fail_at(0);
    fw_buf_fini(&bytes);
    fw_buf_init(&bytes, 100); /* a ceiling instead of memory */
    batch_encode(batch, &schema, &bytes);
    assert_true(bytes.failed);
    fw_buf_fini(&bytes);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filling),         cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_changed_schema),  cmocka_unit_test(test_cuts_and_flips),
        cmocka_unit_test(test_memory_runs_out),
    };
    schema_default(&schema);
    return cmocka_run_group_tests_name("domain batch", tests, NULL, NULL);
}
