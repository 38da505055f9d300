#include "tft/safetensors.h"

#include "base/alloc.h"
#include "base/json.h"
#include "tft/file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor bytes are used as they are");

enum { LENGTH_BYTES = 8, HEADER_DEPTH = 8, NAME_BYTES_MAX = 1024 };

struct tft_safetensors {
    unsigned char *bytes;
    char *names; /* every tensor's name, terminated, one after the other */
    struct tft_tensor *tensors;
    size_t n;
};

/* What reading the header needs beside the result. */
struct reader {
    const char *what;
    struct tft_safetensors *file;
    size_t data_at, data_size;
    char *names_at;
    struct fw_error *err;
};

size_t tft_dtype_size(enum tft_dtype dtype)
{
    return dtype == TFT_F32 ? 4 : 8;
}

const char *tft_dtype_name(enum tft_dtype dtype)
{
    static const char *const names[] = {"F32", "F64", "I64"};
    return names[dtype];
}

static bool dtype_of(const char *text, enum tft_dtype *dtype)
{
    for (enum tft_dtype d = TFT_F32; d <= TFT_I64; d++) {
        if (strcmp(text, tft_dtype_name(d)) == 0) {
            *dtype = d;
            return true;
        }
    }
    return false;
}

const char *tft_shape_text(const size_t *shape, size_t rank, char *text, size_t text_size)
{
    size_t at = (size_t)snprintf(text, text_size, "[");
    for (size_t i = 0; i < rank && at < text_size; i++)
        at += (size_t)snprintf(text + at, text_size - at, i == 0 ? "%zu" : ", %zu", shape[i]);
    if (at < text_size)
        (void)snprintf(text + at, text_size - at, "]");
    return text;
}

static enum fw_status bad(const struct reader *r, const char *tensor, const char *why)
{
    return fw_fail(r->err, FW_ECORRUPT, "%s: tensor %.80s: %s", r->what, tensor, why);
}

static enum fw_status read_shape(const struct reader *r, struct fw_json_value value,
                                 struct tft_tensor *t)
{
    if (fw_json_type(value) != FW_JSON_ARRAY)
        return bad(r, t->name, "the shape is not an array");
    if (fw_json_count(value) > TFT_RANK_MAX)
        return bad(r, t->name, "more than 8 dimensions");
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value item;
    t->rank = 0;
    t->count = 1;
    while (fw_json_next(&iter, &item)) {
        int64_t size;
        if (!fw_json_int64(item, &size) || size < 0)
            return bad(r, t->name, "a dimension is not a whole number of zero or more");
        if (size != 0 && t->count > SIZE_MAX / 16 / (uint64_t)size)
            return bad(r, t->name, "the product of the dimensions overflows");
        t->shape[t->rank++] = (size_t)size;
        t->count *= (size_t)size;
    }
    return FW_OK;
}

