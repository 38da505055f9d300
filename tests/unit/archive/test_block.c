#include "block_support.h"

#include "archive/block_internal.h"
#include "base/alloc.h"
#include "base/rng.h"

static struct archive_codec *codec;

static int set_up(void **state)
{
    (void)state;
    codec = archive_codec_new();
    return codec == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    archive_codec_free(codec);
    archive_codec_free(NULL);
    return 0;
}

static size_t encode(const struct archive_block *block, struct fw_buf *out)
{
    struct fw_error err = {0};
    const size_t before = out->len;
    if (archive_block_encode(codec, block, out, &err) != FW_OK)
        fail_msg("%s", err.text);
    return out->len - before;
}

static struct archive_block *round_trip(const struct archive_block *block, size_t *bytes)
{
    struct archive_block *back = block_new(0, 0);
    struct fw_buf buf;
    struct fw_error err = {0};
    fw_buf_init(&buf, 1 << 20);
    *bytes = encode(block, &buf);
    if (archive_block_decode(codec, buf.data, buf.len, back, &err) != FW_OK)
        fail_msg("%s", err.text);
    fw_buf_fini(&buf);
    return back;
}

/* ---- one metric of every kind ---- */

enum kind {
    NOISE,
    CONSTANT,
    SPIKES,
    INTEGERS,
    THOUSANDS,
    TWO_DECIMALS,
    STAIRS,
    BURSTS,
    MILLIONS,
    WILD,
    HUGE_VALUES,
    TINY_VALUES,
    DENORMAL,
    LARGEST,
    NEGATIVE,
    ALONE,
    RAMP,
};

static float value_of(enum kind kind, struct fw_rng *rng, size_t i)
{
    const double noise = fw_rng_normal(rng), uniform = fw_rng_uniform(rng);
    switch (kind) {
    case NOISE:
        return (float)(50.0 + 3.0 * noise);
    case CONSTANT:
        return 12.345678f;
    case SPIKES:
        return (float)(i % 40 == 7 ? 1e6 * uniform : 1.0 + 0.01 * noise);
    case INTEGERS:
        return (float)floor(20.0 * uniform);
    case THOUSANDS:
        return (float)(1000.0 * floor(20.0 * uniform));
    case TWO_DECIMALS:
        return (float)(round(100.0 * (5.0 + 0.1 * noise)) / 100.0);
    case STAIRS:
        return (float)(i / 50) * 7.77f;
    case BURSTS:
        return (float)(i % 16 < 13 ? 0.0 : 40.0 * uniform);
    case MILLIONS:
        return (float)(1e8 + 40.0 * noise);
    case WILD:
        return (float)(pow(10.0, 30.0 * uniform) * (noise < 0.0 ? -1.0 : 1.0));
    case HUGE_VALUES:
        return (float)(1e30 * (1.0 + 0.1 * noise));
    case TINY_VALUES:
        return (float)(1e-30 * (1.0 + 0.1 * noise));
    case DENORMAL:
        return (float)(1e-42 * floor(100.0 * uniform));
    case LARGEST:
        return i % 3 == 0 ? FLT_MAX : i % 3 == 1 ? -FLT_MAX : (float)(1e38 * uniform);
    case NEGATIVE:
        return (float)(-5.0 + noise);
    case ALONE:
        return i == 77 ? 3.25f : NAN;
    case RAMP:
        return (float)(3.0 + (double)i / 288.0);
    }
    return NAN;
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum kind kind;
        bool exact;
        size_t bytes_max; /* of the whole block */
    } rows[] = {
        {"noise",              NOISE,        false, 220},
        {"constant",           CONSTANT,     true,  40 },
        {"rare spikes",        SPIKES,       false, 500},
        {"integers",           INTEGERS,     true,  170},
        {"thousands",          THOUSANDS,    true,  170},
        {"two decimals",       TWO_DECIMALS, true,  180},
        {"stairs",             STAIRS,       false, 60 },
        {"zero but in bursts", BURSTS,       false, 160},
        {"many digits",        MILLIONS,     false, 250},
        {"all magnitudes",     WILD,         false, 700},
        {"huge",               HUGE_VALUES,  false, 220},
        {"tiny",               TINY_VALUES,  false, 220},
        {"denormal",           DENORMAL,     false, 360},
        {"the largest",        LARGEST,      false, 700},
        {"negative",           NEGATIVE,     false, 220},
        {"one value",          ALONE,        true,  40 },
        {"a ramp",             RAMP,         false, 120},
    };
    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct fw_rng rng;
            fw_rng_init(&rng, seed);
            struct archive_block *block = block_new(300, 12345);
            float *values = block_metric(block, "cpu_user_pct");
            for (size_t i = 0; i < ARCHIVE_STEPS; i++)
                values[i] = value_of(rows[r].kind, &rng, i);
            size_t bytes;
            struct archive_block *back = round_trip(block, &bytes);
            CHECK_EQ(rows[r].name, back->metrics, 1);
            check_block_values(rows[r].name, values, back->metric[0].values);
            if (rows[r].exact)
                check_floats(rows[r].name, back->metric[0].values, values, ARCHIVE_STEPS, 0, 0);
            if (bytes > rows[r].bytes_max)
                fail_msg("%s: %zu bytes", rows[r].name, bytes);
            free(back);
            free(block);
        }
    }
}

