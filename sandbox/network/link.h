/*
 * sandbox/network/link.h - interfaces, addresses, routes and neighbours, by rtnetlink. Each call
 * asks the kernel and waits for its answer. Addresses in host order.
 */
#ifndef SP_SANDBOX_NETWORK_LINK_H
#define SP_SANDBOX_NETWORK_LINK_H

#include <stdint.h>

#define SP_MAC_LEN 6

/* A netlink socket of the namespace that the caller is in, or negative errno. */
int sp_link_open(void);
/* Index of an interface, or negative errno. */
int sp_link_find(int nl, const char *name);
/* Interfaces below a bridge: all of them are removed, and then it. 0 when there is none. */
int sp_link_remove_bridge(int nl, const char *name);
int sp_link_remove(int nl, int index);
/* No address of version 6, not even one that it makes up; before it is up. */
int sp_link_no_v6(const char *name);

/* A bridge that learns nothing; up, with this address. */
int sp_link_add_bridge(int nl, const char *name, const uint8_t mac[SP_MAC_LEN], uint32_t addr,
                       unsigned bits, int *ret_index);
/*
 * A pair: `name` here, below `bridge`, cut off from its other ports and down; "eth0" with `mac` in
 * the namespace.
 */
int sp_link_add_pair(int nl, const char *name, int bridge, int netns_fd,
                     const uint8_t mac[SP_MAC_LEN], int *ret_index);
int sp_link_up(int nl, int index);
/* `addr` is behind this port and this mac, whatever anybody claims. */
int sp_link_pin(int nl, int bridge, int port, uint32_t addr, const uint8_t mac[SP_MAC_LEN]);
/* In the namespace: eth0 up, its address, the way out, and who that is. */
int sp_link_set_up_inside(int nl, uint32_t addr, uint32_t gateway,
                          const uint8_t gateway_mac[SP_MAC_LEN]);

#endif
