/* What a plan keeps of a series from run to run: the same bits as computed anew, whatever happens
 * to the series between two runs; and just what changed is computed. */
#include "base/rng.h"
#include "made_model.h"
#include "support.h"
#include "tft/compile.h"
#include "tft/parallel.h"
#include "tft/reuse.h"

enum { NETWORKS = 16, ROUNDS = 60, SERIES = 7, TIME = 400, VARS = MADE_VARS };

/* ---- series that go on ---- */

struct life {
    int32_t codes[SERIES][TIME][VARS];
    float reals[SERIES][TIME][VARS];
    size_t end[SERIES], history[SERIES]; /* steps before `end` are past; so many are seen */
};

struct windows {
    int32_t history_codes[SERIES * MADE_HISTORY * VARS],
        horizon_codes[SERIES * MADE_HORIZON * VARS];
    float history_reals[SERIES * MADE_HISTORY * VARS], horizon_reals[SERIES * MADE_HORIZON * VARS];
    size_t horizon[SERIES];
    float scale[SERIES * MADE_TARGETS * 2];
    struct tft_kept kept[SERIES];
};

static float draw_real(struct fw_rng *rng)
{
    static const float odd[] = {-0.0f, 0.0f, 9.5f, -40.0f, NAN};
    const size_t kind = fw_rng_below(rng, 100);
    return kind < COUNT_OF(odd) ? odd[kind] : (float)(2.0 * fw_rng_normal(rng));
}

static void draw_step(const struct made *m, struct fw_rng *rng, struct life *l, size_t i, size_t t)
{
    for (size_t c = 0; c < m->spec.n_categoricals; c++)
        l->codes[i][t][c] = (int32_t)fw_rng_below(rng, m->cats[c].classes.n);
    for (size_t c = 0; c < m->spec.n_reals; c++)
        l->reals[i][t][c] = draw_real(rng);
}

/* The static variables are one value over all time. */
static void draw_statics(const struct made *m, struct fw_rng *rng, struct life *l, size_t i)
{
    for (size_t v = 0; v < m->spec.stat.n; v++) {
        const struct tft_variable *variable = &m->spec.stat.item[v];
        const size_t c = variable->column;
        const float real = (float)fw_rng_normal(rng);
        const int32_t code =
            variable->categorical ? (int32_t)fw_rng_below(rng, m->cats[c].classes.n) : 0;
        for (size_t t = 0; t < TIME; t++) {
            if (variable->categorical)
                l->codes[i][t][c] = code;
            else
                l->reals[i][t][c] = real;
        }
    }
}

static void draw_life(const struct made *m, struct fw_rng *rng, struct life *l)
{
    for (size_t i = 0; i < SERIES; i++) {
        for (size_t t = 0; t < TIME; t++)
            draw_step(m, rng, l, i, t);
        draw_statics(m, rng, l, i);
        l->end[i] = MADE_HISTORY;
        l->history[i] = i % 2 == 0 ? m->spec.history_max : 1 + i;
    }
}

/* What the model sees of the series as they stand. */
static struct tft_input look(const struct made *m, const struct life *l, struct windows *w)
{
    const struct tft_spec *s = &m->spec;
    const size_t c = s->n_categoricals, r = s->n_reals, e = s->history_max, d = s->horizon;
    for (size_t i = 0; i < SERIES; i++) {
        const size_t first = l->end[i] - l->history[i];
        for (size_t t = 0; t < l->history[i]; t++) {
            memcpy(w->history_codes + (i * e + t) * c, l->codes[i][first + t], c * sizeof(int32_t));
            memcpy(w->history_reals + (i * e + t) * r, l->reals[i][first + t], r * sizeof(float));
        }
        for (size_t t = 0; t < d; t++) {
            memcpy(w->horizon_codes + (i * d + t) * c, l->codes[i][l->end[i] + t],
                   c * sizeof(int32_t));
            memcpy(w->horizon_reals + (i * d + t) * r, l->reals[i][l->end[i] + t],
                   r * sizeof(float));
        }
        w->horizon[i] = d;
        w->kept[i].first_step = (int64_t)first - 100; /* below zero as well */
    }
    for (size_t i = 0; i < COUNT_OF(w->scale); i++)
        w->scale[i] = 1.0f;
    return (struct tft_input){.n = SERIES,
                              .history_steps = e,
                              .horizon_steps = d,
                              .history_codes = w->history_codes,
                              .horizon_codes = w->horizon_codes,
                              .history_reals = w->history_reals,
                              .horizon_reals = w->horizon_reals,
                              .history_lengths = l->history,
                              .horizon_lengths = w->horizon,
                              .output_scale = w->scale};
}

