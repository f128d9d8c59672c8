#include "ui-protocol/live_msg.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "ui-protocol/msg-internal.h"

/* --- server to client ------------------------------------------------------------------------- */

static void end(struct sp_buf *out, uint64_t seq)
{
    if (seq)
        sp_msg_put_number(out, ",\"seq\":", seq);
    sp_msg_put(out, "}");
}

static void put_ref(struct sp_buf *out, const char *key, struct sp_slice ref)
{
    sp_msg_put(out, key);
    if (ref.len)
        (void)sp_buf_append_json_string(out, ref);
    else
        sp_msg_put(out, "null");
}

void sp_live_put_hello(struct sp_buf *out, const struct sp_live_hello *hello)
{
    sp_msg_put_string(out, "{\"msg\":\"hello\",\"v\":1,\"session\":", hello->session);
    sp_msg_put_string(out, ",\"secret\":", hello->secret);
    sp_msg_put_string(out, ",\"epoch\":", hello->epoch);
    sp_msg_put_bool(out, ",\"resumed\":", hello->resumed);
    sp_msg_put_string(out, ",\"version\":", hello->version);
    sp_msg_put_number(out, ",\"heartbeat_s\":", hello->heartbeat_s);
    sp_msg_put(out, "}");
}

void sp_live_put_snapshot_begin(struct sp_buf *out)
{
    sp_msg_put(out, "{\"msg\":\"snapshot\",\"events\":[");
}

void sp_live_put_snapshot_event(struct sp_buf *out, bool first, const struct sp_live_event *event)
{
    sp_msg_put_id(out, first ? "{\"event_id\":" : ",{\"event_id\":", event->event_id);
    put_ref(out, ",\"ref\":", event->ref);
    sp_msg_put_number(out, ",\"fn\":", event->fn);
    sp_msg_put_string(out, ",\"state\":", event->state);
    if (event->output.len)
        sp_msg_put_raw(out, ",\"output\":", event->output, "null");
    sp_msg_put_seconds(out, ",\"age_s\":", (int64_t)event->age_us);
    sp_msg_put(out, "}");
}

void sp_live_put_snapshot_end(struct sp_buf *out, uint64_t seq)
{
    sp_msg_put(out, "]");
    end(out, seq);
}

void sp_live_put_joined(struct sp_buf *out, uint64_t seq, struct sp_slice ref,
                        const struct sp_id *event_id)
{
    put_ref(out, "{\"msg\":\"joined\",\"ref\":", ref);
    sp_msg_put_id(out, ",\"event_id\":", event_id);
    end(out, seq);
}

void sp_live_put_refused(struct sp_buf *out, uint64_t seq, struct sp_slice ref, const char *code,
                         const char *message)
{
    put_ref(out, "{\"msg\":\"refused\",\"ref\":", ref);
    sp_msg_put_string(out, ",\"code\":", code);
    sp_msg_put_string(out, ",\"message\":", message);
    end(out, seq);
}

void sp_live_put_stage(struct sp_buf *out, uint64_t seq, const char *stage, const char *reason,
                       const char *version)
{
    sp_msg_put_string(out, "{\"msg\":\"stage\",\"stage\":", stage);
    sp_msg_put_string(out, ",\"reason\":", reason);
    sp_msg_put_string(out, ",\"version\":", version);
    end(out, seq);
}

void sp_live_put_pong(struct sp_buf *out)
{
    sp_msg_put(out, "{\"msg\":\"pong\"}");
}

void sp_live_put_bye(struct sp_buf *out, const char *reason)
{
    sp_msg_put_string(out, "{\"msg\":\"bye\",\"reason\":", reason);
    sp_msg_put(out, "}");
}

void sp_live_put_seq(struct sp_buf *out, size_t start, uint64_t seq)
{
    if (out->failed || out->len <= start || out->data[out->len - 1] != '}')
        return;
    out->len--;
    end(out, seq);
}

/* --- client to server ------------------------------------------------------------------------- */

enum field {
    F_TYPE,
    F_V,
    F_RESUME,
    F_REF,
    F_FN,
    F_DATA,
    F_EVENT_DATA,
    F_TRIGGER,
    F_EVENT_ID,
    F_SEQ,
    N_FIELDS,
};

