/*
 * sandbox/network/conntrack.h - what the host remembers of a sandbox's connections.
 *
 * An entry in the table of connections outlives the sandbox by seconds, minutes or, for TCP without
 * an end, days. Who gets its address next would get its packets too, and could go on with a
 * connection that its own rules would not let it begin.
 */
#ifndef SP_SANDBOX_NETWORK_CONNTRACK_H
#define SP_SANDBOX_NETWORK_CONNTRACK_H

#include <stdint.h>

/* Removes every connection that `addr` (host order) has begun. Asks the kernel and waits. */
int sp_conntrack_forget(uint32_t addr);

#endif
