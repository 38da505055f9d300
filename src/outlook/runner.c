/* The thread that runs, and one run. */
#include "outlook/outlook_internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "forecast/model.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

struct outlook_runner {
    struct outlook_runner_options options;
    struct schema schema; /* options.risk.schema points here; this thread's */
    bool anew;            /* what the last outlook says of servers was found by other rules */
    struct outlook_schedule schedule;
    pthread_t thread;
    pthread_mutex_t lock; /* of `stop` and `rules`, and for the condition */
    pthread_cond_t change;
    bool stop;
    struct outlook_rules *rules; /* for the next run; NULL: as before */
    _Atomic bool woken;          /* set by anybody, taken when a run begins */
};

/* The name of the model that the next run is made with. */
static void name_model(struct forecaster *forecaster, char *out, size_t size)
{
    struct forecast_model *model = forecaster_model(forecaster);
    snprintf(out, size, "%s", model != NULL ? forecast_model_info(model).name : "none");
    forecast_model_release(model);
}

/* `anew`: nothing is taken over from the last outlook. */
static enum fw_status run(const struct outlook_runner_options *options, bool anew,
                          struct fw_error *err)
{
    const struct outlook *previous = anew ? NULL : outlook_board_current(options->board);
    const struct outlook *outlook = NULL;
    const struct forecast_set *set = NULL;
    char model_name[sizeof outlook->model_name];
    name_model(options->forecaster, model_name, sizeof model_name);
    enum fw_status status = forecaster_run(options->forecaster, options->fleet,
                                           previous != NULL ? previous->set : NULL, &set, err);
    if (status == FW_OK)
        status = outlook_build(options, set, previous, model_name, fw_clock_wall_ms(options->clock),
                               &outlook, err);
    if (status == FW_OK) {
        outlook_retain(outlook); /* for those below */
        outlook_board_publish(options->board, outlook);
    }
    /* Readers do not wait for the disk; who passes alerts on hears of them when they are on it. */
    alert_book_write(options->alerts, options->on_transition, options->on_transition_ctx);
    if (status == FW_OK) {
        outlook_board_tell(options->board, outlook);
        outlook_history_sample(options, outlook, fw_clock_wall_ms(options->clock));
    }
    outlook_release(outlook);
    outlook_release(previous);
    return status;
}

static enum fw_status run_counted(const struct outlook_runner_options *options, bool anew,
                                  struct fw_error *err)
{
    struct outlook_board *board = options->board;
    struct fw_error local = {0};
    assert(options->alerts != NULL && options->risk.schema != NULL);
    if (err == NULL)
        err = &local;
    const int64_t begin_ns = fw_clock_mono_ns(options->clock);
    const enum fw_status status = run(options, anew, err);
    const int64_t taken_ns = fw_clock_mono_ns(options->clock) - begin_ns;
    const bool was_failing = atomic_exchange(&board->failing, status != FW_OK);
    if (status != FW_OK) {
        atomic_fetch_add(&board->failures, 1);
        if (!was_failing)
            FW_LOG_ERROR("outlook", "no forecast run, the last outlook stays reason=\"%s\"",
                         err->text);
        return status;
    }
    atomic_fetch_add(&board->runs, 1);
    fw_histogram_record(&board->run, taken_ns > 0 ? (uint64_t)taken_ns : 0);
    if (was_failing)
        FW_LOG_INFO("outlook", "forecast runs are made again");
    return FW_OK;
}

enum fw_status outlook_run_once(const struct outlook_runner_options *options, struct fw_error *err)
{
    return run_counted(options, false, err);
}

/* Whether a server fell silent, spoke again or was forgotten since the outlook was made. */
static bool silence_changed(const struct fleet *fleet, const struct outlook *outlook)
{
    const struct forecast_set *set = outlook->set;
    for (size_t i = 0; i < set->count; i++) {
        struct fleet_server server;
        if (!fleet_read_server(fleet, set->items[i]->slot, &server) ||
            server.stale != set->items[i]->stale)
            return true;
    }
    return false;
}

static int64_t mono_ms(const struct outlook_runner *runner)
{
    return fw_clock_mono_ns(runner->options.clock) / 1000000;
}

