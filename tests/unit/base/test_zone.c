/* Time zones: names, rules on both sides of a change of the clocks, and data that are not there.
 * Expected times are UTC's, worked out from the rules as the database's text has them. */
#include "base/zone.h"

#include "base/text.h"
#include "support.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_true(fw_time_parse(text, strlen(text), &ms));
    return ms;
}

static const struct fw_zone *zone_named(const char *name)
{
    const struct fw_zone *zone;
    struct fw_error err = {0};
    if (fw_zone_find(name, &zone, &err) != FW_OK)
        fail_msg("%s: %s", name, err.text);
    return zone;
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool valid;
    } rows[] = {
        {"Europe/Berlin",                                                    true },
        {"America/Argentina/ComodRivadavia",                                 true },
        {"America/Port-au-Prince",                                           true },
        {"Etc/GMT+11",                                                       true },
        {"EST5EDT",                                                          true },
        {"",                                                                 false},
        {"/etc/passwd",                                                      false},
        {"../../etc/passwd",                                                 false},
        {"Europe/../Berlin",                                                 false},
        {"Europe//Berlin",                                                   false},
        {"Europe/",                                                          false},
        {"Europe/Berlin ",                                                   false},
        {"zone.tab",                                                         false},
        {"file:Europe/Berlin",                                               false},
        {"libc:localtime",                                                   false},
        {"Fixed/UTC+01:00:00",                                               false},
        {"posix/Europe/Berlin",                                              false},
        {"right/Europe/Berlin",                                              false},
        {"Europe/M\xc3\xbcnchen",                                            false},
        {"a23456789a123456789a123456789a123456789a123456789a123456789a123",  true },
        {"a23456789a123456789a123456789a123456789a123456789a123456789a1234", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, fw_zone_name_valid(rows[i].name), rows[i].valid);
}

