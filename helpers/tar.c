#include "helpers/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

#define BLOCK     512u
#define EXTRA_MAX (1u << 20) /* a pax header, or a long name */

struct header { /* as POSIX has it */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], owner[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

/* What came before an entry and is about it. */
struct extra {
    bool has_path, has_link, has_size;
    uint64_t size;
    char path[SP_TAR_PATH_MAX], link[SP_TAR_PATH_MAX];
};

static int refuse(struct sp_error *err, const char *what)
{
    return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "not a tar archive that can be read (%s)",
                        what);
}

void sp_tar_init(struct sp_tar *tar, sp_tar_read_fn *read, void *arg)
{
    *tar = (struct sp_tar){.read = read, .arg = arg};
}

static int read_all(struct sp_tar *tar, void *buf, size_t len, struct sp_error *err)
{
    long n = tar->read(tar->arg, buf, len, err);

    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : refuse(err, "it ends in the middle");
}

static int skip(struct sp_tar *tar, uint64_t len, struct sp_error *err)
{
    char waste[8192];
    int r = 0;

    while (len > 0 && r == 0) {
        size_t n = len < sizeof(waste) ? (size_t)len : sizeof(waste);

        r = read_all(tar, waste, n, err);
        len -= n;
    }
    return r;
}

/* Octal digits, or with the first bit set a big-endian number. */
static bool get_number(const char *field, size_t len, uint64_t *ret)
{
    const unsigned char *at = (const unsigned char *)field;
    uint64_t value = 0;
    size_t i = 0;

    if (at[0] & 0x80) {
        value = at[0] & 0x7f;
        for (i = 1; i < len; i++) {
            if (value >> 55)
                return false;
            value = value << 8 | at[i];
        }
        *ret = value;
        return true;
    }
    while (i < len && field[i] == ' ')
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++) {
        if (value >> 60)
            return false;
        value = value << 3 | (uint64_t)(field[i] - '0');
    }
    for (; i < len; i++)
        if (field[i] != ' ' && field[i] != '\0')
            return false;
    *ret = value;
    return true;
}

static bool checksum_fits(const struct header *header)
{
    const unsigned char *at = (const unsigned char *)header;
    uint64_t sum = 0, said = 0;

    for (size_t i = 0; i < BLOCK; i++) {
        bool is_field = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);

        sum += is_field ? ' ' : at[i];
    }
    return get_number(header->checksum, sizeof(header->checksum), &said) && said == sum;
}

static bool is_zero(const struct header *header)
{
    const char *at = (const char *)header;

    for (size_t i = 0; i < BLOCK; i++)
        if (at[i])
            return false;
    return true;
}

