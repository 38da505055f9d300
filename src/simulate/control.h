/* The endpoints by which the reference's generator is told to misbehave (API contract 15): POST
 * /scenario/set, GET /scenario/status, GET /status, GET /. */
#ifndef FW_SIMULATE_CONTROL_H
#define FW_SIMULATE_CONTROL_H

#include "base/status.h"
#include "simulate/fleet.h"

struct simulate_control;

enum { SIMULATE_CONTROL_PORT = 8001 };

/* Listens on an IP address; port 0 lets the system choose. The fleet must outlive the control.
 * FW_EIO: the address is taken or not ours. */
FW_MUST_CHECK enum fw_status simulate_control_start(struct simulate_fleet *fleet,
                                                    const char *address, uint16_t port,
                                                    struct simulate_control **out,
                                                    struct fw_error *err);
uint16_t simulate_control_port(const struct simulate_control *control);
void simulate_control_stop(struct simulate_control *control);

#endif
