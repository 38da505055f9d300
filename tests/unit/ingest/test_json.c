/* Bodies of /feed/data: what is refused as a whole, what by record, and what comes through. */
#include "support.h"

#include "base/alloc.h"
#include "ingest/json.h"

#include <stdlib.h>

/* As doubles: the macros of math.h are floats. */
#define NONE ((double)NAN)

enum { BODY_MAX = 16 << 20 };

static struct schema schema;
static struct ingest_decoder *decoder;
static struct sample_batch *batch;
static struct ingest_request_errors errors;

static int set_up(void **state)
{
    (void)state;
    schema_default(&schema);
    decoder = ingest_decoder_new(&schema, BODY_MAX);
    batch = batch_new();
    return decoder == NULL || batch == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    ingest_decoder_free(decoder);
    batch_free(batch);
    return 0;
}

static enum fw_status decode(const char *body, enum ingest_json_form form)
{
    batch_reset(batch);
    return ingest_json(decoder, body, strlen(body), form, batch, &errors);
}

static void test_whole_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        enum fw_status status;
        const char *type, *field;
        long offset; /* -1: none */
        const char *msg, *input;
    } rows[] = {
        {"empty",                 "",                                                FW_EINVAL, "missing",               NULL,      -1, "Field required",    "null"         },
        {"null",                  "null",                                            FW_EINVAL, "missing",               NULL,      -1, "Field required",    "null"         },
        {"blanks",                " \n ",                                            FW_EINVAL, "json_invalid",          NULL,      3,  "JSON decode error", "{}"           },
        {"broken",                "{\"records\":[}",                                 FW_EINVAL, "json_invalid",          NULL,      12, "JSON decode error",
         "{}"                                                                                                                                                               },
        {"bare NaN",              "{\"records\":[{\"a\":NaN}]}",                     FW_EINVAL, "json_invalid",          NULL,      17,
         "JSON decode error",                                                                                                                                "{}"           },
        {"huge number as key",    "[1e400,{1e400:1}]",                               FW_EINVAL, "json_invalid",          NULL,      1,
         "JSON decode error",                                                                                                                                "{}"           },
        {"huge number and fault", "[1e400,]",                                        FW_EINVAL, "json_invalid",          NULL,      1,
         "JSON decode error",                                                                                                                                "{}"           },
        {"number",                "42",                                              FW_EINVAL, "model_attributes_type", NULL,      -1,
         "Input should be a valid dictionary or object to extract fields from",                                                                              "42"           },
        {"string",                "\"a<b\"",                                         FW_EINVAL, "model_attributes_type", NULL,      -1,
         "Input should be a valid dictionary or object to extract fields from",                                                                              "\"a\\u003cb\""},
        {"bool",                  "true",                                            FW_EINVAL, "model_attributes_type", NULL,      -1,
         "Input should be a valid dictionary or object to extract fields from",                                                                              "true"         },
        {"no records",            "{}",                                              FW_EINVAL, "missing",               "records", -1, "Field required",    "{}"           },
        {"other key",             "{\"Records\":[]}",                                FW_EINVAL, "missing",               "records", -1, "Field required",
         "null"                                                                                                                                                             },
        {"records null",          "{\"records\":null}",                              FW_EINVAL, "list_type",             "records", -1,
         "Input should be a valid list",                                                                                                                     "null"         },
        {"records object",        "{\"records\":{}}",                                FW_EINVAL, "list_type",             "records", -1,
         "Input should be a valid list",                                                                                                                     "{}"           },
        {"records string",        "{\"records\":\"[]\"}",                            FW_EINVAL, "list_type",             "records", -1,
         "Input should be a valid list",                                                                                                                     "\"[]\""       },
        {"records twice",         "{\"records\":[],\"records\":1}",                  FW_EINVAL, "list_type",             "records", -1,
         "Input should be a valid list",                                                                                                                     "1"            },
        {"a record alone",        "{\"server_name\":\"a\"}",                         FW_EINVAL, "missing",               "records", -1,
         "Field required",                                                                                                                                   "null"         },
        {"second line bad",       "{\"server_name\":\"a\"}\n{oops}",                 FW_EINVAL, "json_invalid",          NULL,      21,
         "JSON decode error",                                                                                                                                "{}"           },
        {"two documents",         "[]\n[]",                                          FW_EINVAL, "json_invalid",          NULL,      3,  "JSON decode error", "{}"           },
        {"two bodies",            "{\"records\":[]}\n{\"records\":[]}",              FW_EINVAL, "json_invalid",          NULL,      15,
         "JSON decode error",                                                                                                                                "{}"           },
        {"deep in notes",         "[{\"notes\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}]", FW_ELIMIT,
         "json_invalid",                                                                                                 NULL,      0,  "JSON decode error", "{}"           },
        {"empty list",            "{\"records\":[]}",                                FW_OK,     NULL,                    NULL,      -1, NULL,                NULL           },
        {"bare empty list",       " [ ] ",                                           FW_OK,     NULL,                    NULL,      -1, NULL,                NULL           },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const enum fw_status status = decode(rows[i].body, INGEST_JSON_ANY);
        CHECK_EQ(rows[i].name, status, rows[i].status);
        CHECK_EQ(rows[i].name, errors.count, status != FW_OK);
        CHECK_EQ(rows[i].name, batch->row_count + batch->records, 0);
        if (status == FW_OK)
            continue;
        const struct ingest_request_error *e = &errors.entries[0];
        CHECK_STR(rows[i].name, e->type, rows[i].type);
        CHECK_STR(rows[i].name, e->field == NULL ? "" : e->field,
                  rows[i].field == NULL ? "" : rows[i].field);
        CHECK_EQ(rows[i].name, e->has_offset ? (long)e->offset : -1, rows[i].offset);
        CHECK_STR(rows[i].name, e->msg, rows[i].msg);
        CHECK_STR(rows[i].name, e->input, rows[i].input);
        CHECK_EQ(rows[i].name, e->ctx_error[0] != '\0', e->has_offset);
    }
}

