/* Queries over made-up series: what is understood, what is refused and how, and the values. */
#include "query/query.h"

#include "base/buf.h"

#include "support.h"

#include <stdlib.h>

/* Series: x{server="a|b|c",metric="cpu|mem"}: server's number * 10 + metric's number + the time in
 * seconds * 100; c has nothing at even seconds. */
static enum fw_status select_made(void *ctx, const struct query_selector *selector,
                                  const struct query_times *times, struct query_set *set,
                                  struct fw_error *err)
{
    static const char *const servers[] = {"a", "b", "c"}, *const metrics[] = {"cpu", "mem"};
    static const char *const known[] = {"__name__", "server", "metric"};
    (void)ctx;
    if (!query_selector_fits(selector, "__name__", "x") ||
        !query_selector_fits_rest(selector, known, COUNT_OF(known)))
        return FW_OK;
    for (size_t s = 0; s < COUNT_OF(servers); s++)
        for (size_t m = 0; m < COUNT_OF(metrics); m++) {
            if (!query_selector_fits(selector, "server", servers[s]) ||
                !query_selector_fits(selector, "metric", metrics[m]))
                continue;
            const struct query_label labels[] = {
                {"server",   servers[s]},
                {"__name__", "x"       },
                {"metric",   metrics[m]}
            };
            double *values = query_set_add(set, labels, COUNT_OF(labels));
            if (values == NULL)
                return fw_fail(err, FW_ELIMIT, "too much");
            for (size_t t = 0; t < times->points; t++) {
                const int64_t second = (times->start_ms + (int64_t)t * times->step_ms) / 1000;
                if (s < 2 || second % 2 == 1)
                    values[t] = (double)(s * 10 + m) + 100.0 * (double)second;
            }
        }
    return FW_OK;
}

static enum fw_status run(const char *text, int64_t start_s, size_t points, size_t bytes_max,
                          struct fw_buf *out, struct fw_error *err)
{
    static const struct query_source source = {NULL, select_made};
    struct query_set set = {
        .times = {start_s * 1000, 1000, points},
          .bytes_max = bytes_max
    };
    struct query *query;
    enum fw_status status = query_parse(text, strlen(text), &query, err);
    if (status == FW_OK)
        status = query_run(query, &source, &set, err);
    for (size_t i = 0; i < set.count && status == FW_OK; i++) {
        const struct query_series *series = &set.series[i];
        bool any = false;
        for (size_t t = 0; t < points; t++)
            any = any || !isnan(series->values[t]);
        if (!any)
            continue;
        fw_buf_puts(out, set.scalar ? "scalar" : "{");
        for (size_t k = 0; k < series->label_count; k++)
            fw_buf_printf(out, "%s%s=%s", k > 0 ? "," : "", series->labels[k].name,
                          series->labels[k].value);
        fw_buf_puts(out, set.scalar ? "" : "}");
        for (size_t t = 0; t < points; t++)
            fw_buf_printf(out, " %g", series->values[t]);
        fw_buf_putc(out, ';');
    }
    fw_buf_putc(out, '\0');
    query_set_fini(&set);
    query_free(query);
    return status;
}