static void test_offsets(void **state)
{
    (void)state;
    static const struct {
        const char *name, *zone, *utc;
        int minutes;
    } rows[] = {
        {"Berlin, last of winter",        "Europe/Berlin",       "2026-03-29T00:59:59.999Z", 60  },
        {"Berlin, first of summer",       "Europe/Berlin",       "2026-03-29T01:00:00Z",     120 },
        {"Berlin, last of summer",        "Europe/Berlin",       "2026-10-25T00:59:59.999Z", 120 },
        {"Berlin, first of winter",       "Europe/Berlin",       "2026-10-25T01:00:00Z",     60  },
        {"Berlin, summer 2027",           "Europe/Berlin",       "2027-03-28T01:00:00Z",     120 },
        {"Berlin, winter 2027",           "Europe/Berlin",       "2027-10-31T01:00:00Z",     60  },
        {"Berlin, beyond the table",      "Europe/Berlin",       "2090-07-01T00:00:00Z",     120 },
        {"New York, winter",              "America/New_York",    "2026-03-08T06:59:59Z",     -300},
        {"New York, summer",              "America/New_York",    "2026-03-08T07:00:00Z",     -240},
        {"Lord Howe, summer, half hours", "Australia/Lord_Howe", "2026-04-04T14:59:59Z",     660 },
        {"Lord Howe, winter",             "Australia/Lord_Howe", "2026-04-04T15:00:00Z",     630 },
        {"Kolkata",                       "Asia/Kolkata",        "2026-07-01T00:00:00Z",     330 },
        {"Berlin, 1970",                  "Europe/Berlin",       "1970-01-01T00:00:00Z",     60  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, fw_zone_offset_ms(zone_named(rows[i].zone), at(rows[i].utc)),
                 rows[i].minutes * INT64_C(60000));
}

static void test_from_the_wall(void **state)
{
    (void)state;
    static const struct {
        const char *name, *zone, *local, *utc;
    } rows[] = {
        {"an hour before the gap", "Europe/Berlin",       "2026-03-29T01:30",        "2026-03-29T00:30Z"},
        {"within the gap",         "Europe/Berlin",       "2026-03-29T02:30",        "2026-03-29T01:00Z"},
        {"the gap's first minute", "Europe/Berlin",       "2026-03-29T02:00",        "2026-03-29T01:00Z"},
        {"behind the gap",         "Europe/Berlin",       "2026-03-29T03:00",        "2026-03-29T01:00Z"},
        {"twice: the first",       "Europe/Berlin",       "2026-10-25T02:30",        "2026-10-25T00:30Z"},
        {"behind what is twice",   "Europe/Berlin",       "2026-10-25T03:00",        "2026-10-25T02:00Z"},
        {"New York, gap",          "America/New_York",    "2027-03-14T02:15",        "2027-03-14T07:00Z"},
        {"New York, twice",        "America/New_York",    "2026-11-01T01:15",        "2026-11-01T05:15Z"},
        {"half an hour's gap",     "Australia/Lord_Howe", "2026-10-04T02:10",        "2026-10-03T15:30Z"},
        {"half an hour twice",     "Australia/Lord_Howe", "2026-04-05T01:40",        "2026-04-04T14:40Z"},
        {"no change at all",       "Asia/Kolkata",        "2026-03-29T02:30",        "2026-03-28T21:00Z"},
        {"milliseconds stay",      "Europe/Berlin",       "2026-06-01T12:00:00.250",
         "2026-06-01T10:00:00.250Z"                                                                     },
        {"Samoa had no such day",  "Pacific/Apia",        "2011-12-30T12:00",        "2011-12-30T10:00Z"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_EQ(rows[i].name, fw_zone_to_utc_ms(zone_named(rows[i].zone), at(rows[i].local)),
                 at(rows[i].utc));
}

static void test_same_again(void **state)
{
    (void)state;
    const struct fw_zone *zone = zone_named("Europe/Paris");
    assert_ptr_equal(zone, zone_named("Europe/Paris"));
    assert_string_equal(fw_zone_name(zone), "Europe/Paris");
}

static void refused(const char *name, enum fw_status status, const char *text)
{
    const struct fw_zone *zone = zone_named("Europe/Berlin");
    struct fw_error err = {0};
    CHECK_EQ(name, fw_zone_find(name, &zone, &err), status);
    assert_null(zone);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s: %s", name, err.text);
}

static void test_not_there(void **state)
{
    (void)state;
    refused("Europe/Berlim", FW_ENOTFOUND, "no time zone Europe/Berlim in /usr/share/zoneinfo");
    refused("Europe", FW_ENOTFOUND, "no time zone Europe"); /* a directory */
    refused("../Berlin", FW_EINVAL, "Europe/Berlin");
}

/* Data that come later are found then; those that go or are replaced do not matter any more. */
static void test_directory_that_changes(void **state)
{
    (void)state;
    char dir[] = "/tmp/fw-zones-XXXXXX", path[64], command[160];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("TZDIR", dir, 1), 0);
    refused("Here", FW_ENOTFOUND, dir);
    snprintf(path, sizeof path, "%s/Broken", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("not a zone", file);
    fclose(file);
    refused("Broken", FW_ECORRUPT, "cannot be read as a time zone");
    snprintf(command, sizeof command, "cp /usr/share/zoneinfo/Asia/Kolkata %s/Here", dir);
    assert_int_equal(system(command), 0);
    const struct fw_zone *here = zone_named("Here");
    unlink(path);
    snprintf(path, sizeof path, "%s/Here", dir);
    assert_int_equal(unlink(path), 0);
    assert_ptr_equal(zone_named("Here"), here);
    assert_int_equal(fw_zone_offset_ms(here, 0), 330 * 60000);
    assert_int_equal(rmdir(dir), 0);
    unsetenv("TZDIR");
}

static void *ask(void *arg)
{
    static const char *const names[] = {"Asia/Tokyo", "Europe/Rome", "America/Lima",
                                        "Africa/Cairo"};
    const struct fw_zone **found = arg;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        found[i] = zone_named(names[i]);
        for (int64_t day = 0; day < 400; day++)
            (void)fw_zone_to_utc_ms(found[i], day * INT64_C(86400000));
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    const struct fw_zone *found[THREADS][4];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, found[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 1; i < THREADS; i++)
        assert_memory_equal(found[i], found[0], sizeof found[0]);
}

int main(void)
{
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
        fputs("skipped: no time zones on this machine (tzdata)\n", stderr);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_from_the_wall), cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_not_there),     cmocka_unit_test(test_directory_that_changes),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
