#include "http/keys.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "http/negotiate.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024 };

struct key {
    unsigned char hash[FW_SHA256_SIZE];
    enum http_role role;
    char name[HTTP_KEY_NAME_MAX + 1];
};

struct key_list {
    struct key *keys;
    size_t n;
};

struct http_keys {
    pthread_rwlock_t lock;
    struct key_list list;
};

static const char *const role_names[] = {"open", "read", "write", "admin"};

const char *http_role_name(enum http_role role)
{
    assert((size_t)role < COUNT(role_names));
    return role_names[role];
}

bool http_role_parse(const char *text, enum http_role *role)
{
    for (size_t i = HTTP_READ; i < COUNT(role_names); i++)
        if (strcmp(text, role_names[i]) == 0) {
            *role = (enum http_role)i;
            return true;
        }
    return false;
}

struct http_keys *http_keys_new(void)
{
    struct http_keys *keys = fw_calloc(1, sizeof *keys);
    if (keys == NULL)
        return NULL;
    if (pthread_rwlock_init(&keys->lock, NULL) == 0)
        return keys;
    fw_free(keys);
    return NULL;
}

static void list_fini(struct key_list *list)
{
    fw_free(list->keys);
    *list = (struct key_list){0};
}

void http_keys_free(struct http_keys *keys)
{
    if (keys == NULL)
        return;
    list_fini(&keys->list);
    pthread_rwlock_destroy(&keys->lock);
    fw_free(keys);
}

