/*
 * helpers/resolver_msg.h - the conversation between spaces-resolver and the process that guards the
 * network: one packet, one message, over a SOCK_SEQPACKET pair. Addresses in host order.
 */
#ifndef SP_HELPERS_RESOLVER_MSG_H
#define SP_HELPERS_RESOLVER_MSG_H

#include <stdint.h>

#define SP_RESOLVER_SOCK     3 /* this conversation */
#define SP_RESOLVER_DNS      4 /* bound UDP socket on which Spaces ask */
#define SP_RESOLVER_LIST_MAX 1024
#define SP_RESOLVER_SERVERS  4

enum sp_resolver_kind {
    SP_RESOLVER_SET = 1, /* this Space may ask; `allow` empty: any name */
    SP_RESOLVER_FORGET,
    SP_RESOLVER_OPENED, /* what was reported may be reached now: answer the Space */

    SP_RESOLVER_REPORT = 64, /* a listed name has these addresses; the answer waits for OPENED */
};

struct sp_resolver_msg {
    uint32_t kind;
    uint32_t space; /* its address: who it is */
    uint32_t token; /* of a REPORT, repeated in its OPENED */
    uint32_t ttl;   /* seconds */
    uint32_t n;
    uint32_t addresses[16];
    uint32_t listed; /* SET: `allow` counts, also when it is empty */
    char allow[SP_RESOLVER_LIST_MAX];
};

#endif
