/*
 * sandbox/image_super.h - what an ext4 image says of its own size, read from its superblock.
 *
 * The image is root's own; still, what is read is only compared, never used as an offset.
 */
#ifndef SP_SANDBOX_IMAGE_SUPER_H
#define SP_SANDBOX_IMAGE_SUPER_H

#include <stdbool.h>
#include <stdint.h>

/* False: this is no ext4, or it cannot be read. */
bool sp_image_super_bytes(int fd, uint64_t *ret);
/*
 * The file is larger than its file system, by more than ext4 leaves at the end of its own accord:
 * a growth was cut short between the two.
 */
bool sp_image_super_is_short(int fd, uint64_t file_bytes);

#endif
