/* runtime/state/snapshot-internal.h - between staging.c (what comes in) and snapshot.c (what is
 * kept). */
#ifndef SP_RUNTIME_STATE_SNAPSHOT_INTERNAL_H
#define SP_RUNTIME_STATE_SNAPSHOT_INTERNAL_H

#include "base/error.h"
#include "runtime/state/snapshot.h"

#define SNAPSHOT_PATH_LEVELS_MAX 32
#define SNAPSHOT_LEVELS_MAX      (SNAPSHOT_PATH_LEVELS_MAX + 4)

/* A full disk is UNAVAILABLE, anything else INTERNAL. */
enum sp_err_kind sp_snapshot_err_kind(int error);
/* Removes a tree whose folders may be read-only; what fails is logged. */
void sp_snapshot_remove_tree(int parent_fd, const char *name);

#endif
