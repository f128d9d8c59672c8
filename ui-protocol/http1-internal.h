/* ui-protocol/http1-internal.h - what the http1 files share. */
#ifndef SP_UI_PROTOCOL_HTTP1_INTERNAL_H
#define SP_UI_PROTOCOL_HTTP1_INTERNAL_H

#include <stdbool.h>

#include "base/str.h"

/* True when a comma-separated list holds `token`; ASCII case is ignored. */
bool sp_http_list_has(struct sp_slice list, const char *token);

#endif
