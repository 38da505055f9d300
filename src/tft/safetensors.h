/* safetensors files: 8 bytes of little-endian header length, a JSON header, then the tensors' raw
 * little-endian bytes (docs/formats/model.md). Strict: every byte of the data belongs to exactly
 * one tensor. */
#ifndef FW_TFT_SAFETENSORS_H
#define FW_TFT_SAFETENSORS_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TFT_RANK_MAX = 8 };

#define TFT_SAFETENSORS_MAX_BYTES ((size_t)1 << 30) /* of a file */
#define TFT_SAFETENSORS_MAX_HEADER ((size_t)16 << 20)
#define TFT_SAFETENSORS_MAX_TENSORS ((size_t)65536)

enum tft_dtype { TFT_F32, TFT_F64, TFT_I64 };

struct tft_tensor {
    const char *name; /* UTF-8, terminated */
    enum tft_dtype dtype;
    size_t rank;
    size_t shape[TFT_RANK_MAX];
    size_t count;              /* elements: the product of the shape; 1 for rank 0 */
    const unsigned char *data; /* count * element size bytes, little-endian, perhaps unaligned */
};

struct tft_safetensors; /* opaque; immutable, so threads may share one */

/* Takes over `bytes` (from fw_malloc) in every case, failure included. `what` names the file in
 * error texts. On failure *out is NULL and err says why: FW_ECORRUPT (err->offset is a byte where
 * one is known), FW_ELIMIT, FW_ENOMEM. */
FW_MUST_CHECK enum fw_status tft_safetensors_parse(unsigned char *bytes, size_t size,
                                                   const char *what, struct tft_safetensors **out,
                                                   struct fw_error *err);
/* Reads and parses a file; see tft_file_read() for what is refused. */
FW_MUST_CHECK enum fw_status tft_safetensors_open(const char *path, struct tft_safetensors **out,
                                                  struct fw_error *err);
void tft_safetensors_close(struct tft_safetensors *file);

size_t tft_safetensors_count(const struct tft_safetensors *file);
/* In order of name; i < count. */
const struct tft_tensor *tft_safetensors_at(const struct tft_safetensors *file, size_t i);
/* NULL when there is none of that name. */
const struct tft_tensor *tft_safetensors_find(const struct tft_safetensors *file, const char *name);

/* Element i as the type that the tensor has (asserted). */
float tft_tensor_f32(const struct tft_tensor *tensor, size_t i);
double tft_tensor_f64(const struct tft_tensor *tensor, size_t i);
int64_t tft_tensor_i64(const struct tft_tensor *tensor, size_t i);
size_t tft_dtype_size(enum tft_dtype dtype);
const char *tft_dtype_name(enum tft_dtype dtype);
/* "[4, 16]" into text; cut when it does not fit. Returns text. */
const char *tft_shape_text(const size_t *shape, size_t rank, char *text, size_t text_size);

/* One tensor to write; `data` are native elements in row order (this program runs on little-endian
 * machines only). */
struct tft_tensor_out {
    const char *name;
    enum tft_dtype dtype;
    size_t rank;
    size_t shape[TFT_RANK_MAX];
    const void *data;
};

/* Appends a whole file to `buf` (check buf->failed). Tensors keep their order; names must differ
 * (asserted). */
void tft_safetensors_write(struct fw_buf *buf, const struct tft_tensor_out *tensors, size_t n);

#endif
