/* Labels of servers: who wins, what is forgotten, what a change costs. */
#include "fleet_fixture.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "fleet/labels.h"

static struct label_rules rules;

static void begin(struct fixture *f)
{
    fixture_init(f, 300, 864, 4);
    assert_int_equal(label_rules_parse(&rules, "dc, job, rack", NULL), FW_OK);
    f->batch->label_rules = &rules;
    add(f, "db1", T0, METRIC_CPU_USER, 1.0f);
    flush(f);
}

/* As a request does: weighed, then applied. */
static size_t take(struct fixture *f)
{
    const size_t dropped = fleet_labels_weigh(f->fleet, f->batch);
    return dropped + fleet_labels_apply(f->fleet, f->batch);
}

static size_t say(struct fixture *f, const char *server, const char *name, const char *value)
{
    assert_true(batch_labels_begin(f->batch, server, strlen(server)));
    batch_label(f->batch, name, strlen(name), value, strlen(value));
    batch_labels_end(f->batch);
    const size_t dropped = take(f);
    batch_reset(f->batch);
    return dropped;
}

static const char *value_of(struct fixture *f, const char *server, const char *name)
{
    static struct label_set set;
    const char *value =
        fleet_labels_find(f->fleet, server, &set) ? label_set_get(&set, name) : NULL;
    return value != NULL ? value : "";
}

static void test_taken(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    const uint64_t revision = fleet_labels_revision(f.fleet);
    CHECK_STR("none yet", value_of(&f, "db1", "dc"), "");
    assert_int_equal(say(&f, "db1", "dc", "fra"), 0);
    assert_int_equal(say(&f, "db1", "rack", "r1"), 0);
    assert_int_equal(say(&f, "stranger", "dc", "fra"), 0);
    CHECK_STR("dc", value_of(&f, "db1", "dc"), "fra");
    CHECK_STR("rack", value_of(&f, "db1", "rack"), "r1");
    assert_int_equal(fleet_labels_count(f.fleet), 1);
    const uint64_t changed = fleet_labels_revision(f.fleet);
    assert_true(changed > revision);
    assert_int_equal(say(&f, "db1", "rack", "r1"), 0);
    assert_int_equal(fleet_labels_revision(f.fleet), changed); /* nothing new: nothing to write */
    char name[SERVER_NAME_MAX + 1];
    struct label_set set;
    assert_true(fleet_labels_changed(f.fleet, 0, revision, name, &set));
    CHECK_STR("whose", name, "db1");
    assert_int_equal(set.count, 2);
    assert_false(fleet_labels_changed(f.fleet, 0, changed, name, &set));
    fixture_fini(&f);
}

/* Two exporters that disagree do not make a label flutter; a change comes through in the end. */
static void test_who_wins(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    (void)say(&f, "db1", "job", "node");
    const uint64_t revision = fleet_labels_revision(f.fleet);
    for (int i = 0; i < 200; i++) {
        fw_clock_fake_advance_ms(&f.clock, 15000);
        (void)say(&f, "db1", "job", "java");
        CHECK_STR("the first stays", value_of(&f, "db1", "job"), "node");
        (void)say(&f, "db1", "job", "node");
    }
    assert_int_equal(fleet_labels_revision(f.fleet), revision);
    fw_clock_fake_advance_ms(&f.clock, FLEET_LABEL_HOLD_MS - 1);
    (void)say(&f, "db1", "job", "java");
    CHECK_STR("not yet", value_of(&f, "db1", "job"), "node");
    fw_clock_fake_advance_ms(&f.clock, 1);
    (void)say(&f, "db1", "job", "java");
    CHECK_STR("node is no longer said", value_of(&f, "db1", "job"), "java");
    fixture_fini(&f);
}

