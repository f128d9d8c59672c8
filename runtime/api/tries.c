#include "runtime/api/tries.h"

#include <string.h>

static size_t find(const struct sp_tries *tries, const uint8_t network[16])
{
    size_t i = 0;

    while (i < SP_TRIES_NETWORKS &&
           (!tries->of[i].since_ms || memcmp(tries->of[i].network, network, 16) != 0))
        i++;
    return i;
}

static size_t oldest(const struct sp_tries *tries)
{
    size_t best = 0;

    for (size_t i = 1; i < SP_TRIES_NETWORKS; i++)
        if (tries->of[i].since_ms < tries->of[best].since_ms)
            best = i;
    return best;
}

bool sp_tries_take(struct sp_tries *tries, const struct sp_address *from, unsigned max,
                   uint64_t now_ms, uint64_t *ret_wait_ms)
{
    uint8_t network[16];
    size_t at;

    sp_address_network(from, network);
    at = find(tries, network);
    if (at == SP_TRIES_NETWORKS) {
        at = oldest(tries);
        memcpy(tries->of[at].network, network, sizeof(network));
        tries->of[at].since_ms = 0;
    }
    if (!tries->of[at].since_ms || now_ms - tries->of[at].since_ms >= SP_TRIES_WINDOW_MS) {
        tries->of[at].since_ms = now_ms ? now_ms : 1;
        tries->of[at].n = 0;
    }
    if (tries->of[at].n >= max) {
        *ret_wait_ms = tries->of[at].since_ms + SP_TRIES_WINDOW_MS - now_ms;
        return false;
    }
    tries->of[at].n++;
    return true;
}

void sp_tries_give_back(struct sp_tries *tries, const struct sp_address *from)
{
    uint8_t network[16];
    size_t at;

    sp_address_network(from, network);
    at = find(tries, network);
    if (at < SP_TRIES_NETWORKS && tries->of[at].n > 0)
        tries->of[at].n--;
}