#define OK_HEAD "\"server_name\":\"web-1\",\"timestamp\":\"2026-11-23T01:56:54\""

static void test_records(void **state)
{
    (void)state;
    static const struct {
        const char *name, *record;
        enum batch_reason reason; /* BATCH_OK: a row */
        const char *field;
        double value; /* of cpu_user_pct, when there is a row */
    } rows[] = {
        {"plain",                    "{" OK_HEAD ",\"cpu_user_pct\":12.5}",                                  BATCH_OK,         "",             12.5},
        {"any order",                "{\"cpu_user_pct\":3,\"timestamp\":1700000000,\"server_name\":\"a\"}",
         BATCH_OK,                                                                                                             "",             3   },
        {"numeric string",           "{" OK_HEAD ",\"cpu_user_pct\":\"1.25e1\"}",                            BATCH_OK,         "",             12.5},
        {"minus zero",               "{" OK_HEAD ",\"cpu_user_pct\":-0}",                                    BATCH_OK,         "",             0   },
        {"denormal",                 "{" OK_HEAD ",\"cpu_user_pct\":4.9e-324}",                              BATCH_OK,         "",             0   },
        {"within the slack",         "{" OK_HEAD ",\"cpu_user_pct\":100.4}",                                 BATCH_OK,         "",             100 },
        {"null is a gap",            "{" OK_HEAD ",\"cpu_user_pct\":null,\"load_average\":1}",               BATCH_OK,         "",
         NONE                                                                                                                                      },
        {"twice, last wins",         "{" OK_HEAD ",\"cpu_user_pct\":1,\"cpu_user_pct\":2}",                  BATCH_OK,         "",
         2                                                                                                                                         },
        {"twice, last null",
         "{" OK_HEAD ",\"cpu_user_pct\":1,\"cpu_user_pct\":null,\"load_average\":1}",                        BATCH_OK,         "",
         NONE                                                                                                                                      },
        {"unknown fields",
         "{" OK_HEAD
         ",\"cpu_user_pct\":1,\"problem_child\":true,\"notes\":\"x\",\"labels\":{\"a\":[1]}}",               BATCH_OK,         "",             1   },
        {"unknown profile",          "{" OK_HEAD ",\"cpu_user_pct\":1,\"profile\":\"mainframe\"}",           BATCH_OK,
         "",                                                                                                                                   1   },
        {"status null",              "{" OK_HEAD ",\"cpu_user_pct\":1,\"status\":null,\"profile\":null}",
         BATCH_OK,                                                                                                             "",             1   },
        {"name of 128 bytes",
         "{\"server_name\":"
         "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
         "nnnnnnnnnnnnnnnnnnnnnnnnn\",\"timestamp\":1700000000,\"cpu_user_pct\":1}",                         BATCH_OK,         "",             1   },
        {"not an object: number",    "7",                                                                    BATCH_BAD_RECORD, "",             0   },
        {"not an object: array",     "[]",                                                                   BATCH_BAD_RECORD, "",             0   },
        {"not an object: null",      "null",                                                                 BATCH_BAD_RECORD, "",             0   },
        {"not an object: string",    "\"x\"",                                                                BATCH_BAD_RECORD, "",             0   },
        {"empty object",             "{}",                                                                   BATCH_NO_NAME,    "server_name",  0   },
        {"no name",                  "{\"timestamp\":1700000000,\"cpu_user_pct\":1}",                        BATCH_NO_NAME,    "server_name",
         0                                                                                                                                         },
        {"null name",                "{\"server_name\":null,\"timestamp\":1700000000,\"cpu_user_pct\":1}",
         BATCH_NO_NAME,                                                                                                        "server_name",  0   },
        {"empty name",               "{\"server_name\":\"\",\"timestamp\":1700000000,\"cpu_user_pct\":1}",
         BATCH_NO_NAME,                                                                                                        "server_name",  0   },
        {"number as name",           "{\"server_name\":7,\"timestamp\":1700000000,\"cpu_user_pct\":1}",
         BATCH_NO_NAME,                                                                                                        "server_name",  0   },
        {"newline in name",
         "{\"server_name\":\"a\\nb\",\"timestamp\":1700000000,\"cpu_user_pct\":1}",                          BATCH_NO_NAME,
         "server_name",                                                                                                                        0   },
        {"NUL in name",
         "{\"server_name\":\"a\\u0000\",\"timestamp\":1700000000,\"cpu_user_pct\":1}",                       BATCH_NO_NAME,    "server_name",  0   },
        {"blank at the end",         "{\"server_name\":\"a \",\"timestamp\":1700000000,\"cpu_user_pct\":1}",
         BATCH_NO_NAME,                                                                                                        "server_name",  0   },
        {"name twice",               "{" OK_HEAD ",\"server_name\":\"web-1\",\"cpu_user_pct\":1}",
         BATCH_BAD_RECORD,                                                                                                     "server_name",  0   },
        {"time twice",               "{" OK_HEAD ",\"timestamp\":1,\"cpu_user_pct\":1}",                     BATCH_BAD_RECORD,
         "timestamp",                                                                                                                          0   },
        {"no time",                  "{\"server_name\":\"a\",\"cpu_user_pct\":1}",                           BATCH_BAD_TIME,   "timestamp",    0   },
        {"time null",                "{\"server_name\":\"a\",\"timestamp\":null,\"cpu_user_pct\":1}",
         BATCH_BAD_TIME,                                                                                                       "timestamp",    0   },
        {"time unreadable",
         "{\"server_name\":\"a\",\"timestamp\":\"yesterday\",\"cpu_user_pct\":1}",                           BATCH_BAD_TIME,
         "timestamp",                                                                                                                          0   },
        {"time bool",                "{\"server_name\":\"a\",\"timestamp\":true,\"cpu_user_pct\":1}",
         BATCH_BAD_TIME,                                                                                                       "timestamp",    0   },
        {"time negative",            "{\"server_name\":\"a\",\"timestamp\":-1,\"cpu_user_pct\":1}",
         BATCH_BAD_TIME,                                                                                                       "timestamp",    0   },
        {"time 1e308",               "{\"server_name\":\"a\",\"timestamp\":1e308,\"cpu_user_pct\":1}",
         BATCH_BAD_TIME,                                                                                                       "timestamp",    0   },
        {"time of year 9999 west",
         "{\"server_name\":\"a\",\"timestamp\":\"9999-12-31T23:59:59-10:00\",\"cpu_user_pct\":1}",           BATCH_BAD_TIME,   "timestamp",    0   },
        {"bool as metric",           "{" OK_HEAD ",\"cpu_user_pct\":true}",                                  BATCH_BAD_VALUE,  "cpu_user_pct",
         0                                                                                                                                         },
        {"list as metric",           "{" OK_HEAD ",\"mem_used_pct\":[1]}",                                   BATCH_BAD_VALUE,  "mem_used_pct",
         0                                                                                                                                         },
        {"object as metric",         "{" OK_HEAD ",\"mem_used_pct\":{}}",                                    BATCH_BAD_VALUE,  "mem_used_pct",
         0                                                                                                                                         },
        {"text NaN",                 "{" OK_HEAD ",\"cpu_user_pct\":\"NaN\"}",                               BATCH_BAD_VALUE,  "cpu_user_pct", 0   },
        {"text Infinity",            "{" OK_HEAD ",\"net_in_mb_s\":\"Infinity\"}",                           BATCH_BAD_VALUE,
         "net_in_mb_s",                                                                                                                        0   },
        {"text 1e999",               "{" OK_HEAD ",\"net_in_mb_s\":\"1e999\"}",                              BATCH_BAD_VALUE,  "net_in_mb_s",
         0                                                                                                                                         },
        {"text empty",               "{" OK_HEAD ",\"cpu_user_pct\":\"\"}",                                  BATCH_BAD_VALUE,  "cpu_user_pct", 0   },
        {"text with blank",          "{" OK_HEAD ",\"cpu_user_pct\":\" 5\"}",                                BATCH_BAD_VALUE,
         "cpu_user_pct",                                                                                                                       0   },
        {"text with NUL",            "{" OK_HEAD ",\"cpu_user_pct\":\"5\\u0000\"}",                          BATCH_BAD_VALUE,
         "cpu_user_pct",                                                                                                                       0   },
        {"text hexadecimal",         "{" OK_HEAD ",\"cpu_user_pct\":\"0x10\"}",                              BATCH_BAD_VALUE,
         "cpu_user_pct",                                                                                                                       0   },
        {"text with unit",           "{" OK_HEAD ",\"cpu_user_pct\":\"5%\"}",                                BATCH_BAD_VALUE,  "cpu_user_pct",
         0                                                                                                                                         },
        {"1e308",                    "{" OK_HEAD ",\"net_in_mb_s\":1e308}",                                  BATCH_BAD_VALUE,  "net_in_mb_s",  0   },
        {"beyond a double",          "{" OK_HEAD ",\"net_in_mb_s\":1e400}",                                  BATCH_BAD_VALUE,  "net_in_mb_s",
         0                                                                                                                                         },
        {"beyond a double, minus",   "{" OK_HEAD ",\"net_in_mb_s\":-1e999}",                                 BATCH_BAD_VALUE,
         "net_in_mb_s",                                                                                                                        0   },
        {"beyond a double, ignored",
         "{" OK_HEAD ",\"cpu_user_pct\":1,\"x\":[1e400,\"1e400\\\"1e400\",-1]}",                             BATCH_OK,         "",             1   },
        {"beyond 64 bits",
         "{" OK_HEAD ",\"cpu_user_pct\":1,\"net_in_mb_s\":123456789012345678901234}",                        BATCH_OK,         "",
         1                                                                                                                                         },
        {"beyond 64 bits, minus",    "{" OK_HEAD ",\"load_average\":-9223372036854775809}",
         BATCH_BAD_VALUE,                                                                                                      "load_average", 0   },
        {"over the bound",           "{" OK_HEAD ",\"cpu_user_pct\":101}",                                   BATCH_BAD_VALUE,  "cpu_user_pct",
         0                                                                                                                                         },
        {"under the bound",          "{" OK_HEAD ",\"load_average\":-1}",                                    BATCH_BAD_VALUE,  "load_average",
         0                                                                                                                                         },
        {"status number",            "{" OK_HEAD ",\"cpu_user_pct\":1,\"status\":3}",                        BATCH_BAD_RECORD,
         "status",                                                                                                                             0   },
        {"profile list",             "{" OK_HEAD ",\"cpu_user_pct\":1,\"profile\":[]}",                      BATCH_BAD_RECORD,
         "profile",                                                                                                                            0   },
        {"no metric",                "{" OK_HEAD "}",                                                        BATCH_NO_VALUES,  "",             0   },
        {"all null",                 "{" OK_HEAD ",\"cpu_user_pct\":null}",                                  BATCH_NO_VALUES,  "",             0   },
        {"first fault counts",       "{\"cpu_user_pct\":\"x\",\"timestamp\":\"y\"}",                         BATCH_BAD_VALUE,
         "cpu_user_pct",                                                                                                                       0   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char body[1024];
        /* A good record on each side: they must not notice. */
        snprintf(body, sizeof body,
                 "[{" OK_HEAD ",\"mem_used_pct\":1},%s,{" OK_HEAD ",\"mem_used_pct\":2}]",
                 rows[i].record);
        CHECK_EQ(rows[i].name, decode(body, INGEST_JSON_ANY), FW_OK);
        CHECK_EQ(rows[i].name, batch->records, 3);
        CHECK_EQ(rows[i].name, batch->row_count + batch_rejected_total(batch), 3);
        CHECK_EQ(rows[i].name, batch->rejected[rows[i].reason], rows[i].reason != BATCH_OK);
        if (rows[i].reason != BATCH_OK) {
            CHECK_EQ(rows[i].name, batch->error_count, 1);
            CHECK_EQ(rows[i].name, batch->errors[0].record, 1);
            CHECK_EQ(rows[i].name, batch->errors[0].reason, rows[i].reason);
            CHECK_STR(rows[i].name, batch->errors[0].field, rows[i].field);
            CHECK_TRUE(rows[i].name, batch->errors[0].text[0] != '\0');
            if (strncmp(rows[i].name, "beyond a double", 15) == 0)
                CHECK_STR(rows[i].name, batch->errors[0].text,
                          "a number expected, not bool or beyond a double");
            if (strstr(rows[i].record, "web-1") != NULL)
                CHECK_STR(rows[i].name, batch->errors[0].server_name, "web-1");
            continue;
        }
        const struct sample_row *row = &batch->rows[1];
        double found = NONE;
        for (size_t k = 0; k < row->value_count; k++)
            if (batch->values[row->first_value + k].metric == METRIC_CPU_USER)
                found = (double)batch->values[row->first_value + k].value;
        CHECK_TRUE(rows[i].name, found == rows[i].value || (isnan(found) && isnan(rows[i].value)));
    }
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *name, *time;
        int64_t ms;
    } rows[] = {
        {"naive is UTC",      "\"2026-11-23T01:56:54.765913\"", INT64_C(1795399014765)  },
        {"with Z",            "\"2026-11-23T01:56:54Z\"",       INT64_C(1795399014000)  },
        {"with offset",       "\"2026-11-23T02:56:54+01:00\"",  INT64_C(1795399014000)  },
        {"date alone",        "\"2026-11-23\"",                 INT64_C(1795392000000)  },
        {"seconds",           "1795399014",                     INT64_C(1795399014000)  },
        {"seconds, fraction", "1795399014.765",                 INT64_C(1795399014765)  },
        {"milliseconds",      "1795399014765",                  INT64_C(1795399014765)  },
        {"seconds as text",   "\"1795399014\"",                 INT64_C(1795399014000)  },
        {"epoch",             "0",                              0                       },
        {"the border, below", "99999999999",                    INT64_C(99999999999000) },
        {"the border",        "100000000000",                   INT64_C(100000000000)   },
        {"last millisecond",  "253402300799999",                INT64_C(253402300799999)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"records\":[{\"server_name\":\"a\",\"timestamp\":%s,\"load_average\":1}]}",
                 rows[i].time);
        CHECK_EQ(rows[i].name, decode(body, INGEST_JSON_ANY), FW_OK);
        CHECK_EQ(rows[i].name, batch->row_count, 1);
        CHECK_EQ(rows[i].name, batch->rows[0].time_ms, rows[i].ms);
    }
}

