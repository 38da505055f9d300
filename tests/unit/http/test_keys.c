#include "support.h"

#include "http/keys.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool opens(struct http_keys *keys, const char *text, enum http_role *role, char *name)
{
    return http_keys_check(keys, text, strlen(text), role, name);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void hash_hex(const char *text, char out[2 * FW_SHA256_SIZE + 1])
{
    unsigned char hash[FW_SHA256_SIZE];
    fw_sha256(text, strlen(text), hash);
    for (size_t i = 0; i < FW_SHA256_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02X", hash[i]);
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        mode_t mode;
        enum fw_status status;
        size_t n;
        const char *key; /* opens with this role */
        enum http_role role;
    } rows[] = {
        {"one bare line",                 "secret-1\n",                               0600, FW_OK,     1, "secret-1", HTTP_ADMIN},
        {"one bare line without its end", "  secret-1  ",                             0400, FW_OK,     1, "secret-1", HTTP_ADMIN},
        {"bare line below a comment",     "# key\n\nsecret-1\r\n",                    0600, FW_OK,     1, "secret-1",
         HTTP_ADMIN                                                                                                             },
        {"named",                         "a:read:k1\nb:write:k2\n# c\nc:admin:k3\n", 0600, FW_OK,     3, "k2",       HTTP_WRITE},
        {"key with colons",               "a:read:k:1:2\n",                           0600, FW_OK,     1, "k:1:2",    HTTP_READ },
        {"plain prefix",                  "a:read:plain:sha256:x\n",                  0600, FW_OK,     1, "sha256:x", HTTP_READ },
        {"same name twice",               "a:read:k1\na:read:k2\n",                   0600, FW_OK,     2, "k2",       HTTP_READ },
        {"empty file",                    "",                                         0600, FW_OK,     0, NULL,       HTTP_OPEN },
        {"comments only",                 "# nothing\n\n",                            0600, FW_OK,     0, NULL,       HTTP_OPEN },
        {"two bare lines",                "secret-1\nsecret-2\n",                     0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"unknown role",                  "a:root:k1\n",                              0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"role open",                     "a:open:k1\n",                              0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"long role",                     "a:administrator:k1\n",                     0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"no name",                       ":read:k1\n",                               0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"bad name",                      "a b:read:k1\n",                            0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"no key",                        "a:read:\n",                                0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"short hash",                    "a:read:sha256:abcd\n",                     0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"64 digits that could be both",
         "a:read:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", 0600,
         FW_EINVAL,                                                                                    0, NULL,       HTTP_OPEN },
        {"good line, then a bad one",     "a:read:k1\nbroken\n",                      0600, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"group may read",                "secret-1\n",                               0640, FW_EINVAL, 0, NULL,       HTTP_OPEN },
        {"all may read",                  "secret-1\n",                               0604, FW_EINVAL, 0, NULL,       HTTP_OPEN },
    };
    char path[] = "/tmp/test_http_keys_XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_keys *keys = http_keys_new();
        struct fw_error err = {0};
        write_file(path, rows[i].text, rows[i].mode);
        CHECK_EQ(rows[i].name, http_keys_add_file(keys, path, &err), rows[i].status);
        CHECK_EQ(rows[i].name, http_keys_count(keys), rows[i].n);
        CHECK_TRUE(rows[i].name,
                   strstr(err.text, "secret") == NULL && strstr(err.text, "k1") == NULL);
        CHECK_EQ(rows[i].name, http_keys_check_file(path, &err) == FW_OK,
                 rows[i].status == FW_OK && rows[i].n > 0);
        enum http_role role = HTTP_OPEN;
        char name[HTTP_KEY_NAME_MAX + 1];
        if (rows[i].key != NULL) {
            CHECK_TRUE(rows[i].name, opens(keys, rows[i].key, &role, name));
            CHECK_EQ(rows[i].name, role, rows[i].role);
        }
        http_keys_free(keys);
    }
    unlink(path);
}

static void test_hashed_file(void **state)
{
    (void)state;
    char path[] = "/tmp/test_http_keys_XXXXXX", hex[65], text[200];
    close(mkstemp(path));
    hash_hex("a secret", hex);
    snprintf(text, sizeof text, "ops:admin:sha256:%s\n", hex);
    write_file(path, text, 0600);
    struct http_keys *keys = http_keys_new();
    struct fw_error err;
    assert_int_equal(http_keys_add_file(keys, path, &err), FW_OK);
    enum http_role role;
    char name[HTTP_KEY_NAME_MAX + 1];
    assert_true(opens(keys, "a secret", &role, name));
    assert_string_equal(name, "ops");
    assert_false(opens(keys, hex, &role, name)); /* who reads the file does not get in */
    http_keys_free(keys);
    unlink(path);
}

