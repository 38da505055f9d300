/* Silences, acknowledgements, inhibition: when they hold, for whom, and across restarts. */
#include "unit/alert/memory_state.h"

#include "alert/control.h"

#include "support.h"

static struct schema schema;
/* Wednesday, 2026-11-25 00:00 UTC */
static const int64_t wednesday_ms = INT64_C(1795564800000);
#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void test_when_it_holds(void **state)
{
    (void)state;
    const struct alert_silence once = {.starts_ms = wednesday_ms, .ends_ms = wednesday_ms + HOUR};
    /* Wednesdays and Sundays from 22:30 for three hours, an hour east of UTC. */
    const struct alert_silence weekly = {.starts_ms = wednesday_ms - 30 * DAY,
                                         .ends_ms = INT64_MAX,
                                         .days = 1u << 2 | 1u << 6,
                                         .from_minute = 22 * 60 + 30,
                                         .length_minutes = 180,
                                         .zone_minutes = 60};
    struct alert_silence bounded = weekly;
    bounded.ends_ms = wednesday_ms + 22 * HOUR;
    const struct {
        const char *name;
        const struct alert_silence *silence;
        int64_t now_ms;
        bool holds;
        int64_t changes_ms;
    } rows[] = {
        {"once, before",              &once,    wednesday_ms - 1,                       false, wednesday_ms       },
        {"once, first moment",        &once,    wednesday_ms,                           true,  wednesday_ms + HOUR},
        {"once, last moment",         &once,    wednesday_ms + HOUR - 1,                true,  wednesday_ms + HOUR},
        {"once, over",                &once,    wednesday_ms + HOUR,                    false, INT64_MAX          },
        {"weekly, before",            &weekly,  wednesday_ms + 21 * HOUR,               false,
         wednesday_ms + 21 * HOUR + 30 * MINUTE                                                                   },
        {"weekly, begins",            &weekly,  wednesday_ms + 21 * HOUR + 30 * MINUTE, true,
         wednesday_ms + 24 * HOUR + 30 * MINUTE                                                                   },
        {"weekly, past midnight",     &weekly,  wednesday_ms + 24 * HOUR,               true,
         wednesday_ms + 24 * HOUR + 30 * MINUTE                                                                   },
        {"weekly, over until Sunday", &weekly,  wednesday_ms + 25 * HOUR,               false,
         wednesday_ms + 4 * DAY + 21 * HOUR + 30 * MINUTE                                                         },
        {"weekly, before it began",   &weekly,  wednesday_ms - 60 * DAY,                false,
         /* Monday, midnight: Sunday's window is open for half an hour more */
         wednesday_ms - 30 * DAY                                                                                  },
        {"weekly, cut by its end",    &bounded, wednesday_ms + 21 * HOUR + 45 * MINUTE, true,
         wednesday_ms + 22 * HOUR                                                                                 },
        {"weekly, no window left",    &bounded, wednesday_ms + 22 * HOUR,               false, INT64_MAX          },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t changes_ms;
        CHECK_EQ(rows[i].name, alert_silence_holds(rows[i].silence, rows[i].now_ms, &changes_ms),
                 rows[i].holds);
        CHECK_EQ(rows[i].name, changes_ms, rows[i].changes_ms);
    }
}

static const struct label_set no_labels;

static struct alert_silence plain(void)
{
    struct alert_silence s = {.profile = PROFILE_UNKNOWN,
                              .severity = -1,
                              .starts_ms = wednesday_ms,
                              .ends_ms = wednesday_ms + DAY};
    snprintf(s.server, sizeof s.server, "db-*");
    return s;
}

