#include "runtime/state/applog-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define OUT_MAX ((size_t)28 * 1024) /* written at once, or one line */
#define CHUNK   ((size_t)64 * 1024)

void applog_file_init(struct applog_file *file, const char *dir, uint64_t space, uint64_t max_bytes,
                      size_t line_max)
{
    file->dir = sp_asprintf("%s/%016llx", dir, (unsigned long long)space);
    file->fd = -1;
    file->size = 0;
    file->half = max_bytes / 2;
    file->broken = false;
    file->line_max = APPLOG_GROWTH * line_max + 64;
    sp_buf_init(&file->out, 0);
}

void applog_file_done(struct applog_file *file)
{
    applog_file_flush(file);
    sp_auto_fd(&file->fd);
    file->fd = -1;
    sp_buf_done(&file->out);
    free(file->dir);
    file->dir = NULL;
}

void sp_applog_erase(const char *dir, uint64_t space)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016llx", dir, (unsigned long long)space);
    struct sp_error err = {0};

    if (sp_rmtree(AT_FDCWD, path, &err) < 0)
        sp_log(SP_LOG_WARN, "applog.erase_failed", "err=%s", sp_log_quoted(err.msg));
}

/* --- writing ---------------------------------------------------------------------------------- */

static void path_of(const struct applog_file *file, bool older, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s/run.log%s", file->dir, older ? ".1" : "");
}

/* A crash may have left half a line, which the next must not continue. */
static int end_last_line(int fd, uint64_t size)
{
    char last = '\n';

    if (size > 0 && pread(fd, &last, 1, (off_t)size - 1) != 1)
        return -errno;
    return last == '\n' ? 0 : sp_write_all(fd, "\n", 1);
}

static int open_file(struct applog_file *file)
{
    SP_AUTO_FD int fd = -1;
    char path[512];
    struct stat st;
    int r = sp_mkdir_p(AT_FDCWD, file->dir, 0700, NULL);

    if (r < 0)
        return r;
    path_of(file, false, path, sizeof(path));
    fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if ((r = end_last_line(fd, (uint64_t)st.st_size)) < 0)
        return r;
    file->size = (uint64_t)st.st_size;
    file->fd = SP_TAKE_FD(fd);
    return 0;
}

static void rotate(struct applog_file *file)
{
    char path[512];
    char older[512];

    path_of(file, false, path, sizeof(path));
    path_of(file, true, older, sizeof(older));
    sp_auto_fd(&file->fd);
    file->fd = -1;
    if (rename(path, older) < 0)
        (void)unlink(path); /* never more than was promised, whatever happens */
}

static int write_out(struct applog_file *file)
{
    int r;

    if (file->fd < 0 && (r = open_file(file)) < 0)
        return r;
    if (file->size > 0 && file->size + file->out.len > file->half) {
        rotate(file);
        if ((r = open_file(file)) < 0)
            return r;
    }
    r = sp_fault("applog.write") ? -ENOSPC : sp_write_all(file->fd, file->out.data, file->out.len);
    if (r < 0) {
        sp_auto_fd(&file->fd); /* opening it again finds out where it ends */
        file->fd = -1;
        return r;
    }
    file->size += file->out.len;
    return 0;
}

void applog_file_flush(struct applog_file *file)
{
    int r;

    if (file->out.len == 0)
        return;
    r = write_out(file);
    if (r < 0 && !file->broken)
        sp_log(SP_LOG_WARN, "applog.write_failed", "dir=%s err=%s", sp_log_quoted(file->dir),
               sp_log_quoted(strerror(-r)));
    file->broken = r < 0;
    sp_buf_reset(&file->out);
}

void applog_file_add(struct applog_file *file, int64_t wall_ms, struct sp_slice line)
{
    if (file->out.len && file->out.len + line.len + 32 > OUT_MAX)
        applog_file_flush(file);
    (void)sp_buf_append_u64(&file->out, (uint64_t)wall_ms);
    (void)sp_buf_append_char(&file->out, ' ');
    (void)sp_buf_append_slice(&file->out, line);
    (void)sp_buf_append_char(&file->out, '\n');
}

