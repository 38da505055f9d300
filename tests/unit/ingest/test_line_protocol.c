/* Line protocol: what each line is, and that a broken one costs its neighbours nothing. The rows
 * are what InfluxDB 1.6 answers (tests/scenario/test_influxdb.py asks it). */
#include "ingest/line_protocol.h"

#include "base/alloc.h"
#include "base/buf.h"

#include "support.h"

#include <stdlib.h>

enum { NOW_MS = 77 };

/* Prints what was read: "M{tag=value}key:type=value,...@time;" or "!line text;". */
static enum fw_status print_point(void *ctx, const struct line_point *point)
{
    struct fw_buf *out = ctx;
    fw_buf_put(out, point->measurement, point->measurement_len);
    fw_buf_putc(out, '{');
    for (size_t i = 0; i < point->tag_count; i++) {
        fw_buf_puts(out, i > 0 ? "," : "");
        fw_buf_put(out, point->tags[i].name, point->tags[i].name_len);
        fw_buf_putc(out, '=');
        fw_buf_put(out, point->tags[i].value, point->tags[i].value_len);
    }
    fw_buf_putc(out, '}');
    for (size_t i = 0; i < point->field_count; i++) {
        const struct line_field *field = &point->fields[i];
        fw_buf_puts(out, i > 0 ? "," : "");
        fw_buf_put(out, field->key, field->key_len);
        fw_buf_printf(out, ":%c=", "fiubs"[field->type]);
        if (field->type == LINE_STRING)
            fw_buf_put(out, field->text, field->text_len);
        else
            fw_buf_printf(out, "%.17g", field->number);
    }
    fw_buf_printf(out, "@%lld;", (long long)point->time_ms);
    return FW_OK;
}

static enum fw_status print_fault(void *ctx, const struct line_fault *fault)
{
    fw_buf_printf(ctx, "!%zu %s;", fault->line, fault->text);
    return FW_OK;
}

static const char *read_all(const char *body, size_t len, enum line_precision precision)
{
    static char text[4096];
    struct fw_buf out;
    struct line_decoder *decoder = line_decoder_new();
    const struct line_visitor visitor = {.ctx = &out,
                                         .precision = precision,
                                         .now_ms = NOW_MS,
                                         .point = print_point,
                                         .fault = print_fault};
    assert_non_null(decoder);
    fw_buf_init(&out, sizeof text - 1);
    assert_int_equal(line_protocol_read(decoder, body, len, &visitor), FW_OK);
    assert_false(out.failed);
    if (out.len > 0)
        memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    fw_buf_fini(&out);
    line_decoder_free(decoder);
    return text;
}

