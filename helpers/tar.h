/*
 * helpers/tar.h - the entries of a tar stream, one after another: bytes to structs, no files.
 *
 * What is read: ustar, GNU's long names, pax path, linkpath and size. Sparse files, formats that
 * this does not know and headers that do not add up are refused. The stream is hostile.
 */
#ifndef SP_HELPERS_TAR_H
#define SP_HELPERS_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_error;

#define SP_TAR_PATH_MAX 4096 /* with the terminator */

enum sp_tar_type {
    SP_TAR_FILE,
    SP_TAR_FOLDER,
    SP_TAR_SYMLINK,
    SP_TAR_HARDLINK,
    SP_TAR_SPECIAL, /* a device or a pipe */
};

struct sp_tar_entry {
    enum sp_tar_type type;
    unsigned mode; /* the lower 12 bits */
    uint64_t size; /* of a file; 0 for the others */
    char path[SP_TAR_PATH_MAX];
    char link[SP_TAR_PATH_MAX];
};

/* Fills `buf`; fewer bytes only at the end of the stream; negative errno with `err`. */
typedef long sp_tar_read_fn(void *arg, void *buf, size_t len, struct sp_error *err);

struct sp_tar {
    sp_tar_read_fn *read;
    void *arg;
    uint64_t left;    /* of the entry's content */
    unsigned padding; /* behind it */
    bool ended;
};

void sp_tar_init(struct sp_tar *tar, sp_tar_read_fn *read, void *arg);
/* 1 and the next entry, 0 at the end, negative errno. Content that was not read is skipped. */
int sp_tar_next(struct sp_tar *tar, struct sp_tar_entry *ret, struct sp_error *err);
/* Some of the entry's content; 0 at its end. */
long sp_tar_content(struct sp_tar *tar, void *buf, size_t len, struct sp_error *err);

#endif
