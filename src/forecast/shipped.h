/* The model that comes with the program (models/forewarn, docs/model.md), embedded when it is
 * built: a daemon has it wherever its one file is. */
#ifndef FW_FORECAST_SHIPPED_H
#define FW_FORECAST_SHIPPED_H

#include "forecast/model.h"

/* What stands for it where a model's path is asked for. */
#define FORECAST_SHIPPED "shipped"

/* Its two files, in the program's memory. */
struct forecast_shipped_files {
    const unsigned char *weights;
    const char *spec;
    size_t weights_size, spec_size;
};
struct forecast_shipped_files forecast_shipped_files(void);

/* As forecast_model_open(). */
FW_MUST_CHECK enum fw_status forecast_shipped_open(const struct schema *schema, uint32_t step_s,
                                                   struct forecast_model **out,
                                                   struct fw_error *err);

/* By a user's word: "shipped", or a model's path. */
FW_MUST_CHECK enum fw_status forecast_model_open_named(const char *name,
                                                       const struct schema *schema, uint32_t step_s,
                                                       struct forecast_model **out,
                                                       struct fw_error *err);

#endif
