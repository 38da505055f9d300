/* What the benches share: options, reports, a daemon to measure, and its memory. */
#ifndef FW_CLI_BENCH_H
#define FW_CLI_BENCH_H

#include "base/buf.h"
#include "base/status.h"
#include "domain/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options {
    unsigned servers;
    unsigned threads;  /* of the client, or of the forecaster; 0: one per core */
    unsigned seconds;  /* each measurement lasts about so long */
    unsigned runs;     /* of what is timed as a whole */
    const char *data;  /* directory for data; NULL: a temporary one */
    const char *model; /* NULL: none; for forecast the shipped one */
    const char *host;  /* of a daemon to measure instead of one in this process; NULL: none */
    uint16_t port;
    unsigned batch;          /* of training */
    const char *peer;        /* bench_peer.h; NULL: none */
    unsigned peer_timeout_s; /* for one run of it */
    bool json;
};
unsigned bench_threads(const struct bench_options *options);

/* One object a line with --json, a small table otherwise. Values are added in the order that they
 * are shown. */
struct bench_report {
    const struct bench_options *options;
    struct fw_buf text;
};
void bench_report_begin(struct bench_report *report, const struct bench_options *options,
                        const char *bench, const char *path);
void bench_report_number(struct bench_report *report, const char *key, double value, int decimals);
void bench_report_text(struct bench_report *report, const char *key, const char *value);
void bench_report_times(struct bench_report *report, double *seconds, unsigned runs); /* sorts */
void bench_report_end(struct bench_report *report);

/* A directory below --data, or a temporary one, removed by bench_directory_remove(). */
FW_MUST_CHECK enum fw_status bench_directory_make(const struct bench_options *options,
                                                  char path[256], struct fw_error *err);
void bench_directory_remove(const struct bench_options *options, const char *path);

/* A daemon on a free port of the loopback address, rate limits off. `model` as for serve. */
struct daemon;
struct config;
struct bench_daemon {
    struct config *config;
    struct daemon *daemon;
    uint16_t port;
};
FW_MUST_CHECK enum fw_status bench_daemon_start(const char *data, const char *model,
                                                struct bench_daemon *out, struct fw_error *err);
void bench_daemon_stop(struct bench_daemon *daemon);

/* Resident memory of this process. */
double bench_rss_bytes(void);
double bench_now_s(void);
double bench_core_s(void);                     /* processor time of all threads */
double bench_median(double *values, size_t n); /* sorts; NaN of none */

int bench_ingest(const struct bench_options *options, struct fw_error *err);
int bench_http(const struct bench_options *options, struct fw_error *err);
int bench_store(const struct bench_options *options, struct fw_error *err);
int bench_forecast(const struct bench_options *options, struct fw_error *err);
int bench_latency(const struct bench_options *options, struct fw_error *err);
int bench_train(const struct bench_options *options, struct fw_error *err);

#endif
