/*
 * runtime/spaces/spaces.h - all Spaces of this host: find, create, deploy, duplicate, delete. Each
 * change is in the store before its callback says so.
 */
#ifndef SP_RUNTIME_SPACES_SPACES_H
#define SP_RUNTIME_SPACES_SPACES_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/list.h"
#include "base/map.h"
#include "runtime/spaces/instance.h"
#include "runtime/spaces/space.h"
#include "runtime/spaces/trash.h"

struct sp_apps;
struct sp_config;
struct sp_error;
struct sp_store;

struct sp_spaces {
    uv_loop_t *loop;
    const struct sp_config *config;
    struct sp_store *store;
    struct sp_apps *apps;
    struct sp_instances instances;
    struct sp_trash trash;
    struct sp_list list; /* newest first */
    struct sp_map by_id;
    struct sp_map by_name; /* "owner/name" in lower case: ids are matched without regard to case */
    struct sp_map lost;    /* ids of records that cannot be read and that no name leads to */
    struct sp_list creating; /* changes that make a Space and are not stored yet */
    struct sp_map pinned;    /* snapshot -> how many deploys are about to refer to it */
    struct sp_list waiting;  /* starts that wait for room or a GPU: first come, first served */
    unsigned starting;       /* instances between start and READY/FAILED */
    bool stopping;
    void (*on_stopped)(void *arg);
    void *on_stopped_arg;
};

/* Folders below the state folder, which is the working folder. */
#define SP_DIR_SNAPSHOTS "snapshots"
#define SP_DIR_FILES     "files"
#define SP_DIR_LOGS      "logs"
#define SP_DIR_DATA      "data" /* the launcher makes it, with root's images in it */

/*
 * Reads every record, sweeps snapshots and files that nobody refers to, then calls `ready` once. A
 * record that cannot be read is logged and its Space is `broken`; as long as there is one, every
 * snapshot counts as referred to.
 */
void sp_spaces_load(struct sp_spaces *all, void (*ready)(void *arg, const struct sp_error *err),
                    void *arg);
/* Starts every Space that should run; after load, when the launcher answers. */
void sp_spaces_start(struct sp_spaces *all);
/* Stops every instance within the drain time, then calls `stopped` once. */
void sp_spaces_stop(struct sp_spaces *all, void (*stopped)(void *arg), void *arg);
/* After `stopped`: frees the records. */
void sp_spaces_free(struct sp_spaces *all, void (*freed)(void *arg), void *arg);

struct sp_space *sp_spaces_by_id(struct sp_spaces *all, uint64_t id);
struct sp_space *sp_spaces_by_name(struct sp_spaces *all, const char *owner, const char *name);

typedef void sp_spaces_fn(void *arg, const struct sp_error *err, struct sp_space *space);

/*
 * A new version, and a new Space when there is none of that name (`is_private` is for that case).
 * The snapshot is in place already; it is kept until the callback, and after it if a Space refers
 * to it.
 */
struct sp_deploy {
    const char *owner;
    const char *name;
    const char *snapshot;
    const struct sp_card *card;
    bool is_private;
    const char *origin; /* "a/b" for a duplicate, else NULL */
    json_t *env;        /* of a new Space: its variables (borrowed), or NULL */
    bool must_be_new;   /* SP_ERR_CONFLICT when the name is taken */
    bool unlimited;     /* spaces.max_per_user does not count: an admin asks */
};
void sp_spaces_deploy(struct sp_spaces *all, const struct sp_deploy *deploy, sp_spaces_fn *done,
                      void *arg);
void sp_spaces_set_private(struct sp_space *space, bool is_private, sp_spaces_fn *done, void *arg);
void sp_spaces_set_paused(struct sp_space *space, bool paused, sp_spaces_fn *done, void *arg);
/* A running Space starts anew when they differ; without storage its /data is deleted. */
void sp_spaces_set_resources(struct sp_space *space, const struct sp_resources *resources,
                             sp_spaces_fn *done, void *arg);
/* A running Space starts anew with it. `next` is borrowed. */
void sp_spaces_set_env(struct sp_space *space, json_t *next, sp_spaces_fn *done, void *arg);
/* `done` comes when it is stored; instances and files go after it. `space` is NULL then. */
void sp_spaces_delete(struct sp_space *space, sp_spaces_fn *done, void *arg);

/* The size of the image behind its /data; 0 = there is none. */
uint64_t sp_spaces_data_bytes(uint64_t id);

/* Who needs the base: "owner/name" of one Space, or "". */
void sp_spaces_base_used_by(const struct sp_spaces *all, const char *name, const char *digest,
                            char *ret, size_t size);

/* For space.c: writes the record as it is now; failures are logged. */
void sp_spaces_save(struct sp_space *space);
/*
 * For space.c, before the save: the record will not refer to this snapshot any more. It is removed
 * when that is stored: after a crash in between, the next start finds what its record names.
 */
void sp_spaces_outdate(struct sp_space *space, const char *snapshot);
/* For space.c: removes a snapshot that no Space and no instance refers to any more. */
void sp_spaces_drop_snapshot(struct sp_spaces *all, const char *snapshot);
/* For space.c: there is room for a start, or an instance is gone and with it what it held. */
void sp_spaces_progress(struct sp_spaces *all);

/* runtime/spaces/space_record.c: the stored form. */
char *sp_space_to_record(const struct sp_space *space, size_t *ret_len);
int sp_space_from_record(const char *json, size_t len, struct sp_space *ret, struct sp_error *err);

#endif
