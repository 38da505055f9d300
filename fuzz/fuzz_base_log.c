/* Any bytes as text in the log, in either form: nothing raw that could end the line or move a
 * terminal's cursor, whatever is cut. */
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

/* What checks byte by byte is not what is searched: its branches are not to be followed. */
#define UNTRACED __attribute__((no_sanitize("coverage")))

UNTRACED static void require(bool holds)
{
    if (!holds)
        abort();
}

UNTRACED static void check_line(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    require(len > 1 && line[len - 1] == '\n');
    bool clean = true;
    for (size_t i = 0; i + 1 < len; i++)
        clean = clean && (unsigned char)line[i] >= 0x20 && line[i] != 0x7f;
    require(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

UNTRACED int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX + 1];
    if (size > TEXT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (int json = 0; json < 2; json++) {
        fw_log_configure(
            &(struct fw_log_options){.level = FW_INFO, .json = json, .sink = check_line});
        FW_LOG_INFO("fuzz", "name=%s", text);
    }
    return 0;
}
