/* The Prometheus query API for Grafana (docs/grafana.md): what its files share. Private to this
 * folder. */
#ifndef FW_API_PROM_H
#define FW_API_PROM_H

#include "api/api_internal.h"
#include "outlook/past.h"
#include "query/query.h"

enum { PROM_SET_BYTES_MAX = 96 << 20 /* of one query's values */ };

/* ---- parameters: of the address, then of a form body; later ones of the same name count less ----
 */

enum { PROM_PARAMS_MAX = 128 };
struct prom_params {
    size_t count;
    struct {
        const char *name, *value;
    } items[PROM_PARAMS_MAX];
};
/* Texts live as long as the request. False: the body is no form, or there are too many. */
bool prom_params_read(struct http_request *request, struct prom_params *params);
/* The first of that name; NULL: none. */
const char *prom_param(const struct prom_params *params, const char *name);

/* ---- series ---- */

struct prom_reader; /* what one query works on */

/* NULL when out of memory. The outlook is the current one, and stays so. */
struct prom_reader *prom_reader_new(struct api *api);
void prom_reader_free(struct prom_reader *reader);
struct query_source prom_reader_source(struct prom_reader *reader);

/* Series' names with what they are, by index; false: no such index. `text` outlives the call only
 * until the next one for names of metrics. */
struct prom_family_text {
    char name[SCHEMA_METRIC_NAME_MAX + 16];
    const char *help;
};
bool prom_family(const struct api *api, size_t index, struct prom_family_text *text);
/* Values of a label over all series, by index. */
bool prom_label_value(struct prom_reader *reader, const char *label, size_t index,
                      const char **value);
/* Names of labels that are not the servers' own, ascending; NULL ends them. */
enum { PROM_LABELS_MAX = 16 };
extern const char *const prom_labels[];

/* ---- requests ---- */

struct prom_request {
    struct api *api;
    struct http_request *request;
    void (*answer)(struct prom_request *r);
    struct prom_params params;
};

/* {"status":"error",...}; 503 says when to come again. */
void prom_reply_error(struct http_request *request, int status, const char *type, const char *text);
/* 400: a parameter is wrong. */
void prom_reply_bad(const struct prom_request *r, const char *name, const char *text);
/* What a parser's or evaluator's status means: 400, 422 or 503. */
void prom_reply_status(const struct prom_request *r, const char *name, enum fw_status status,
                       const struct fw_error *err);
/* {"status":"success","data":... and the end of it. */
void prom_begin(struct fw_buf *buf);
void prom_reply(const struct prom_request *r, struct fw_buf *buf);
void prom_put_labels(struct fw_buf *buf, const struct query_series *series);
/* The parsed `query`, the caller's; false: answered. */
bool prom_get_query(const struct prom_request *r, struct query **query);

/* Answers that do not evaluate: prom_browse.c, prom_rules.c. */
void prom_answer_series(struct prom_request *r);
void prom_answer_labels(struct prom_request *r);
void prom_answer_values(struct prom_request *r);
void prom_answer_metadata(struct prom_request *r);
void prom_answer_buildinfo(struct prom_request *r);
void prom_answer_exemplars(struct prom_request *r);
void prom_answer_format(struct prom_request *r);
void prom_answer_rules(struct prom_request *r);

#endif
