/*
 * runtime/api/later.h - an answer that comes after somebody else's: keep the exchange's id, find it
 * again, cope with its absence.
 */
#ifndef SP_RUNTIME_API_LATER_H
#define SP_RUNTIME_API_LATER_H

#include <stdint.h>

#include "base/mem.h"
#include "runtime/server/server.h"

struct sp_later {
    struct sp_server *server;
    uint64_t exchange;
};

static inline struct sp_later *sp_later_new(struct sp_exchange *ex)
{
    struct sp_later *later = sp_new0(struct sp_later);

    sp_exchange_keep(ex); /* the answer names our address as the client sees it */
    later->server = sp_exchange_server(ex);
    later->exchange = sp_exchange_id(ex);
    return later;
}

/* Frees it; NULL when the client has gone meanwhile. */
static inline struct sp_exchange *sp_later_take(void *arg)
{
    struct sp_later later = *(struct sp_later *)arg;

    free(arg);
    return sp_exchange_find(later.server, later.exchange);
}

#endif
