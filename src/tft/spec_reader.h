/* Reading spec.json: what its parts share. Internal to spec*.c. Every reading function returns a
 * status and fills the reader's err; `field` in texts is the field's name. */
#ifndef FW_TFT_SPEC_READER_H
#define FW_TFT_SPEC_READER_H

#include "base/arena.h"
#include "base/json.h"
#include "tft/spec.h"

struct tft_spec_reader {
    const char *what;
    struct tft_spec *spec;
    struct arena memory;
    struct fw_json_value root;
    struct fw_error *err;
};

/* FW_ECORRUPT, FW_EVERSION, FW_ELIMIT. */
FW_MUST_CHECK enum fw_status tft_spec_wrong(const struct tft_spec_reader *r, const char *field,
                                            const char *why);
FW_MUST_CHECK enum fw_status tft_spec_unsupported(const struct tft_spec_reader *r,
                                                  const char *field, const char *why);
FW_MUST_CHECK enum fw_status tft_spec_too_big(const struct tft_spec_reader *r, const char *field);

bool tft_spec_is_null(struct fw_json_value value);
/* A member that is there and not null. */
bool tft_spec_member(struct fw_json_value object, const char *key, struct fw_json_value *value);

/* Texts live in the reader's memory. */
FW_MUST_CHECK enum fw_status tft_spec_keep_text(struct tft_spec_reader *r, const char *text,
                                                size_t len, const char *field, const char **out);
FW_MUST_CHECK enum fw_status tft_spec_read_text(struct tft_spec_reader *r,
                                                struct fw_json_value value, const char *field,
                                                const char **out);
/* A list of names; an absent one is empty. */
FW_MUST_CHECK enum fw_status tft_spec_read_names(struct tft_spec_reader *r,
                                                 struct fw_json_value object, const char *field,
                                                 size_t max, struct tft_names *out);
/* A whole number from low to high. */
FW_MUST_CHECK enum fw_status tft_spec_read_count(struct tft_spec_reader *r,
                                                 struct fw_json_value object, const char *field,
                                                 size_t low, size_t high, size_t *out);
/* The same where the field may be absent, or a list (then 0 as well). */
void tft_spec_read_hint(struct fw_json_value object, const char *field, size_t *out);
FW_MUST_CHECK enum fw_status tft_spec_read_pair(struct tft_spec_reader *r,
                                                struct fw_json_value object, const char *field,
                                                const char *first, struct tft_pair *out);

/* Parts of the file, in the order in which they build on each other. */
FW_MUST_CHECK enum fw_status tft_spec_read_reals(struct tft_spec_reader *r); /* spec_inputs.c */
FW_MUST_CHECK enum fw_status tft_spec_read_categoricals(struct tft_spec_reader *r);
FW_MUST_CHECK enum fw_status tft_spec_read_all_variables(struct tft_spec_reader *r);
FW_MUST_CHECK enum fw_status
tft_spec_read_normalizers(struct tft_spec_reader *r); /* spec_scales.c */
FW_MUST_CHECK enum fw_status tft_spec_read_output_scale(struct tft_spec_reader *r);
FW_MUST_CHECK enum fw_status tft_spec_read_group_names(struct tft_spec_reader *r);

#endif