/* ---- whole blocks ---- */

static void fill_randomly(struct archive_block *block, struct fw_rng *rng)
{
    const size_t metrics = (size_t)fw_rng_below(rng, ARCHIVE_METRICS_MAX + 1);
    const bool gaps = fw_rng_below(rng, 2) == 0;
    bool down[ARCHIVE_STEPS] = {false};
    for (size_t i = 0; gaps && i < ARCHIVE_STEPS; i++)
        down[i] = fw_rng_below(rng, 10) < 3;
    for (size_t m = 0; m < metrics; m++) {
        char name[SCHEMA_METRIC_NAME_MAX + 1];
        const int len = snprintf(name, sizeof name, "m%zu_of_a_name_that_is_not_known_at_all", m);
        name[len - (int)fw_rng_below(rng, 35)] = '\0';
        float *values = block_metric(block, name);
        const enum kind kind = (enum kind)fw_rng_below(rng, RAMP + 1);
        const uint64_t missing = fw_rng_below(rng, 3) == 0 ? fw_rng_below(rng, 100) : 0;
        for (size_t i = 0; i < ARCHIVE_STEPS; i++)
            if (!down[i] && fw_rng_below(rng, 100) >= missing)
                values[i] = value_of(kind, rng, i);
    }
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        block->statuses[i] =
            (uint8_t)(fw_rng_below(rng, 8) == 0 ? fw_rng_below(rng, STATUS_COUNT) : STATUS_HEALTHY);
    block->profile = (uint8_t)fw_rng_below(rng, PROFILE_COUNT);
}

static bool is_empty(const struct archive_metric *metric)
{
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        if (!isnan(metric->values[i]))
            return false;
    return true;
}

static void test_random_blocks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fw_rng rng;
        char name[32];
        snprintf(name, sizeof name, "seed %d", (int)seed);
        fw_rng_init(&rng, seed);
        struct archive_block *block = block_new((uint32_t)(1 + fw_rng_below(&rng, 3600)),
                                                (int64_t)fw_rng_below(&rng, 400000));
        fill_randomly(block, &rng);
        size_t bytes, there = 0;
        struct archive_block *back = round_trip(block, &bytes);
        CHECK_EQ(name, back->step_s, block->step_s);
        CHECK_EQ(name, back->number, block->number);
        CHECK_EQ(name, back->profile, block->profile);
        CHECK_TRUE(name, memcmp(back->statuses, block->statuses, sizeof block->statuses) == 0);
        for (size_t m = 0; m < block->metrics; m++) {
            const struct archive_metric *got = archive_block_find(back, block->metric[m].name);
            CHECK_EQ(name, got == NULL, is_empty(&block->metric[m]));
            if (got == NULL)
                continue;
            check_block_values(name, block->metric[m].values, got->values);
            there++;
        }
        CHECK_EQ(name, back->metrics, there);
        CHECK_TRUE(name, archive_block_covers(back, back));
        free(back);
        free(block);
    }
}

