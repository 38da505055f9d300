#include "cli/model.h"

#include "base/buf.h"
#include "tft/import.h"
#include "tft/model.h"
#include "tft/parallel.h"
#include "tft/compile.h"
#include "tft/run_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FINE, EXIT_FAILURE_, EXIT_USAGE, INFO_BYTES_MAX = 1 << 24, QUANTILE_DECIMALS = 6 };

static const char usage_text[] =
    "usage: forewarn model info PATH [--json]\n"
    "       forewarn model check PATH\n"
    "       forewarn model run [--model] PATH --input IN.safetensors --output OUT.safetensors\n"
    "                          [--path plain|compiled] [--threads N]\n"
    "       forewarn model import PATH --out DIR [--spec SPEC.json]\n"
    "PATH is a model directory (model.safetensors and spec.json), or the .safetensors file in "
    "one.\n"
    "info    what the model expects and gives\n"
    "check   every reason why it would be refused; exit code 0 when there is none\n"
    "run     the raw forward pass on tensors, for parity with other implementations\n"
    "import  checks the model and copies it; tools/export_pytorch_forecasting.py writes the spec "
    "of a\n"
    "        pytorch-forecasting model\n";

/* What the options say; NULL where one was not given. */
struct options {
    const char *path, *input, *output, *engine, *threads, *out, *spec;
    bool json;
};

static int usage(const char *format, ...) FW_PRINTF(1, 2);
static int usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "forewarn model: ");
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\n%s", usage_text);
    va_end(args);
    return EXIT_USAGE;
}

/* The place for the value of an option, NULL for an unknown one. */
static const char **place_of(struct options *o, const char *name)
{
    const struct {
        const char *name;
        const char **place;
    } known[] = {
        {"--model",   &o->path   },
        {"--input",   &o->input  },
        {"--output",  &o->output },
        {"--path",    &o->engine },
        {"--threads", &o->threads},
        {"--out",     &o->out    },
        {"--spec",    &o->spec   },
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        const size_t len = strlen(known[i].name);
        if (strncmp(name, known[i].name, len) == 0 && (name[len] == '\0' || name[len] == '='))
            return known[i].place;
    }
    return NULL;
}

/* 0, or the exit code after a message. Takes "--name value" and "--name=value". */
static int parse(int argc, char **argv, struct options *o)
{
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (strncmp(arg, "--", 2) != 0) {
            if (o->path != NULL)
                return usage("one model at a time, not also %s", arg);
            o->path = arg;
            continue;
        }
        if (strcmp(arg, "--json") == 0) {
            o->json = true;
            continue;
        }
        const char **place = place_of(o, arg);
        const char *equals = strchr(arg, '=');
        if (place == NULL)
            return usage("no option %s", arg);
        if (equals == NULL && i + 1 == argc)
            return usage("%s needs a value", arg);
        *place = equals != NULL ? equals + 1 : argv[++i];
    }
    return o->path == NULL ? usage("which model?") : 0;
}

/* ctx: where the model's path stands. */
static void say_reason(void *ctx, const char *text)
{
    (void)fprintf(stderr, "forewarn model: %s: %s\n", *(const char *const *)ctx, text);
}

static struct tft_model *open_or_say(const char *path)
{
    struct tft_model *model;
    struct fw_error err;
    if (tft_model_open(path, NULL, &model, &err) == FW_OK)
        return model;
    (void)fprintf(stderr, "forewarn model: %s: %s\n", path, err.text);
    return NULL;
}

static const char *variable_name(const struct tft_spec *spec, struct tft_variable v)
{
    return v.categorical ? spec->categoricals[v.column].name : spec->reals[v.column].name;
}

static void text_list(const char *title, const struct tft_spec *spec,
                      const struct tft_variables *list)
{
    printf("%-18s", title);
    for (size_t i = 0; i < list->n; i++)
        printf(" %s", variable_name(spec, list->item[i]));
    printf("%s\n", list->n == 0 ? " -" : "");
}

