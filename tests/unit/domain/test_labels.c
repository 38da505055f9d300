/* Labels: which names are kept, what a set holds, and how a batch carries them. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/rng.h"
#include "domain/batch.h"
#include "domain/labels.h"

#include <stdlib.h>

static bool put(struct label_set *set, const char *name, const char *value)
{
    return label_set_put(set, name, strlen(name), value, strlen(value));
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *name, *list, *said; /* NULL: fine */
        size_t count;
    } rows[] = {
        {"defaults",     label_rules_default, NULL,                    17},
        {"more",         "default, my_own",   NULL,                    18},
        {"none",         "",                  NULL,                    0 },
        {"blanks",       " rack ,, dc,",      NULL,                    2 },
        {"no name",      "rack,1st",          "\"1st\" is no label's", 0 },
        {"a dot",        "service.name",      "is no label's",         0 },
        {"twice",        "dc,rack,dc",        "\"dc\" stands there",   0 },
        {"the server's", "dc,instance",       "names the server",      0 },
        {"one of ours",  "quantile",          "one of our own",        0 },
        {"Prometheus's", "__replica__",       "one of our own",        0 },
    };
    struct label_rules rules;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        const enum fw_status status = label_rules_parse(&rules, rows[i].list, &err);
        CHECK_EQ(rows[i].name, status, rows[i].said == NULL ? FW_OK : FW_EINVAL);
        if (rows[i].said == NULL)
            CHECK_EQ(rows[i].name, rules.count, rows[i].count);
        else if (strstr(err.text, rows[i].said) == NULL)
            fail_msg("%s: %s", rows[i].name, err.text);
    }
    char many[LABEL_RULES_TEXT + 1] = "";
    for (int i = 0; i <= LABEL_RULES_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "l%d,", i);
    assert_int_equal(label_rules_parse(&rules, many, NULL), FW_EINVAL);
}

static void test_finding(void **state)
{
    (void)state;
    struct label_rules rules;
    assert_int_equal(label_rules_parse(&rules, "service_name, dc, k8s_cluster_name, service", NULL),
                     FW_OK);
    static const struct {
        const char *asked, *found;
    } rows[] = {
        {"dc",               "dc"              },
        {"d",                NULL              },
        {"dcx",              NULL              },
        {"",                 NULL              },
        {"service.name",     "service_name"    },
        {"service-name",     "service_name"    },
        {"service",          "service"         },
        {"k8s.cluster.name", "k8s_cluster_name"},
        {"zzz",              NULL              },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *found = label_rules_find(&rules, rows[i].asked, strlen(rows[i].asked));
        if (rows[i].found == NULL)
            assert_null(found);
        else
            CHECK_STR(rows[i].asked, found, rows[i].found);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    struct label_set set, before;
    char value[LABEL_VALUE_MAX + 2], name[LABEL_NAME_MAX + 2];
    memset(value, 'v', sizeof value);
    memset(name, 'n', sizeof name);
    label_set_clear(&set);
    assert_true(label_set_put(&set, name, LABEL_NAME_MAX, value, LABEL_VALUE_MAX));
    assert_false(label_set_put(&set, name, LABEL_NAME_MAX + 1, value, 1));
    assert_false(label_set_put(&set, "a", 1, value, LABEL_VALUE_MAX + 1));
    assert_false(put(&set, "a", ""));
    assert_false(put(&set, "a", "line\nbreak"));
    assert_false(put(&set, "a-b", "v"));
    assert_int_equal(set.count, 1);
    label_set_clear(&set);
    for (int i = 0; i < LABELS_MAX; i++) {
        snprintf(name, sizeof name, "l%02d", i);
        assert_true(put(&set, name, "v"));
    }
    assert_false(put(&set, "another", "v"));
    assert_true(put(&set, "l03", "instead")); /* a label that is there may change */
    CHECK_STR("changed", label_set_get(&set, "l03"), "instead");
    /* What does not fit in all leaves the set as it was. */
    label_set_clear(&set);
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "l%02d", i);
        assert_true(label_set_put(&set, name, 3, value, LABEL_VALUE_MAX));
    }
    label_set_copy(&before, &set);
    assert_false(label_set_put(&set, "l99", 3, value, LABEL_VALUE_MAX));
    assert_true(label_set_equal(&before, &set));
}

/* Random changes against a table of a few names. */
static void test_against_a_table(void **state)
{
    (void)state;
    enum { NAMES = 10 };
    char values[NAMES][8] = {""}, name[4], text[8];
    struct label_set set;
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    label_set_clear(&set);
    for (int round = 0; round < 5000; round++) {
        const unsigned which = (unsigned)fw_rng_below(&rng, NAMES);
        snprintf(name, sizeof name, "n%u", which);
        if (fw_rng_below(&rng, 3) == 0) {
            label_set_remove(&set, name);
            values[which][0] = '\0';
        } else {
            snprintf(text, sizeof text, "%.*s", (int)fw_rng_below(&rng, 5) + 1, "abcdef");
            assert_true(put(&set, name, text));
            memcpy(values[which], text, sizeof text);
        }
        size_t at = 0, n = 0;
        const char *key, *value, *last = "";
        while (label_set_next(&set, &at, &key, &value)) {
            assert_true(strcmp(last, key) < 0);
            CHECK_STR(key, value, values[key[1] - '0']);
            last = key;
            n++;
        }
        size_t wanted = 0;
        for (int i = 0; i < NAMES; i++)
            wanted += values[i][0] != '\0';
        assert_int_equal(n, wanted);
        assert_int_equal(set.count, wanted);
    }
}

