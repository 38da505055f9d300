/* Quantiles against numpy's nanquantile, whose values the rows are. */
#include "support.h"

#include "evaluate/quantile.h"

#include <stdlib.h>

static void test_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t n;
        double values[12], expected[3];
    } rows[] = {
        {"one",             1,  {7},                                 {7, 7, 7}                                      },
        {"two",             2,  {1, 2},                              {1.1, 1.5, 1.9}                                },
        {"unsorted",        3,  {3, 1, 2},                           {1.2, 2, 2.8}                                  },
        {"all equal",       4,  {5, 5, 5, 5},                        {5, 5, 5}                                      },
        {"to the last bit", 4,  {0.1, 0.2, 0.3, 0.4},                {0.13, 0.25, 0.37000000000000005}              },
        {"repeated",        8,  {9, -3, 0.5, 0.5, 2.25, 100, 7, -3}, {-3, 1.375, 36.29999999999998}                 },
        {"two, last bit",   2,  {0.3, 0.1},                          {0.12000000000000001, 0.2, 0.27999999999999997}},
        {"on the values",   11, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, {2, 6, 10}                                     },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double values[12], out[3];
        memcpy(values, rows[i].values, sizeof values);
        evaluate_quantile(rows[i].n, values, out);
        for (size_t q = 0; q < 3; q++)
            CHECK_TRUE(rows[i].name, out[q] == rows[i].expected[q]);
    }
}

static void test_none(void **state)
{
    (void)state;
    double out[3] = {1, 2, 3};
    evaluate_quantile(0, NULL, out);
    for (size_t q = 0; q < 3; q++)
        CHECK_TRUE("no values", isnan(out[q]));
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Selection must find what sorting finds, whatever the order and however many values are equal. */
static void test_against_sorting(void **state)
{
    (void)state;
    enum { N = 400 };
    static const double levels[3] = {0.1, 0.5, 0.9};
    srand(7);
    for (int round = 0; round < 2000; round++) {
        double values[N], sorted[N], out[3];
        const size_t n = 1 + (size_t)rand() % N;
        const int kinds = 1 + rand() % 50;
        for (size_t i = 0; i < n; i++)
            values[i] = round % 3 == 0 ? (double)i : round % 3 == 1 ? -(double)i : rand() % kinds;
        memcpy(sorted, values, sizeof sorted);
        qsort(sorted, n, sizeof *sorted, by_value);
        evaluate_quantile(n, values, out);
        for (size_t q = 0; q < 3; q++) {
            const double place = (double)(n - 1) * levels[q];
            const size_t k = (size_t)place;
            const double next = sorted[k + 1 < n ? k + 1 : k];
            CHECK_NEAR("sorted", out[q], sorted[k] + (next - sorted[k]) * (place - (double)k),
                       1e-12 * N);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_against_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