static int read_resume(struct sp_slice resume, struct sp_live_msg *ret, struct sp_error *err)
{
    struct sp_scan_field f[] = {
        {.key = "session"}, {.key = "secret"}, {.key = "epoch"}, {.key = "last_seq"}};
    int r = sp_scan_object(resume, f, SP_LEN(f), err);

    ret->resume = true;
    if (r == 0)
        r = sp_msg_get_string(&f[0], true, ret->session, sizeof(ret->session), err);
    if (r == 0)
        r = sp_msg_get_string(&f[1], true, ret->secret, sizeof(ret->secret), err);
    if (r == 0)
        r = sp_msg_get_string(&f[2], true, ret->epoch, sizeof(ret->epoch), err);
    if (r == 0)
        r = sp_msg_get_u64(&f[3], true, UINT64_MAX, &ret->last_seq, err);
    return r;
}

static int read_hello(const struct sp_scan_field *f, struct sp_live_msg *ret, struct sp_error *err)
{
    uint64_t version = 0;
    int r = sp_msg_get_u64(&f[F_V], true, UINT32_MAX, &version, err);

    if (r < 0)
        return r;
    if (version != 1)
        return sp_error_set(err, SP_ERR_INVALID, 0, "field 'v': expected 1");
    if (f[F_RESUME].kind == SP_SCAN_OBJECT)
        return read_resume(f[F_RESUME].value, ret, err);
    if (f[F_RESUME].kind != SP_SCAN_NULL && f[F_RESUME].kind != SP_SCAN_ABSENT)
        return sp_error_set(err, SP_ERR_INVALID, 0, "field 'resume': expected an object or null");
    return 0;
}

static int read_join(const struct sp_scan_field *f, struct sp_live_msg *ret, struct sp_error *err)
{
    uint64_t fn = 0;
    int r = sp_msg_get_string(&f[F_REF], true, ret->ref, sizeof(ret->ref), err);

    if (r == 0 && !ret->ref[0])
        return sp_error_set(err, SP_ERR_INVALID, 0, "field 'ref': expected a string, not empty");
    if (r == 0)
        r = sp_msg_get_u64(&f[F_FN], true, INT32_MAX, &fn, err);
    if (r == 0)
        r = sp_msg_get_data(&f[F_DATA], true, &ret->data, &ret->n_data, err);
    if (r == 0)
        r = sp_msg_get_trigger(&f[F_TRIGGER], &ret->trigger_id, err);
    ret->fn = (uint32_t)fn;
    ret->event_data = sp_msg_raw(&f[F_EVENT_DATA]);
    return r;
}

static int read_cancel(const struct sp_scan_field *f, struct sp_live_msg *ret, struct sp_error *err)
{
    return sp_msg_get_id(&f[F_EVENT_ID], &ret->event_id, err);
}

static int read_ack(const struct sp_scan_field *f, struct sp_live_msg *ret, struct sp_error *err)
{
    return sp_msg_get_u64(&f[F_SEQ], true, UINT64_MAX, &ret->seq, err);
}

static int read_ping(const struct sp_scan_field *f, struct sp_live_msg *ret, struct sp_error *err)
{
    (void)f, (void)ret, (void)err;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(const struct sp_scan_field *f, struct sp_live_msg *ret, struct sp_error *err);
} types[] = {
    [SP_LIVE_HELLO] = {"hello", read_hello},    [SP_LIVE_JOIN] = {"join", read_join},
    [SP_LIVE_CANCEL] = {"cancel", read_cancel}, [SP_LIVE_ACK] = {"ack", read_ack},
    [SP_LIVE_PING] = {"ping", read_ping},
};

int sp_live_msg_decode(struct sp_slice text, struct sp_live_msg *ret, struct sp_error *err)
{
    struct sp_scan_field f[N_FIELDS] = {
        [F_TYPE] = {.key = "type"},
        [F_V] = {.key = "v"},
        [F_RESUME] = {.key = "resume"},
        [F_REF] = {.key = "ref"},
        [F_FN] = {.key = "fn"},
        [F_DATA] = {.key = "data"},
        [F_EVENT_DATA] = {.key = "event_data"},
        [F_TRIGGER] = {.key = "trigger_id"},
        [F_EVENT_ID] = {.key = "event_id"},
        [F_SEQ] = {.key = "seq"},
    };
    char type[16] = "";
    int r;

    *ret = (struct sp_live_msg){.type = SP_LIVE_PING, .trigger_id = -1};
    r = sp_scan_object(text, f, N_FIELDS, err);
    if (r == 0)
        r = sp_msg_get_string(&f[F_TYPE], true, type, sizeof(type), err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < SP_LEN(types); i++) {
        if (strcmp(type, types[i].name) != 0)
            continue;
        ret->type = (enum sp_live_type)i;
        return types[i].read(f, ret, err);
    }
    return sp_error_set(err, SP_ERR_INVALID, 0, "field 'type': '%s' is not known", type);
}
