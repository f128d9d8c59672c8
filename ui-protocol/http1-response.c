/* The response part of http1.h. */
#include "ui-protocol/http1.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *sp_http_reason(int status)
{
    for (size_t i = 0; i < SP_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n", made once a second (RFC 9110 5.6.7). Names are ours,
 * not strftime's: those depend on the locale. */
static struct sp_slice date_line(void)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static __thread char line[64];
    static __thread time_t made = -1;
    static __thread size_t len;
    struct timespec now;
    struct tm tm;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != made) {
        (void)gmtime_r(&now.tv_sec, &tm);
        len = (size_t)snprintf(line, sizeof(line),
                               "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
                               days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
                               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        made = now.tv_sec;
    }
    return sp_slice(line, len);
}

void sp_http_put_status(struct sp_buf *out, int status)
{
    (void)sp_buf_append_str(out, "HTTP/1.1 ");
    (void)sp_buf_append_u64(out, (uint64_t)status);
    (void)sp_buf_append_char(out, ' ');
    (void)sp_buf_append_str(out, sp_http_reason(status));
    (void)sp_buf_append_str(out, "\r\n");
    (void)sp_buf_append_slice(out, date_line());
    (void)sp_buf_append_str(out, "Server: spacesd\r\n");
}

/* A line break in a value would let whoever supplied it write headers of their own. */
static bool is_one_line(struct sp_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0')
            return false;
    return true;
}

void sp_http_put_header(struct sp_buf *out, const char *name, struct sp_slice value)
{
    if (!is_one_line(sp_slice_str(name)) || !is_one_line(value)) {
        sp_log(SP_LOG_ERROR, "http.bad_header", "name=%s", sp_log_quoted(name));
        return;
    }
    (void)sp_buf_append_str(out, name);
    (void)sp_buf_append_str(out, ": ");
    (void)sp_buf_append_slice(out, value);
    (void)sp_buf_append_str(out, "\r\n");
}

void sp_http_put_header_str(struct sp_buf *out, const char *name, const char *value)
{
    sp_http_put_header(out, name, sp_slice_str(value));
}

void sp_http_end_length(struct sp_buf *out, int status, uint64_t length, bool keep_alive)
{
    if (status != 204 && status != 304) {
        (void)sp_buf_append_str(out, "Content-Length: ");
        (void)sp_buf_append_u64(out, length);
        (void)sp_buf_append_str(out, "\r\n");
    }
    /* Said in both cases: an HTTP/1.0 client keeps the connection only when told so. */
    (void)sp_buf_append_str(out, keep_alive ? "Connection: keep-alive\r\n\r\n"
                                            : "Connection: close\r\n\r\n");
}

void sp_http_end_stream(struct sp_buf *out, bool chunked)
{
    (void)sp_buf_append_str(out, chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                                         : "Connection: close\r\n\r\n");
}

void sp_http_put_chunk(struct sp_buf *out, struct sp_slice piece)
{
    if (piece.len == 0)
        return; /* an empty chunk would end the body */
    (void)sp_buf_printf(out, "%zx\r\n", piece.len);
    (void)sp_buf_append_slice(out, piece);
    (void)sp_buf_append_str(out, "\r\n");
}

void sp_http_put_last_chunk(struct sp_buf *out)
{
    (void)sp_buf_append_str(out, "0\r\n\r\n");
}
