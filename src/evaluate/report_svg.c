#include "evaluate/report.h"

#include "base/alloc.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One panel a set, three charts side by side: ratio of every metric, share within the band and
 * ratio by how far ahead. Lengths in pixels. */
enum {
    WIDTH = 1120,
    MARGIN = 28,
    HEAD = 92,       /* title and legend of the picture */
    PANEL_HEAD = 62, /* title of a panel and of its charts */
    PANEL_FOOT = 64, /* axis and remarks */
    ROW_MIN = 19,
    PLOT_MIN = 190, /* a chart's height */
    NAMES_WIDTH = 150,
    RATIO_LEFT = MARGIN + NAMES_WIDTH,
    RATIO_WIDTH = 425,
    COVER_LEFT = RATIO_LEFT + RATIO_WIDTH + 96,
    COVER_WIDTH = 168,
    AHEAD_LEFT = COVER_LEFT + COVER_WIDTH + 58,
    AHEAD_WIDTH = WIDTH - MARGIN - AHEAD_LEFT,
    NAME_BYTES_MAX = 24, /* that fit beside the chart */
};

#define RATIO_LOW 0.4
#define RATIO_HIGH 2.5
#define INK "#1f2933"
#define FAINT "#7b8794"
#define GRID "#e4e7eb"
#define ZONE "#fdf3ee"
#define MEAN "#2a9d6f"

static const char *const colors[EVALUATE_QUANTILES] = {"#3f8fd2", "#1b2a41", "#e07b39"};
static const char *const names[EVALUATE_QUANTILES] = {"P10", "P50", "P90"};
static const double ratio_ticks[] = {0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5};

/* One set's panel: where its charts begin and how high they are. */
struct panel {
    const struct evaluate_report *report;
    struct fw_buf *out;
    size_t *order; /* (rows) metrics, the worst first */
    size_t rows;
    double top, height, row_height;
};

/* ---- shapes ---- */

/* Text, not markup; what XML cannot hold becomes a question mark. */
static void put_escaped(struct fw_buf *out, const char *text, size_t len)
{
    for (size_t i = 0, step; i < len; i += step) {
        const size_t good = fw_utf8_length(text + i, len - i);
        step = good == 0 ? 1 : good;
        if (good == 0 || (unsigned char)text[i] < ' ')
            fw_buf_putc(out, '?');
        else if (text[i] == '<' || text[i] == '&')
            fw_buf_puts(out, text[i] == '<' ? "&lt;" : "&amp;");
        else
            fw_buf_put(out, text + i, good);
    }
}

static void line(struct fw_buf *out, double x1, double y1, double x2, double y2, const char *color,
                 double width)
{
    fw_buf_printf(out,
                  "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                  "stroke-width=\"%.1f\"/>\n",
                  x1, y1, x2, y2, color, width);
}

static void box(struct fw_buf *out, double x, double y, double width, double height,
                const char *color)
{
    fw_buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n",
                  x, y, width, height, color);
}

static void dot(struct fw_buf *out, double x, double y, double radius, const char *color,
                double opacity)
{
    fw_buf_printf(out,
                  "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" "
                  "fill-opacity=\"%.2f\"/>\n",
                  x, y, radius, color, opacity);
}

/* Pointing to the right where `forward`. */
static void arrow(struct fw_buf *out, double x, double y, bool forward, const char *color)
{
    const double tip = forward ? 5.0 : -5.0;
    fw_buf_printf(out, "<path d=\"M%.1f %.1f L%.1f %.1f L%.1f %.1f Z\" fill=\"%s\"/>\n", x + tip, y,
                  x - tip, y - 4.5, x - tip, y + 4.5, color);
}

/* anchor: "start", "middle" or "end". */
static void begin_text(struct fw_buf *out, double x, double y, const char *anchor, int size,
                       const char *color, bool bold)
{
    fw_buf_printf(out,
                  "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"%s\"%s>",
                  x, y, anchor, size, color, bold ? " font-weight=\"bold\"" : "");
}

static void label(struct fw_buf *out, double x, double y, const char *anchor, const char *color,
                  const char *text)
{
    begin_text(out, x, y, anchor, 11, color, false);
    put_escaped(out, text, strlen(text));
    fw_buf_puts(out, "</text>\n");
}

static void number_label(struct fw_buf *out, double x, double y, const char *anchor,
                         const char *color, const char *format, double value)
{
    char text[64];
    (void)snprintf(text, sizeof text, strcmp(format, "%") == 0 ? "%.0f %%" : "%.3g", value);
    label(out, x, y, anchor, color, text);
}

/* ---- ratio of every metric ---- */

