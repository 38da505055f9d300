/* Labels of servers: what senders said last, within the bounds of domain/labels.h.
 *
 * A label keeps its value for as long as somebody sends that value: two exporters of a server that
 * disagree ("job") would otherwise make it come and go. Another value is taken once the old one was
 * not sent for FLEET_LABEL_HOLD_MS; a label that nobody sends for FLEET_LABEL_FORGET_MS goes when
 * the server is next heard of with labels. Times are monotonic and begin anew with each start.
 *
 * A server without labels costs nothing, others at most 1.2 KiB. Labels go with their server.
 * Threads: any. */
#ifndef FW_FLEET_LABELS_H
#define FW_FLEET_LABELS_H

#include "fleet/fleet.h"

#define FLEET_LABEL_HOLD_MS (INT64_C(15) * 60 * 1000)
#define FLEET_LABEL_FORGET_MS (INT64_C(24) * 3600 * 1000)

/* Compares what a batch says of servers with what is known: what is known already is marked as
 * heard, and what is to change becomes the batch's label changes, to be journalled with it. Servers
 * that the fleet does not have are passed over. After fleet_admit(), before the journal. Returns
 * how many labels found no room or no memory. */
size_t fleet_labels_weigh(struct fleet *fleet, struct sample_batch *batch);
/* Puts a batch's label changes in place, whatever stands there by now, so that a replay gives what
 * was there. Once they are durable and before fleet_apply(), so that a snapshot's position never
 * stands before labels that are only in the journal. Returns how many found no room or no memory.
 * Applier thread only. */
size_t fleet_labels_apply(struct fleet *fleet, const struct sample_batch *batch);
/* Labels of a server as read from the store, beneath those that the journal brought already. False:
 * no such server, or no memory. */
bool fleet_labels_put(struct fleet *fleet, const char *name, size_t len,
                      const struct label_set *set);

/* Takes away the labels whose names are no longer kept. */
void fleet_labels_keep(struct fleet *fleet, const struct label_rules *rules);

/* False: an empty slot, or no labels; *out is then empty. */
bool fleet_labels_read(const struct fleet *fleet, size_t slot, struct label_set *out);
/* The same by name, as a label_source whose context is the fleet. */
bool fleet_labels_find(void *fleet, const char *server, struct label_set *out);

/* Grows with every change. */
uint64_t fleet_labels_revision(const struct fleet *fleet);
/* As fleet_labels_read(), with the server's name, and only what changed after `revision`. */
bool fleet_labels_changed(const struct fleet *fleet, size_t slot, uint64_t revision,
                          char name[SERVER_NAME_MAX + 1], struct label_set *out);
/* Servers that have labels. */
size_t fleet_labels_count(const struct fleet *fleet);

#endif
