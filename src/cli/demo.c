/* `forewarn demo`: the daemon and a simulated fleet in one process, on a clock that runs faster
 * than the day. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/feeder.h"
#include "cli/poster.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "forecast/shipped.h"
#include "outlook/outlook.h"
#include "simulate/fleet.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STEP_S = 300,
    HISTORY_DAYS = 3,
    MINUTE_MS = 60000,
    WAIT_MS = 100,
    READY_WAIT_MS = 60000,
    SEEN_MAX = 512,
    /* When the filling disk passes the schema's warning threshold, and where it ends. */
    DISK_WARNS_MIN = 45,
    DISK_WARNING = 85,
    DISK_PEAK = 99
};

/* ---- a clock that runs `speed` times as fast as the system's from a moment on; durations stay
 * real ---- */

struct fast_clock {
    struct fw_clock clock;
    int64_t began_ms;
    double speed;
};

static int64_t fast_wall_ms(void *ctx)
{
    const struct fast_clock *fast = ctx;
    const int64_t passed_ms = fw_clock_wall_ms(fw_clock_system()) - fast->began_ms;
    return fast->began_ms + (int64_t)((double)passed_ms * fast->speed);
}

static int64_t fast_mono_ns(void *ctx)
{
    (void)ctx;
    return fw_clock_mono_ns(fw_clock_system());
}

/* ---- what happens when ---- */

struct event {
    int after_min; /* of the fleet's time, since the start; negative: it has begun before */
    const char *what;
};

static const struct event story[] = {
    {-540, "a disk has begun to fill up"                                  },
    {15,   "a service begins to leak memory"                              },
    {240,  "a cascade: two databases slow down, and take others with them"},
    {420,  "the cascade is over"                                          },
};
enum { STORY_DISK, STORY_LEAK, STORY_CASCADE, STORY_OVER };

/* ---- alerts that were told already ---- */

struct seen {
    uint64_t id;
    enum alert_state state;
    enum alert_severity severity;
    bool crossed;
    int64_t told_ms; /* the fleet's time when it was told first */
};

struct demo {
    unsigned servers;
    double speed;
    const char *listen, *data, *model;
    char dir[256];
    bool temporary;
    struct fast_clock clock;
    int64_t began_real_ms, live_ms; /* live_ms: the fleet's time when the story begins */
    struct config *config;
    struct daemon *daemon;
    struct simulate_fleet *fleet;
    struct cli_feeder *feeder;
    unsigned filling, leaking; /* servers */
    bool cascading, over;
    char url[300];
    struct seen seen[SEEN_MAX];
    size_t seen_count;
};

static void help(void)
{
    puts("usage: forewarn demo [OPTIONS]\n"
         "\n"
         "Runs the daemon with a simulated fleet that gets into trouble, in a temporary directory "
         "that goes\n"
         "away with it. Nothing of this host is read or changed.\n"
         "\n"
         "  --listen HOST:PORT   127.0.0.1:8000; port 0 picks a free one\n"
         "  --servers N          3 to 2000 (25)\n"
         "  --speed X            the fleet's time runs so many times as fast as ours, 1 to 600 "
         "(60)\n"
         "  --data DIR           keep everything in DIR\n"
         "  --model PATH|none    forecast with this model (the shipped one)\n"
         "  --help");
}

static int64_t fleet_now_ms(const struct demo *demo)
{
    return fw_clock_wall_ms(&demo->clock.clock);
}

/* "[+1:05]": ours, since the demo began. */
static void put_stamp(const struct demo *demo)
{
    const int64_t s = (fw_clock_wall_ms(fw_clock_system()) - demo->began_real_ms) / 1000;
    printf("[+%lld:%02lld] ", (long long)(s / 60), (long long)(s % 60));
}