/* ---- the same bits, whatever happens ---- */

/* Steps come, a history grows, a sample comes late, a server is told to be another one. */
static void live(const struct made *m, struct fw_rng *rng, struct life *l, size_t i)
{
    const size_t steps =
        fw_rng_below(rng, 10) == 0 ? 5 + fw_rng_below(rng, 2 * MADE_HISTORY) : fw_rng_below(rng, 3);
    l->end[i] += l->end[i] + steps + MADE_HORIZON < TIME ? steps : 0;
    l->history[i] += steps;
    if (l->history[i] > m->spec.history_max)
        l->history[i] = m->spec.history_max;
    if (fw_rng_below(rng, 3) == 0) {
        const size_t t = l->end[i] - 1 - fw_rng_below(rng, l->history[i]);
        const size_t c = fw_rng_below(rng, m->spec.n_reals);
        l->reals[i][t][c] = l->reals[i][t][c] == 0.0f ? -l->reals[i][t][c] : draw_real(rng);
    }
    if (fw_rng_below(rng, 12) == 0)
        draw_statics(m, rng, l, i);
}

struct pair {
    struct tft_plan *plan[2]; /* what one left is not for the other */
};

/* Other selected vectors with the same contexts. What a plan has copied stays. */
static void change_selection(struct tft_model *m)
{
    for (size_t i = 0; i < m->net->n_params; i++) {
        const struct tft_param *p = &m->net->params[i];
        for (size_t k = 0; k < p->count; k++)
            if (strstr(tft_net_param_name(m->net, i), "coder_variable_selection") != NULL)
                m->params[p->offset + k] *= 0.75f;
    }
    tft_net_pack(m->net, m->params, m->packed);
}

/* Some memories are not there (beyond a budget), some were made for the other plan. */
static void choose_memories(const struct pair *p, struct fw_rng *rng, size_t plan,
                            struct windows *w)
{
    for (size_t i = 0; i < SERIES; i++) {
        struct tft_kept *kept = &w->kept[i];
        if (fw_rng_below(rng, 20) == 0) {
            tft_reuse_free(kept->reuse);
            kept->reuse = fw_rng_below(rng, 3) == 0 ? NULL : tft_reuse_new(p->plan[plan]);
        }
        if (fw_rng_below(rng, 20) == 0)
            kept->first_step += (int64_t)fw_rng_below(rng, 5);
    }
}

static size_t check_network(size_t index, const struct tft_tiles *tiles, struct fw_rng *rng)
{
    static struct made m;
    static struct life l;
    static struct windows w;
    static float anew[SERIES * MADE_HORIZON * 16], kept[SERIES * MADE_HORIZON * 16];
    struct pair p;
    size_t taken = 0;
    char name[120];
    make_model(&m, index, rng);
    if (index % 2 == 1) { /* so short that series share tiles */
        m.spec.history_max = 20;
        m.spec.horizon = 12;
    }
    (void)snprintf(name, sizeof name, "network %zu (%s), %zu/%zu/%zu variables", index, tiles->name,
                   m.spec.stat.n, m.spec.encoder.n, m.spec.decoder.n);
    assert_int_equal(tft_compile_with(&m.model, tiles, &p.plan[0], NULL), FW_OK);
    change_selection(&m.model);
    assert_int_equal(tft_compile_with(&m.model, tiles, &p.plan[1], NULL), FW_OK);
    memset(w.kept, 0, sizeof w.kept);
    for (size_t i = 0; i + 1 < SERIES; i++)
        w.kept[i].reuse = tft_reuse_new(p.plan[0]);
    draw_life(&m, rng, &l);
    for (size_t round = 0; round < ROUNDS; round++) {
        const size_t plan = fw_rng_below(rng, 10) == 0;
        struct tft_input in = look(&m, &l, &w);
        const size_t outputs = SERIES * m.spec.horizon * m.model.net->output.n_out;
        choose_memories(&p, rng, plan, &w);
        assert_int_equal(tft_plan_run_parallel(p.plan[plan], &in, 1, anew, NULL), FW_OK);
        in.kept = w.kept;
        assert_int_equal(tft_plan_run_parallel(p.plan[plan], &in, 1 + round % 3, kept, NULL),
                         FW_OK);
        CHECK_EQ(name, memcmp(anew, kept, outputs * sizeof *kept), 0);
        for (size_t i = 0; i < SERIES; i++)
            live(&m, rng, &l, i);
    }
    for (size_t i = 0; i < SERIES; i++) {
        if (w.kept[i].reuse != NULL)
            taken += tft_reuse_counts(w.kept[i].reuse).taken;
        tft_reuse_free(w.kept[i].reuse);
    }
    tft_plan_free(p.plan[0]);
    tft_plan_free(p.plan[1]);
    drop_model(&m);
    return taken;
}

