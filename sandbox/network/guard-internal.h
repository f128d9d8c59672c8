/*
 * sandbox/network/guard-internal.h - the state of the process that makes and guards the network.
 */
#ifndef SP_SANDBOX_NETWORK_GUARD_INTERNAL_H
#define SP_SANDBOX_NETWORK_GUARD_INTERNAL_H

#include <net/if.h>

#include "helpers/resolver_msg.h"
#include "sandbox/network/filter.h"
#include "sandbox/network/network.h"

#define SP_GUARD_BOXES_MAX  512
#define SP_GUARD_AGAIN_MS   1000 /* from the end of a resolver to the next one */
#define SP_GUARD_OPENED_MAX 64   /* addresses that one listed sandbox has open; the oldest goes */

struct sp_guard_box {
    uint64_t id; /* 0 = free */
    uint32_t addr;
    uint32_t mode;
    int port; /* interface index */
    char name[IFNAMSIZ];
    uint8_t mac[SP_MAC_LEN];
    uint32_t opened[SP_GUARD_OPENED_MAX];
    unsigned n_opened; /* ever: the next goes to n_opened % MAX */
    char allow[SP_NETWORK_LIST];
};

struct sp_guard {
    const struct sp_network_options *options;
    int launcher;     /* socket */
    int resolver;     /* socket, or -1 while there is none */
    int dns;          /* bound to the gateway's port 53 */
    int resolver_exe; /* opened while nothing was given up: its path may be closed to others */
    pid_t resolver_pid;
    uint64_t resolver_at_ms; /* when to start one; 0 = it runs */
    int nl;
    int bridge;
    char bridge_name[IFNAMSIZ];
    char port_prefix[IFNAMSIZ];
    uint8_t mac[SP_MAC_LEN];
    struct sp_filter filter;
    uint32_t last; /* address given last: they come back late */
    struct sp_guard_box boxes[SP_GUARD_BOXES_MAX];
};

/* Names of what belongs to a state id. */
void sp_guard_names(const char *state_id, char bridge[IFNAMSIZ], char prefix[IFNAMSIZ]);

/* guard_host.c: what is there once. Waits for the kernel. */
int sp_guard_build(struct sp_guard *guard, struct sp_error *err);
void sp_guard_remove(struct sp_guard *guard);

/* guard_box.c: one sandbox. `netns_fd` stays the caller's. */
int sp_guard_attach(struct sp_guard *guard, const struct sp_network_msg *msg, int netns_fd,
                    struct sp_error *err);
void sp_guard_detach(struct sp_guard *guard, uint64_t id);

/* guard_resolver.c: the child that reads what strangers say. */
int sp_guard_start_resolver(struct sp_guard *guard, struct sp_error *err);
void sp_guard_stop_resolver(struct sp_guard *guard);
void sp_guard_tell_resolver(struct sp_guard *guard, const struct sp_guard_box *box, bool forget);
/* False when it has ended. */
bool sp_guard_read_resolver(struct sp_guard *guard);

/* guard.c: room to send a message about every sandbox to who reads none yet. */
void sp_guard_make_room(int sock, size_t message_bytes);
/* The loop; never returns. */
void sp_guard_run(struct sp_guard *guard) __attribute__((noreturn));

#endif
