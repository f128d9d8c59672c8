/* A base that is being made: spaces-base, what it says, and its files moved into place. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/config.h"
#include "runtime/spaces/bases-internal.h"

#define LINE_MAX_ (SP_JSON_MAX + 64)

struct sp_base_job {
    struct sp_bases *bases;
    struct sp_base *base;
    uv_process_t process;
    uv_pipe_t out;
    uv_timer_t timer;
    unsigned open_handles;
    bool exited, out_ended;
    struct sp_buf line;
    char folder[SP_ID_HEX + 32]; /* bases/staging/<id> */
    char failed[512];
    json_t *done; /* what it said at the end */
    uv_work_t work;
};

static void fail(struct sp_base_job *job, const char *why)
{
    if (!job->failed[0])
        (void)snprintf(job->failed, sizeof(job->failed), "%s", why);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* On the pool. What is in place has been on the disk before: a power cut leaves no half base. */
static void move_into_place(uv_work_t *work)
{
    struct sp_base_job *job = work->data;
    const char *digest = "";
    SP_AUTO_FREE char *to = NULL;
    SP_AUTO_FD int fd = -1, all = -1;

    (void)sp_json_get_str(job->done, "digest", &digest, NULL);
    if (!job->failed[0] && (strlen(digest) != SP_LAUNCH_HASH_LEN ||
                            strspn(digest, "0123456789abcdef") != SP_LAUNCH_HASH_LEN))
        fail(job, "spaces-base said no digest");
    if (!job->failed[0]) {
        to = sp_asprintf(SP_DIR_BASES "/%s", digest);
        fd = open(job->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        all = open(SP_DIR_BASES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* EEXIST, ENOTEMPTY: the same files under another name; ours go. */
        if (fd < 0 || all < 0 || syncfs(fd) < 0 ||
            (rename(job->folder, to) < 0 && errno != EEXIST && errno != ENOTEMPTY) ||
            fsync(all) < 0)
            fail(job, strerror(errno));
    }
    (void)sp_rmtree(AT_FDCWD, job->folder, NULL);
}

static void take_sizes(struct sp_base *base, const json_t *done)
{
    int64_t bytes = 0, files = 0;
    const char *digest = "";

    (void)sp_json_get_str(done, "digest", &digest, NULL);
    (void)sp_json_get_int(done, "bytes", 0, INT64_MAX, &bytes, NULL);
    (void)sp_json_get_int(done, "files", 0, INT64_MAX, &files, NULL);
    (void)snprintf(base->digest, sizeof(base->digest), "%s", digest);
    base->bytes = (uint64_t)bytes;
    base->files = (uint64_t)files;
    base->config = json_incref(json_object_get(done, "config"));
    base->created_ms = sp_clock_wall_ms();
}

static void after_move(uv_work_t *work, int status)
{
    struct sp_base_job *job = work->data;
    struct sp_bases *bases = job->bases;
    struct sp_base *base = job->base;

    (void)status;
    if (job->failed[0]) {
        base->state = SP_BASE_FAILED;
        (void)snprintf(base->reason, sizeof(base->reason), "%s", job->failed);
        sp_log(SP_LOG_WARN, "base.failed", "name=%s err=%s", base->name,
               sp_log_quoted(base->reason));
    } else {
        take_sizes(base, job->done);
        sp_base_store(bases, base);
    }
    bases->job = NULL;
    json_decref(job->done);
    sp_buf_done(&job->line);
    free(job);
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_base_job *job = handle->data;

    if (--job->open_handles > 0)
        return;
    if (!job->done)
        fail(job, "spaces-base ended without a word");
    job->work.data = job;
    if (uv_queue_work(job->bases->options.loop, &job->work, move_into_place, after_move) < 0)
        after_move(&job->work, 0);
}

static void close_when_over(struct sp_base_job *job)
{
    if (!job->exited || !job->out_ended)
        return;
    uv_close((uv_handle_t *)&job->process, on_closed);
    uv_close((uv_handle_t *)&job->out, on_closed);
    uv_close((uv_handle_t *)&job->timer, on_closed);
}

static void on_ended(uv_process_t *process, int64_t status, int sig)
{
    struct sp_base_job *job = process->data;

    (void)sig;
    job->exited = true;
    if (status != 0)
        fail(job, "spaces-base ended early");
    (void)uv_timer_stop(&job->timer);
    close_when_over(job);
}

/* --- what it says ----------------------------------------------------------------------------- */

static void on_line(struct sp_base_job *job, struct sp_slice line)
{
    struct sp_error err = {0};
    struct sp_slice word;

    if (!sp_slice_split(&line, ' ', &word) || !line.ptr)
        return;
    if (sp_slice_eq_str(word, "step")) {
        (void)snprintf(job->base->step, sizeof(job->base->step), "%.*s", (int)line.len, line.ptr);
    } else if (sp_slice_eq_str(word, "done") && !job->done) {
        if (sp_json_parse(line, &job->done, &err) < 0)
            fail(job, err.msg);
    } else if (sp_slice_eq_str(word, "failed")) {
        SP_AUTO_FREE char *text = NULL;

        (void)sp_slice_split(&line, ' ', &word); /* the kind */
        text = sp_slice_dup(line);
        fail(job, text);
    }
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    static char data[8192];

    (void)handle;
    (void)wanted;
    *ret = uv_buf_init(data, sizeof(data));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sp_base_job *job = stream->data;
    const char *end;

    if (n < 0) {
        job->out_ended = true;
        close_when_over(job);
        return;
    }
    if (!sp_buf_append(&job->line, buf->base, (size_t)n)) {
        fail(job, "spaces-base says too much");
        (void)uv_process_kill(&job->process, SIGTERM);
        return;
    }
    while ((end = job->line.len ? memchr(job->line.data, '\n', job->line.len) : NULL)) {
        size_t len = (size_t)(end - job->line.data);

        on_line(job, sp_slice(job->line.data, len));
        sp_buf_consume(&job->line, len + 1);
    }
}

/* --- the start -------------------------------------------------------------------------------- */

static void on_time(uv_timer_t *timer)
{
    struct sp_base_job *job = timer->data;

    fail(job, "it took longer than base.timeout");
    (void)uv_process_kill(&job->process, SIGTERM);
}

void sp_base_job_end(struct sp_bases *bases, const char *why)
{
    if (!bases->job)
        return;
    fail(bases->job, why);
    if (!bases->job->exited)
        (void)uv_process_kill(&bases->job->process, SIGTERM);
}

void sp_bases_stop(struct sp_bases *bases)
{
    if (bases)
        sp_base_job_end(bases, "spacesd stopped");
}

static int make_folder(struct sp_base_job *job, char absolute[PATH_MAX], struct sp_error *err)
{
    char hex[SP_ID_HEX], here[PATH_MAX - 128];
    struct sp_id id;

    sp_id_random(&id);
    sp_id_to_hex(&id, hex);
    (void)snprintf(job->folder, sizeof(job->folder), SP_DIR_BASES "/staging/%s", hex);
    if (!getcwd(here, sizeof(here)))
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "find the state folder");
    (void)snprintf(absolute, PATH_MAX, "%s/%s", here, job->folder);
    return sp_mkdir_p(AT_FDCWD, job->folder, 0700, err);
}

static int spawn(struct sp_base_job *job, char *into, const char *packages, const char *mirror,
                 struct sp_error *err)
{
    const struct sp_config *config = job->bases->options.config;
    char program[64], bytes[24], files[24], layers[24];
    const char *argv[] = {"spaces-base",
                          "--into",
                          into,
                          "--source",
                          job->base->source,
                          "--packages",
                          packages[0] ? packages : sp_config_str(config, "base.packages"),
                          "--mirror",
                          mirror[0] ? mirror : sp_config_str(config, "base.mirror"),
                          "--max-bytes",
                          bytes,
                          "--max-files",
                          files,
                          "--max-layers",
                          layers,
                          NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&job->out},
        {.flags = UV_IGNORE}};
    uv_process_options_t options = {.file = program,
                                    .args = (char **)(uintptr_t)argv,
                                    .exit_cb = on_ended,
                                    .stdio = stdio,
                                    .stdio_count = 3};
    int r;

    /* By descriptor: we may not be able to walk to where it lies. */
    (void)snprintf(program, sizeof(program), "/proc/self/fd/%d",
                   job->bases->options.take_program_fd);
    (void)snprintf(bytes, sizeof(bytes), "%" PRIu64, sp_config_size(config, "base.max_bytes"));
    (void)snprintf(files, sizeof(files), "%" PRIu64, sp_config_int(config, "base.max_files"));
    (void)snprintf(layers, sizeof(layers), "%" PRIu64, sp_config_int(config, "base.max_layers"));
    r = uv_spawn(job->bases->options.loop, &job->process, &options);
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "start spaces-base") : 0;
}

