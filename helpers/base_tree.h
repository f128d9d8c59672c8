/*
 * helpers/base_tree.h - a base's files made fit for sandboxes, and their name: the hash of all that
 * is in them (docs/bases.md). Only names, modes and bytes are read; nothing here parses them.
 */
#ifndef SP_HELPERS_BASE_TREE_H
#define SP_HELPERS_BASE_TREE_H

#include <stdint.h>

struct sp_error;

#define SP_BASE_HEX 65

struct sp_base_sum {
    char digest[SP_BASE_HEX];
    uint64_t bytes; /* of its files */
    uint64_t files; /* files, folders and links */
};

/*
 * Takes off set-id bits, device nodes and links that lead into `made_at` (the path at which the
 * files were made, "" = none: fakechroot writes it into absolute ones); knows a user with id 1000.
 */
int sp_base_finish(int root_fd, const char *made_at, struct sp_error *err);
int sp_base_sum(int root_fd, struct sp_base_sum *ret, struct sp_error *err);

#endif
