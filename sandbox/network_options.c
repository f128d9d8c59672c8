#include "sandbox/network_options.h"

#include <string.h>

#include "base/error.h"
#include "base/inet.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/launch.h"

static const struct {
    const char *name;
    enum sp_launch_network mode;
} modes[] = {
    {"none", SP_LAUNCH_NETWORK_NONE},
    {"outbound", SP_LAUNCH_NETWORK_OUTBOUND},
    {"allow-list", SP_LAUNCH_NETWORK_ALLOW_LIST},
};

void sp_network_options_init(struct sp_network_options *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->modes = 1u << SP_LAUNCH_NETWORK_NONE;
    ret->range = 10u << 24 | 208u << 16;
    ret->range_bits = 16;
    ret->connections = 256;
}

int sp_network_parse_modes(const char *text, unsigned *ret, struct sp_error *err)
{
    struct sp_slice rest = sp_slice_str(text), one;
    unsigned found = 1u << SP_LAUNCH_NETWORK_NONE;

    while (rest.len && sp_slice_split(&rest, ',', &one)) {
        size_t i = 0;

        one = sp_slice_trim(one);
        while (i < SP_LEN(modes) && !sp_slice_eq_str(one, modes[i].name))
            i++;
        if (i == SP_LEN(modes))
            return sp_error_set(err, SP_ERR_INVALID, 0,
                                "expected some of none, outbound, allow-list, divided by commas");
        found |= 1u << modes[i].mode;
    }
    *ret = found;
    return 0;
}

int sp_network_parse_range(const char *text, uint32_t *ret, unsigned *ret_bits,
                           struct sp_error *err)
{
    uint32_t addr;
    unsigned bits;

    if (!sp_inet_parse_net(text, &addr, &bits) || bits < 16 || bits > 29 ||
        !(sp_inet_in(addr, 10u << 24, 8) || sp_inet_in(addr, 172u << 24 | 16u << 16, 12) ||
          sp_inet_in(addr, 192u << 24 | 168u << 16, 16)))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "expected a private range of 16 to 29 bits such as 10.208.0.0/16");
    *ret = addr;
    *ret_bits = bits;
    return 0;
}

int sp_network_parse_servers(const char *text, uint32_t *ret, size_t *ret_n, struct sp_error *err)
{
    struct sp_slice rest = sp_slice_str(text), one;
    size_t n = 0;

    while (rest.len && sp_slice_split(&rest, ',', &one)) {
        char buf[SP_INET_TEXT];

        one = sp_slice_trim(one);
        (void)snprintf(buf, sizeof(buf), "%.*s", one.len < 16 ? (int)one.len : 0, one.ptr);
        if (n == SP_NETWORK_SERVERS || !sp_inet_parse(buf, &ret[n++]))
            return sp_error_set(err, SP_ERR_INVALID, 0,
                                "expected up to %d IPv4 addresses, divided by commas",
                                SP_NETWORK_SERVERS);
    }
    *ret_n = n;
    return 0;
}

int sp_network_parse_proxy(const char *text, uint32_t *ret, uint16_t *ret_port,
                           struct sp_error *err)
{
    char buf[SP_INET_TEXT];
    const char *colon;
    uint64_t port;

    if (strncmp(text, "http://", strlen("http://")) == 0)
        text += strlen("http://");
    colon = strchr(text, ':');
    if (!colon || colon - text >= SP_INET_TEXT)
        goto wrong;
    (void)snprintf(buf, sizeof(buf), "%.*s", (int)(colon - text), text);
    if (!sp_inet_parse(buf, ret) || !sp_parse_u64(sp_slice_str(colon + 1), 65535, &port) ||
        port == 0)
        goto wrong;
    *ret_port = (uint16_t)port;
    return 0;
wrong:
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "expected an address and port such as "
                        "10.1.2.3:3128");
}

static bool is_host(struct sp_slice name)
{
    if (name.len == 0 || name.len > 253 || name.ptr[0] == '.' || name.ptr[name.len - 1] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
              (c == '.' && name.ptr[i - 1] != '.')))
            return false;
    }
    return true;
}

bool sp_network_list_valid(const char *list)
{
    struct sp_slice rest = sp_slice_str(list), one;

    while (rest.len && sp_slice_split(&rest, ',', &one)) {
        one = sp_slice_trim(one);
        if (sp_slice_starts(one, "*."))
            one = sp_slice(one.ptr + 2, one.len - 2);
        if (!is_host(one))
            return false;
    }
    return true;
}
