/* ui-protocol/http1-internal.h - what the http1 files share. */
#ifndef SP_UI_PROTOCOL_HTTP1_INTERNAL_H
#define SP_UI_PROTOCOL_HTTP1_INTERNAL_H

#include <stdbool.h>

#include "base/str.h"
#include "ui-protocol/http1.h"

/* True when a comma-separated list holds `token`; ASCII case is ignored. */
bool sp_http_list_has(struct sp_slice list, const char *token);

/* --- lines of a head, of a request or of an answer (http1-lines.c) ------------------------- */

/* What a byte may be part of. */
enum { SP_HTTP_BYTE_TOKEN = 1, SP_HTTP_BYTE_TARGET = 2, SP_HTTP_BYTE_HOST = 4 };
extern const unsigned char sp_http_classes[256];

static inline bool sp_http_is(char c, unsigned class)
{
    return sp_http_classes[(unsigned char)c] & class;
}

/* Outcome of a step: the head is wrong, its bytes end too early, the step is done, or the head. */
enum sp_http_step {
    SP_HTTP_STEP_BAD = -1,
    SP_HTTP_STEP_MORE = 0,
    SP_HTTP_STEP_OK = 1,
    SP_HTTP_STEP_END = 2,
};

struct sp_http_cursor {
    const char *at;
    const char *end;
    struct sp_http_fail *fail;
};

enum sp_http_step sp_http_step_refuse(struct sp_http_cursor *in, int status, const char *reason);
/* The first byte that is below 0x20 or is 0x7F; `end` when there is none. */
const char *sp_http_find_control(const char *at, const char *end);
/* One header line; END when it was the empty line behind the last. */
enum sp_http_step sp_http_header_line(struct sp_http_cursor *in, struct sp_http_header *ret);
/* 1 to 18 digits. */
bool sp_http_parse_length(struct sp_slice value, uint64_t *ret);

#endif
