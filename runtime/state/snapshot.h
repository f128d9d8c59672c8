/*
 * runtime/state/snapshot.h - the files of one version, stored once under the hash of their content.
 *
 * snapshots/<sha256>/ holds the tree read-only. The hash covers paths, executable bits and contents
 * in path order (docs/storage.md), so the same folder is the same snapshot whoever deploys it and
 * a duplicate costs a reference. Files arrive one at a time into a staging folder, which is renamed
 * into place when it is complete and synced.
 */
#ifndef SP_RUNTIME_STATE_SNAPSHOT_H
#define SP_RUNTIME_STATE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/str.h"

struct sp_config;
struct sp_error;
struct sp_staging;

#define SP_SNAPSHOT_HEX 65

/* A new folder below `dir`/staging; removed at start by the sweep if it is ever left. */
int sp_staging_new(const char *dir, const struct sp_config *config, struct sp_staging **ret,
                   struct sp_error *err);
/* Removes the folder unless it was finished. NULL is fine. */
void sp_staging_free(struct sp_staging *staging);

/*
 * Begins a file. The path is relative; refused: absolute, "..", empty segments, control bytes, over
 * 1,024 bytes or 32 levels, ".git/..." , a path given twice or one that runs through a file; and
 * above deploy.max_files or deploy.max_bytes (SP_ERR_LIMIT). A leading "./" is dropped.
 */
int sp_staging_file(struct sp_staging *staging, struct sp_slice path, struct sp_error *err);
int sp_staging_write(struct sp_staging *staging, struct sp_slice data, struct sp_error *err);
/* The file being written may be executed. */
void sp_staging_executable(struct sp_staging *staging);
int sp_staging_end(struct sp_staging *staging, struct sp_error *err);

/* The staged file `path` whole, e.g. the card; SP_ERR_NOT_FOUND. `*ret` is yours. */
int sp_staging_read(struct sp_staging *staging, const char *path, size_t max, char **ret,
                    size_t *ret_len, struct sp_error *err);

/*
 * Syncs and moves it into place on libuv's pool; `done` gets the hash (or an error), later, once.
 * When the snapshot exists already, the staged copy is dropped. The staging is consumed.
 */
void sp_staging_consume_finish(struct sp_staging *staging, uv_loop_t *loop,
                               void (*done)(void *arg, const struct sp_error *err,
                                            const char *hash),
                               void *arg);

/* Removes a snapshot that nobody refers to any more, on libuv's pool. */
void sp_snapshot_remove(uv_loop_t *loop, const char *dir, const char *hash);
/* At start: staging folders, and snapshots for which `used` says false. */
int sp_snapshot_sweep(const char *dir, bool (*used)(void *arg, const char *hash), void *arg,
                      struct sp_error *err);

#endif
