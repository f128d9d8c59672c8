/* The same bytes as a question of an app and as the answer of a server; what comes out is written.
 */
#include "helpers/dns.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static void as_question(const uint8_t *data, size_t size)
{
    uint8_t buf[SP_DNS_ANSWER_MAX];
    struct sp_dns_question q, again;

    if (sp_dns_read_question(data, size, &q) != 0)
        return;
    CHECK(strlen(q.name) <= 253);
    (void)sp_dns_is_listed(q.name, "example.org,*.example.net");
    size = sp_dns_write_question(buf, &q, q.id);
    CHECK(size <= sizeof(buf));
    CHECK(sp_dns_read_question(buf, size, &again) == 0);
    CHECK(strcmp(q.name, again.name) == 0 && q.type == again.type);
}

static void as_answer(const uint8_t *data, size_t size)
{
    uint8_t buf[SP_DNS_ANSWER_MAX], head[SP_DNS_ANSWER_MAX];
    struct sp_dns_answer a, again;
    struct sp_dns_question q;

    if (size < 12 || size > sizeof(head))
        return;
    /* What it says that it was asked. */
    memcpy(head, data, size);
    head[2] &= 0x07;
    head[6] = head[7] = 0;
    if (sp_dns_read_question(head, size, &q) != 0 || !sp_dns_read_answer(data, size, &q, q.id, &a))
        return;
    CHECK(a.n <= SP_DNS_ADDRESSES);
    size = sp_dns_write_answer(buf, &q, &a);
    CHECK(size <= sizeof(buf));
    CHECK(sp_dns_read_answer(buf, size, &q, q.id, &again) && again.rcode == a.rcode);
    CHECK(a.rcode || again.n <= a.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_question(data, size);
    as_answer(data, size);
    return 0;
}
