#include "ui-protocol/http1.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "tests/support/test.h"
#include "ui-protocol/sse.h"

static void assert_has(struct sp_buf *buf, const char *text)
{
    if (!strstr(sp_buf_str(buf), text))
        fail_msg("'%s' is not in:\n%s", text, sp_buf_str(buf));
}

static void test_a_head_has_status_date_server_and_length(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    const char *date;

    (void)state;
    sp_http_put_status(&out, 404);
    sp_http_put_header_str(&out, "Content-Type", "text/plain");
    sp_http_end_length(&out, 404, 12, true);
    assert_true(sp_slice_starts(sp_buf_slice(&out), "HTTP/1.1 404 Not Found\r\nDate: "));
    assert_has(&out, "\r\nServer: spacesd\r\n");
    assert_has(&out, "\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n");
    assert_true(sp_slice_ends(sp_buf_slice(&out), "Connection: keep-alive\r\n\r\n"));

    /* RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT" */
    date = strstr(sp_buf_str(&out), "Date: ") + 6;
    assert_int_equal(strcspn(date, "\r"), 29);
    assert_memory_equal(date + 3, ", ", 2);
    assert_memory_equal(date + 25, " GMT", 4);
}

static void test_204_and_304_have_no_length(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};

    (void)state;
    sp_http_put_status(&out, 204);
    sp_http_end_length(&out, 204, 0, false);
    assert_null(strstr(sp_buf_str(&out), "Content-Length"));
    assert_has(&out, "Connection: close\r\n\r\n");
    sp_buf_reset(&out);
    sp_http_end_length(&out, 304, 7, true);
    assert_null(strstr(sp_buf_str(&out), "Content-Length"));
}

static void test_a_header_with_a_line_break_is_left_out(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};

    (void)state;
    sp_log_set_level((enum sp_log_level)(SP_LOG_ERROR + 1)); /* it also says so in the log */
    sp_http_put_header(&out, "X", SP_SLICE("a\r\nSet-Cookie: b"));
    sp_http_put_header(&out, "X", SP_SLICE("a\0b"));
    sp_http_put_header_str(&out, "X\n", "a");
    sp_log_set_level(SP_LOG_INFO);
    assert_int_equal(out.len, 0);
}

static void test_chunks_carry_their_size_and_an_empty_piece_is_none(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    char big[300];

    (void)state;
    memset(big, 'x', sizeof(big));
    sp_http_put_chunk(&out, SP_SLICE("hello"));
    sp_http_put_chunk(&out, SP_SLICE(""));
    sp_http_put_last_chunk(&out);
    assert_string_equal(sp_buf_str(&out), "5\r\nhello\r\n0\r\n\r\n");
    sp_buf_reset(&out);
    sp_http_put_chunk(&out, sp_slice(big, sizeof(big)));
    assert_true(sp_slice_starts(sp_buf_slice(&out), "12c\r\nxxx"));
}

static void test_a_stream_is_chunked_or_lasts_until_close(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};

    (void)state;
    sp_http_end_stream(&out, true);
    assert_string_equal(sp_buf_str(&out), "Transfer-Encoding: chunked\r\n\r\n");
    sp_buf_reset(&out);
    sp_http_end_stream(&out, false);
    assert_string_equal(sp_buf_str(&out), "Connection: close\r\n\r\n");
}

static void test_statuses_have_reasons(void **state)
{
    (void)state;
    assert_string_equal(sp_http_reason(200), "OK");
    assert_string_equal(sp_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(sp_http_reason(299), "Unknown");
}

static void test_sse_writes_exactly_what_the_python_client_splits_on(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};

    (void)state;
    sp_sse_put_data(&out, SP_SLICE("{\"msg\":\"heartbeat\"}"));
    assert_string_equal(sp_buf_str(&out), "data: {\"msg\":\"heartbeat\"}\n\n");
    sp_buf_reset(&out);
    sp_sse_put_event(&out, "complete", SP_SLICE("[1,\r\n\n2]"));
    assert_string_equal(sp_buf_str(&out), "event: complete\ndata: [1,   2]\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_has_status_date_server_and_length),
        cmocka_unit_test(test_204_and_304_have_no_length),
        cmocka_unit_test(test_a_header_with_a_line_break_is_left_out),
        cmocka_unit_test(test_chunks_carry_their_size_and_an_empty_piece_is_none),
        cmocka_unit_test(test_a_stream_is_chunked_or_lasts_until_close),
        cmocka_unit_test(test_statuses_have_reasons),
        cmocka_unit_test(test_sse_writes_exactly_what_the_python_client_splits_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
