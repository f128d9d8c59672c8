/* Files as answers: Range, ETag, HEAD, and reading in pieces only as fast as the client takes them.
 */
#include "runtime/server/server-internal.h"

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

#define PIECE ((size_t)64 * 1024)

struct sp_file_reply {
    uv_fs_t read;
    struct sp_exchange *ex; /* NULL when the client has gone while a read is under way */
    int fd;
    bool reading;
    uint64_t at;
    uint64_t end;
    char piece[PIECE];
};

static void on_piece(uv_fs_t *req);

static void free_file(struct sp_file_reply *file)
{
    (void)close(file->fd);
    free(file);
}

void sp_file_reply_detach(struct sp_file_reply *file)
{
    file->ex->conn->server->buffered_bytes -= sizeof(*file);
    file->ex->file = NULL;
    file->ex = NULL;
    if (!file->reading)
        free_file(file);
}

void sp_file_reply_continue(struct sp_file_reply *file)
{
    struct sp_exchange *ex = file->ex;
    uint64_t left = file->end - file->at;
    uv_buf_t buf;

    if (file->reading)
        return;
    if (left == 0) {
        sp_exchange_end(ex); /* detaches and frees */
        return;
    }
    buf = uv_buf_init(file->piece, (unsigned)(left < PIECE ? left : PIECE));
    file->reading = true;
    file->read.data = file;
    if (uv_fs_read(ex->conn->server->loop, &file->read, file->fd, &buf, 1, (int64_t)file->at,
                   on_piece) < 0) {
        file->reading = false;
        sp_exchange_abort(ex);
    }
}

static void on_piece(uv_fs_t *req)
{
    struct sp_file_reply *file = req->data;
    ssize_t n = req->result;
    struct sp_conn *conn;

    uv_fs_req_cleanup(req);
    file->reading = false;
    if (!file->ex) {
        free_file(file);
        return;
    }
    conn = file->ex->conn;
    if (n <= 0) {
        /* The file has become shorter than the length that we have promised. */
        struct sp_exchange *ex = file->ex;
        void (*gone)(void *arg) = ex->gone;
        void *arg = ex->gone_arg;

        sp_conn_reset(conn);
        if (gone)
            gone(arg);
        return;
    }
    file->at += (uint64_t)n;
    sp_conn_out_piece(conn, sp_slice(file->piece, (size_t)n), false);
    sp_server_flush(conn->server);
    if (!conn->broken && !conn->write)
        sp_file_reply_continue(file);
}

/* --- what is asked of the file ------------------------------------------------------------ */

enum range_kind { RANGE_WHOLE, RANGE_PART, RANGE_BAD };

/* One range only; several, and what we do not understand, get the whole file (RFC 9110 14.2). */
static enum range_kind parse_range(struct sp_slice text, uint64_t size, uint64_t *ret_at,
                                   uint64_t *ret_end)
{
    struct sp_slice first;
    uint64_t a = 0;
    uint64_t b = 0;

    if (!sp_slice_starts(text, "bytes=") || memchr(text.ptr, ',', text.len))
        return RANGE_WHOLE;
    text = sp_slice(text.ptr + 6, text.len - 6);
    if (!sp_slice_split(&text, '-', &first) || !text.ptr)
        return RANGE_WHOLE;
    if (first.len == 0) { /* the last b bytes */
        if (!sp_parse_u64(text, UINT64_MAX, &b))
            return RANGE_WHOLE;
        *ret_at = b < size ? size - b : 0;
        *ret_end = size;
        return b == 0 || size == 0 ? RANGE_BAD : RANGE_PART;
    }
    if (!sp_parse_u64(first, UINT64_MAX, &a) ||
        (text.len && (!sp_parse_u64(text, UINT64_MAX - 1, &b) || b < a)))
        return RANGE_WHOLE;
    if (a >= size)
        return RANGE_BAD;
    *ret_at = a;
    *ret_end = text.len && b < size ? b + 1 : size;
    return RANGE_PART;
}

