/* The embedded files: whole, and as strict as their policy says. */
#include "web/web.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static char *text_of(const struct web_asset *asset)
{
    char *text = malloc(asset->size + 1);
    assert_non_null(text);
    memcpy(text, asset->bytes, asset->size);
    text[asset->size] = '\0';
    return text;
}

static const struct web_asset *asset_of(const char *name)
{
    const struct web_asset *asset = web_find(name);
    if (asset == NULL)
        fail_msg("%s is not embedded", name);
    return asset;
}

/* Every src= and href= of a page, which is all it may load. */
static void check_references(const char *page, const char *base)
{
    char *text = text_of(asset_of(page));
    size_t found = 0;
    for (const char *at = text; (at = strchr(at, '=')) != NULL; at++) {
        const bool refers = (at - text >= 4 && memcmp(at - 4, "href", 4) == 0) ||
                            (at - text >= 3 && memcmp(at - 3, "src", 3) == 0);
        if (!refers)
            continue;
        char name[128];
        const size_t len = strcspn(at + 2, "\"");
        CHECK_TRUE(page, len < sizeof name && strncmp(at + 2, base, strlen(base)) == 0);
        snprintf(name, sizeof name, "%.*s", (int)(len - strlen(base)), at + 2 + strlen(base));
        asset_of(name);
        found++;
    }
    CHECK_EQ("script, style, icon", found, 3);
    free(text);
}

static void test_pages_refer_to_what_is_embedded(void **state)
{
    (void)state;
    check_references(WEB_PAGE_ROOT, "");
    check_references(WEB_PAGE_BELOW, "../");
}

/* The policy would stop these; they must not be there to be stopped. */
static void test_nothing_inline(void **state)
{
    (void)state;
    static const char *const pages[] = {WEB_PAGE_ROOT, WEB_PAGE_BELOW};
    static const char *const forbidden[] = {"<style", "style=", "onload", "onclick", "javascript:"};
    for (size_t i = 0; i < 2; i++) {
        char *text = text_of(asset_of(pages[i]));
        for (size_t k = 0; k < sizeof forbidden / sizeof forbidden[0]; k++)
            CHECK_TRUE(forbidden[k], strstr(text, forbidden[k]) == NULL);
        const char *script = strstr(text, "<script");
        CHECK_TRUE("one script, from a file",
                   script != NULL && strstr(script, "></script>") == strchr(script, '>') &&
                       strstr(script + 1, "<script") == NULL);
        free(text);
    }
}

/* Markup is never made from text, and nobody else is talked to. */
static void test_script_is_tame(void **state)
{
    (void)state;
    static const char *const forbidden[] = {
        "innerHTML",    "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
        "new Function", "https://",  "http://localhost",   "WebSocket",      "importScripts",
    };
    size_t n, scripts = 0;
    const struct web_asset *assets = web_assets(&n);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(assets[i].type, "text/javascript", 15) != 0)
            continue;
        scripts++;
        char *text = text_of(&assets[i]);
        for (size_t k = 0; k < sizeof forbidden / sizeof forbidden[0]; k++)
            CHECK_TRUE(forbidden[k], strstr(text, forbidden[k]) == NULL);
        free(text);
    }
    CHECK_EQ("one bundle", scripts, 1);
    CHECK_TRUE("nothing inline is allowed", strstr(web_policy, "unsafe") == NULL);
    CHECK_TRUE("nothing but what is named", strstr(web_policy, "default-src 'none'") != NULL);
}

/* What a first visit costs on the wire. */
static void test_size(void **state)
{
    (void)state;
    size_t n, total = 0;
    const struct web_asset *assets = web_assets(&n);
    for (size_t i = 0; i < n; i++) {
        total += assets[i].gzip_size;
        CHECK_TRUE(assets[i].name, assets[i].gzip_size > 2 && assets[i].gzip[0] == 0x1f &&
                                       assets[i].gzip[1] == 0x8b);
        CHECK_TRUE(assets[i].name, i == 0 || strcmp(assets[i - 1].name, assets[i].name) < 0);
    }
    CHECK_TRUE("under 150 KiB", total < (size_t)150 << 10);
    CHECK_TRUE("no such file", web_find("assets/") == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_refer_to_what_is_embedded),
        cmocka_unit_test(test_nothing_inline),
        cmocka_unit_test(test_script_is_tame),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
