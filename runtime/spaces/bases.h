/*
 * runtime/spaces/bases.h - the bases of this host: root file systems that Spaces run in instead of
 * the host's own (docs/bases.md).
 *
 * A base is a name and a digest; its files are bases/<digest>/root below the state folder, made by
 * the program spaces-base (helpers/), which reads what strangers packed. One is made at a time. A
 * base that is being made, or whose making failed, is in the list too, in this life of the daemon.
 */
#ifndef SP_RUNTIME_SPACES_BASES_H
#define SP_RUNTIME_SPACES_BASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "base/list.h"
#include "sandbox/launch.h"

struct sp_config;
struct sp_error;
struct sp_store;

#define SP_DIR_BASES "bases"
#define SP_BASE_NAME 64
#define SP_BASE_HOST "host" /* no base: the host's own files */

enum sp_base_state { SP_BASE_MAKING, SP_BASE_READY, SP_BASE_FAILED };

struct sp_base {
    struct sp_list node;
    enum sp_base_state state;
    char name[SP_BASE_NAME];
    char digest[SP_LAUNCH_HASH_LEN + 1]; /* READY */
    char source[512];
    char step[400];   /* MAKING: what it is at */
    char reason[512]; /* FAILED */
    uint64_t bytes, files;
    int64_t created_ms;
    json_t *config; /* of an image: {"env", "entrypoint", ...}; {} for others */
};

struct sp_bases; /* fields are in bases.c */

struct sp_bases_options {
    uv_loop_t *loop;
    const struct sp_config *config;
    struct sp_store *store;
    int take_program_fd; /* spaces-base, opened before the daemon became a user of its own; or -1 */
    /* Who needs the base: a Space's name, or ""; `ret` has room for 200. */
    void (*used_by)(void *arg, const char *name, const char *digest, char *ret, size_t size);
    void *arg;
};

struct sp_bases *sp_bases_new(const struct sp_bases_options *options);
/* Reads the records and sweeps what none of them has; `ready` comes once, later. */
void sp_bases_load(struct sp_bases *bases, void (*ready)(void *arg, const struct sp_error *err),
                   void *arg);
/* Ends what is being made; the loop ends when that is gone. */
void sp_bases_stop(struct sp_bases *bases);
/* After the loop has ended. NULL is fine. */
void sp_bases_free(struct sp_bases *bases);

const struct sp_list *sp_bases_list(const struct sp_bases *bases);
const struct sp_base *sp_bases_find(const struct sp_bases *bases, const char *name);
/* The base that a card's word means, "" = base.default: its digest, "" for the host's files. */
int sp_bases_resolve(const struct sp_bases *bases, const char *word, const char **ret_digest,
                     struct sp_error *err);

/*
 * Begins to make one. `source`: debian:12, debian:13, oci:DIR, docker-archive:FILE or
 * NAME@sha256:DIGEST; `packages` (commas between) and `mirror` are debian's, "" = the settings'.
 */
int sp_bases_make(struct sp_bases *bases, const char *name, const char *source,
                  const char *packages, const char *mirror, struct sp_error *err);

typedef void sp_bases_fn(void *arg, const struct sp_error *err);
/* Also ends one that is being made. SP_ERR_CONFLICT while it is used; `done` comes once. */
void sp_bases_remove(struct sp_bases *bases, const char *name, sp_bases_fn *done, void *arg);

const char *sp_base_state_to_string(enum sp_base_state state);

#endif
