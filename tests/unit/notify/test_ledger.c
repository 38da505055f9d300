/* Who is told what: the ledger against lists of alerts made by hand, and across restarts. */
#include "notify/notify_internal.h"

#include "base/alloc.h"

#include "support.h"

#include <stdlib.h>
#include <unistd.h>

static struct schema schema;
static const int64_t base_ms = (int64_t)1700000 * 1000000;

struct list {
    struct alert_list *list;
    struct alert_mark marks[32];
};

static struct list make(void)
{
    struct list l = {.list = calloc(1, sizeof *l.list + 32 * sizeof l.list->items[0])};
    assert_non_null(l.list);
    return l;
}

static struct alert *add(struct list *l, uint64_t id, const char *server, enum alert_state state,
                         enum alert_severity severity)
{
    struct alert *a = &l->list->items[l->list->count++];
    *a = (struct alert){.id = id,
                        .metric = METRIC_DISK_USAGE,
                        .state = state,
                        .severity = severity,
                        .starts_ms = base_ms,
                        .profile = PROFILE_GENERIC,
                        .probability = 0.9f};
    snprintf(a->server, sizeof a->server, "%s", server);
    if (state == ALERT_RESOLVED)
        a->ends_ms = base_ms + 60000;
    return a;
}

static struct notify_rules rules_of(enum notify_kind kind)
{
    return (struct notify_rules){
        .kind = kind, .send_resolved = true, .queue_max = 100, .resend_ms = 60000};
}

static struct notify_ledger open_ledger(const struct notify_rules *rules)
{
    struct notify_ledger ledger;
    schema_default(&schema);
    notify_ledger_init(&ledger, rules, &schema);
    return ledger;
}

/* Everything that is due is accepted; returns how many alerts were told as `over`, by its value. */
static void tell_all(struct notify_ledger *ledger, int64_t now_ms, size_t *firing, size_t *over)
{
    struct notify_entry *batch[NOTIFY_BATCH_MAX];
    *firing = *over = 0;
    for (size_t n; (n = notify_ledger_collect(ledger, now_ms, batch)) > 0;) {
        for (size_t i = 0; i < n; i++)
            *(batch[i]->over ? over : firing) += 1;
        notify_ledger_accepted(ledger, batch, n, now_ms);
        notify_ledger_sweep(ledger);
    }
}

/* One run: a list with one alert (or none) against a ledger, and what it makes it say. */
static void check_turn(const char *name, struct notify_ledger *ledger, const struct list *l,
                       int64_t now_ms, size_t firing, size_t over)
{
    size_t told_firing, told_over;
    assert_true(notify_ledger_sync(ledger, l->list, l->marks, now_ms));
    tell_all(ledger, now_ms, &told_firing, &told_over);
    CHECK_EQ(name, told_firing, firing);
    CHECK_EQ(name, told_over, over);
}

static void test_webhook_life(void **state)
{
    (void)state;
    const struct notify_rules rules = rules_of(NOTIFY_WEBHOOK);
    struct notify_ledger ledger = open_ledger(&rules);
    struct list l = make();
    struct alert *a = add(&l, 1, "db1", ALERT_PENDING, ALERT_WARNING);
    check_turn("a suspicion is told to nobody", &ledger, &l, base_ms, 0, 0);
    a->state = ALERT_FIRING;
    check_turn("a beginning", &ledger, &l, base_ms + 1000, 1, 0);
    check_turn("is told once", &ledger, &l, base_ms + 2000, 0, 0);
    assert_int_equal(notify_ledger_due_ms(&ledger, base_ms + 3000), INT64_MAX);
    a->severity = ALERT_CRITICAL;
    check_turn("a rise is an end and a beginning", &ledger, &l, base_ms + 3000, 1, 1);
    a->state = ALERT_RESOLVED;
    a->ends_ms = base_ms + 4000;
    check_turn("an end", &ledger, &l, base_ms + 4000, 0, 1);
    assert_int_equal(ledger.count, 0);
    check_turn("is told once", &ledger, &l, base_ms + 5000, 0, 0);
    free(l.list);
    notify_ledger_fini(&ledger);
}