/* The names of the default schema take a byte; a new metric there would have to get a number. */
static void test_known_names(void **state)
{
    (void)state;
    struct schema schema;
    schema_default(&schema);
    struct archive_block *block = block_new(300, 1);
    struct fw_buf body;
    fw_buf_init(&body, ARCHIVE_BODY_MAX);
    for (size_t m = 0; m < schema.count; m++)
        block_metric(block, schema.metrics[m].name)[0] = 1.0f;
    archive_body_put(block, &body);
    CHECK_TRUE("a byte for each name", body.len < 20 + schema.count * 6 + 1);
    fw_buf_fini(&body);
    free(block);
}

/* ---- written again ---- */

static void test_covers(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 3);
    struct archive_block *block = block_new(300, 7);
    float *noise = block_metric(block, "cpu_user_pct"),
          *whole = block_metric(block, "mem_used_pct");
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        noise[i] = value_of(NOISE, &rng, i);
        whole[i] = value_of(INTEGERS, &rng, i);
        block->statuses[i] = STATUS_HEALTHY;
    }
    whole[9] = NAN;
    size_t bytes;
    struct archive_block *kept = round_trip(block, &bytes);
    CHECK_TRUE("what was encoded", archive_block_covers(kept, block));
    struct archive_block *now = block_new(300, 7);
#define CHANGED(name, covered, ...)                                                                \
    do {                                                                                           \
        *now = *block;                                                                             \
        __VA_ARGS__;                                                                               \
        CHECK_EQ(name, archive_block_covers(kept, now), covered);                                  \
    } while (0)
    CHANGED("a changed value", false, now->metric[0].values[5] += 1.0f);
    CHANGED("a value within what is rounded away", true,
            now->metric[0].values[5] = kept->metric[0].values[5]);
    CHANGED("an exact value, off by little", false, now->metric[1].values[5] += 0.25f);
    CHANGED("a new value", false, now->metric[1].values[9] = 4.0f);
    CHANGED("a value that is no longer there", true, now->metric[1].values[5] = NAN);
    CHANGED("another status", false, now->statuses[3] = STATUS_IDLE);
    CHANGED("no status", true, now->statuses[3] = STATUS_UNKNOWN);
    CHANGED("another profile", true, now->profile = PROFILE_DATABASE);
    CHANGED("another metric", false, block_metric(now, "load_average")[2] = 1.0f);
    CHANGED("a metric without values", true, block_metric(now, "load_average"));
    CHANGED("a metric less", true, now->metrics = 1);
#undef CHANGED
    free(now);
    free(kept);
    free(block);
}

static void test_fill(void **state)
{
    (void)state;
    struct archive_block *older = block_new(300, 7), *block = block_new(300, 7);
    older->statuses[0] = STATUS_IDLE;
    older->statuses[1] = STATUS_IDLE;
    block->statuses[1] = STATUS_HEALTHY;
    float *a = block_metric(older, "a"), *b = block_metric(older, "b");
    a[0] = 1.0f, a[1] = 2.0f, b[0] = 3.0f;
    float *c = block_metric(block, "c"), *own = block_metric(block, "a");
    c[5] = 9.0f, own[1] = 7.0f;
    CHECK_TRUE("all found room", archive_block_fill(block, older));
    CHECK_EQ("metrics", block->metrics, 3);
    CHECK_NEAR("taken over", own[0], 1, 0);
    CHECK_NEAR("the newer one stays", own[1], 7, 0);
    CHECK_NEAR("a metric that was not there", archive_block_find(block, "b")->values[0], 3, 0);
    CHECK_NEAR("of its own", c[5], 9, 0);
    CHECK_EQ("status", block->statuses[0], STATUS_IDLE);
    CHECK_EQ("status", block->statuses[1], STATUS_HEALTHY);
    while (block->metrics < ARCHIVE_METRICS_MAX) {
        char name[16];
        snprintf(name, sizeof name, "m%zu", block->metrics);
        block_metric(block, name)[0] = 1.0f;
    }
    block_metric(older, "z")[0] = 1.0f;
    CHECK_TRUE("no room for one more", !archive_block_fill(block, older));
    CHECK_EQ("metrics", block->metrics, ARCHIVE_METRICS_MAX);
    free(older);
    free(block);
}

