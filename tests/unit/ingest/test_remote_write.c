/* The bytes: snappy and protobuf, whole, cut, and lying about themselves. */
#include "ingest/remote_write.h"

#include "write_request.h"

#include <snappy-c.h>

enum { UNPACKED_MAX = 1 << 20 };

struct seen {
    size_t series, samples, faults, labels;
    double sum;
    int64_t last_ms;
    enum remote_write_fault fault; /* the last one */
    char name[64];
};

static enum fw_status see(void *ctx, const struct remote_write_series *series)
{
    struct seen *seen = ctx;
    size_t walked = 0;
    struct remote_write_sample sample;
    seen->series++;
    if (series->fault != REMOTE_WRITE_FINE) {
        seen->faults++;
        seen->fault = series->fault;
    }
    seen->labels += series->id.label_count;
    snprintf(seen->name, sizeof seen->name, "%.*s", (int)series->id.name_len, series->id.name);
    for (const unsigned char *at = NULL; remote_write_next(series, &at, &sample); walked++) {
        seen->sum += sample.value;
        seen->last_ms = sample.time_ms;
    }
    CHECK_EQ("samples walked", walked, series->sample_count);
    seen->samples += walked;
    return FW_OK;
}

static enum fw_status read_all(const struct fw_buf *request, size_t len, struct seen *seen)
{
    struct fw_error err = {0};
    /* A copy of exactly that length, so that a sanitizer sees each byte too many. */
    unsigned char *copy = malloc(len == 0 ? 1 : len);
    if (len > 0)
        memcpy(copy, request->data, len);
    memset(seen, 0, sizeof *seen);
    const enum fw_status status = remote_write_read(copy, len, see, seen, &err);
    if (status != FW_OK)
        CHECK_TRUE("the place is inside", err.offset <= len && err.text[0] != '\0');
    free(copy);
    return status;
}

/* Two series with what a real request holds beside them: metadata, exemplars, histograms, and
 * fields of every wire type that nobody knows. */
static void make_full(struct fw_buf *request)
{
    struct fw_buf series;
    fw_buf_init(request, 1 << 20);
    fw_buf_init(&series, 1 << 20);
    pb_labels(&series, "node_load1{instance=\"db1:9100\",job=\"node\"}");
    pb_sample(&series, 1.5, 1000);
    pb_text(&series, 3, "an exemplar");
    pb_text(&series, 4, "a histogram");
    pb_varint(&series, 9 << 3 | 5);
    fw_buf_put(&series, "\1\2\3\4", 4);
    pb_sample(&series, 2.5, 2000);
    pb_bytes(request, 1, series.data, series.len);
    pb_text(request, 3, "\x08\x01\x12\x04name\x22\x04help");
    pb_varint(request, 1000 << 3);
    pb_varint(request, UINT64_MAX);
    pb_double(request, 77, 1.0);
    pb_put(request, "up{instance=\"db1:9100\"}", 1, 3000);
    fw_buf_fini(&series);
}

static void test_a_full_request(void **state)
{
    struct fw_buf request;
    struct seen seen;
    (void)state;
    make_full(&request);
    assert_int_equal(read_all(&request, request.len, &seen), FW_OK);
    CHECK_EQ("series", seen.series, 2);
    CHECK_EQ("samples", seen.samples, 3);
    CHECK_EQ("faults", seen.faults, 0);
    CHECK_EQ("labels without the name", seen.labels, 3);
    CHECK_NEAR("sum", seen.sum, 5.0, 0);
    CHECK_EQ("time", seen.last_ms, 3000);
    CHECK_STR("name", seen.name, "up");
    fw_buf_fini(&request);
}

/* A request cut anywhere is either refused, or ends exactly where a field of the top level does. */
static void test_cut_at_every_byte(void **state)
{
    struct fw_buf request;
    struct seen seen, whole;
    size_t taken = 0;
    (void)state;
    make_full(&request);
    assert_int_equal(read_all(&request, request.len, &whole), FW_OK);
    for (size_t len = 0; len < request.len; len++) {
        const enum fw_status status = read_all(&request, len, &seen);
        CHECK_TRUE("cut", status == FW_OK || status == FW_EINVAL);
        CHECK_TRUE("nothing invented", seen.samples <= whole.samples);
        taken += status == FW_OK;
    }
    /* Before the first field and behind four of the five. */
    CHECK_EQ("cuts between fields", taken, 5);
    fw_buf_fini(&request);
}