static void test_forgotten(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    (void)say(&f, "db1", "rack", "r1");
    (void)say(&f, "db1", "dc", "fra");
    for (int hour = 0; hour < 24; hour++) {
        fw_clock_fake_advance_ms(&f.clock, 3600 * 1000);
        (void)say(&f, "db1", "dc", "fra");
        CHECK_STR("a day", value_of(&f, "db1", "rack"), "r1");
    }
    fw_clock_fake_advance_ms(&f.clock, 1000);
    (void)say(&f, "db1", "dc", "fra");
    CHECK_STR("unsaid for a day", value_of(&f, "db1", "rack"), "");
    CHECK_STR("the other stays", value_of(&f, "db1", "dc"), "fra");
    fixture_fini(&f);
}

/* They go with their server, and their memory with them. */
static void test_server_goes(void **state)
{
    (void)state;
    struct fixture f;
    struct fleet_counts before, after;
    begin(&f);
    fleet_counts(f.fleet, &before);
    (void)say(&f, "db1", "dc", "fra");
    fleet_counts(f.fleet, &after);
    assert_true(after.bytes > before.bytes && after.bytes - before.bytes < 256);
    fw_clock_fake_advance_ms(&f.clock, f.options.expire_ms + 1);
    assert_int_equal(fleet_expire(f.fleet), 1);
    CHECK_STR("gone", value_of(&f, "db1", "dc"), "");
    assert_int_equal(fleet_labels_count(f.fleet), 0);
    add(&f, "db9", T0 + f.options.expire_ms, METRIC_CPU_USER, 1.0f); /* in its place */
    flush(&f);
    CHECK_STR("another's", value_of(&f, "db9", "dc"), "");
    fixture_fini(&f);
}

static void test_put_and_bounds(void **state)
{
    (void)state;
    struct fixture f;
    struct label_set set;
    begin(&f);
    label_set_clear(&set);
    char name[8], value[LABEL_VALUE_MAX + 1] = "";
    memset(value, 'v', LABEL_VALUE_MAX);
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "l%d", i);
        assert_true(label_set_put(&set, name, 2, value, LABEL_VALUE_MAX));
    }
    assert_true(fleet_labels_put(f.fleet, "db1", 3, &set));
    assert_false(fleet_labels_put(f.fleet, "nobody", 6, &set));
    CHECK_STR("as read", value_of(&f, "db1", "l3"), value);
    assert_true(batch_labels_begin(f.batch, "db1", 3));
    batch_label(f.batch, "dc", 2, value, LABEL_VALUE_MAX);
    batch_labels_end(f.batch);
    assert_int_equal(take(&f), 1); /* no room: counted */
    batch_reset(f.batch);
    CHECK_STR("left out", value_of(&f, "db1", "dc"), "");
    assert_true(batch_labels_begin(f.batch, "db1", 3));
    batch_label(f.batch, "dc", 2, "f", 1);
    batch_labels_end(f.batch);
    fw_alloc_fail_at(1);
    assert_int_equal(take(&f), 1); /* no memory: likewise */
    fw_alloc_fail_at(0);
    CHECK_STR("as before", value_of(&f, "db1", "l3"), value);
    fixture_fini(&f);
}

/* One said of a server into the batch, and not taken yet. */
static void put_said(struct fixture *f, const char *server, const char *name, const char *value)
{
    assert_true(batch_labels_begin(f->batch, server, strlen(server)));
    batch_label(f->batch, name, strlen(name), value, strlen(value));
    batch_labels_end(f->batch);
}

/* Only news is to be journalled, and what was journalled gives the labels back, over what the store
 * has and in any company. */