static void test_whom_it_fits(void **state)
{
    (void)state;
    schema_default(&schema);
    static const struct {
        const char *name, *server, *metric;
        enum profile profile;
        int severity;
        bool fits;
    } rows[] = {
        {"pattern",          "db-*",  "",              PROFILE_UNKNOWN,  -1,             true },
        {"another server",   "web-*", "",              PROFILE_UNKNOWN,  -1,             false},
        {"all",              "*",     "",              PROFILE_UNKNOWN,  -1,             true },
        {"metric",           "",      "disk_*",        PROFILE_UNKNOWN,  -1,             true },
        {"another metric",   "db-*",  "mem_used_pct",  PROFILE_UNKNOWN,  -1,             false},
        {"silence is none",  "",      "server_silent", PROFILE_UNKNOWN,  -1,             false},
        {"profile",          "",      "",              PROFILE_DATABASE, -1,             true },
        {"another profile",  "",      "",              PROFILE_WEB_API,  -1,             false},
        {"severity",         "",      "",              PROFILE_UNKNOWN,  ALERT_WARNING,  true },
        {"another severity", "",      "",              PROFILE_UNKNOWN,  ALERT_CRITICAL, false},
    };
    struct alert alert = {
        .metric = METRIC_DISK_USAGE, .severity = ALERT_WARNING, .profile = PROFILE_DATABASE};
    snprintf(alert.server, sizeof alert.server, "db-1");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct alert_silence s = {.profile = rows[i].profile, .severity = rows[i].severity};
        snprintf(s.server, sizeof s.server, "%s", rows[i].server);
        snprintf(s.metric, sizeof s.metric, "%s", rows[i].metric);
        CHECK_EQ(rows[i].name, alert_silence_fits(&s, &schema, &alert, &no_labels), rows[i].fits);
    }
}

static void test_whom_it_fits_by_label(void **state)
{
    (void)state;
    schema_default(&schema);
    static const struct {
        const char *name, *label, *pattern;
        bool fits;
    } rows[] = {
        {"value",         "dc",   "fra1", true },
        {"pattern",       "dc",   "fra*", true },
        {"another value", "dc",   "ams1", false},
        {"not there",     "team", "*",    false},
        {"case",          "dc",   "FRA1", false},
    };
    struct alert alert = {.metric = METRIC_DISK_USAGE};
    struct label_set labels = {0};
    assert_true(label_set_put(&labels, "dc", 2, "fra1", 4));
    assert_true(label_set_put(&labels, "rack", 4, "r7", 2));
    snprintf(alert.server, sizeof alert.server, "db-1");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct alert_silence s = {.profile = PROFILE_UNKNOWN, .severity = -1};
        assert_true(label_set_put(&s.labels, rows[i].label, strlen(rows[i].label), rows[i].pattern,
                                  strlen(rows[i].pattern)));
        CHECK_EQ(rows[i].name, alert_silence_fits(&s, &schema, &alert, &labels), rows[i].fits);
        /* All that is given must fit. */
        assert_true(label_set_put(&s.labels, "rack", 4, "r8", 2));
        CHECK_EQ(rows[i].name, alert_silence_fits(&s, &schema, &alert, &labels), false);
    }
}

static void test_refused(void **state)
{
    (void)state;
    struct alert_silence nothing = plain(), backwards = plain(), endless_window = plain(),
                         midnight = plain(), far = plain();
    nothing.server[0] = '\0';
    backwards.ends_ms = backwards.starts_ms;
    endless_window.days = 1;
    endless_window.length_minutes = 1441;
    midnight.from_minute = 1440;
    far.zone_minutes = 15 * 60;
    const struct {
        const struct alert_silence *silence;
        const char *text;
    } rows[] = {
        {&nothing,        "server"             },
        {&backwards,      "ends_at"            },
        {&endless_window, "recurrence.duration"},
        {&midnight,       "recurrence.from"    },
        {&far,            "recurrence.zone"    },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        CHECK_EQ(rows[i].text, alert_silence_check(rows[i].silence, &err), FW_EINVAL);
        CHECK_EQ(rows[i].text, strncmp(err.text, rows[i].text, strlen(rows[i].text)), 0);
    }
}

/* ---- a control over a store ---- */

struct world {
    struct store_state *state;
    struct alert_control *control;
    struct alert_list *list;
    struct alert_mark marks[8];
    int told;
};

static void on_change(void *ctx)
{
    ((struct world *)ctx)->told++;
}

static void open_control(struct world *w)
{
    const struct alert_control_options options = {
        .schema = &schema, .state = w->state, .inhibit = true, .changed = on_change, .ctx = w};
    assert_int_equal(alert_control_open(&options, &w->control, NULL), FW_OK);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    schema_default(&schema);
    w->state = memory_state_new();
    w->list = calloc(1, sizeof *w->list + 8 * sizeof w->list->items[0]);
    open_control(w);
    return w;
}

static void world_free(struct world *w)
{
    alert_control_close(w->control);
    memory_state_free(w->state);
    free(w->list);
    free(w);
}

static struct alert *add(struct world *w, uint64_t id, const char *server, uint16_t metric,
                         enum alert_severity severity)
{
    struct alert *a = &w->list->items[w->list->count++];
    *a = (struct alert){.id = id, .metric = metric, .state = ALERT_FIRING, .severity = severity};
    snprintf(a->server, sizeof a->server, "%s", server);
    return a;
}

