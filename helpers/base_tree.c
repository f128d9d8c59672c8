#include "helpers/base_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define DEPTH_MAX  128
#define PASSWD_MAX ((size_t)1 << 20)

/* One walk: every name of the tree in the order of its bytes, folders before what is in them. */
struct walk {
    int (*each)(struct walk *walk, int parent, const char *name, const struct stat *st,
                struct sp_error *err);
    const char *made_at;
    crypto_hash_sha256_state hash;
    struct sp_base_sum sum;
    char path[PATH_MAX]; /* of what is looked at, from the root */
};

static int fail(struct walk *walk, struct sp_error *err)
{
    return sp_error_set(err, SP_ERR_INTERNAL, -errno, "read '%.200s' of the base", walk->path);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int walk_folder(struct walk *walk, int folder, size_t len, unsigned depth,
                       struct sp_error *err);

static int walk_one(struct walk *walk, int folder, const char *name, size_t len, unsigned depth,
                    struct sp_error *err)
{
    SP_AUTO_FD int child = -1;
    struct stat st;
    int n = snprintf(walk->path + len, sizeof(walk->path) - len, "%s%s", len ? "/" : "", name);
    int r;

    if (n < 0 || (size_t)n >= sizeof(walk->path) - len || depth > DEPTH_MAX)
        return sp_error_set(err, SP_ERR_INVALID, -ENAMETOOLONG, "the base is too deep at '%.200s'",
                            walk->path);
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(walk, err);
    r = walk->each(walk, folder, name, &st, err);
    if (r < 0 || !S_ISDIR(st.st_mode))
        return r;
    child = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return child < 0 ? fail(walk, err) : walk_folder(walk, child, len + (size_t)n, depth + 1, err);
}

static int walk_folder(struct walk *walk, int folder, size_t len, unsigned depth,
                       struct sp_error *err)
{
    struct dirent **names = NULL;
    int n = scandirat(folder, ".", &names, no_dots, by_name), r = 0;

    if (n < 0)
        return fail(walk, err);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = walk_one(walk, folder, names[i]->d_name, len, depth, err);
        free(names[i]);
    }
    walk->path[len] = '\0';
    free(names);
    return r;
}

/* --- the name --- */

static int hash_content(struct walk *walk, int parent, const char *name, char ret[SP_BASE_HEX],
                        struct sp_error *err)
{
    SP_AUTO_FD int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    unsigned char sum[crypto_hash_sha256_BYTES];
    static char data[1 << 16];
    crypto_hash_sha256_state hash;
    ssize_t n = -1;

    if (fd < 0)
        return fail(walk, err);
    (void)crypto_hash_sha256_init(&hash);
    while ((n = read(fd, data, sizeof(data))) > 0) {
        (void)crypto_hash_sha256_update(&hash, (unsigned char *)data, (size_t)n);
        walk->sum.bytes += (uint64_t)n;
    }
    if (n < 0)
        return fail(walk, err);
    (void)crypto_hash_sha256_final(&hash, sum);
    (void)sodium_bin2hex(ret, SP_BASE_HEX, sum, sizeof(sum));
    return 0;
}

static int sum_one(struct walk *walk, int parent, const char *name, const struct stat *st,
                   struct sp_error *err)
{
    char what[PATH_MAX] = "-";
    const char *kind = S_ISDIR(st->st_mode) ? "d" : S_ISLNK(st->st_mode) ? "l" : "f";
    SP_AUTO_FREE char *line = NULL;
    ssize_t n;
    int r = 0;

    walk->sum.files++;
    if (S_ISLNK(st->st_mode)) {
        n = readlinkat(parent, name, what, sizeof(what) - 1);
        if (n < 0)
            return fail(walk, err);
        what[n] = '\0';
    } else if (S_ISREG(st->st_mode)) {
        r = hash_content(walk, parent, name, what, err);
    }
    if (r < 0)
        return r;
    /* Lengths first: a name may hold a line feed. */
    line = sp_asprintf("%s %04o %zu %s %zu %s\n", kind,
                       S_ISLNK(st->st_mode) ? 0777u : (unsigned)st->st_mode & 07777u, strlen(what),
                       what, strlen(walk->path), walk->path);
    (void)crypto_hash_sha256_update(&walk->hash, (unsigned char *)line, strlen(line));
    return 0;
}