/* {server: first label's value}; "" when nothing is said. */
static const char *said(const char *server)
{
    static struct label_set set;
    size_t at = 0, len;
    const char *name, *label, *value, *found = "";
    while (batch_labels_next(batch, &at, &name, &len, &set)) {
        size_t first = 0;
        if (len == strlen(server) && memcmp(name, server, len) == 0 &&
            label_set_next(&set, &first, &label, &value))
            found = value;
    }
    return found;
}

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *name, *labels, *said;
        size_t rows;
    } rows[] = {
        {"one",           "{\"dc\":\"fra\"}",                "fra", 1},
        {"the last wins", "{\"dc\":\"fra\",\"dc\":\"ams\"}", "ams", 1},
        {"escapes",       "{\"dc\":\"\\u0066ra\"}",          "fra", 1},
        {"another",       "{\"colour\":\"red\"}",            "",    1},
        {"a number",      "{\"dc\":7}",                      "",    1},
        {"empty",         "{}",                              "",    1},
        {"null",          "null",                            "",    1},
        {"control bytes", "{\"dc\":\"a\\u0000b\"}",          "",    1},
        {"a list",        "[\"dc\"]",                        "",    0},
        {"a text",        "\"dc=fra\"",                      "",    0},
    };
    struct label_rules rules;
    assert_int_equal(label_rules_parse(&rules, "dc", NULL), FW_OK);
    batch->label_rules = &rules;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "[{\"labels\":%s,\"server_name\":\"a\",\"timestamp\":0,\"load_average\":1}]",
                 rows[i].labels);
        CHECK_EQ(rows[i].name, decode(body, INGEST_JSON_ANY), FW_OK);
        CHECK_EQ(rows[i].name, batch->row_count, rows[i].rows);
        CHECK_STR(rows[i].name, said("a"), rows[i].said);
        if (rows[i].rows == 0)
            CHECK_STR(rows[i].name, batch->errors[0].field, "labels");
    }
    /* A refused record says nothing either. */
    assert_int_equal(decode("[{\"labels\":{\"dc\":\"fra\"},\"server_name\":\"a\",\"timestamp\":0}]",
                            INGEST_JSON_ANY),
                     FW_OK);
    CHECK_STR("refused", said("a"), "");
    batch->label_rules = NULL;
}