static enum fw_status read_offsets(const struct reader *r, struct fw_json_value value,
                                   size_t offsets[2], const char *name)
{
    if (fw_json_type(value) != FW_JSON_ARRAY || fw_json_count(value) != 2)
        return bad(r, name, "data_offsets is not a pair");
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value item;
    for (size_t i = 0; fw_json_next(&iter, &item); i++) {
        int64_t at;
        if (!fw_json_int64(item, &at) || at < 0)
            return bad(r, name, "an offset is not a whole number of zero or more");
        if ((uint64_t)at > r->data_size)
            return bad(r, name, "an offset lies past the end of the file");
        offsets[i] = (size_t)at;
    }
    return offsets[0] <= offsets[1] ? FW_OK : bad(r, name, "its end lies before its start");
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, each once and nothing else. */
static enum fw_status read_tensor(const struct reader *r, struct fw_json_value value,
                                  struct tft_tensor *t)
{
    size_t offsets[2] = {0, 0};
    unsigned seen[3] = {0, 0, 0};
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value field;
    const char *key;
    size_t len;
    if (fw_json_type(value) != FW_JSON_OBJECT)
        return bad(r, t->name, "not an object");
    while (fw_json_next_member(&iter, &key, &len, &field)) {
        enum fw_status status = FW_OK;
        if (strcmp(key, "dtype") == 0) {
            const char *text = fw_json_string(field, &len);
            if (text == NULL || !dtype_of(text, &t->dtype))
                return bad(r, t->name, "its type is none of F32, F64, I64");
            seen[0]++;
        } else if (strcmp(key, "shape") == 0) {
            status = read_shape(r, field, t);
            seen[1]++;
        } else if (strcmp(key, "data_offsets") == 0) {
            status = read_offsets(r, field, offsets, t->name);
            seen[2]++;
        } else {
            return bad(r, t->name, "has a field beside dtype, shape and data_offsets");
        }
        if (status != FW_OK)
            return status;
    }
    if (seen[0] != 1 || seen[1] != 1 || seen[2] != 1)
        return bad(r, t->name, "dtype, shape and data_offsets must each be there once");
    if (t->count * tft_dtype_size(t->dtype) != offsets[1] - offsets[0])
        return bad(r, t->name, "its shape and its bytes do not agree");
    t->data = r->file->bytes + r->data_at + offsets[0];
    return FW_OK;
}

static enum fw_status check_metadata(const struct reader *r, struct fw_json_value value)
{
    struct fw_json_iter iter = fw_json_walk(value);
    struct fw_json_value item;
    if (fw_json_type(value) != FW_JSON_OBJECT)
        return fw_fail(r->err, FW_ECORRUPT, "%s: __metadata__ is not an object", r->what);
    while (fw_json_next(&iter, &item)) {
        if (fw_json_type(item) != FW_JSON_STRING)
            return fw_fail(r->err, FW_ECORRUPT, "%s: __metadata__ holds something that is not text",
                           r->what);
    }
    return FW_OK;
}

static enum fw_status read_entries(struct reader *r, struct fw_json_value root)
{
    struct fw_json_iter iter = fw_json_walk(root);
    struct fw_json_value value;
    const char *key;
    size_t len, metadata = 0;
    while (fw_json_next_member(&iter, &key, &len, &value)) {
        enum fw_status status;
        if (strcmp(key, "__metadata__") == 0) {
            if (metadata++ != 0)
                return fw_fail(r->err, FW_ECORRUPT, "%s: __metadata__ is there twice", r->what);
            status = check_metadata(r, value);
        } else {
            if (len == 0 || len > NAME_BYTES_MAX || strlen(key) != len)
                return fw_fail(r->err, FW_ECORRUPT,
                               "%s: a tensor's name is empty, too long or holds NUL", r->what);
            struct tft_tensor *t = &r->file->tensors[r->file->n++];
            t->name = memcpy(r->names_at, key, len + 1);
            r->names_at += len + 1;
            status = read_tensor(r, value, t);
        }
        if (status != FW_OK)
            return status;
    }
    return FW_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct tft_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->count > y->count) -
           (x->count < y->count); /* an empty tensor comes before its neighbour */
}