static void test_values(void **state)
{
    static const struct {
        const char *query, *expected;
    } rows[] = {
        {"1+1",                                          "scalar 2 2;"                                              },
        {"-2 * -(3 + 1) / 4",                            "scalar 2 2;"                                              },
        {"1 - 2 - 3",                                    "scalar -4 -4;"                                            },
        {"2 + 3 * 4",                                    "scalar 14 14;"                                            },
        {"1e3 + .5 # comment",                           "scalar 1000.5 1000.5;"                                    },
        {"1/0",                                          "scalar inf inf;"                                          },
        {"x{server=\"a\",metric='cpu'}",                 "{__name__=x,metric=cpu,server=a} 100 200;"                },
        {"{__name__=\"x\",server=`b`,metric!=\"cpu\",}",
         "{__name__=x,metric=mem,server=b} 111 211;"                                                                },
        {"x{server=~\"a|b\",metric=\"cpu\"}",
         "{__name__=x,metric=cpu,server=a} 100 200;{__name__=x,metric=cpu,server=b} 110 210;"                       },
        {"x{server!~\"[ab]\",metric=\"cpu\"}",           "{__name__=x,metric=cpu,server=c} 120 nan;"                },
        {"x{server=\"a\\x61\"}",                         ""                                                         },
        {"x{rack=\"\",server=\"a\",metric=\"cpu\"}",     "{__name__=x,metric=cpu,server=a} 100 200;"                },
        {"x{rack=\"1\"}",                                ""                                                         },
        {"y",                                            ""                                                         },
        {"x{server=\"a\",metric=\"cpu\"} offset 1s",     "{__name__=x,metric=cpu,server=a} 0 100;"                  },
        {"x{server=\"a\",metric=\"cpu\"} offset -1s",    "{__name__=x,metric=cpu,server=a} 200 300;"                },
        {"x{server=\"a\",metric=\"cpu\"} / 100",         "{metric=cpu,server=a} 1 2;"                               },
        {"1000 - x{server=\"a\",metric=\"cpu\"}",        "{metric=cpu,server=a} 900 800;"                           },
        {"-x{server=\"a\",metric=\"cpu\"}",              "{metric=cpu,server=a} -100 -200;"                         },
        {"sum(x)",                                       "{} 663 822;"                                              },
        {"count(x)",                                     "{} 6 4;"                                                  },
        {"avg by (metric) (x)",                          "{metric=cpu} 110 205;{metric=mem} 111 206;"               },
        {"max(x) by (server)",                           "{server=a} 101 201;{server=b} 111 211;{server=c} 121 nan;"},
        {"MIN by(server,)(x{server=\"c\"})",             "{server=c} 120 nan;"                                      },
        {"sum by (rack) (x)",                            "{} 663 822;"                                              },
        {"sum by () (x)",                                "{} 663 822;"                                              },
        {"topk(1, x)",
         "{__name__=x,metric=mem,server=b} nan 211;{__name__=x,metric=mem,server=c} 121 nan;"                       },
        {"2 * max(x{server=\"a\"} + 1)",                 "{} 204 404;"                                              },
        {"sum",                                          ""                                                         },
    };
    struct fw_buf out;
    (void)state;
    fw_buf_init(&out, 65536);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        fw_buf_reset(&out);
        if (run(rows[i].query, 1, 2, 1 << 20, &out, &err) != FW_OK)
            fail_msg("%s: %s", rows[i].query, err.text);
        CHECK_STR(rows[i].query, out.data, rows[i].expected);
    }
    fw_buf_fini(&out);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *query;
        enum fw_status status;
        const char *says;
    } rows[] = {
        {"",                           FW_EINVAL,    "the query ends"             },
        {"1 +",                        FW_EINVAL,    "the query ends"             },
        {"(1",                         FW_EINVAL,    "expected \")\""             },
        {"1 2",                        FW_EINVAL,    "at character 3"             },
        {"1x",                         FW_EINVAL,    "no number"                  },
        {"1.2.3",                      FW_EINVAL,    "no number"                  },
        {"x{",                         FW_EINVAL,    "label's name"               },
        {"x{a",                        FW_EINVAL,    "=, !=, =~ or !~"            },
        {"x{a=b}",                     FW_EINVAL,    "quotes"                     },
        {"x{a=\"b}",                   FW_EINVAL,    "the query ends"             },
        {"x{a=\"\\q\"}",               FW_EINVAL,    "escape"                     },
        {"x{a=\"b\" c=\"d\"}",         FW_EINVAL,    "\",\" or \"}\""             },
        {"x{a=~\"(\"}",                FW_EINVAL,    "regular expression"         },
        {"{}",                         FW_EINVAL,    "condition"                  },
        {"{a=\"\"}",                   FW_EINVAL,    "condition"                  },
        {"{a=~\".*\"}",                FW_EINVAL,    "condition"                  },
        {"x offset",                   FW_EINVAL,    "duration"                   },
        {"x offset 5q",                FW_EINVAL,    "duration"                   },
        {"sum(1)",                     FW_EINVAL,    "nothing to aggregate"       },
        {"topk(0, x)",                 FW_EINVAL,    "1 to 1000"                  },
        {"topk(x, x)",                 FW_EINVAL,    "no number"                  },
        {"x[5m]",                      FW_ENOTFOUND, "ask Prometheus for raw data"},
        {"rate(x[5m])",                FW_ENOTFOUND, "\"rate\""                   },
        {"histogram_quantile(0.9, x)", FW_ENOTFOUND, "\"histogram_quantile\""     },
        {"sum without (a) (x)",        FW_ENOTFOUND, "without"                    },
        {"x + x",                      FW_ENOTFOUND, "two sets of series"         },
        {"x > 1",                      FW_ENOTFOUND, "\">\""                      },
        {"x and y",                    FW_ENOTFOUND, "\"and\""                    },
        {"x @ 5",                      FW_ENOTFOUND, "@"                          },
        {"max(x)[5m:1m]",              FW_ENOTFOUND, "\"[\""                      },
        {"2 ^ 3",                      FW_ENOTFOUND, "\"^\""                      },
    };
    struct fw_buf out;
    (void)state;
    fw_buf_init(&out, 65536);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        fw_buf_reset(&out);
        CHECK_EQ(rows[i].query, run(rows[i].query, 1, 2, 1 << 20, &out, &err), rows[i].status);
        if (strstr(err.text, rows[i].says) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].query, err.text, rows[i].says);
        if (rows[i].status == FW_ENOTFOUND)
            CHECK_TRUE(rows[i].query, strstr(err.text, "topk") != NULL);
    }
    fw_buf_fini(&out);
}

static void test_limits(void **state)
{
    char text[QUERY_BYTES_MAX + 2];
    struct query *query;
    struct fw_buf out;
    struct fw_error err = {0};
    (void)state;
    memset(text, '(', sizeof text);
    CHECK_EQ("depth", query_parse(text, 1000, &query, NULL), FW_ELIMIT);
    memset(text, '-', sizeof text);
    CHECK_EQ("signs", query_parse(text, 1000, &query, NULL), FW_ELIMIT);
    CHECK_EQ("bytes", query_parse(text, QUERY_BYTES_MAX + 1, &query, NULL), FW_ELIMIT);
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(text + i, "1+", 2);
    CHECK_EQ("parts", query_parse(text, 1999, &query, NULL), FW_ELIMIT);
    fw_buf_init(&out, 65536);
    CHECK_EQ("memory", run("sum(x)", 1, QUERY_POINTS_MAX, 300000, &out, &err), FW_ELIMIT);
    fw_buf_fini(&out);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } rows[] = {
        {"5m",    300000    },
        {"1h30m", 5400000   },
        {"90",    90000     },
        {"1.5",   1500      },
        {"250ms", 250       },
        {"1d",    86400000  },
        {"2w",    1209600000},
        {"0.5h",  1800000   },
        {"",      -1        },
        {"m",     -1        },
        {"5x",    -1        },
        {"-5m",   -1        },
        {"5 m",   -1        },
        {"0",     0         },
        {"11y",   -1        },
        {"1e30",  -1        },
        {"5m3",   -1        },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = -1;
        const bool good = query_duration(rows[i].text, strlen(rows[i].text), &ms);
        CHECK_EQ(rows[i].text, good ? ms : -1, rows[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
