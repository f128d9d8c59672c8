#include "base/inet.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"

#define NET(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

const struct sp_inet_range sp_inet_not_public[] = {
    {NET(0, 0, 0, 0), 8, "this host"},
    {NET(10, 0, 0, 0), 8, "private, the Spaces themselves included"},
    {NET(100, 64, 0, 0), 10, "carrier networks; metadata of some clouds"},
    {NET(127, 0, 0, 0), 8, "loopback"},
    {NET(168, 63, 129, 16), 32, "metadata of Azure"},
    {NET(169, 254, 0, 0), 16, "link-local; metadata of most clouds"},
    {NET(172, 16, 0, 0), 12, "private"},
    {NET(192, 0, 0, 0), 24, "protocol assignments"},
    {NET(192, 0, 2, 0), 24, "documentation"},
    {NET(192, 88, 99, 0), 24, "old relays to version 6"},
    {NET(192, 168, 0, 0), 16, "private"},
    {NET(198, 18, 0, 0), 15, "benchmarks of networks"},
    {NET(198, 51, 100, 0), 24, "documentation"},
    {NET(203, 0, 113, 0), 24, "documentation"},
    {NET(224, 0, 0, 0), 4, "multicast"},
    {NET(240, 0, 0, 0), 4, "reserved, broadcast"},
};
const size_t sp_inet_n_not_public = SP_LEN(sp_inet_not_public);

bool sp_inet_in(uint32_t addr, uint32_t net, unsigned bits)
{
    return bits == 0 || (addr ^ net) >> (32 - bits) == 0;
}

bool sp_inet_is_public(uint32_t addr)
{
    for (size_t i = 0; i < SP_LEN(sp_inet_not_public); i++)
        if (sp_inet_in(addr, sp_inet_not_public[i].addr, sp_inet_not_public[i].bits))
            return false;
    return true;
}

bool sp_inet_parse(const char *text, uint32_t *ret)
{
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) != 1)
        return false;
    *ret = ntohl(in.s_addr);
    return true;
}

bool sp_inet_parse_net(const char *text, uint32_t *ret, unsigned *ret_bits)
{
    char buf[SP_INET_TEXT];
    const char *slash = strchr(text, '/');
    uint32_t addr;
    uint64_t bits;

    if (!slash || (size_t)(slash - text) >= sizeof(buf))
        return false;
    (void)snprintf(buf, sizeof(buf), "%.*s", (int)(slash - text), text);
    if (!sp_inet_parse(buf, &addr) || !sp_parse_u64(sp_slice_str(slash + 1), 32, &bits))
        return false;
    if (bits < 32 && (addr & (0xffffffffu >> bits)) != 0)
        return false;
    *ret = addr;
    *ret_bits = (unsigned)bits;
    return true;
}

const char *sp_inet_text(uint32_t addr, char *ret)
{
    (void)snprintf(ret, SP_INET_TEXT, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255,
                   addr & 255);
    return ret;
}
