#include "simulate/control.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "http/server.h"

#include <string.h>

enum { BODY_MAX = 4096, REPLY_MAX = 65536, GRACE_MS = 1000 };

struct simulate_control {
    struct simulate_fleet *fleet;
    struct http_server *server;
};

static void put_servers(struct fw_buf *out, const struct simulate_control *control,
                        const struct simulate_state *state)
{
    const unsigned n =
        state->affected < SIMULATE_AFFECTED_SHOWN ? state->affected : SIMULATE_AFFECTED_SHOWN;
    fw_buf_putc(out, '[');
    for (unsigned i = 0; i < n; i++) {
        const char *name = simulate_fleet_name(control->fleet, state->shown[i]);
        if (i > 0)
            fw_buf_putc(out, ',');
        fw_buf_json_string(out, name, strlen(name));
    }
    fw_buf_putc(out, ']');
}

/* The reference answers what it does not like with 200 and a status word. */
static void refuse(struct http_request *request, const char *why)
{
    struct fw_buf out;
    fw_buf_init(&out, REPLY_MAX);
    fw_buf_puts(&out, "{\"status\":\"error\",\"message\":");
    fw_buf_json_string(&out, why, strlen(why));
    fw_buf_putc(&out, '}');
    http_reply_json(request, 200, &out);
}

static bool read_scenario(struct http_request *request, enum simulate_scenario *scenario)
{
    size_t len;
    const char *body = http_request_body(request, &len);
    struct fw_json_parser *parser = fw_json_parser_new(BODY_MAX, 4);
    struct fw_json_value root, word;
    const bool good = parser != NULL && fw_json_parse(parser, body, len, &root, NULL) == FW_OK &&
                      fw_json_get(root, "scenario", &word) &&
                      fw_json_type(word) == FW_JSON_STRING &&
                      simulate_scenario_parse(fw_json_string(word, &len), scenario);
    fw_json_parser_free(parser);
    return good;
}

static void set_scenario(void *ctx, struct http_request *request)
{
    struct simulate_control *control = ctx;
    enum simulate_scenario scenario;
    if (!read_scenario(request, &scenario)) {
        refuse(request, "Invalid scenario: send {\"scenario\":\"healthy\"}, \"degrading\", "
                        "\"critical\" or \"cascade\"");
        return;
    }
    const enum simulate_scenario old = simulate_fleet_set_scenario(control->fleet, scenario);
    struct simulate_state state;
    simulate_fleet_state(control->fleet, &state);
    FW_LOG_INFO("simulate", "scenario changed old=%s new=%s", simulate_scenario_name(old),
                simulate_scenario_name(scenario));
    struct fw_buf out;
    fw_buf_init(&out, REPLY_MAX);
    fw_buf_printf(&out,
                  "{\"status\":\"success\",\"old_scenario\":\"%s\",\"new_scenario\":\"%s\","
                  "\"affected_servers\":%u,\"tick_count\":%llu}",
                  simulate_scenario_name(old), simulate_scenario_name(scenario), state.affected,
                  (unsigned long long)state.ticks);
    http_reply_json(request, 200, &out);
}

static void scenario_status(void *ctx, struct http_request *request)
{
    struct simulate_control *control = ctx;
    struct simulate_state state;
    simulate_fleet_state(control->fleet, &state);
    struct fw_buf out;
    fw_buf_init(&out, REPLY_MAX);
    fw_buf_printf(
        &out, "{\"scenario\":\"%s\",\"affected_servers\":", simulate_scenario_name(state.scenario));
    put_servers(&out, control, &state);
    fw_buf_printf(&out, ",\"total_affected\":%u,\"fleet_size\":%u,\"tick_count\":%llu}",
                  state.affected, state.servers, (unsigned long long)state.ticks);
    http_reply_json(request, 200, &out);
}

static void status(void *ctx, struct http_request *request)
{
    struct simulate_control *control = ctx;
    struct simulate_state state;
    simulate_fleet_state(control->fleet, &state);
    struct fw_buf out;
    fw_buf_init(&out, REPLY_MAX);
    fw_buf_printf(&out,
                  "{\"status\":\"running\",\"scenario\":\"%s\",\"fleet_size\":%u,"
                  "\"total_affected\":%u,\"tick_count\":%llu}",
                  simulate_scenario_name(state.scenario), state.servers, state.affected,
                  (unsigned long long)state.ticks);
    http_reply_json(request, 200, &out);
}

static void card(void *ctx, struct http_request *request)
{
    (void)ctx;
    struct fw_buf out;
    fw_buf_init(&out, REPLY_MAX);
    fw_buf_puts(&out,
                "{\"service\":\"forewarn simulate\",\"version\":\"" FW_VERSION
                "\",\"endpoints\":[\"POST /scenario/set\",\"GET /scenario/status\",\"GET "
                "/status\"],\"scenarios\":[\"healthy\",\"degrading\",\"critical\",\"cascade\"]}");
    http_reply_json(request, 200, &out);
}

enum fw_status simulate_control_start(struct simulate_fleet *fleet, const char *address,
                                      uint16_t port, struct simulate_control **out,
                                      struct fw_error *err)
{
    *out = NULL;
    struct simulate_control *control = fw_calloc(1, sizeof *control);
    if (control == NULL)
        return fw_fail(err, FW_ENOMEM, "simulate: out of memory");
    control->fleet = fleet;
    const struct http_route routes[] = {
        {.method = "POST",
         .path = "/scenario/set",
         .role = HTTP_OPEN,
         .legacy = true,
         .body_max = BODY_MAX,
         .operation = "scenario_set",
         .handler = set_scenario,
         .ctx = control},
        {.method = "GET",
         .path = "/scenario/status",
         .role = HTTP_OPEN,
         .legacy = true,
         .operation = "scenario_status",
         .handler = scenario_status,
         .ctx = control},
        {.method = "GET",
         .path = "/status",
         .role = HTTP_OPEN,
         .legacy = true,
         .operation = "status",
         .handler = status,
         .ctx = control         },
        {.method = "GET",
         .path = "/",
         .role = HTTP_OPEN,
         .legacy = true,
         .operation = "card",
         .handler = card,
         .ctx = control           },
    };
    struct http_options options;
    http_options_init(&options);
    options.address = address;
    options.port = port;
    options.threads = 1;
    const enum fw_status started =
        http_server_start(&options, routes, COUNT(routes), &control->server, err);
    if (started != FW_OK) {
        fw_free(control);
        return started;
    }
    *out = control;
    return FW_OK;
}

uint16_t simulate_control_port(const struct simulate_control *control)
{
    return http_server_port(control->server);
}

void simulate_control_stop(struct simulate_control *control)
{
    if (control == NULL)
        return;
    http_server_stop(control->server, GRACE_MS);
    fw_free(control);
}