static void test_every_metric_by_name(void **state)
{
    (void)state;
    struct schema wide = schema;
    for (int i = METRIC_DEFAULT_COUNT; i < SCHEMA_METRICS_MAX; i++) {
        struct schema_metric metric = {
            .min = -1000, .max = 1000, .warning = NONE, .critical = NONE};
        snprintf(metric.name, sizeof metric.name, "%s%d", i % 2 ? "gpu_memory_used_pct_" : "m", i);
        assert_int_equal(schema_set(&wide, &metric, NULL), FW_OK);
    }
    struct ingest_decoder *other = ingest_decoder_new(&wide, BODY_MAX);
    char body[8192];
    size_t n = (size_t)snprintf(
        body, sizeof body, "[{" OK_HEAD ",\"status\":\"maintenance\",\"profile\":\"database\"");
    for (size_t i = 0; i < wide.count; i++)
        n += (size_t)snprintf(body + n, sizeof body - n, ",\"%s\":%g", wide.metrics[i].name,
                              (double)i / 64);
    n += (size_t)snprintf(body + n, sizeof body - n, "}]");
    batch_reset(batch);
    assert_int_equal(ingest_json(other, body, n, INGEST_JSON_ANY, batch, &errors), FW_OK);
    assert_int_equal(batch->row_count, 1);
    assert_int_equal(batch->rows[0].value_count, SCHEMA_METRICS_MAX);
    assert_int_equal(batch->rows[0].status, STATUS_MAINTENANCE);
    assert_int_equal(batch->rows[0].profile, PROFILE_DATABASE);
    for (size_t i = 0; i < batch->value_count; i++)
        CHECK_NEAR(wide.metrics[i].name, batch->values[i].value,
                   (double)batch->values[i].metric / 64, 1e-6);
    ingest_decoder_free(other);
}

