/*
 * ui-protocol/http1.h - HTTP/1.1: requests from bytes and answers to bytes, and for the proxy the
 * answers of apps from bytes (RFC 9112, 9110).
 *
 * Strict: what is not exactly right is refused and never repaired, because a proxy and an app that
 * read the same bytes differently is how requests are smuggled. No sockets, no allocation: a
 * request points into the bytes that it was parsed from.
 */
#ifndef SP_UI_PROTOCOL_HTTP1_H
#define SP_UI_PROTOCOL_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct sp_buf;

#define SP_HTTP_HEADERS_MAX 128
#define SP_HTTP_HEAD_MAX    ((size_t)32 * 1024) /* request line and headers, else 431 */
#define SP_HTTP_TARGET_MAX  ((size_t)8 * 1024)  /* else 414 */

enum sp_http_method {
    SP_HTTP_GET,
    SP_HTTP_HEAD,
    SP_HTTP_POST,
    SP_HTTP_PUT,
    SP_HTTP_PATCH,
    SP_HTTP_DELETE,
    SP_HTTP_OPTIONS,
    SP_HTTP_OTHER, /* a valid token that we do not serve; see method_name */
};
const char *sp_http_method_to_string(enum sp_http_method method);

struct sp_http_header {
    struct sp_slice name;  /* as sent; compare with sp_slice_eq_nocase */
    struct sp_slice value; /* without the white space around it */
};

enum sp_http_body {
    SP_HTTP_BODY_NONE,
    SP_HTTP_BODY_LENGTH,
    SP_HTTP_BODY_CHUNKED,
    SP_HTTP_BODY_CLOSE, /* of answers only: to the end of the connection */
};

struct sp_http_request {
    enum sp_http_method method;
    struct sp_slice method_name;
    struct sp_slice target; /* as sent; origin form, absolute form or "*" */
    struct sp_slice path;   /* still percent-encoded; begins with '/' ("*" for OPTIONS *) */
    struct sp_slice query;  /* without '?'; ptr NULL when there is no '?' */
    struct sp_slice host; /* of the absolute target if there is one, else of Host; may hold :port */
    unsigned minor;       /* HTTP/1.minor, 0 or 1 */
    bool keep_alive;      /* what the client allows */
    bool expect_continue; /* Expect: 100-continue */
    bool upgrade_websocket; /* Connection names upgrade, Upgrade names websocket */
    enum sp_http_body body;
    uint64_t content_length; /* for SP_HTTP_BODY_LENGTH */
    size_t n_headers;
    struct sp_http_header headers[SP_HTTP_HEADERS_MAX];
};

/* What a refused request is answered with; the connection is closed after it. */
struct sp_http_fail {
    int status;         /* 400, 414, 431, 501, 505 */
    const char *reason; /* a static sentence for the person who debugs the client */
};

/*
 * Parses the head at the front of `data`.
 *
 * Returns its length (> 0) when it is complete and right; 0 when more bytes are needed; -1 with
 * `*fail` filled when it is wrong or too long. `ret` is defined only after a length > 0.
 */
long sp_http_parse_request(const char *data, size_t len, struct sp_http_request *ret,
                           struct sp_http_fail *fail);

/* The value of the one header of that name; ptr NULL when absent. When it is repeated: the first.
 */
struct sp_slice sp_http_header(const struct sp_http_request *req, const char *name);
/* The value of one cookie of all Cookie headers; ptr NULL when absent. */
struct sp_slice sp_http_cookie(const struct sp_http_request *req, const char *name);
/* True when the comma-separated header `name` holds `token` (ASCII case is ignored). */
bool sp_http_header_has_token(const struct sp_http_request *req, const char *name,
                              const char *token);

/* --- answers of apps -------------------------------------------------------------------------- */

struct sp_http_answer {
    int status;             /* 100 to 599 */
    unsigned minor;         /* HTTP/1.minor, 0 or 1 */
    struct sp_slice reason; /* may be empty */
    bool keep_alive;        /* the app lets its connection go on */
    bool upgrade_websocket; /* Connection names upgrade, Upgrade names websocket */
    bool has_length;        /* content_length was said, whether a body follows or not */
    enum sp_http_body body; /* what really follows: nothing for 1xx, 204, 304 and to HEAD */
    uint64_t content_length;
    size_t n_headers;
    struct sp_http_header headers[SP_HTTP_HEADERS_MAX];
};

