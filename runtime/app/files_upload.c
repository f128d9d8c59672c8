/*
 * POST /upload: multipart straight to disk. Parsing waits while a piece is being written by libuv's
 * pool, and the client waits while parsing does, so an upload of any size costs one buffer.
 */
#include "runtime/app/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/server/server.h"
#include "ui-protocol/multipart.h"

#define FILES_MAX 1000 /* in one request: what the JavaScript client sends at most */

struct upload {
    struct sp_list node;
    struct sp_files *files;
    uint64_t space;
    uint64_t ex;
    struct sp_server *server;
    struct sp_multipart parser;
    struct sp_buf in; /* not parsed yet, from `at` on */
    size_t at;
    struct sp_slice data; /* being written */
    uv_fs_t req;
    int space_fd;
    int fd; /* of the file at hand; -1 between files and for other fields */
    char name[SP_FILES_NAME_MAX + 1];
    char folder[SP_ID_HEX];
    struct sp_buf made;  /* folders made, 32 digits each: removed when it fails */
    struct sp_buf reply; /* the JSON list so far */
    uint64_t bytes;
    unsigned n_files;
    bool writing;
    bool input_ended;
    bool complete; /* the closing delimiter was read */
    bool over;     /* answered, or nobody waits for an answer */
};

/* --- the end ---------------------------------------------------------------------------------- */

static void remove_made(struct upload *up)
{
    for (size_t i = 0; i + 32 <= up->made.len; i += 32) {
        SP_AUTO_FREE char *path = sp_asprintf("u/%.32s", up->made.data + i);

        (void)sp_rmtree(up->space_fd, path, NULL);
    }
}

static void upload_free(struct upload *up)
{
    struct sp_files *files = up->files;

    if (up->fd >= 0)
        (void)close(up->fd);
    (void)close(up->space_fd);
    sp_list_remove(&up->node);
    sp_buf_done(&up->in);
    sp_buf_done(&up->made);
    sp_buf_done(&up->reply);
    free(up);
    sp_files_check_closed(files);
}

/* Nothing more is wanted of it; a write under way is waited for. */
static void end(struct upload *up, bool keep)
{
    up->over = true;
    if (!keep) {
        remove_made(up);
        sp_files_add_used(up->files, up->space, -(int64_t)up->bytes);
    }
    if (!up->writing)
        upload_free(up);
}

static void on_gone(void *arg)
{
    end(arg, false);
}

static struct sp_exchange *take_exchange(struct upload *up)
{
    struct sp_exchange *ex = sp_exchange_find(up->server, up->ex);

    if (ex)
        sp_exchange_on_gone(ex, NULL, NULL);
    return ex;
}

static void fail(struct upload *up, int status, const char *sentence)
{
    struct sp_exchange *ex = take_exchange(up);

    if (!ex)
        return; /* on_gone is about to come */
    sp_app_reply_detail(ex, status, "%s", sentence);
    end(up, false);
}

static void succeed(struct upload *up)
{
    struct sp_exchange *ex = take_exchange(up);

    if (!ex)
        return;
    (void)sp_buf_append_str(&up->reply, up->n_files ? "]" : "[]");
    sp_reply(ex, 200, "application/json", sp_buf_slice(&up->reply));
    sp_files_watch(up->files);
    end(up, true);
}

/* --- one file --------------------------------------------------------------------------------- */

/* A folder of its own with a name nobody can guess, so that names neither clash nor can be tried.
 */
static int make_folder(struct upload *up)
{
    SP_AUTO_FREE char *path = NULL;
    struct sp_id id;

    sp_id_random(&id);
    sp_id_to_hex(&id, up->folder);
    path = sp_asprintf("u/%s", up->folder);
    if (mkdirat(up->space_fd, path, 0755) < 0)
        return -errno;
    (void)sp_buf_append(&up->made, up->folder, 32);
    return 0;
}

static bool begin_file(struct upload *up)
{
    SP_AUTO_FREE char *path = NULL;
    int r;

    up->fd = -1;
    if (!up->parser.has_filename || strcmp(up->parser.name, "files") != 0)
        return true; /* another field: read and dropped */
    if (up->n_files >= FILES_MAX) {
        fail(up, 413, "At most 1000 files in one request.");
        return false;
    }
    sp_files_safe_name(up->parser.filename, up->name);
    r = make_folder(up);
    if (r == 0) {
        path = sp_asprintf("u/%s/%s", up->folder, up->name);
        r = sp_open_beneath(up->space_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &up->fd, NULL);
    }
    if (r == 0)
        return true;
    fail(up, 503, r == -ENOSPC ? "The disk is full." : "The file could not be stored.");
    return false;
}

