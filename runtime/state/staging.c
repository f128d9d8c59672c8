/*
 * Files come in below staging/<random>/, then the tree is hashed, made read-only, synced (on the
 * pool) and renamed to its hash (on the loop, so that a removal of the same hash, which the loop
 * also begins, comes entirely before or entirely after).
 */
#include "runtime/state/snapshot-internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "runtime/config.h"

#define PATH_BYTES_MAX 1024
#define NAME_BYTES_MAX 255 /* what the file system takes */

struct staged_file {
    char *path;
    uint64_t size;
    uint8_t sha256[crypto_hash_sha256_BYTES];
    bool executable;
};

struct sp_staging {
    char *dir;                /* the snapshots folder */
    char name[8 + SP_ID_HEX]; /* "staging/<random>" */
    int dir_fd;
    int root_fd; /* of the staged tree */
    struct staged_file *files;
    size_t n_files;
    size_t cap;
    uint64_t bytes;
    uint64_t max_files;
    uint64_t max_bytes;
    bool failed; /* a file is incomplete: no snapshot can come of this */

    int fd; /* of the file being written, or -1 */
    crypto_hash_sha256_state sha256;

    uv_work_t work;
    char hash[SP_SNAPSHOT_HEX];
    struct sp_error err;
    void (*done)(void *arg, const struct sp_error *err, const char *hash);
    void *arg;
};

/* --- staging ---------------------------------------------------------------------------------- */

int sp_staging_new(const char *dir, const struct sp_config *config, struct sp_staging **ret,
                   struct sp_error *err)
{
    SP_AUTO_FREE char *parent = sp_asprintf("%s/staging", dir);
    struct sp_staging *staging;
    char hex[SP_ID_HEX];
    struct sp_id id;
    int r = sp_mkdir_p(AT_FDCWD, parent, 0755, err);

    if (r < 0)
        return r;
    sp_id_random(&id);
    sp_id_to_hex(&id, hex);
    staging = sp_new0(struct sp_staging);
    (void)snprintf(staging->name, sizeof(staging->name), "staging/%s", hex);
    staging->dir = sp_strdup(dir);
    staging->fd = staging->root_fd = -1;
    staging->max_files = sp_config_int(config, "deploy.max_files");
    staging->max_bytes = sp_config_size(config, "deploy.max_bytes");

    staging->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (staging->dir_fd >= 0 && mkdirat(staging->dir_fd, staging->name, 0755) == 0)
        staging->root_fd =
            openat(staging->dir_fd, staging->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (staging->root_fd < 0) {
        r = sp_error_set(err, sp_snapshot_err_kind(errno), -errno, "make folder '%s/%s'", dir,
                         staging->name);
        sp_staging_free(staging);
        return r;
    }
    *ret = staging;
    return 0;
}

static void free_memory(struct sp_staging *staging)
{
    sp_auto_fd(&staging->fd);
    sp_auto_fd(&staging->root_fd);
    sp_auto_fd(&staging->dir_fd);
    for (size_t i = 0; i < staging->n_files; i++)
        free(staging->files[i].path);
    free(staging->files);
    free(staging->dir);
    free(staging);
}

void sp_staging_free(struct sp_staging *staging)
{
    if (!staging)
        return;
    if (staging->root_fd >= 0)
        sp_snapshot_remove_tree(staging->dir_fd, staging->name);
    free_memory(staging);
}

static bool segment_valid(struct sp_slice segment)
{
    return segment.len > 0 && segment.len <= NAME_BYTES_MAX && !sp_slice_eq_str(segment, ".") &&
           !sp_slice_eq_str(segment, "..") && !sp_slice_eq_nocase(segment, ".git");
}

static bool path_valid(struct sp_slice path)
{
    struct sp_slice rest = path;
    struct sp_slice segment;
    unsigned levels = 0;

    if (path.len == 0 || path.len > PATH_BYTES_MAX || !sp_utf8_valid(path.ptr, path.len))
        return false;
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f)
            return false;
    while (sp_slice_split(&rest, '/', &segment))
        if (!segment_valid(segment) || ++levels > SNAPSHOT_PATH_LEVELS_MAX)
            return false;
    return true;
}

static int refuse_path(struct sp_slice path, struct sp_error *err, const char *why)
{
    char shown[128];
    size_t len = 0;

    for (; len < path.len && len < sizeof(shown) - 1; len++)
        shown[len] = (unsigned char)path.ptr[len] < 0x20 ? '?' : path.ptr[len];
    shown[len] = '\0';
    return sp_error_set(err, SP_ERR_INVALID, 0, "file '%s': %s", shown, why);
}

