#include "ui-protocol/ws.h"

#include "base/mem.h"
#include "ui-protocol/http1.h"
#include "ui-protocol/ws-sha1.h"

enum opcode {
    CONTINUATION = 0,
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
};

/* --- handshake -------------------------------------------------------------------------------- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 16 bytes in base64: 22 digits, of which the last carries two bits, and "==". */
static bool key_is_valid(struct sp_slice key)
{
    if (key.len != 24 || key.ptr[22] != '=' || key.ptr[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!key.ptr[i] || !strchr(base64_digits, key.ptr[i]))
            return false;
    return strchr("AQgw", key.ptr[21]) != NULL;
}

static void put_base64(const uint8_t bytes[20], char ret[29])
{
    for (size_t i = 0; i < 7; i++) {
        uint32_t group = (uint32_t)bytes[3 * i] << 16 | (uint32_t)bytes[3 * i + 1] << 8;

        if (i < 6)
            group |= bytes[3 * i + 2];
        for (size_t j = 0; j < 4; j++)
            ret[4 * i + j] = base64_digits[group >> (18 - 6 * j) & 63];
    }
    ret[27] = '=';
    ret[28] = '\0';
}

static unsigned count_headers(const struct sp_http_request *req, const char *name)
{
    unsigned n = 0;

    for (size_t i = 0; i < req->n_headers; i++)
        n += sp_slice_eq_nocase(req->headers[i].name, name);
    return n;
}

bool sp_ws_handshake(const struct sp_http_request *req, char ret_accept[29], int *ret_status)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    struct sp_slice key = sp_http_header(req, "sec-websocket-key");
    struct sp_slice version = sp_http_header(req, "sec-websocket-version");
    uint8_t digest[20];
    char text[24 + sizeof(guid)];

    *ret_status = 400;
    if (req->method != SP_HTTP_GET || !req->upgrade_websocket || req->body != SP_HTTP_BODY_NONE)
        return false;
    if (count_headers(req, "sec-websocket-key") != 1 || !key_is_valid(key))
        return false;
    if (count_headers(req, "sec-websocket-version") != 1 || !sp_slice_eq_str(version, "13")) {
        *ret_status = 426;
        return false;
    }
    memcpy(text, key.ptr, 24);
    memcpy(text + 24, guid, sizeof(guid));
    sp_ws_sha1(text, strlen(text), digest);
    put_base64(digest, ret_accept);
    return true;
}

/* --- frames in -------------------------------------------------------------------------------- */

void sp_ws_init(struct sp_ws *ws, size_t max_message)
{
    *ws = (struct sp_ws){0};
    sp_buf_init(&ws->body, max_message);
}

void sp_ws_done(struct sp_ws *ws)
{
    sp_buf_done(&ws->body);
}

static enum sp_ws_event bad(struct sp_ws *ws, int code, const char *why)
{
    ws->close_code = code;
    ws->why = why;
    return SP_WS_BAD;
}

static bool is_control(uint8_t opcode)
{
    return opcode & 8;
}

/* How long the frame's head is, as far as its first two bytes tell; masks are required. */
static uint8_t head_size(const struct sp_ws *ws)
{
    uint8_t len;

    if (ws->head_len < 2)
        return 2;
    len = ws->head[1] & 0x7F;
    return (uint8_t)(6 + (len == 126 ? 2 : len == 127 ? 8 : 0));
}

/* The first two bytes say most of what can be wrong: refused before anything is stored. */
static const char *check_start(const struct sp_ws *ws)
{
    uint8_t opcode = ws->head[0] & 0x0F;
    bool fin = ws->head[0] & 0x80;
    uint8_t len = ws->head[1] & 0x7F;

    if (ws->head[0] & 0x70)
        return "a reserved bit is set and no extension was agreed on";
    if (!(ws->head[1] & 0x80))
        return "a client's frame is not masked";
    if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG)
        return "the opcode is reserved";
    if (is_control(opcode) && !fin)
        return "a control frame is fragmented";
    if (is_control(opcode) && len > 125)
        return "a control frame is longer than 125 bytes";
    if (opcode == CONTINUATION && !ws->opcode)
        return "a continuation without a beginning";
    if (!is_control(opcode) && opcode != CONTINUATION && ws->opcode)
        return "a message begins inside another";
    return NULL;
}

