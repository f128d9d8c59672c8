/* runtime/spaces/spaces-internal.h - what the files of spaces share. */
#ifndef SP_RUNTIME_SPACES_SPACES_INTERNAL_H
#define SP_RUNTIME_SPACES_SPACES_INTERNAL_H

#include "runtime/spaces/spaces.h"

/* In the store: the records by id, and the id of each name. */
#define KEY_SPACES "/spaces/"
#define KEY_NAMES  "/names/"

/* --- spaces.c: the set --- */

/* "owner/name" in lower case, as Spaces are found; yours. */
char *sp_spaces_name_key(const char *owner, const char *name);
/* Into the set: it can be found from now on. */
void sp_spaces_add(struct sp_spaces *all, struct sp_space *space);
/* It is not found any more; the memory stays. */
void sp_spaces_forget(struct sp_space *space);

/* --- spaces_disk.c: snapshots and folders --- */

/* A snapshot that is pinned stays although no record refers to it yet, or not any more. */
void sp_spaces_pin(struct sp_spaces *all, const char *snapshot);
/* Harmless with ""; the last one removes what is not used. */
void sp_spaces_unpin(struct sp_spaces *all, const char *snapshot);
/* files/<id>/u for uploads and o for outputs; the sandbox shows them as /run/files. */
int sp_spaces_make_folders(uint64_t id, struct sp_error *err);
/* Its /data, for good. */
void sp_spaces_remove_data(uint64_t id);
/* All of those and the logs; what may be large goes by way of the trash. */
void sp_spaces_remove_folders(struct sp_spaces *all, uint64_t id);
/* Removes what no Space has. Only when all are loaded: it would take what belongs to the others. */
void sp_spaces_sweep(struct sp_spaces *all);

#endif
