/*
 * sandbox/network/filter.h - the packet filter: two tables named after the state id, one that sees
 * packets between the host's interfaces and one that sees frames on our bridge.
 *
 * The rules are text, given to nft(8) once at the start: they are what an operator reads with `nft
 * list ruleset`, and docs/network.md explains them line by line. (libnftables would take the same
 * text in-process, but its licence does not go with ours, and a parser is no part of a process
 * with privilege.) What changes with each Space are elements of sets, and those go by netlink.
 */
#ifndef SP_SANDBOX_NETWORK_FILTER_H
#define SP_SANDBOX_NETWORK_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/network/link.h"
#include "sandbox/network/network.h"

struct sp_error;

struct sp_filter {
    int nl; /* netlink socket */
    char table[32];
};

int sp_filter_open(struct sp_filter *ret, const char *state_id, struct sp_error *err);
void sp_filter_close(struct sp_filter *filter);

/* Replaces what may be there of an earlier life. `ports`: how the names of the ports begin. */
int sp_filter_build(const struct sp_filter *filter, const struct sp_network_options *options,
                    const char *bridge, const char *ports, struct sp_error *err);
/* What is not there is fine. */
int sp_filter_remove(struct sp_filter *filter);

/* One sandbox: its port, and whether it may reach all that is public or only what is opened. */
struct sp_filter_box {
    const char *port;
    const uint8_t *mac;
    uint32_t addr;
    bool listed;
};
int sp_filter_add_box(struct sp_filter *filter, const struct sp_filter_box *box);
int sp_filter_remove_box(struct sp_filter *filter, const struct sp_filter_box *box);

/* Lets a listed sandbox reach an address for a time, counted anew when it is open already. */
int sp_filter_open_address(struct sp_filter *filter, uint32_t box, uint32_t addr, uint32_t ttl_s);
/* Fine when its time was over. */
int sp_filter_close_address(struct sp_filter *filter, uint32_t box, uint32_t addr);

#endif
