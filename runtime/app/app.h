/*
 * runtime/app/app.h - worker apps: from a join to its result. Sits between the HTTP paths below
 * /app/{owner}/{name}, the scheduler, the journal and the workers' sockets.
 *
 *     gradio_*.c, live.c (transports)  ->  session.c (views of events)  ->  app.c (join, cancel,
 * end) app.c -> scheduler/sched.h (decides), journal.h (remembers), worker.c (one socket each)
 *
 * What it does not know: how a worker process comes to be. space.c starts and stops processes and
 * says here which of them serves.
 */
#ifndef SP_RUNTIME_APP_APP_H
#define SP_RUNTIME_APP_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "base/str.h"

struct sp_apps;
struct sp_config;
struct sp_error;
struct sp_exchange;
struct sp_journal;

/* What app.c needs of the rest. All are called on the loop. */
struct sp_apps_hooks {
    /* The scheduler wants this process ended (a cancel that it ignores). worker_gone follows. */
    void (*kill_worker)(void *arg, uint64_t worker);
    /* Something is wanted of a worker that is held. May be NULL. Must not call back into apps. */
    void (*wake_worker)(void *arg, uint64_t worker);
    /* Somebody visits a Space whose stage is SLEEPING. May be NULL. Its stage may change inside. */
    void (*wake_space)(void *arg, uint64_t space);
    /* "APP_STARTING", ...: why a request cannot be served now, as a sentence, into `ret`. */
    void (*describe)(void *arg, uint64_t space, char *ret, size_t size);
    /* The queue of a Space changed (for /events and the list page). Cheap; may come often. */
    void (*queue_changed)(void *arg, uint64_t space);
    void *arg;
};

struct sp_apps_options {
    uv_loop_t *loop;
    const struct sp_config *config; /* borrowed */
    const char *files_dir;          /* files/<space hex>/ is shown to the app as /run/files */
    const char *journal_dir;
    struct sp_apps_hooks hooks;
};

/*
 * Opens the journal and takes up what it remembers: accepted and never started requests wait again
 * (until their Space is set and has a worker), started ones are lost, results are kept.
 */
int sp_apps_new(const struct sp_apps_options *options, struct sp_apps **ret, struct sp_error *err);
/* Says goodbye to visitors, syncs the journal; then `done`. Workers' sockets are closed. */
void sp_apps_close(struct sp_apps *apps, void (*done)(void *arg), void *arg);

/* --- Spaces and workers ----------------------------------------------------------------------- */

struct sp_app_worker_start {
    uint64_t space;
    uint64_t worker;   /* the id that the launcher knows; never reused */
    const char *owner; /* copied */
    const char *name;
    const char *app_file;   /* "app.py" */
    const char *version_id; /* of the app's version: clients offer a reload when it changes */
    int take_fd;            /* our end of the protocol socket; taken in every case */
    /* One of the two is called once, unless worker_gone comes first. `ready` may call worker_serve.
     */
    void (*ready)(void *arg, uint64_t worker);
    void (*failed)(void *arg, uint64_t worker, const char *stage, const char *message);
    /* Later: the socket broke or the protocol was violated. The process should be ended. */
    void (*broken)(void *arg, uint64_t worker, const char *why);
    void *arg;
};
void sp_apps_worker_start(struct sp_apps *apps, const struct sp_app_worker_start *start);

/*
 * From now on this worker's config is the app's and calls go to it. A worker that served the same
 * Space before is drained: its running calls go on, it gets no new ones, and `on_idle` of its
 * worker_retire comes when it has none.
 */
void sp_apps_worker_serve(struct sp_apps *apps, uint64_t worker);
/* Calls back once, later, when nothing runs in it any more, or at once+later when it is unknown. */
void sp_apps_worker_retire(struct sp_apps *apps, uint64_t worker,
                           void (*on_idle)(void *arg, uint64_t worker), void *arg);
/* The process is gone. Its running requests end as lost with `why` told to their visitors. */
void sp_apps_worker_gone(struct sp_apps *apps, uint64_t worker, const char *why);

/*
 * How long nobody has used the Space: no request waits or runs, nobody looks at it, nothing was
 * asked. 0 while it is in use.
 */
uint64_t sp_apps_idle_ms(struct sp_apps *apps, uint64_t space);
/* Its process is held still (no pings; bytes wait), or goes on. */
void sp_apps_worker_hold(struct sp_apps *apps, uint64_t worker, bool held);

/* The stage changed: told to live visitors. With `serving` false waiting requests go on waiting. */
void sp_apps_space_stage(struct sp_apps *apps, uint64_t space, const char *stage,
                         const char *reason);
/*
 * Who may use it has changed: the page's sockets are closed, and who still may connects again.
 * Requests that were accepted run to their end.
 */
void sp_apps_space_access(struct sp_apps *apps, uint64_t space);
/* Every request ends, every stream is closed, results and uploads are erased. */
void sp_apps_space_removed(struct sp_apps *apps, uint64_t space);

/* --- what is asked ---------------------------------------------------------------------------- */

/* Everything below /app/:owner/:name/ ("*rest"); the gate has set user and Space. */
void sp_apps_handle(struct sp_apps *apps, struct sp_exchange *ex);

/* The answer to GET /api/spaces/.../queue; entries only with `entries`. A new reference. */
json_t *sp_apps_queue_json(struct sp_apps *apps, uint64_t space, bool entries);
void sp_apps_queue_counts(struct sp_apps *apps, uint64_t space, uint32_t *ret_waiting,
                          uint32_t *ret_running);

struct sp_apps_stats {
    uint64_t joined, done, failed, canceled, lost, refused;
    uint64_t waiting, running, sessions, live_streams;
    uint64_t buffered_bytes; /* replay and undelivered messages */
};
void sp_apps_stats(const struct sp_apps *apps, struct sp_apps_stats *ret);

#endif
