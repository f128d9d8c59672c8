/*
 * runtime/spaces/bases-internal.h - what the files of bases share.
 *
 *     bases.c      the list: found, loaded, stored, removed
 *     base_job.c   one that is being made: the program spaces-base
 */
#ifndef SP_RUNTIME_SPACES_BASES_INTERNAL_H
#define SP_RUNTIME_SPACES_BASES_INTERNAL_H

#include "runtime/spaces/bases.h"

struct sp_base_job;

struct sp_bases {
    struct sp_bases_options options;
    struct sp_list list;
    struct sp_base_job *job; /* or NULL */
};

/* --- bases.c --- */

void sp_base_forget(struct sp_base *base);
/* Its files are in place: READY when its record is stored. */
void sp_base_store(struct sp_bases *bases, struct sp_base *base);

/* --- base_job.c --- */

/* `base` is MAKING, and becomes FAILED or READY by it. */
int sp_base_job_start(struct sp_bases *bases, struct sp_base *base, const char *packages,
                      const char *mirror, struct sp_error *err);
/* FAILED with that reason follows. Harmless when there is none. */
void sp_base_job_end(struct sp_bases *bases, const char *why);

#endif
