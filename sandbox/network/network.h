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

struct sp_error;

#define SP_NETWORK_SERVERS 4
#define SP_NETWORK_LIST    1024

/* What the operator has decided. */
struct sp_network_options {
    unsigned modes;      /* 1 << enum sp_launch_network of what may be chosen */
    uint32_t range;      /* addresses of Spaces; its first is the bridge's */
    unsigned range_bits; /* 16-29 */
    uint32_t servers[SP_NETWORK_SERVERS];
    size_t n_servers;     /* 0: those of the host's /etc/resolv.conf */
    unsigned connections; /* of one Space at a time */
    uint32_t proxy;       /* the site's proxy, or 0: reachable in spite of a private address */
    uint16_t proxy_port;
    char state_id[17];
    char resolver[512]; /* path of spaces-resolver */
};

/* The defaults, with no mode but none. */
void sp_network_options_init(struct sp_network_options *ret);
/* "none,outbound,allow-list". */
int sp_network_parse_modes(const char *text, unsigned *ret, struct sp_error *err);
int sp_network_parse_range(const char *text, uint32_t *ret, unsigned *ret_bits,
                           struct sp_error *err);
/* Up to SP_NETWORK_SERVERS addresses, divided by commas. */
int sp_network_parse_servers(const char *text, uint32_t *ret, size_t *ret_n, struct sp_error *err);
/* "10.1.2.3:3128" */
int sp_network_parse_proxy(const char *text, uint32_t *ret, uint16_t *ret_port,
                           struct sp_error *err);
/* A host name list as in sandbox_start.allow: [a-z0-9._-], "*." in front, divided by commas. */
bool sp_network_list_valid(const char *list);
/* Where the sandboxes' questions go, and their packets leave. */
static inline uint32_t sp_network_gateway(const struct sp_network_options *options)
{
    return options->range + 1;
}

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
