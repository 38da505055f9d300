/* Header lines: a head that the guard lets through has one Host, a length of digits or "chunked"
 * but not both, and no control bytes; and the negotiation functions read nothing beyond the value
 * they are given (each value is copied to a block of its own size, so that the sanitizer sees a
 * step too far). */
#define _GNU_SOURCE /* memmem */
#include "http/guard.h"
#include "http/negotiate.h"
#include "http/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_value(const struct http_policy *policy, const char *value, size_t len)
{
    char *copy = malloc(len == 0 ? 1 : len);
    MUST(copy != NULL);
    memcpy(copy, value, len);
    enum http_encoding best;
    const unsigned allowed = http_accept_encoding(copy, len, &best);
    MUST((allowed & ~(1U << HTTP_GZIP | 1U << HTTP_ZSTD)) == 0);
    MUST(best == HTTP_IDENTITY ? allowed == 0 : (allowed & 1U << best) != 0);
    if (http_none_match(copy, len, "v1"))
        MUST(memchr(copy, '*', len) != NULL || memmem(copy, len, "\"v1\"", 4) != NULL);
    (void)http_list_has(copy, len, "x-api-key");
    const struct http_text text = {copy, len};
    if (http_policy_host(policy, text))
        for (size_t i = 0; i < len; i++)
            MUST(copy[i] > ' ' && copy[i] < 0x7f && strchr("/@,\\?#%\"'", copy[i]) == NULL);
    const char *origin = http_policy_origin(policy, text);
    MUST(origin == NULL || origin[0] == 'h');
    (void)http_wire_chunk(copy, len, 1 << 20);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"metrics.example"};
    static const char *const origins[] = {"http://grafana.example"};
    static struct http_policy *policy;
    if (policy == NULL)
        policy = http_policy_new(names, 1, origins, 1);
    struct http_head head = {0};
    struct http_fault fault = {0};
    unsigned hosts = 0;
    const char *at = (const char *)data, *end = at + size;
    while (at < end && fault.text == NULL) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        const char *colon = memchr(at, ':', (size_t)(stop - at));
        if (colon != NULL) {
            const size_t name_len = (size_t)(colon - at), len = (size_t)(stop - colon - 1);
            check_value(policy, colon + 1, len);
            fault = http_guard_header(&head, at, name_len, colon + 1, len);
            hosts += http_same_nocase(at, name_len, "host");
            for (size_t i = 0; fault.text == NULL && i < len; i++)
                MUST(colon[1 + i] == '\t' || (unsigned char)colon[1 + i] >= ' ');
        }
        at = stop + 1;
    }
    if (fault.text == NULL)
        fault = http_guard_finish(&head);
    if (fault.text != NULL) {
        MUST(fault.status >= 400 && fault.status <= 499);
        return 0;
    }
    MUST(hosts == 1);
    MUST(!head.chunked || head.length_text.at == NULL);
    MUST(head.content_length < UINT64_C(1000000000000000000));
    return 0;
}