static void test_same_bits(void **state)
{
    const struct tft_tiles *tiles[TFT_SETS];
    const size_t sets = kernel_sets(tiles);
    struct fw_rng rng;
    size_t taken = 0;
    (void)state;
    fw_rng_init(&rng, 61);
    for (size_t i = 0; i < NETWORKS; i++)
        for (size_t set = 0; set < sets; set++)
            taken += check_network(i, tiles[set], &rng);
    print_message("  %zu steps were taken from memory\n", taken);
    assert_true(taken > 10000);
}

/* ---- just what changed ---- */

struct one {
    struct made made;
    struct life life;
    struct windows windows;
    struct tft_plan *plan;
    struct tft_reuse_counts before;
};

/* Steps computed by a run of the first series as it stands. */
static size_t computed(struct one *o)
{
    static float out[SERIES * MADE_HORIZON * 16];
    struct tft_input in = look(&o->made, &o->life, &o->windows);
    in.n = 1;
    in.kept = o->windows.kept;
    assert_int_equal(tft_plan_run_parallel(o->plan, &in, 1, out, NULL), FW_OK);
    const struct tft_reuse_counts now = tft_reuse_counts(o->windows.kept[0].reuse);
    const size_t n = now.computed - o->before.computed;
    assert_int_equal(n + now.taken - o->before.taken, o->life.history[0] + o->made.spec.horizon);
    o->before = now;
    return n;
}

/* A network with variables on all sides, whose series has one of each history and horizon alone. */
static void make_one(struct one *o)
{
    struct fw_rng rng;
    memset(o, 0, sizeof *o);
    fw_rng_init(&rng, 5);
    do {
        if (o->made.model.net != NULL)
            drop_model(&o->made);
        make_model(&o->made, 4, &rng);
    } while (o->made.spec.stat.n == 0 || o->made.spec.encoder.n < 2 || o->made.spec.decoder.n < 2);
    draw_life(&o->made, &rng, &o->life);
}

/* A real of a list that no static variable has, for a sample to change. */
static size_t free_real(const struct made *m, const struct tft_variables *list)
{
    for (size_t v = 0; v < list->n; v++) {
        bool is_static = list->item[v].categorical;
        for (size_t k = 0; k < m->spec.stat.n; k++)
            is_static = is_static || (!m->spec.stat.item[k].categorical &&
                                      m->spec.stat.item[k].column == list->item[v].column);
        if (!is_static)
            return list->item[v].column;
    }
    fail_msg("every real is static");
    return 0;
}