static void test_unheard(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum notify_kind kind;
        bool send_resolved;
        size_t over;
    } rows[] = {
        {"a webhook hears of it once, as over",        NOTIFY_WEBHOOK,      true,  1},
        {"unless it does not want ends",               NOTIFY_WEBHOOK,      false, 0},
        {"an Alertmanager has nothing that could end", NOTIFY_ALERTMANAGER, true,  0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notify_rules rules = rules_of(rows[i].kind);
        rules.send_resolved = rows[i].send_resolved;
        struct notify_ledger ledger = open_ledger(&rules);
        struct list l = make();
        struct alert *a = add(&l, 1, "db1", ALERT_FIRING, ALERT_CRITICAL);
        assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms)); /* nobody answers */
        a->state = ALERT_RESOLVED;
        a->ends_ms = base_ms + 1000;
        check_turn(rows[i].name, &ledger, &l, base_ms + 1000, 0, rows[i].over);
        free(l.list);
        notify_ledger_fini(&ledger);
    }
}

static void test_alertmanager_resends(void **state)
{
    (void)state;
    const struct notify_rules rules = rules_of(NOTIFY_ALERTMANAGER);
    struct notify_ledger ledger = open_ledger(&rules);
    struct list l = make();
    struct alert *a = add(&l, 1, "db1", ALERT_FIRING, ALERT_CRITICAL);
    check_turn("a beginning", &ledger, &l, base_ms, 1, 0);
    assert_int_equal(notify_ledger_due_ms(&ledger, base_ms), base_ms + 60000);
    check_turn("not before a minute", &ledger, &l, base_ms + 59999, 0, 0);
    check_turn("after a minute", &ledger, &l, base_ms + 60000, 1, 0);
    check_turn("a clock put back", &ledger, &l, base_ms - 3600000, 1, 0);
    check_turn("a minute of that clock", &ledger, &l, base_ms - 3540000, 1, 0);
    a->state = ALERT_RESOLVED;
    a->ends_ms = base_ms + 70000;
    size_t ends = 0;
    for (int64_t t = 70000; t < 70000 + 3600000; t += 10000) {
        size_t firing, over;
        if (t > 70000 + 60 * 60000)
            l.list->count = 0; /* it has left the list long since */
        assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + t));
        tell_all(&ledger, base_ms + t, &firing, &over);
        assert_int_equal(firing, 0);
        ends += over;
    }
    assert_int_equal(ends, 15);
    notify_ledger_sweep(&ledger);
    assert_int_equal(ledger.count, 0);
    free(l.list);
    notify_ledger_fini(&ledger);
}

static void test_suppression(void **state)
{
    (void)state;
    const struct notify_rules rules = rules_of(NOTIFY_WEBHOOK);
    struct notify_ledger ledger = open_ledger(&rules);
    struct list l = make();
    struct alert *a = add(&l, 1, "db1", ALERT_FIRING, ALERT_WARNING);
    memcpy(l.marks[0].silenced_by, "0123456789abcdef", ALERT_SILENCE_ID_SIZE);
    check_turn("a silence holds a beginning back", &ledger, &l, base_ms, 0, 0);
    l.marks[0].silenced_by[0] = '\0';
    check_turn("and lets it go when it ends", &ledger, &l, base_ms + 1000, 1, 0);
    l.marks[0].inhibited_by = 7;
    check_turn("what was told goes on", &ledger, &l, base_ms + 2000, 0, 0);
    a->severity = ALERT_CRITICAL;
    check_turn("a rise is held back, without an end that is none", &ledger, &l, base_ms + 3000, 0,
               0);
    a->state = ALERT_RESOLVED;
    a->ends_ms = base_ms + 4000;
    check_turn("but its end is told", &ledger, &l, base_ms + 4000, 0, 1);
    free(l.list);
    notify_ledger_fini(&ledger);
}