/* Steps leave the window while late samples go on coming: what was rounded once stays as it is. */
static void test_written_again_and_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fw_rng rng;
        fw_rng_init(&rng, seed);
        float truth[ARCHIVE_STEPS];
        for (size_t i = 0; i < ARCHIVE_STEPS; i++)
            truth[i] = value_of(NOISE, &rng, i);
        struct archive_block *block = block_new(300, 7);
        memcpy(block_metric(block, "x"), truth, sizeof truth);
        size_t bytes;
        struct archive_block *kept = round_trip(block, &bytes), *first = block_new(300, 7);
        *first = *kept;
        for (size_t gone = 10; gone < ARCHIVE_STEPS; gone += 10) {
            /* The changes of what is left are smaller and smaller, so the quantum shrinks. */
            *block = (struct archive_block){.step_s = 300, .number = 7};
            float *values = block_metric(block, "x");
            for (size_t i = gone; i < ARCHIVE_STEPS; i++)
                values[i] = truth[i] = 50.0f + (truth[i] - 50.0f) * 0.8f;
            CHECK_TRUE("a late sample", !archive_block_covers(kept, block));
            CHECK_TRUE("room", archive_block_fill(block, kept));
            free(kept);
            kept = round_trip(block, &bytes);
            for (size_t i = 0; i < 10; i++)
                CHECK_TRUE("as first written",
                           kept->metric[0].values[i] == first->metric[0].values[i]);
            check_block_values("within its error", block->metric[0].values, kept->metric[0].values);
        }
        free(first);
        free(kept);
        free(block);
    }
}

/* ---- hostile bytes ---- */

/* Whatever decodes must be something that can be encoded. */
static void must_hold_together(const struct archive_block *block)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    (void)encode(block, &buf);
    fw_buf_fini(&buf);
}

static struct archive_block *some_block(void)
{
    struct fw_rng rng;
    fw_rng_init(&rng, 11);
    struct archive_block *block = block_new(300, 7);
    for (int kind = NOISE; kind <= RAMP; kind++) {
        char name[16];
        snprintf(name, sizeof name, "metric_%d", kind);
        float *values = block_metric(block, kind == NOISE ? "cpu_user_pct" : name);
        for (size_t i = 0; i < ARCHIVE_STEPS; i++)
            values[i] =
                i % 50 == 3 || (int)i % 20 == kind ? NAN : value_of((enum kind)kind, &rng, i);
    }
    return block;
}

static void test_cut_bodies(void **state)
{
    (void)state;
    struct archive_block *block = some_block(), *back = block_new(0, 0);
    struct fw_buf body;
    fw_buf_init(&body, ARCHIVE_BODY_MAX);
    archive_body_put(block, &body);
    for (size_t cut = 0; cut < body.len; cut++) {
        unsigned char *exact = malloc(cut + 1); /* so that a sanitizer sees a step too far */
        assert_non_null(exact);
        memcpy(exact, body.data, cut);
        if (archive_body_get(exact, cut, back))
            fail_msg("cut at %zu", cut);
        free(exact);
    }
    fw_buf_putc(&body, 0);
    CHECK_TRUE("a byte more", !archive_body_get(body.data, body.len, back));
    fw_buf_fini(&body);
    free(back);
    free(block);
}

