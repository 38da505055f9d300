/* The fuzz target's corpus, and crashes that it once found, as a plain test. */
#include "../../../fuzz/fuzz_tft_model_load.c"

#include "golden_dir.h"
#include "support.h"

#include <dirent.h>

static size_t run_all(const char *dir)
{
    char path[GOLDEN_PATH_SIZE], file[GOLDEN_PATH_SIZE + 300];
    const struct dirent *entry;
    size_t n = 0, size;
    (void)snprintf(path, sizeof path, "%s/fuzz/%s", FW_SOURCE_DIR, dir);
    DIR *d = opendir(path);
    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        unsigned char *bytes = golden_bytes(file, &size);
        assert_int_equal(LLVMFuzzerTestOneInput(bytes, size), 0);
        fw_free(bytes);
        n++;
    }
    if (d != NULL)
        closedir(d);
    return n;
}

static void test_corpus(void **state)
{
    (void)state;
    assert_true(run_all("corpus/tft_model_load") >= 2);
}

static void test_crashes(void **state)
{
    (void)state;
    (void)run_all("crashes/tft_model_load");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus),
                                       cmocka_unit_test(test_crashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
