/*
 * ui-protocol/ws-sha1.h - SHA-1 (FIPS 180-4) of a short text, for the WebSocket handshake only.
 *
 * RFC 6455 asks for it to show that the peer speaks WebSocket; nothing secret depends on it.
 */
#ifndef SP_UI_PROTOCOL_WS_SHA1_H
#define SP_UI_PROTOCOL_WS_SHA1_H

#include <stddef.h>
#include <stdint.h>

/* `len` is at most 119 bytes: two blocks. */
void sp_ws_sha1(const char *text, size_t len, uint8_t ret[20]);

#endif