static void mark(struct world *w, int64_t now_ms)
{
    alert_control_mark(w->control, w->list, now_ms, w->marks);
}

static void restart(struct world *w)
{
    alert_control_close(w->control);
    open_control(w);
}

static void test_silencing(void **state)
{
    (void)state;
    struct world *w = world_new();
    add(w, 1, "db-1", METRIC_DISK_USAGE, ALERT_CRITICAL);
    add(w, 2, "web-1", METRIC_DISK_USAGE, ALERT_CRITICAL);
    struct alert_silence s = plain();
    assert_int_equal(alert_control_silence(w->control, &s, wednesday_ms, NULL), FW_OK);
    assert_int_equal(w->told, 1);
    restart(w); /* it was durable */
    mark(w, wednesday_ms + 1);
    assert_string_equal(w->marks[0].silenced_by, s.id);
    assert_string_equal(w->marks[1].silenced_by, "");
    mark(w, wednesday_ms + DAY);
    assert_string_equal(w->marks[0].silenced_by, "");
    assert_int_equal(alert_control_end_silence(w->control, "nonsense", "eve", wednesday_ms, NULL),
                     FW_ENOTFOUND);
    assert_int_equal(alert_control_end_silence(w->control, s.id, "eve", wednesday_ms + HOUR, NULL),
                     FW_OK);
    assert_int_equal(alert_control_end_silence(w->control, s.id, "eve", wednesday_ms + HOUR, NULL),
                     FW_ENOTFOUND);
    restart(w);
    mark(w, wednesday_ms + 2 * HOUR);
    assert_string_equal(w->marks[0].silenced_by, "");
    /* Journalled, with who did it. */
    assert_int_equal(w->state->now.event_count, 2);
    assert_non_null(strstr(w->state->now.events[0].data, "silence_added"));
    assert_non_null(strstr(w->state->now.events[1].data, "\"by\":\"eve\""));
    /* Kept for a week, for the list. */
    struct alert_silence *all = NULL;
    size_t n;
    alert_control_tidy(w->control, w->list, wednesday_ms + 7 * DAY);
    assert_int_equal(alert_control_silences(w->control, &all, &n, NULL), FW_OK);
    assert_int_equal(n, 1);
    free(all);
    alert_control_tidy(w->control, w->list, wednesday_ms + 8 * DAY);
    assert_int_equal(alert_control_silences(w->control, &all, &n, NULL), FW_OK);
    assert_int_equal(n, 0);
    assert_int_equal(w->state->now.blob_count, 0);
    free(all);
    world_free(w);
}

static void test_acknowledging(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct alert *a = add(w, 7, "db-1", METRIC_DISK_USAGE, ALERT_WARNING);
    assert_int_equal(alert_control_acknowledge(w->control, a, "ann", "on it", wednesday_ms, NULL),
                     FW_OK);
    restart(w);
    mark(w, wednesday_ms);
    assert_true(w->marks[0].acknowledged);
    assert_string_equal(w->marks[0].acknowledged_by, "ann");
    assert_string_equal(w->marks[0].acknowledged_comment, "on it");
    a->severity = ALERT_CRITICAL;
    mark(w, wednesday_ms);
    assert_false(w->marks[0].acknowledged); /* worse than what was acknowledged */
    assert_int_equal(alert_control_acknowledge(w->control, a, "bob", "", wednesday_ms, NULL),
                     FW_OK);
    a->severity = ALERT_WARNING;
    mark(w, wednesday_ms);
    assert_string_equal(w->marks[0].acknowledged_by, "bob");
    assert_int_equal(alert_control_unacknowledge(w->control, a, "bob", wednesday_ms, NULL), FW_OK);
    assert_int_equal(alert_control_unacknowledge(w->control, a, "bob", wednesday_ms, NULL),
                     FW_ENOTFOUND);
    mark(w, wednesday_ms);
    assert_false(w->marks[0].acknowledged);
    /* It goes with the alert. */
    assert_int_equal(alert_control_acknowledge(w->control, a, "ann", "", wednesday_ms, NULL),
                     FW_OK);
    alert_control_tidy(w->control, w->list, wednesday_ms);
    assert_int_equal(w->state->now.blob_count, 1);
    a->state = ALERT_RESOLVED;
    mark(w, wednesday_ms);
    assert_false(w->marks[0].acknowledged);
    alert_control_tidy(w->control, w->list, wednesday_ms);
    assert_int_equal(w->state->now.blob_count, 0);
    world_free(w);
}

