/* Any text: what is read as a time agrees with the C library's calendar, and reads back from both
 * of our own forms. */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms = -7, back = -1;
    char text[FW_TIME_SIZE], expected[FW_TIME_SIZE];
    char *exact = malloc(size + 1);
    if (exact == NULL)
        return 0;
    memcpy(exact, data, size);
    const bool parsed = fw_time_parse(exact, size, &ms);
    require(parsed ? ms >= 0 : ms == -7);
    if (parsed && ms < INT64_C(253402300800000)) {
        const time_t seconds = (time_t)(ms / 1000);
        struct tm parts;
        require(gmtime_r(&seconds, &parts) != NULL);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &parts);
        fw_time_format(ms, text);
        require(strncmp(text, expected, 19) == 0);
        require(fw_time_parse(text, strlen(text), &back) && back == ms);
        fw_time_format_z(ms, text);
        require(fw_time_parse(text, strlen(text), &back) && back == ms);
        /* Without a zone the date and hour stand in the text as they come out. */
        if (size == 19 && exact[16] == ':' && exact[17] != '6')
            require(memcmp(exact, expected, 10) == 0 && memcmp(exact + 11, expected + 11, 8) == 0);
    }
    free(exact);
    return 0;
}