static void test_costs(void **state)
{
    static struct one o;
    struct fw_rng rng;
    (void)state;
    fw_rng_init(&rng, 9);
    make_one(&o);
    assert_int_equal(tft_compile_with(&o.made.model, tft_tiles_best(), &o.plan, NULL), FW_OK);
    o.windows.kept[0].reuse = tft_reuse_new(o.plan);
    assert_non_null(o.windows.kept[0].reuse);
    const size_t all = o.life.history[0] + o.made.spec.horizon;
    const size_t column = free_real(&o.made, &o.made.spec.encoder);
    CHECK_EQ("the first run", computed(&o), all);
    CHECK_EQ("nothing happened", computed(&o), 0);
    o.life.end[0]++;
    CHECK_EQ("a new step, and one more ahead", computed(&o), 2);
    o.life.reals[0][o.life.end[0] - 9][column] += 1.0f;
    CHECK_EQ("a late sample", computed(&o), 1);
    o.life.reals[0][o.life.end[0] - 9][column] = 0.0f;
    CHECK_EQ("it becomes zero", computed(&o), 1);
    o.life.reals[0][o.life.end[0] - 9][column] = -0.0f;
    CHECK_EQ("another zero", computed(&o), 1);
    o.life.end[0] += 3;
    CHECK_EQ("three steps at once", computed(&o), 6);
    o.life.history[0]--;
    CHECK_EQ("the oldest step falls away", computed(&o), 0);
    draw_statics(&o.made, &rng, &o.life, 0);
    CHECK_EQ("other statics", computed(&o), all - 1);
    CHECK_EQ("they stand", computed(&o), 0);
    tft_reuse_free(o.windows.kept[0].reuse);
    tft_plan_free(o.plan);
    drop_model(&o.made);
}

/* ---- models that keep nothing ---- */

static void test_what_is_kept(void **state)
{
    static const struct {
        const char *name;
        enum tft_source source;
        enum tft_normalizer_kind kind;
        bool keeps;
    } rows[] = {
        {"a column",                  TFT_FROM_COLUMN,         TFT_PER_SAMPLE, true },
        {"a target of its server",    TFT_FROM_TARGET,         TFT_PER_GROUP,  true },
        {"a target of all servers",   TFT_FROM_TARGET,         TFT_ONE_PAIR,   true },
        {"a target of the window",    TFT_FROM_TARGET,         TFT_PER_SAMPLE, false},
        {"the center of the window",  TFT_FROM_CENTER,         TFT_PER_SAMPLE, false},
        {"the scale of the window",   TFT_FROM_SCALE,          TFT_PER_SAMPLE, false},
        {"the scale of the server",   TFT_FROM_SCALE,          TFT_PER_GROUP,  true },
        {"the length of the history", TFT_FROM_HISTORY_LENGTH, TFT_ONE_PAIR,   true },
        {"the place in the history",  TFT_FROM_RELATIVE_TIME,  TFT_ONE_PAIR,   false},
    };
    static struct one o;
    (void)state;
    make_one(&o);
    struct tft_spec *spec = &o.made.spec;
    struct tft_real *real = &o.made.reals[spec->encoder.item[spec->encoder.n - 1].column];
    assert_int_equal(tft_compile_with(&o.made.model, tft_tiles_best(), &o.plan, NULL), FW_OK);
    const size_t before = tft_reuse_bytes(o.plan);
    assert_true(before > spec->history_max * o.made.model.net->hidden * sizeof(float));
    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        real->source = rows[r].source;
        spec->normalizers[0].kind = rows[r].kind;
        CHECK_EQ(rows[r].name, tft_reuse_bytes(o.plan) == before, rows[r].keeps);
    }
    /* In every real: nothing at all. */
    for (size_t i = 0; i < spec->n_reals; i++)
        spec->reals[i].source = TFT_FROM_RELATIVE_TIME;
    CHECK_EQ("bytes", tft_reuse_bytes(o.plan), 0);
    assert_null(tft_reuse_new(o.plan));
    tft_plan_free(o.plan);
    drop_model(&o.made);
}

static void test_no_memory(void **state)
{
    static struct one o;
    (void)state;
    make_one(&o);
    assert_int_equal(tft_compile_with(&o.made.model, tft_tiles_best(), &o.plan, NULL), FW_OK);
    fw_alloc_fail_at(1);
    assert_null(tft_reuse_new(o.plan));
    fw_alloc_fail_at(0);
    tft_reuse_free(NULL);
    tft_plan_free(o.plan);
    drop_model(&o.made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
