/* What Gradio's clients send (gradio_msg.h), and the readers that live_msg.c shares. */
#include "ui-protocol/gradio_msg.h"

#include "base/error.h"
#include "base/mem.h"
#include "ui-protocol/msg-internal.h"

static bool absent(const struct sp_scan_field *field)
{
    return field->kind == SP_SCAN_ABSENT || field->kind == SP_SCAN_NULL;
}

static int wrong(const struct sp_scan_field *field, struct sp_error *err, const char *expected)
{
    return sp_error_set(err, SP_ERR_INVALID, 0, "field '%s': expected %s", field->key, expected);
}

int sp_msg_get_string(const struct sp_scan_field *field, bool need, char *ret, size_t size,
                      struct sp_error *err)
{
    if (absent(field))
        return need ? wrong(field, err, "a string") : 0;
    if (!sp_scan_get_string(field, ret, size)) {
        ret[0] = '\0';
        return sp_error_set(err, SP_ERR_INVALID, 0, "field '%s': expected a string below %zu bytes",
                            field->key, size);
    }
    return 0;
}

int sp_msg_get_u64(const struct sp_scan_field *field, bool need, uint64_t max, uint64_t *ret,
                   struct sp_error *err)
{
    if (absent(field) && !need)
        return 0;
    return sp_scan_get_u64(field, max, ret) ? 0
                                            : wrong(field, err, "a number that is not negative");
}

int sp_msg_get_id(const struct sp_scan_field *field, struct sp_id *ret, struct sp_error *err)
{
    if (field->kind != SP_SCAN_STRING ||
        !sp_id_from_hex(sp_slice(field->value.ptr + 1, field->value.len - 2), ret))
        return wrong(field, err, "32 hexadecimal digits");
    return 0;
}

int sp_msg_get_data(const struct sp_scan_field *field, bool need, struct sp_slice *ret,
                    size_t *ret_n, struct sp_error *err)
{
    if (absent(field) && !need)
        return 0;
    if (field->kind != SP_SCAN_ARRAY)
        return wrong(field, err, "an array");
    *ret = field->value;
    *ret_n = sp_scan_count(field->value);
    return *ret_n <= SP_GRADIO_DATA_MAX ? 0 : wrong(field, err, "at most 1000 values");
}

int sp_msg_get_trigger(const struct sp_scan_field *field, int64_t *ret, struct sp_error *err)
{
    uint64_t value = 0;

    *ret = -1;
    if (absent(field))
        return 0;
    if (!sp_scan_get_u64(field, INT32_MAX, &value))
        return wrong(field, err, "a number or null");
    *ret = (int64_t)value;
    return 0;
}

struct sp_slice sp_msg_raw(const struct sp_scan_field *field)
{
    return field->kind == SP_SCAN_ABSENT ? SP_SLICE("null") : field->value;
}

enum field { F_DATA, F_FN, F_SESSION, F_EVENT_DATA, F_TRIGGER, F_EVENT_ID, N_FIELDS };

static int read_fields(const struct sp_scan_field *f, unsigned need, struct sp_gradio_join *ret,
                       struct sp_error *err)
{
    bool need_event = need & SP_GRADIO_NEED_EVENT;
    uint64_t fn = 0;
    int r = sp_msg_get_data(&f[F_DATA], need & SP_GRADIO_NEED_DATA, &ret->data, &ret->n_data, err);

    if (r == 0)
        r = sp_msg_get_u64(&f[F_FN], need & SP_GRADIO_NEED_FN, INT32_MAX, &fn, err);
    if (r == 0)
        r = sp_msg_get_string(&f[F_SESSION], need & SP_GRADIO_NEED_SESSION, ret->session,
                              sizeof(ret->session), err);
    if (r == 0)
        r = sp_msg_get_trigger(&f[F_TRIGGER], &ret->trigger_id, err);
    if (r == 0 && (need_event || !absent(&f[F_EVENT_ID]))) {
        r = sp_msg_get_id(&f[F_EVENT_ID], &ret->event_id, err);
        ret->has_event_id = r == 0;
        r = need_event ? r : 0;
    }
    ret->has_fn = !absent(&f[F_FN]);
    ret->fn = (uint32_t)fn;
    ret->event_data = sp_msg_raw(&f[F_EVENT_DATA]);
    return r;
}

int sp_gradio_parse_join(struct sp_slice body, unsigned need, struct sp_gradio_join *ret,
                         struct sp_error *err)
{
    struct sp_scan_field f[N_FIELDS] = {
        [F_DATA] = {.key = "data"},
        [F_FN] = {.key = "fn_index"},
        [F_SESSION] = {.key = "session_hash"},
        [F_EVENT_DATA] = {.key = "event_data"},
        [F_TRIGGER] = {.key = "trigger_id"},
        [F_EVENT_ID] = {.key = "event_id"},
    };
    int r = sp_scan_object(body, f, N_FIELDS, err);

    if (r < 0)
        return r;
    *ret = (struct sp_gradio_join){.trigger_id = -1};
    return read_fields(f, need, ret, err);
}
