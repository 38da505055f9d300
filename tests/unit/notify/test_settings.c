/* [notify] and [receiver NAME]: what is taken, and what an operator is told about the rest. */
#include "notify/settings.h"

#include "support.h"

#include <stdlib.h>

static struct notify_settings *fresh(void)
{
    struct notify_settings *s = malloc(sizeof *s);
    assert_non_null(s);
    notify_settings_default(s);
    return s;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *receiver, *key, *value;
        enum fw_status status;
        const char *text; /* of the error */
    } rows[] = {
        {NULL,  "labels",        "env=prod, dc=fra",                   FW_OK,     ""                             },
        {NULL,  "labels",        "severity=high",                      FW_EINVAL, "notify.labels"                },
        {NULL,  "labels",        "9x=1",                               FW_EINVAL, "notify.labels"                },
        {NULL,  "labels",        "a=1,a=2",                            FW_EINVAL, "notify.labels"                },
        {NULL,  "labels",        "a",                                  FW_EINVAL, "name=value"                   },
        {NULL,  "external_url",  "https://forewarn.example/x",         FW_OK,     ""                             },
        {NULL,  "external_url",  "forewarn",                           FW_EINVAL, "notify.external_url"          },
        {NULL,  "resend",        "0",                                  FW_EINVAL, "1 to 3600"                    },
        {NULL,  "resend",        "-1",                                 FW_EINVAL, "1 to 3600"                    },
        {NULL,  "inhibit",       "maybe",                              FW_EINVAL, "on or off"                    },
        {NULL,  "colour",        "red",                                FW_EINVAL, "unknown setting notify.colour"},
        {"am",  "type",          "alertmanager",                       FW_OK,     ""                             },
        {"am",  "type",          "pigeon",                             FW_EINVAL, "receiver am: type"            },
        {"am",  "url",           "http://a:9093, http://b:9093/alert", FW_OK,     ""                             },
        {"am",  "url",           "file:///etc/passwd",                 FW_EINVAL, "receiver am: url"             },
        {"am",  "url",           "gopher://a:1",                       FW_EINVAL, "receiver am: url"             },
        {"am",  "url",           "http://user:word@a",                 FW_EINVAL, "receiver am: url"             },
        {"am",  "url",           "http://a, ftp://b",                  FW_EINVAL, "receiver am: url"             },
        {"am",  "url",           "",                                   FW_EINVAL, "receiver am: url"             },
        {"am",  "command",       "rm -rf",                             FW_EINVAL, "absolute path"                },
        {"am",  "min_severity",  "fatal",                              FW_EINVAL, "warning or critical"          },
        {"am",  "send_resolved", "off",                                FW_OK,     ""                             },
        {"am",  "timeout",       "61",                                 FW_EINVAL, "1 to 60"                      },
        {"am",  "queue",         "0",                                  FW_EINVAL, "receiver am: queue"           },
        {"am",  "volume",        "11",                                 FW_EINVAL, "receiver am: volume"          },
        {"a b", "type",          "exec",                               FW_EINVAL, "[receiver a b]"               },
        {"",    "type",          "exec",                               FW_EINVAL, "[receiver ]"                  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        struct notify_settings *s = fresh();
        const enum fw_status status =
            notify_settings_set(s, rows[i].receiver, rows[i].key, rows[i].value, &err);
        CHECK_EQ(rows[i].value, status, rows[i].status);
        if (strstr(err.text, rows[i].text) == NULL)
            fail_msg("%s = %s: \"%s\" lacks \"%s\"", rows[i].key, rows[i].value, err.text,
                     rows[i].text);
        free(s);
    }
}

static void test_whole(void **state)
{
    (void)state;
    static const struct {
        const char *name, *type, *url, *command, *extra;
        const char *text; /* of the error; "": fine */
    } rows[] = {
        {"webhook",                "webhook",      "http://a/x",         NULL,     NULL, ""               },
        {"program",                "exec",         NULL,                 "/bin/x", NULL, ""               },
        {"no type",                NULL,           "http://a",           NULL,     NULL, "type"           },
        {"no url",                 "webhook",      NULL,                 NULL,     NULL, "needs a url"    },
        {"no command",             "exec",         NULL,                 NULL,     NULL, "needs a command"},
        {"url of a program",       "exec",         "http://a",           "/bin/x", NULL, "has no url"     },
        {"two webhooks",           "webhook",      "http://a, http://b", NULL,     NULL, "one URL"        },
        {"two instances",          "alertmanager", "http://a, http://b", NULL,     NULL, ""               },
        {"repeating Alertmanager", "alertmanager", "http://a",           NULL,     "60", "repeat"         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        struct notify_settings *s = fresh();
        const char *pairs[][2] = {
            {"type",    rows[i].type   },
            {"url",     rows[i].url    },
            {"command", rows[i].command},
            {"repeat",  rows[i].extra  },
            {"timeout", "5"            }
        };
        for (size_t k = 0; k < COUNT_OF(pairs); k++)
            if (pairs[k][1] != NULL)
                assert_int_equal(notify_settings_set(s, "r", pairs[k][0], pairs[k][1], NULL),
                                 FW_OK);
        const enum fw_status status = notify_settings_check(s, &err);
        CHECK_EQ(rows[i].name, status, rows[i].text[0] == '\0' ? FW_OK : FW_EINVAL);
        if (strstr(err.text, rows[i].text) == NULL)
            fail_msg("%s: \"%s\" lacks \"%s\"", rows[i].name, err.text, rows[i].text);
        free(s);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    struct notify_settings *s = fresh();
    char name[16];
    for (int i = 0; i <= NOTIFY_RECEIVERS_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        assert_int_equal(notify_settings_set(s, name, "type", "exec", NULL),
                         i < NOTIFY_RECEIVERS_MAX ? FW_OK : FW_ELIMIT);
    }
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
