/*
 * runtime/spaces/trash.h - what is to be removed and may be large: renamed away at once, removed in
 * libuv's pool. Whatever lies there when the daemon starts is removed then.
 */
#ifndef SP_RUNTIME_SPACES_TRASH_H
#define SP_RUNTIME_SPACES_TRASH_H

#include <stdatomic.h>
#include <stdbool.h>

#include <uv.h>

/* Below the state folder, which is the working folder. */
#define SP_DIR_TRASH "trash"

struct sp_trash {
    uv_work_t work;
    uv_loop_t *loop;
    atomic_bool stopping; /* read in the pool */
    bool working;
    bool again; /* something came while the pool worked */
};

void sp_trash_init(struct sp_trash *trash, uv_loop_t *loop);
/* `path` is not there any more, whatever it is. Nothing there: nothing to do. Failures are logged.
 */
void sp_trash_put(struct sp_trash *trash, const char *path);
/* Begins to remove what lies there. */
void sp_trash_empty(struct sp_trash *trash);
/* The daemon must not wait for it: what is left is removed after the next start. */
void sp_trash_stop(struct sp_trash *trash);

#endif