static bool name_valid(const char *name, size_t len)
{
    static const char allowed[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-";
    return len >= 1 && len <= HTTP_KEY_NAME_MAX && strspn(name, allowed) >= len;
}

static enum fw_status list_add(struct key_list *list, const char *name, size_t name_len,
                               enum http_role role, const unsigned char hash[FW_SHA256_SIZE],
                               struct fw_error *err)
{
    if (list->n == HTTP_KEYS_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d keys", HTTP_KEYS_MAX);
    struct key *grown = fw_realloc_array(list->keys, list->n + 1, sizeof *grown);
    if (grown == NULL)
        return fw_fail(err, FW_ENOMEM, "keys");
    list->keys = grown;
    struct key *key = &grown[list->n++];
    *key = (struct key){.role = role};
    memcpy(key->name, name, name_len);
    memcpy(key->hash, hash, FW_SHA256_SIZE);
    return FW_OK;
}

static enum fw_status list_add_plain(struct key_list *list, const char *name, size_t name_len,
                                     enum http_role role, const char *text, size_t len,
                                     struct fw_error *err)
{
    http_trim(&text, &len);
    if (!name_valid(name, name_len))
        return fw_fail(err, FW_EINVAL, "a key's name has 1 to %d of [0-9A-Za-z._-]",
                       HTTP_KEY_NAME_MAX);
    if (len == 0 || len > HTTP_KEY_TEXT_MAX)
        return fw_fail(err, FW_EINVAL, "a key has 1 to %d bytes", HTTP_KEY_TEXT_MAX);
    unsigned char hash[FW_SHA256_SIZE];
    fw_sha256(text, len, hash);
    return list_add(list, name, name_len, role, hash, err);
}

/* Puts `more` behind what is there; `more` is left empty. */
static enum fw_status append(struct http_keys *keys, struct key_list *more, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    pthread_rwlock_wrlock(&keys->lock);
    for (size_t i = 0; i < more->n && status == FW_OK; i++) {
        const struct key *key = &more->keys[i];
        status = list_add(&keys->list, key->name, strlen(key->name), key->role, key->hash, err);
        if (status != FW_OK)
            keys->list.n -= i; /* all or nothing */
    }
    pthread_rwlock_unlock(&keys->lock);
    list_fini(more);
    return status;
}

enum fw_status http_keys_add_plain(struct http_keys *keys, const char *name, enum http_role role,
                                   const char *text, struct fw_error *err)
{
    assert(role > HTTP_OPEN && role <= HTTP_ADMIN);
    struct key_list one = {0};
    const enum fw_status status =
        list_add_plain(&one, name, strlen(name), role, text, strlen(text), err);
    return status == FW_OK ? append(keys, &one, err) : status;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, size_t len, unsigned char hash[FW_SHA256_SIZE])
{
    if (len != 2 * FW_SHA256_SIZE)
        return false;
    for (size_t i = 0; i < FW_SHA256_SIZE; i++) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static bool cut_prefix(const char **text, size_t *len, const char *prefix)
{
    const size_t prefix_len = strlen(prefix);
    if (*len < prefix_len || memcmp(*text, prefix, prefix_len) != 0)
        return false;
    *text += prefix_len;
    *len -= prefix_len;
    return true;
}

/* name:role:secret */
static enum fw_status add_line(struct key_list *list, const char *line, size_t len,
                               struct fw_error *err)
{
    const char *colon = memchr(line, ':', len);
    const char *second =
        colon == NULL ? NULL : memchr(colon + 1, ':', len - (size_t)(colon + 1 - line));
    if (second == NULL)
        return fw_fail(err, FW_EINVAL, "not of the form name:role:key");
    char role_text[8] = "";
    const size_t role_len = (size_t)(second - colon - 1);
    if (role_len < sizeof role_text)
        memcpy(role_text, colon + 1, role_len);
    enum http_role role;
    if (!http_role_parse(role_text, &role))
        return fw_fail(err, FW_EINVAL, "the role is none of read, write, admin");
    const char *secret = second + 1;
    size_t secret_len = (size_t)(line + len - secret);
    http_trim(&secret, &secret_len);
    const size_t name_len = (size_t)(colon - line);
    unsigned char hash[FW_SHA256_SIZE];
    if (!cut_prefix(&secret, &secret_len, "sha256:")) {
        /* 64 digits could be either: a hash taken for a key would let in whoever reads the file. */
        if (!cut_prefix(&secret, &secret_len, "plain:") && read_hex(secret, secret_len, hash))
            return fw_fail(err, FW_EINVAL,
                           "64 hexadecimal digits: write sha256:... or plain:... before them");
        return list_add_plain(list, line, name_len, role, secret, secret_len, err);
    }
    if (!name_valid(line, name_len))
        return fw_fail(err, FW_EINVAL, "a key's name has 1 to %d of [0-9A-Za-z._-]",
                       HTTP_KEY_NAME_MAX);
    if (!read_hex(secret, secret_len, hash))
        return fw_fail(err, FW_EINVAL, "sha256: needs 64 hexadecimal digits");
    return list_add(list, line, name_len, role, hash, err);
}

struct line {
    const char *at;
    size_t len;
    unsigned number;
};

/* The next line that says something; false at the end. */
static bool next_line(const char **at, const char *end, struct line *line)
{
    while (*at < end) {
        const char *stop = memchr(*at, '\n', (size_t)(end - *at));
        if (stop == NULL)
            stop = end;
        line->at = *at;
        line->len = (size_t)(stop - *at);
        line->number++;
        *at = stop + 1;
        if (line->len > 0 && line->at[line->len - 1] == '\r')
            line->len--;
        http_trim(&line->at, &line->len);
        if (line->len > 0 && line->at[0] != '#')
            return true;
    }
    return false;
}

static enum fw_status parse(struct key_list *list, const char *text, size_t len, const char *path,
                            struct fw_error *err)
{
    const char *at = text, *end = text + len;
    struct line line = {0}, next = {0};
    if (!next_line(&at, end, &line))
        return FW_OK;
    const char *ahead = at;
    if (memchr(line.at, ':', line.len) == NULL && !next_line(&ahead, end, &next))
        return list_add_plain(list, "admin", 5, HTTP_ADMIN, line.at, line.len, err);
    do {
        struct fw_error why = {0};
        const enum fw_status status = add_line(list, line.at, line.len, &why);
        if (status != FW_OK)
            return fw_fail_at(err, status, line.number, "%s line %u: %s", path, line.number,
                              why.text);
    } while (next_line(&at, end, &line));
    return FW_OK;
}

/* Opens the file if nobody but its owner can read it; checked on the descriptor, not on the name.
 */
static enum fw_status open_private(const char *path, bool any_owner, int *fd, struct fw_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return fw_fail(err, FW_EIO, "open %s: %s", path, strerror(errno));
    struct stat st;
    enum fw_status status = FW_OK;
    if (fstat(*fd, &st) != 0)
        status = fw_fail(err, FW_EIO, "stat %s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        status = fw_fail(err, FW_EINVAL, "%s is not a regular file", path);
    else if (!any_owner && st.st_uid != geteuid() && st.st_uid != 0)
        status = fw_fail(err, FW_EINVAL, "%s belongs to somebody else", path);
    else if ((st.st_mode & 077) != 0)
        status = fw_fail(err, FW_EINVAL, "%s is open to group or others: chmod 600 it", path);
    else if (st.st_size > FILE_MAX)
        status = fw_fail(err, FW_EINVAL, "%s has more than %d bytes", path, FILE_MAX);
    if (status != FW_OK)
        close(*fd);
    return status;
}

static enum fw_status read_file(struct key_list *list, const char *path, bool any_owner,
                                struct fw_error *err)
{
    int fd;
    enum fw_status status = open_private(path, any_owner, &fd, err);
    if (status != FW_OK)
        return status;
    char *text = fw_malloc(FILE_MAX + 1);
    size_t len = 0;
    ssize_t got = text == NULL ? -1 : 1;
    while (got > 0 && len <= FILE_MAX) {
        got = read(fd, text + len, FILE_MAX + 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (text == NULL)
        status = fw_fail(err, FW_ENOMEM, "keys");
    else if (got < 0)
        status = fw_fail(err, FW_EIO, "read %s: %s", path, strerror(errno));
    else if (len > FILE_MAX)
        status = fw_fail(err, FW_EINVAL, "%s has more than %d bytes", path, FILE_MAX);
    else
        status = parse(list, text, len, path, err);
    fw_free(text);
    close(fd);
    return status;
}

enum fw_status http_keys_add_file(struct http_keys *keys, const char *path, struct fw_error *err)
{
    struct key_list list = {0};
    enum fw_status status = read_file(&list, path, false, err);
    if (status == FW_OK)
        status = append(keys, &list, err);
    list_fini(&list);
    return status;
}

enum fw_status http_keys_check_file(const char *path, struct fw_error *err)
{
    struct key_list list = {0};
    enum fw_status status = read_file(&list, path, true, err);
    if (status == FW_OK && list.n == 0)
        status = fw_fail(err, FW_EINVAL, "key file %s holds no key", path);
    list_fini(&list);
    return status;
}

void http_keys_replace(struct http_keys *keys, struct http_keys *from)
{
    assert(keys != from);
    pthread_rwlock_wrlock(&from->lock);
    struct key_list fresh = from->list;
    from->list = (struct key_list){0};
    pthread_rwlock_unlock(&from->lock);
    pthread_rwlock_wrlock(&keys->lock);
    struct key_list old = keys->list;
    keys->list = fresh;
    pthread_rwlock_unlock(&keys->lock);
    list_fini(&old);
}

size_t http_keys_count(struct http_keys *keys)
{
    pthread_rwlock_rdlock(&keys->lock);
    const size_t n = keys->list.n;
    pthread_rwlock_unlock(&keys->lock);
    return n;
}

/* All bits set when the hashes are equal, none otherwise, without a branch on their bytes. */
static uint32_t equal_mask(const unsigned char *a, const unsigned char *b)
{
    uint32_t difference = 0;
    for (size_t i = 0; i < FW_SHA256_SIZE; i++)
        difference |= (uint32_t)(a[i] ^ b[i]);
    return (uint32_t)0 - ((difference - 1) >> 31);
}

bool http_keys_check(struct http_keys *keys, const char *text, size_t len, enum http_role *role,
                     char name[HTTP_KEY_NAME_MAX + 1])
{
    http_trim(&text, &len);
    unsigned char hash[FW_SHA256_SIZE];
    fw_sha256(text, len, hash);
    uint32_t found = 0; /* 1 + index of the last equal one */
    pthread_rwlock_rdlock(&keys->lock);
    for (uint32_t i = 0; i < keys->list.n; i++) {
        const uint32_t mask = equal_mask(hash, keys->list.keys[i].hash);
        found = (found & ~mask) | ((i + 1) & mask);
    }
    if (found != 0) {
        *role = keys->list.keys[found - 1].role;
        memcpy(name, keys->list.keys[found - 1].name, HTTP_KEY_NAME_MAX + 1);
    }
    pthread_rwlock_unlock(&keys->lock);
    return found != 0;
}
