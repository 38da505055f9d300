#include "agent/client.h"

#include "base/alloc.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URL_MAX = 2048 };

struct agent_client {
    CURL *curl;
    struct curl_slist *headers;
    char url[URL_MAX];
    bool (*interrupted)(void *ctx);
    void *ctx;
    struct fw_buf *whole;        /* or NULL */
    struct agent_answer *answer; /* of the request under way */
    size_t text_len;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_ready;

static void start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* Keeps the body's beginning; the rest is read and let go, so that the connection can be used
 * again, unless somebody wants it whole. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct agent_client *client = ctx;
    const size_t len = size * count, left = AGENT_ANSWER_TEXT_MAX - client->text_len;
    const size_t take = len < left ? len : left;
    memcpy(client->answer->text + client->text_len, data, take);
    client->text_len += take;
    client->answer->text[client->text_len] = '\0';
    if (client->whole == NULL)
        return len;
    fw_buf_put(client->whole, data, len);
    return client->whole->failed ? 0 : len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    const struct agent_client *client = ctx;
    return client->interrupted != NULL && client->interrupted(client->ctx);
}

static enum fw_status check_url(const char *url, struct fw_error *err)
{
    CURLU *parsed = curl_url();
    char *scheme = NULL, *query = NULL;
    enum fw_status status = FW_OK;
    if (parsed == NULL)
        return fw_fail(err, FW_ENOMEM, "client: out of memory");
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        status = fw_fail(err, FW_EINVAL, "\"%.200s\" is not a http:// or https:// URL", url);
    else if (curl_url_get(parsed, CURLUPART_QUERY, &query, 0) == CURLUE_OK)
        status =
            fw_fail(err, FW_EINVAL, "\"%.200s\" has a query; only host and path fit here", url);
    curl_free(scheme);
    curl_free(query);
    curl_url_cleanup(parsed);
    return status;
}

static bool add_header(struct agent_client *client, const char *text)
{
    struct curl_slist *longer = curl_slist_append(client->headers, text);
    if (longer == NULL)
        return false;
    client->headers = longer;
    return true;
}

/* "<name><value>"; nothing when the value is NULL. */
static bool add_field(struct agent_client *client, const char *name, const char *value)
{
    char text[2048];
    if (value == NULL)
        return true;
    const int len = snprintf(text, sizeof text, "%s%s", name, value);
    return len > 0 && (size_t)len < sizeof text && add_header(client, text);
}

static bool add_headers(struct agent_client *client, const struct agent_client_options *options)
{
    const char *type = options->content_type;
    /* "Expect:" empty: a daemon must not wait a second for a 100 Continue that old proxies never
     * send. */
    return add_field(client, "Content-Type: ", type != NULL ? type : "application/json") &&
           add_header(client, "Expect:") && add_field(client, "X-API-Key: ", options->api_key) &&
           add_field(client, "Authorization: Bearer ", options->bearer);
}

static void set_options(struct agent_client *client, const struct agent_client_options *options)
{
    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "forewarn/" FW_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, client->headers);
    if (options->basic != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, options->basic);
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(options->connect_ms == 0 ? 3000 : options->connect_ms));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     (long)(options->total_ms == 0 ? 10000 : options->total_ms));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

enum fw_status agent_client_new(const struct agent_client_options *options,
                                struct agent_client **out, struct fw_error *err)
{
    *out = NULL;
    pthread_once(&curl_once, start_curl);
    if (!curl_ready)
        return fw_fail(err, FW_EIO, "client: libcurl does not start");
    size_t len = strlen(options->url);
    while (len > 0 && options->url[len - 1] == '/')
        len--;
    if (len >= URL_MAX)
        return fw_fail(err, FW_EINVAL, "client: the URL is longer than %d bytes", URL_MAX - 1);
    const enum fw_status status = check_url(options->url, err);
    if (status != FW_OK)
        return status;
    struct agent_client *client = fw_calloc(1, sizeof *client);
    if (client == NULL)
        return fw_fail(err, FW_ENOMEM, "client: out of memory");
    memcpy(client->url, options->url, len);
    client->interrupted = options->interrupted;
    client->ctx = options->ctx;
    client->whole = options->whole;
    client->curl = curl_easy_init();
    if (client->curl == NULL || !add_headers(client, options)) {
        agent_client_free(client);
        return fw_fail(err, FW_ENOMEM, "client: out of memory, or the key is too long");
    }
    set_options(client, options);
    *out = client;
    return FW_OK;
}

void agent_client_free(struct agent_client *client)
{
    if (client == NULL)
        return;
    curl_slist_free_all(client->headers);
    curl_easy_cleanup(client->curl);
    fw_free(client);
}

void agent_client_request(struct agent_client *client, const char *path, const char *body,
                          size_t len, struct agent_answer *answer)
{
    char url[URL_MAX + AGENT_PATH_MAX], why[CURL_ERROR_SIZE] = "";
    *answer = (struct agent_answer){.retry_after_s = -1};
    client->answer = answer;
    client->text_len = 0;
    if (client->whole != NULL)
        fw_buf_reset(client->whole);
    if (strlen(path) >= AGENT_PATH_MAX) {
        snprintf(answer->text, sizeof answer->text, "the address is too long");
        return;
    }
    snprintf(url, sizeof url, "%s%s", client->url, path);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, why);
    if (body != NULL) {
        curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    } else {
        curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    }
    const CURLcode code = curl_easy_perform(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL);
    if (code != CURLE_OK) {
        snprintf(answer->text, sizeof answer->text, "%s",
                 why[0] != '\0' ? why : curl_easy_strerror(code));
        return;
    }
    curl_off_t retry_after = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->code);
    if (curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK &&
        retry_after > 0)
        answer->retry_after_s = (int64_t)retry_after;
}

enum fw_status agent_client_read_key(const char *path, char *key, size_t cap, struct fw_error *err)
{
    char line[1024];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fw_fail(err, FW_EIO, "key file %s: %s", path, strerror(errno));
    const bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!read)
        return fw_fail(err, FW_EINVAL, "key file %s is empty", path);
    char *begin = line + strspn(line, " \t\r\n");
    size_t len = strlen(begin);
    while (len > 0 && strchr(" \t\r\n", begin[len - 1]) != NULL)
        len--;
    if (len == 0 || len >= cap)
        return fw_fail(err, FW_EINVAL, "key file %s: the key is empty or longer than %zu bytes",
                       path, cap - 1);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)begin[i] < 0x20 || (unsigned char)begin[i] == 0x7f)
            return fw_fail(err, FW_EINVAL, "key file %s: a control byte in the key", path);
    memcpy(key, begin, len);
    key[len] = '\0';
    return FW_OK;
}
