/*
 * base/inet.h - IPv4 addresses, in host order, and which of them are public: what an app with a
 * network may reach, and what a name may resolve to. One table for the packet filter, the resolver
 * and the page that explains them.
 */
#ifndef SP_BASE_INET_H
#define SP_BASE_INET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_inet_range {
    uint32_t addr;
    unsigned bits;
    const char *why;
};

/* What is not public, in rising order. */
extern const struct sp_inet_range sp_inet_not_public[];
extern const size_t sp_inet_n_not_public;

bool sp_inet_is_public(uint32_t addr);
bool sp_inet_in(uint32_t addr, uint32_t net, unsigned bits);

/* "10.0.0.1"; nothing before, after or left out. */
bool sp_inet_parse(const char *text, uint32_t *ret);
/* "10.208.0.0/16"; the bits behind the prefix must be 0. */
bool sp_inet_parse_net(const char *text, uint32_t *ret, unsigned *ret_bits);

#define SP_INET_TEXT 16
/* Into `ret` of SP_INET_TEXT bytes; returns it. */
const char *sp_inet_text(uint32_t addr, char *ret);

#endif