static bool stopping(struct outlook_runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    const bool stop = runner->stop;
    pthread_mutex_unlock(&runner->lock);
    return stop;
}

/* The parts of a run, each with an outlook of its own: until all is forecast that was waiting when
 * it began. */
struct pass {
    size_t wanted, done; /* forecasts */
    bool nobody, behind; /* of the newest outlook: without servers; not all are forecast */
    double worker_s;     /* processor time of the forecaster's workers */
};

static void add_part(struct pass *pass, const struct forecast_set *set)
{
    if (pass->wanted == 0)
        pass->wanted = set->computed + set->waiting;
    pass->done += set->computed;
    pass->nobody = set->count == 0;
    pass->behind = set->waiting > 0;
    for (size_t k = 0; k < FORECAST_STAGES; k++)
        pass->worker_s += set->stage_s[k];
}

static enum fw_status run_parts(struct outlook_runner *runner, struct pass *pass)
{
    enum fw_status status;
    do {
        status = run_counted(&runner->options, runner->anew, NULL);
        if (status != FW_OK)
            return status;
        runner->anew = false;
        const struct outlook *made = outlook_board_current(runner->options.board);
        add_part(pass, made->set);
        outlook_release(made);
    } while (pass->behind && pass->done < pass->wanted && !stopping(runner));
    return FW_OK;
}

/* Between two runs nobody reads what is replaced here. */
static void take_rules(struct outlook_runner *runner)
{
    struct outlook_runner_options *options = &runner->options;
    pthread_mutex_lock(&runner->lock);
    struct outlook_rules *rules = runner->rules;
    runner->rules = NULL;
    pthread_mutex_unlock(&runner->lock);
    if (rules == NULL)
        return;
    runner->schema = rules->schema;
    options->risk.scorer = rules->scorer;
    forecaster_set_schema(options->forecaster, &rules->schema);
    rules->alerts.schema = &rules->schema;
    alert_book_reconfigure(options->alerts, &rules->alerts);
    if (options->surprise != NULL && rules->alarms_per_server_day > 0.0)
        surprise_set_rate(options->surprise, rules->alarms_per_server_day);
    runner->anew = true;
    fw_free(rules);
}

static void run_now(struct outlook_runner *runner)
{
    const struct outlook_runner_options *options = &runner->options;
    const int64_t begin_ms = mono_ms(runner), begin_ns = fw_clock_thread_ns();
    const int64_t wall_ms = fw_clock_wall_ms(options->clock);
    /* Taken before the windows are read: what comes from now on makes another run. */
    atomic_store(&runner->woken, false);
    take_rules(runner);
    alert_book_alive(options->alerts, wall_ms);
    struct pass pass = {0};
    const enum fw_status status = run_parts(runner, &pass);
    const int64_t end_ms = mono_ms(runner);
    /* Processor time: on a machine that is busy with other things a run takes longer than it takes
     * away. */
    const double core_s = pass.worker_s + 1e-9 * (double)(fw_clock_thread_ns() - begin_ns);
    const int64_t cost_ms = (int64_t)(1e3 * core_s);
    outlook_schedule_ran(&runner->schedule, status == FW_OK, wall_ms, begin_ms, end_ms,
                         cost_ms < end_ms - begin_ms ? cost_ms : end_ms - begin_ms);
    if (status == FW_OK && pass.nobody)
        runner->schedule.ran = false; /* the first data is still to come, and forecast at once */
    if (status != FW_OK || pass.behind)
        outlook_runner_wake(runner); /* what it did not see is still new */
}

/* Once a minute, data or not. */
static void check_now(struct outlook_runner *runner)
{
    const struct outlook_runner_options *options = &runner->options;
    const int64_t now_ms = fw_clock_wall_ms(options->clock);
    alert_book_alive(options->alerts, now_ms);
    const struct outlook *current = outlook_board_current(options->board);
    if (now_ms >= alert_book_due_ms(options->alerts) ||
        (current != NULL && silence_changed(options->fleet, current)))
        run_now(runner);
    else
        outlook_history_sample(options, current, now_ms);
    outlook_release(current);
}

/* Sleeps until something changes or `wait_ms` have passed. A clock that is not the system's runs
 * at its own speed, so it is looked at often. */
