#include "cli/cli.h"

#include "base/buf.h"

#include <curl/curl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_BODY_MAX = 1 << 20, KEY_MAX = 512 };

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
    struct fw_buf *body = ctx;
    fw_buf_put(body, data, size * count);
    return body->failed ? 0 : size * count;
}

/* The first line of the file, as "X-API-Key: ..." */
static bool read_key(const char *path, char *header, size_t size)
{
    char key[KEY_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const bool found = fgets(key, sizeof key, file) != NULL;
    fclose(file);
    key[found ? strcspn(key, "\r\n") : 0] = '\0';
    return found && snprintf(header, size, "X-API-Key: %s", key) < (int)size;
}

static int fetch(const char *command, const char *url, const char *key_header)
{
    struct fw_buf body;
    fw_buf_init(&body, STATUS_BODY_MAX);
    char target[1024];
    long answered = 0;
    int code = CLI_FAILURE;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = key_header[0] != '\0' ? curl_slist_append(NULL, key_header) : NULL;
    if (curl != NULL &&
        snprintf(target, sizeof target, "%s/api/v1/status", url) < (int)sizeof target) {
        curl_easy_setopt(curl, CURLOPT_URL, target);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
        const CURLcode result = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answered);
        if (result != CURLE_OK) {
            code = cli_failure(command, "%s: %s", target, curl_easy_strerror(result));
        } else {
            fwrite(body.data, 1, body.len, answered == 200 ? stdout : stderr);
            fputc('\n', answered == 200 ? stdout : stderr);
            code = answered == 200 ? CLI_OK : CLI_FAILURE;
        }
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    fw_buf_fini(&body);
    return code;
}

int cli_status(int argc, char **argv)
{
    static const struct option options[] = {
        {"url",          required_argument, NULL, 'u'},
        {"api-key-file", required_argument, NULL, 'k'},
        {"help",         no_argument,       NULL, 'h'},
        {NULL,           0,                 NULL, 0  },
    };
    const char *url = "http://127.0.0.1:8000";
    char key_header[KEY_MAX + 16] = "";
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            url = optarg;
            break;
        case 'k':
            if (!read_key(optarg, key_header, sizeof key_header))
                return cli_failure(argv[0], "cannot read a key from %s", optarg);
            break;
        case 'h':
            puts("usage: forewarn status [--url http://127.0.0.1:8000] [--api-key-file FILE]");
            return CLI_OK;
        default:
            return CLI_USAGE;
        }
    }
    return optind < argc ? cli_usage_error(argv[0], "unexpected \"%s\"", argv[optind])
                         : fetch(argv[0], url, key_header);
}