/*
 * As sp_http_parse_request, for the answer to a request; `to_head` when that was HEAD. The status
 * of a failure is always 502: the app is at fault.
 */
long sp_http_parse_answer(const char *data, size_t len, bool to_head, struct sp_http_answer *ret,
                          struct sp_http_fail *fail);

/* --- bodies ----------------------------------------------------------------------------------- */

/* Takes the framing off a body, whichever it is, piece by piece. */
struct sp_http_body_decoder {
    enum sp_http_body kind;
    uint64_t left; /* of the body or of the chunk */
    unsigned state;
    unsigned line_len; /* digits of the chunk size so far */
    unsigned extra;    /* bytes of extensions and trailers so far: bounded for the whole body */
};

void sp_http_body_init(struct sp_http_body_decoder *dec, const struct sp_http_request *req);
/* The same for an answer; one that ends with its connection is body for ever. */
void sp_http_body_init_answer(struct sp_http_body_decoder *dec,
                              const struct sp_http_answer *answer);

/*
 * Reads from `data`: `*ret_used` bytes are consumed, `*ret_piece` (inside `data`, may be empty) is
 * body. Returns 1 when the body is complete, 0 when more is needed, -1 with `*fail` when the
 * framing is wrong. Call again while bytes are left and the result is 0.
 */
int sp_http_body_feed(struct sp_http_body_decoder *dec, const char *data, size_t len,
                      size_t *ret_used, struct sp_slice *ret_piece, struct sp_http_fail *fail);

/* --- targets ---------------------------------------------------------------------------------- */

/*
 * Decodes %XX once into `ret` (terminated) and returns the length, or -1 when an escape is broken,
 * it does not fit, the result is not UTF-8 or holds a control byte. With `path` set, an encoded '/'
 * or '\' or a "." or ".." segment is refused too.
 */
long sp_http_percent_decode(struct sp_slice in, bool path, char *ret, size_t size);
/* The raw (still encoded) value of a query parameter; ptr NULL when absent. The first wins. */
struct sp_slice sp_http_query(struct sp_slice query, const char *name);
/* As above, decoded with '+' as space; false when absent or not decodable. */
bool sp_http_query_get(struct sp_slice query, const char *name, char *ret, size_t size);
/* One name or value of a form or query: '+' is a space, %XX as above. -1 as above. */
long sp_http_form_decode(struct sp_slice in, char *ret, size_t size);
/* Everything but unreserved characters and, with keep_slash, '/' becomes %XX. */
bool sp_http_percent_encode(struct sp_slice in, bool keep_slash, struct sp_buf *out);

/* --- responses -------------------------------------------------------------------------------- */

/*
 * Writes "HTTP/1.1 status reason", Date (cached per second) and Server. Then come
 * sp_http_put_header calls and one of the ends below. A name or value with CR, LF or NUL is a bug
 * of ours: the header is left out and the fact is logged.
 */
void sp_http_put_status(struct sp_buf *out, int status);
void sp_http_put_header(struct sp_buf *out, const char *name, struct sp_slice value);
void sp_http_put_header_str(struct sp_buf *out, const char *name, const char *value);

/* Ends the head of an answer whose length is known. 204 and 304 write no length. */
void sp_http_end_length(struct sp_buf *out, int status, uint64_t length, bool keep_alive);
/* Ends the head of a stream: chunked for HTTP/1.1, until-close for HTTP/1.0. */
void sp_http_end_stream(struct sp_buf *out, bool chunked);
/* One chunk of a chunked answer (nothing for an empty piece), and the end of it. */
void sp_http_put_chunk(struct sp_buf *out, struct sp_slice piece);
void sp_http_put_last_chunk(struct sp_buf *out);

/* "Not Found" for 404; "Unknown" for a status that we do not use. */
const char *sp_http_reason(int status);

#endif
