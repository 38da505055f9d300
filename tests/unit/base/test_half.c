/* Half precision: every half there and back, and the rounding between neighbours. */
#include "support.h"

#include "base/half.h"

static void test_there_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000u; h++) {
        const float value = fw_half_to((uint16_t)h);
        if (isnan(value)) {
            CHECK_EQ("NaN", fw_half_from(value), FW_HALF_NAN);
            continue;
        }
        CHECK_EQ("the same half", fw_half_from(value), h);
    }
}

static void test_rounding(void **state)
{
    (void)state;
    for (uint32_t h = 0; h + 1 < 0x7c00u; h++) {
        const double low = (double)fw_half_to((uint16_t)h),
                     high = (double)fw_half_to((uint16_t)(h + 1));
        const float middle = (float)((low + high) / 2);
        CHECK_EQ("a tie goes to the even one", fw_half_from(middle), h % 2 == 0 ? h : h + 1);
        CHECK_EQ("below", fw_half_from(nextafterf(middle, 0.0f)), h);
        CHECK_EQ("above", fw_half_from(nextafterf(middle, 1e6f)), h + 1);
        CHECK_EQ("negative", fw_half_from(-middle), 0x8000u | (h % 2 == 0 ? h : h + 1));
    }
}

static void test_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float value;
        uint16_t half;
    } rows[] = {
        {"one",              1.0f,      0x3c00},
        {"largest",          65504.0f,  0x7bff},
        {"just rounds down", 65519.0f,  0x7bff},
        {"too large",        65520.0f,  0x7c00},
        {"infinity",         INFINITY,  0x7c00},
        {"minus infinity",   -INFINITY, 0xfc00},
        {"minus zero",       -0.0f,     0x8000},
        {"smallest",         0x1p-24f,  0x0001},
        {"half of that",     0x1p-25f,  0x0000},
        {"denormal float",   1e-42f,    0x0000},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, fw_half_from(rows[i].value), rows[i].half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