/* If-None-Match lists tags, perhaps weak ones, or is "*". */
static bool tag_matches(struct sp_slice list, const char *etag)
{
    struct sp_slice tag;

    while (sp_slice_split(&list, ',', &tag)) {
        tag = sp_slice_trim(tag);
        if (sp_slice_starts(tag, "W/"))
            tag = sp_slice(tag.ptr + 2, tag.len - 2);
        if (sp_slice_eq_str(tag, "*") || sp_slice_eq_str(tag, etag))
            return true;
    }
    return false;
}

static void put_http_date(struct sp_exchange *ex, const char *name, time_t when)
{
    char text[40];
    struct tm tm;

    if (gmtime_r(&when, &tm) && strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm))
        sp_reply_header(ex, name, text);
}

static void put_content_range(struct sp_exchange *ex, uint64_t at, uint64_t end, uint64_t size)
{
    char text[80];

    if (end > at)
        (void)snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, at, end - 1,
                       size);
    else
        (void)snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
    sp_reply_header(ex, "Content-Range", text);
}

/* --- the answer --------------------------------------------------------------------------- */

static void start(struct sp_exchange *ex, int status, const char *content_type, int take_fd,
                  uint64_t at, uint64_t end)
{
    struct sp_conn *conn = ex->conn;
    struct sp_buf *out = sp_conn_out(conn);
    struct sp_file_reply *file;

    sp_exchange_put_head(ex, out, status, content_type);
    sp_http_end_length(out, status, end - at, ex->keep_alive);
    sp_conn_out_done(conn);
    if (ex->head_only || end == at) {
        (void)close(take_fd);
        sp_exchange_end(ex);
        return;
    }
    file = sp_new0(struct sp_file_reply);
    file->ex = ex;
    file->fd = take_fd;
    file->at = at;
    file->end = end;
    ex->file = file;
    conn->server->buffered_bytes += sizeof(*file);
    sp_file_reply_continue(file);
}

void sp_reply_file(struct sp_exchange *ex, const char *content_type, int take_fd)
{
    const struct sp_http_request *head = sp_exchange_request(ex);
    struct sp_slice range = head ? sp_http_header(head, "Range") : (struct sp_slice){0};
    struct sp_slice if_range = head ? sp_http_header(head, "If-Range") : (struct sp_slice){0};
    enum range_kind kind = RANGE_WHOLE;
    struct stat st;
    char etag[64];
    uint64_t at = 0;
    uint64_t end;

    if (fstat(take_fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        ex->conn->server->buffered_bytes > ex->conn->server->limits.stream_memory) {
        (void)close(take_fd);
        sp_reply_problem(ex, 503, "unavailable", "the file cannot be read now");
        return;
    }
    end = (uint64_t)st.st_size;
    (void)snprintf(etag, sizeof(etag), "\"%llx-%llx-%llx\"", (unsigned long long)st.st_ino,
                   (unsigned long long)st.st_size,
                   (unsigned long long)st.st_mtim.tv_sec * 1000000000ull +
                       (unsigned long long)st.st_mtim.tv_nsec);
    sp_reply_header(ex, "ETag", etag);
    put_http_date(ex, "Last-Modified", st.st_mtim.tv_sec);
    sp_reply_header(ex, "Accept-Ranges", "bytes");

    if (head && tag_matches(sp_http_header(head, "If-None-Match"), etag)) {
        (void)close(take_fd);
        sp_reply_empty(ex, 304);
        return;
    }
    if (range.ptr && (!if_range.ptr || sp_slice_eq_str(if_range, etag)))
        kind = parse_range(range, end, &at, &end);
    if (kind == RANGE_BAD) {
        (void)close(take_fd);
        put_content_range(ex, 0, 0, end);
        sp_reply_empty(ex, 416);
        return;
    }
    if (kind == RANGE_PART)
        put_content_range(ex, at, end, (uint64_t)st.st_size);
    start(ex, kind == RANGE_PART ? 206 : 200, content_type, take_fd, at, end);
}