static void end_file(struct upload *up)
{
    SP_AUTO_FREE char *path = NULL;

    if (up->fd < 0)
        return;
    (void)fchmod(up->fd, 0444);
    (void)close(up->fd);
    up->fd = -1;
    path = sp_asprintf("/run/files/u/%s/%s", up->folder, up->name);
    (void)sp_buf_append_char(&up->reply, up->n_files++ ? ',' : '[');
    (void)sp_buf_append_json_string(&up->reply, sp_slice_str(path));
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void pump(struct upload *up);

static void on_written(uv_fs_t *req)
{
    struct upload *up = req->data;
    ssize_t n = req->result;

    uv_fs_req_cleanup(req);
    up->writing = false;
    if (up->over) {
        upload_free(up);
        return;
    }
    if (n <= 0) {
        fail(up, 503,
             n == -ENOSPC || n == -EDQUOT ? "The disk is full." : "The file could not be written.");
        return;
    }
    up->data = sp_slice(up->data.ptr + n, up->data.len - (size_t)n);
    pump(up);
}

static void write_piece(struct upload *up)
{
    uv_buf_t buf = uv_buf_init((char *)up->data.ptr, (unsigned)up->data.len);

    up->req.data = up;
    up->writing = true;
    if (uv_fs_write(up->files->apps->loop, &up->req, up->fd, &buf, 1, -1, on_written) < 0) {
        up->writing = false;
        fail(up, 503, "The file could not be written.");
    }
}

static bool take_data(struct upload *up)
{
    const struct sp_apps *apps = up->files->apps;
    size_t len = up->parser.data.len;

    if (up->fd < 0)
        return true;
    if (sp_files_used(up->files, up->space) + len > apps->limit.files_per_space) {
        fail(up, 413, "The app's files are above their limit (limit.files_per_space).");
        return false;
    }
    /* Counted as it comes, so that uploads at the same time share one quota. */
    up->bytes += len;
    sp_files_add_used(up->files, up->space, (int64_t)len);
    up->data = up->parser.data;
    if (up->data.len)
        write_piece(up);
    return up->data.len == 0;
}

/* All that lies here is parsed: read more, or answer. */
static void want_more(struct upload *up)
{
    struct sp_exchange *ex = sp_exchange_find(up->server, up->ex);

    sp_buf_reset(&up->in);
    up->at = 0;
    if (up->input_ended && up->complete)
        succeed(up);
    else if (up->input_ended)
        fail(up, 400, "The form ends in the middle.");
    else if (ex)
        sp_exchange_pause_body(ex, false);
}

/* One event of the parser; false when it has to wait, or is over. */
static bool step(struct upload *up)
{
    struct sp_slice rest = sp_slice(up->in.data + up->at, up->in.len - up->at);
    enum sp_multipart_event event =
        up->complete ? SP_MULTIPART_MORE : sp_multipart_feed(&up->parser, &rest);

    up->at = up->in.len - rest.len;
    switch (event) {
    case SP_MULTIPART_PART: return begin_file(up);
    case SP_MULTIPART_DATA: return take_data(up);
    case SP_MULTIPART_END: end_file(up); return true;
    case SP_MULTIPART_DONE: up->complete = true; return true;
    case SP_MULTIPART_BAD: fail(up, 400, up->parser.why); return false;
    case SP_MULTIPART_MORE: break;
    }
    want_more(up);
    return false;
}

static void pump(struct upload *up)
{
    if (up->data.len) {
        write_piece(up);
        return;
    }
    while (step(up))
        ;
}

static bool on_data(struct sp_exchange *ex, void *arg, struct sp_slice piece)
{
    struct upload *up = arg;
    struct sp_server *server = up->server;
    uint64_t id = up->ex;

    if (piece.len == 0)
        up->input_ended = true;
    (void)sp_buf_append_slice(&up->in, piece);
    sp_exchange_pause_body(ex, true);
    if (!up->writing)
        pump(up);
    /* The pump may have answered, and freed the upload with it. */
    return sp_exchange_find(server, id) != NULL;
}

/* --- the request ------------------------------------------------------------------------------ */

static struct upload *upload_new(struct sp_app_space *space, struct sp_exchange *ex, int space_fd)
{
    struct sp_files *files = space->apps->files;
    struct upload *up = sp_new0(struct upload);

    up->files = files;
    up->space = space->id;
    up->space_fd = space_fd;
    up->fd = -1;
    up->server = sp_exchange_server(ex);
    up->ex = sp_exchange_id(ex);
    sp_buf_init(&up->in, 0);
    sp_buf_init(&up->made, 0);
    sp_buf_init(&up->reply, 0);
    sp_list_init(&up->node);
    sp_list_append(&files->uploads, &up->node);
    return up;
}

void sp_app_upload(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_slice type = sp_http_header(sp_exchange_request(ex), "Content-Type");
    int fd = sp_files_open_space(space->apps->files, space->id);
    struct upload *up;

    (void)rest;
    if (fd < 0) {
        sp_app_reply_detail(ex, 503,
                            "The app has no place for files yet: it has not been started.");
        return;
    }
    up = upload_new(space, ex, fd);
    if (!sp_multipart_init(&up->parser, type)) {
        fail(up, 400, "A multipart/form-data body is expected.");
        return;
    }
    sp_exchange_on_gone(ex, on_gone, up);
    sp_exchange_read_body(ex, space->apps->limit.upload, on_data, up);
}

void sp_uploads_close(struct sp_files *files)
{
    SP_LIST_EACH (up, &files->uploads, struct upload, node) {
        struct sp_exchange *ex = take_exchange(up);

        if (up->over)
            continue;
        if (ex)
            sp_exchange_abort(ex);
        end(up, false);
    }
}