int sp_base_sum(int root_fd, struct sp_base_sum *ret, struct sp_error *err)
{
    static const char begin[] = "spaces-base 1\n";
    struct walk *walk = sp_new0(struct walk);
    unsigned char sum[crypto_hash_sha256_BYTES];
    int r;

    walk->each = sum_one;
    (void)crypto_hash_sha256_init(&walk->hash);
    (void)crypto_hash_sha256_update(&walk->hash, (const unsigned char *)begin, strlen(begin));
    r = walk_folder(walk, root_fd, 0, 0, err);
    (void)crypto_hash_sha256_final(&walk->hash, sum);
    *ret = walk->sum;
    (void)sodium_bin2hex(ret->digest, sizeof(ret->digest), sum, sizeof(sum));
    free(walk);
    return r;
}

/* --- fit for a sandbox --- */

/* "/where/it/was/made/lib/x" as "/lib/x". */
static int mend_link(struct walk *walk, int parent, const char *name, struct sp_error *err)
{
    size_t len = strlen(walk->made_at);
    char target[PATH_MAX];
    ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);

    if (n < 0)
        return fail(walk, err);
    target[n] = '\0';
    if (!len || strncmp(target, walk->made_at, len) != 0 || (target[len] && target[len] != '/'))
        return 0;
    if (unlinkat(parent, name, 0) < 0 ||
        symlinkat(target[len] ? target + len : "/", parent, name) < 0)
        return fail(walk, err);
    return 0;
}

static int mend_one(struct walk *walk, int parent, const char *name, const struct stat *st,
                    struct sp_error *err)
{
    mode_t mode = st->st_mode & (S_ISDIR(st->st_mode) ? 01777 : 0777);

    if (S_ISLNK(st->st_mode))
        return mend_link(walk, parent, name, err);
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return unlinkat(parent, name, 0) < 0 ? fail(walk, err) : 0; /* a socket, a pipe */
    mode |= S_ISDIR(st->st_mode) ? 0700 : 0400;
    return mode != (st->st_mode & 07777) && fchmodat(parent, name, mode, 0) < 0 ? fail(walk, err)
                                                                                : 0;
}

/* Whether a line of /etc/passwd or group has this number. */
static bool has_id(const char *text, const char *id)
{
    struct sp_slice rest = sp_slice_str(text), line;

    while (sp_slice_split(&rest, '\n', &line)) {
        struct sp_slice field = {0};

        for (int i = 0; i < 3; i++)
            if (!sp_slice_split(&line, ':', &field))
                break;
        if (sp_slice_eq_str(field, id))
            return true;
    }
    return false;
}

static int add_line(int etc, const char *file, const char *line, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL, *more = NULL;
    size_t len;
    int r = sp_file_read(etc, file, PASSWD_MAX, &text, &len, err);

    if (r == -ENOENT || r == -ELOOP)
        return 0; /* names are not needed */
    if (r < 0)
        return r;
    if (has_id(text, "1000"))
        return 0;
    more = sp_asprintf("%s%s%s\n", text, len && text[len - 1] != '\n' ? "\n" : "", line);
    return sp_file_replace(etc, file, 0644, sp_slice_str(more), err);
}

int sp_base_finish(int root_fd, const char *made_at, struct sp_error *err)
{
    struct walk *walk = sp_new0(struct walk);
    SP_AUTO_FD int etc = -1;
    int r;

    walk->each = mend_one;
    walk->made_at = made_at;
    r = walk_folder(walk, root_fd, 0, 0, err);
    free(walk);
    etc = openat(root_fd, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r < 0 || etc < 0)
        return r;
    r = add_line(etc, "passwd", "user:x:1000:1000::/home/user:/bin/sh", err);
    return r == 0 ? add_line(etc, "group", "user:x:1000:", err) : r;
}
