/*
 * sandbox/image_grow.h - an image becomes larger, or stays as it was: whenever resize2fs is cut
 * short, killed or out of disk, what it has overwritten is put back.
 *
 * resize2fs alone leaves a file system then that nobody repairs without a choice. The old blocks
 * lie in `.<space>.undo` beside the image for as long as it works.
 */
#ifndef SP_SANDBOX_IMAGE_GROW_H
#define SP_SANDBOX_IMAGE_GROW_H

struct sp_error;
struct sp_image;

/* Puts back what a growth has left that was cut short. Nothing to do: nothing is done. */
int sp_image_recover(const struct sp_image *image, int fd, struct sp_error *err);
/* The file to image->bytes, and its file system with it; when that fails both are as before. */
int sp_image_grow(const struct sp_image *image, int fd, struct sp_error *err);

#endif