static void test_news_and_replay(void **state)
{
    (void)state;
    struct fixture f, again;
    struct fw_buf record;
    struct label_set stored;
    begin(&f);
    (void)say(&f, "db1", "job", "node");
    put_said(&f, "db1", "job", "node");
    put_said(&f, "stranger", "dc", "fra");
    assert_int_equal(fleet_labels_weigh(f.fleet, f.batch), 0);
    CHECK_EQ("nothing new", batch_label_changes(f.batch), 0);
    batch_reset(f.batch);

    add(&f, "db2", T0, METRIC_CPU_USER, 1.0f); /* it comes with its labels */
    put_said(&f, "db2", "dc", "ams");
    put_said(&f, "db1", "job", "java"); /* held off */
    put_said(&f, "db1", "rack", "r1");
    assert_int_equal(fleet_admit(f.fleet, f.batch), FW_OK);
    assert_int_equal(fleet_labels_weigh(f.fleet, f.batch), 0);
    CHECK_EQ("of two servers", batch_label_changes(f.batch), 2);
    CHECK_STR("not before it is durable", value_of(&f, "db1", "rack"), "");
    fw_buf_init(&record, 1 << 20);
    batch_encode(f.batch, &f.schema, &record);
    assert_int_equal(fleet_labels_apply(f.fleet, f.batch), 0);
    assert_int_equal(fleet_apply(f.fleet, f.batch, ++f.seq, &f.applied), FW_OK);
    batch_reset(f.batch);
    CHECK_STR("applied", value_of(&f, "db1", "rack"), "r1");
    CHECK_STR("held off", value_of(&f, "db1", "job"), "node");
    CHECK_STR("of the new one", value_of(&f, "db2", "dc"), "ams");

    begin(&again);
    assert_int_equal(batch_decode(record.data, record.len, &again.schema, again.batch, NULL),
                     FW_OK);
    assert_int_equal(fleet_readmit(again.fleet, again.batch), FW_OK);
    assert_int_equal(fleet_labels_apply(again.fleet, again.batch), 0);
    assert_int_equal(fleet_apply(again.fleet, again.batch, 2, &again.applied), FW_OK);
    CHECK_STR("replayed", value_of(&again, "db2", "dc"), "ams");
    label_set_clear(&stored);
    assert_true(label_set_put(&stored, "rack", 4, "older", 5));
    assert_true(label_set_put(&stored, "job", 3, "node", 4));
    assert_true(fleet_labels_put(again.fleet, "db1", 3, &stored));
    CHECK_STR("the journal is newer", value_of(&again, "db1", "rack"), "r1");
    CHECK_STR("the store has the rest", value_of(&again, "db1", "job"), "node");
    fw_buf_fini(&record);
    fixture_fini(&f);
    fixture_fini(&again);
}

static void test_fewer_names_kept(void **state)
{
    (void)state;
    struct fixture f;
    struct label_rules fewer;
    begin(&f);
    say(&f, "db1", "dc", "fra");
    say(&f, "db1", "job", "node");
    say(&f, "db1", "rack", "r1");
    const uint64_t revision = fleet_labels_revision(f.fleet);
    fleet_labels_keep(f.fleet, &rules);
    assert_int_equal(fleet_labels_revision(f.fleet), revision); /* nothing to do */
    assert_int_equal(label_rules_parse(&fewer, "job, zone", NULL), FW_OK);
    fleet_labels_keep(f.fleet, &fewer);
    CHECK_STR("gone", value_of(&f, "db1", "dc"), "");
    CHECK_STR("kept", value_of(&f, "db1", "job"), "node");
    CHECK_STR("gone, too", value_of(&f, "db1", "rack"), "");
    assert_true(fleet_labels_revision(f.fleet) > revision);
    say(&f, "db1", "job", "other");
    CHECK_STR("heard as before", value_of(&f, "db1", "job"), "node");
    assert_int_equal(label_rules_parse(&fewer, "", NULL), FW_OK);
    fleet_labels_keep(f.fleet, &fewer);
    CHECK_STR("none", value_of(&f, "db1", "job"), "");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_who_wins),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_server_goes),
        cmocka_unit_test(test_put_and_bounds),
        cmocka_unit_test(test_news_and_replay),
        cmocka_unit_test(test_fewer_names_kept),
    };
    return cmocka_run_group_tests_name("fleet labels", tests, NULL, NULL);
}
