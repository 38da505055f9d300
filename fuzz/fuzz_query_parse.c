/* Queries: any text is understood or refused with a place inside it; what is understood runs over a
 * few series within its memory, twice with the same result. Patterns: compiling and matching ends,
 * and a pattern fits itself or not whatever it was asked before. */
#include "query/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 20, POINTS = 3 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static enum fw_status select_made(void *ctx, const struct query_selector *selector,
                                  const struct query_times *times, struct query_set *set,
                                  struct fw_error *err)
{
    static const char *const servers[] = {"a", "b", "web-1"};
    static const char *const known[] = {"__name__", "server"};
    (void)ctx;
    if (!query_selector_fits(selector, "__name__", "x") ||
        !query_selector_fits_rest(selector, known, COUNT(known)))
        return FW_OK;
    for (size_t i = 0; i < COUNT(servers); i++) {
        const struct query_label labels[] = {
            {"server",   servers[i]},
            {"__name__", "x"       }
        };
        if (!query_selector_fits(selector, "server", servers[i]))
            continue;
        double *values = query_set_add(set, labels, COUNT(labels));
        if (values == NULL)
            return fw_fail(err, FW_ELIMIT, "too much");
        for (size_t t = 0; t < times->points; t++)
            values[t] = (double)(times->start_ms + (int64_t)i);
    }
    return FW_OK;
}

static void run(const struct query *query, struct query_set *set)
{
    static const struct query_source source = {NULL, select_made};
    struct fw_error err;
    *set = (struct query_set){
        .times = {1000, 1000, POINTS},
          .bytes_max = BYTES_MAX
    };
    const enum fw_status status = query_run(query, &source, set, &err);
    require(status == FW_OK || status == FW_ELIMIT);
    require(set->bytes <= BYTES_MAX);
}

static void check_query(const char *text, size_t len)
{
    struct query *query;
    struct query_set first, second;
    struct fw_error err = {0};
    const enum fw_status status = query_parse(text, len, &query, &err);
    require((status == FW_OK) == (query != NULL));
    if (status != FW_OK) {
        require(status == FW_EINVAL || status == FW_ENOTFOUND || status == FW_ELIMIT);
        require(err.text[0] != '\0' && err.offset <= len + QUERY_REGEX_BYTES_MAX);
        return;
    }
    run(query, &first);
    run(query, &second);
    require(first.count == second.count && first.scalar == second.scalar);
    require(!first.scalar || first.count == 1);
    for (size_t i = 0; i < first.count; i++)
        require(memcmp(first.series[i].values, second.series[i].values, POINTS * sizeof(double)) ==
                0);
    query_set_fini(&first);
    query_set_fini(&second);
    query_free(query);
}

static void check_regex(const char *text, size_t len)
{
    struct query_regex *regex;
    const enum fw_status status = query_regex_new(text, len, &regex, NULL);
    require(status == FW_OK || status == FW_EINVAL || status == FW_ELIMIT);
    if (status != FW_OK)
        return;
    const bool itself = query_regex_match(regex, text, len);
    const bool empty = query_regex_match(regex, "", 0);
    require(query_regex_match(regex, text, len) == itself);
    require(query_regex_match(regex, "", 0) == empty);
    query_regex_free(regex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms;
    if (size == 0 || size > QUERY_BYTES_MAX)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] & 1) {
        check_query(text, size - 1);
        if (query_duration(text, size - 1, &ms))
            require(ms >= 0);
    } else {
        check_regex(text, size - 1);
    }
    return 0;
}
