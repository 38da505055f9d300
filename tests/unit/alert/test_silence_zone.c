/* Recurring silences by the clock of a zone: windows on both sides of a change, within a gap,
 * within an hour that comes twice, over midnight, and rules that are not there. */
#include "unit/alert/memory_state.h"

#include "alert/control.h"
#include "base/text.h"

#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

enum { MON = 1, SAT = 1 << 5, SUN = 1 << 6, DAILY = 127 };
#define MINUTE INT64_C(60000)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_true(fw_time_parse(text, strlen(text), &ms));
    return ms;
}

static struct alert_silence window(const char *zone, unsigned days, const char *from,
                                   unsigned minutes)
{
    struct alert_silence s = {.profile = PROFILE_UNKNOWN,
                              .severity = -1,
                              .ends_ms = INT64_MAX,
                              .days = (uint8_t)days,
                              .from_minute = (uint16_t)(atoi(from) * 60 + atoi(from + 3)),
                              .length_minutes = (uint16_t)minutes};
    struct fw_error err = {0};
    snprintf(s.server, sizeof s.server, "*");
    snprintf(s.zone_name, sizeof s.zone_name, "%s", zone);
    if (alert_silence_find_zone(&s, &err) != FW_OK)
        fail_msg("%s", err.text);
    return s;
}

