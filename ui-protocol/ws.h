/*
 * ui-protocol/ws.h - the server's side of RFC 6455: handshake key, frames in, frames out.
 *
 * No sockets. Extensions are not negotiated, so RSV bits are an error. A message is handed over
 * whole and at most `max_message` bytes long; its text has been checked to be UTF-8.
 */
#ifndef SP_UI_PROTOCOL_WS_H
#define SP_UI_PROTOCOL_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/utf8.h"

struct sp_http_request;

/* Close codes, RFC 6455 7.4.1 and the registry. */
enum sp_ws_close {
    SP_WS_CLOSE_NORMAL = 1000,
    SP_WS_CLOSE_GOING_AWAY = 1001,
    SP_WS_CLOSE_PROTOCOL = 1002,
    SP_WS_CLOSE_DATA = 1003,
    SP_WS_CLOSE_NOT_UTF8 = 1007,
    SP_WS_CLOSE_POLICY = 1008,
    SP_WS_CLOSE_TOO_BIG = 1009,
    SP_WS_CLOSE_INTERNAL = 1011,
    SP_WS_CLOSE_TRY_LATER = 1013,
};

/*
 * Checks an upgrade request (GET, HTTP/1.1, version 13, a key of 16 bytes in base64) and writes the
 * Sec-WebSocket-Accept value (28 characters and a terminator). On failure returns false and the
 * status to answer: 400, or 426 for another version.
 */
bool sp_ws_handshake(const struct sp_http_request *req, char ret_accept[29], int *ret_status);

enum sp_ws_event {
    SP_WS_MORE, /* all input used, feed more */
    SP_WS_TEXT, /* a whole text message: `message` */
    SP_WS_BINARY,
    SP_WS_PING, /* answer with sp_ws_put_pong(message) */
    SP_WS_PONG,
    SP_WS_CLOSE, /* the peer closes: `close_code` (1005 when it gave none), `message` = reason */
    SP_WS_BAD,   /* close with `close_code`; `why` says what is wrong; feed nothing more */
};

/* Allocates only while a message is being received. */
struct sp_ws {
    struct sp_buf body; /* the message under way; its ceiling is the message limit */
    uint64_t left;      /* payload bytes of the frame under way */
    uint8_t head[14];
    uint8_t head_len;
    uint8_t mask[4];
    uint8_t mask_at;
    uint8_t opcode; /* of the message under way, 0 for none */
    uint8_t frame_opcode;
    bool fin;
    bool in_payload;
    uint8_t control[125];
    uint8_t control_len;
    struct sp_utf8 utf8;
    struct sp_slice message; /* of the last event; valid until the next call */
    int close_code;
    const char *why;
};

void sp_ws_init(struct sp_ws *ws, size_t max_message);
void sp_ws_done(struct sp_ws *ws);

/* Reads from `in`, which it shortens by what it used, and reports one event. */
enum sp_ws_event sp_ws_feed(struct sp_ws *ws, struct sp_slice *in);

/* Server frames: never masked, never fragmented. A reason is cut to 123 bytes at a character. */
void sp_ws_put_text(struct sp_buf *out, struct sp_slice text);
void sp_ws_put_ping(struct sp_buf *out, struct sp_slice payload);
void sp_ws_put_pong(struct sp_buf *out, struct sp_slice payload);
void sp_ws_put_close(struct sp_buf *out, int code, const char *reason);

/* A client's frames, for tests and load generators: masked with `mask`. */
void sp_ws_put_client(struct sp_buf *out, uint8_t opcode, bool fin, struct sp_slice payload,
                      const uint8_t mask[4]);

#endif
