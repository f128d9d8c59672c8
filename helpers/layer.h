/*
 * helpers/layer.h - the layers of an image, put one above another into a folder.
 *
 * Refused: names that are absolute or hold "..", links out of the folder and what would go through
 * one, device nodes and pipes, and what is more than the limits. Set-id bits are taken off. Files
 * belong to whoever runs this, and can be read by them.
 */
#ifndef SP_HELPERS_LAYER_H
#define SP_HELPERS_LAYER_H

#include <stdint.h>

#include "helpers/tar.h"

struct sp_layer_limits {
    uint64_t max_bytes; /* of all files of all layers, and of the unpacked archives */
    uint64_t max_files; /* files, folders and links */
};

struct sp_layer_count {
    uint64_t bytes, files;
};

/* First of the two: takes away what the layer says is no more in the layers below. */
int sp_layer_whiteouts(int root_fd, struct sp_tar *tar, const struct sp_layer_limits *limits,
                       struct sp_error *err);
/* Then, from the beginning again: puts its files. Adds to `count`. */
int sp_layer_files(int root_fd, struct sp_tar *tar, const struct sp_layer_limits *limits,
                   struct sp_layer_count *count, struct sp_error *err);

#endif