static void test_lines(void **state)
{
    (void)state;
    static const char one[] = "{" OK_HEAD ",\"load_average\":1}";
    char body[1024];
    snprintf(body, sizeof body, "%s\n\r\n  %s\r\n{\"server_name\":\"b\"}\n%s", one, one, one);
    assert_int_equal(decode(body, INGEST_JSON_ANY), FW_OK);
    assert_int_equal(batch->records, 4);
    assert_int_equal(batch->row_count, 3);
    assert_int_equal(batch->errors[0].record, 2);
    assert_int_equal(decode(one, INGEST_JSON_LINES), FW_OK);
    assert_int_equal(batch->row_count, 1);
    assert_int_equal(decode(one, INGEST_JSON_ANY), FW_EINVAL);
    /* A later line that is no JSON takes the earlier ones back. */
    snprintf(body, sizeof body, "%s\n%s\nx", one, one);
    assert_int_equal(decode(body, INGEST_JSON_LINES), FW_EINVAL);
    assert_int_equal(batch->row_count + batch->value_count + batch->records, 0);
    assert_int_equal(errors.entries[0].offset, 2 * (sizeof one - 1) + 2);
    /* A pretty-printed body has lines, too. */
    snprintf(body, sizeof body, "{\n \"records\": [\n  %s\n ]\n}\n", one);
    assert_int_equal(decode(body, INGEST_JSON_ANY), FW_OK);
    assert_int_equal(batch->row_count, 1);
}