static void info_text(const struct tft_model *model)
{
    const struct tft_spec *s = tft_model_spec(model);
    const struct tft_model_info info = tft_model_info(model);
    printf("%-18s %s\n", "name", s->name[0] == '\0' ? "-" : s->name);
    printf("%-18s %zu (%zu bytes resident)\n", "parameters", info.parameters, info.resident_bytes);
    printf("%-18s hidden %zu, heads %zu, LSTM layers %zu\n", "network", info.hidden, info.heads,
           info.lstm_layers);
    printf("%-18s %zu to %zu steps of history, %zu ahead\n", "window", s->history_min,
           s->history_max, s->horizon);
    printf("%-18s", "targets");
    for (size_t i = 0; i < s->n_targets; i++)
        printf(" %s", s->targets[i]);
    printf("\n%-18s", "quantiles");
    for (size_t i = 0; i < s->n_quantiles; i++)
        printf(" %g", s->quantiles[i]);
    printf("\n");
    text_list("static", s, &s->stat);
    text_list("history", s, &s->encoder);
    text_list("horizon", s, &s->decoder);
    printf("%-18s %s\n", "output scale",
           s->output_scale_shifted ? "shifted (as pytorch-forecasting trains)" : "own");
    printf("%-18s %zu\n", "known servers", s->normalizers[0].n_groups);
    printf("%-18s %s\n", "sha256", info.sha256);
    printf("%-18s %s\n", "kernels", info.kernels);
}

static void json_names(struct fw_buf *b, const char *key, size_t n, const char *const *names)
{
    fw_buf_putc(b, ',');
    fw_buf_json_key(b, key);
    fw_buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i != 0)
            fw_buf_putc(b, ',');
        fw_buf_json_string(b, names[i], strlen(names[i]));
    }
    fw_buf_putc(b, ']');
}

static void json_variables(struct fw_buf *b, const char *key, const struct tft_spec *spec,
                           const struct tft_variables *list)
{
    const char *names[TFT_VARIABLES_MAX];
    for (size_t i = 0; i < list->n; i++)
        names[i] = variable_name(spec, list->item[i]);
    json_names(b, key, list->n, names);
}

static void json_count(struct fw_buf *b, const char *key, size_t value)
{
    fw_buf_putc(b, ',');
    fw_buf_json_key(b, key);
    fw_buf_put_i64(b, (int64_t)value);
}

static void json_text(struct fw_buf *b, const char *key, const char *value)
{
    fw_buf_putc(b, ',');
    fw_buf_json_key(b, key);
    fw_buf_json_string(b, value, strlen(value));
}

static void info_json(const struct tft_model *model, struct fw_buf *b)
{
    const struct tft_spec *s = tft_model_spec(model);
    const struct tft_model_info info = tft_model_info(model);
    fw_buf_putc(b, '{');
    fw_buf_json_key(b, "name");
    fw_buf_json_string(b, s->name, strlen(s->name));
    json_count(b, "parameters", info.parameters);
    json_count(b, "hidden_size", info.hidden);
    json_count(b, "attention_heads", info.heads);
    json_count(b, "lstm_layers", info.lstm_layers);
    json_count(b, "history_min_steps", s->history_min);
    json_count(b, "history_max_steps", s->history_max);
    json_count(b, "horizon_steps", s->horizon);
    json_names(b, "targets", s->n_targets, s->targets);
    fw_buf_puts(b, ",\"quantiles\":[");
    for (size_t i = 0; i < s->n_quantiles; i++) {
        if (i != 0)
            fw_buf_putc(b, ',');
        fw_buf_json_number(b, s->quantiles[i], QUANTILE_DECIMALS);
    }
    fw_buf_putc(b, ']');
    json_variables(b, "static_variables", s, &s->stat);
    json_variables(b, "encoder_variables", s, &s->encoder);
    json_variables(b, "decoder_variables", s, &s->decoder);
    json_text(b, "output_scale", s->output_scale_shifted ? "shifted" : "own");
    json_count(b, "known_servers", s->normalizers[0].n_groups);
    json_count(b, "weights_bytes", info.weights_bytes);
    json_count(b, "resident_bytes", info.resident_bytes);
    json_text(b, "sha256", info.sha256);
    json_text(b, "kernels", info.kernels);
    fw_buf_puts(b, "}\n");
}

