/* Which steps are origins. */
#include "support.h"

#include "evaluate/origins.h"
#include "unit/evaluate/made_set.h"

/* A server of `steps` steps, all there but those from..to. */
static void find(size_t steps, size_t test, size_t from, size_t to, bool ett,
                 struct evaluate_timeline *out)
{
    struct evaluate_set *set = made_set(1, 2, steps, test);
    struct fw_error err;
    set->ett = ett;
    for (size_t t = 0; t < steps; t++) {
        if (t < from || t >= to) /* either metric makes a step seen */
            made_value(set, 0, t % 2, t, 1.0);
    }
    if (evaluate_origins_find(set, 0, out, &err) != FW_OK)
        fail_msg("%s", err.text);
    evaluate_set_free(set);
}

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t steps, test, from, to;
        size_t n_test, first_test, last_test, n_past, last_past;
    } rows[] = {
        {"whole",                         1000, 600, 0,   0,   4, 600, 888, 10, 504},
        {"the last horizon just fits",    984,  600, 0,   0,   4, 600, 888, 10, 504},
        {"and just does not",             983,  600, 0,   0,   3, 600, 792, 10, 504},
        {"the test part begins at once",  500,  0,   0,   0,   2, 288, 384, 0,  0  },
        {"the test part is too short",    690,  600, 0,   0,   0, 0,   0,   10, 504},
        {"no test part",                  500,  900, 0,   0,   0, 0,   0,   5,  384},
        {"half of the context is enough", 1000, 600, 312, 456, 4, 600, 888, 10, 504},
        {"less is not",                   1000, 600, 312, 457, 3, 696, 888, 8,  456},
        {"a gap in the test part itself", 1000, 600, 600, 800, 2, 600, 696, 10, 504},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct evaluate_timeline t;
        find(rows[i].steps, rows[i].test, rows[i].from, rows[i].to, false, &t);
        CHECK_EQ(rows[i].name, t.test.n, rows[i].n_test);
        CHECK_EQ(rows[i].name, t.past.n, rows[i].n_past);
        if (t.test.n > 0) {
            CHECK_EQ(rows[i].name, t.test.at[0], rows[i].first_test);
            CHECK_EQ(rows[i].name, t.test.at[t.test.n - 1], rows[i].last_test);
        }
        if (t.past.n > 0) {
            CHECK_EQ(rows[i].name, t.past.at[0], 288);
            CHECK_EQ(rows[i].name, t.past.at[t.past.n - 1], rows[i].last_past);
        }
        CHECK_EQ(rows[i].name, t.each.n, 0);
        evaluate_origins_fini(&t);
    }
}

static void test_each_step_of_ett(void **state)
{
    (void)state;
    struct evaluate_timeline t;
    find(1000, 600, 0, 0, true, &t);
    CHECK_EQ("every step", t.each.n, 1000 - 600 - 96 + 1);
    CHECK_EQ("first", t.each.at[0], 600);
    CHECK_EQ("last", t.each.at[t.each.n - 1], 904);
    evaluate_origins_fini(&t);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct evaluate_set *set = made_set(1, 1, 1000, 600);
    set->ett = true;
    for (size_t t = 0; t < 1000; t++)
        made_value(set, 0, 0, t, 1.0);
    for (long n = 1; n <= 4; n++) {
        struct evaluate_timeline t;
        struct fw_error err;
        fw_alloc_fail_at(n);
        CHECK_EQ("no memory", evaluate_origins_find(set, 0, &t, &err), FW_ENOMEM);
        fw_alloc_fail_at(0);
        evaluate_origins_fini(&t);
    }
    evaluate_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_each_step_of_ett),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