static void test_repeat(void **state)
{
    (void)state;
    struct notify_rules rules = rules_of(NOTIFY_EXEC);
    rules.repeat_ms = 10000;
    struct notify_ledger ledger = open_ledger(&rules);
    struct list l = make();
    add(&l, 1, "db1", ALERT_FIRING, ALERT_WARNING);
    check_turn("a beginning", &ledger, &l, base_ms, 1, 0);
    check_turn("a repetition", &ledger, &l, base_ms + 10000, 1, 0);
    l.marks[0].acknowledged = true;
    check_turn("none once somebody has acknowledged", &ledger, &l, base_ms + 20000, 0, 0);
    free(l.list);
    notify_ledger_fini(&ledger);
}

static void test_bounded(void **state)
{
    (void)state;
    struct notify_rules rules = rules_of(NOTIFY_WEBHOOK);
    rules.queue_max = 3;
    struct notify_ledger ledger = open_ledger(&rules);
    struct list l = make();
    for (uint64_t id = 1; id <= 5; id++)
        add(&l, id, "db1", ALERT_FIRING, ALERT_WARNING);
    for (int turn = 0; turn < 3; turn++)
        assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + turn));
    assert_int_equal(ledger.count, 3);
    assert_int_equal(ledger.dropped, 2); /* counted once each */
    /* One that came and went unheard makes room for one that fires. */
    l.list->items[0].state = ALERT_RESOLVED;
    l.list->items[0].ends_ms = base_ms + 10;
    size_t firing, over;
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + 10));
    assert_int_equal(ledger.dropped, 3);
    tell_all(&ledger, base_ms + 11, &firing, &over);
    assert_int_equal(firing, 3);
    assert_int_equal(over, 0);
    /* With room again, what still fires comes in. */
    l.list->items[1].state = l.list->items[2].state = ALERT_RESOLVED;
    check_turn("the ends, beside what fires", &ledger, &l, base_ms + 20, 1, 2);
    check_turn("the fifth, likewise", &ledger, &l, base_ms + 30, 2, 0);
    free(l.list);
    notify_ledger_fini(&ledger);
}

static void test_groups_by_server(void **state)
{
    (void)state;
    const struct notify_rules rules = rules_of(NOTIFY_WEBHOOK);
    struct notify_ledger ledger = open_ledger(&rules);
    struct notify_entry *batch[NOTIFY_BATCH_MAX];
    struct list l = make();
    add(&l, 1, "db1", ALERT_FIRING, ALERT_WARNING);
    add(&l, 2, "db2", ALERT_FIRING, ALERT_WARNING);
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms));
    assert_int_equal(notify_ledger_collect(&ledger, base_ms, batch), 1);
    size_t firing, over;
    tell_all(&ledger, base_ms, &firing, &over);
    /* A second one of db1: the message has the first one beside it. */
    add(&l, 3, "db1", ALERT_FIRING, ALERT_CRITICAL);
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + 1));
    assert_int_equal(notify_ledger_collect(&ledger, base_ms + 1, batch), 2);
    assert_int_equal(batch[0]->alert.id, 3);
    assert_int_equal(batch[1]->alert.id, 1);
    free(l.list);
    notify_ledger_fini(&ledger);
}

static void test_restart(void **state)
{
    (void)state;
    char path[64];
    struct store_state *store = NULL;
    struct store_state_report report;
    snprintf(path, sizeof path, "/tmp/forewarn-ledger-%ld.db", (long)getpid());
    assert_int_equal(store_state_open(path, NULL, &report, &store, NULL), FW_OK);
    const struct notify_rules rules = rules_of(NOTIFY_WEBHOOK);
    struct notify_ledger ledger = open_ledger(&rules);
    struct list l = make();
    add(&l, 1, "db1", ALERT_FIRING, ALERT_WARNING);
    check_turn("a beginning", &ledger, &l, base_ms, 1, 0);
    add(&l, 2, "db2", ALERT_FIRING, ALERT_CRITICAL);
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + 1));
    /* sweep() in tell_all() forgot what was dirty, as if it had been saved before. */
    for (size_t i = 0; i < ledger.count; i++)
        ledger.entries[i]->dirty = true;
    assert_int_equal(notify_ledger_save(&ledger, store, "hook", NULL), FW_OK);
    notify_ledger_fini(&ledger);

    struct notify_ledger other = open_ledger(&rules);
    assert_int_equal(notify_ledger_load(&other, store, "hook2", NULL), FW_OK);
    assert_int_equal(other.count, 0); /* another receiver's is not ours */
    ledger = open_ledger(&rules);
    assert_int_equal(notify_ledger_load(&ledger, store, "hook", NULL), FW_OK);
    assert_int_equal(ledger.count, 2);
    check_turn("only what was not told", &ledger, &l, base_ms + 2, 1, 0);
    /* An alert that the list no longer knows is over. */
    l.list->count = 1;
    check_turn("the end of what is gone", &ledger, &l, base_ms + 3, 0, 1);
    for (size_t i = 0; i < ledger.count; i++)
        ledger.entries[i]->dirty = true;
    assert_int_equal(notify_ledger_save(&ledger, store, "hook", NULL), FW_OK);
    notify_ledger_fini(&ledger);
    store_state_close(store);
    unlink(path);
    free(l.list);
}