static void test_lines(void **state)
{
    static const struct {
        const char *body, *expected;
    } rows[] = {
        {"m v=1",                                        "m{}v:f=1@77;"                                       },
        {"m,t=a,u=b v=1,w=2 5000000",                    "m{t=a,u=b}v:f=1,w:f=2@5;"                           },
        {" m v=1",                                       "m{}v:f=1@77;"                                       },
        {"\tm v=1",                                      "m{}v:f=1@77;"                                       },
        {"m  v=1  5000000 ",                             "m{}v:f=1@5;"                                        },
        {"m v=1\r\nm v=2\r\n",                           "m{}v:f=1@77;m{}v:f=2@77;"                           },
        {"\n\n# c\n # c\nm v=1\n\n",                     "m{}v:f=1@77;"                                       },
        {"",                                             ""                                                   },
        {"m v=1 # c",                                    "!1 bad timestamp;"                                  },
        {"m",                                            "!1 missing fields;"                                 },
        {"m ",                                           "!1 invalid field format;"                           },
        {"m v",                                          "!1 invalid field format;"                           },
        {"m v=",                                         "!1 missing field value;"                            },
        {"m =1",                                         "!1 missing field key;"                              },
        {"m v=1,",                                       "!1 invalid field format;"                           },
        {"m v=1,,w=2",                                   "!1 invalid field format;"                           },
        {"m v=1, w=2",                                   "!1 invalid field format;"                           },
        {",t=a v=1",                                     "!1 missing measurement;"                            },
        {"m, v=1",                                       "!1 missing tag key;"                                },
        {"m,,a=b v=1",                                   "!1 missing tag key;"                                },
        {"m,=a v=1",                                     "!1 missing tag key;"                                },
        {"m,t v=1",                                      "!1 missing tag value;"                              },
        {"m,t= v=1",                                     "!1 missing tag value;"                              },
        {"m,a=1,a=2 v=1",                                "!1 duplicate tags;"                                 },
        {"m,a=x=y v=1",                                  "!1 invalid tag format;"                             },
        {"m,a=b",                                        "!1 missing fields;"                                 },
        {"m v=-1,w=.5,x=5.,y=-.5",                       "m{}v:f=-1,w:f=0.5,x:f=5,y:f=-0.5@77;"               },
        {"m v=1e5,w=1E5,x=1e+5,y=1e-2",                  "m{}v:f=100000,w:f=100000,x:f=100000,y:f=0.01@77;"   },
        {"m v=0.1,w=123456789.123456",                   "m{}v:f=0.10000000000000001,w:f=123456789.123456@77;"},
        {"m v=1e-400",                                   "m{}v:f=0@77;"                                       },
        {"m v=1e400",                                    "!1 invalid float;"                                  },
        {"m v=1e",                                       "!1 invalid number;"                                 },
        {"m v=0x10",                                     "!1 invalid number;"                                 },
        {"m v=NaN",                                      "!1 invalid number;"                                 },
        {"m v=-Inf",                                     "!1 invalid number;"                                 },
        {"m v=+1",                                       "!1 invalid boolean;"                                },
        {"m v=1.2.3",                                    "!1 invalid number;"                                 },
        {"m v=.",                                        "!1 invalid number;"                                 },
        {"m v=-",                                        "!1 invalid number;"                                 },
        {"m v=01,w=00i,x=-0",                            "m{}v:f=1,w:i=0,x:f=-0@77;"                          },
        {"m v=9223372036854775807i",                     "m{}v:i=9.2233720368547758e+18@77;"                  },
        {"m v=-9223372036854775808i",                    "m{}v:i=-9.2233720368547758e+18@77;"                 },
        {"m v=9223372036854775808i",                     "!1 invalid number;"                                 },
        {"m v=18446744073709551615u",                    "m{}v:u=1.8446744073709552e+19@77;"                  },
        {"m v=18446744073709551616u",                    "!1 invalid number;"                                 },
        {"m v=-1u",                                      "!1 invalid number;"                                 },
        {"m v=1.5i",                                     "!1 invalid number;"                                 },
        {"m v=i",                                        "!1 invalid boolean;"                                },
        {"m a=t,b=T,c=true,d=True,e=TRUE",               "m{}a:b=1,b:b=1,c:b=1,d:b=1,e:b=1@77;"               },
        {"m a=f,b=F,c=false,d=False,e=FALSE",            "m{}a:b=0,b:b=0,c:b=0,d:b=0,e:b=0@77;"               },
        {"m v=tRue",                                     "!1 invalid boolean;"                                },
        {"m v=\"a b,c=d\",w=1 5000000",                  "m{}v:s=a b,c=d,w:f=1@5;"                            },
        {"m v=\"a\\\"b\\\\\"",                           "m{}v:s=a\"b\\@77;"                                  },
        {"m v=\"a\\b\"",                                 "m{}v:s=a\\b@77;"                                    },
        {"m v=\"\"",                                     "m{}v:s=@77;"                                        },
        {"m v=\"a\nb\"\nm w=1",                          "m{}v:s=a\nb@77;m{}w:f=1@77;"                        },
        {"m v=\"a\nm w=1",                               "!1 unbalanced quotes;"                              },
        {"m v=\"a\"b",                                   "!1 invalid field format;"                           },
        {"m\\ n v=1",                                    "m n{}v:f=1@77;"                                     },
        {"m\\,n v=1",                                    "m,n{}v:f=1@77;"                                     },
        {"m\\=n v=1",                                    "m=n{}v:f=1@77;"                                     },
        {"m=n v=1",                                      "m=n{}v:f=1@77;"                                     },
        {"m\\n v=1",                                     "m\\n{}v:f=1@77;"                                    },
        {"\"m\" v=1",                                    "\"m\"{}v:f=1@77;"                                   },
        {"m,a\\ b=x\\ y,c\\,d=x\\,y,e\\=f=x\\=y v=1",    "m{a b=x y,c,d=x,y,e=f=x=y}v:f=1@77;"                },
        {"m,a=x\\y,b=\"q\" v=1",                         "m{a=x\\y,b=\"q\"}v:f=1@77;"                         },
        {"m a\\ b=1,c\\,d=2,e\\=f=3,g\\\"h=4,i\"j=5",
         "m{}a b:f=1,c,d:f=2,e=f:f=3,g\"h:f=4,i\"j:f=5@77;"                                                   },
        {"m v=1 -1",                                     "m{}v:f=1@-1;"                                       },
        {"m v=1 1.5",                                    "!1 bad timestamp;"                                  },
        {"m v=1 -",                                      "!1 bad timestamp;"                                  },
        {"m v=1 10 20",                                  "!1 something behind the timestamp;"                 },
        {"m v=1 9223372036854775808",                    "!1 time outside range;"                             },
        {"m v=1 1767225600123456789",                    "m{}v:f=1@1767225600123;"                            },
        {"m,a=\xc3\xa4 v=1",                             "m{a=\xc3\xa4}v:f=1@77;"                             },
        {"m,a=\xff v=1",                                 "!1 not UTF-8;"                                      },
        {"m v=1\nbad\nm v=2 20000000\n\nm,x v=3\nm v=4",
         "m{}v:f=1@77;!2 missing fields;m{}v:f=2@20;!5 missing tag value;m{}v:f=4@77;"                        },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t len = strlen(rows[i].body);
        char *exact =
            malloc(len + 1); /* nothing behind it, so that a sanitizer sees one byte more */
        memcpy(exact, rows[i].body, len);
        CHECK_STR(rows[i].body, read_all(exact, len, LINE_NS), rows[i].expected);
        free(exact);
    }
}

