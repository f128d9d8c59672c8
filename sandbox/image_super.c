#include "sandbox/image_super.h"

#include <string.h>
#include <unistd.h>

/* Where a superblock has what, little-endian; the kernel's Documentation/filesystems/ext4. */
enum {
    AT = 1024,
    SIZE = 1024,
    BLOCKS_LO = 0x04,
    LOG_BLOCK_SIZE = 0x18,
    BLOCKS_PER_GROUP = 0x20,
    INODES_PER_GROUP = 0x28,
    MAGIC = 0x38,
    INODE_SIZE = 0x58,
    INCOMPAT = 0x60,
    RESERVED_GDT = 0xce,
    DESC_SIZE = 0xfe,
    BLOCKS_HI = 0x150,
};
#define EXT_MAGIC      0xef53
#define INCOMPAT_64BIT 0x80
#define SPARE_BLOCKS   50 /* of its own a last group must have so many beside its tables */

struct super {
    uint64_t blocks, block_size, per_group, table_blocks, descriptor_blocks;
};

static uint64_t get(const unsigned char *raw, unsigned at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | raw[at + bytes];
    return value;
}

static bool read_super(int fd, struct super *ret)
{
    unsigned char raw[SIZE];
    bool is_64;
    uint64_t descriptor, groups;

    if (pread(fd, raw, sizeof(raw), AT) != (ssize_t)sizeof(raw) || get(raw, MAGIC, 2) != EXT_MAGIC)
        return false;
    if (get(raw, LOG_BLOCK_SIZE, 4) > 6 || get(raw, BLOCKS_PER_GROUP, 4) == 0)
        return false;
    is_64 = get(raw, INCOMPAT, 4) & INCOMPAT_64BIT;
    ret->block_size = 1024ull << get(raw, LOG_BLOCK_SIZE, 4);
    ret->blocks = get(raw, BLOCKS_LO, 4) | (is_64 ? get(raw, BLOCKS_HI, 4) << 32 : 0);
    ret->per_group = get(raw, BLOCKS_PER_GROUP, 4);
    ret->table_blocks =
        get(raw, INODES_PER_GROUP, 4) * get(raw, INODE_SIZE, 2) / ret->block_size + 1;
    descriptor = is_64 ? get(raw, DESC_SIZE, 2) : 32;
    groups = ret->blocks / ret->per_group + 2;
    ret->descriptor_blocks = groups * descriptor / ret->block_size + 1 + get(raw, RESERVED_GDT, 2);
    return ret->blocks <= UINT64_MAX / ret->block_size;
}

bool sp_image_super_bytes(int fd, uint64_t *ret)
{
    struct super super;

    if (!read_super(fd, &super))
        return false;
    *ret = super.blocks * super.block_size;
    return true;
}

bool sp_image_super_is_short(int fd, uint64_t file_bytes)
{
    struct super super;
    uint64_t rest;

    if (!read_super(fd, &super) || file_bytes / super.block_size <= super.blocks)
        return false;
    rest = file_bytes / super.block_size - super.blocks;
    /* A last group that has no room for more than its own tables is left out by e2fsprogs. */
    return super.blocks % super.per_group != 0 ||
           rest >= super.table_blocks + super.descriptor_blocks + 3 + SPARE_BLOCKS;
}
