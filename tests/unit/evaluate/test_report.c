/* Figures and reports of results that are written down by hand. */
#include "support.h"

#include "base/alloc.h"
#include "evaluate/report.h"

enum { SERVERS = 3, METRICS = 3 };

/* m0 is scored on all servers, m1 on the first, and its best baseline has no loss; m2 is all
 * zeros. Losses are in tenths of the scale, equal in every block. */
static void make(struct evaluate_result *r, struct evaluate_metric *metrics, char **servers)
{
    static const double losses[METRICS][EVALUATE_METHODS][SERVERS] = {
        {{2, 2, 2}, {1, 1, 4}, {3, 3, 3}, {4, 4, 4}, {2, 3, 4}, {5, 5, 5}, {1, 2, 6}},
        {{0},       {1},       {1},       {1},       {1},       {1},       {1}      },
        {{0},       {0},       {0},       {0},       {0},       {0},       {0}      },
    };
    struct fw_error err;
    *r = (struct evaluate_result){.set = "<a>,\"b\"", .step_s = 300, .ours = true};
    assert_int_equal(evaluate_score_init(&r->scores, SERVERS, METRICS, &err), FW_OK);
    r->servers = servers;
    r->metrics = metrics;
    r->origins = 3;
    r->forecasts = 12;
    r->methods[FORECAST_SEASONAL] = 9;
    r->methods[FORECAST_TREND] = 3;
    for (size_t m = 0; m < METRICS; m++) {
        (void)snprintf(metrics[m].name, sizeof metrics[m].name, "m%zu", m);
        for (size_t i = 0; i < SERVERS; i++) {
            for (size_t method = 0; method < EVALUATE_METHODS; method++) {
                struct evaluate_sums *s =
                    evaluate_score_at(&r->scores, i, m, (enum evaluate_method)method);
                for (size_t span = 0; span < EVALUATE_SPANS; span++) {
                    const double part = span == EVALUATE_WHOLE ? 4.0 : 1.0;
                    if (m == 1 && i > 0)
                        continue;
                    s[span] = (struct evaluate_sums){
                        .loss = {losses[m][method][i] * part / 2, losses[m][method][i] * part,
                                 losses[m][method][i] * part * 2},
                        .scale = m == 2 ? 0.0 : 10.0 * part,
                        .inside = span == 3 ? 5 : (size_t)(part * 4),
                        .count = (size_t)(part * 5)
                    };
                }
            }
        }
    }
}

struct made {
    struct evaluate_result result;
    struct evaluate_metric metrics[METRICS];
    char *servers[SERVERS];
    struct evaluate_row *rows;
    struct evaluate_report report;
};

static void set_up_made(struct made *made)
{
    static char names[SERVERS][4] = {"s0", "s1", "s2"};
    struct fw_error err;
    for (size_t i = 0; i < SERVERS; i++)
        made->servers[i] = names[i];
    make(&made->result, made->metrics, made->servers);
    assert_int_equal(evaluate_figures_rows(&made->result, &made->rows, &err), FW_OK);
    made->report = (struct evaluate_report){.result = &made->result, .rows = made->rows};
    evaluate_figures_summary(made->rows, METRICS, &made->report.summary);
}

static void tear_down_made(struct made *made)
{
    fw_free(made->rows);
    evaluate_score_fini(&made->result.scores);
}

static void test_figures(void **state)
{
    (void)state;
    struct made made;
    set_up_made(&made);
    const struct evaluate_span *whole = &made.rows[0].span[EVALUATE_WHOLE];
    const struct evaluate_summary *s = &made.report.summary;
    CHECK_NEAR("ours: 9 of 30, doubled", whole->of[EVALUATE_OURS].q[1], 0.6, 1e-12);
    CHECK_EQ("the best baseline", whole->ratio.best[1], EVALUATE_PERSISTENCE);
    CHECK_NEAR("ratio, equals come first", whole->ratio.to_best[1], 9.0 / 6.0, 1e-12);
    CHECK_NEAR("median of servers", made.rows[0].median_server[EVALUATE_OURS], 0.4, 1e-12);
    CHECK_NEAR("of an odd one", made.rows[0].median_server[EVALUATE_SEASONAL], 0.2, 1e-12);
    CHECK_NEAR("coverage", whole->of[EVALUATE_OURS].coverage, 0.8, 1e-12);
    CHECK_TRUE("no loss to compare with",
               isnan(made.rows[1].span[EVALUATE_WHOLE].ratio.to_best[0]));
    CHECK_TRUE("not scored", !made.rows[2].scored && made.rows[0].scored && made.rows[1].scored);
    CHECK_EQ("scored", s->scored, 2);
    CHECK_EQ("with a ratio", s->span[EVALUATE_WHOLE].with_ratio[2], 1);
    CHECK_NEAR("geometric mean of those", s->span[EVALUATE_WHOLE].ratio[2], 1.5, 1e-12);
    CHECK_NEAR("coverage of both", s->span[EVALUATE_WHOLE].coverage, 0.8, 1e-12);
    CHECK_NEAR("by block", s->span[3].coverage, 1.0, 1e-12);
    CHECK_EQ("above 1.05", s->worse[1], 1);
    CHECK_NEAR("worst", s->worst, 1.5, 1e-12);
    CHECK_EQ("worst", s->worst_metric, 0);
    tear_down_made(&made);
}

