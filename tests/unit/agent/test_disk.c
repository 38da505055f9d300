#include "support.h"

#include "agent/disk.h"

#define EXT4(id, dev, at) id " 1 " dev " / " at " rw,relatime shared:1 - ext4 /dev/x rw\n"

static void test_mounts(void **state)
{
    (void)state;
    // clang-format off
    static const struct {
        const char *name, *text, *expected; /* paths, joined by '|' */
    } rows[] = {
        {"root and data", EXT4("1", "8:1", "/") EXT4("2", "8:2", "/data"), "/|/data"},
        {"a bind mount counts once, by the shortest path",
         EXT4("1", "8:1", "/srv/deep/bind") EXT4("2", "8:1", "/srv"), "/srv"},
        {"escaped blanks and backslashes", EXT4("1", "8:1", "/a\\040b\\134c"), "/a b\\c"},
        {"in memory", "1 0 0:1 / /tmp rw - tmpfs tmpfs rw\n2 0 0:2 / /r rw - ramfs r rw\n", ""},
        {"images", "1 0 7:1 / /snap/x ro - squashfs /dev/loop1 ro\n", ""},
        {"read-only by the mount", "1 0 8:1 / /m ro,noatime - ext4 /dev/x rw\n", ""},
        {"read-only by the file system", "1 0 8:1 / /m rw,noatime - ext4 /dev/x ro,errors=x\n", ""},
        {"rodata is not ro", "1 0 8:1 / /m rw,rodata - ext4 /dev/x rw\n", "/m"},
        {"boot and run", EXT4("1", "8:1", "/boot/efi") EXT4("2", "8:2", "/run/user/0"), ""},
        {"/boot and /runner count",
         EXT4("1", "8:1", "/boot") EXT4("2", "8:2", "/runner"), "/boot|/runner"},
        {"an overlay as the root and nothing else", "1 0 0:9 / / rw - overlay overlay rw\n", "/"},
        {"an overlay as the root beside a disk",
         "1 0 0:9 / / rw - overlay overlay rw\n" EXT4("2", "8:2", "/data"), "/data"},
        {"an overlay elsewhere", "1 0 0:9 / /var/lib/docker/x rw - overlay overlay rw\n", ""},
        {"network file systems", "1 0 0:9 / /nfs rw - nfs4 host:/x rw\n", ""},
        {"a later mount hides an earlier one",
         EXT4("1", "8:1", "/data") "2 0 0:5 / /data rw - tmpfs tmpfs rw\n", ""},
        {"fuse is not a disk, fuseblk is",
         "1 0 0:9 / /f rw - fuse.sshfs h: rw\n2 0 8:9 / /w rw - fuseblk /dev/sdx rw\n", "/w"},
        {"broken lines are passed over", "nonsense\n\n1 2 3\n" EXT4("1", "8:1", "/"), "/"},
        {"no optional fields, several of them",
         "1 0 8:1 / /a rw - ext4 /dev/a rw\n2 0 8:2 / /b rw shared:1 master:2 - xfs /dev/b rw\n",
         "/a|/b"},
        {"the last line has no end", "1 0 8:1 / /a rw - ext4 /dev/a rw", "/a"},
    };
    // clang-format on
    static struct agent_mount mounts[AGENT_MOUNTS_MAX];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char joined[1024] = "";
        const size_t n = agent_disk_mounts(rows[i].text, mounts);
        for (size_t k = 0; k < n; k++) {
            strcat(joined, k == 0 ? "" : "|");
            strcat(joined, mounts[k].path);
        }
        CHECK_STR(rows[i].name, joined, rows[i].expected);
    }
}

static int space(void *ctx, const char *path, struct agent_space *out)
{
    const char *root = ctx;
    const char *tail = path + strlen(root);
    assert_memory_equal(path, root, strlen(root));
    if (strcmp(tail, "/") == 0) /* df: 40 used of 40 + 40 */
        *out = (struct agent_space){.blocks = 100, .free = 60, .available = 40};
    else if (strcmp(tail, "/srv/my data") == 0)
        *out = (struct agent_space){.blocks = 1000, .free = 250, .available = 250};
    else
        fail_msg("%s is not to be measured", tail);
    return 0;
}

static int no_space(void *ctx, const char *path, struct agent_space *out)
{
    (void)ctx, (void)path, (void)out;
    return -1;
}

static int empty_space(void *ctx, const char *path, struct agent_space *out)
{
    (void)ctx, (void)path;
    *out = (struct agent_space){0, 0, 0};
    return 0;
}

static void test_fullest(void **state)
{
    (void)state;
    char root[] = FW_SOURCE_DIR "/tests/golden/agent/host-1";
    struct agent_disk disk;
    assert_true(agent_disk_read(root, space, root, &disk));
    CHECK_NEAR("the fullest", disk.used_pct, 75.0, 1e-9);
    CHECK_STR("its path", disk.path, "/srv/my data");
    assert_false(agent_disk_read(root, no_space, NULL, &disk));
    assert_false(agent_disk_read(root, empty_space, NULL, &disk));
    assert_false(agent_disk_read("/nowhere", space, root, &disk));
}

/* What this machine's df says, to a percent: its own rounding is upwards. */
static void test_against_df(void **state)
{
    (void)state;
    struct agent_disk disk;
    if (!agent_disk_read("", agent_disk_statvfs, NULL, &disk))
        skip();
    char command[512], line[64] = "";
    snprintf(command, sizeof command, "df --output=pcent '%s' 2>/dev/null | tail -1", disk.path);
    FILE *df = popen(command, "r");
    if (df == NULL)
        skip();
    const bool read = fgets(line, sizeof line, df) != NULL;
    pclose(df);
    double pct = 0;
    if (!read || sscanf(line, "%lf", &pct) != 1)
        skip();
    CHECK_NEAR("df", disk.used_pct, pct, 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mounts),
                                       cmocka_unit_test(test_fullest),
                                       cmocka_unit_test(test_against_df)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
