/* The Prometheus query API for Grafana (docs/grafana.md): what its files share. Private to this
 * folder. */
#ifndef FW_API_PROM_H
#define FW_API_PROM_H

#include "api/api_internal.h"
#include "outlook/past.h"
#include "query/query.h"

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
/* Label names, ascending; NULL ends them. */
extern const char *const prom_labels[];

#endif