/* A text that has no zero byte in it, and fits. */
static bool take_text(char *to, const char *from, size_t len)
{
    if (len >= SP_TAR_PATH_MAX || memchr(from, '\0', len))
        return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

/* "LEN KEY=VALUE\n" of a pax header. */
static int take_record(const char *key, size_t key_len, const char *value, size_t len,
                       struct extra *extra, struct sp_error *err)
{
    struct sp_slice name = sp_slice(key, key_len);

    if (sp_slice_starts(name, "GNU.sparse"))
        return refuse(err, "a sparse file");
    if (sp_slice_eq_str(name, "path")) {
        extra->has_path = true;
        return take_text(extra->path, value, len) ? 0 : refuse(err, "a path");
    }
    if (sp_slice_eq_str(name, "linkpath")) {
        extra->has_link = true;
        return take_text(extra->link, value, len) ? 0 : refuse(err, "a link");
    }
    if (sp_slice_eq_str(name, "size")) {
        extra->has_size = true;
        return sp_parse_u64(sp_slice(value, len), INT64_MAX, &extra->size) ? 0
                                                                           : refuse(err, "a size");
    }
    return 0;
}

static int read_pax(const char *text, size_t len, struct extra *extra, struct sp_error *err)
{
    while (len > 0) {
        const char *space = memchr(text, ' ', len), *equals;
        uint64_t size = 0;
        int r;

        if (!space || !sp_parse_u64(sp_slice(text, (size_t)(space - text)), len, &size) ||
            size <= (size_t)(space - text) + 2 || text[size - 1] != '\n')
            return refuse(err, "a pax header");
        equals = memchr(space + 1, '=', size - (size_t)(space + 1 - text) - 1);
        if (!equals)
            return refuse(err, "a pax header");
        r = take_record(space + 1, (size_t)(equals - space - 1), equals + 1,
                        size - (size_t)(equals + 1 - text) - 1, extra, err);
        if (r < 0)
            return r;
        text += size;
        len -= size;
    }
    return 0;
}

static int read_extra(struct sp_tar *tar, char type, uint64_t size, struct extra *extra,
                      struct sp_error *err)
{
    static char text[EXTRA_MAX];
    size_t len = (size_t)size;
    int r;

    if (size > sizeof(text))
        return refuse(err, "a header of over 1 MiB");
    r = read_all(tar, text, len, err);
    if (r == 0)
        r = skip(tar, (BLOCK - size % BLOCK) % BLOCK, err);
    if (r < 0)
        return r;
    if (type == 'x')
        return read_pax(text, len, extra, err);
    if (type == 'g') { /* comments are fine; a path for all that follows is nobody's wish */
        struct extra all = {0};

        r = read_pax(text, len, &all, err);
        return r == 0 && (all.has_path || all.has_link || all.has_size)
                   ? refuse(err, "a global path or size")
                   : r;
    }
    while (len > 0 && text[len - 1] == '\0')
        len--;
    if (type == 'L') {
        extra->has_path = true;
        return take_text(extra->path, text, len) ? 0 : refuse(err, "a path");
    }
    extra->has_link = true;
    return take_text(extra->link, text, len) ? 0 : refuse(err, "a link");
}

static void put_names(const struct header *header, const struct extra *extra,
                      struct sp_tar_entry *ret)
{
    bool is_ustar = memcmp(header->magic, "ustar\0", 6) == 0;

    if (extra->has_path)
        (void)snprintf(ret->path, sizeof(ret->path), "%s", extra->path);
    else if (is_ustar && header->prefix[0])
        (void)snprintf(ret->path, sizeof(ret->path), "%.*s/%.*s", (int)sizeof(header->prefix),
                       header->prefix, (int)sizeof(header->name), header->name);
    else
        (void)snprintf(ret->path, sizeof(ret->path), "%.*s", (int)sizeof(header->name),
                       header->name);
    if (extra->has_link)
        (void)snprintf(ret->link, sizeof(ret->link), "%s", extra->link);
    else
        (void)snprintf(ret->link, sizeof(ret->link), "%.*s", (int)sizeof(header->link),
                       header->link);
}

static int put_type(char type, struct sp_tar_entry *ret, struct sp_error *err)
{
    size_t len = strlen(ret->path);

    switch (type) {
    case '\0':
    case '7':
    case '0': ret->type = len && ret->path[len - 1] == '/' ? SP_TAR_FOLDER : SP_TAR_FILE; return 0;
    case '1': ret->type = SP_TAR_HARDLINK; return 0;
    case '2': ret->type = SP_TAR_SYMLINK; return 0;
    case '3':
    case '4':
    case '6': ret->type = SP_TAR_SPECIAL; return 0;
    case '5': ret->type = SP_TAR_FOLDER; return 0;
    case 'S': return refuse(err, "a sparse file");
    default: return refuse(err, "an entry of an unknown kind");
    }
}

static int put_entry(struct sp_tar *tar, const struct header *header, const struct extra *extra,
                     uint64_t size, struct sp_tar_entry *ret, struct sp_error *err)
{
    uint64_t mode = 0;
    int r;

    put_names(header, extra, ret);
    if (!ret->path[0] || !get_number(header->mode, sizeof(header->mode), &mode))
        return refuse(err, "an entry without a name or a mode");
    r = put_type(header->type, ret, err);
    if (r < 0)
        return r;
    if (extra->has_size)
        size = extra->size;
    ret->mode = (unsigned)mode & 07777;
    ret->size = ret->type == SP_TAR_FILE ? size : 0;
    if (ret->type != SP_TAR_FILE && size)
        return refuse(err, "content of what is no file");
    tar->left = ret->size;
    tar->padding = (unsigned)((BLOCK - ret->size % BLOCK) % BLOCK);
    return 1;
}

int sp_tar_next(struct sp_tar *tar, struct sp_tar_entry *ret, struct sp_error *err)
{
    static struct extra extra; /* 8 KiB each */
    struct header header;
    int r = skip(tar, tar->left, err);

    if (r == 0)
        r = skip(tar, tar->padding, err);
    tar->left = tar->padding = 0;
    extra = (struct extra){0};
    while (r == 0 && !tar->ended) {
        uint64_t size = 0;
        long n = tar->read(tar->arg, &header, sizeof(header), err);

        if (n < 0)
            return (int)n;
        if (n == 0 || (n == (long)sizeof(header) && is_zero(&header))) {
            tar->ended = true;
            return 0;
        }
        if (n != (long)sizeof(header) || !checksum_fits(&header) ||
            !get_number(header.size, sizeof(header.size), &size))
            return refuse(err, "a header");
        if (!header.type || !strchr("xgLK", header.type))
            return put_entry(tar, &header, &extra, size, ret, err);
        r = read_extra(tar, header.type, size, &extra, err);
    }
    return r;
}

long sp_tar_content(struct sp_tar *tar, void *buf, size_t len, struct sp_error *err)
{
    size_t n = tar->left < len ? (size_t)tar->left : len;
    int r = n ? read_all(tar, buf, n, err) : 0;

    if (r < 0)
        return r;
    tar->left -= n;
    return (long)n;
}