static void test_precisions(void **state)
{
    static const struct {
        const char *name, *time, *expected;
    } rows[] = {
        {"n",        "1999999",             "m{}v:f=1@1;"            },
        {"ns",       "-1",                  "m{}v:f=1@-1;"           },
        {"u",        "1767225600000000",    "m{}v:f=1@1767225600000;"},
        {"us",       "1500",                "m{}v:f=1@1;"            },
        {"\xc2\xb5", "1500",                "m{}v:f=1@1;"            },
        {"ms",       "1500",                "m{}v:f=1@1500;"         },
        {"s",        "1767225600",          "m{}v:f=1@1767225600000;"},
        {"s",        "9223372036854775807", "!1 time outside range;" },
        {"ms",       "9223372036854775807", "!1 time outside range;" },
        {"m",        "2",                   "m{}v:f=1@120000;"       },
        {"h",        "1",                   "m{}v:f=1@3600000;"      },
        {"",         "1000000",             "m{}v:f=1@1;"            },
    };
    enum line_precision precision;
    char body[64];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(line_precision_parse(rows[i].name, &precision));
        const int len = snprintf(body, sizeof body, "m v=1 %s", rows[i].time);
        CHECK_STR(rows[i].name, read_all(body, (size_t)len, precision), rows[i].expected);
    }
    CHECK_TRUE("days", !line_precision_parse("d", &precision));
}

static void test_limits(void **state)
{
    struct fw_buf body;
    (void)state;
    fw_buf_init(&body, 8 << 20);
    for (int n = 64; n <= 65; n++) {
        fw_buf_reset(&body);
        fw_buf_puts(&body, "m");
        for (int i = 0; i < n; i++)
            fw_buf_printf(&body, ",t%d=x", i);
        fw_buf_puts(&body, " v=1");
        CHECK_TRUE("tags", (read_all(body.data, body.len, LINE_NS)[0] == '!') == (n == 65));
    }
    fw_buf_reset(&body);
    fw_buf_puts(&body, "m ");
    for (int i = 0; i <= LINE_FIELDS_MAX; i++)
        fw_buf_printf(&body, "%sf%d=1", i > 0 ? "," : "", i);
    fw_buf_puts(&body, "\nm v=1");
    CHECK_STR("fields", read_all(body.data, body.len, LINE_NS),
              "!1 more than 4096 fields;m{}v:f=1@77;");
    /* A line beyond the limit, of any kind, costs itself alone. */
    static const char *const begins[] = {"m v=\"", "m,t=", "m v=1 ", "m "};
    for (size_t k = 0; k < COUNT_OF(begins); k++) {
        fw_buf_reset(&body);
        fw_buf_puts(&body, begins[k]);
        for (int i = 0; i < LINE_BYTES_MAX; i++)
            fw_buf_putc(&body, k == 2 ? ' ' : '1');
        fw_buf_puts(&body, "\nm v=1");
        CHECK_STR(begins[k], read_all(body.data, body.len, LINE_NS),
                  "!1 longer than 1 MiB;m{}v:f=1@77;");
    }
    fw_buf_fini(&body);
}

static void test_allocations_fail(void **state)
{
    static const char body[] = "m,t=a\\ b v=1\nm v=2";
    struct fw_buf out;
    const struct line_visitor visitor = {.ctx = &out, .point = print_point, .fault = print_fault};
    (void)state;
    fw_buf_init(&out, 4096);
    for (long n = 1;; n++) {
        struct line_decoder *decoder = line_decoder_new();
        fw_buf_reset(&out);
        fw_buf_puts(&out, "some room");
        fw_alloc_fail_at(n);
        const enum fw_status status = line_protocol_read(decoder, body, sizeof body - 1, &visitor);
        fw_alloc_fail_at(0);
        line_decoder_free(decoder);
        if (status == FW_OK)
            break;
        CHECK_EQ("out of memory", status, FW_ENOMEM);
        assert_true(n < 10);
    }
    fw_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