static bool labels_of_rack(void *ctx, const char *server, struct label_set *out)
{
    const char *rack = ctx;
    label_set_clear(out);
    return strcmp(server, "db1") == 0 && label_set_put(out, "rack", 4, rack, strlen(rack));
}

/* What an alert was labelled when it began goes with it to its end, over a restart as well. */
static void test_labels_stay(void **state)
{
    (void)state;
    char path[64], first[] = "r1", later[] = "r2";
    struct store_state *store = NULL;
    struct store_state_report report;
    snprintf(path, sizeof path, "/tmp/forewarn-ledger-labels-%ld.db", (long)getpid());
    assert_int_equal(store_state_open(path, NULL, &report, &store, NULL), FW_OK);
    const struct notify_rules rules = rules_of(NOTIFY_ALERTMANAGER);
    struct notify_ledger ledger = open_ledger(&rules);
    ledger.labels = (struct label_source){labels_of_rack, first};
    struct list l = make();
    add(&l, 1, "db1", ALERT_FIRING, ALERT_WARNING);
    add(&l, 2, "db2", ALERT_FIRING, ALERT_WARNING);
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms));
    assert_null(ledger.entries[1]->labels);
    assert_int_equal(notify_ledger_save(&ledger, store, "am", NULL), FW_OK);
    notify_ledger_fini(&ledger);
    ledger = open_ledger(&rules);
    ledger.labels = (struct label_source){labels_of_rack, later};
    assert_int_equal(notify_ledger_load(&ledger, store, "am", NULL), FW_OK);
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + 1));
    assert_int_equal(ledger.count, 2);
    CHECK_STR("as it began", label_set_get(ledger.entries[0]->labels, "rack"), "r1");
    assert_null(ledger.entries[1]->labels);
    add(&l, 3, "db1", ALERT_FIRING, ALERT_WARNING); /* a new alert is labelled as the server is */
    assert_true(notify_ledger_sync(&ledger, l.list, l.marks, base_ms + 2));
    CHECK_STR("a new one", label_set_get(ledger.entries[2]->labels, "rack"), "r2");
    notify_ledger_fini(&ledger);
    store_state_close(store);
    unlink(path);
    free(l.list);
}

static void test_no_memory(void **state)
{
    (void)state;
    const struct notify_rules rules = rules_of(NOTIFY_WEBHOOK);
    struct list l = make();
    for (uint64_t id = 1; id <= 3; id++)
        add(&l, id, "db1", ALERT_FIRING, ALERT_WARNING);
    for (long n = 1; n <= 4; n++) {
        struct notify_ledger ledger = open_ledger(&rules);
        fw_alloc_fail_at(n);
        const bool whole = notify_ledger_sync(&ledger, l.list, l.marks, base_ms);
        fw_alloc_fail_at(0);
        assert_false(whole);
        check_turn("the next list has all", &ledger, &l, base_ms + 1, 3, 0);
        notify_ledger_fini(&ledger);
    }
    free(l.list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webhook_life),
        cmocka_unit_test(test_unheard),
        cmocka_unit_test(test_alertmanager_resends),
        cmocka_unit_test(test_suppression),
        cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_groups_by_server),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_labels_stay),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
