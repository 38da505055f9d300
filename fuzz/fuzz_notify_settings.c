/* Lines of [notify] and [receiver NAME]: "KEY VALUE". What is accepted as an address has only http
 * and https in it, and is walked item by item within its text; labels are none of our own; what is
 * refused is said with the key. */
#include "notify/settings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_urls(const char *list)
{
    char item[NOTIFY_TEXT_MAX + 1];
    size_t n = 0;
    for (; notify_list_item(list, n, item); n++)
        MUST(item[0] != '\0' && item[0] != ' ' && strchr(item, ',') == NULL &&
             (strncasecmp(item, "http://", 7) == 0 || strncasecmp(item, "https://", 8) == 0));
    MUST(n <= NOTIFY_URLS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct notify_settings settings;
    char text[1024], *value;
    struct fw_error err = {0};
    if (size >= sizeof text || memchr(data, '\0', size) != NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    value = strchr(text, ' ');
    if (value == NULL)
        return 0;
    *value++ = '\0';
    notify_settings_default(&settings);
    if (notify_settings_set(&settings, NULL, text, value, &err) != FW_OK)
        MUST(err.text[0] != '\0');
    for (size_t i = 0; i < settings.labels.count; i++) {
        const char *name = settings.labels.items[i].name;
        MUST(schema_name_valid(name, strlen(name)) && settings.labels.items[i].value[0] != '\0');
        MUST(strcmp(name, "severity") != 0 && strcmp(name, "alertname") != 0);
    }
    if (notify_settings_set(&settings, "r", text, value, &err) != FW_OK)
        MUST(err.text[0] != '\0');
    else
        MUST(settings.receiver_count == 1);
    if (strcmp(text, "url") == 0 && settings.receivers[0].url[0] != '\0' && err.text[0] == '\0')
        check_urls(settings.receivers[0].url);
    (void)notify_settings_check(&settings, &err);
    return 0;
}