static int by_name(const void *a, const void *b)
{
    const struct tft_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Each byte of the data belongs to one tensor; no two tensors share a name. Leaves them in order of
 * name. */
static enum fw_status check_cover(const struct reader *r)
{
    struct tft_safetensors *file = r->file;
    const unsigned char *at = file->bytes + r->data_at;
    const unsigned char *end = at + r->data_size;
    qsort(file->tensors, file->n, sizeof *file->tensors, by_place);
    for (size_t i = 0; i < file->n; i++) {
        const struct tft_tensor *t = &file->tensors[i];
        if (t->data != at)
            return bad(r, t->name,
                       t->data < at ? "overlaps another one"
                                    : "bytes before it belong to no tensor");
        at += t->count * tft_dtype_size(t->dtype);
    }
    if (at != end)
        return fw_fail_at(r->err, FW_ECORRUPT, (uint64_t)(at - file->bytes),
                          "%s: %zu bytes after the last tensor", r->what, (size_t)(end - at));
    qsort(file->tensors, file->n, sizeof *file->tensors, by_name);
    for (size_t i = 1; i < file->n; i++) {
        if (strcmp(file->tensors[i - 1].name, file->tensors[i].name) == 0)
            return bad(r, file->tensors[i].name, "is there twice");
    }
    return FW_OK;
}

/* The length of the header, or an error: it must fit the file and the limit. */
static enum fw_status header_size(const unsigned char *bytes, size_t size, const char *what,
                                  size_t *len, struct fw_error *err)
{
    if (size < LENGTH_BYTES)
        return fw_fail(err, FW_ECORRUPT, "%s: %zu bytes are too few for a safetensors file", what,
                       size);
    uint64_t n;
    memcpy(&n, bytes, sizeof n);
    if (n > size - LENGTH_BYTES)
        return fw_fail(err, FW_ECORRUPT, "%s: the header's length %" PRIu64 " goes beyond the file",
                       what, n);
    if (n > TFT_SAFETENSORS_MAX_HEADER)
        return fw_fail(err, FW_ELIMIT, "%s: a header of %" PRIu64 " bytes, the limit is %zu", what,
                       n, TFT_SAFETENSORS_MAX_HEADER);
    if (n < 2 || bytes[LENGTH_BYTES] != '{')
        return fw_fail_at(err, FW_ECORRUPT, LENGTH_BYTES, "%s: the header does not begin with '{'",
                          what);
    *len = (size_t)n;
    return FW_OK;
}

static enum fw_status parse_header(struct reader *r, struct fw_json_parser *json, size_t len)
{
    struct fw_json_value root;
    struct fw_error inner;
    const char *header = (const char *)r->file->bytes + LENGTH_BYTES;
    if (fw_json_parse(json, header, len, &root, &inner) != FW_OK) {
        if (inner.status == FW_ENOMEM)
            return fw_fail(r->err, FW_ENOMEM, "%s: header of %zu bytes", r->what, len);
        return fw_fail_at(r->err, FW_ECORRUPT, inner.offset + LENGTH_BYTES, "%s: header: %.160s",
                          r->what, inner.text);
    }
    const size_t entries = fw_json_count(root);
    if (fw_json_type(root) != FW_JSON_OBJECT || entries > TFT_SAFETENSORS_MAX_TENSORS)
        return fw_fail(r->err, FW_ECORRUPT,
                       "%s: the header is no object, or names too many tensors", r->what);
    r->file->tensors = fw_calloc(entries + 1, sizeof *r->file->tensors);
    r->file->names = fw_malloc(len); /* a name is shorter than its entry in the header */
    if (r->file->tensors == NULL || r->file->names == NULL)
        return fw_fail(r->err, FW_ENOMEM, "%s: table of %zu tensors", r->what, entries);
    r->names_at = r->file->names;
    const enum fw_status status = read_entries(r, root);
    return status == FW_OK ? check_cover(r) : status;
}

enum fw_status tft_safetensors_parse(unsigned char *bytes, size_t size, const char *what,
                                     struct tft_safetensors **out, struct fw_error *err)
{
    struct reader r = {.what = what, .err = err};
    struct fw_json_parser *json = NULL;
    size_t len = 0;
    *out = NULL;
    r.file = fw_calloc(1, sizeof *r.file);
    if (r.file == NULL) {
        fw_free(bytes);
        return fw_fail(err, FW_ENOMEM, "%s", what);
    }
    r.file->bytes = bytes;
    enum fw_status status = header_size(bytes, size, what, &len, err);
    if (status == FW_OK) {
        r.data_at = LENGTH_BYTES + len;
        r.data_size = size - r.data_at;
        json = fw_json_parser_new(TFT_SAFETENSORS_MAX_HEADER, HEADER_DEPTH);
        status = json == NULL ? fw_fail(err, FW_ENOMEM, "%s", what) : parse_header(&r, json, len);
    }
    fw_json_parser_free(json);
    if (status == FW_OK)
        *out = r.file;
    else
        tft_safetensors_close(r.file);
    return status;
}

enum fw_status tft_safetensors_open(const char *path, struct tft_safetensors **out,
                                    struct fw_error *err)
{
    char dir[4096];
    const char *name;
    int fd;
    *out = NULL;
    if (!tft_file_split(path, dir, sizeof dir, &name))
        return fw_fail(err, FW_EINVAL, "%s: not the path of a file", path);
    enum fw_status status = tft_file_open_dir(dir, &fd, err);
    if (status != FW_OK)
        return status;
    unsigned char *bytes;
    size_t size = 0;
    status = tft_file_read(fd, name, TFT_SAFETENSORS_MAX_BYTES, false, &bytes, &size, err);
    close(fd);
    return status == FW_OK ? tft_safetensors_parse(bytes, size, name, out, err) : status;
}

void tft_safetensors_close(struct tft_safetensors *file)
{
    if (file == NULL)
        return;
    fw_free(file->tensors);
    fw_free(file->names);
    fw_free(file->bytes);
    fw_free(file);
}

size_t tft_safetensors_count(const struct tft_safetensors *file)
{
    return file->n;
}

const struct tft_tensor *tft_safetensors_at(const struct tft_safetensors *file, size_t i)
{
    assert(i < file->n);
    return &file->tensors[i];
}

static int name_against(const void *key, const void *element)
{
    return strcmp(key, ((const struct tft_tensor *)element)->name);
}

const struct tft_tensor *tft_safetensors_find(const struct tft_safetensors *file, const char *name)
{
    return bsearch(name, file->tensors, file->n, sizeof *file->tensors, name_against);
}

float tft_tensor_f32(const struct tft_tensor *tensor, size_t i)
{
    float value;
    assert(tensor->dtype == TFT_F32 && i < tensor->count);
    memcpy(&value, tensor->data + i * sizeof value, sizeof value);
    return value;
}

double tft_tensor_f64(const struct tft_tensor *tensor, size_t i)
{
    double value;
    assert(tensor->dtype == TFT_F64 && i < tensor->count);
    memcpy(&value, tensor->data + i * sizeof value, sizeof value);
    return value;
}

int64_t tft_tensor_i64(const struct tft_tensor *tensor, size_t i)
{
    int64_t value;
    assert(tensor->dtype == TFT_I64 && i < tensor->count);
    memcpy(&value, tensor->data + i * sizeof value, sizeof value);
    return value;
}

static size_t out_bytes(const struct tft_tensor_out *t)
{
    size_t count = 1;
    for (size_t d = 0; d < t->rank; d++)
        count *= t->shape[d];
    return count * tft_dtype_size(t->dtype);
}

static void write_header(struct fw_buf *buf, const struct tft_tensor_out *tensors, size_t n)
{
    size_t at = 0;
    fw_buf_puts(buf, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const struct tft_tensor_out *t = &tensors[i];
        const size_t bytes = out_bytes(t);
        char shape[256];
        fw_buf_putc(buf, ',');
        fw_buf_json_key(buf, t->name);
        fw_buf_printf(buf, "{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                      tft_dtype_name(t->dtype),
                      tft_shape_text(t->shape, t->rank, shape, sizeof shape), at, at + bytes);
        at += bytes;
    }
    fw_buf_putc(buf, '}');
}

void tft_safetensors_write(struct fw_buf *buf, const struct tft_tensor_out *tensors, size_t n)
{
    static const char length_placeholder[LENGTH_BYTES];
    const size_t start = buf->len;
    fw_buf_put(buf, length_placeholder, sizeof length_placeholder);
    write_header(buf, tensors, n);
    while (!buf->failed && (buf->len - start) % 8 != 0)
        fw_buf_putc(buf, ' '); /* tensors begin at a multiple of their element size */
    if (!buf->failed) {
        const uint64_t len = buf->len - start - LENGTH_BYTES;
        memcpy(buf->data + start, &len, sizeof len);
    }
    for (size_t i = 0; i < n; i++)
        fw_buf_put(buf, tensors[i].data, out_bytes(&tensors[i]));
}
