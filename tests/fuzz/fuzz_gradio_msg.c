/* What a client sends, as a join of Gradio's and as a live message; what we answer with it is JSON.
 */
#include "ui-protocol/gradio_msg.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/scan.h"
#include "ui-protocol/live_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static void check_text(struct sp_buf *out)
{
    CHECK(sp_scan_valid(sp_buf_slice(out), NULL) == 0);
    CHECK(!memchr(out->data, '\n', out->len) || out->len == 0);
    sp_buf_reset(out);
}

static void check_join(struct sp_slice body, struct sp_buf *out)
{
    for (unsigned need = 0; need < 16; need++) {
        struct sp_gradio_join j;
        struct sp_error err = {0};

        if (sp_gradio_parse_join(body, need, &j, &err) < 0) {
            CHECK(err.kind == SP_ERR_INVALID && err.msg[0]);
            continue;
        }
        CHECK(!(need & SP_GRADIO_NEED_DATA) || j.data.ptr);
        CHECK(!(need & SP_GRADIO_NEED_FN) || j.has_fn);
        CHECK(!(need & SP_GRADIO_NEED_EVENT) || j.has_event_id);
        CHECK(j.n_data <= SP_GRADIO_DATA_MAX && j.trigger_id >= -1);
        CHECK(sp_scan_valid(j.event_data, NULL) == 0);
        if (j.data.ptr && !memchr(j.data.ptr, '\n', j.data.len)) {
            struct sp_gradio_head head = {SP_GRADIO_LIVE, &j.event_id, j.fn};
            struct sp_gradio_output output = {j.data, true, j.trigger_id, 5};

            sp_gradio_put_completed(out, &head, &output, j.session);
            check_text(out);
        }
    }
}

static void check_live(struct sp_slice text, struct sp_buf *out)
{
    struct sp_live_msg msg;
    struct sp_error err = {0};
    int r = sp_live_msg_decode(text, &msg, &err);

    CHECK(strlen(msg.ref) <= SP_LIVE_TOKEN_MAX);
    if (r < 0) {
        CHECK(err.kind == SP_ERR_INVALID && err.msg[0]);
        sp_live_put_refused(out, 1, sp_slice_str(msg.ref), "bad_input", err.msg);
        check_text(out);
        return;
    }
    if (msg.type == SP_LIVE_JOIN) {
        CHECK(msg.ref[0] && sp_scan_valid(msg.data, NULL) == 0);
        sp_live_put_joined(out, 1, sp_slice_str(msg.ref), &msg.event_id);
        check_text(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_slice text = sp_slice((const char *)data, size);
    struct sp_buf out = {0};

    if (size == 0)
        return 0;
    check_join(text, &out);
    check_live(text, &out);
    sp_buf_done(&out);
    return 0;
}
