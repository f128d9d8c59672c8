/*
 * The envelope scanner against jansson: what one takes the other takes, but for the differences
 * that test_scan.c names; and what it says of fields and elements is what is there.
 */
#include "base/scan.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

/* jansson holds every value: it refuses what does not fit into one. The scanner only looks. */
static bool excused(const json_error_t *at)
{
    switch (json_error_code(at)) {
    case json_error_numeric_overflow:
    case json_error_null_byte_in_key:
    case json_error_stack_overflow: return true;
    case json_error_invalid_syntax: return strstr(at->text, "Unicode") != NULL; /* lone surrogate */
    default: return false;
    }
}

static void compare(struct sp_slice text)
{
    json_error_t at;
    SP_AUTO_JSON json_t *value =
        json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    struct sp_error err;
    bool valid = sp_scan_valid(text, &err) == 0;

    if (valid && !value)
        CHECK(excused(&at));
    /* jansson 2.14 overlooks a NUL behind a number; to us it is a byte like any other. */
    if (!valid && value)
        CHECK(strstr(err.msg, "64 levels") || memchr(text.ptr, '\0', text.len));
}

static void check_elements(struct sp_slice array)
{
    struct sp_slice item;
    size_t cursor = 0;
    size_t n = 0;

    while (sp_scan_next(array, &cursor, &item)) {
        CHECK(item.ptr > array.ptr && item.ptr + item.len < array.ptr + array.len);
        CHECK(sp_scan_valid(item, NULL) == 0);
        n++;
    }
    CHECK(n == sp_scan_count(array));
}

static void check_field(const struct sp_scan_field *f, struct sp_slice text)
{
    char string[64];
    uint64_t number;
    bool flag;

    (void)sp_scan_get_string(f, string, sizeof(string));
    (void)sp_scan_get_u64(f, UINT32_MAX, &number);
    (void)sp_scan_get_bool(f, &flag);
    if (f->kind == SP_SCAN_ABSENT)
        return;
    CHECK(f->value.ptr > text.ptr && f->value.ptr + f->value.len < text.ptr + text.len);
    CHECK(sp_scan_valid(f->value, NULL) == 0);
    if (f->kind == SP_SCAN_ARRAY)
        check_elements(f->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_slice text = sp_slice((const char *)data, size);
    struct sp_scan_field f[] = {{.key = "a"}, {.key = "data"}, {.key = "type"}};

    if (size == 0)
        return 0;
    compare(text);
    if (sp_scan_object(text, f, 3, NULL) == 0) {
        CHECK(sp_scan_valid(text, NULL) == 0);
        for (size_t i = 0; i < 3; i++)
            check_field(&f[i], text);
    }
    return 0;
}
