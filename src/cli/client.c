#include "cli/client.h"

#include "base/json.h"
#include "cli/cli.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TARGET_MAX = 4096, ANSWER_MAX = 64 << 20, JSON_DEPTH = 16 };

int cli_daemon_key(struct cli_daemon *daemon, const char *path)
{
    char key[512];
    FILE *file = fopen(path, "re");
    const bool found = file != NULL && fgets(key, sizeof key, file) != NULL;
    if (file != NULL)
        fclose(file);
    if (!found)
        return cli_failure(daemon->command, "cannot read a key from %s", path);
    key[strcspn(key, "\r\n")] = '\0';
    snprintf(daemon->key_header, sizeof daemon->key_header, "X-API-Key: %s", key);
    memset(key, 0, sizeof key);
    return CLI_OK;
}

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
    struct fw_buf *body = ctx;
    fw_buf_put(body, data, size * count);
    return body->failed ? 0 : size * count;
}

static bool add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

static int fail(const struct cli_daemon *daemon, const char *format, ...) FW_PRINTF(2, 3);
static int fail(const struct cli_daemon *daemon, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (daemon->reason == NULL)
        return cli_failure(daemon->command, "%s", text);
    fw_buf_puts(daemon->reason, text);
    return CLI_FAILURE;
}

/* The first `msg` of a validation error, the `detail` of any other, else the bytes. */
static void tell(const struct cli_daemon *daemon, long code, const struct fw_buf *answer)
{
    struct fw_json_parser *parser = fw_json_parser_new(ANSWER_MAX, JSON_DEPTH);
    struct fw_json_value root, detail, first, msg;
    const char *text = NULL, *name = NULL;
    size_t len;
    if (parser != NULL && fw_json_parse(parser, answer->data, answer->len, &root, NULL) == FW_OK &&
        fw_json_get(root, "detail", &detail)) {
        struct fw_json_iter iter = fw_json_walk(detail);
        text = fw_json_string(detail, &len);
        if (text == NULL && fw_json_next(&iter, &first) && fw_json_get(first, "msg", &msg)) {
            text = fw_json_string(msg, &len);
            struct fw_json_value loc;
            if (fw_json_get(first, "loc", &loc)) {
                iter = fw_json_walk(loc);
                while (fw_json_next(&iter, &loc))
                    name = fw_json_string(loc, &len);
            }
        }
    }
    if (text != NULL)
        (void)fail(daemon, "%s%s%s (status %ld)", name != NULL ? name : "",
                   name != NULL ? ": " : "", text, code);
    else
        (void)fail(daemon, "status %ld", code);
    fw_json_parser_free(parser);
}

static int perform(CURL *curl, const struct cli_daemon *daemon, const char *target,
                   struct fw_buf *answer)
{
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, target);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "forewarn/" FW_VERSION);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    const CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (result != CURLE_OK)
        return fail(daemon, "%s: %s", target, curl_easy_strerror(result));
    if (code >= 200 && code < 300)
        return CLI_OK;
    tell(daemon, code, answer);
    return CLI_FAILURE;
}

int cli_daemon_request(const struct cli_daemon *daemon, const char *method, const char *path,
                       const struct fw_buf *json, struct fw_buf *answer)
{
    char target[TARGET_MAX];
    struct curl_slist *headers = NULL;
    int code = CLI_FAILURE;
    size_t len = strlen(daemon->url);
    while (len > 0 && daemon->url[len - 1] == '/')
        len--;
    if (json != NULL && json->failed)
        return fail(daemon, "out of memory");
    if (snprintf(target, sizeof target, "%.*s%s", (int)len, daemon->url, path) >=
        (int)sizeof target)
        return fail(daemon, "the URL is too long");
    CURL *curl = curl_easy_init();
    if (curl == NULL || !add_header(&headers, "Content-Type: application/json") ||
        (daemon->key_header[0] != '\0' && !add_header(&headers, daemon->key_header))) {
        (void)fail(daemon, "out of memory");
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
        if (json != NULL) {
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json->data);
            curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)json->len);
        }
        code = perform(curl, daemon, target, answer);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code;
}
