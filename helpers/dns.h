/*
 * helpers/dns.h - the little of DNS that our resolver speaks: questions in, addresses out. Bytes to
 * structs and back, no sockets. Both sides are hostile: the app that asks, and who answers.
 *
 * An answer is never passed on as it came. What it says is taken out, and a new one is written.
 */
#ifndef SP_HELPERS_DNS_H
#define SP_HELPERS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_DNS_PACKET_MAX 1232 /* what we read and announce */
#define SP_DNS_ANSWER_MAX 512  /* what we write: fits always */
#define SP_DNS_ADDRESSES  16

enum { SP_DNS_A = 1, SP_DNS_CNAME = 5, SP_DNS_AAAA = 28 };
enum {
    SP_DNS_OK = 0,
    SP_DNS_FORMAT = 1,
    SP_DNS_FAILED = 2,
    SP_DNS_NO_NAME = 3,
    SP_DNS_NOT_DONE = 4,
    SP_DNS_REFUSED = 5,
};

struct sp_dns_question {
    uint16_t id;
    uint16_t type;
    bool recursion; /* wished for */
    char name[256]; /* lower case, dots between, none at the end; [a-z0-9_-] in between */
};

struct sp_dns_answer {
    unsigned rcode;
    uint32_t ttl; /* the least of what led to the addresses, in seconds */
    size_t n;
    uint32_t addresses[SP_DNS_ADDRESSES]; /* host order; more are left out */
};

/*
 * Reads a question. 0; or an SP_DNS_ code to answer it with (id and recursion are set; the name may
 * be empty); or -1 for what is no question at all and deserves no answer.
 */
int sp_dns_read_question(const uint8_t *data, size_t len, struct sp_dns_question *ret);

/* Reads the answer to what sp_dns_write_question wrote, with its id. False when it is none. */
bool sp_dns_read_answer(const uint8_t *data, size_t len, const struct sp_dns_question *asked,
                        uint16_t id, struct sp_dns_answer *ret);

/* Both return the length; the buffer has SP_DNS_ANSWER_MAX bytes. */
size_t sp_dns_write_question(uint8_t *buf, const struct sp_dns_question *question, uint16_t id);
size_t sp_dns_write_answer(uint8_t *buf, const struct sp_dns_question *question,
                           const struct sp_dns_answer *answer);

/* Whether a name is in a list such as "example.org,*.example.net" (which is not example.net). */
bool sp_dns_is_listed(const char *name, const char *list);

#endif
