#include "ui-protocol/multipart.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/support/test.h"

#define TYPE "multipart/form-data; boundary=XyZ"

static const struct {
    const char *type;
    const char *delimiter; /* NULL: refused */
} types[] = {
    {"multipart/form-data; boundary=XyZ", "\r\n--XyZ"},
    {"Multipart/Form-Data;charset=utf-8 ; BOUNDARY=\"a b'()+_,-./:=?\"", "\r\n--a b'()+_,-./:=?"},
    {"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
     "\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW"},
    {"multipart/form-data; "
     "boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
     "\r\n--0123456789012345678901234567890123456789012345678901234567890123456789"},
    {"multipart/form-data; "
     "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
     NULL},
    {"multipart/form-data", NULL},
    {"multipart/form-data;", NULL},
    {"multipart/form-data; boundary=", NULL},
    {"multipart/form-data; boundary=\"\"", NULL},
    {"multipart/form-data; boundary=\"a \"", NULL},
    {"multipart/form-data; boundary=\"a", NULL},
    {"multipart/form-data; boundary=\"a@b\"", NULL},
    {"multipart/form-data; boundary=a; boundary=b", NULL},
    {"multipart/form-data; boundary=a b", NULL},
    {"multipart/form-data boundary=a", NULL},
    {"multipart/mixed; boundary=a", NULL},
    {"text/plain", NULL},
    {"", NULL},
};

static void test_the_boundary_is_found_or_the_type_refused(void **state)
{
    static struct sp_multipart mp;

    (void)state;
    for (size_t i = 0; i < SP_LEN(types); i++) {
        bool ok = sp_multipart_init(&mp, sp_slice_str(types[i].type));

        if (ok != (types[i].delimiter != NULL) || (ok && strcmp(mp.boundary, types[i].delimiter)))
            fail_msg("'%s': %d, '%s'", types[i].type, ok, mp.boundary);
    }
}

/* --- transcripts: adjoining DATA events count as one ------------------------------------------ */

struct recorder {
    struct sp_multipart mp;
    struct sp_buf log;
    bool in_data;
    bool over;
};

static void note(struct recorder *r, enum sp_multipart_event event)
{
    if (event == SP_MULTIPART_DATA) {
        if (!r->in_data)
            (void)sp_buf_append_char(&r->log, '<');
        r->in_data = true;
        (void)sp_buf_append_slice(&r->log, r->mp.data);
        return;
    }
    if (r->in_data)
        (void)sp_buf_append_char(&r->log, '>');
    r->in_data = false;
    if (event == SP_MULTIPART_PART)
        (void)sp_buf_printf(&r->log, "[%s|%s%s|%s]", r->mp.name, r->mp.has_filename ? "=" : "",
                            r->mp.filename, r->mp.content_type);
    if (event == SP_MULTIPART_END)
        (void)sp_buf_append_char(&r->log, '.');
    r->over = event == SP_MULTIPART_DONE || event == SP_MULTIPART_BAD;
    if (event == SP_MULTIPART_BAD)
        assert_non_null(r->mp.why);
    if (r->over)
        (void)sp_buf_append_str(&r->log, event == SP_MULTIPART_BAD ? "BAD" : "DONE");
}

static void feed(struct recorder *r, struct sp_slice in)
{
    while (!r->over) {
        enum sp_multipart_event event = sp_multipart_feed(&r->mp, &in);

        if (event == SP_MULTIPART_MORE) {
            assert_int_equal(in.len, 0);
            return;
        }
        note(r, event);
    }
}

static void begin(struct recorder *r)
{
    *r = (struct recorder){0};
    assert_true(sp_multipart_init(&r->mp, SP_SLICE(TYPE)));
}

static const char *label = ""; /* of the row at hand */

static void check(struct recorder *r, const char *wanted, size_t a, size_t b)
{
    if (strcmp(sp_buf_str(&r->log), wanted) != 0)
        fail_msg("%s, cut at %zu and %zu: got %s, wanted %s", label, a, b, sp_buf_str(&r->log),
                 wanted);
    sp_buf_done(&r->log);
}

/* The form in every split into three pieces, and byte by byte: the same events. Each piece is a
 * block of its own, so that a read beyond its end is seen by the sanitizer. */
static void expect(struct sp_slice form, const char *wanted)
{
    static struct recorder r;

    for (size_t a = 0; a <= form.len; a++) {
        for (size_t b = a; b <= form.len; b++) {
            const size_t cuts[4] = {0, a, b, form.len};

            begin(&r);
            for (size_t i = 0; i < 3; i++) {
                size_t n = cuts[i + 1] - cuts[i];
                SP_AUTO_FREE char *piece = malloc(n ? n : 1);

                memcpy(piece, form.ptr + cuts[i], n);
                feed(&r, sp_slice(piece, n));
            }
            check(&r, wanted, a, b);
        }
    }
    begin(&r);
    for (size_t i = 0; i < form.len; i++)
        feed(&r, sp_slice(form.ptr + i, 1));
    check(&r, wanted, 1, 1);
}

#define PART(name) "--XyZ\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void test_fields_and_files_come_out_in_order(void **state)
{
    (void)state;
    expect(SP_SLICE(PART(
               "a") "1\r\n--XyZ\r\ncontent-disposition: FORM-DATA; filename=\"f \xC3\xA9.txt\"; "
                    "name=files\r\nContent-Type: text/plain; charset=x\r\nX-Y: z\r\n\r\n"
                    "l1\r\nl2\r\n--XyZ--\r\nepilogue"),
           "[a||]<1>.[files|=f \xC3\xA9.txt|text/plain; charset=x]<l1\r\nl2>.DONE");
}

