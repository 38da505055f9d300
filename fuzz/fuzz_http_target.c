/* Request targets: what comes out never holds a control byte, a dot segment or an empty one, is
 * UTF-8, stays inside the text it came from; and a path that fits "/files/{name}" was written with
 * exactly two segments. */
#include "base/text.h"
#include "http/target.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_text(const char *text, const char *start, size_t len)
{
    const size_t text_len = strlen(text);
    MUST(text >= start && text + text_len <= start + len);
    MUST(fw_utf8_valid(text, text_len));
    for (size_t i = 0; i < text_len; i++)
        MUST((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[HTTP_TARGET_MAX + 1];
    if (size > HTTP_TARGET_MAX || http_guard_target((const char *)data, size).text != NULL)
        return 0;
    memcpy(text, data, size);
    struct http_target target;
    const struct http_fault fault = http_target_parse(&target, text, size);
    MUST(target.n_segments <= HTTP_SEGMENTS_MAX && target.n_parameters <= HTTP_PARAMETERS_MAX);
    if (fault.text != NULL) {
        MUST(fault.status == 400 || fault.status == 404);
        return 0;
    }
    for (size_t i = 0; i < target.n_segments; i++) {
        const char *segment = http_target_segment(&target, i);
        check_text(segment, text, size);
        MUST(segment[0] != '\0' && strcmp(segment, ".") != 0 && strcmp(segment, "..") != 0);
    }
    for (size_t i = 0; i < target.n_parameters; i++) {
        check_text(text + target.parameters[i].name, text, size);
        check_text(text + target.parameters[i].value, text, size);
    }
    uint8_t at[HTTP_SEGMENTS_MAX];
    size_t n;
    if (http_target_fits(&target, "/files/{name}", at, &n))
        MUST(n == 1 && at[0] == 1 && target.n_segments == 2 &&
             strcmp(http_target_segment(&target, 0), "files") == 0);
    MUST(http_target_fits(&target, "/", at, &n) == (target.n_segments == 0));
    return 0;
}