static void test_other_files(void **state)
{
    (void)state;
    struct http_keys *keys = http_keys_new();
    struct fw_error err;
    assert_int_equal(http_keys_add_file(keys, "/nonexistent/keys", &err), FW_EIO);
    assert_int_equal(http_keys_add_file(keys, "/tmp", &err), FW_EINVAL);
    assert_int_equal(http_keys_add_file(keys, "/dev/null", &err), FW_EINVAL);
    char path[] = "/tmp/test_http_keys_XXXXXX";
    close(mkstemp(path));
    assert_int_equal(truncate(path, 65537), 0);
    assert_int_equal(http_keys_add_file(keys, path, &err), FW_EINVAL);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not hang */
    assert_int_equal(http_keys_add_file(keys, path, &err), FW_EINVAL);
    unlink(path);
    http_keys_free(keys);
}

static void test_limits(void **state)
{
    (void)state;
    struct http_keys *keys = http_keys_new();
    struct fw_error err;
    char text[HTTP_KEY_TEXT_MAX + 2], name[80];
    memset(text, 'k', sizeof text);
    text[HTTP_KEY_TEXT_MAX + 1] = '\0';
    assert_int_equal(http_keys_add_plain(keys, "a", HTTP_READ, text, &err), FW_EINVAL);
    text[HTTP_KEY_TEXT_MAX] = '\0';
    assert_int_equal(http_keys_add_plain(keys, "a", HTTP_READ, text, &err), FW_OK);
    assert_int_equal(http_keys_add_plain(keys, "a", HTTP_READ, " \t ", &err), FW_EINVAL);
    assert_int_equal(http_keys_add_plain(keys, "", HTTP_READ, "k", &err), FW_EINVAL);
    memset(name, 'n', sizeof name);
    name[65] = '\0';
    assert_int_equal(http_keys_add_plain(keys, name, HTTP_READ, "k", &err), FW_EINVAL);
    for (int i = 1; i < HTTP_KEYS_MAX; i++)
        assert_int_equal(http_keys_add_plain(keys, "a", HTTP_READ, "k", &err), FW_OK);
    assert_int_equal(http_keys_add_plain(keys, "a", HTTP_READ, "k", &err), FW_ELIMIT);
    assert_int_equal(http_keys_count(keys), HTTP_KEYS_MAX);
    http_keys_free(keys);
    http_keys_free(NULL);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (long n = 1; n < 6; n++) {
        fw_alloc_fail_at(n);
        struct http_keys *keys = http_keys_new();
        struct fw_error err;
        enum fw_status status = FW_ENOMEM;
        if (keys != NULL)
            status = http_keys_add_plain(keys, "a", HTTP_READ, "k", &err);
        fw_alloc_fail_at(0);
        assert_true(status == FW_ENOMEM || status == FW_OK);
        if (keys != NULL)
            assert_int_equal(http_keys_count(keys), status == FW_OK);
        http_keys_free(keys);
    }
}

/* The time of a look-up must not tell how much of a key was right. Welch's t over interleaved
 * timings; what the scheduler did to single ones is cut off at the same bound for both. Only a
 * gross leak is looked for: the bound is far above what a loaded machine shows by chance. */
static void test_constant_time(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct http_keys *keys = http_keys_new();
    const char *right = "0123456789abcdef0123456789abcdef";
    char first[33], last[33];
    strcpy(first, right);
    strcpy(last, right);
    first[0] = 'x';
    last[31] = 'x';
    for (int i = 0; i < 16; i++)
        assert_int_equal(http_keys_add_plain(keys, "a", HTTP_READ, right, NULL), FW_OK);
    const struct fw_clock *clock = fw_clock_system();
    double sum[2] = {0}, square[2] = {0};
    long n[2] = {0};
    for (int i = 0; i < N; i++) {
        enum http_role role;
        char name[HTTP_KEY_NAME_MAX + 1];
        const int which = (i ^ i >> 3) & 1;
        const int64_t start = fw_clock_mono_ns(clock);
        assert_false(http_keys_check(keys, which ? first : last, 32, &role, name));
        const double ns = (double)(fw_clock_mono_ns(clock) - start);
        if (ns > 20000)
            continue;
        sum[which] += ns;
        square[which] += ns * ns;
        n[which]++;
    }
    double mean[2], variance[2];
    for (int k = 0; k < 2; k++) {
        mean[k] = sum[k] / (double)n[k];
        variance[k] = (square[k] / (double)n[k] - mean[k] * mean[k]) / (double)n[k];
    }
    const double t = (mean[0] - mean[1]) / sqrt(variance[0] + variance[1]);
    printf("constant time: t = %.2f\n", t);
    assert_true(fabs(t) < 20 || fabs(mean[0] - mean[1]) < 20);
    http_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),         cmocka_unit_test(test_hashed_file),
        cmocka_unit_test(test_other_files),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_constant_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