static void test_too_many_records(void **state)
{
    (void)state;
    char *body = malloc(2 * (INGEST_RECORDS_MAX + 1) + 2);
    for (int extra = 0; extra < 2; extra++) {
        const size_t n = INGEST_RECORDS_MAX + (size_t)extra;
        size_t at = 0;
        body[at++] = '[';
        for (size_t i = 0; i < n; i++) {
            body[at++] = '1';
            body[at++] = i + 1 < n ? ',' : ']';
        }
        batch_reset(batch);
        assert_int_equal(ingest_json(decoder, body, at, INGEST_JSON_ANY, batch, &errors),
                         extra ? FW_ELIMIT : FW_OK);
        assert_int_equal(batch->rejected[BATCH_BAD_RECORD], extra ? 0 : n);
    }
    assert_string_equal(errors.entries[0].type, "too_long");
    batch_reset(batch);
    assert_int_equal(ingest_json(decoder, body, BODY_MAX + 1, INGEST_JSON_ANY, batch, &errors),
                     FW_ELIMIT);
    free(body);
}

/* The table of documents as bodies: what is no JSON is never taken, what is never breaks. */
static void test_documents_as_bodies(void **state)
{
    (void)state;
    static char line[8192], body[1 << 20];
    FILE *file = fopen(FW_SOURCE_DIR "/tests/golden/json/documents.txt", "r");
    assert_non_null(file);
    size_t documents = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#')
            continue;
        char *name = line + 2, *text = strchr(name, '\t');
        *text++ = '\0';
        size_t n = 0;
        unsigned repeat = 1;
        if (*text == '*') {
            repeat = (unsigned)strtoul(text + 1, &text, 10);
            text++;
        }
        for (; *text != '\0' && *text != '\n'; text++) {
            unsigned byte = (unsigned char)*text;
            if (*text == '\\' && text[1] == '\\')
                text++;
            else if (*text == '\\' && sscanf(text + 2, "%2x", &byte) == 1)
                text += 3;
            body[n++] = (char)byte;
        }
        for (const size_t unit = n; repeat > 1; repeat--, n += unit)
            memcpy(body + n, body, unit);
        batch_reset(batch);
        enum fw_status status = ingest_json(decoder, body, n, INGEST_JSON_ANY, batch, &errors);
        if (line[0] == 'n')
            CHECK_TRUE(name, status == FW_EINVAL || status == FW_ELIMIT);
        CHECK_EQ(name, errors.count, status != FW_OK);
        status = ingest_json(decoder, body, n, INGEST_JSON_LINES, batch, &errors);
        CHECK_EQ(name, errors.count, status != FW_OK);
        documents++;
    }
    fclose(file);
    assert_true(documents > 180);
}

