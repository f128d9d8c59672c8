/*
 * runtime/state/store-front.h - between store_ask.c (questions become requests) and store_thread.c
 * (the thread carries them out, the loop hears the answers).
 */
#ifndef SP_RUNTIME_STATE_STORE_FRONT_H
#define SP_RUNTIME_STATE_STORE_FRONT_H

#include <stdatomic.h>

#include "runtime/state/store-internal.h"

struct sp_store {
    uv_loop_t *loop;
    uv_async_t wake; /* the thread has answers */
    uv_thread_t thread;
    struct store_db *db; /* the thread's, once it runs */

    uv_mutex_t lock; /* the lists below */
    uv_cond_t asked;
    struct sp_list pending;
    struct sp_list answered;

    size_t n_pending; /* loop only: asked and not answered */
    size_t bytes_pending;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;

    struct sp_list watches; /* loop only */
    unsigned delivering;    /* > 0: watches that end are freed later */
    atomic_uint n_watches;  /* the thread skips collecting changes for nobody */
};

struct sp_store_watch {
    struct sp_list node;
    struct sp_store *store;
    char *prefix;
    uint64_t from_rev;
    sp_store_watch_fn *each; /* NULL once unwatched */
    void *arg;
    bool active;    /* its past has been delivered */
    bool requested; /* the thread's answer about the past is under way */
};

/* Hands a request to the thread. */
void store_submit(struct sp_store *store, struct store_request *request);
/* Only while nothing is being delivered and no answer for it is under way. */
void store_watch_free(struct sp_store_watch *watch);

#endif