static uint64_t read_be(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* The head is complete: from here on payload bytes come. */
static enum sp_ws_event begin_payload(struct sp_ws *ws)
{
    uint8_t len = ws->head[1] & 0x7F;
    size_t extended = len == 126 ? 2 : len == 127 ? 8 : 0;

    ws->left = extended ? read_be(ws->head + 2, extended) : len;
    if ((extended == 2 && ws->left < 126) || (extended == 8 && ws->left <= UINT16_MAX))
        return bad(ws, SP_WS_CLOSE_PROTOCOL, "the length is not in its shortest form");
    if (ws->left >> 63)
        return bad(ws, SP_WS_CLOSE_PROTOCOL, "the length has its highest bit set");

    ws->frame_opcode = ws->head[0] & 0x0F;
    ws->fin = ws->head[0] & 0x80;
    memcpy(ws->mask, ws->head + 2 + extended, 4);
    ws->mask_at = 0;
    ws->head_len = 0;
    ws->in_payload = true;
    if (is_control(ws->frame_opcode)) {
        ws->control_len = 0;
        return SP_WS_MORE;
    }
    if (ws->frame_opcode != CONTINUATION) {
        ws->opcode = ws->frame_opcode;
        ws->utf8 = (struct sp_utf8){0};
    }
    /* Decided by the announced length, before a byte of it is kept. */
    if (ws->left > ws->body.max - ws->body.len)
        return bad(ws, SP_WS_CLOSE_TOO_BIG, "the message is too long");
    return SP_WS_MORE;
}

/* MORE also when the head has just become complete: then in_payload is set. */
static enum sp_ws_event read_head(struct sp_ws *ws, struct sp_slice *in)
{
    while (ws->head_len < head_size(ws)) {
        if (in->len == 0)
            return SP_WS_MORE;
        ws->head[ws->head_len++] = (uint8_t)*in->ptr++;
        in->len--;
        if (ws->head_len == 2) {
            const char *why = check_start(ws);

            if (why)
                return bad(ws, SP_WS_CLOSE_PROTOCOL, why);
        }
    }
    return begin_payload(ws);
}

/* Eight bytes at a time; the mask's phase goes on where the last piece ended. */
static void unmask(struct sp_ws *ws, char *to, const char *from, size_t n)
{
    uint8_t mask[8];
    uint64_t wide;
    size_t i = 0;

    for (size_t j = 0; j < sizeof(mask); j++)
        mask[j] = ws->mask[(ws->mask_at + j) & 3];
    memcpy(&wide, mask, sizeof(wide));
    for (; n - i >= 8; i += 8) {
        uint64_t word;

        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < n; i++)
        to[i] = (char)(from[i] ^ (char)mask[i & 7]);
    ws->mask_at = (uint8_t)((ws->mask_at + n) & 3);
}

static bool close_code_is_valid(unsigned code)
{
    /* 1004-1006 and 1015 are never sent; 1016-2999 are not given out yet (RFC 6455 7.4). */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum sp_ws_event end_close(struct sp_ws *ws)
{
    const char *reason = (const char *)ws->control + 2;
    unsigned code;

    ws->close_code = 1005;
    ws->message = sp_slice(reason, 0);
    if (ws->control_len == 0)
        return SP_WS_CLOSE;
    if (ws->control_len == 1)
        return bad(ws, SP_WS_CLOSE_PROTOCOL, "a close code of one byte");

    code = (unsigned)read_be(ws->control, 2);
    if (!close_code_is_valid(code))
        return bad(ws, SP_WS_CLOSE_PROTOCOL, "a close code that must not be sent");
    if (!sp_utf8_valid(reason, ws->control_len - 2u))
        return bad(ws, SP_WS_CLOSE_NOT_UTF8, "the reason of a close is not UTF-8");
    ws->close_code = (int)code;
    ws->message.len = ws->control_len - 2u;
    return SP_WS_CLOSE;
}

static enum sp_ws_event end_frame(struct sp_ws *ws)
{
    ws->in_payload = false;
    if (ws->frame_opcode == CLOSE)
        return end_close(ws);
    if (is_control(ws->frame_opcode)) {
        ws->message = sp_slice((const char *)ws->control, ws->control_len);
        return ws->frame_opcode == PING ? SP_WS_PING : SP_WS_PONG;
    }
    if (!ws->fin)
        return SP_WS_MORE;
    if (ws->opcode == TEXT && !sp_utf8_complete(&ws->utf8))
        return bad(ws, SP_WS_CLOSE_NOT_UTF8, "a text message ends inside a character");

    ws->message = sp_slice(ws->body.data ? ws->body.data : "", ws->body.len);
    return ws->opcode == TEXT ? SP_WS_TEXT : SP_WS_BINARY;
}

static enum sp_ws_event read_payload(struct sp_ws *ws, struct sp_slice *in)
{
    size_t n = in->len < ws->left ? in->len : (size_t)ws->left;
    char *to;

    if (is_control(ws->frame_opcode)) {
        to = (char *)ws->control + ws->control_len;
        ws->control_len = (uint8_t)(ws->control_len + n);
    } else {
        to = sp_buf_reserve(&ws->body, n);
        if (!to) /* not reached: the length was checked */
            return bad(ws, SP_WS_CLOSE_TOO_BIG, "the message is too long");
        ws->body.len += n;
    }
    unmask(ws, to, in->ptr, n);
    in->ptr += n;
    in->len -= n;
    ws->left -= n;
    /* At once, not at the end: a megabyte of noise need not arrive first. */
    if (!is_control(ws->frame_opcode) && ws->opcode == TEXT && !sp_utf8_feed(&ws->utf8, to, n))
        return bad(ws, SP_WS_CLOSE_NOT_UTF8, "a text message is not UTF-8");
    return ws->left ? SP_WS_MORE : end_frame(ws);
}

enum sp_ws_event sp_ws_feed(struct sp_ws *ws, struct sp_slice *in)
{
    enum sp_ws_event event = SP_WS_MORE;

    if (ws->message.ptr && !ws->in_payload && ws->fin && !is_control(ws->frame_opcode)) {
        /* The message handed over last is used up: back to nothing but the struct. */
        sp_buf_done(&ws->body);
        ws->opcode = 0;
    }
    ws->message = (struct sp_slice){0};

    while (event == SP_WS_MORE && in->len > 0) {
        event = ws->in_payload ? read_payload(ws, in) : read_head(ws, in);
        if (event == SP_WS_MORE && ws->in_payload && ws->left == 0)
            event = end_frame(ws); /* a frame without payload needs no more input */
    }
    return event;
}

/* --- frames out ------------------------------------------------------------------------------- */

static void put_head(struct sp_buf *out, uint8_t first, uint8_t mask_bit, size_t len)
{
    uint8_t head[10] = {first};
    size_t extended = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

    head[1] = (uint8_t)(mask_bit | (extended == 0 ? len : extended == 2 ? 126 : 127));
    for (size_t i = 0; i < extended; i++)
        head[2 + i] = (uint8_t)((uint64_t)len >> (8 * (extended - 1 - i)));
    (void)sp_buf_append(out, head, 2 + extended);
}

static void put_frame(struct sp_buf *out, uint8_t opcode, struct sp_slice payload)
{
    put_head(out, 0x80 | opcode, 0, payload.len);
    (void)sp_buf_append_slice(out, payload);
}

void sp_ws_put_text(struct sp_buf *out, struct sp_slice text)
{
    put_frame(out, TEXT, text);
}

/* Longer payloads are cut: a control frame has room for 125 bytes. */
static struct sp_slice cut(struct sp_slice s)
{
    return sp_slice(s.ptr, s.len < 125 ? s.len : 125);
}

void sp_ws_put_ping(struct sp_buf *out, struct sp_slice payload)
{
    put_frame(out, PING, cut(payload));
}

void sp_ws_put_pong(struct sp_buf *out, struct sp_slice payload)
{
    put_frame(out, PONG, cut(payload));
}

void sp_ws_put_close(struct sp_buf *out, int code, const char *reason)
{
    struct sp_slice text = sp_slice_str(reason);
    uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    if (text.len > 123) {
        text.len = 123;
        while (text.len && ((unsigned char)text.ptr[text.len] & 0xC0) == 0x80)
            text.len--; /* not in the middle of a character */
    }
    put_head(out, 0x80 | CLOSE, 0, 2 + text.len);
    (void)sp_buf_append(out, bytes, sizeof(bytes));
    (void)sp_buf_append_slice(out, text);
}

void sp_ws_put_client(struct sp_buf *out, uint8_t opcode, bool fin, struct sp_slice payload,
                      const uint8_t mask[4])
{
    put_head(out, (uint8_t)((fin ? 0x80 : 0) | opcode), 0x80, payload.len);
    (void)sp_buf_append(out, mask, 4);
    for (size_t i = 0; i < payload.len; i++)
        (void)sp_buf_append_char(out, (char)(payload.ptr[i] ^ (char)mask[i & 3]));
}