static void test_no_write_request(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
    } rows[] = {
        {"field number 0",          "\x02\x00",                                         2 },
        {"group",                   "\x0b\x0c",                                         2 },
        {"wire type 6",             "\x0e",                                             1 },
        {"wire type 7",             "\x0f",                                             1 },
        {"length beyond the end",   "\x0a\x05xx",                                       4 },
        {"length of 2^63",          "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",         10},
        {"length of 2^64 - 1",      "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",     11},
        {"varint of eleven bytes",  "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12},
        {"varint beyond 64 bits",   "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",     11},
        {"varint without an end",   "\x08\x80",                                         2 },
        {"fixed64 too short",       "\x09\x01\x02\x03",                                 4 },
        {"series with half a tag",  "\x0a\x01\x80",                                     3 },
        {"label beyond its series", "\x0a\x04\x0a\x09xx",                               6 },
        {"name beyond its label",   "\x0a\x05\x0a\x03\x0a\x07x",                        7 },
        {"sample with a bad field", "\x0a\x03\x12\x01\x80",                             5 },
        {"tag beyond 29 bits",      "\x80\x80\x80\x80\x80\x01\x00",                     7 },
        {"text",                    "{\"records\":[]}",                                 14},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct seen seen;
        char bytes[32];
        memcpy(bytes, rows[i].bytes, rows[i].len);
        const struct fw_buf view = {.data = bytes, .len = rows[i].len};
        CHECK_EQ(rows[i].name, read_all(&view, rows[i].len, &seen), FW_EINVAL);
        CHECK_EQ(rows[i].name, seen.samples, 0);
    }
}

static void put_many_labels(struct fw_buf *series, size_t n)
{
    char name[32];
    pb_label(series, "__name__", "up");
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "l%zu", i);
        pb_label(series, name, "x");
    }
}

static void put_long_label(struct fw_buf *series, size_t name_len, size_t value_len)
{
    char *name = calloc(1, name_len + 1), *value = calloc(1, value_len + 1);
    memset(name, 'n', name_len);
    memset(value, 'v', value_len);
    pb_label(series, "__name__", "up");
    pb_label(series, name, value);
    free(name);
    free(value);
}

/* Each fault costs its series alone. */
static void test_faults(void **state)
{
    static const struct {
        const char *name;
        size_t labels, name_len, value_len;
        const char *metric, *value;
        enum remote_write_fault fault;
    } rows[] = {
        {"64 labels",                 64, 0,                         0,                          NULL, NULL,                        REMOTE_WRITE_FINE           },
        {"65 labels",                 65, 0,                         0,                          NULL, NULL,                        REMOTE_WRITE_TOO_MANY_LABELS},
        {"longest label",             0,  REMOTE_WRITE_NAME_MAX,     REMOTE_WRITE_VALUE_MAX,     NULL, NULL,
         REMOTE_WRITE_FINE                                                                                                                                      },
        {"name too long",             0,  REMOTE_WRITE_NAME_MAX + 1, 1,                          NULL, NULL,                        REMOTE_WRITE_LONG_LABEL     },
        {"value too long",            0,  1,                         REMOTE_WRITE_VALUE_MAX + 1, NULL, NULL,                        REMOTE_WRITE_LONG_LABEL     },
        {"UTF-8",                     0,  0,                         0,                          "up", "m\xc3\xbcnchen und umland", REMOTE_WRITE_FINE           },
        {"overlong form",             0,  0,                         0,                          "up", "\xc0\xaf",                  REMOTE_WRITE_BAD_UTF8       },
        {"cut sequence behind eight", 0,  0,                         0,                          "up", "12345678\xc3",              REMOTE_WRITE_BAD_UTF8       },
        {"sequence over eight",       0,  0,                         0,                          "up", "1234567\xc3\xbc",           REMOTE_WRITE_FINE           },
        {"no name",                   0,  0,                         0,                          "",   "x",                         REMOTE_WRITE_NO_NAME        },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_buf series, request;
        struct seen seen;
        fw_buf_init(&series, 1 << 20);
        fw_buf_init(&request, 1 << 20);
        if (rows[i].labels > 0) {
            put_many_labels(&series, rows[i].labels);
        } else if (rows[i].value_len > 0) {
            put_long_label(&series, rows[i].name_len, rows[i].value_len);
        } else {
            pb_label(&series, "__name__", rows[i].metric);
            pb_label(&series, "l", rows[i].value);
        }
        pb_sample(&series, 1, 1000);
        pb_bytes(&request, 1, series.data, series.len);
        pb_put(&request, "up{instance=\"a\"}", 41, 1000);
        CHECK_EQ(rows[i].name, read_all(&request, request.len, &seen), FW_OK);
        CHECK_EQ(rows[i].name, seen.fault, rows[i].fault);
        CHECK_EQ(rows[i].name, seen.series, 2);
        CHECK_NEAR(rows[i].name, seen.sum, 42, 0);
        fw_buf_fini(&series);
        fw_buf_fini(&request);
    }
}