static int info(const struct options *o)
{
    struct tft_model *model = open_or_say(o->path);
    struct fw_buf buf;
    int code = EXIT_FINE;
    if (model == NULL)
        return EXIT_FAILURE_;
    fw_buf_init(&buf, INFO_BYTES_MAX);
    if (o->json)
        info_json(model, &buf);
    else
        info_text(model);
    if (buf.failed || (buf.len != 0 && fwrite(buf.data, 1, buf.len, stdout) != buf.len))
        code = EXIT_FAILURE_;
    fw_buf_fini(&buf);
    tft_model_close(model);
    return code;
}

static int check(const struct options *o)
{
    struct tft_model *model;
    const char *path = o->path;
    const struct tft_report report = {say_reason, &path};
    if (tft_model_open(o->path, &report, &model, NULL) != FW_OK)
        return EXIT_FAILURE_;
    printf("%s: fine, %zu parameters\n", o->path, tft_model_info(model).parameters);
    tft_model_close(model);
    return EXIT_FINE;
}

/* 0 when the text is not a number from 1 to the limit. */
static size_t threads_of(const char *text)
{
    char *end;
    if (text == NULL) {
        const long cores = sysconf(_SC_NPROCESSORS_ONLN);
        return cores < 1 ? 1 : cores > TFT_THREADS_MAX ? TFT_THREADS_MAX : (size_t)cores;
    }
    errno = 0;
    const long n = strtol(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || n < 1 || n > TFT_THREADS_MAX ? 0
                                                                                     : (size_t)n;
}

/* Asked for by name, the compiled path does not fall back to the plain one. */
static enum fw_status run_compiled(const struct tft_model *model, const struct options *o,
                                   size_t threads, struct fw_error *err)
{
    struct tft_plan *plan;
    enum fw_status status = tft_compile(model, &plan, err);
    if (status == FW_OK)
        status = tft_run_file_compiled(model, plan, o->input, o->output, threads, err);
    tft_plan_free(plan);
    return status;
}

static int run(const struct options *o)
{
    const size_t threads = threads_of(o->threads);
    struct fw_error err;
    if (o->input == NULL || o->output == NULL)
        return usage("run needs %s", o->input == NULL ? "--input" : "--output");
    const bool compiled = o->engine != NULL && strcmp(o->engine, "compiled") == 0;
    if (o->engine != NULL && !compiled && strcmp(o->engine, "plain") != 0)
        return usage("there is no path \"%s\" in this build; there are: plain, compiled",
                     o->engine);
    if (threads == 0)
        return usage("--threads %s: not a number from 1 to 256", o->threads);
    struct tft_model *model = open_or_say(o->path);
    if (model == NULL)
        return EXIT_FAILURE_;
    const enum fw_status status = compiled
                                      ? run_compiled(model, o, threads, &err)
                                      : tft_run_file(model, o->input, o->output, threads, &err);
    if (status != FW_OK)
        (void)fprintf(stderr, "forewarn model run: %s\n", err.text);
    tft_model_close(model);
    return status == FW_OK ? EXIT_FINE : EXIT_FAILURE_;
}

static int import(const struct options *o)
{
    if (o->out == NULL)
        return usage("import needs %s", "--out");
    const char *path = o->path;
    const struct tft_report report = {say_reason, &path};
    if (tft_import(o->path, o->spec, o->out, &report, NULL) != FW_OK)
        return EXIT_FAILURE_;
    printf("%s: imported from %s\n", o->out, o->path);
    return EXIT_FINE;
}

int cli_model(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct options *o);
    } commands[] = {
        {"info",   info  },
        {"check",  check },
        {"run",    run   },
        {"import", import}
    };
    struct options options = {0};
    if (argc < 2)
        return usage("which command?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        (void)fputs(usage_text, stdout);
        return EXIT_FINE;
    }
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        const int code = parse(argc - 2, argv + 2, &options);
        return code != 0 ? code : commands[i].run(&options);
    }
    return usage("unknown command %s", argv[1]);
}
