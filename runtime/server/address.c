#include "runtime/server/address.h"

#include <arpa/inet.h>

#include "base/error.h"
#include "base/mem.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool sp_address_is_v4(const struct sp_address *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

bool sp_address_is_loopback(const struct sp_address *address)
{
    if (sp_address_is_v4(address))
        return address->bytes[12] == 127;
    return memcmp(address->bytes, &in6addr_loopback, sizeof(address->bytes)) == 0;
}

void sp_address_network(const struct sp_address *address, uint8_t ret[16])
{
    memcpy(ret, address->bytes, 16);
    if (!sp_address_is_v4(address))
        memset(ret + 8, 0, 8);
}

void sp_address_from_sockaddr(const struct sockaddr_storage *from, struct sp_address *ret)
{
    if (from->ss_family == AF_INET6) {
        memcpy(ret->bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
        return;
    }
    memcpy(ret->bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(ret->bytes + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
}

bool sp_address_parse(struct sp_slice text, struct sp_address *ret)
{
    char buf[INET6_ADDRSTRLEN];

    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = sp_slice(text.ptr + 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof(buf) || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    if (inet_pton(AF_INET6, buf, ret->bytes) == 1)
        return true;
    memcpy(ret->bytes, mapped_prefix, sizeof(mapped_prefix));
    return inet_pton(AF_INET, buf, ret->bytes + 12) == 1;
}

void sp_address_to_string(const struct sp_address *address, char *ret, size_t size)
{
    if (sp_address_is_v4(address))
        (void)inet_ntop(AF_INET, address->bytes + 12, ret, (socklen_t)size);
    else
        (void)inet_ntop(AF_INET6, address->bytes, ret, (socklen_t)size);
}

static bool parse_network(struct sp_slice text, struct sp_network *ret)
{
    struct sp_slice rest = text;
    struct sp_slice base;
    uint64_t bits = 0;
    unsigned width;

    (void)sp_slice_split(&rest, '/', &base);
    if (!sp_address_parse(base, &ret->base))
        return false;
    width = sp_address_is_v4(&ret->base) ? 32 : 128;
    bits = width;
    if (rest.ptr && !sp_parse_u64(rest, width, &bits))
        return false;
    ret->bits = (unsigned)bits + (128 - width);
    return true;
}

int sp_networks_parse(const char *text, struct sp_network **ret, size_t *ret_n,
                      struct sp_error *err)
{
    struct sp_slice rest = sp_slice_str(text);
    struct sp_network *networks = NULL;
    struct sp_slice piece;
    size_t n = 0;

    while (sp_slice_split(&rest, ',', &piece)) {
        piece = sp_slice_trim(piece);
        if (piece.len == 0)
            continue;
        networks = sp_realloc(networks, n + 1, sizeof(*networks));
        if (!parse_network(piece, &networks[n])) {
            free(networks);
            return sp_error_set(err, SP_ERR_INVALID, 0, "'%.*s' is not an address or a network",
                                (int)(piece.len < 64 ? piece.len : 64), piece.ptr);
        }
        n++;
    }
    *ret = networks;
    *ret_n = n;
    return 0;
}

static bool holds(const struct sp_network *network, const struct sp_address *address)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (memcmp(network->base.bytes, address->bytes, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    return ((network->base.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

bool sp_networks_hold(const struct sp_network *networks, size_t n, const struct sp_address *address)
{
    for (size_t i = 0; i < n; i++)
        if (holds(&networks[i], address))
            return true;
    return false;
}
