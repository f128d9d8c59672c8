/* What every way of joining over HTTP has in common: the function, the inputs, the session. */
#include "runtime/app/app-internal.h"

#include "base/error.h"
#include "base/scan.h"
#include "runtime/server/server.h"

bool sp_app_fit_inputs(const struct sp_worker_function *fn, struct sp_slice data, size_t n_data,
                       struct sp_buf *buf, struct sp_slice *ret)
{
    struct sp_slice value;
    size_t cursor = 0;
    size_t state = 0;

    *ret = data;
    if (n_data == fn->inputs)
        return true;
    if (n_data + fn->n_state_inputs != fn->inputs)
        return false;
    (void)sp_buf_append_char(buf, '[');
    for (uint32_t i = 0; i < fn->inputs; i++) {
        bool is_state = state < fn->n_state_inputs && fn->state_inputs[state] == i;

        if (i)
            (void)sp_buf_append_char(buf, ',');
        if (is_state)
            state++;
        if (is_state || !sp_scan_next(data, &cursor, &value))
            value = SP_SLICE("null");
        (void)sp_buf_append_slice(buf, value);
    }
    (void)sp_buf_append_char(buf, ']');
    *ret = sp_buf_slice(buf);
    return true;
}

/* Names of our own begin like this; a client may not choose one. */
static bool is_reserved(const char *session)
{
    return strncmp(session, "live:", 5) == 0 || strncmp(session, "call:", 5) == 0;
}

static struct sp_app_session *session_for(struct sp_app_space *space, const char *name)
{
    char own[5 + SP_ID_HEX] = "call:";
    struct sp_id id;

    if (name && *name)
        return sp_session_need(space, sp_slice_str(name));
    sp_id_random(&id);
    sp_id_to_hex(&id, own + 5);
    return sp_session_need(space, sp_slice_str(own));
}

static struct sp_app_event *join_fitting(struct sp_app_space *space, struct sp_exchange *ex,
                                         struct sp_app_join *join, const char *session)
{
    struct sp_buf request SP_AUTO_BUF = {0};
    struct sp_app_refused refused;
    struct sp_app_event *ev;

    join->session = session_for(space, session);
    if (!join->session) {
        sp_app_reply_detail(ex, 503, "Too many visitors at the moment (limit.sessions).");
        return NULL;
    }
    sp_worker_put_request(&request, sp_exchange_request(ex), sp_exchange_peer(ex),
                          sp_exchange_base_url(ex), sp_app_username(ex));
    join->request = sp_buf_slice(&request);
    ev = sp_app_join(space->apps, join, &refused);
    if (!ev) {
        sp_app_reply_refused(ex, &refused);
        sp_session_settle(join->session);
        return NULL;
    }
    if (join->kind != SP_EVENT_RUN)
        ev->by.ex = sp_exchange_id(ex);
    return ev;
}

struct sp_app_event *sp_app_join_http(struct sp_app_space *space, struct sp_exchange *ex,
                                      const struct sp_gradio_join *body,
                                      const struct sp_worker_function *fn, const char *session,
                                      enum sp_event_kind kind, const struct sp_event_view *view)
{
    struct sp_buf fitted SP_AUTO_BUF = {0};
    struct sp_app_join join = {.kind = kind,
                               .view = view,
                               .fn = fn,
                               .event_data = body->event_data,
                               .trigger = body->trigger_id,
                               .queued = fn->queue};

    if (session && is_reserved(session)) {
        sp_app_reply_detail(ex, 400, "This session_hash cannot be chosen.");
        return NULL;
    }
    sp_buf_init(&fitted, 0);
    if (!sp_app_fit_inputs(fn, body->data, body->n_data, &fitted, &join.data)) {
        sp_app_reply_detail(ex, 400, "expected %u inputs, got %zu", fn->inputs, body->n_data);
        return NULL;
    }
    return join_fitting(space, ex, &join, session);
}
