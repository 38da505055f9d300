/* Whose ledger is whose: receivers and instances of an Alertmanager with names that resemble each
 * other, and ledgers of before they were told apart. */
#include "notify/notify_internal.h"

#include "alert/codec.h"

#include "support.h"

#include <unistd.h>

static struct schema schema;
static const int64_t base_ms = (int64_t)1700000 * 1000000;

static struct store_state *open_store(char path[64], const char *name)
{
    struct store_state *store;
    struct store_state_report report;
    schema_default(&schema);
    snprintf(path, 64, "/tmp/forewarn-names-%s-%ld.db", name, (long)getpid());
    unlink(path);
    assert_int_equal(store_state_open(path, NULL, &report, &store, NULL), FW_OK);
    return store;
}

static void set(struct notify_settings *settings, const char *receiver, const char *key,
                const char *value)
{
    struct fw_error err = {0};
    if (notify_settings_set(settings, receiver, key, value, &err) != FW_OK)
        fail_msg("%s", err.text);
}

/* An Alertmanager "am" of two instances, and a webhook, where it has a name. */
static struct notifier *open_notifier(struct store_state *store, const char *hook)
{
    struct notify_settings settings;
    struct notifier *notifier;
    struct fw_error err = {0};
    notify_settings_default(&settings);
    set(&settings, "am", "type", "alertmanager");
    set(&settings, "am", "url", "http://a:9093, http://b:9093");
    if (hook != NULL) {
        set(&settings, hook, "type", "webhook");
        set(&settings, hook, "url", "http://c/");
    }
    const struct notifier_options options = {.settings = &settings,
                                             .schema = &schema,
                                             .state = store,
                                             .clock = fw_clock_system(),
                                             .external_url = "http://d",
                                             .step_s = 300};
    if (notifier_new(&options, &notifier, &err) != FW_OK)
        fail_msg("%s", err.text);
    return notifier;
}

static const struct notify_receiver *receiver(const struct notifier *notifier, const char *name)
{
    const struct notify_receiver *found = NULL;
    for (size_t i = 0; i < notifier->receiver_count; i++)
        if (strcmp(notifier->receivers[i]->name, name) == 0) {
            assert_null(found);
            found = notifier->receivers[i];
        }
    assert_non_null(found);
    return found;
}

/* What the receiver was told of the one alert that it knows; -1: it knows none. */
static int told(const struct notifier *notifier, const char *name, uint64_t id)
{
    const struct notify_ledger *ledger = &receiver(notifier, name)->ledger;
    if (ledger->count == 0)
        return -1;
    assert_int_equal(ledger->count, 1);
    assert_int_equal(ledger->entries[0]->alert.id, id);
    return (int)ledger->entries[0]->told;
}

static void keep(struct store_state *store, const char *ns, const char *name, uint64_t id,
                 enum notify_told as)
{
    struct alert alert = {.id = id,
                          .state = ALERT_FIRING,
                          .severity = ALERT_WARNING,
                          .starts_ms = base_ms,
                          .profile = PROFILE_GENERIC};
    struct fw_buf buf;
    char key[64];
    snprintf(alert.server, sizeof alert.server, "db1");
    snprintf(key, sizeof key, "%s/%016llx-0", name, (unsigned long long)id);
    fw_buf_init(&buf, 4096);
    fw_buf_printf(&buf, "{\"v\":1,\"over\":0,\"over_at\":0,\"told\":%d,\"told_at\":%lld,", (int)as,
                  (long long)base_ms);
    alert_put_members(&buf, &alert, "disk_usage_pct");
    fw_buf_putc(&buf, '}');
    assert_int_equal(store_state_put(store, ns, key, buf.data, buf.len, NULL), FW_OK);
    fw_buf_fini(&buf);
}

static uint64_t count(struct store_state *store, const char *ns)
{
    uint64_t n;
    const struct store_state_range all = {.ns = ns};
    assert_int_equal(store_state_range_count(store, &all, &n, NULL), FW_OK);
    return n;
}