/* Where a ratio lies between 0 (RATIO_LOW) and 1 (RATIO_HIGH), on a logarithmic scale. */
static double ratio_part(double ratio)
{
    const double part = log(ratio / RATIO_LOW) / log(RATIO_HIGH / RATIO_LOW);
    return part < 0.0 ? 0.0 : part > 1.0 ? 1.0 : part;
}

static double ratio_x(double ratio)
{
    return RATIO_LEFT + RATIO_WIDTH * ratio_part(ratio);
}

static void put_ratio_axis(const struct panel *p)
{
    const double bottom = p->top + p->height;
    box(p->out, ratio_x(1.0), p->top, ratio_x(RATIO_HIGH) - ratio_x(1.0), p->height, ZONE);
    for (size_t i = 0; i < COUNT(ratio_ticks); i++) {
        const double x = ratio_x(ratio_ticks[i]);
        line(p->out, x, p->top, x, bottom, GRID, 1.0);
        number_label(p->out, x, bottom + 15, "middle", FAINT, "", ratio_ticks[i]);
    }
    line(p->out, ratio_x(1.0), p->top - 5, ratio_x(1.0), bottom + 4, INK, 1.5);
    label(p->out, ratio_x(1.0) - 8, p->top - 8, "end", FAINT, "better than the best baseline");
    label(p->out, ratio_x(1.0) + 8, p->top - 8, "start", FAINT, "worse");
}

/* The dots of one row; what lies off the scale is an arrow at its edge with the number beside. */
static void put_ratio_dots(const struct panel *p, const double *ratio, double y, double radius)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        low = fmin(low, ratio[k]);
        high = fmax(high, ratio[k]);
    }
    if (isfinite(low))
        line(p->out, ratio_x(low), y, ratio_x(high), y, "#b8c2cc", 1.5);
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        if (isnan(ratio[k]))
            continue;
        if (ratio[k] < RATIO_LOW || ratio[k] > RATIO_HIGH)
            arrow(p->out, ratio_x(ratio[k]), y, ratio[k] > RATIO_HIGH, colors[k]);
        else
            dot(p->out, ratio_x(ratio[k]), y, radius, colors[k], 1.0);
    }
    if (high > RATIO_HIGH && isfinite(high))
        number_label(p->out, ratio_x(RATIO_HIGH) + 9, y + 4, "start", FAINT, "", high);
}

/* At most as many bytes as fit, cut before a character's first. */
static void put_row_name(const struct panel *p, const char *name, double y, bool bold)
{
    size_t len = strlen(name);
    const bool cut = len > NAME_BYTES_MAX;
    if (cut)
        len = NAME_BYTES_MAX - 1;
    while (cut && len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
        len--;
    begin_text(p->out, RATIO_LEFT - 10, y + 4, "end", 11, INK, bold);
    put_escaped(p->out, name, len);
    fw_buf_puts(p->out, cut ? "\xe2\x80\xa6</text>\n" : "</text>\n");
}

static void put_ratios(const struct panel *p)
{
    put_ratio_axis(p);
    for (size_t i = 0; i <= p->rows; i++) {
        const double y = p->top + p->row_height * ((double)i + 0.5);
        if (i == p->rows) {
            const double above = y - p->row_height / 2.0;
            line(p->out, MARGIN, above, RATIO_LEFT + RATIO_WIDTH, above, FAINT, 0.7);
            put_row_name(p, "geometric mean", y, true);
            put_ratio_dots(p, p->report->summary.span[EVALUATE_WHOLE].ratio, y, 5.5);
        } else {
            const size_t metric = p->order[i];
            put_row_name(p, p->report->result->metrics[metric].name, y, false);
            put_ratio_dots(p, p->report->rows[metric].span[EVALUATE_WHOLE].ratio.to_best, y, 4.0);
        }
    }
}

/* ---- by how far ahead ---- */

static double block_x(double left, double width, size_t block)
{
    return left + width * ((double)block + 0.5) / EVALUATE_BLOCKS;
}

static void put_block_axis(const struct panel *p, double left, double width)
{
    for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
        begin_text(p->out, block_x(left, width, b), p->top + PLOT_MIN + 15, "middle", 11, FAINT,
                   false);
        fw_buf_printf(p->out, "%zu\xe2\x80\x93%zu</text>\n", evaluate_score_block_from(b),
                      evaluate_score_block_to(b));
    }
    label(p->out, left + width / 2, p->top + PLOT_MIN + 31, "middle", FAINT, "steps ahead");
}

static double lowest_coverage(const struct panel *p)
{
    double low = 1.0;
    for (size_t i = 0; i < p->rows; i++) {
        for (size_t b = 0; b < EVALUATE_BLOCKS; b++)
            low = fmin(low, p->report->rows[p->order[i]].span[b].of[EVALUATE_OURS].coverage);
    }
    return low;
}