static void test_inhibition(void **state)
{
    (void)state;
    struct world *w = world_new();
    add(w, 1, "a", METRIC_DISK_USAGE, ALERT_CRITICAL);
    add(w, 2, "a", METRIC_MEM_USED, ALERT_WARNING);
    add(w, 3, "b", METRIC_MEM_USED, ALERT_WARNING);
    add(w, 4, "c", ALERT_METRIC_SILENT, ALERT_WARNING);
    add(w, 5, "c", METRIC_MEM_USED, ALERT_WARNING);
    struct alert *suspicion = add(w, 6, "b", METRIC_DISK_USAGE, ALERT_CRITICAL);
    suspicion->state = ALERT_PENDING;
    mark(w, wednesday_ms);
    static const uint64_t expected[] = {0, 1, 0, 0, 4, 0};
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_int_equal(w->marks[i].inhibited_by, expected[i]);
    w->list->items[0].state = ALERT_RESOLVED;
    mark(w, wednesday_ms);
    assert_int_equal(w->marks[1].inhibited_by, 0);
    world_free(w);
}

/* What is not durable is not so. */
static void test_failing_store(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct alert *a = add(w, 1, "db-1", METRIC_DISK_USAGE, ALERT_WARNING);
    struct alert_silence s = plain();
    w->state->fail_from = 1;
    w->state->fail_to = 1000;
    assert_int_equal(alert_control_silence(w->control, &s, wednesday_ms, NULL), FW_ENOSPC);
    assert_int_equal(alert_control_acknowledge(w->control, a, "ann", "", wednesday_ms, NULL),
                     FW_ENOSPC);
    mark(w, wednesday_ms);
    assert_string_equal(w->marks[0].silenced_by, "");
    assert_false(w->marks[0].acknowledged);
    assert_int_equal(w->told, 0);
    world_free(w);
}

static void test_bounded(void **state)
{
    (void)state;
    struct world *w = world_new();
    const struct alert_control_options options = {.schema = &schema};
    alert_control_close(w->control);
    assert_int_equal(alert_control_open(&options, &w->control, NULL), FW_OK);
    struct alert_silence s = plain();
    for (int i = 0; i < ALERT_SILENCES_MAX; i++)
        assert_int_equal(alert_control_silence(w->control, &s, wednesday_ms, NULL), FW_OK);
    assert_int_equal(alert_control_silence(w->control, &s, wednesday_ms, NULL), FW_ELIMIT);
    world_free(w);
}

static size_t count_actions(struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->state->now.event_count; i++)
        n += strcmp(w->state->now.events[i].kind, ALERT_ACTION_KIND) == 0;
    return n;
}

/* The journal is pruned by age, once an hour, and a store that refuses is asked again. */
static void test_journal_is_pruned(void **state)
{
    (void)state;
    const int64_t year = (ALERT_ACTIONS_DAYS - 1) * DAY;
    struct world *w = world_new();
    struct alert_silence s = plain();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(alert_control_silence(w->control, &s, wednesday_ms + i * DAY, NULL),
                         FW_OK);
        s.ends_ms += DAY;
    }
    assert_int_equal(count_actions(w), 5);
    alert_control_tidy(w->control, w->list, wednesday_ms + year);
    assert_int_equal(count_actions(w), 5);
    alert_control_tidy(w->control, w->list, wednesday_ms + year + DAY + 1);
    assert_int_equal(count_actions(w), 4);
    alert_control_tidy(w->control, w->list, wednesday_ms + year + DAY + 2 + 60000);
    assert_int_equal(count_actions(w), 4);
    w->state->fail_from = w->state->writes + 1;
    w->state->fail_to = w->state->writes + 1;
    alert_control_tidy(w->control, w->list, wednesday_ms + year + 2 * DAY + 3);
    assert_int_equal(count_actions(w), 4);
    alert_control_tidy(w->control, w->list, wednesday_ms + year + 2 * DAY + 3 + 3600 * 1000);
    assert_int_equal(count_actions(w), 3);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_it_holds),
        cmocka_unit_test(test_whom_it_fits),
        cmocka_unit_test(test_whom_it_fits_by_label),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_silencing),
        cmocka_unit_test(test_acknowledging),
        cmocka_unit_test(test_inhibition),
        cmocka_unit_test(test_failing_store),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_journal_is_pruned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
