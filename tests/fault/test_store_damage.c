/* Damage to files: cuts, flipped bits, zeroed and misplaced sectors (RELIABILITY R4, R5). Every
 * image is opened in process; an open that refuses, crashes, invents, doubles or loses more than
 * the damage covers fails the test. */
#include "unit/store/store_support.h"

#include "base/log.h"

enum { RECORDS = 60 };

struct image {
    char path[STORE_PATH_MAX];
    unsigned char *bytes;
    size_t len;
    uint64_t ends[RECORDS]; /* offset behind record i */
};

/* One segment of about 64 KiB with RECORDS records of mixed sizes. */
static void make_image(struct image *image)
{
    struct store_io_memory *memory = store_io_memory_new(7);
    struct store_journal_options options = manual_options(memory, 7);
    options.segment_bytes = 1 << 20;
    struct id_list acked = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    uint64_t end = STORE_SEGMENT_HEADER;
    for (uint64_t id = 1; id <= RECORDS; id++) {
        const size_t len = 8 + (id * 769) % 2200;
        assert_int_equal(append_id(journal, &acked, id, len), FW_OK);
        end += STORE_RECORD_HEADER + len;
        image->ends[id - 1] = end;
        if (id % 3 == 0)
            (void)store_journal_pump(journal);
    }
    store_journal_close(journal);
    newest_segment(memory, image->path);
    size_t len;
    const unsigned char *bytes = store_io_memory_bytes(memory, image->path, &len);
    assert_int_equal(len, end);
    image->bytes = malloc(len);
    assert_non_null(image->bytes);
    memcpy(image->bytes, bytes, len);
    image->len = len;
    id_list_fini(&acked);
    store_io_memory_free(memory);
}

struct outcome {
    struct id_list found;
    struct store_journal_report report;
};

/* Opens a journal whose only segment has these bytes, twice: the second opening must find the same.
 */
static void open_image(const struct image *image, const unsigned char *bytes, size_t len,
                       struct outcome *out)
{
    struct store_io_memory *memory = store_io_memory_new(1);
    assert_true(store_io_memory_put(memory, image->path, bytes, len));
    const struct store_journal_options options = manual_options(memory, 99);
    memset(out, 0, sizeof *out);
    struct store_journal *journal = reopen(&options, &out->found, &out->report);
    store_journal_close(journal);
    struct id_list again = {0};
    struct store_journal_report second;
    journal = reopen(&options, &again, &second);
    store_journal_close(journal);
    assert_int_equal(second.torn_bytes, 0); /* it was cut off */
    assert_int_equal(second.damaged_regions, out->report.damaged_regions);
    assert_int_equal(again.n, out->found.n);
    for (size_t i = 0; i < again.n; i++)
        assert_int_equal(again.ids[i], out->found.ids[i]);
    id_list_fini(&again);
    store_io_memory_free(memory);
}

static bool noticed(const struct store_journal_report *r)
{
    return r->torn_bytes + r->damaged_bytes + r->damaged_headers + r->lost_records > 0;
}

/* Ids must be an ascending selection of 1..RECORDS; returns how many are missing. */
static size_t check_selection(const char *name, const struct outcome *out)
{
    CHECK_EQ(name, out->found.broken, 0);
    for (size_t i = 1; i < out->found.n; i++)
        CHECK_TRUE(name, out->found.ids[i] > out->found.ids[i - 1]);
    if (out->found.n > 0)
        CHECK_TRUE(name, out->found.ids[out->found.n - 1] <= RECORDS);
    return RECORDS - out->found.n;
}

static void test_every_cut(void **state)
{
    (void)state;
    struct image image;
    make_image(&image);
    assert_true(image.len > 4096 + 20000);
    for (size_t cut = 0; cut <= 4096; cut++) {
        const size_t len = image.len - cut;
        size_t whole = 0;
        while (whole < RECORDS && image.ends[whole] <= len)
            whole++;
        struct outcome out;
        open_image(&image, image.bytes, len, &out);
        char name[32];
        snprintf(name, sizeof name, "cut %zu", cut);
        CHECK_EQ(name, out.found.n, whole);
        (void)check_selection(name, &out);
        const uint64_t torn = len - (whole == 0 ? STORE_SEGMENT_HEADER : image.ends[whole - 1]);
        CHECK_EQ(name, out.report.torn_bytes, torn);
        CHECK_EQ(name, out.report.quarantined_bytes, torn);
        CHECK_EQ(name, out.report.damaged_regions, 0);
        id_list_fini(&out.found);
    }
    free(image.bytes);
}

/* The beginning of a file, too: inside the header and the first record. */
static void test_every_short_file(void **state)
{
    (void)state;
    struct image image;
    make_image(&image);
    for (size_t len = 0; len <= image.ends[1]; len++) {
        struct outcome out;
        open_image(&image, image.bytes, len, &out);
        CHECK_EQ("short file", out.found.n,
                 len >= image.ends[1]   ? 2
                 : len >= image.ends[0] ? 1
                                        : 0);
        id_list_fini(&out.found);
    }
    free(image.bytes);
}

