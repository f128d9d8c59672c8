/* A line from a worker: slices inside it, raw values valid, and functions decoded within bounds. */
#include "ui-protocol/worker_msg.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

/* A raw value is one JSON value that can be written into another message as it is. */
static void check_raw(struct sp_slice raw)
{
    CHECK(!raw.ptr || sp_scan_valid(raw, NULL) == 0);
}

static void check_functions(struct sp_slice raw)
{
    SP_AUTO_FREE struct sp_worker_function *fns = NULL;
    struct sp_error err = {0};
    size_t n = 0;

    if (sp_worker_functions_decode(raw, &fns, &n, &err) < 0) {
        CHECK(err.kind == SP_ERR_INVALID && err.msg[0]);
        return;
    }
    CHECK(fns && n <= SP_WORKER_FUNCTIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        CHECK(strlen(fns[i].api_name) <= SP_WORKER_API_NAME_MAX && fns[i].api_visibility);
        for (size_t j = 0; j < fns[i].n_state_inputs; j++)
            CHECK(fns[i].state_inputs[j] < fns[i].inputs);
        for (size_t j = 0; j < fns[i].n_cancels; j++)
            CHECK(fns[i].cancels[j] < INT32_MAX);
    }
}

static void check_call(const struct sp_worker_msg *msg)
{
    struct sp_buf out = {0};
    struct sp_worker_call call = {
        .id = &msg->id, .attempt = msg->attempt, .session = msg->data, .data = msg->data};

    sp_worker_put_call(&out, &call);
    CHECK(out.len > 1 && memchr(out.data, '\n', out.len - 1) == NULL);
    CHECK(sp_scan_valid(sp_slice(out.data, out.len - 1), NULL) == 0);
    sp_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_slice line = sp_slice((const char *)data, size);
    struct sp_worker_msg msg;
    struct sp_error err = {0};

    if (size == 0 || memchr(data, '\n', size))
        return 0;
    if (sp_worker_msg_decode(line, &msg, &err) < 0) {
        CHECK(err.kind == SP_ERR_INVALID && err.msg[0]);
        return 0;
    }
    CHECK(sp_worker_msg_type_to_string(msg.type));
    check_raw(msg.data);
    check_raw(msg.ops);
    check_raw(msg.progress_data);
    check_raw(msg.log);
    check_raw(msg.error);
    check_raw(msg.title);
    check_raw(msg.duration);
    check_raw(msg.message);
    check_raw(msg.missing);
    check_raw(msg.engine);
    check_raw(msg.config);
    check_raw(msg.info);
    CHECK((msg.type != SP_WORKER_YIELD) || (!msg.data.ptr != !msg.ops.ptr));
    if (msg.type == SP_WORKER_READY)
        check_functions(msg.functions);
    if (msg.type == SP_WORKER_RETURN)
        check_call(&msg);
    return 0;
}
