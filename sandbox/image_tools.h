/*
 * sandbox/image_tools.h - the programs of e2fsprogs, run on an image that is open and locked by us.
 *
 * They are waited for: only for the child that prepares one `/data`. Each dies with its caller.
 */
#ifndef SP_SANDBOX_IMAGE_TOOLS_H
#define SP_SANDBOX_IMAGE_TOOLS_H

struct sp_error;
struct sp_image;

int sp_image_tools_found(struct sp_error *err);

/* Over all of the file's size. */
int sp_image_make_fs(const struct sp_image *image, int fd, struct sp_error *err);
/*
 * Repairs what the file system says is wrong with it, where that needs no choice; a few
 * milliseconds where it says nothing. What needs a person's choice is left as it is, and the error
 * says so.
 */
int sp_image_check_fs(const struct sp_image *image, int fd, struct sp_error *err);
/* The same, but it looks deep whatever the file system says; resize2fs wants that. */
int sp_image_check_all(const struct sp_image *image, int fd, struct sp_error *err);
/* The file system to the end of the file. What it overwrites goes to the other file first. */
int sp_image_resize_fs(int fd, int undo_fd, struct sp_error *err);
/* Puts back what a resize that did not come to its end has overwritten. */
int sp_image_undo_fs(int fd, int undo_fd, struct sp_error *err);

/* The sentence for its Space: what, why, and what to do. Returns the error. */
int sp_image_damaged(const struct sp_image *image, const char *why, struct sp_error *err);

#endif