/* A small dot for each metric, a bar for their mean, and the line at 80 % where they should be. */
static void put_coverage(const struct panel *p)
{
    const double low = lowest_coverage(p) < 0.5 ? 0.0 : 0.5;
    const double bottom = p->top + PLOT_MIN, scale = PLOT_MIN / (1.0 - low);
    label(p->out, COVER_LEFT, p->top - 26, "start", INK,
          "share within P10\xe2\x80\x93P90, by metric");
    for (int i = 0; i <= 5; i++) {
        const double tick = low + (1.0 - low) * i / 5.0;
        const double y = bottom - scale * (tick - low);
        line(p->out, COVER_LEFT, y, COVER_LEFT + COVER_WIDTH, y, GRID, 1.0);
        number_label(p->out, COVER_LEFT - 7, y + 4, "end", FAINT, "%", 100.0 * tick);
    }
    const double aim = bottom - scale * (0.8 - low);
    line(p->out, COVER_LEFT, aim, COVER_LEFT + COVER_WIDTH, aim, INK, 1.5);
    for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
        const double x = block_x(COVER_LEFT, COVER_WIDTH, b);
        for (size_t i = 0; i < p->rows; i++) {
            const double c = p->report->rows[p->order[i]].span[b].of[EVALUATE_OURS].coverage;
            if (!isnan(c)) /* side by side in seven lanes, so that they do not hide each other */
                dot(p->out, x + 3.0 * ((double)(i % 7) - 3.0), bottom - scale * (c - low), 2.2,
                    FAINT, 0.5);
        }
        const double mean = bottom - scale * (p->report->summary.span[b].coverage - low);
        if (!isnan(mean))
            line(p->out, x - 15, mean, x + 15, mean, MEAN, 3.5);
    }
    put_block_axis(p, COVER_LEFT, COVER_WIDTH);
}

static double ahead_y(const struct panel *p, double ratio)
{
    return p->top + PLOT_MIN * (1.0 - ratio_part(ratio));
}

/* The geometric means by block. */
static void put_ahead(const struct panel *p)
{
    label(p->out, AHEAD_LEFT, p->top - 26, "start", INK, "geometric mean of the ratios");
    box(p->out, AHEAD_LEFT, p->top, AHEAD_WIDTH, ahead_y(p, 1.0) - p->top, ZONE);
    for (size_t i = 0; i < COUNT(ratio_ticks); i++) {
        const double y = ahead_y(p, ratio_ticks[i]);
        line(p->out, AHEAD_LEFT, y, AHEAD_LEFT + AHEAD_WIDTH, y, GRID, 1.0);
        number_label(p->out, AHEAD_LEFT - 7, y + 4, "end", FAINT, "", ratio_ticks[i]);
    }
    line(p->out, AHEAD_LEFT, ahead_y(p, 1.0), AHEAD_LEFT + AHEAD_WIDTH, ahead_y(p, 1.0), INK, 1.5);
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
            const double ratio = p->report->summary.span[b].ratio[k];
            const double before = b == 0 ? (double)NAN : p->report->summary.span[b - 1].ratio[k];
            const double x = block_x(AHEAD_LEFT, AHEAD_WIDTH, b);
            if (!isnan(ratio) && !isnan(before))
                line(p->out, block_x(AHEAD_LEFT, AHEAD_WIDTH, b - 1), ahead_y(p, before), x,
                     ahead_y(p, ratio), colors[k], 2.0);
            if (!isnan(ratio))
                dot(p->out, x, ahead_y(p, ratio), 3.5, colors[k], 1.0);
        }
    }
    put_block_axis(p, AHEAD_LEFT, AHEAD_WIDTH);
}

/* ---- a panel ---- */

struct rank {
    size_t metric;
    double ratio; /* of P50; without one it comes last */
};

static int worst_first(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->ratio != y->ratio)
        return x->ratio < y->ratio ? 1 : -1;
    return x->metric < y->metric ? -1 : x->metric > y->metric;
}

/* The scored metrics into p->order; false: no memory. */
static bool find_order(struct panel *p)
{
    const size_t n = p->report->result->scores.n_metrics;
    struct rank *ranks = fw_calloc(n, sizeof *ranks);
    p->order = fw_calloc(n, sizeof *p->order);
    p->rows = 0;
    for (size_t m = 0; ranks != NULL && m < n; m++) {
        const double ratio = p->report->rows[m].span[EVALUATE_WHOLE].ratio.to_best[1];
        if (p->report->rows[m].scored)
            ranks[p->rows++] = (struct rank){m, isnan(ratio) ? -1.0 : ratio};
    }
    if (ranks != NULL)
        qsort(ranks, p->rows, sizeof *ranks, worst_first);
    for (size_t i = 0; ranks != NULL && p->order != NULL && i < p->rows; i++)
        p->order[i] = ranks[i].metric;
    fw_free(ranks);
    return ranks != NULL && p->order != NULL;
}