static void test_instance_is_no_receiver(void **state)
{
    (void)state;
    char path[64];
    struct store_state *store = open_store(path, "apart");
    keep(store, NOTIFY_NAMESPACE, "am-1", 7, NOTIFY_FIRING);
    keep(store, NOTIFY_NAMESPACE, "am:2", 8, NOTIFY_NOTHING);
    for (int start = 0; start < 2; start++) {
        struct notifier *notifier = open_notifier(store, "am-1");
        assert_int_equal(notifier->receiver_count, 3);
        assert_int_equal(told(notifier, "am:1", 7), -1);
        assert_int_equal(told(notifier, "am:2", 8), NOTIFY_NOTHING);
        assert_int_equal(told(notifier, "am-1", 7), NOTIFY_FIRING);
        notifier_free(notifier);
    }
    struct notifier *notifier = open_notifier(store, NULL); /* the webhook is removed */
    assert_int_equal(told(notifier, "am:1", 7), -1);
    notifier_free(notifier);
    assert_int_equal(count(store, NOTIFY_NAMESPACE), 1);
    store_state_close(store);
    unlink(path);
}

static void test_older_ledgers(void **state)
{
    (void)state;
    char path[64];
    struct store_state *store = open_store(path, "older");
    keep(store, NOTIFY_NAMESPACE_OLDER, "am-1", 1, NOTIFY_FIRING);
    keep(store, NOTIFY_NAMESPACE_OLDER, "am-2", 2, NOTIFY_NOTHING);
    keep(store, NOTIFY_NAMESPACE_OLDER, "hook", 3, NOTIFY_FIRING);
    keep(store, NOTIFY_NAMESPACE_OLDER, "gone", 4, NOTIFY_FIRING);
    for (int start = 0; start < 2; start++) {
        struct notifier *notifier = open_notifier(store, "hook");
        assert_int_equal(told(notifier, "am:1", 1), NOTIFY_FIRING);
        assert_int_equal(told(notifier, "am:2", 2), NOTIFY_NOTHING);
        assert_int_equal(told(notifier, "hook", 3), NOTIFY_FIRING);
        notifier_free(notifier);
        assert_int_equal(count(store, NOTIFY_NAMESPACE), 3);
        assert_int_equal(count(store, NOTIFY_NAMESPACE_OLDER), 0);
    }
    store_state_close(store);
    unlink(path);
}

/* Where the older ones could not be moved at a start, what was told since counts. */
static void test_newer_counts(void **state)
{
    (void)state;
    char path[64];
    struct store_state *store = open_store(path, "newer");
    keep(store, NOTIFY_NAMESPACE_OLDER, "am-1", 1, NOTIFY_NOTHING);
    keep(store, NOTIFY_NAMESPACE, "am:1", 1, NOTIFY_FIRING);
    struct notifier *notifier = open_notifier(store, NULL);
    assert_int_equal(told(notifier, "am:1", 1), NOTIFY_FIRING);
    notifier_free(notifier);
    assert_int_equal(count(store, NOTIFY_NAMESPACE_OLDER), 0);
    store_state_close(store);
    unlink(path);
}

/* Two that had one ledger by accident each go on with it. */
static void test_shared_ledger(void **state)
{
    (void)state;
    char path[64];
    struct store_state *store = open_store(path, "shared");
    keep(store, NOTIFY_NAMESPACE_OLDER, "am-1", 1, NOTIFY_FIRING);
    for (int start = 0; start < 2; start++) {
        struct notifier *notifier = open_notifier(store, "am-1");
        assert_int_equal(told(notifier, "am:1", 1), NOTIFY_FIRING);
        assert_int_equal(told(notifier, "am-1", 1), NOTIFY_FIRING);
        notifier_free(notifier);
    }
    assert_int_equal(count(store, NOTIFY_NAMESPACE), 2);
    store_state_close(store);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instance_is_no_receiver),
        cmocka_unit_test(test_older_ledgers),
        cmocka_unit_test(test_newer_counts),
        cmocka_unit_test(test_shared_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