/* The folders of `path`, below the staged tree. */
static int make_parents(struct sp_staging *staging, const char *path, struct sp_error *err)
{
    const char *slash = strrchr(path, '/');
    SP_AUTO_FREE char *parent = NULL;

    if (!slash)
        return 0;
    parent = sp_strndup(path, (size_t)(slash - path));
    return sp_mkdir_p(staging->root_fd, parent, 0755, err);
}

static void remember_file(struct sp_staging *staging, char *take_path)
{
    if (staging->n_files == staging->cap) {
        staging->cap = staging->cap ? 2 * staging->cap : 16;
        staging->files = sp_realloc(staging->files, staging->cap, sizeof(*staging->files));
    }
    staging->files[staging->n_files++] = (struct staged_file){.path = take_path};
    (void)crypto_hash_sha256_init(&staging->sha256);
}

int sp_staging_file(struct sp_staging *staging, struct sp_slice path, struct sp_error *err)
{
    SP_AUTO_FREE char *name = NULL;
    int r;

    if (sp_slice_starts(path, "./"))
        path = sp_slice(path.ptr + 2, path.len - 2);
    if (!path_valid(path))
        return refuse_path(path, err, "not a path that a Space can have");
    if (staging->n_files >= staging->max_files)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "more than %llu files (deploy.max_files)",
                            (unsigned long long)staging->max_files);
    sp_auto_fd(&staging->fd); /* one that was never ended */
    name = sp_slice_dup(path);
    /* Where a folder should be lies a file: mkdir calls that ENOTDIR, or open does. */
    if ((r = make_parents(staging, name, err)) < 0)
        return r == -ENOTDIR ? refuse_path(path, err, "runs through another file") : r;
    staging->fd =
        openat(staging->root_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (staging->fd < 0 && errno == ENOTDIR)
        return refuse_path(path, err, "runs through another file");
    if (staging->fd < 0 && errno == EEXIST)
        return refuse_path(path, err, "given twice");
    if (staging->fd < 0)
        return sp_error_set(err, sp_snapshot_err_kind(errno), -errno, "store file '%s'", name);
    remember_file(staging, SP_TAKE(name));
    return 0;
}

int sp_staging_write(struct sp_staging *staging, struct sp_slice data, struct sp_error *err)
{
    struct staged_file *file;
    int r;

    assert(staging->fd >= 0); /* between file and end */
    file = &staging->files[staging->n_files - 1];
    if (data.len > staging->max_bytes - staging->bytes) {
        staging->failed = true;
        return sp_error_set(err, SP_ERR_LIMIT, 0, "more than %llu bytes (deploy.max_bytes)",
                            (unsigned long long)staging->max_bytes);
    }
    r = sp_fault("snapshot.write") ? -ENOSPC : sp_write_all(staging->fd, data.ptr, data.len);
    if (r < 0) {
        staging->failed = true;
        return sp_error_set(err, sp_snapshot_err_kind(-r), r, "store file '%s'", file->path);
    }
    (void)crypto_hash_sha256_update(&staging->sha256, (const unsigned char *)data.ptr, data.len);
    file->size += data.len;
    staging->bytes += data.len;
    return 0;
}

int sp_staging_end(struct sp_staging *staging, struct sp_error *err)
{
    assert(staging->fd >= 0); /* between file and end */
    if (staging->failed)
        return sp_error_set(err, SP_ERR_INVALID, 0, "a file is incomplete");
    (void)crypto_hash_sha256_final(&staging->sha256, staging->files[staging->n_files - 1].sha256);
    sp_auto_fd(&staging->fd);
    staging->fd = -1;
    return 0;
}

void sp_staging_executable(struct sp_staging *staging)
{
    assert(staging->fd >= 0); /* between file and end */
    staging->files[staging->n_files - 1].executable = true;
    (void)fchmod(staging->fd, 0755);
}

int sp_staging_read(struct sp_staging *staging, const char *path, size_t max, char **ret,
                    size_t *ret_len, struct sp_error *err)
{
    bool known = false;

    for (size_t i = 0; !known && i < staging->n_files; i++)
        known = strcmp(staging->files[i].path, path) == 0;
    if (!known)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -ENOENT, "file '%s'", path);
    return sp_file_read(staging->root_fd, path, max, ret, ret_len, err);
}

/* --- finishing -------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const struct staged_file *left = a;
    const struct staged_file *right = b;

    return strcmp(left->path, right->path);
}

/* docs/storage.md has the format. A path holds no line feed, so a line cannot be two. */
static void hash_tree(struct sp_staging *staging)
{
    static const char head[] = "spaces-snapshot 1\n";
    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];

    qsort(staging->files, staging->n_files, sizeof(*staging->files), by_path);
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const unsigned char *)head, sizeof(head) - 1);
    for (size_t i = 0; i < staging->n_files; i++) {
        const struct staged_file *file = &staging->files[i];
        char line[PATH_BYTES_MAX + 128];
        char hex[2 * sizeof(file->sha256) + 1];
        int len;

        sp_hex(file->sha256, sizeof(file->sha256), hex);
        len = snprintf(line, sizeof(line), "%c %llu %s %s\n", file->executable ? 'x' : '-',
                       (unsigned long long)file->size, hex, file->path);
        (void)crypto_hash_sha256_update(&state, (const unsigned char *)line, (size_t)len);
    }
    (void)crypto_hash_sha256_final(&state, digest);
    sp_hex(digest, sizeof(digest), staging->hash);
}