static void put_title(const struct panel *p)
{
    const struct evaluate_result *r = p->report->result;
    const struct evaluate_summary *s = &p->report->summary;
    begin_text(p->out, MARGIN, p->top - 42, "start", 17, INK, true);
    put_escaped(p->out, r->set, strlen(r->set));
    fw_buf_puts(p->out, "</text>\n");
    begin_text(p->out, MARGIN, p->top - 24, "start", 11, FAINT, false);
    fw_buf_printf(p->out, "%zu servers, %zu metrics, %zu origins; above 1.05: P10 %zu, P50 %zu, ",
                  r->scores.n_servers, s->scored, r->origins, s->worse[0], s->worse[1]);
    fw_buf_printf(p->out, "P90 %zu</text>\n", s->worse[2]);
}

static void put_ett(const struct panel *p)
{
    const struct evaluate_result *r = p->report->result;
    begin_text(p->out, MARGIN, p->top + p->height + 46, "start", 11, FAINT, false);
    const char *before = "MSE / MAE as the ETT papers have it: ";
    for (size_t i = 0; r->ett != NULL && i < r->scores.n_servers; i++) {
        const struct evaluate_points *ours = &r->ett[i].ours, *last = &r->ett[i].persistence;
        fw_buf_puts(p->out, before);
        put_escaped(p->out, r->servers[i], strlen(r->servers[i]));
        fw_buf_printf(p->out, " %.3f / %.3f (persistence %.3f / %.3f)",
                      ours->square / (double)ours->count, ours->absolute / (double)ours->count,
                      last->square / (double)last->count, last->absolute / (double)last->count);
        before = ", ";
    }
    fw_buf_puts(p->out, "</text>\n");
}

static void put_panel(struct panel *p)
{
    put_title(p);
    put_ratios(p);
    put_coverage(p);
    put_ahead(p);
    if (p->report->result->ett != NULL)
        put_ett(p);
}

/* ---- the picture ---- */

static void put_head(struct fw_buf *out, double height)
{
    fw_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
                  "viewBox=\"0 0 %d %.0f\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\">\n",
                  WIDTH, height, WIDTH, height);
    fw_buf_puts(out, "<title>Forecasts of forewarn against the best baseline</title>\n");
    box(out, 0, 0, WIDTH, height, "#ffffff");
    begin_text(out, MARGIN, 40, "start", 21, INK, true);
    fw_buf_puts(out, "Forecasts against the best of six baselines</text>\n");
    label(
        out, MARGIN, 62, "start", FAINT,
        "q-Risk of forewarn over that of the best baseline, for each metric and quantile; 96 steps "
        "ahead");
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        const double x = WIDTH - MARGIN - 62.0 * (double)(EVALUATE_QUANTILES - k);
        dot(out, x, 36, 5, colors[k], 1.0);
        label(out, x + 10, 40, "start", INK, names[k]);
    }
}

static void put_picture(struct panel *panels, size_t n, struct fw_buf *out)
{
    double at = HEAD;
    for (size_t i = 0; i < n; i++) {
        panels[i].top = at + PANEL_HEAD;
        panels[i].height = fmax(PLOT_MIN, ROW_MIN * (double)(panels[i].rows + 1));
        panels[i].row_height = panels[i].height / (double)(panels[i].rows + 1);
        at = panels[i].top + panels[i].height + PANEL_FOOT;
    }
    put_head(out, at);
    for (size_t i = 0; i < n; i++) {
        line(out, MARGIN, panels[i].top - PANEL_HEAD, WIDTH - MARGIN, panels[i].top - PANEL_HEAD,
             GRID, 1.0);
        put_panel(&panels[i]);
    }
    fw_buf_puts(out, "</svg>\n");
}

void evaluate_report_svg(const struct evaluate_report *reports, size_t n, struct fw_buf *out)
{
    struct panel *panels = fw_calloc(n, sizeof *panels);
    bool good = panels != NULL;
    for (size_t i = 0; i < n && good; i++) {
        panels[i].report = &reports[i];
        panels[i].out = out;
        good = find_order(&panels[i]);
    }
    if (good)
        put_picture(panels, n, out);
    else
        out->failed = true;
    for (size_t i = 0; i < n && panels != NULL; i++)
        fw_free(panels[i].order);
    fw_free(panels);
}
