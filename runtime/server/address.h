/*
 * runtime/server/address.h - addresses of clients as values, and networks that hold them.
 */
#ifndef SP_RUNTIME_SERVER_ADDRESS_H
#define SP_RUNTIME_SERVER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include "base/str.h"

struct sp_error;

/* IPv6 form; IPv4 as ::ffff:a.b.c.d. */
struct sp_address {
    uint8_t bytes[16];
};

struct sp_network {
    struct sp_address base;
    unsigned bits;
};

void sp_address_from_sockaddr(const struct sockaddr_storage *from, struct sp_address *ret);
/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]". */
bool sp_address_parse(struct sp_slice text, struct sp_address *ret);
void sp_address_to_string(const struct sp_address *address, char *ret, size_t size);
bool sp_address_is_v4(const struct sp_address *address);
bool sp_address_is_loopback(const struct sp_address *address);
/* What one visitor has: an IPv4 address, or the /64 of IPv6 that one commonly owns whole. */
void sp_address_network(const struct sp_address *address, uint8_t ret[16]);

/* Reads "10.0.0.0/8, ::1"; SP_ERR_INVALID names the piece that is neither. Free `*ret`. */
int sp_networks_parse(const char *text, struct sp_network **ret, size_t *ret_n,
                      struct sp_error *err);
bool sp_networks_hold(const struct sp_network *networks, size_t n,
                      const struct sp_address *address);

#endif