static void test_changed_bodies(void **state)
{
    (void)state;
    struct archive_block *block = some_block(), *back = block_new(0, 0);
    struct fw_buf body;
    struct fw_rng rng;
    size_t taken = 0;
    fw_rng_init(&rng, 5);
    fw_buf_init(&body, ARCHIVE_BODY_MAX);
    archive_body_put(block, &body);
    for (int round = 0; round < 20000; round++) {
        const size_t at = (size_t)fw_rng_below(&rng, body.len);
        const char before = body.data[at];
        body.data[at] = (char)fw_rng_below(&rng, 256);
        if (archive_body_get(body.data, body.len, back)) {
            must_hold_together(back);
            taken++;
        }
        body.data[at] = before;
    }
    CHECK_TRUE("most are values, which have no wrong ones", taken > 5000 && taken < 20000);
    fw_buf_fini(&body);
    free(back);
    free(block);
}

static void test_refusals(void **state)
{
    (void)state;
#define HEAD "\xac\x02\x07\x00\x01\x90\x01" /* 300 s, block 7, generic, healthy all along */
    static const struct {
        const char *name, *bytes;
        size_t len;
        bool good;
    } rows[] = {
#define ROW(name, text, good) {name, text, sizeof(text) - 1, good}
        ROW("no metrics", HEAD "\x90\x01\x00", true),
        ROW("nothing held", HEAD "\x00\x90\x01\x00", true),
        ROW("no step", "\x00\x07\x00\x01\x90\x01\x90\x01\x00", false),
        ROW("a step of two hours", "\xa0\x38\x07\x00\x01\x90\x01\x90\x01\x00", false),
        ROW("after the year 10000", "\xac\x02\xff\xff\xff\xff\xff\x01\x00\x01\x90\x01\x90\x01\x00",
            false),
        ROW("statuses too short", "\xac\x02\x07\x00\x01\x8f\x01\x90\x01\x00", false),
        ROW("an empty run of statuses", "\xac\x02\x07\x00\x01\x00\x01\x90\x01\x90\x01\x00", false),
        ROW("statuses too long", "\xac\x02\x07\x00\x01\x91\x01\x90\x01\x00", false),
        ROW("an empty run in a mask", HEAD "\x01\x00\x8f\x01\x00", false),
        ROW("two empty runs in a mask", HEAD "\x00\x00\x90\x01\x00", false),
        ROW("a mask too long", HEAD "\x91\x01\x00", false),
        ROW("too many metrics", HEAD "\x90\x01\x41", false),
        ROW("a constant", HEAD "\x90\x01\x01\x01\x00\x00\x00\x80\x3f", true),
        ROW("the same name twice",
            HEAD "\x90\x01\x02\x01\x00\x00\x00\x80\x3f\x01\x00\x00\x00\x80\x3f", false),
        ROW("a number that is no name", HEAD "\x90\x01\x01\x10\x00\x00\x00\x80\x3f", false),
        ROW("a name in letters", HEAD "\x90\x01\x01\x00\x01x\x00\x00\x00\x80\x3f", true),
        ROW("no name", HEAD "\x90\x01\x01\x00\x00\x00\x00\x00\x80\x3f", false),
        ROW("a name with a blank", HEAD "\x90\x01\x01\x00\x03x y\x00\x00\x00\x80\x3f", false),
        ROW("another form", HEAD "\x90\x01\x01\x01\x03\x00\x00\x80\x3f", false),
        ROW("not a number", HEAD "\x90\x01\x01\x01\x00\x00\x00\xc0\x7f", false),
        ROW("infinite", HEAD "\x90\x01\x01\x01\x00\x00\x00\x80\x7f", false),
        ROW("a metric without values", HEAD "\x00\x90\x01\x01\x01\x00\x00\x00\x80\x3f", false),
        ROW("its own mask is empty", HEAD "\x90\x01\x01\x01\x80\x00\x90\x01\x00\x00\x80\x3f",
            false),
        ROW("one multiple", HEAD "\x01\x8f\x01\x01\x01\x01\x0c\xff\x01\x06", true),
        ROW("no mantissa", HEAD "\x01\x8f\x01\x01\x01\x01\x00\xff\x01\x06", false),
        ROW("three digits", HEAD "\x01\x8f\x01\x01\x01\x01\x64\xff\x01\x06", false),
        ROW("exponent too low", HEAD "\x01\x8f\x01\x01\x01\x01\x0c\xc3\x01\x06", false),
        ROW("exponent too high", HEAD "\x01\x8f\x01\x01\x01\x01\x0c\x29\x01\x06", false),
        ROW("no planes", HEAD "\x01\x8f\x01\x01\x01\x01\x0c\xff\x00\x06", false),
        ROW("four planes", HEAD "\x01\x8f\x01\x01\x01\x01\x0c\xff\x04\x06", false),
        ROW("beyond any float", HEAD "\x01\x8f\x01\x01\x01\x01\x63\x28\x01\x06", false),
        ROW("a multiple of 2^31", HEAD "\x01\x8f\x01\x01\x01\x01\x0c\xff\x01\x80\x80\x80\x80\x10",
            false),
#undef ROW
    };
    struct archive_block *back = block_new(0, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, archive_body_get(rows[i].bytes, rows[i].len, back), rows[i].good);
    free(back);
}

