#include "store_support.h"

#include "store/directory.h"
#include "store/io_fault.h"

#include <errno.h>

static void test_made_locked_versioned(void **state)
{
    (void)state;
    struct store_io_memory *memory = store_io_memory_new(1);
    const struct store_io *io = store_io_memory_io(memory);
    struct store_directory first, second;
    struct fw_error err;
    assert_int_equal(store_directory_init(&first, "/data", io, STORE_DIRECTORY_EXISTING, &err),
                     FW_ENOTFOUND);
    assert_int_equal(store_directory_init(&first, "/data", io, STORE_DIRECTORY_CREATE, &err),
                     FW_OK);
    assert_string_equal(first.log, "/data/log");
    assert_string_equal(first.state, "/data/state.db");
    size_t len;
    assert_memory_equal(store_io_memory_bytes(memory, "/data/FORMAT", &len), "forewarn data 1\n",
                        16);
    assert_true(store_io_memory_is_durable(memory, "/data/FORMAT", 0, 16));
    assert_int_equal(store_directory_init(&second, "/data", io, STORE_DIRECTORY_CREATE, &err),
                     FW_EBUSY);
    assert_non_null(strstr(err.text, "in use by another forewarn"));
    assert_int_equal(store_directory_init(&second, "/data", io, STORE_DIRECTORY_EXISTING, &err),
                     FW_EBUSY);
    assert_int_equal(store_directory_init(&second, "/data", io, STORE_DIRECTORY_LOOK, &err), FW_OK);
    store_directory_fini(&second);
    store_directory_fini(&first);
    assert_int_equal(store_directory_init(&first, "/data", io, STORE_DIRECTORY_CREATE, &err),
                     FW_OK);
    store_directory_fini(&first);
    store_io_memory_free(memory);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name, *file, *content;
        enum fw_status status;
    } rows[] = {
        {"later version", "/data/FORMAT", "forewarn data 2\n", FW_EVERSION},
        {"other format",  "/data/FORMAT", "something else\n",  FW_EINVAL  },
        {"cut format",    "/data/FORMAT", "forewarn",          FW_EINVAL  },
        {"foreign files", "/data/letter", "dear reader\n",     FW_EINVAL  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store_io_memory *memory = store_io_memory_new(1);
        struct store_directory directory;
        struct fw_error err;
        assert_true(
            store_io_memory_put(memory, rows[i].file, rows[i].content, strlen(rows[i].content)));
        const uint64_t changes = store_io_memory_changes(memory);
        CHECK_EQ(rows[i].name,
                 store_directory_init(&directory, "/data", store_io_memory_io(memory),
                                      STORE_DIRECTORY_CREATE, &err),
                 rows[i].status);
        CHECK_EQ(rows[i].name, store_io_memory_changes(memory), changes); /* left alone */
        store_io_memory_free(memory);
    }
}

static void test_failing_calls(void **state)
{
    (void)state;
    static const enum store_io_call calls[] = {
        STORE_IO_OPEN,     STORE_IO_MKDIR, STORE_IO_WRITE, STORE_IO_SYNC_DATA,
        STORE_IO_SYNC_DIR, STORE_IO_LIST,  STORE_IO_LOCK,  STORE_IO_RENAME};
    for (size_t c = 0; c < COUNT_OF(calls); c++) {
        for (uint64_t nth = 1; nth <= 5; nth++) {
            struct store_io_memory *memory = store_io_memory_new(1);
            struct store_io_fault fault;
            struct store_directory directory;
            struct fw_error err;
            store_io_fault_init(&fault, store_io_memory_io(memory));
            store_io_fault_plan(&fault, calls[c], nth, 1, EROFS);
            const enum fw_status status =
                store_directory_init(&directory, "/data", &fault.io, STORE_DIRECTORY_CREATE, &err);
            if (status == FW_OK)
                store_directory_fini(&directory);
            else
                CHECK_TRUE(store_io_call_name(calls[c]),
                           strstr(err.text, "Read-only file system") != NULL);
            store_io_fault_clear(&fault);
            store_io_memory_crash(memory); /* whatever is left can be started from */
            CHECK_EQ(
                store_io_call_name(calls[c]),
                store_directory_init(&directory, "/data", &fault.io, STORE_DIRECTORY_CREATE, &err),
                FW_OK);
            store_directory_fini(&directory);
            store_io_fault_fini(&fault);
            store_io_memory_free(memory);
        }
    }
}

static void test_long_path(void **state)
{
    (void)state;
    char path[STORE_PATH_MAX];
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    struct store_directory directory;
    struct fw_error err;
    assert_int_equal(store_directory_init(&directory, path, NULL, STORE_DIRECTORY_CREATE, &err),
                     FW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_locked_versioned),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_long_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
