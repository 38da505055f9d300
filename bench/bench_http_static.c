/* A server to be measured from outside, by bench/http.sh with wrk: 200 bytes of JSON at /small, a
 * megabyte at /big (plain, gzip, 304), behind every check of src/http; with --bare, the least that
 * libmicrohttpd can do, for comparison. Prints its port; runs until its standard input ends; then
 * prints its CPU seconds. */
#include "base/buf.h"
#include "base/rng.h"
#include "http/keys.h"
#include "http/server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { BIG = 1 << 20, THREADS = 2 };

static char small_text[201];

static void serve(void *ctx, struct http_request *request)
{
    const struct http_reply reply = {.status = 200, .body = http_body_ref(ctx), .etag = "bench-1"};
    http_reply(request, &reply);
}

/* Numbers as a forecast has them: digits that compress about as badly as real ones. */
static struct http_body *make_big(void)
{
    struct fw_rng rng;
    fw_rng_init(&rng, 1);
    struct fw_buf buf;
    fw_buf_init(&buf, 2 * BIG);
    while (buf.len < BIG)
        fw_buf_printf(&buf, "{\"p10\":%.4f,\"p50\":%.4f,\"p90\":%.4f},", fw_rng_uniform(&rng) * 100,
                      fw_rng_uniform(&rng) * 100, fw_rng_uniform(&rng) * 100);
    buf.len = BIG;
    return http_body_new_take(&buf);
}

static enum MHD_Result bare(void *ctx, struct MHD_Connection *mhd, const char *url,
                            const char *method, const char *version, const char *data, size_t *len,
                            void **state)
{
    (void)ctx, (void)url, (void)method, (void)version, (void)data, (void)len;
    static int seen;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(200, small_text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    const enum MHD_Result result = MHD_queue_response(mhd, 200, response);
    MHD_destroy_response(response);
    return result;
}

static void wait_for_end(unsigned port)
{
    printf("%u\n", port);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%.3f\n", (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6 +
                         (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6);
}

static int run_bare(void)
{
    struct MHD_Daemon *mhd =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, bare, NULL,
                         MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_END);
    if (mhd == NULL)
        return 1;
    wait_for_end(MHD_get_daemon_info(mhd, MHD_DAEMON_INFO_BIND_PORT)->port);
    MHD_stop_daemon(mhd);
    return 0;
}

int main(int argc, char **argv)
{
    memset(small_text, 'x', 200);
    memcpy(small_text, "{\"status\":\"", 11);
    memcpy(small_text + 198, "\"}", 2);
    if (argc > 1 && strcmp(argv[1], "--bare") == 0)
        return run_bare();
    struct http_body *small = http_body_static(small_text, 200), *big = make_big();
    const struct http_route routes[] = {
        {"GET", "/small", HTTP_READ, false, 0, 0, "small", serve, small, NULL},
        {"GET", "/big",   HTTP_READ, false, 0, 0, "big",   serve, big,   NULL},
    };
    struct http_options options;
    http_options_init(&options);
    options.threads = THREADS;
    options.keys = http_keys_new();
    struct fw_error err = {0};
    struct http_server *server;
    if (small == NULL || big == NULL || options.keys == NULL ||
        (argc > 1 &&
         http_keys_add_plain(options.keys, "bench", HTTP_READ, argv[1], &err) != FW_OK) ||
        http_server_start(&options, routes, COUNT(routes), &server, &err) != FW_OK) {
        fprintf(stderr, "bench_http_static: %s\n", err.text);
        return 1;
    }
    wait_for_end(http_server_port(server));
    http_server_stop(server, 1000);
    http_body_unref(small);
    http_body_unref(big);
    http_keys_free(options.keys);
    return 0;
}