/* A large body lets go of what the parser took for it; the next one works as before. */
static void test_large_body(void **state)
{
    (void)state;
    enum { RECORDS = 28800 };
    char *body = malloc(BODY_MAX);
    size_t n = 0;
    body[n++] = '[';
    for (int i = 0; i < RECORDS; i++)
        n += (size_t)sprintf(body + n,
                             "%s{\"server_name\":\"s%d\",\"timestamp\":%d,\"cpu_user_pct\":%d.5,"
                             "\"mem_used_pct\":50,\"notes\":\"%0200d\"}",
                             i == 0 ? "" : ",", i % 100, 1700000000 + i, i % 100, i);
    body[n++] = ']';
    for (int round = 0; round < 3; round++) {
        batch_reset(batch);
        assert_int_equal(ingest_json(decoder, body, n, INGEST_JSON_ANY, batch, &errors), FW_OK);
        assert_int_equal(batch->row_count, RECORDS);
        assert_int_equal(batch->name_count, 100);
        assert_int_equal(decode("[{" OK_HEAD ",\"load_average\":1}]", INGEST_JSON_ANY), FW_OK);
        assert_int_equal(batch->row_count, 1);
    }
    free(body);
}

/* Each allocation fails in turn: the body is refused and leaves nothing behind. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    char body[40000];
    size_t n = (size_t)snprintf(body, sizeof body, "[1");
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(body + n, sizeof body - n,
                              ",{\"server_name\":\"s%d\",\"timestamp\":1700000000,"
                              "\"load_average\":1,\"cpu_user_pct\":\"%d\"}",
                              i, i % 100);
    body[n++] = ']';
    long at = 1;
    for (bool ran_out = true; ran_out; at++) {
        struct sample_batch *fresh = batch_new();
        fw_alloc_fail_at(at);
        const enum fw_status status =
            ingest_json(decoder, body, n, INGEST_JSON_ANY, fresh, &errors);
        ran_out = fw_alloc_count() >= at;
        fw_alloc_fail_at(0);
        CHECK_EQ("status", status, ran_out ? FW_ENOMEM : FW_OK);
        CHECK_EQ("rows", fresh->row_count, ran_out ? 0 : 200);
        CHECK_EQ("refused", batch_rejected_total(fresh), ran_out ? 0 : 1);
        CHECK_EQ("values", fresh->value_count, ran_out ? 0 : 400);
        batch_free(fresh);
    }
    assert_true(at > 8);
    fw_alloc_fail_at(1);
    assert_null(ingest_decoder_new(&schema, BODY_MAX));
    fw_alloc_fail_at(0);
    ingest_decoder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_bodies),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_every_metric_by_name),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_too_many_records),
        cmocka_unit_test(test_documents_as_bodies),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests_name("ingest json", tests, set_up, tear_down);
}
