/*
 * Bytes as a client's frames, fed whole and by bytes with the same events; then the input as the
 * payload of frames of our own, which must come back.
 */
#include "ui-protocol/ws.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)
#define MESSAGE_MAX 512

static bool feed(struct sp_ws *ws, struct sp_slice in, struct sp_buf *log)
{
    for (;;) {
        enum sp_ws_event event = sp_ws_feed(ws, &in);

        if (event == SP_WS_MORE) {
            CHECK(in.len == 0);
            return true;
        }
        (void)sp_buf_printf(log, "<%d %d>", event, ws->close_code);
        if (event == SP_WS_BAD) {
            CHECK(ws->why && ws->close_code >= 1002 && ws->close_code <= 1009);
            return false;
        }
        CHECK(ws->message.len <= MESSAGE_MAX);
        CHECK(event != SP_WS_TEXT || sp_utf8_valid(ws->message.ptr, ws->message.len));
        (void)sp_buf_append_slice(log, ws->message);
    }
}

static void run(struct sp_slice in, size_t step, struct sp_buf *log)
{
    struct sp_ws ws;

    sp_buf_reset(log);
    sp_ws_init(&ws, MESSAGE_MAX);
    for (size_t at = 0; at < in.len; at += step)
        if (!feed(&ws, sp_slice(in.ptr + at, in.len - at < step ? in.len - at : step), log))
            break;
    sp_ws_done(&ws);
}

/* The payload in two fragments with a ping between them comes back whole, or not as text. */
static void round_trip(struct sp_slice payload)
{
    static const uint8_t mask[4] = {1, 0x80, 0xFF, 7};
    struct sp_buf wire = {0};
    struct sp_slice in;
    struct sp_ws ws;
    size_t cut = payload.len / 3;
    enum sp_ws_event event;

    sp_ws_put_client(&wire, 1, false, sp_slice(payload.ptr, cut), mask);
    sp_ws_put_client(&wire, 9, true, SP_SLICE("hi"), mask);
    sp_ws_put_client(&wire, 0, true, sp_slice(payload.ptr + cut, payload.len - cut), mask);
    in = sp_buf_slice(&wire);
    sp_ws_init(&ws, payload.len);
    event = sp_ws_feed(&ws, &in);
    if (event == SP_WS_PING)
        event = sp_ws_feed(&ws, &in);
    if (sp_utf8_valid(payload.ptr, payload.len))
        CHECK(event == SP_WS_TEXT && sp_slice_eq(ws.message, payload));
    else
        CHECK(event == SP_WS_BAD && ws.close_code == SP_WS_CLOSE_NOT_UTF8);
    sp_ws_done(&ws);
    sp_buf_done(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_slice in = sp_slice((const char *)data, size);
    struct sp_buf whole = {0};
    struct sp_buf bytes = {0};

    if (size == 0)
        return 0;
    run(in, size, &whole);
    run(in, 1, &bytes);
    CHECK(sp_slice_eq(sp_buf_slice(&whole), sp_buf_slice(&bytes)));
    round_trip(in);
    sp_buf_done(&whole);
    sp_buf_done(&bytes);
    return 0;
}
