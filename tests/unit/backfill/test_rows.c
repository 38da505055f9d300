/* What is left of a group's rows, and in which order. */
#include "backfill/rows.h"

#include "support.h"

static void put(struct sample_batch *batch, const char *server, int64_t time_ms, float value)
{
    const struct sample_value values[] = {
        {.metric = METRIC_LOAD_AVERAGE, .value = value}
    };
    struct sample_row head = {.record = (uint32_t)batch->records++, .time_ms = time_ms};
    assert_int_equal(batch_name(batch, server, strlen(server), &head.name), FW_OK);
    assert_int_equal(batch_row_put(batch, &head, values, 1), FW_OK);
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        const char *server;
        int64_t time_ms;
        float value;
    } in[] =
        {
            {"b", 100, 1},
            {"a", 50,  2},
            {"a", 300, 3},
            {"b", 200, 4},
            {"c", 250, 5},
            {"b", 300, 6},
            {"b", 200, 7},
            {"a", 120, 8}
    },
      out[] = {{"b", 300, 6}, {"b", 200, 4}, {"b", 200, 7},
               {"b", 100, 1}, {"a", 300, 3}, {"a", 120, 8}};
    struct sample_batch *batch = batch_new();
    for (size_t i = 0; i < COUNT_OF(in); i++)
        put(batch, in[i].server, in[i].time_ms, in[i].value);
    struct backfill_rows rows = {.begin_ms = 100, .alive_ms = 300};
    assert_int_equal(backfill_rows_finish(&rows, batch), FW_OK);
    CHECK_EQ("rows", batch->row_count, COUNT_OF(out));
    for (size_t i = 0; i < COUNT_OF(out); i++) {
        const struct sample_row *row = &batch->rows[i];
        CHECK_STR("server", batch->names[row->name].text, out[i].server);
        CHECK_EQ(out[i].server, row->time_ms, out[i].time_ms);
        CHECK_NEAR(out[i].server, batch->values[row->first_value].value, out[i].value, 0);
    }
    CHECK_EQ("one is gone", rows.gone, 1);
    CHECK_STR("which", rows.a_gone, "c");
    CHECK_EQ("first", rows.first_ms, 100);
    CHECK_EQ("last", rows.last_ms, 300);
    batch_free(batch);
}

static void test_none(void **state)
{
    (void)state;
    struct sample_batch *batch = batch_new();
    struct backfill_rows rows = {.begin_ms = 100, .gone = 7};
    assert_int_equal(backfill_rows_finish(&rows, batch), FW_OK);
    CHECK_EQ("nobody", rows.gone, 0);
    put(batch, "a", 99, 1);
    assert_int_equal(backfill_rows_finish(&rows, batch), FW_OK);
    CHECK_EQ("too early", batch->row_count, 0);
    CHECK_EQ("is not gone", rows.gone, 0);
    CHECK_EQ("no time", rows.first_ms, 0);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
