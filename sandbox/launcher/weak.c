/*
 * The weakest mode, where even a mount namespace is refused (a container without CAP_SYS_ADMIN, an
 * ordinary user): the app sees the host's folders, so the paths that it is told are translated.
 * Uploads keep their /run/files names in messages; an app that opens them needs the real sandbox.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "sandbox/ctl.h"
#include "sandbox/launcher/launcher-internal.h"

#define SDK_INSIDE "/opt/spacekit"

/* Appends `text` and its terminator, with the SDK's folder as it is called on the host. */
static void append(struct sp_buf *buf, const char *text, const char *sdk_path)
{
    const char *at;

    while ((at = strstr(text, SDK_INSIDE))) {
        (void)sp_buf_append(buf, text, (size_t)(at - text));
        (void)sp_buf_append_str(buf, sdk_path);
        text = at + strlen(SDK_INSIDE);
    }
    (void)sp_buf_append(buf, text, strlen(text) + 1);
}

int sp_weak_translate(const struct sp_launcher *l, const struct sp_box *box, struct sp_ctl *order,
                      struct sp_error *err)
{
    SP_AUTO_BUF struct sp_buf buf;
    const char *p = order->text;

    sp_buf_init(&buf, sizeof(order->text));
    for (uint32_t i = 0; i < order->argc + order->envc; i++, p += strlen(p) + 1)
        append(&buf, p, l->sdk_path);
    (void)sp_buf_printf(&buf, "SPACEKIT_FILES_DIR=%s/files/%016llx", l->state_path,
                        (unsigned long long)box->space);
    (void)sp_buf_append_char(&buf, '\0');
    (void)sp_buf_printf(&buf, "SPACEKIT_STATE_DIR=%s/files/%016llx/state", l->state_path,
                        (unsigned long long)box->space);
    (void)sp_buf_append_char(&buf, '\0');
    if (buf.failed)
        return sp_error_set(err, SP_ERR_LIMIT, -E2BIG,
                            "translate the worker's paths: over %zu bytes", sizeof(order->text));
    memcpy(order->text, buf.data, buf.len);
    order->args_len = (uint32_t)buf.len;
    order->envc += 2;
    return 0;
}
