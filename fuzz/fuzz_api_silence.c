/* Bodies of POST /api/v1/silences: what is accepted passes the check of the control, is written as
 * valid JSON, chooses something, and holds for whole stretches of time: between now and the moment
 * that it says it changes, nothing does. */
#include "api/silence_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_time(const struct alert_silence *s, int64_t now_ms)
{
    int64_t changes_ms, later_ms;
    const bool holds = alert_silence_holds(s, now_ms, &changes_ms);
    MUST(changes_ms > now_ms);
    if (changes_ms == INT64_MAX)
        return;
    /* Windows without a gap between them are seen for a week: there nothing changes at the end. */
    const bool endless = holds && alert_silence_holds(s, changes_ms, &later_ms);
    MUST(alert_silence_holds(s, changes_ms - 1, &later_ms) == holds &&
         (endless || later_ms == changes_ms));
    MUST(alert_silence_holds(s, now_ms + (changes_ms - now_ms) / 2, &later_ms) == holds);
    MUST(!endless || changes_ms - now_ms > INT64_C(7) * 86400000);
    if (!holds)
        MUST(alert_silence_holds(s, changes_ms, &later_ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t now_ms = INT64_C(1795564800000);
    static struct fw_json_parser *parser;
    struct fw_json_value root;
    struct alert_silence silence;
    struct silence_fault fault;
    if (parser == NULL)
        parser = fw_json_parser_new(64 << 10, 8);
    if (fw_json_parse(parser, (const char *)data, size, &root, NULL) != FW_OK)
        return 0;
    if (!silence_read(root, now_ms, &silence, &fault)) {
        MUST(fault.text[0] != '\0');
        return 0;
    }
    MUST(alert_silence_check(&silence, NULL) == FW_OK);
    MUST(silence.ends_ms > now_ms);
    for (int64_t hour = -30; hour < 300; hour += 7)
        check_time(&silence, now_ms + hour * 3600000 + hour);
    struct fw_buf buf;
    fw_buf_init(&buf, 64 << 10);
    silence_put(&buf, &silence, now_ms, &api_zone_naive);
    MUST(!buf.failed && fw_json_parse(parser, buf.data, buf.len, &root, NULL) == FW_OK);
    fw_buf_fini(&buf);
    return 0;
}
