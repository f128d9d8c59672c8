#include "ui-protocol/http1.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/support/test.h"

static struct sp_http_answer answer;
static struct sp_http_fail fail_;

static long parse(struct sp_slice head, bool to_head)
{
    fail_ = (struct sp_http_fail){0};
    return sp_http_parse_answer(head.ptr, head.len, to_head, &answer, &fail_);
}

/* --- what is refused -------------------------------------------------------------------------- */

#define OK "HTTP/1.1 200 OK\r\n"

/* One row per rule; it is printed when the row fails. Each is a 502, whole and byte by byte. */
static const struct {
    const char *rule;
    struct sp_slice head;
} refused[] = {
    /* the status line */
    {"an empty line before the answer is not skipped", SP_SLICE("\r\n" OK "\r\n")},
    {"bytes of another protocol", SP_SLICE("\x16\x03\x01\x02")},
    {"a line of text", SP_SLICE("hello\r\n")},
    {"a request", SP_SLICE("GET / HTTP/1.1\r\n\r\n")},
    {"HTTP/0.9: a body at once", SP_SLICE("<html>")},
    {"the protocol's name is upper case", SP_SLICE("http/1.1 200 OK\r\n\r\n")},
    {"HTTP/2", SP_SLICE("HTTP/2 200\r\n\r\n")},
    {"HTTP/2.0", SP_SLICE("HTTP/2.0 200 OK\r\n\r\n")},
    {"HTTP/1.2", SP_SLICE("HTTP/1.2 200 OK\r\n\r\n")},
    {"HTTP/1.10", SP_SLICE("HTTP/1.10 200 OK\r\n\r\n")},
    {"HTTP/0.9 by name", SP_SLICE("HTTP/0.9 200 OK\r\n\r\n")},
    {"ICY is a radio", SP_SLICE("ICY 200 OK\r\n\r\n")},
    {"two spaces before the status", SP_SLICE("HTTP/1.1  200 OK\r\n\r\n")},
    {"a tab before the status", SP_SLICE("HTTP/1.1\t200 OK\r\n\r\n")},
    {"a status of two digits", SP_SLICE("HTTP/1.1 20 OK\r\n\r\n")},
    {"a status of four digits", SP_SLICE("HTTP/1.1 2000 OK\r\n\r\n")},
    {"a status with a sign", SP_SLICE("HTTP/1.1 +20 OK\r\n\r\n")},
    {"a status with a minus", SP_SLICE("HTTP/1.1 -20 OK\r\n\r\n")},
    {"a status in hexadecimal", SP_SLICE("HTTP/1.1 0xc OK\r\n\r\n")},
    {"a status in letters", SP_SLICE("HTTP/1.1 abc OK\r\n\r\n")},
    {"status 000", SP_SLICE("HTTP/1.1 000 OK\r\n\r\n")},
    {"status 099", SP_SLICE("HTTP/1.1 099 OK\r\n\r\n")},
    {"status 600", SP_SLICE("HTTP/1.1 600 OK\r\n\r\n")},
    {"status 999", SP_SLICE("HTTP/1.1 999 OK\r\n\r\n")},
    {"no status", SP_SLICE("HTTP/1.1\r\n\r\n0123456789")},
    {"a bare LF ends no status line", SP_SLICE("HTTP/1.1 200 OK\n\r\n")},
    {"a bare LF ends no status line without a reason", SP_SLICE("HTTP/1.1 200\n\r\n")},
    {"a bare CR ends no status line", SP_SLICE("HTTP/1.1 200 OK\rX: y\r\n\r\n")},
    {"NUL is in no reason", SP_SLICE("HTTP/1.1 200 O\0K\r\n\r\n")},
    {"no control byte in a reason", SP_SLICE("HTTP/1.1 200 O\x01K\r\n\r\n")},
    {"no DEL in a reason", SP_SLICE("HTTP/1.1 200 O\x7FK\r\n\r\n")},
    /* header lines */
    {"a bare LF ends no header", SP_SLICE(OK "X: a\n\r\n")},
    {"a bare CR is in no header", SP_SLICE(OK "X: a\rY: b\r\n\r\n")},
    {"a bare LF ends no head", SP_SLICE(OK "X: a\r\n\n")},
    {"CR without LF ends no head", SP_SLICE(OK "\rX")},
    {"NUL is in no value", SP_SLICE(OK "X: a\0b\r\n\r\n")},
    {"no control byte in a value", SP_SLICE(OK "X: aaaaaaaaaa\x02\r\n\r\n")},
    {"no DEL in a value", SP_SLICE(OK "X: aaaaaaaaaa\x7F\r\n\r\n")},
    {"no folded line", SP_SLICE(OK "X: a\r\n b\r\n\r\n")},
    {"no folded line with a tab", SP_SLICE(OK "X: a\r\n\tb\r\n\r\n")},
    {"the first header is not folded", SP_SLICE(OK " X: a\r\n\r\n")},
    {"no space before the colon", SP_SLICE(OK "X : a\r\n\r\n")},
    {"no tab before the colon", SP_SLICE(OK "Content-Length\t: 5\r\n\r\n")},
    {"a name is not empty", SP_SLICE(OK ": a\r\n\r\n")},
    {"a line has a colon", SP_SLICE(OK "X\r\n\r\n")},
    {"a name is a token", SP_SLICE(OK "X(y): a\r\n\r\n")},
    {"a name is ASCII", SP_SLICE(OK "X\xC3\xA9: a\r\n\r\n")},
    {"NUL is in no name", SP_SLICE(OK "X\0Y: a\r\n\r\n")},
    {"a second status line is no header", SP_SLICE(OK OK "\r\n")},
    /* framing */
    {"Content-Length twice and different",
     SP_SLICE(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n")},
    {"Content-Length twice and the same",
     SP_SLICE(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n")},
    {"Content-Length as a list", SP_SLICE(OK "Content-Length: 5, 5\r\n\r\n")},
    {"Content-Length with a sign", SP_SLICE(OK "Content-Length: +5\r\n\r\n")},
    {"Content-Length below zero", SP_SLICE(OK "Content-Length: -1\r\n\r\n")},
    {"Content-Length in hexadecimal", SP_SLICE(OK "Content-Length: 0x5\r\n\r\n")},
    {"Content-Length with a point", SP_SLICE(OK "Content-Length: 5.0\r\n\r\n")},
    {"Content-Length empty", SP_SLICE(OK "Content-Length:\r\n\r\n")},
    {"Content-Length with a space inside", SP_SLICE(OK "Content-Length: 1 0\r\n\r\n")},
    {"Content-Length of 19 digits", SP_SLICE(OK "Content-Length: 1000000000000000000\r\n\r\n")},
    {"Content-Length that overflows",
     SP_SLICE(OK "Content-Length: 99999999999999999999999\r\n\r\n")},
    {"both length and chunked",
     SP_SLICE(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"both chunked and length",
     SP_SLICE(OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")},
    {"chunked twice in a list", SP_SLICE(OK "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {"chunked twice in two lines",
     SP_SLICE(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"chunked not last", SP_SLICE(OK "Transfer-Encoding: chunked, gzip\r\n\r\n")},
    {"a coding below chunked", SP_SLICE(OK "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {"identity", SP_SLICE(OK "Transfer-Encoding: identity\r\n\r\n")},
    {"nearly chunked", SP_SLICE(OK "Transfer-Encoding: xchunked\r\n\r\n")},
    {"chunked with a vertical tab", SP_SLICE(OK "Transfer-Encoding: \x0B"
                                                "chunked\r\n\r\n")},
    {"chunked with a parameter", SP_SLICE(OK "Transfer-Encoding: chunked;q=1\r\n\r\n")},
    {"an empty coding", SP_SLICE(OK "Transfer-Encoding:\r\n\r\n")},
    {"chunked in HTTP/1.0", SP_SLICE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"100 with a length", SP_SLICE("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n")},
    {"103 with a body in chunks",
     SP_SLICE("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"101 with a length",
     SP_SLICE("HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n")},
    {"100 in HTTP/1.0", SP_SLICE("HTTP/1.0 100 Continue\r\n\r\n")},
};

static void test_an_answer_that_is_not_right_is_refused_whole_and_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(refused); i++) {
        struct sp_slice head = refused[i].head;
        long slow = 0;

        if (parse(head, false) != -1 || fail_.status != 502 || !fail_.reason)
            fail_msg("not refused: %s", refused[i].rule);
        for (size_t len = 0; len <= head.len && slow == 0; len++)
            slow = parse(sp_slice(head.ptr, len), false);
        if (slow != -1 || fail_.status != 502)
            fail_msg("not refused byte by byte: %s", refused[i].rule);
    }
    assert_true(SP_LEN(refused) >= 60);
}

/* --- what is taken ---------------------------------------------------------------------------- */

static const struct {
    const char *what;
    struct sp_slice head;
    bool to_head;
    int status;
    enum sp_http_body body;
    uint64_t length;
    bool keep_alive;
} taken[] = {
    {"a length", SP_SLICE(OK "Content-Length: 5\r\n\r\n"), false, 200, SP_HTTP_BODY_LENGTH, 5,
     true},
    {"no body", SP_SLICE(OK "Content-Length: 0\r\n\r\n"), false, 200, SP_HTTP_BODY_NONE, 0, true},
    {"chunks", SP_SLICE(OK "Transfer-Encoding: CHUNKED\r\n\r\n"), false, 200, SP_HTTP_BODY_CHUNKED,
     0, true},
    {"to the end", SP_SLICE(OK "\r\n"), false, 200, SP_HTTP_BODY_CLOSE, 0, false},
    {"to the end though it says keep-alive", SP_SLICE(OK "Connection: keep-alive\r\n\r\n"), false,
     200, SP_HTTP_BODY_CLOSE, 0, false},
    {"an end of the connection", SP_SLICE(OK "Connection: close\r\nContent-Length: 5\r\n\r\n"),
     false, 200, SP_HTTP_BODY_LENGTH, 5, false},
    {"close in a list", SP_SLICE(OK "Connection: x, Close\r\nContent-Length: 5\r\n\r\n"), false,
     200, SP_HTTP_BODY_LENGTH, 5, false},
    {"HTTP/1.0", SP_SLICE("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"), false, 200,
     SP_HTTP_BODY_LENGTH, 5, false},
    {"HTTP/1.0 that goes on",
     SP_SLICE("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n"), false, 200,
     SP_HTTP_BODY_LENGTH, 5, true},
    {"the answer to HEAD", SP_SLICE(OK "Content-Length: 5\r\n\r\n"), true, 200, SP_HTTP_BODY_NONE,
     5, true},
    {"the answer to HEAD, in chunks", SP_SLICE(OK "Transfer-Encoding: chunked\r\n\r\n"), true, 200,
     SP_HTTP_BODY_NONE, 0, true},
    {"the answer to HEAD without a length", SP_SLICE(OK "\r\n"), true, 200, SP_HTTP_BODY_NONE, 0,
     true},
    {"204", SP_SLICE("HTTP/1.1 204 No Content\r\n\r\n"), false, 204, SP_HTTP_BODY_NONE, 0, true},
    {"204 with a length", SP_SLICE("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"), false,
     204, SP_HTTP_BODY_NONE, 7, true},
    {"304 with the length of what it is about",
     SP_SLICE("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"), false, 304,
     SP_HTTP_BODY_NONE, 7, true},
    {"no reason", SP_SLICE("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n"), false, 200,
     SP_HTTP_BODY_LENGTH, 1, true},
    {"no space either", SP_SLICE("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n"), false, 200,
     SP_HTTP_BODY_LENGTH, 1, true},
    {"a reason of somebody else's",
     SP_SLICE("HTTP/1.1 599 \xC3\xA9t\xC3\xA9\r\nContent-Length: 1\r\n\r\n"), false, 599,
     SP_HTTP_BODY_LENGTH, 1, true},
    {"100", SP_SLICE("HTTP/1.1 100 Continue\r\n\r\n"), false, 100, SP_HTTP_BODY_NONE, 0, true},
    {"an empty value", SP_SLICE(OK "X:\r\nContent-Length: 1\r\n\r\n"), false, 200,
     SP_HTTP_BODY_LENGTH, 1, true},
};

static void test_an_answer_that_is_right_is_read_with_its_framing(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(taken); i++) {
        struct sp_slice head = taken[i].head;

        for (size_t len = 0; len < head.len; len++)
            if (parse(sp_slice(head.ptr, len), taken[i].to_head) != 0)
                fail_msg("ends early: %s", taken[i].what);
        if (parse(head, taken[i].to_head) != (long)head.len)
            fail_msg("not taken: %s: %s", taken[i].what, fail_.reason);
        if (answer.status != taken[i].status || answer.body != taken[i].body ||
            answer.content_length != taken[i].length || answer.keep_alive != taken[i].keep_alive)
            fail_msg("read wrongly: %s", taken[i].what);
    }
}

static void test_a_switch_to_websocket_is_seen(void **state)
{
    (void)state;
    assert_true(
        parse(
            SP_SLICE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
                     "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x01"),
            false) > 0);
    assert_true(answer.upgrade_websocket);
    assert_true(
        parse(
            SP_SLICE(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
            false) > 0);
    assert_false(answer.upgrade_websocket);
    assert_true(parse(SP_SLICE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
                      false) > 0);
    assert_false(answer.upgrade_websocket);
}

static void test_reason_and_headers_are_slices_of_the_input(void **state)
{
    static const char head[] = "HTTP/1.1 404  Not Here \r\nServer:\t x \r\n\r\nbody";

    (void)state;
    assert_int_equal(parse(SP_SLICE(head), false), sizeof(head) - 1 - 4);
    assert_true(sp_slice_eq_str(answer.reason, "Not Here"));
    assert_int_equal(answer.n_headers, 1);
    assert_true(sp_slice_eq_str(answer.headers[0].value, "x"));
    assert_true(answer.headers[0].name.ptr == head + 25);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_an_answers_head_ends_at_32_kib_and_128_lines(void **state)
{
    struct sp_buf head;

    (void)state;
    sp_buf_init(&head, 0);
    (void)sp_buf_append_str(&head, OK "Content-Length: 1\r\n");
    for (int i = 0; i < 127; i++)
        (void)sp_buf_append_str(&head, "X: y\r\n");
    (void)sp_buf_append_str(&head, "\r\n");
    assert_int_equal(parse(sp_buf_slice(&head), false), head.len);
    head.len -= 2;
    (void)sp_buf_append_str(&head, "X: y\r\n\r\n");
    assert_int_equal(parse(sp_buf_slice(&head), false), -1);

    sp_buf_reset(&head);
    (void)sp_buf_append_str(&head, OK "X: ");
    while (head.len < SP_HTTP_HEAD_MAX - 1)
        (void)sp_buf_append_char(&head, 'a');
    assert_int_equal(parse(sp_buf_slice(&head), false), 0);
    (void)sp_buf_append_char(&head, 'a');
    assert_int_equal(parse(sp_buf_slice(&head), false), -1);
    assert_non_null(strstr(fail_.reason, "32 KiB"));
    sp_buf_done(&head);
}

static void test_a_reason_ends_at_512_bytes(void **state)
{
    struct sp_buf head;

    (void)state;
    sp_buf_init(&head, 0);
    (void)sp_buf_append_str(&head, "HTTP/1.1 200 ");
    for (int i = 0; i < 600; i++)
        (void)sp_buf_append_char(&head, 'a');
    assert_int_equal(parse(sp_buf_slice(&head), false), -1);
    sp_buf_done(&head);
}

/* --- bodies ----------------------------------------------------------------------------------- */

static void test_a_body_without_a_length_is_all_that_comes(void **state)
{
    struct sp_http_body_decoder dec;
    struct sp_slice piece;
    size_t used = 0;

    (void)state;
    assert_true(parse(SP_SLICE(OK "\r\n"), false) > 0);
    sp_http_body_init_answer(&dec, &answer);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sp_http_body_feed(&dec, "0\r\n\r\n", 5, &used, &piece, &fail_), 0);
        assert_int_equal(used, 5);
        assert_int_equal(piece.len, 5);
    }
}

static void test_a_body_that_is_not_there_is_complete_at_once(void **state)
{
    struct sp_http_body_decoder dec;
    struct sp_slice piece;
    size_t used = 1;

    (void)state;
    assert_true(parse(SP_SLICE(OK "Content-Length: 5\r\n\r\n"), true) > 0);
    sp_http_body_init_answer(&dec, &answer);
    assert_int_equal(sp_http_body_feed(&dec, "HTTP/", 5, &used, &piece, &fail_), 1);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_that_is_not_right_is_refused_whole_and_byte_by_byte),
        cmocka_unit_test(test_an_answer_that_is_right_is_read_with_its_framing),
        cmocka_unit_test(test_a_switch_to_websocket_is_seen),
        cmocka_unit_test(test_reason_and_headers_are_slices_of_the_input),
        cmocka_unit_test(test_an_answers_head_ends_at_32_kib_and_128_lines),
        cmocka_unit_test(test_a_reason_ends_at_512_bytes),
        cmocka_unit_test(test_a_body_without_a_length_is_all_that_comes),
        cmocka_unit_test(test_a_body_that_is_not_there_is_complete_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
