/*
 * runtime/spaces/space.h - the life of one Space: a record that survives and at most two instances.
 *
 * One enum (runtime/spaces/stage.h), one step function: space_step in space.c assigns the stage,
 * logs the transition and tells the watchers; nothing else does. See docs/architecture.md for the
 * picture.
 *
 * A Space has a `current` version (it has run, or the daemon took it up at start) and perhaps a
 * `candidate`. Only a candidate that became ready takes the current one's place.
 */
#ifndef SP_RUNTIME_SPACES_SPACE_H
#define SP_RUNTIME_SPACES_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/list.h"
#include "runtime/state/card.h"
#include "runtime/spaces/instance.h"
#include "runtime/spaces/resources.h"
#include "runtime/state/snapshot.h"
#include "runtime/spaces/stage.h"

struct sp_applog;
struct sp_spaces;

struct sp_version {
    char snapshot[SP_SNAPSHOT_HEX]; /* "" = there is none */
    uint64_t number;                /* 1, 2, ... of this Space */
    int64_t created_ms;
    struct sp_card card;
};

/* Why the newest version does not serve. */
struct sp_failure {
    bool is_set;
    uint64_t number;
    enum sp_stage stage;
    char reason[512];
};

struct sp_space {
    /* --- stored: spaces.c writes it, see docs/storage.md --- */
    uint64_t id; /* random, never reused */
    char owner[97];
    char name[97];
    bool is_private;
    bool paused;
    int64_t created_ms;
    int64_t modified_ms;
    char origin[200]; /* "a/b" that it was duplicated from, or "" */
    struct sp_version current;
    struct sp_version candidate;
    struct sp_failure failure;
    struct sp_resources resources;
    json_t *env; /* variables and secrets (space_env.h); NULL = none. The live Space's is its own */

    /* --- of this life of the daemon --- */
    struct sp_spaces *all;
    struct sp_list node; /* in sp_spaces, newest first */
    char broken[512];    /* why it neither runs nor changes in this life, as a sentence, or "" */
    enum sp_stage stage;
    char reason[512];
    int64_t since_ms;
    struct sp_instance *serving;
    struct sp_instance *next; /* starting; becomes `serving` when it is ready */
    bool next_is_candidate;   /* otherwise it is the current version again */
    bool next_is_crashed;     /* its worker ended; it is revived after the back-off */
    unsigned stopping;        /* instances that are on their way out */
    unsigned crashes;         /* in a row; a long life resets it */
    uint64_t served_since_ms; /* monotonic */
    uv_timer_t backoff;
    bool backoff_open;
    bool grows;               /* its /data does with the next start, which must be alone */
    bool start_queued;        /* waits for what `waits` says, */
    struct sp_list wait_node; /* in sp_spaces.waiting then */
    char waits[512];
    bool changing;                  /* a change by somebody is being stored: one at a time */
    bool save_again;                /* something of this life changed meanwhile */
    char outdated[SP_SNAPSHOT_HEX]; /* the stored record still refers to it; goes after the save */
    struct sp_applog *log;
    struct sp_list watchers;
    void (*on_closed)(struct sp_space *space);
};

enum sp_space_event {
    SP_SPACE_WANTED,  /* there is something to start: daemon start, deploy, restart */
    SP_SPACE_REPLACE, /* as WANTED, but what serves lets go first: of its /data, its GPU */
    SP_SPACE_NEXT_READY,
    SP_SPACE_NEXT_FAILED,
    SP_SPACE_EXITED, /* the serving instance ended by itself */
    SP_SPACE_ENDED,  /* as EXITED, but because we asked for it: no crash */
    SP_SPACE_BACKOFF_OVER,
    SP_SPACE_PAUSE,
    SP_SPACE_SLEEP, /* until somebody visits it */
    SP_SPACE_DELETE,
    SP_SPACE_SHUTDOWN, /* the daemon stops */
};

/* `stage` and `reason` go with NEXT_FAILED and EXITED. */
void sp_space_step(struct sp_space *space, enum sp_space_event event, enum sp_stage stage,
                   const char *reason);

/* Called at each change of stage or reason, after it. */
struct sp_space_watcher {
    struct sp_list node;
    void (*changed)(struct sp_space_watcher *watcher, struct sp_space *space);
};
void sp_space_watch(struct sp_space *space, struct sp_space_watcher *watcher);
void sp_space_unwatch(struct sp_space_watcher *watcher);
/* For spaces.c: who may see it has changed; watchers look again whether they still may. */
void sp_space_access(struct sp_space *space);

/* The version that people see: the current one, or the candidate before the first has run. */
const struct sp_version *sp_space_version(const struct sp_space *space);
/* No instance is left. */
bool sp_space_is_quiet(const struct sp_space *space);

/* For spaces.c: what belongs to this life. */
void sp_space_open(struct sp_space *space, struct sp_spaces *all);
/* Closes log and timer; then `closed`, later. The instances must be gone. */
void sp_space_close(struct sp_space *space, void (*closed)(struct sp_space *space));

#endif
