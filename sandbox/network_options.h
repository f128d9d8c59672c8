/*
 * sandbox/network_options.h - what the operator says about networks, and what a Space may list:
 * text to values. The daemon checks its settings by it, the launcher its options; sandbox/network/
 * obeys.
 */
#ifndef SP_SANDBOX_NETWORK_OPTIONS_H
#define SP_SANDBOX_NETWORK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
/* "10.1.2.3:3128", also with "http://" in front */
int sp_network_parse_proxy(const char *text, uint32_t *ret, uint16_t *ret_port,
                           struct sp_error *err);
/* A host name list as in sandbox_start.allow: [a-z0-9._-], "*." in front, divided by commas. */
bool sp_network_list_valid(const char *list);
/* Where the sandboxes' questions go, and their packets leave. */
static inline uint32_t sp_network_gateway(const struct sp_network_options *options)
{
    return options->range + 1;
}

#endif