static void test_stale_marker(void **state)
{
    (void)state;
    assert_true(remote_write_is_stale(pb_nan(0x7ff0000000000002)));
    assert_false(remote_write_is_stale(pb_nan(0x7ff8000000000001)));
    assert_false(remote_write_is_stale((double)INFINITY));
    assert_false(remote_write_is_stale(0.0));
}

static void test_unpack(void **state)
{
    struct fw_buf out, text;
    struct fw_error err;
    size_t packed_len = snappy_max_compressed_length(100000);
    char *packed = malloc(packed_len);
    (void)state;
    fw_buf_init(&out, UNPACKED_MAX);
    fw_buf_init(&text, UNPACKED_MAX);
    for (size_t i = 0; i < 100000; i++)
        fw_buf_putc(&text, (char)(i * i % 251));
    assert_int_equal(snappy_compress(text.data, text.len, packed, &packed_len), SNAPPY_OK);
    assert_int_equal(remote_write_unpack(packed, packed_len, UNPACKED_MAX, &out, &err), FW_OK);
    CHECK_EQ("length", out.len, text.len);
    assert_memory_equal(out.data, text.data, text.len);
    CHECK_EQ("beyond the limit", remote_write_unpack(packed, packed_len, text.len - 1, &out, &err),
             FW_ELIMIT);
    for (size_t len = 0; len < packed_len; len += 1 + len / 50) {
        const enum fw_status status = remote_write_unpack(packed, len, UNPACKED_MAX, &out, &err);
        CHECK_TRUE("cut", status == FW_EINVAL || status == FW_ELIMIT);
        CHECK_EQ("nothing came out", out.len, 0);
    }
    fw_buf_fini(&out);
    fw_buf_fini(&text);
    free(packed);
}

/* What says more than it can hold costs no memory. */
static void test_bombs(void **state)
{
    static const struct {
        const char *name, *block;
        size_t len;
        enum fw_status status;
    } rows[] = {
        {"4 GiB - 1",          "\xff\xff\xff\xff\x0f\x00",     6, FW_ELIMIT},
        {"1 MiB in ten bytes", "\x80\x80\x40\x00\x00\x00\x00", 7, FW_ELIMIT},
        {"beyond 32 bits",     "\xff\xff\xff\xff\x7f\x00",     6, FW_EINVAL},
        {"no bytes",           "",                             0, FW_EINVAL},
        {"length without end", "\x80",                         1, FW_EINVAL},
        {"copy before a byte", "\x08\x01\x01\x01",             4, FW_EINVAL},
        {"empty block",        "\x00",                         1, FW_OK    },
        {"nothing but a tail", "\x00\x00",                     2, FW_EINVAL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_buf out;
        struct fw_error err;
        fw_buf_init(&out, (size_t)64 << 20);
        CHECK_EQ(rows[i].name,
                 remote_write_unpack(rows[i].block, rows[i].len, (size_t)32 << 20, &out, &err),
                 rows[i].status);
        if (rows[i].status == FW_ELIMIT)
            CHECK_EQ(rows[i].name, out.cap, 0);
        fw_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_request),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_no_write_request),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_stale_marker),
        cmocka_unit_test(test_unpack),
        cmocka_unit_test(test_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
