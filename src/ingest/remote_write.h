/* Prometheus remote write 1.0: a snappy block that holds a protobuf WriteRequest, read in place.
 *
 *   WriteRequest  1 timeseries*, 3 metadata*          TimeSeries  1 labels*, 2 samples*
 *   Label         1 name, 2 value                     Sample      1 value (double), 2 timestamp
 *
 * Everything else (exemplars, histograms, metadata, what later versions add) is passed over by its
 * wire type. Nothing here allocates but the unpacked body, and no length is believed before it was
 * compared with what is left. Pure functions over bytes from the network; any thread. */
#ifndef FW_INGEST_REMOTE_WRITE_H
#define FW_INGEST_REMOTE_WRITE_H

#include "base/buf.h"
#include "ingest/raw_series.h"

enum {
    REMOTE_WRITE_NAME_MAX = 1024,   /* bytes of a label's name */
    REMOTE_WRITE_VALUE_MAX = 65535, /* bytes of a label's value */
    REMOTE_WRITE_UNPACKED_MAX = 32 << 20,
};

/* What is wrong with one series; its neighbours are read all the same. */
enum remote_write_fault {
    REMOTE_WRITE_FINE,
    REMOTE_WRITE_TOO_MANY_LABELS,
    REMOTE_WRITE_LONG_LABEL,
    REMOTE_WRITE_BAD_UTF8,
    REMOTE_WRITE_NO_NAME, /* no label __name__, or an empty one */
};
const char *remote_write_fault_text(enum remote_write_fault fault);

/* Valid inside the visit. With a fault the labels are not whole, the samples are. */
struct remote_write_series {
    enum remote_write_fault fault;
    struct raw_series id; /* __name__ is its name and not among the labels */
    size_t sample_count;
    const unsigned char *body, *end; /* private: of the TimeSeries message */
};

struct remote_write_sample {
    double value;
    int64_t time_ms;
};

/* A series has ended: the NaN with these very bits, which is no value. */
#define REMOTE_WRITE_STALE UINT64_C(0x7ff0000000000002)
bool remote_write_is_stale(double value);

/* The unpacked body into *out (emptied first). FW_EINVAL: not a snappy block, or it does not hold
 * what it says; FW_ELIMIT: it says more than `max` bytes, or more than a block of this length can
 * hold; nothing is allocated then. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status remote_write_unpack(const void *block, size_t len, size_t max,
                                                 struct fw_buf *out, struct fw_error *err);

/* Calls `visit` for each series, in order; what it returns other than FW_OK ends the walk and is
 * returned. FW_EINVAL: the bytes are no WriteRequest, err->offset says where; series before that
 * place have been visited. */
typedef enum fw_status (*remote_write_visit)(void *ctx, const struct remote_write_series *series);
FW_MUST_CHECK enum fw_status remote_write_read(const void *body, size_t len,
                                               remote_write_visit visit, void *ctx,
                                               struct fw_error *err);

/* Walks the samples of a series: begin with *at = NULL. False after the last one. */
bool remote_write_next(const struct remote_write_series *series, const unsigned char **at,
                       struct remote_write_sample *sample);

#endif