/* A span of the fleet's time, and what it is in ours. */
static void put_span(const struct demo *demo, double fleet_min)
{
    const double real_s = fleet_min * 60 / demo->speed;
    if (fleet_min < 120)
        printf("%.0f minutes", fleet_min);
    else
        printf("%.1f hours", fleet_min / 60);
    if (demo->speed > 1)
        printf(" (%.0f s here)", real_s);
}

/* ---- starting ---- */

static void on_listening(void *ctx, const char *url)
{
    struct demo *demo = ctx;
    snprintf(demo->url, sizeof demo->url, "%s", url);
}

static enum fw_status make_directory(struct demo *demo, struct fw_error *err)
{
    if (demo->data != NULL) {
        if (strlen(demo->data) >= sizeof demo->dir)
            return fw_fail(err, FW_EINVAL, "--data: the path is too long");
        strcpy(demo->dir, demo->data);
        return FW_OK;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(demo->dir, sizeof demo->dir, "%.200s/forewarn-demo-XXXXXX",
             tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
    if (mkdtemp(demo->dir) == NULL)
        return fw_fail(err, FW_EIO, "%s: %s", demo->dir, strerror(errno));
    demo->temporary = true;
    return FW_OK;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    (void)remove(
        path); /* what cannot go stays; there is nobody left to tell but the operator's df */
    return 0;
}

static void remove_directory(struct demo *demo)
{
    if (demo->temporary)
        nftw(demo->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static enum fw_status start_daemon(struct demo *demo, struct fw_error *err)
{
    struct config *config = fw_calloc(1, sizeof *config);
    if (config == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    demo->config = config;
    config_default(config);
    /* What the daemon logs would drown what the demo tells; FOREWARN_LOG_LEVEL=info shows it. */
    config->log_level = fw_log_level_from_environment(FW_WARN);
    enum fw_status status = config_set(config, "server", "listen", demo->listen, err);
    if (status == FW_OK)
        status = config_set(config, "server", "data", demo->dir, err);
    if (status == FW_OK)
        status = config_set(config, "forecast", "model",
                            demo->model == NULL ? FORECAST_SHIPPED : demo->model, err);
    if (status == FW_OK)
        status = config_set(config, "server", "rate_limit", "off", err);
    if (status == FW_OK)
        status = config_check(config, err);
    if (status != FW_OK)
        return status;
    const struct daemon_options options = {
        .config = config, .clock = &demo->clock.clock, .listening = on_listening, .ctx = demo};
    return daemon_start(&options, &demo->daemon, err);
}

/* The first server of a profile other than `taken`, or any other. */
static unsigned pick(const struct simulate_fleet *fleet, enum profile profile, unsigned taken)
{
    const unsigned n = simulate_fleet_servers(fleet);
    for (unsigned i = 0; i < n; i++)
        if (simulate_fleet_profile(fleet, i) == profile && i != taken)
            return i;
    return taken == 0 ? 1 : 0;
}

static enum fw_status make_fleet(struct demo *demo, struct fw_error *err)
{
    struct simulate_options options;
    simulate_options_default(&options);
    demo->live_ms = fleet_now_ms(demo);
    demo->live_ms -= demo->live_ms % (STEP_S * 1000);
    options.servers = demo->servers;
    /* An hour less than the window, so that nothing is too old by the time it arrives. */
    options.start_ms = demo->live_ms - (int64_t)HISTORY_DAYS * 86400000 + 60 * MINUTE_MS;
    options.incidents = 0; /* the story is enough; with others in it, nobody could follow */
    enum fw_status status = simulate_fleet_new(&options, &demo->fleet, err);
    if (status != FW_OK)
        return status;
    demo->filling = pick(demo->fleet, PROFILE_DATABASE, demo->servers);
    demo->leaking = pick(demo->fleet, PROFILE_WEB_API, demo->filling);
    const int64_t disk_ms = demo->live_ms + (int64_t)story[STORY_DISK].after_min * MINUTE_MS;
    const int64_t leak_ms = demo->live_ms + (int64_t)story[STORY_LEAK].after_min * MINUTE_MS;
    /* As fast as it takes to pass the warning threshold at a given time; incidents rise over 80 %
     * of their length. */
    const double level = simulate_fleet_disk(demo->fleet, demo->filling);
    const double rise_min = DISK_WARNS_MIN - story[STORY_DISK].after_min;
    const double length_min = rise_min * (DISK_PEAK - level) / (DISK_WARNING - level) / 0.8;
    status = simulate_fleet_script(demo->fleet, demo->filling, SIMULATE_DISK_FILL, disk_ms,
                                   (int64_t)(length_min * 60), DISK_PEAK);
    if (status == FW_OK)
        status = simulate_fleet_script(demo->fleet, demo->leaking, SIMULATE_MEMORY_LEAK, leak_ms,
                                       (int64_t)5 * 3600, 99);
    return status;
}

/* ---- telling ---- */

static size_t servers_forecast(const struct demo *demo)
{
    const struct outlook *outlook = outlook_board_current(daemon_board(demo->daemon));
    const size_t n = outlook == NULL ? 0 : outlook->set->count;
    outlook_release(outlook);
    return n;
}

static void introduce(const struct demo *demo)
{
    printf("\nforewarn demo: %u simulated servers, %d days of history, a minute of theirs is %.3g "
           "s of ours.\n",
           demo->servers, HISTORY_DAYS, 60 / demo->speed);
    printf("Forecasts are ready. The dashboard, for a browser: %s/\n\n"
           "For a terminal:\n\n"
           "  curl -s %s/predictions/current | head -c 600\n"
           "  curl -s %s/alerts/active\n"
           "  curl -s %s/api/v1/servers/%s/forecast\n\n",
           demo->url, demo->url, demo->url, demo->url,
           simulate_fleet_name(demo->fleet, demo->filling));
    printf("What is going to happen (forewarn does not know):\n");
    for (size_t i = 0; i < COUNT(story); i++) {
        printf("  ");
        if (story[i].after_min < 0) {
            printf("already: ");
        } else {
            printf("in ");
            put_span(demo, story[i].after_min);
            printf(": ");
        }
        printf("%s", story[i].what);
        if (i == STORY_DISK)
            printf(" on %s", simulate_fleet_name(demo->fleet, demo->filling));
        if (i == STORY_LEAK)
            printf(" on %s", simulate_fleet_name(demo->fleet, demo->leaking));
        printf("\n");
    }
    printf("\nAlerts come here as forewarn raises them. Ctrl-C ends the demo%s.\n\n",
           demo->temporary ? " and removes its data" : "");
    fflush(stdout);
}

/* "disk_usage_pct will pass 95 %": the name, its threshold and unit. */
static void put_threshold(const struct schema *schema, const struct alert *alert)
{
    const char *unit = alert->metric < schema->count ? schema->metrics[alert->metric].unit : "";
    printf("%g%s%s", (double)alert->threshold, unit[0] == '\0' ? "" : " ", unit);
}

static void tell_firing(struct demo *demo, const struct outlook *outlook, const struct alert *alert)
{
    const char *metric = alert_metric_name(outlook->schema, alert->metric);
    put_stamp(demo);
    printf("%-8s %s: %s ", alert_severity_name(alert->severity), alert->server, metric);
    if (alert->metric == ALERT_METRIC_SILENT) {
        printf("no data arrives\n");
        return;
    }
    if (alert->metric == ALERT_METRIC_UNUSUAL) {
        printf("far from its forecasts\n");
        return;
    }
    if (alert->steps_ahead == 0) {
        printf("has passed ");
        put_threshold(outlook->schema, alert);
        printf(" (now %.1f)\n", (double)alert->current);
        return;
    }
    printf("will pass ");
    put_threshold(outlook->schema, alert);
    printf(" in about ");
    put_span(demo, (double)alert->steps_ahead * outlook->step_s / 60);
    printf(" (p=%.2f, now %.1f)\n", (double)alert->probability, (double)alert->current);
}

static struct seen *find_seen(struct demo *demo, const struct alert *alert)
{
    for (size_t i = 0; i < demo->seen_count; i++)
        if (demo->seen[i].id == alert->id)
            return &demo->seen[i];
    if (demo->seen_count == SEEN_MAX)
        return NULL; /* a very long demo: no more news, the API has them all */
    struct seen *seen = &demo->seen[demo->seen_count++];
    *seen = (struct seen){.id = alert->id, .state = ALERT_PENDING, .severity = alert->severity};
    return seen;
}

static void tell_alert(struct demo *demo, const struct outlook *outlook, const struct alert *alert)
{
    struct seen *seen = find_seen(demo, alert);
    if (seen == NULL || alert->state == ALERT_PENDING)
        return;
    const char *metric = alert_metric_name(outlook->schema, alert->metric);
    const bool news = alert->state == ALERT_FIRING &&
                      (seen->state != ALERT_FIRING || alert->severity > seen->severity);
    if (news) {
        tell_firing(demo, outlook, alert);
        if (seen->told_ms == 0)
            seen->told_ms = outlook->made_ms;
        seen->crossed = seen->crossed || alert->steps_ahead == 0;
    }
    if (alert->state == ALERT_FIRING && alert->crossed && !seen->crossed) {
        put_stamp(demo);
        printf("%-8s %s: %s is there now (%.1f); the alert came ", "crossed", alert->server, metric,
               (double)alert->current);
        put_span(demo, (double)(outlook->made_ms - seen->told_ms) / MINUTE_MS);
        printf(" before\n");
        seen->crossed = true;
    }
    if (alert->state == ALERT_RESOLVED && seen->state == ALERT_FIRING) {
        put_stamp(demo);
        printf("%-8s %s: %s\n", "resolved", alert->server, metric);
    }
    seen->state = alert->state;
    seen->severity = alert->severity;
}

static void tell_alerts(struct demo *demo)
{
    const struct outlook *outlook = outlook_board_current(daemon_board(demo->daemon));
    if (outlook == NULL)
        return;
    for (size_t i = 0; i < outlook->alerts->count; i++)
        tell_alert(demo, outlook, &outlook->alerts->items[i]);
    outlook_release(outlook);
    fflush(stdout);
}

/* ---- running ---- */

static void follow_story(struct demo *demo)
{
    const int64_t passed_min = (fleet_now_ms(demo) - demo->live_ms) / MINUTE_MS;
    if (!demo->cascading && passed_min >= story[STORY_CASCADE].after_min) {
        demo->cascading = true;
        simulate_fleet_set_scenario(demo->fleet, SIMULATE_CASCADE);
        put_stamp(demo);
        printf("(%s)\n", story[STORY_CASCADE].what);
    }
    if (!demo->over && passed_min >= story[STORY_OVER].after_min) {
        demo->over = true;
        simulate_fleet_set_scenario(demo->fleet, SIMULATE_HEALTHY);
        put_stamp(demo);
        printf("(%s)\n", story[STORY_OVER].what);
    }
}

/* FW_ETIMEOUT: a signal. */
static enum fw_status wait_for_forecasts(struct demo *demo, struct fw_error *err)
{
    const int64_t deadline_ms = fw_clock_wall_ms(fw_clock_system()) + READY_WAIT_MS;
    while (servers_forecast(demo) < demo->servers) {
        enum fw_status status = cli_feeder_live(demo->feeder, err);
        if (status != FW_OK)
            return status;
        if (fw_clock_wall_ms(fw_clock_system()) > deadline_ms)
            return fw_fail(err, FW_EIO, "no forecasts for all %u servers within %d s",
                           demo->servers, READY_WAIT_MS / 1000);
        if (!cli_poster_wait(WAIT_MS))
            return FW_ETIMEOUT;
    }
    return FW_OK;
}

static enum fw_status run(struct demo *demo, struct fw_error *err)
{
    demo->began_real_ms = fw_clock_wall_ms(fw_clock_system());
    demo->clock = (struct fast_clock){
        .clock = {.wall_ms = fast_wall_ms, .mono_ns = fast_mono_ns, .ctx = &demo->clock},
        .began_ms = demo->began_real_ms,
        .speed = demo->speed
    };
    enum fw_status status = make_directory(demo, err);
    if (status == FW_OK)
        status = start_daemon(demo, err);
    if (status == FW_OK)
        status = make_fleet(demo, err);
    if (status == FW_OK) {
        const struct cli_feeder_options feeding = {
            .fleet = demo->fleet, .url = demo->url, .clock = &demo->clock.clock, .speed = 1};
        status = cli_feeder_new(&feeding, &demo->feeder, err);
    }
    if (status == FW_OK)
        status = cli_feeder_history(demo->feeder, demo->live_ms, err);
    if (status == FW_OK)
        status = wait_for_forecasts(demo, err);
    if (status == FW_OK)
        introduce(demo);
    do {
        if (status != FW_OK)
            break;
        follow_story(demo);
        status = cli_feeder_live(demo->feeder, err);
        tell_alerts(demo);
    } while (cli_poster_wait(WAIT_MS));
    return status == FW_ETIMEOUT ? FW_OK : status; /* Ctrl-C is how this ends */
}

static void clean_up(struct demo *demo)
{
    cli_feeder_free(demo->feeder);
    daemon_stop(demo->daemon);
    simulate_fleet_free(demo->fleet);
    fw_free(demo->config);
    remove_directory(demo);
}

enum { OPT_LISTEN = 1, OPT_SERVERS, OPT_SPEED, OPT_DATA, OPT_MODEL };

static const struct option long_options[] = {
    {"listen",  required_argument, NULL, OPT_LISTEN },
    {"servers", required_argument, NULL, OPT_SERVERS},
    {"speed",   required_argument, NULL, OPT_SPEED  },
    {"data",    required_argument, NULL, OPT_DATA   },
    {"model",   required_argument, NULL, OPT_MODEL  },
    {"help",    no_argument,       NULL, 'h'        },
    {NULL,      0,                 NULL, 0          },
};

int cli_demo(int argc, char **argv)
{
    static struct demo demo = {.servers = 25, .speed = 60, .listen = "127.0.0.1:8000"};
    long number;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        switch (option) {
        case 'h':
            help();
            return CLI_OK;
        case OPT_LISTEN:
            demo.listen = optarg;
            break;
        case OPT_SERVERS:
            if (!cli_number(optarg, 3, 2000, &number))
                return cli_usage_error("demo", "--servers %s is not 3 to 2000", optarg);
            demo.servers = (unsigned)number;
            break;
        case OPT_SPEED:
            if (!cli_number(optarg, 1, 600, &number))
                return cli_usage_error("demo", "--speed %s is not 1 to 600", optarg);
            demo.speed = (double)number;
            break;
        case OPT_DATA:
            demo.data = optarg;
            break;
        case OPT_MODEL:
            demo.model = optarg;
            break;
        default:
            return cli_bad_option("demo", argv);
        }
    }
    if (optind < argc)
        return cli_usage_error("demo", "unexpected \"%s\"", argv[optind]);
    const struct fw_log_options log = {.level = fw_log_level_from_environment(FW_WARN),
                                       .lines_per_minute = 600};
    fw_log_configure(&log);
    cli_poster_block_signals();
    struct fw_error err = {0};
    const enum fw_status status = run(&demo, &err);
    clean_up(&demo);
    if (status == FW_EINVAL)
        return cli_usage_error("demo", "%s", err.text);
    return status == FW_OK ? CLI_OK : cli_failure("demo", "%s", err.text);
}