/* Asked at `now`, the window that is open or next, as UTC has it. */
static void test_windows(void **state)
{
    (void)state;
    static const struct {
        const char *name, *zone;
        unsigned days;
        const char *from;
        unsigned minutes;
        const char *now, *begins, *ends;
    } rows[] = {
        {"Berlin, winter",                    "Europe/Berlin",       SAT,       "02:00", 60,   "2026-03-27T00:00Z",
         "2026-03-28T01:00Z",                                                                                                            "2026-03-28T02:00Z"},
        {"Berlin, into the gap",              "Europe/Berlin",       SUN,       "01:30", 60,   "2026-03-28T00:00Z",
         "2026-03-29T00:30Z",                                                                                                            "2026-03-29T01:30Z"},
        {"Berlin, begins in the gap",         "Europe/Berlin",       SUN,       "02:30", 60,   "2026-03-28T00:00Z",
         "2026-03-29T01:00Z",                                                                                                            "2026-03-29T02:00Z"},
        {"Berlin, summer",                    "Europe/Berlin",       MON,       "02:00", 60,   "2026-03-29T12:00Z",
         "2026-03-30T00:00Z",                                                                                                            "2026-03-30T01:00Z"},
        {"Berlin, begins in the hour of two", "Europe/Berlin",       SUN,       "02:30", 60,
         "2026-10-24T00:00Z",                                                                                       "2026-10-25T00:30Z", "2026-10-25T01:30Z"},
        {"Berlin, not again in the second",   "Europe/Berlin",       SUN,       "02:30", 30,   "2026-10-25T01:15Z",
         "2026-11-01T01:30Z",                                                                                                            "2026-11-01T02:00Z"},
        {"Berlin, over the hour of two",      "Europe/Berlin",       SUN,       "01:30", 120,  "2026-10-24T00:00Z",
         "2026-10-24T23:30Z",                                                                                                            "2026-10-25T01:30Z"},
        {"Berlin, 2027, gap",                 "Europe/Berlin",       SUN,       "02:00", 45,   "2027-03-27T00:00Z",
         "2027-03-28T01:00Z",                                                                                                            "2027-03-28T01:45Z"},
        {"Berlin, 2027, back",                "Europe/Berlin",       SUN,       "02:00", 45,   "2027-10-30T12:00Z",
         "2027-10-31T00:00Z",                                                                                                            "2027-10-31T00:45Z"},
        {"New York, gap",                     "America/New_York",    SUN,       "02:15", 60,   "2026-03-07T12:00Z",
         "2026-03-08T07:00Z",                                                                                                            "2026-03-08T08:00Z"},
        {"New York, hour of two",             "America/New_York",    SUN,       "01:15", 60,   "2026-10-31T12:00Z",
         "2026-11-01T05:15Z",                                                                                                            "2026-11-01T06:15Z"},
        {"New York, 2027, gap",               "America/New_York",    SUN,       "02:00", 60,   "2027-03-13T12:00Z",
         "2027-03-14T07:00Z",                                                                                                            "2027-03-14T08:00Z"},
        {"New York, 2027, back, afterwards",  "America/New_York",    SUN,       "02:00", 60,
         "2027-11-06T12:00Z",                                                                                       "2027-11-07T07:00Z", "2027-11-07T08:00Z"},
        {"New York, its Saturday evening",    "America/New_York",    SAT,       "22:00", 60,
         "2026-07-04T12:00Z",                                                                                       "2026-07-05T02:00Z", "2026-07-05T03:00Z"},
        {"Lord Howe, gap of half an hour",    "Australia/Lord_Howe", SUN,       "02:10", 60,
         "2026-10-03T12:00Z",                                                                                       "2026-10-03T15:30Z", "2026-10-03T16:30Z"},
        {"Lord Howe, half an hour twice",     "Australia/Lord_Howe", SUN,       "01:45", 60,
         "2026-04-04T12:00Z",                                                                                       "2026-04-04T14:45Z", "2026-04-04T15:45Z"},
        {"Kolkata, summer",                   "Asia/Kolkata",        MON,       "02:00", 60,   "2026-07-05T12:00Z",
         "2026-07-05T20:30Z",                                                                                                            "2026-07-05T21:30Z"},
        {"Kolkata, winter",                   "Asia/Kolkata",        MON,       "02:00", 60,   "2026-12-06T12:00Z",
         "2026-12-06T20:30Z",                                                                                                            "2026-12-06T21:30Z"},
        {"over midnight into the short day",  "Europe/Berlin",       SAT,       "23:00", 300,
         "2026-03-28T21:00Z",                                                                                       "2026-03-28T22:00Z", "2026-03-29T03:00Z"},
        {"over midnight into the long day",   "Europe/Berlin",       SAT,       "23:00", 300,  "2026-10-25T00:30Z",
         "2026-10-24T21:00Z",                                                                                                            "2026-10-25T02:00Z"},
        {"from the day before yesterday",     "Europe/Berlin",       SAT,       "23:59", 1440, "2026-03-29T22:30Z",
         "2026-03-28T22:59Z",                                                                                                            "2026-03-29T22:59Z"},
        {"the short day's windows overlap",   "Europe/Berlin",       SAT | SUN, "12:00", 1440,
         "2026-03-28T12:00Z",                                                                                       "2026-03-28T11:00Z", "2026-03-30T10:00Z"},
        {"the long day leaves an hour",       "Europe/Berlin",       SAT | SUN, "12:00", 1440,
         "2026-10-24T12:00Z",                                                                                       "2026-10-24T10:00Z", "2026-10-25T10:00Z"},
        {"the long day's second one",         "Europe/Berlin",       SAT | SUN, "12:00", 1440,
         "2026-10-25T10:30Z",                                                                                       "2026-10-25T11:00Z", "2026-10-26T11:00Z"},
        {"days without a gap between them",   "Etc/GMT-3",           SAT | SUN, "00:00", 1440,
         "2026-06-06T12:00Z",                                                                                       "2026-06-05T21:00Z", "2026-06-07T21:00Z"},
        {"a day that was not, and its next",  "Pacific/Apia",        16 | SAT,  "06:00", 60,
         "2011-12-30T09:00Z",                                                                                       "2011-12-30T10:00Z", "2011-12-30T11:00Z"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct alert_silence s =
            window(rows[i].zone, rows[i].days, rows[i].from, rows[i].minutes);
        const int64_t begins_ms = at(rows[i].begins), ends_ms = at(rows[i].ends);
        const int64_t now_ms = at(rows[i].now);
        int64_t changes_ms;
        const bool open = now_ms >= begins_ms;
        CHECK_EQ(rows[i].name, alert_silence_holds(&s, now_ms, &changes_ms), open);
        CHECK_EQ(rows[i].name, changes_ms, open ? ends_ms : begins_ms);
        CHECK_EQ(rows[i].name, alert_silence_holds(&s, begins_ms - 1, &changes_ms), false);
        CHECK_EQ(rows[i].name, changes_ms, begins_ms);
        CHECK_EQ(rows[i].name, alert_silence_holds(&s, begins_ms, &changes_ms), true);
        CHECK_EQ(rows[i].name, changes_ms, ends_ms);
        CHECK_EQ(rows[i].name, alert_silence_holds(&s, ends_ms, &changes_ms), false);
    }
}

/* Two years, change by change: what holds differs at each one and nowhere between. */
static void test_changes(void **state)
{
    (void)state;
    static const struct {
        const char *zone, *from;
        unsigned days, minutes;
        int windows; /* of 2026 and 2027 */
    } rows[] = {
        {"Europe/Berlin",       "02:30", DAILY, 90,   730},
        {"America/New_York",    "01:30", DAILY, 30,   730},
        {"Australia/Lord_Howe", "01:45", DAILY, 45,   730},
        {"Asia/Kolkata",        "23:30", MON,   120,  104},
        {"Europe/Berlin",       "23:45", SUN,   1440, 104},
        {"Africa/Casablanca",   "02:30", DAILY, 60,   730}, /* changes around Ramadan */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct alert_silence s =
            window(rows[i].zone, rows[i].days, rows[i].from, rows[i].minutes);
        int64_t now_ms = at("2026-01-01T12:00Z"), changes_ms, later_ms;
        bool holds = alert_silence_holds(&s, now_ms, &changes_ms);
        int windows = 0;
        while (changes_ms < at("2028-01-01T12:00Z")) {
            for (int64_t ms = now_ms; ms < changes_ms; ms += 7 * MINUTE) {
                CHECK_EQ(rows[i].zone, alert_silence_holds(&s, ms, &later_ms), holds);
                CHECK_EQ(rows[i].zone, later_ms, changes_ms);
            }
            now_ms = changes_ms;
            CHECK_EQ(rows[i].zone, alert_silence_holds(&s, now_ms, &changes_ms), !holds);
            holds = !holds;
            windows += holds;
        }
        CHECK_EQ(rows[i].zone, windows, rows[i].windows);
    }
}

/* ---- kept, and without its rules ---- */

static struct schema schema;
static int told;

static void on_change(void *ctx)
{
    (void)ctx;
    told++;
}

static struct alert_control *open_control(struct store_state *state)
{
    const struct alert_control_options options = {
        .schema = &schema, .state = state, .changed = on_change};
    struct alert_control *control;
    schema_default(&schema);
    assert_int_equal(alert_control_open(&options, &control, NULL), FW_OK);
    return control;
}

static struct alert_silence only_silence(struct alert_control *control)
{
    struct alert_silence *all, found;
    size_t n;
    assert_int_equal(alert_control_silences(control, &all, &n, NULL), FW_OK);
    assert_int_equal(n, 1);
    found = all[0];
    free(all);
    return found;
}

static void test_kept(void **state)
{
    (void)state;
    struct store_state *store = memory_state_new();
    struct alert_control *control = open_control(store);
    struct alert_silence s = window("Europe/Berlin", DAILY, "02:00", 60);
    assert_int_equal(alert_control_silence(control, &s, at("2026-01-01T00:00Z"), NULL), FW_OK);
    alert_control_close(control);
    assert_non_null(strstr(store->now.blobs[0].data, "\"zone\":\"Europe/Berlin\""));
    control = open_control(store);
    const struct alert_silence again = only_silence(control);
    assert_string_equal(again.zone_name, "Europe/Berlin");
    assert_ptr_equal(again.zone, s.zone);
    assert_false(alert_silence_lacks_zone(&again));
    alert_control_close(control);
    memory_state_free(store);
}

/* Records of before names were taken, and names that lead elsewhere. */
static void test_records(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        size_t kept;
        int minutes;
    } rows[] = {
        {"60",                1, 60  },
        {"-330",              1, -330},
        {"\"Asia/Tokyo\"",    1, 0   },
        {"\"../etc/passwd\"", 0, 0   },
        {"\"\"",              0, 0   },
        {"null",              0, 0   },
        {"1e9",               0, 0   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store_state *store = memory_state_new();
        struct alert_silence *all;
        char record[400];
        size_t n;
        const int len = snprintf(
            record, sizeof record,
            "{\"v\":1,\"id\":\"00000000000000aa\",\"server\":\"*\",\"metric\":\"\",\"labels\":{},"
            "\"profile\":255,\"severity\":-1,\"starts\":0,\"ends\":9223372036854775807,\"days\":3,"
            "\"from\":120,\"length\":60,\"zone\":%s,\"created\":1,\"by\":\"\",\"comment\":\"\"}",
            rows[i].zone);
        assert_int_equal(
            store_state_put(store, "silence", "00000000000000aa", record, (size_t)len, NULL),
            FW_OK);
        struct alert_control *control = open_control(store);
        assert_int_equal(alert_control_silences(control, &all, &n, NULL), FW_OK);
        CHECK_EQ(rows[i].zone, n, rows[i].kept);
        if (n == 1)
            CHECK_EQ(rows[i].zone, all[0].zone_minutes, rows[i].minutes);
        free(all);
        alert_control_close(control);
        memory_state_free(store);
    }
}

/* A zone that is gone at a start, and there again later. */
static void test_zone_is_gone(void **state)
{
    (void)state;
    const int64_t now_ms = at("2026-07-01T00:30Z");
    char dir[] = "/tmp/fw-silence-XXXXXX", command[160];
    struct store_state *store = memory_state_new();
    struct alert_control *control = open_control(store);
    struct alert_silence s = window("Europe/Berlin", DAILY, "02:00", 60);
    assert_int_equal(alert_control_silence(control, &s, now_ms, NULL), FW_OK);
    alert_control_close(control);
    /* Its name becomes one that nobody has asked for and that is not there. */
    char *name = strstr(store->now.blobs[0].data, "Europe/Berlin");
    memcpy(name, "Europe/Bxrlin", 13);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("TZDIR", dir, 1), 0);

    control = open_control(store);
    struct alert_silence gone = only_silence(control);
    int64_t changes_ms;
    assert_true(alert_silence_lacks_zone(&gone));
    assert_false(alert_silence_holds(&gone, now_ms, &changes_ms));
    assert_true(changes_ms == INT64_MAX);
    struct fw_error err = {0};
    assert_int_equal(alert_silence_check(&gone, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "recurrence.zone: no time zone Europe/Bxrlin"));
    const struct alert_list none = {0};
    told = 0;
    alert_control_tidy(control, &none, now_ms);
    assert_int_equal(told, 0);

    snprintf(command, sizeof command,
             "mkdir %s/Europe && cp /usr/share/zoneinfo/Europe/Berlin %s/Europe/Bxrlin", dir, dir);
    assert_int_equal(system(command), 0);
    alert_control_tidy(control, &none, now_ms);
    assert_int_equal(told, 1);
    gone = only_silence(control);
    assert_false(alert_silence_lacks_zone(&gone));
    assert_true(alert_silence_holds(&gone, now_ms, &changes_ms));
    assert_true(changes_ms == at("2026-07-01T01:00Z"));
    alert_control_tidy(control, &none, now_ms);
    assert_int_equal(told, 1);
    alert_control_close(control);
    memory_state_free(store);
    unsetenv("TZDIR");
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
        fputs("skipped: no time zones on this machine (tzdata)\n", stderr);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),      cmocka_unit_test(test_changes),
        cmocka_unit_test(test_kept),         cmocka_unit_test(test_records),
        cmocka_unit_test(test_zone_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
