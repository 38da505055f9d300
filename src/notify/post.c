/* A message over HTTP. */
#include "notify/notify_internal.h"

#include <curl/curl.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 64 << 10, TOKEN_MAX = 1024 };

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_ready;

static void start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

struct transfer {
    size_t answered; /* bytes */
    notify_interrupted_fn interrupted;
    void *ctx;
};

/* The answer is nobody's to see: it may come from anything that listens there. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct transfer *transfer = ctx;
    (void)data;
    transfer->answered += size * count;
    return transfer->answered <= ANSWER_MAX ? size * count : 0;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *transfer = ctx;
    (void)a, (void)b, (void)c, (void)d;
    return transfer->interrupted(transfer->ctx);
}

/* "Authorization: Bearer ..." of the file's first line; read each time, so that it can change. */
static bool read_token(const char *path, char *header, size_t size)
{
    char token[TOKEN_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const bool found = fgets(token, sizeof token, file) != NULL;
    fclose(file);
    if (!found)
        return false;
    size_t len = strcspn(token, "\r\n");
    while (len > 0 && isspace((unsigned char)token[len - 1]))
        len--;
    token[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (iscntrl((unsigned char)token[i]))
            return false;
    const int written = snprintf(header, size, "Authorization: Bearer %s", token);
    memset(token, 0, sizeof token);
    return len > 0 && written > 0 && (size_t)written < size;
}

static bool add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

static void judge(CURL *curl, CURLcode result, struct notify_answer *answer)
{
    long code = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && code >= 200)) {
        answer->outcome = NOTIFY_FAILED;
        snprintf(answer->text, sizeof answer->text, "%s", curl_easy_strerror(result));
        return;
    }
    if (code >= 200 && code < 300) {
        answer->outcome = NOTIFY_ACCEPTED;
        return;
    }
    /* These are about the message; everything else may be put right where it listens. */
    const bool for_good = code == 400 || code == 413 || code == 422;
    answer->outcome = for_good ? NOTIFY_REJECTED : NOTIFY_FAILED;
    snprintf(answer->text, sizeof answer->text, "status %ld", code);
}

static void perform(CURL *curl, const char *url, struct curl_slist *headers, unsigned timeout_s,
                    const char *body, size_t len, struct transfer *transfer,
                    struct notify_answer *answer)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "forewarn/" FW_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_s * 1000);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_s * 1000);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    judge(curl, curl_easy_perform(curl), answer);
}

void notify_post(const char *url, const char *token_file, unsigned timeout_s, const char *body,
                 size_t len, notify_interrupted_fn interrupted, void *ctx,
                 struct notify_answer *answer)
{
    struct transfer transfer = {.interrupted = interrupted, .ctx = ctx};
    char token[TOKEN_MAX + 32] = "";
    struct curl_slist *headers = NULL;
    *answer = (struct notify_answer){.outcome = NOTIFY_FAILED};
    if (token_file[0] != '\0' && !read_token(token_file, token, sizeof token)) {
        snprintf(answer->text, sizeof answer->text, "no token can be read from %.200s", token_file);
        return;
    }
    pthread_once(&curl_once, start_curl);
    CURL *curl = curl_ready ? curl_easy_init() : NULL;
    if (curl != NULL && add_header(&headers, "Content-Type: application/json") &&
        add_header(&headers, "Expect:") && (token[0] == '\0' || add_header(&headers, token)))
        perform(curl, url, headers, timeout_s, body, len, &transfer, answer);
    else
        snprintf(answer->text, sizeof answer->text, "out of memory");
    memset(token, 0, sizeof token);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}
