/* The body of POST /feed/data (API contract, section 3) to a batch of samples.
 *
 * A body is {"records":[...]}, a bare array of records, or one record per line (NDJSON). A record
 * is an object: server_name  string, 1 to 128 bytes of printable UTF-8; required timestamp
 * required; ISO 8601 text (without a zone: UTC), or a number: below 1e11 Unix seconds, fraction
 * allowed, from there on Unix milliseconds (1e11 s is the year 5138, 1e11 ms is 1973) status,
 * profile  string; an unknown word counts as none each metric of the schema: a number or a text
 * that is a whole number in JSON's or C's decimal notation; null or absent is a gap All else is
 * ignored. A record with a fault is refused by itself, with the field and the reason; of a metric
 * named twice the last one counts, a server_name or timestamp named twice is a fault.
 *
 * Threads: a decoder serves one thread at a time. */
#ifndef FW_INGEST_JSON_H
#define FW_INGEST_JSON_H

#include "domain/batch.h"
#include "domain/schema.h"

enum {
    INGEST_RECORDS_MAX = 100000,  /* of one body */
    INGEST_JSON_DEPTH = 16,       /* arrays and objects within each other */
    INGEST_KEEP_BYTES = 64 << 20, /* a decoder whose memory went beyond gives it back */
    INGEST_REQUEST_ERRORS_MAX = 4,
};

/* What is wrong with a body as a whole, in the terms of FastAPI with pydantic 2 (API
 * contract, 1.4):
 * {"type":type,"loc":["body",field or offset],"msg":msg,"input":input,"ctx":{"error":...}}. */
struct ingest_request_error {
    const char *type;  /* "missing", "json_invalid", "list_type", "model_attributes_type",
                          "too_long"; constant */
    const char *field; /* second part of loc; NULL when there is none or it is the offset */
    bool has_offset;
    uint64_t offset; /* byte of the fault */
    char msg[96];
    char input[128];     /* JSON: the offending value where it is small, else null or {} */
    char ctx_error[160]; /* "" when there is no ctx */
};

struct ingest_request_errors {
    size_t count;
    struct ingest_request_error entries[INGEST_REQUEST_ERRORS_MAX];
};

enum ingest_json_form {
    INGEST_JSON_ANY,   /* a body of several lines may be NDJSON; one object alone must have
                          "records" */
    INGEST_JSON_LINES, /* the sender said NDJSON: one record per line, also when it is one line */
};

struct ingest_decoder;

/* `schema` outlives the decoder; body_max bounds the bodies it will take. NULL when out of memory.
 */
struct ingest_decoder *ingest_decoder_new(const struct schema *schema, size_t body_max);
void ingest_decoder_free(struct ingest_decoder *decoder);

/* Decodes a body into *batch, which the caller made and which keeps what was in it. FW_OK: the body
 * could be read; batch->records more were seen, each of them is a row of the batch or counted in
 * batch->rejected. Otherwise the batch is as it came, but for names, and errors->count is at least
 * 1: FW_EINVAL  the body as a whole is not what it should be FW_ELIMIT  too long, too deep or too
 * many records FW_ENOMEM */
FW_MUST_CHECK enum fw_status ingest_json(struct ingest_decoder *decoder, const char *body,
                                         size_t len, enum ingest_json_form form,
                                         struct sample_batch *batch,
                                         struct ingest_request_errors *errors);

#endif
