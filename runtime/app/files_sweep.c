/* Files whose time is over: looked for in libuv's pool, now and again while there are any. */
#include "runtime/app/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#define SWEEP_MIN_MS (60 * 1000)
#define SWEEP_MAX_MS (15 * 60 * 1000)
/* Looked at in one sweep of one Space and kind: an app may make any number, to any depth. */
#define ENTRIES_MAX 100000
#define LEVELS_MAX  64

/* What the pool works on; it touches nothing of the loop's. */
struct sweep {
    uv_work_t work;
    struct sp_files *files; /* only after the work */
    char *dir;
    uint64_t upload_ttl_ms, output_ttl_ms, limit;
    int64_t now_ms;
    struct sp_map used; /* space -> bytes + 1, found */
    bool found;
};

/* --- in the pool ------------------------------------------------------------------------------ */

static DIR *open_folder(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        (void)close(fd);
    return dir;
}

/* The next entry but `.` and `..`, while there is some of the budget left. */
static const char *next_name(DIR *dir, unsigned *left)
{
    struct dirent *entry;

    while (*left > 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (*left)--;
        return entry->d_name;
    }
    return NULL;
}

/* An app may nest, hide and close its folders as it likes: all of it counts. */
static uint64_t tree_bytes(int dir_fd, const char *name, unsigned levels, unsigned *left)
{
    const char *below;
    struct stat st;
    uint64_t sum;
    DIR *dir;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    sum = (uint64_t)st.st_blocks * 512;
    if (!S_ISDIR(st.st_mode) || levels == 0)
        return sum;
    dir = open_folder(dir_fd, name);
    if (!dir) {
        if (errno != EACCES)
            return sum;
        (void)sp_rmtree(dir_fd, name, NULL); /* what cannot be counted cannot be served either */
        return 0;
    }
    while ((below = next_name(dir, left)))
        sum += tree_bytes(dirfd(dir), below, levels - 1, left);
    (void)closedir(dir);
    return sum;
}

/*
 * A time far in the future is the app's own doing: it does not make a file immortal. A little in
 * the future is a file that was made after the sweep began.
 */
static bool is_over(const struct stat *st, int64_t now_ms, uint64_t ttl_ms)
{
    int64_t made_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;

    if (made_ms < 0 || made_ms > now_ms)
        return made_ms > now_ms + 60000;
    return (uint64_t)(now_ms - made_ms) > ttl_ms;
}

/* Removes what is over in one of u and o; returns the bytes of the rest. */
static uint64_t sweep_kind(const struct sweep *sweep, int space_fd, const char *kind,
                           uint64_t ttl_ms, bool *found)
{
    DIR *dir = open_folder(space_fd, kind);
    unsigned left = ENTRIES_MAX;
    const char *name;
    struct stat st;
    uint64_t sum = 0;

    if (!dir)
        return 0;
    while ((name = next_name(dir, &left))) {
        if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (is_over(&st, sweep->now_ms, ttl_ms)) {
            (void)sp_rmtree(dirfd(dir), name, NULL);
            continue;
        }
        *found = true;
        sum += tree_bytes(dirfd(dir), name, LEVELS_MAX, &left);
    }
    (void)closedir(dir);
    return sum;
}

static uint64_t sweep_space(struct sweep *sweep, uint64_t space, int space_fd)
{
    uint64_t uploads = sweep_kind(sweep, space_fd, "u", sweep->upload_ttl_ms, &sweep->found);
    uint64_t outputs = sweep_kind(sweep, space_fd, "o", sweep->output_ttl_ms, &sweep->found);

    /* An app that writes past its limit loses what is older than a minute. */
    if (uploads + outputs > sweep->limit) {
        sp_log(SP_LOG_WARN, "files.above_limit",
               "space=%016" PRIx64 " bytes=%" PRIu64 " setting=%s", space, uploads + outputs,
               "limit.files_per_space");
        outputs = sweep_kind(sweep, space_fd, "o", 60000, &sweep->found);
    }
    return uploads + outputs;
}

static void on_work(uv_work_t *work)
{
    struct sweep *sweep = work->data;
    DIR *dir = opendir(sweep->dir);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char *end;
        uint64_t space = strtoull(entry->d_name, &end, 16);
        SP_AUTO_FD int fd = -1;

        if (end != entry->d_name + 16 || *end)
            continue;
        fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            (void)sp_map_put_u64(&sweep->used, space, (void *)(sweep_space(sweep, space, fd) + 1));
    }
    if (dir)
        (void)closedir(dir);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

struct since {
    uint64_t space;
    int64_t bytes;
};

static void add_since(struct sp_files *files, uint64_t space, int64_t bytes)
{
    struct since *since = sp_map_get_u64(&files->since, space);

    if (!since) {
        since = sp_new0(struct since);
        since->space = space;
        (void)sp_map_put_u64(&files->since, space, since);
    }
    since->bytes += bytes;
}