static void test_members(void **state)
{
    (void)state;
    struct label_set set;
    struct fw_buf buf;
    label_set_clear(&set);
    fw_buf_init(&buf, 256);
    label_set_put_members(&buf, &set);
    assert_int_equal(buf.len, 0);
    assert_true(put(&set, "rack", "r\"1\"") && put(&set, "dc", "fra"));
    label_set_put_members(&buf, &set);
    fw_buf_putc(&buf, '\0');
    CHECK_STR("ascending", buf.data, "\"dc\":\"fra\",\"rack\":\"r\\\"1\\\"\"");
    fw_buf_fini(&buf);
}

/* ---- in a batch ---- */

static void say(struct sample_batch *batch, const char *server, const char *name, const char *value)
{
    if (!batch_labels_begin(batch, server, strlen(server)))
        return;
    batch_label(batch, name, strlen(name), value, strlen(value));
    batch_label(batch, "cpu", 3, "0", 1); /* on no list */
    batch_labels_end(batch);
}

static size_t entries(const struct sample_batch *batch)
{
    size_t at = 0, len, n = 0;
    const char *server;
    struct label_set set;
    while (batch_labels_next(batch, &at, &server, &len, &set)) {
        assert_int_equal(set.count, 1);
        n++;
    }
    return n;
}

static void test_batch(void **state)
{
    (void)state;
    struct label_rules rules;
    struct sample_batch *batch = batch_new();
    char value[LABEL_VALUE_MAX + 2] = "";
    memset(value, 'v', sizeof value - 1);
    assert_non_null(batch);
    assert_int_equal(label_rules_parse(&rules, "dc", NULL), FW_OK);
    say(batch, "db1", "dc", "fra"); /* nothing is kept without a list */
    assert_int_equal(entries(batch), 0);
    batch->label_rules = &rules;
    say(batch, "db1", "dc", "fra");
    say(batch, "db1", "dc", "fra"); /* again */
    say(batch, "db1", "dc", "ams");
    say(batch, "db2", "dc", "ams");
    say(batch, "db2", "rack", "r1"); /* not on the list: nothing is said */
    say(batch, "db2", "dc", "");
    assert_int_equal(entries(batch), 3);
    assert_int_equal(batch->labels_dropped, 0);
    say(batch, "db3", "dc", "a\tb");
    say(batch, "db3", "dc", value);
    assert_int_equal(batch->labels_dropped, 2);
    assert_int_equal(entries(batch), 3);
    size_t at = 0, len;
    const char *server;
    struct label_set set;
    assert_true(batch_labels_next(batch, &at, &server, &len, &set));
    assert_true(len == 3 && memcmp(server, "db1", 3) == 0);
    CHECK_STR("its value", label_set_get(&set, "dc"), "fra");
    batch_reset(batch);
    assert_ptr_equal(batch->label_rules, &rules);
    assert_int_equal(entries(batch) + batch->labels_dropped, 0);
    say(batch, "db1", "dc", "fra");
    assert_int_equal(entries(batch), 1);
    batch_free(batch);
}

/* What a request says of labels has a bound of its own. */
static void test_batch_limit(void **state)
{
    (void)state;
    struct label_rules rules;
    struct sample_batch *batch = batch_new();
    char server[16];
    assert_int_equal(label_rules_parse(&rules, "dc", NULL), FW_OK);
    batch->label_rules = &rules;
    for (int i = 0; batch->labels_dropped == 0; i++) {
        snprintf(server, sizeof server, "server-%d", i);
        say(batch, server, "dc", "a value of some length");
        assert_true(i < BATCH_LABELS_BYTES_MAX / 16);
    }
    assert_true(entries(batch) > BATCH_LABELS_BYTES_MAX / 64);
    batch_reset(batch);
    assert_null(batch->label_bytes); /* a large one is given back */
    batch_free(batch);
}

/* Without memory labels are dropped and counted, nothing else. */
static void test_batch_without_memory(void **state)
{
    (void)state;
    struct label_rules rules;
    struct sample_batch *batch = batch_new();
    assert_int_equal(label_rules_parse(&rules, "dc", NULL), FW_OK);
    batch->label_rules = &rules;
    fw_alloc_fail_at(1);
    say(batch, "db1", "dc", "fra");
    fw_alloc_fail_at(0);
    assert_int_equal(batch->labels_dropped, 1);
    assert_int_equal(entries(batch), 0);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),       cmocka_unit_test(test_finding),
        cmocka_unit_test(test_bounds),      cmocka_unit_test(test_against_a_table),
        cmocka_unit_test(test_members),     cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_limit), cmocka_unit_test(test_batch_without_memory),
    };
    return cmocka_run_group_tests_name("domain labels", tests, NULL, NULL);
}