static void test_data_that_looks_like_a_delimiter_is_data(void **state)
{
    (void)state;
    expect(SP_SLICE(PART("a") "\r\n-\r\n--\r\n--Xy\r\r\n--XyzX--XyZ\n--XyZ\r\n\r\n--XyZ--"),
           "[a||]<\r\n-\r\n--\r\n--Xy\r\r\n--XyzX--XyZ\n--XyZ\r\n>.DONE");
}

static void test_empty_parts_and_a_preamble_are_taken(void **state)
{
    (void)state;
    expect(SP_SLICE("pre\r\n--Xy\r\n" PART("") "\r\n--XyZ \t \r\nContent-Disposition: form-data; "
                                               "name=b; filename=\"\"\r\n\r\n\r\n--XyZ--"),
           "[||].[b|=|].DONE");
    expect(SP_SLICE("--XyZ--"), "DONE");
}

static void test_names_keep_percent_signs_and_lose_only_quote_escapes(void **state)
{
    (void)state;
    expect(SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=\"a%22\\\"b\"; "
                    "filename=\"C:\\dir\\\\x\"; filename*=UTF-8''y\r\n\r\n\r\n--XyZ--"),
           "[a%22\"b|=C:\\dir\\x|].DONE");
}

static void test_an_unfinished_form_never_says_done(void **state)
{
    (void)state;
    expect(SP_SLICE(PART("a") "data\r\n--XyZ"), "[a||]<data>.");
    expect(SP_SLICE(PART("a") "data\r\n--Xy"), "[a||]<data");
    expect(SP_SLICE("--XyZ\r\nContent-Dis"), "");
}

static const struct {
    const char *rule;
    struct sp_slice form;
} bad[] = {
    {"text behind a boundary", SP_SLICE("--XyZA\r\n")},
    {"a single dash behind a boundary", SP_SLICE("--XyZ-\r\n")},
    {"a dash behind white space", SP_SLICE("--XyZ --\r\n")},
    {"LF alone behind a boundary", SP_SLICE("--XyZ\n")},
    {"two CR behind a boundary", SP_SLICE("--XyZ\r\r\n")},
    {"CR and a space behind a boundary", SP_SLICE("--XyZ\r \r\n")},
    {"CR alone behind a boundary", SP_SLICE("--XyZ\rX")},
    {"a part without headers", SP_SLICE("--XyZ\r\n\r\nx\r\n--XyZ--")},
    {"a part without a name", SP_SLICE("--XyZ\r\nContent-Disposition: form-data\r\n\r\n")},
    {"a part with only a file name",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; filename=a\r\n\r\n")},
    {"another disposition", SP_SLICE("--XyZ\r\nContent-Disposition: attachment; name=a\r\n\r\n")},
    {"two dispositions", SP_SLICE("--XyZ\r\nContent-Disposition: form-data; "
                                  "name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n")},
    {"two names", SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n")},
    {"two file names",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=a; filename=b; filename=c\r\n\r\n")},
    {"an open quote", SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\n")},
    {"a parameter without a value",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=a; b\r\n\r\n")},
    {"a name that is not UTF-8",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=\"\xFF\"\r\n\r\n")},
    {"a file name that is not UTF-8",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=a; filename=\"\xC3\"\r\n\r\n")},
    {"NUL in a file name",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=a; filename=\"x\0y\"\r\n\r\n")},
    {"a folded header", SP_SLICE("--XyZ\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n")},
    {"a header without a colon", SP_SLICE("--XyZ\r\nContent-Disposition\r\n\r\n")},
    {"a bare LF in the headers",
     SP_SLICE("--XyZ\r\nContent-Disposition: form-data; name=a\nX: y\r\n\r\n")},
};

static void test_malformed_forms_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        label = bad[i].rule;
        expect(bad[i].form, "BAD");
    }
}

static void test_the_headers_of_a_part_have_a_limit(void **state)
{
    static struct recorder r;
    SP_AUTO_BUF struct sp_buf form = {0};

    (void)state;
    (void)sp_buf_append_str(&form, "--XyZ\r\nX: ");
    while (form.len < SP_MULTIPART_HEAD_MAX + 100)
        (void)sp_buf_append_char(&form, 'x');
    begin(&r);
    feed(&r, sp_buf_slice(&form));
    check(&r, "BAD", 0, 0);

    sp_buf_reset(&form);
    (void)sp_buf_append_str(&form, "--XyZ\r\nContent-Disposition: form-data; name=\"");
    for (size_t i = 0; i <= SP_MULTIPART_NAME_MAX; i++)
        (void)sp_buf_append_char(&form, 'n');
    (void)sp_buf_append_str(&form, "\"\r\n\r\n");
    begin(&r);
    feed(&r, sp_buf_slice(&form));
    check(&r, "BAD", 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_boundary_is_found_or_the_type_refused),
        cmocka_unit_test(test_fields_and_files_come_out_in_order),
        cmocka_unit_test(test_data_that_looks_like_a_delimiter_is_data),
        cmocka_unit_test(test_empty_parts_and_a_preamble_are_taken),
        cmocka_unit_test(test_names_keep_percent_signs_and_lose_only_quote_escapes),
        cmocka_unit_test(test_an_unfinished_form_never_says_done),
        cmocka_unit_test(test_malformed_forms_are_refused),
        cmocka_unit_test(test_the_headers_of_a_part_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