int sp_base_job_start(struct sp_bases *bases, struct sp_base *base, const char *packages,
                      const char *mirror, struct sp_error *err)
{
    struct sp_base_job *job;
    char into[PATH_MAX];

    if (bases->options.take_program_fd < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "the program spaces-base is not installed");
    job = sp_new0(struct sp_base_job);
    job->bases = bases;
    job->base = base;
    if (make_folder(job, into, err) < 0) {
        free(job);
        return err ? err->sys : -EIO;
    }
    bases->job = job;
    sp_buf_init(&job->line, LINE_MAX_);
    (void)uv_pipe_init(bases->options.loop, &job->out, 0);
    (void)uv_timer_init(bases->options.loop, &job->timer);
    job->process.data = job->out.data = job->timer.data = job;
    job->open_handles = 3;
    if (spawn(job, into, packages, mirror, err) < 0) {
        fail(job, err->msg); /* the list tells of it */
        job->exited = job->out_ended = true;
        close_when_over(job);
        return 0;
    }
    sp_log(SP_LOG_INFO, "base.making", "name=%s source=%s", base->name,
           sp_log_quoted(base->source));
    (void)uv_timer_start(&job->timer, on_time,
                         sp_config_duration(bases->options.config, "base.timeout"), 0);
    (void)uv_read_start((uv_stream_t *)&job->out, on_alloc, on_read);
    return 0;
}
