/* What cmocka 1.1.5 lacks: checks that name the row of a table, and tensor comparison with the
 * worst index. */
#ifndef FW_TESTS_SUPPORT_H
#define FW_TESTS_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Integers: prints the row's name and both values. */
#define CHECK_EQ(name, actual, expected)                                                           \
    do {                                                                                           \
        const long long check_a = (long long)(actual), check_e = (long long)(expected);            \
        if (check_a != check_e)                                                                    \
            fail_msg("%s: %s is %lld, expected %lld", (name), #actual, check_a, check_e);          \
    } while (0)

#define CHECK_NEAR(name, actual, expected, tolerance)                                              \
    do {                                                                                           \
        const double check_a = (double)(actual), check_e = (double)(expected);                     \
        if (!(fabs(check_a - check_e) <= (double)(tolerance)))                                     \
            fail_msg("%s: %s is %.9g, expected %.9g +- %g", (name), #actual, check_a, check_e,     \
                     (double)(tolerance));                                                         \
    } while (0)

#define CHECK_TRUE(name, condition)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: %s does not hold", (name), #condition);                                  \
    } while (0)

#define CHECK_STR(name, actual, expected)                                                          \
    do {                                                                                           \
        const char *check_a = (actual), *check_e = (expected);                                     \
        if (strcmp(check_a, check_e) != 0)                                                         \
            fail_msg("%s: %s is \"%s\", expected \"%s\"", (name), #actual, check_a, check_e);      \
    } while (0)

/* |actual - expected| <= tolerance * scale for all n; NaN equals NaN only. */
static inline void check_floats(const char *name, const float *actual, const float *expected,
                                size_t n, double scale, double tolerance)
{
    size_t worst = 0;
    double gap = -1.0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)actual[i] - (double)expected[i]);
        if (isnan((double)actual[i]) && isnan((double)expected[i]))
            d = 0.0;
        else if (isnan(d))
            d = (double)INFINITY;
        if (d > gap) {
            gap = d;
            worst = i;
        }
    }
    if (n > 0 && gap > tolerance * scale)
        fail_msg("%s: [%zu] is %.9g, expected %.9g (gap %.3g, allowed %.3g)", name, worst,
                 (double)actual[worst], (double)expected[worst], gap, tolerance * scale);
}

#endif
