/* Any bytes as a JSON string: nothing raw that could end the string or the page's script, and valid
 * UTF-8 comes back as it went in. (fuzz_base_log.c: as text in the log.) */
#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

/* What checks byte by byte is not what is searched: its branches are not to be followed. */
#define UNTRACED __attribute__((no_sanitize("coverage")))

static struct fw_json_parser *parser;
static struct fw_buf buf;

UNTRACED static void require(bool holds)
{
    if (!holds)
        abort();
}

UNTRACED static void check_json(const char *text, size_t len)
{
    struct fw_json_value root;
    fw_buf_reset(&buf);
    fw_buf_json_string(&buf, text, len);
    require(!buf.failed && fw_utf8_valid(buf.data, buf.len));
    bool clean = true;
    for (size_t i = 1; i + 1 < buf.len; i++) {
        const unsigned char c = (unsigned char)buf.data[i];
        clean = clean && c >= 0x20 && c != 0x7f && c != '<' && c != '>' && c != '&';
    }
    require(clean);
    require(fw_json_parse(parser, buf.data, buf.len, &root, NULL) == FW_OK);
    size_t back_len;
    const char *back = fw_json_string(root, &back_len);
    require(back != NULL);
    if (fw_utf8_valid(text, len))
        require(back_len == len && memcmp(back, text, len) == 0);
    else
        require(fw_utf8_valid(back, back_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

UNTRACED int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (parser == NULL) {
        parser = fw_json_parser_new(TEXT_MAX * 8, 4);
        fw_buf_init(&buf, TEXT_MAX * 8);
    }
    if (size <= TEXT_MAX)
        check_json((const char *)data, size);
    return 0;
}