static uint64_t get(const struct sp_map *map, uint64_t space)
{
    uint64_t bytes = (uint64_t)sp_map_get_u64(map, space);

    return bytes ? bytes - 1 : 0;
}

/* Never below nothing: a sweep may have counted anew in between. */
static void add(struct sp_map *map, uint64_t space, int64_t bytes)
{
    uint64_t sum = get(map, space);

    sum = bytes < 0 && sum < (uint64_t)-bytes ? 0 : sum + (uint64_t)bytes;
    (void)sp_map_put_u64(map, space, (void *)(sum + 1));
}

/* What the sweep found, and what came while it looked: seen twice rather than not at all. */
static void take_counts(struct sp_files *files, struct sweep *sweep)
{
    struct since *since;
    size_t cursor = 0;

    while ((since = sp_map_next(&files->since, &cursor, NULL))) {
        add(&sweep->used, since->space, since->bytes);
        free(since);
    }
    sp_map_done(&files->since);
    sp_map_done(&files->used);
    files->used = sweep->used;
}

static void after_work(uv_work_t *work, int status)
{
    struct sweep *sweep = work->data;
    struct sp_files *files = sweep->files;
    bool found = sweep->found || files->apps->workers.count > 0;

    (void)status;
    files->sweeping = false;
    take_counts(files, sweep);
    free(sweep->dir);
    free(sweep);
    if (files->closing)
        sp_files_check_closed(files);
    else if (found)
        sp_files_watch(files);
}

static void on_timer(uv_timer_t *timer)
{
    struct sp_files *files = timer->data;
    const struct sp_app_limits *limit = &files->apps->limit;
    struct sweep *sweep = sp_new0(struct sweep);

    sweep->files = files;
    sweep->dir = sp_strdup(files->apps->files_dir);
    sweep->upload_ttl_ms = limit->upload_ttl_ms;
    sweep->output_ttl_ms = limit->output_ttl_ms;
    sweep->limit = limit->files_per_space;
    sweep->now_ms = sp_clock_wall_ms();
    sweep->work.data = sweep;
    sp_map_init(&sweep->used);
    files->sweeping = true;
    if (uv_queue_work(files->apps->loop, &sweep->work, on_work, after_work) < 0) {
        files->sweeping = false;
        free(sweep->dir);
        free(sweep);
    }
}

void sp_files_watch(struct sp_files *files)
{
    const struct sp_app_limits *limit = &files->apps->limit;
    uint64_t ttl =
        limit->output_ttl_ms < limit->upload_ttl_ms ? limit->output_ttl_ms : limit->upload_ttl_ms;
    uint64_t after = ttl / 4;

    if (files->closing || files->sweeping || uv_is_active((uv_handle_t *)&files->timer))
        return;
    after = after < SWEEP_MIN_MS ? SWEEP_MIN_MS : after > SWEEP_MAX_MS ? SWEEP_MAX_MS : after;
    (void)uv_timer_start(&files->timer, on_timer, after, 0);
}

uint64_t sp_files_used(const struct sp_files *files, uint64_t space)
{
    return get(&files->used, space);
}

void sp_files_add_used(struct sp_files *files, uint64_t space, int64_t bytes)
{
    add(&files->used, space, bytes);
    if (files->sweeping)
        add_since(files, space, bytes);
}

/* Its folder is not ours to remove. */
void sp_files_space_removed(struct sp_files *files, uint64_t space)
{
    (void)sp_map_remove_u64(&files->used, space);
    free(sp_map_remove_u64(&files->since, space));
}

/* --- life ------------------------------------------------------------------------------------- */

struct sp_files *sp_files_new(struct sp_apps *apps)
{
    struct sp_files *files = sp_new0(struct sp_files);

    files->apps = apps;
    sp_list_init(&files->uploads);
    sp_map_init(&files->used);
    sp_map_init(&files->since);
    (void)uv_timer_init(apps->loop, &files->timer);
    files->timer.data = files;
    files->timer_open = true;
    /* At once: what an earlier run has left counts, and may be over. */
    (void)uv_timer_start(&files->timer, on_timer, 0, 0);
    return files;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sp_files *files = handle->data;

    files->timer_open = false;
    sp_files_check_closed(files);
}

void sp_files_check_closed(struct sp_files *files)
{
    if (!files->closing || files->timer_open || files->sweeping || !sp_list_empty(&files->uploads))
        return;
    sp_map_done(&files->used); /* `since` is empty: nothing sweeps */
    sp_app_handle_closed(files->apps);
    free(files);
}

void sp_files_close(struct sp_files *files)
{
    files->closing = true;
    sp_uploads_close(files);
    uv_close((uv_handle_t *)&files->timer, on_timer_closed);
}