static void test_median(void **state)
{
    (void)state;
    double odd[3] = {3, 1, 2}, even[4] = {4, 1, 3, 2};
    CHECK_NEAR("odd", evaluate_figures_median(3, odd), 2.0, 0.0);
    CHECK_NEAR("even", evaluate_figures_median(4, even), 2.5, 0.0);
    CHECK_TRUE("none", isnan(evaluate_figures_median(0, odd)));
}

static void test_csv(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "set,metric,method,q10,q50,q90,coverage,q50_median_server,points\n\"<a>,\"\"b\"\"\",m0,",
        "\n\"<a>,\"\"b\"\"\",m0,persistence,0.2,0.4,0.8,0.8,0.4,60\n",
        "\n\"<a>,\"\"b\"\"\",m1,seasonal_naive_day+resid,0.1,0.2,0.4,0.8,0.2,20\n",
        "\n\"<a>,\"\"b\"\"\",m0,forewarn,0.3,0.6,1.2,0.8,0.4,60\n",
        "\n\"<a>,\"\"b\"\"\",(mean of metrics),forewarn,0.2,0.4,0.8,0.8,0.3,\n",
    };
    struct made made;
    struct fw_buf buf;
    set_up_made(&made);
    fw_buf_init(&buf, 1 << 20);
    evaluate_report_csv(&made.report, 1, &buf);
    fw_buf_putc(&buf, '\0');
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (strstr(buf.data, lines[i]) == NULL)
            fail_msg("no \"%s\" in:\n%s", lines[i], buf.data);
    }
    CHECK_TRUE("what is not scored is not there", strstr(buf.data, "m2") == NULL);
    fw_buf_fini(&buf);
    tear_down_made(&made);
}

static void test_text(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "3 servers, 2 metrics, steps of 300 s, 3 origins, forecasts by seasonal 75.0 %, trend 25.0 "
        "%",
        "m0                  0.3000  0.6000  1.2000    80.0 %    1.500   1.500   1.500\n",
        "m1                  0.1000  0.2000  0.4000    80.0 %        -       -       -\n",
        "  61 to 96   100.0 %   1.500   1.500   1.500\n",
        "above 1.05: P10 1, P50 1, P90 1 of 2 metrics; worst: m0 P10 1.500 (best baseline: "
        "persistence)",
        "without a ratio, P90: 1 of 2 metrics",
        "not scored, zero or never seen in the test part: m2\n",
        "left out: 2 of 14 forecasts",
    };
    struct made made;
    struct fw_buf buf;
    set_up_made(&made);
    made.result.left_out = 2;
    fw_buf_init(&buf, 1 << 20);
    evaluate_report_text(&made.report, &buf);
    fw_buf_putc(&buf, '\0');
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strstr(buf.data, parts[i]) == NULL)
            fail_msg("no \"%s\" in:\n%s", parts[i], buf.data);
    }
    fw_buf_fini(&buf);
    tear_down_made(&made);
}

/* Names come from paths and files: they must not become markup. */
static void test_names_in_a_picture(void **state)
{
    (void)state;
    struct made made;
    struct fw_buf buf;
    set_up_made(&made);
    strcpy(made.metrics[1].name, "bad\x01\xff.");
    strcpy(made.metrics[0].name, "a<b>&\"c\" and a long name \xc3\xa4");
    fw_buf_init(&buf, 1 << 20);
    evaluate_report_svg(&made.report, 1, &buf);
    fw_buf_putc(&buf, '\0');
    CHECK_TRUE("metric",
               strstr(buf.data, ">a&lt;b>&amp;\"c\" and a long nam\xe2\x80\xa6<") != NULL);
    CHECK_TRUE("what XML cannot hold", strstr(buf.data, ">bad??.<") != NULL);
    CHECK_TRUE("set", strstr(buf.data, ">&lt;a>,\"b\"<") != NULL);
    CHECK_TRUE("whole", strncmp(buf.data, "<svg ", 5) == 0 && strstr(buf.data, "</svg>") != NULL);
    CHECK_TRUE("no script, nothing from outside",
               strstr(buf.data, "script") == NULL && strstr(buf.data, "href") == NULL);
    fw_buf_fini(&buf);
    tear_down_made(&made);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct made made;
    struct fw_buf buf;
    struct evaluate_row *rows;
    struct fw_error err;
    set_up_made(&made);
    for (long n = 1; n <= 2; n++) {
        fw_alloc_fail_at(n);
        CHECK_EQ("figures", evaluate_figures_rows(&made.result, &rows, &err), FW_ENOMEM);
        CHECK_TRUE("figures", rows == NULL);
    }
    for (long n = 1; n <= 4; n++) {
        fw_buf_init(&buf, 1 << 20);
        fw_alloc_fail_at(n);
        evaluate_report_svg(&made.report, 1, &buf);
        CHECK_TRUE("picture", buf.failed);
        fw_buf_fini(&buf);
    }
    fw_alloc_fail_at(0);
    tear_down_made(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_names_in_a_picture),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