static void test_hostile_blocks(void **state)
{
    (void)state;
    struct archive_block *block = some_block(), *back = block_new(0, 0);
    struct fw_buf buf;
    struct fw_error err;
    struct fw_rng rng;
    fw_rng_init(&rng, 9);
    fw_buf_init(&buf, 1 << 20);
    (void)encode(block, &buf);
    for (size_t cut = 0; cut < buf.len; cut++)
        CHECK_EQ("cut", archive_block_decode(codec, buf.data, cut, back, &err), FW_ECORRUPT);
    for (int round = 0; round < 20000; round++) {
        const size_t at = (size_t)fw_rng_below(&rng, buf.len);
        const char before = buf.data[at];
        buf.data[at] = (char)fw_rng_below(&rng, 256);
        const enum fw_status status = archive_block_decode(codec, buf.data, buf.len, back, &err);
        if (status == FW_OK)
            must_hold_together(back);
        else
            CHECK_TRUE("damage", status == FW_ECORRUPT || (status == FW_EVERSION && at == 0));
        buf.data[at] = before;
    }
    buf.data[0] = 2;
    CHECK_EQ("later", archive_block_decode(codec, buf.data, buf.len, back, &err), FW_EVERSION);
    buf.data[0] = 0;
    CHECK_EQ("zero", archive_block_decode(codec, buf.data, buf.len, back, &err), FW_ECORRUPT);
    fw_buf_fini(&buf);
    free(back);
    free(block);
}

static void test_no_memory(void **state)
{
    (void)state;
    fw_alloc_fail_at(1);
    CHECK_TRUE("no codec", archive_codec_new() == NULL);
    fw_alloc_fail_at(0);
    struct archive_block *block = some_block();
    struct fw_error err;
    for (long n = 1;; n++) {
        struct archive_codec *fresh = archive_codec_new();
        struct fw_buf buf;
        fw_buf_init(&buf, 1 << 20);
        fw_alloc_fail_at(n);
        const enum fw_status status = archive_block_encode(fresh, block, &buf, &err);
        fw_alloc_fail_at(0);
        fw_buf_fini(&buf);
        archive_codec_free(fresh);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 1);
            break;
        }
        CHECK_EQ("status", status, FW_ENOMEM);
    }
    struct fw_buf narrow;
    fw_buf_init(&narrow, 100);
    CHECK_EQ("no room", archive_block_encode(codec, block, &narrow, &err), FW_ENOMEM);
    fw_buf_fini(&narrow);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),       cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_known_names), cmocka_unit_test(test_covers),
        cmocka_unit_test(test_fill),        cmocka_unit_test(test_written_again_and_again),
        cmocka_unit_test(test_cut_bodies),  cmocka_unit_test(test_changed_bodies),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_hostile_blocks),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