void applog_file_expire(const struct applog_file *file, uint64_t ttl_ms)
{
    int64_t oldest_s = (sp_clock_wall_ms() - (int64_t)ttl_ms) / 1000;

    for (int older = 0; older < 2; older++) {
        char path[512];
        struct stat st;

        path_of(file, older, path, sizeof(path));
        if (stat(path, &st) == 0 && st.st_mtime < oldest_s)
            (void)unlink(path);
    }
}

/* --- reading back ----------------------------------------------------------------------------- */

struct part {
    int fd;
    uint64_t begin; /* of the first line that is wanted */
    uint64_t end;
    size_t lines;
};

static ssize_t read_at(int fd, char *buf, size_t size, uint64_t offset)
{
    ssize_t n;

    do
        n = pread(fd, buf, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Goes backwards from the end until `max` lines lie ahead. */
static void find_begin(struct part *part, size_t max, char *chunk, size_t chunk_size)
{
    uint64_t at = part->end;

    part->begin = at;
    while (at > 0 && part->end - at < APPLOG_TAIL_BYTES) {
        size_t size = at < chunk_size ? (size_t)at : chunk_size;

        at -= size;
        if (read_at(part->fd, chunk, size, at) != (ssize_t)size)
            return;
        for (size_t i = size; i-- > 0;) {
            if (chunk[i] != '\n' || at + i + 1 == part->end)
                continue; /* the last line feed ends a line and begins none */
            part->begin = at + i + 1;
            if (++part->lines == max)
                return;
        }
    }
    if (at == 0 && part->end > 0) {
        part->begin = 0;
        part->lines++;
    }
}

static void open_part(const struct applog_file *file, bool older, size_t max, char *chunk,
                      size_t chunk_size, struct part *ret)
{
    char path[512];
    struct stat st;

    *ret = (struct part){.fd = -1};
    if (max == 0)
        return;
    path_of(file, older, path, sizeof(path));
    ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
        return;
    ret->end = (uint64_t)st.st_size;
    find_begin(ret, max, chunk, chunk_size);
}

static void tell_line(struct sp_slice text, sp_applog_line_fn *each, void *arg)
{
    struct sp_slice rest = text;
    struct sp_slice time;
    uint64_t wall_ms = 0;

    if (!sp_slice_split(&rest, ' ', &time) || !rest.ptr || !sp_parse_u64(time, INT64_MAX, &wall_ms))
        return; /* not a line of ours */
    each(arg, (int64_t)wall_ms, rest);
}

/* `chunk` holds more than the longest line, so that each is whole in it at some time. */
static void tell_part(const struct part *part, char *chunk, size_t chunk_size,
                      sp_applog_line_fn *each, void *arg)
{
    uint64_t at = part->begin;

    while (at < part->end) {
        ssize_t n = read_at(part->fd, chunk, chunk_size, at);
        char *from = chunk;
        char *line_end;

        if (n <= 0)
            return;
        while ((line_end = memchr(from, '\n', (size_t)(chunk + n - from)))) {
            tell_line(sp_slice(from, (size_t)(line_end - from)), each, arg);
            from = line_end + 1;
        }
        if (from == chunk) {
            tell_line(sp_slice(chunk, (size_t)n), each, arg); /* unfinished, at the very end */
            return;
        }
        at += (uint64_t)(from - chunk);
    }
}

void applog_file_tail(const struct applog_file *file, size_t max, sp_applog_line_fn *each,
                      void *arg)
{
    size_t size = file->line_max > CHUNK ? file->line_max : CHUNK;
    SP_AUTO_FREE char *chunk = sp_realloc(NULL, size, 1);
    struct part newer;
    struct part older;

    open_part(file, false, max, chunk, size, &newer);
    open_part(file, true, max - newer.lines, chunk, size, &older);
    tell_part(&older, chunk, size, each, arg);
    tell_part(&newer, chunk, size, each, arg);
    sp_auto_fd(&older.fd);
    sp_auto_fd(&newer.fd);
}
