#include "train/ladder_form.h"

#include "forecast/ladder.h"

/* "key":["fixed_0",...] of the inputs first .. first + n - 1 */
static void put_names(struct fw_buf *b, const char *key, size_t first, size_t n)
{
    fw_buf_puts(b, ",\n ");
    fw_buf_json_key(b, key);
    for (size_t i = 0; i < n; i++) {
        char name[LADDER_NAME_SIZE];
        ladder_input_name(first + i, name);
        fw_buf_printf(b, "%s\"%s\"", i == 0 ? "[" : ",", name);
    }
    fw_buf_putc(b, ']');
}

void train_ladder_write_spec(struct fw_buf *b)
{
    fw_buf_printf(
        b,
        "{\"format_version\":1,\n \"name\":\"forewarn\",\n \"dims\":{"
        "\"max_encoder_length\":%d,\"min_encoder_length\":%d,\"max_prediction_length\":%d},"
        "\n \"quantiles\":[0.1,0.5,0.9],\n \"targets\":[\"" LADDER_TARGET "\"]",
        LADDER_PAST, LADDER_PAST, LADDER_AHEAD);
    put_names(b, "static_reals", 0, LADDER_FIXED_INPUTS);
    put_names(b, "encoder_reals", LADDER_FIXED_INPUTS, LADDER_PAST_INPUTS);
    put_names(b, "decoder_reals", LADDER_FIXED_INPUTS + LADDER_PAST_INPUTS, LADDER_AHEAD_INPUTS);
    put_names(b, "x_reals", 0, LADDER_INPUTS);
    fw_buf_puts(b, ",\n \"static_categoricals\":[],\n \"encoder_categoricals\":[],"
                   "\n \"decoder_categoricals\":[],\n \"x_categoricals\":[],"
                   "\n \"categoricals\":{},\n \"scalers\":{");
    for (size_t i = 0; i < LADDER_INPUTS; i++) {
        char name[LADDER_NAME_SIZE];
        ladder_input_name(i, name);
        fw_buf_printf(b, "%s\"%s\":{\"type\":\"StandardScaler\",\"mean\":0,\"scale\":1}",
                      i == 0 ? "\n  " : ",\n  ", name);
    }
    fw_buf_puts(b, "},\n \"output_scale\":\"own\",\n \"target_normalizer\":{\"type\":"
                   "\"TorchNormalizer\",\"norm\":{\"center\":0,\"scale\":1}}}\n");
}

void train_ladder_begin(struct tft_learner *learner)
{
    float *params = tft_learner_params(learner);
    const struct tft_net *net = tft_learner_net(learner);
    for (size_t q = 0; q < LADDER_QUANTILES; q++)
        params[net->output.bias + q] = (float)q - 1.0f;
    tft_learner_changed(learner);
}
