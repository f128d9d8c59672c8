/*
 * sandbox/network/network.h - what sandboxes with a network have, and the process that makes it.
 *
 * A bridge of the launcher's own, whose name follows from the state id; a veth pair per sandbox; a
 * packet filter; a resolver. All of it is made by one process that the launcher forks at its start
 * and asks by messages, because setting up an interface waits for the kernel and the launcher does
 * not. What is left by a life that was killed is swept when the next one starts.
 */
#ifndef SP_SANDBOX_NETWORK_H
#define SP_SANDBOX_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/launch.h"
#include "sandbox/network_options.h"

struct sp_error;

/* Why this host cannot, or NULL: for doctor and for starts. Tries nothing that stays. */
int sp_network_probe(struct sp_error *err);

/* --- the conversation with the process; one packet, one message --- */

enum sp_network_kind {
    SP_NETWORK_ATTACH = 1, /* brings the network namespace; answered ATTACHED or REFUSED */
    SP_NETWORK_DETACH,     /* answered DETACHED */
    SP_NETWORK_END,        /* everything is removed, and the process exits */

    SP_NETWORK_READY = 64, /* first: it is set up */
    SP_NETWORK_FAILED,     /* first: text says why there is none; the process exits */
    SP_NETWORK_ATTACHED,
    SP_NETWORK_REFUSED, /* text */
    SP_NETWORK_DETACHED,
};

struct sp_network_msg {
    uint32_t kind;
    uint32_t mode; /* enum sp_launch_network */
    uint64_t box;
    char text[SP_NETWORK_LIST]; /* ATTACH: the list; otherwise a sentence */
};

/* Forks the process. `*ret_sock` is our end, non-blocking. */
int sp_network_start(const struct sp_network_options *options, int *ret_sock, pid_t *ret_pid,
                     struct sp_error *err);

/*
 * Removes what an earlier life with this state id has left: interfaces, filter. Waits; for the
 * start. What is not there is fine.
 */
void sp_network_sweep(const char *state_id);

#endif