/* Read-only and on the disk, from the leaves up; the root's own mode comes after the rename. */
static int seal_at(int parent, const char *name, bool is_root, unsigned levels)
{
    SP_AUTO_FD int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    SP_AUTO_FD int copy = -1;
    struct dirent *entry;
    struct stat st;
    DIR *dir;
    int r = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode))
        return fchmod(fd, st.st_mode & 0100 ? 0555 : 0444) < 0 || fsync(fd) < 0 ? -errno : 0;
    if (!S_ISDIR(st.st_mode) || levels == 0)
        return -EINVAL;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0 || !(dir = fdopendir(copy)))
        return -errno;
    copy = -1; /* closedir closes it */
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = seal_at(fd, entry->d_name, false, levels - 1);
    (void)closedir(dir);
    if (r == 0 && ((!is_root && fchmod(fd, 0555) < 0) || fsync(fd) < 0))
        r = -errno;
    return r;
}

static void on_seal(uv_work_t *work)
{
    struct sp_staging *staging = work->data;
    int r;

    if (staging->err.kind != SP_ERR_NONE)
        return;
    if (sp_fault("snapshot.slow"))
        (void)sleep(3);
    hash_tree(staging);
    if (faccessat(staging->dir_fd, staging->hash, F_OK, 0) == 0)
        return; /* it is there already: nothing to sync */
    r = seal_at(staging->dir_fd, staging->name, true, SNAPSHOT_LEVELS_MAX);
    if (r < 0)
        (void)sp_error_set(&staging->err, sp_snapshot_err_kind(-r), r, "store the snapshot");
}

/* Renames into place. A folder that moves to another parent must be writable, hence the order. */
static int move_into_place(struct sp_staging *staging)
{
    if (faccessat(staging->dir_fd, staging->hash, F_OK, 0) == 0)
        return 0; /* the caller removes the staged copy */
    if (renameat(staging->dir_fd, staging->name, staging->dir_fd, staging->hash) < 0)
        return -errno;
    if (fchmod(staging->root_fd, 0555) < 0 || fsync(staging->root_fd) < 0 ||
        fsync(staging->dir_fd) < 0)
        return -errno;
    sp_auto_fd(&staging->root_fd);
    staging->root_fd = -1; /* nothing to remove */
    return 0;
}

static void free_on_pool(uv_work_t *work)
{
    struct sp_staging *staging = work->data;

    sp_staging_free(staging);
}

static void on_freed(uv_work_t *work, int status)
{
    (void)status;
    free(work);
}

/* A dropped copy may be large: its files are removed on the pool as well. */
static void free_later(struct sp_staging *staging, uv_loop_t *loop)
{
    uv_work_t *work = sp_new0(uv_work_t);

    work->data = staging;
    if (uv_queue_work(loop, work, free_on_pool, on_freed) < 0) {
        sp_staging_free(staging);
        free(work);
    }
}

static void on_sealed(uv_work_t *work, int status)
{
    struct sp_staging *staging = work->data;
    uv_loop_t *loop = work->loop;
    int r;

    if (status < 0 && staging->err.kind == SP_ERR_NONE)
        (void)sp_error_set(&staging->err, SP_ERR_UNAVAILABLE, status, "store the snapshot");
    if (staging->err.kind == SP_ERR_NONE && (r = move_into_place(staging)) < 0)
        (void)sp_error_set(&staging->err, sp_snapshot_err_kind(-r), r, "store the snapshot");
    if (staging->err.kind == SP_ERR_NONE)
        staging->done(staging->arg, NULL, staging->hash);
    else
        staging->done(staging->arg, &staging->err, NULL);
    free_later(staging, loop);
}

void sp_staging_consume_finish(struct sp_staging *staging, uv_loop_t *loop,
                               void (*done)(void *arg, const struct sp_error *err,
                                            const char *hash),
                               void *arg)
{
    staging->work.data = staging;
    staging->done = done;
    staging->arg = arg;
    if (staging->failed || staging->fd >= 0)
        (void)sp_error_set(&staging->err, SP_ERR_INVALID, 0, "a file is incomplete");
    if (uv_queue_work(loop, &staging->work, on_seal, on_sealed) < 0)
        abort(); /* only for a NULL callback */
}
