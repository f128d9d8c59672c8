/*
 * tests/unit/ui-protocol/llhttp-adapter.h - llhttp's opinion of a request head, for comparison.
 *
 * SP_LLHTTP is defined where its sources are installed: see tools/llhttp.mk.
 */
#ifndef SP_TESTS_LLHTTP_ADAPTER_H
#define SP_TESTS_LLHTTP_ADAPTER_H

#ifdef SP_LLHTTP

#include <llhttp.h>

#include "base/buf.h"
#include "ui-protocol/http1.h"

enum peer_verdict { PEER_REFUSED = -1, PEER_MORE, PEER_TAKEN };

/* Its reading of a head, in our terms. `headers` is "name: value\n" for each line. */
struct peer {
    enum peer_verdict verdict;
    enum llhttp_errno error;
    struct sp_buf target;
    struct sp_buf headers;
    size_t value_at; /* where the value of the last line begins */
    const char *method;
    unsigned minor;
    bool keep_alive;
    enum sp_http_body body;
    uint64_t content_length;
};

static inline int peer_on_url(llhttp_t *p, const char *at, size_t len)
{
    (void)sp_buf_append(&((struct peer *)p->data)->target, at, len);
    return 0;
}

static inline int peer_on_header(llhttp_t *p, const char *at, size_t len)
{
    (void)sp_buf_append(&((struct peer *)p->data)->headers, at, len);
    return 0;
}

static inline int peer_on_name_end(llhttp_t *p)
{
    struct peer *peer = p->data;

    (void)sp_buf_append_str(&peer->headers, ": ");
    peer->value_at = peer->headers.len;
    return 0;
}

static inline int peer_on_value_end(llhttp_t *p)
{
    struct peer *peer = p->data;
    struct sp_buf *headers = &peer->headers;

    /* llhttp hands the white space behind a value over; to drop it is the caller's part. */
    while (headers->len > peer->value_at && strchr(" \t", headers->data[headers->len - 1]))
        headers->len--;
    (void)sp_buf_append_char(headers, '\n');
    return 0;
}

static inline int peer_on_head(llhttp_t *p)
{
    struct peer *peer = p->data;

    peer->verdict = PEER_TAKEN;
    peer->method = llhttp_method_name((llhttp_method_t)p->method);
    peer->minor = p->http_minor;
    peer->keep_alive = llhttp_should_keep_alive(p);
    peer->body = p->flags & F_CHUNKED                               ? SP_HTTP_BODY_CHUNKED
                 : p->flags & F_CONTENT_LENGTH && p->content_length ? SP_HTTP_BODY_LENGTH
                                                                    : SP_HTTP_BODY_NONE;
    peer->content_length = p->content_length;
    return HPE_PAUSED;
}

static inline void peer_judge(struct sp_slice head, struct peer *peer)
{
    static const llhttp_settings_t settings = {
        .on_url = peer_on_url,
        .on_header_field = peer_on_header,
        .on_header_field_complete = peer_on_name_end,
        .on_header_value = peer_on_header,
        .on_header_value_complete = peer_on_value_end,
        .on_headers_complete = peer_on_head,
    };
    llhttp_t parser;

    sp_buf_reset(&peer->target);
    sp_buf_reset(&peer->headers);
    peer->verdict = PEER_MORE;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = peer;
    peer->error = llhttp_execute(&parser, head.ptr, head.len);
    if (peer->error != HPE_OK && peer->verdict != PEER_TAKEN)
        peer->verdict = PEER_REFUSED;
}

#endif
#endif
