#include "forecast/shipped.h"

#include "base/alloc.h"
#include "tft/model.h"

#include <string.h>

/* FW_MODELS comes from the build: the directory with the model's two files. */
#define EMBED(symbol, file)                                                                        \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 64\n"                                                                         \
            ".globl " #symbol "\n" #symbol ":\n"                                                   \
            ".incbin \"" FW_MODELS "/" file "\"\n"                                                 \
            ".globl " #symbol "_end\n" #symbol "_end:\n"                                           \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const unsigned char symbol[], symbol##_end[]

EMBED(fw_shipped_weights, "forewarn/model.safetensors");
EMBED(fw_shipped_spec, "forewarn/spec.json");

struct forecast_shipped_files forecast_shipped_files(void)
{
    return (struct forecast_shipped_files){
        .weights = fw_shipped_weights,
        .spec = (const char *)fw_shipped_spec,
        .weights_size = (size_t)((uintptr_t)fw_shipped_weights_end - (uintptr_t)fw_shipped_weights),
        .spec_size = (size_t)((uintptr_t)fw_shipped_spec_end - (uintptr_t)fw_shipped_spec),
    };
}

enum fw_status forecast_shipped_open(const struct schema *schema, uint32_t step_s,
                                     struct forecast_model **out, struct fw_error *err)
{
    const struct forecast_shipped_files files = forecast_shipped_files();
    struct tft_model *network;
    *out = NULL;
    unsigned char *weights = fw_malloc(files.weights_size);
    if (weights == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the shipped model");
    memcpy(weights, files.weights, files.weights_size);
    const enum fw_status status = tft_model_load(weights, files.weights_size, files.spec,
                                                 files.spec_size, NULL, &network, err);
    if (status != FW_OK)
        return status;
    return forecast_model_adopt(network, FORECAST_SHIPPED, schema, step_s, out, err);
}

enum fw_status forecast_model_open_named(const char *name, const struct schema *schema,
                                         uint32_t step_s, struct forecast_model **out,
                                         struct fw_error *err)
{
    if (strcmp(name, FORECAST_SHIPPED) == 0)
        return forecast_shipped_open(schema, step_s, out, err);
    return forecast_model_open(name, schema, step_s, NULL, out, err);
}