static void sleep_for(struct outlook_runner *runner, int64_t wait_ms)
{
    enum { LOOK_MS = 20, LONG_MS = 60 * 1000 };
    struct timespec until;
    if (runner->options.clock != fw_clock_system() && wait_ms > LOOK_MS)
        wait_ms = LOOK_MS;
    if (wait_ms > LONG_MS)
        wait_ms = LONG_MS;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&runner->lock);
    /* A wake that the schedule knows of already must not cut the sleep short. */
    if (!runner->stop && (runner->schedule.woken || !atomic_load(&runner->woken)))
        (void)pthread_cond_timedwait(&runner->change, &runner->lock, &until);
    pthread_mutex_unlock(&runner->lock);
}

static void *runner_main(void *argument)
{
    struct outlook_runner *runner = argument;
    while (!stopping(runner)) {
        const int64_t now = mono_ms(runner);
        int64_t wait_ms;
        if (atomic_load(&runner->woken))
            outlook_schedule_wake(&runner->schedule, now);
        switch (outlook_schedule_next(&runner->schedule, fw_clock_wall_ms(runner->options.clock),
                                      now, &wait_ms)) {
        case OUTLOOK_RUN:
            run_now(runner);
            break;
        case OUTLOOK_CHECK:
            check_now(runner);
            break;
        case OUTLOOK_WAIT:
            sleep_for(runner, wait_ms);
            break;
        }
    }
    return NULL;
}

static bool init_waiting(struct outlook_runner *runner)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    bool ready = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                 pthread_cond_init(&runner->change, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    if (ready && pthread_mutex_init(&runner->lock, NULL) != 0) {
        pthread_cond_destroy(&runner->change);
        ready = false;
    }
    return ready;
}

enum fw_status outlook_runner_start(const struct outlook_runner_options *options,
                                    struct outlook_runner **out, struct fw_error *err)
{
    *out = NULL;
    struct outlook_runner *runner = fw_calloc(1, sizeof *runner);
    if (runner == NULL)
        return fw_fail(err, FW_ENOMEM, "start the forecast runs");
    runner->options = *options;
    runner->schema = *options->risk.schema;
    runner->options.risk.schema = &runner->schema;
    if (!init_waiting(runner)) {
        fw_free(runner);
        return fw_fail(err, FW_EIO, "start the forecast runs: no lock to be had");
    }
    outlook_schedule_init(&runner->schedule, options, mono_ms(runner));
    /* Without a first outlook what recovery brought into the windows is news; an empty fleet gets
     * an empty outlook. */
    const struct outlook *first = outlook_board_current(options->board);
    atomic_store(&runner->woken, first == NULL);
    outlook_release(first);
    if (pthread_create(&runner->thread, NULL, runner_main, runner) != 0) {
        pthread_cond_destroy(&runner->change);
        pthread_mutex_destroy(&runner->lock);
        fw_free(runner);
        return fw_fail(err, FW_EIO, "start the forecast runs: no thread to be had");
    }
    *out = runner;
    return FW_OK;
}

void outlook_runner_wake(struct outlook_runner *runner)
{
    if (runner == NULL || atomic_exchange(&runner->woken, true))
        return; /* known, and not yet taken up */
    pthread_mutex_lock(&runner->lock);
    pthread_cond_signal(&runner->change);
    pthread_mutex_unlock(&runner->lock);
}

void outlook_runner_use(struct outlook_runner *runner, struct outlook_rules *rules)
{
    pthread_mutex_lock(&runner->lock);
    struct outlook_rules *before = runner->rules;
    runner->rules = rules;
    pthread_mutex_unlock(&runner->lock);
    fw_free(before);
    outlook_runner_wake(runner);
}

void outlook_runner_stop(struct outlook_runner *runner)
{
    if (runner == NULL)
        return;
    pthread_mutex_lock(&runner->lock);
    runner->stop = true;
    pthread_cond_signal(&runner->change);
    pthread_mutex_unlock(&runner->lock);
    (void)pthread_join(runner->thread, NULL);
    pthread_cond_destroy(&runner->change);
    pthread_mutex_destroy(&runner->lock);
    fw_free(runner->rules);
    fw_free(runner);
}