static void test_ten_thousand_bit_flips(void **state)
{
    (void)state;
    struct image image;
    make_image(&image);
    struct fw_rng rng;
    fw_rng_init(&rng, 20251);
    for (int i = 0; i < 10000; i++) {
        const uint64_t bit = fw_rng_below(&rng, image.len * 8);
        image.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        struct outcome out;
        open_image(&image, image.bytes, image.len, &out);
        char name[48];
        snprintf(name, sizeof name, "bit %llu", (unsigned long long)bit);
        const size_t missing = check_selection(name, &out);
        CHECK_TRUE(name, noticed(&out.report));
        CHECK_EQ(name, missing, bit / 8 < STORE_SEGMENT_HEADER ? 0 : 1);
        CHECK_TRUE(name, out.report.quarantined_bytes > 0);
        id_list_fini(&out.found);
        image.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(image.bytes);
}

/* Every bit of a small segment, none left to chance. */
static void test_every_bit_of_a_small_segment(void **state)
{
    (void)state;
    struct image image;
    make_image(&image);
    const size_t len = image.ends[2];
    for (size_t bit = 0; bit < len * 8; bit++) {
        image.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        struct outcome out;
        open_image(&image, image.bytes, len, &out);
        char name[48];
        snprintf(name, sizeof name, "bit %zu", bit);
        CHECK_EQ(name, out.found.n, bit / 8 < STORE_SEGMENT_HEADER ? 3 : 2);
        CHECK_TRUE(name, noticed(&out.report));
        id_list_fini(&out.found);
        image.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(image.bytes);
}

static size_t records_touched(const struct image *image, uint64_t from, uint64_t to)
{
    size_t touched = 0;
    for (size_t i = 0; i < RECORDS; i++) {
        const uint64_t begin = i == 0 ? STORE_SEGMENT_HEADER : image->ends[i - 1];
        touched += begin < to && image->ends[i] > from;
    }
    return touched;
}

/* Sectors that were zeroed, filled with noise, or got another sector's content: the records they
 * touch are lost, the others stay, and a misplaced copy of a whole record is not a second one. */
static void test_sectors(void **state)
{
    (void)state;
    struct image image;
    make_image(&image);
    struct fw_rng rng;
    fw_rng_init(&rng, 5);
    unsigned char *bytes = malloc(image.len);
    assert_non_null(bytes);
    for (int i = 0; i < 3000; i++) {
        memcpy(bytes, image.bytes, image.len);
        const size_t size = (size_t)512 << fw_rng_below(&rng, 4);
        const size_t at = (size_t)fw_rng_below(&rng, image.len / 512) * 512;
        const size_t n = image.len - at < size ? image.len - at : size;
        const uint64_t how = fw_rng_below(&rng, 3);
        size_t from = 0;
        if (how == 0)
            memset(bytes + at, 0, n);
        for (size_t k = 0; how == 1 && k < n; k++)
            bytes[at + k] = (unsigned char)fw_rng_next(&rng);
        if (how == 2) {
            from = (size_t)fw_rng_below(&rng, image.len - n + 1);
            memcpy(bytes + at, image.bytes + from, n);
        }
        struct outcome out;
        open_image(&image, bytes, image.len, &out);
        char name[64];
        snprintf(name, sizeof name, "round %d kind %d at %zu size %zu", i, (int)how, at, n);
        const size_t missing = check_selection(name, &out);
        CHECK_TRUE(name, missing <= records_touched(&image, at, at + n));
        if (memcmp(bytes, image.bytes, image.len) != 0)
            CHECK_TRUE(name, noticed(&out.report));
        CHECK_EQ(name, out.report.stale_records, 0);
        id_list_fini(&out.found);
    }
    free(bytes);
    free(image.bytes);
}

static void test_garbage_behind_the_end(void **state)
{
    (void)state;
    struct image image;
    make_image(&image);
    unsigned char *bytes = malloc(image.len + 5000);
    assert_non_null(bytes);
    memcpy(bytes, image.bytes, image.len);
    struct fw_rng rng;
    fw_rng_init(&rng, 6);
    for (size_t k = 0; k < 5000; k++)
        bytes[image.len + k] = (unsigned char)fw_rng_next(&rng);
    struct outcome out;
    open_image(&image, bytes, image.len + 5000, &out);
    assert_int_equal(out.found.n, RECORDS);
    assert_int_equal(out.report.torn_bytes, 5000);
    id_list_fini(&out.found);
    free(bytes);
    free(image.bytes);
}

/* A client's payload that looks like a record must not become one when the record around it is
 * damaged. */
static void test_payload_that_mimics_a_record(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(3);
    struct store_journal_options options = manual_options(memory, 3);
    struct store_journal *journal = reopen(&options, NULL, NULL);
    struct id_list acked = {0}, found = {0};
    /* Everything a client could know: the layout, the offset, the next sequence. Not the marker. */
    unsigned char payload[200] = {0}, body[100];
    payload_make(body, 666, sizeof body);
    memcpy(payload + 50 + STORE_RECORD_HEADER, body, sizeof body);
    store_record_seal(payload + 50, 0x464a5231, STORE_SEGMENT_HEADER + STORE_RECORD_HEADER + 50, 2,
                      0, sizeof body);
    struct ticket *ticket = malloc(sizeof *ticket);
    assert_non_null(ticket);
    *ticket = (struct ticket){.acked = &acked, .id = 1};
    assert_int_equal(store_journal_append(journal, payload, sizeof payload, note_done, ticket),
                     FW_OK);
    assert_int_equal(append_id(journal, &acked, 2, 100), FW_OK);
    store_journal_close(journal);
    char path[STORE_PATH_MAX];
    size_t len;
    newest_segment(memory, path);
    store_io_memory_bytes(memory, path, &len)[STORE_SEGMENT_HEADER + 4] ^= 1;
    struct store_journal_report report;
    journal = reopen(&options, &found, &report);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.ids[0], 2);
    assert_int_equal(report.damaged_regions, 1);
    assert_int_equal(report.lost_records + report.uncertain_records, 1);
    store_journal_close(journal);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

/* Damage in a segment that is not the last: its end is not a torn tail but loss, and is told as
 * such. */
static void test_damage_between_segments(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 8);
    for (int i = 0; i < 1000; i++) {
        struct store_io_memory *memory = store_io_memory_new(3);
        struct store_journal_options options = manual_options(memory, 3);
        options.segment_bytes = 2000;
        struct id_list acked = {0}, found = {0};
        struct store_journal *journal = reopen(&options, NULL, NULL);
        for (uint64_t id = 1; id <= 20; id++) {
            assert_int_equal(append_id(journal, &acked, id, 300), FW_OK);
            (void)store_journal_pump(journal);
        }
        store_journal_close(journal);
        char path[STORE_PATH_MAX];
        size_t len;
        oldest_segment(memory, path);
        unsigned char *bytes = store_io_memory_bytes(memory, path, &len);
        const uint64_t bit = fw_rng_below(&rng, len * 8);
        const bool cut = i % 4 == 0;
        if (cut) {
            unsigned char *copy = malloc(len);
            assert_non_null(copy);
            memcpy(copy, bytes, len);
            assert_true(store_io_memory_put(memory, path, copy, bit / 8));
            free(copy);
        } else {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        struct store_journal_report report;
        journal = reopen(&options, &found, &report);
        CHECK_TRUE("noticed", noticed(&report));
        CHECK_EQ("lost are counted", report.lost_records, 20 - found.n);
        if (!cut)
            CHECK_TRUE("one record at most", found.n >= 19);
        store_journal_close(journal);
        id_list_fini(&acked);
        id_list_fini(&found);
        store_io_memory_free(memory);
    }
}

/* A file from an old backup beside the others: its records are known already. */
static void test_stale_segment(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(3);
    const struct store_journal_options options = manual_options(memory, 3);
    struct id_list acked = {0}, found = {0};
    struct store_journal *journal = reopen(&options, NULL, NULL);
    for (uint64_t id = 1; id <= 10; id++)
        assert_int_equal(append_id(journal, &acked, id, 100), FW_OK);
    store_journal_close(journal);
    enum { MARKER = 0x7ffffffe, ONE = STORE_RECORD_HEADER + 100 };
    const struct store_segment_header header = {.first_seq = 1, .session_seq = 1, .marker = MARKER};
    unsigned char bytes[STORE_SEGMENT_HEADER + 3 * ONE];
    store_segment_header_encode(&header, bytes);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        const size_t at = STORE_SEGMENT_HEADER + (size_t)(seq - 1) * ONE;
        (void)payload_make(bytes + at + STORE_RECORD_HEADER, 500 + seq, 100);
        store_record_seal(bytes + at, MARKER, at, seq, 0, 100);
    }
    char name[STORE_SEGMENT_NAME_MAX], path[STORE_PATH_MAX];
    store_segment_name(name, 1, MARKER);
    assert_true(store_io_path(path, sizeof path, "/log", name));
    assert_true(store_io_memory_put(memory, path, bytes, sizeof bytes));
    struct store_journal_report report;
    journal = reopen(&options, &found, &report);
    assert_int_equal(found.n, 10);
    assert_int_equal(report.stale_records, 3);
    assert_int_equal(report.lost_records, 0);
    store_journal_close(journal);
    id_list_fini(&acked);
    id_list_fini(&found);
    store_io_memory_free(memory);
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){
        .level = FW_ERROR, .lines_per_minute = 10, .sink = quiet_log_sink});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_short_file),
        cmocka_unit_test(test_ten_thousand_bit_flips),
        cmocka_unit_test(test_every_bit_of_a_small_segment),
        cmocka_unit_test(test_sectors),
        cmocka_unit_test(test_garbage_behind_the_end),
        cmocka_unit_test(test_payload_that_mimics_a_record),
        cmocka_unit_test(test_damage_between_segments),
        cmocka_unit_test(test_stale_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
