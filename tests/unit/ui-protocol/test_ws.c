#include "ui-protocol/ws.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"
#include "ui-protocol/http1.h"

static const uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};

/* --- handshake -------------------------------------------------------------------------------- */

#define UP  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static const struct {
    const char *why;
    const char *line;
    const char *headers;
    int status; /* 101 = taken */
} upgrades[] = {
    {"the example of RFC 6455 1.3", "GET / HTTP/1.1", UP V13 KEY, 101},
    {"not GET", "POST / HTTP/1.1", UP V13 KEY, 400},
    {"not HTTP/1.1", "GET / HTTP/1.0", UP V13 KEY, 400},
    {"no Upgrade", "GET / HTTP/1.1", "Connection: Upgrade\r\n" V13 KEY, 400},
    {"no Connection", "GET / HTTP/1.1", "Upgrade: websocket\r\n" V13 KEY, 400},
    {"a body", "GET / HTTP/1.1", "Content-Length: 1\r\n" UP V13 KEY, 400},
    {"no version", "GET / HTTP/1.1", UP KEY, 426},
    {"an old version", "GET / HTTP/1.1", UP "Sec-WebSocket-Version: 8\r\n" KEY, 426},
    {"two versions", "GET / HTTP/1.1", UP V13 V13 KEY, 426},
    {"no key", "GET / HTTP/1.1", UP V13, 400},
    {"two keys", "GET / HTTP/1.1", UP V13 KEY KEY, 400},
    {"a short key", "GET / HTTP/1.1", UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", 400},
    {"a key without padding", "GET / HTTP/1.1",
     UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n", 400},
    {"a key with loose bits", "GET / HTTP/1.1",
     UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n", 400},
    {"a key of other digits", "GET / HTTP/1.1",
     UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n", 400},
};

static void test_the_handshake_takes_only_what_rfc_6455_asks_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(upgrades); i++) {
        static struct sp_http_request req;
        struct sp_http_fail fail_;
        char head[512];
        char accept[29] = "";
        int status = 101;
        int n = snprintf(head, sizeof(head), "%s\r\nHost: a\r\n%s\r\n", upgrades[i].line,
                         upgrades[i].headers);
        bool ok;

        assert_int_equal(sp_http_parse_request(head, (size_t)n, &req, &fail_), n);
        ok = sp_ws_handshake(&req, accept, &status);
        if (ok != (upgrades[i].status == 101) || (!ok && status != upgrades[i].status))
            fail_msg("%s: %d, status %d", upgrades[i].why, ok, status);
        if (ok)
            assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}

/* --- a transcript of what a feed reports ------------------------------------------------------ */

/* One character and the payload per event, closing with the state at the end of the input. */
static void record(struct sp_ws *ws, struct sp_slice in, struct sp_buf *log)
{
    static const char names[] = {'-', 'T', 'B', 'p', 'q', 'C', 'X'};

    for (;;) {
        enum sp_ws_event event = sp_ws_feed(ws, &in);

        if (event == SP_WS_MORE)
            return;
        (void)sp_buf_printf(log, "%c", names[event]);
        if (event == SP_WS_BAD || event == SP_WS_CLOSE)
            (void)sp_buf_printf(log, "%d", ws->close_code);
        if (event == SP_WS_BAD) {
            assert_non_null(ws->why);
            (void)sp_buf_append_char(log, '!'); /* nothing may be fed after it */
            return;
        }
        (void)sp_buf_append_char(log, '(');
        (void)sp_buf_append_slice(log, ws->message);
        (void)sp_buf_append_char(log, ')');
    }
}

/* Feeds `wire` in pieces of `step` bytes. */
static void feed(struct sp_slice wire, size_t step, size_t max_message, struct sp_buf *log)
{
    struct sp_ws ws;

    sp_buf_reset(log);
    sp_ws_init(&ws, max_message);
    for (size_t at = 0; at < wire.len && !sp_slice_ends(sp_buf_slice(log), "!"); at += step)
        record(&ws, sp_slice(wire.ptr + at, wire.len - at < step ? wire.len - at : step), log);
    sp_ws_done(&ws);
}

static void put(struct sp_buf *wire, uint8_t opcode, bool fin, struct sp_slice payload)
{
    sp_ws_put_client(wire, opcode, fin, payload, mask);
}

/* The same events whatever the pieces. */
static void expect(struct sp_buf *wire, size_t max_message, const char *wanted)
{
    SP_AUTO_BUF struct sp_buf log = {0};

    for (size_t step = 1; step <= wire->len; step++) {
        feed(sp_buf_slice(wire), step, max_message, &log);
        if (strcmp(sp_buf_str(&log), wanted) != 0)
            fail_msg("step %zu: got %s, wanted %s", step, sp_buf_str(&log), wanted);
    }
    sp_buf_reset(wire);
}

/* --- messages --------------------------------------------------------------------------------- */

static void test_whole_messages_come_out_whole(void **state)
{
    SP_AUTO_BUF struct sp_buf w = {0};

    (void)state;
    put(&w, 1, true, SP_SLICE("hello"));
    put(&w, 1, true, SP_SLICE(""));
    put(&w, 2, true, SP_SLICE("\xFF\xFE"));
    put(&w, 1, true, SP_SLICE("\xE2\x82\xAC"));
    expect(&w, 100, "T(hello)T()B(\xFF\xFE)T(\xE2\x82\xAC)");
}

static void test_fragments_are_joined_around_control_frames(void **state)
{
    SP_AUTO_BUF struct sp_buf w = {0};

    (void)state;
    put(&w, 1, false, SP_SLICE("he"));
    put(&w, 9, true, SP_SLICE("ping!"));
    put(&w, 0, false, SP_SLICE(""));
    put(&w, 10, true, SP_SLICE(""));
    put(&w, 0, false, SP_SLICE("l"));
    put(&w, 9, true, SP_SLICE(""));
    put(&w, 0, true, SP_SLICE("lo"));
    put(&w, 2, false, SP_SLICE(""));
    put(&w, 0, true, SP_SLICE("x"));
    put(&w, 1, true, SP_SLICE("next"));
    expect(&w, 100, "p(ping!)q()p()T(hello)B(x)T(next)");
}

static void test_a_character_may_be_cut_by_fragments(void **state)
{
    SP_AUTO_BUF struct sp_buf w = {0};

    (void)state;
    put(&w, 1, false, SP_SLICE("\xF0"));
    put(&w, 0, false, SP_SLICE("\x9F\x98"));
    put(&w, 9, true, SP_SLICE("\xFF")); /* a ping's payload need not be UTF-8 */
    put(&w, 0, true, SP_SLICE("\x80"));
    expect(&w, 100, "p(\xFF)T(\xF0\x9F\x98\x80)");
}

static void test_every_length_form_works(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    SP_AUTO_BUF struct sp_buf w = {0};
    SP_AUTO_BUF struct sp_buf log = {0};
    static char big[70000];

    (void)state;
    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < SP_LEN(sizes); i++) {
        sp_buf_reset(&w);
        put(&w, 1, true, sp_slice(big, sizes[i]));
        feed(sp_buf_slice(&w), 4093, sizeof(big), &log);
        assert_int_equal(log.len, sizes[i] + 3);
        assert_memory_equal(log.data, "T(", 2);
    }
}

/* --- what ends the connection ----------------------------------------------------------------- */

static const struct {
    const char *rule;
    const char *events;
    struct sp_slice wire;
} bad[] = {
    {"RSV1 without an extension", "X1002!", SP_SLICE("\xC1\x80\0\0\0\0")},
    {"RSV2", "X1002!", SP_SLICE("\xA1\x80\0\0\0\0")},
    {"RSV3", "X1002!", SP_SLICE("\x91\x80\0\0\0\0")},
    {"an unmasked frame", "X1002!", SP_SLICE("\x81\x01x")},
    {"opcode 3", "X1002!", SP_SLICE("\x83\x80\0\0\0\0")},
    {"opcode 7", "X1002!", SP_SLICE("\x87\x80\0\0\0\0")},
    {"opcode 11", "X1002!", SP_SLICE("\x8B\x80\0\0\0\0")},
    {"opcode 15", "X1002!", SP_SLICE("\x8F\x80\0\0\0\0")},
    {"a fragmented ping", "X1002!", SP_SLICE("\x09\x80\0\0\0\0")},
    {"a fragmented close", "X1002!", SP_SLICE("\x08\x80\0\0\0\0")},
    {"a ping of 126 bytes", "X1002!", SP_SLICE("\x89\xFE\0\x7E\0\0\0\0")},
    {"a ping with a 64-bit length", "X1002!", SP_SLICE("\x89\xFF\0\0\0\0\0\1\0\0")},
    {"a continuation of nothing", "X1002!", SP_SLICE("\x80\x80\0\0\0\0")},
    {"a fragment of nothing", "X1002!", SP_SLICE("\x00\x80\0\0\0\0")},
    {"a continuation after a whole message", "T()X1002!",
     SP_SLICE("\x81\x80\0\0\0\0\x80\x80\0\0\0\0")},
    {"a message inside another", "X1002!", SP_SLICE("\x01\x80\0\0\0\0\x81\x80\0\0\0\0")},
    {"a binary message inside a text", "X1002!", SP_SLICE("\x01\x80\0\0\0\0\x02\x80\0\0\0\0")},
    {"16 bits for a small length", "X1002!", SP_SLICE("\x81\xFE\0\x7D\0\0\0\0")},
    {"64 bits for a medium length", "X1002!", SP_SLICE("\x81\xFF\0\0\0\0\0\0\xFF\xFF\0\0\0\0")},
    {"a length with the highest bit", "X1002!", SP_SLICE("\x81\xFF\x80\0\0\0\0\0\0\0\0\0\0\0")},
    {"a length beyond the limit", "X1009!",
     SP_SLICE("\x81\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0")},
    {"a message one byte too long", "X1009!", SP_SLICE("\x81\xE5\0\0\0\0")},
    {"bytes that are not UTF-8", "X1007!", SP_SLICE("\x81\x82\0\0\0\0\xC0\xAF")},
    {"a surrogate", "X1007!", SP_SLICE("\x81\x83\0\0\0\0\xED\xA0\x80")},
    {"above U+10FFFF", "X1007!", SP_SLICE("\x81\x84\0\0\0\0\xF4\x90\x80\x80")},
    {"half a character at the end", "X1007!", SP_SLICE("\x81\x82\0\0\0\0\xE2\x82")},
    {"half a character at the end of fragments", "X1007!",
     SP_SLICE("\x01\x81\0\0\0\0\xE2\x80\x81\0\0\0\0\x82")},
    {"not UTF-8 is seen before the message ends", "X1007!", SP_SLICE("\x01\xA0\0\0\0\0ab\xFF")},
    {"a close of one byte", "X1002!", SP_SLICE("\x88\x81\0\0\0\0\x03")},
    {"a close whose reason is not UTF-8", "X1007!", SP_SLICE("\x88\x83\0\0\0\0\x03\xE8\xFF")},
};

static void test_every_violation_ends_with_its_close_code(void **state)
{
    SP_AUTO_BUF struct sp_buf log = {0};

    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        for (size_t step = 1; step <= bad[i].wire.len; step++) {
            feed(bad[i].wire, step, 100, &log);
            if (strcmp(sp_buf_str(&log), bad[i].events) != 0)
                fail_msg("%s, step %zu: %s", bad[i].rule, step, sp_buf_str(&log));
        }
    }
}

static void test_a_message_in_fragments_has_the_same_limit(void **state)
{
    SP_AUTO_BUF struct sp_buf w = {0};

    (void)state;
    put(&w, 1, false, SP_SLICE("0123456"));
    put(&w, 0, false, SP_SLICE("789"));
    put(&w, 0, true, SP_SLICE(""));
    put(&w, 1, false, SP_SLICE("0123456789"));
    put(&w, 0, true, SP_SLICE("x"));
    expect(&w, 10, "T(0123456789)X1009!");
}

static void test_close_codes_that_may_be_sent_are_taken(void **state)
{
    static const struct {
        unsigned first, last;
        bool valid;
    } ranges[] = {{0, 999, false},     {1000, 1003, true}, {1004, 1006, false}, {1007, 1014, true},
                  {1015, 2999, false}, {3000, 4999, true}, {5000, 65535, false}};
    SP_AUTO_BUF struct sp_buf w = {0};
    SP_AUTO_BUF struct sp_buf log = {0};

    (void)state;
    for (size_t i = 0; i < SP_LEN(ranges); i++) {
        for (unsigned code = ranges[i].first; code <= ranges[i].last; code++) {
            char payload[4] = {(char)(code >> 8), (char)code, 'b', 'y'};
            char wanted[32];

            sp_buf_reset(&w);
            put(&w, 8, true, sp_slice(payload, 4));
            feed(sp_buf_slice(&w), 100, 100, &log);
            (void)snprintf(wanted, sizeof(wanted), ranges[i].valid ? "C%u(by)" : "X1002!", code);
            assert_string_equal(sp_buf_str(&log), wanted);
        }
    }
    sp_buf_reset(&w);
    put(&w, 8, true, SP_SLICE(""));
    expect(&w, 100, "C1005()");
}

/* --- frames out
 * ------------------------------------------------------------------------------------------------
 */

static void test_server_frames_have_the_bytes_of_the_rfc(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    static char big[70000];

    (void)state;
    sp_ws_put_text(&out, SP_SLICE("Hello"));
    assert_memory_equal(out.data, "\x81\x05Hello", 7);
    sp_buf_reset(&out);
    sp_ws_put_pong(&out, SP_SLICE("Hello"));
    assert_memory_equal(out.data, "\x8A\x05Hello", 7);
    sp_buf_reset(&out);
    sp_ws_put_ping(&out, sp_slice(big, 300)); /* cut: a control frame holds 125 */
    assert_int_equal(out.len, 2 + 125);
    assert_memory_equal(out.data, "\x89\x7D", 2);
    sp_buf_reset(&out);
    sp_ws_put_text(&out, sp_slice(big, 256));
    assert_memory_equal(out.data, "\x81\x7E\x01\x00", 4);
    sp_buf_reset(&out);
    sp_ws_put_text(&out, sp_slice(big, 65536));
    assert_memory_equal(out.data, "\x81\x7F\0\0\0\0\0\1\0\0", 10);
    sp_buf_reset(&out);
    sp_ws_put_client(&out, 1, true, SP_SLICE("Hello"), mask);
    assert_memory_equal(out.data, "\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58", 11);
}

static void test_a_close_reason_is_cut_at_a_character(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    char reason[200] = "";

    (void)state;
    for (size_t i = 0; i < 62; i++)
        memcpy(reason + 2 * i, "\xC3\xA9", 3);
    sp_ws_put_close(&out, 1013, reason);
    assert_int_equal(out.len, 2 + 2 + 122);
    assert_memory_equal(out.data, "\x88\x7C\x03\xF5", 4);
    sp_buf_reset(&out);
    sp_ws_put_close(&out, 1000, NULL);
    assert_memory_equal(out.data, "\x88\x02\x03\xE8", 4);
}

static void test_an_idle_codec_holds_no_memory(void **state)
{
    SP_AUTO_BUF struct sp_buf w = {0};
    struct sp_slice in;
    struct sp_ws ws;

    (void)state;
    sp_ws_init(&ws, 1000);
    put(&w, 1, true, SP_SLICE("hello"));
    in = sp_buf_slice(&w);
    assert_int_equal(sp_ws_feed(&ws, &in), SP_WS_TEXT);
    assert_int_equal(sp_ws_feed(&ws, &in), SP_WS_MORE);
    assert_null(ws.body.data);
    sp_ws_done(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_handshake_takes_only_what_rfc_6455_asks_for),
        cmocka_unit_test(test_whole_messages_come_out_whole),
        cmocka_unit_test(test_fragments_are_joined_around_control_frames),
        cmocka_unit_test(test_a_character_may_be_cut_by_fragments),
        cmocka_unit_test(test_every_length_form_works),
        cmocka_unit_test(test_every_violation_ends_with_its_close_code),
        cmocka_unit_test(test_a_message_in_fragments_has_the_same_limit),
        cmocka_unit_test(test_close_codes_that_may_be_sent_are_taken),
        cmocka_unit_test(test_server_frames_have_the_bytes_of_the_rfc),
        cmocka_unit_test(test_a_close_reason_is_cut_at_a_character),
        cmocka_unit_test(test_an_idle_codec_holds_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
