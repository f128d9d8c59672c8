/* Messages of gradio_msg.h from structs to JSON. */
#include "ui-protocol/gradio_msg.h"

#include <stdio.h>

#include "base/buf.h"
#include "ui-protocol/msg-internal.h"

/* --- pieces shared with live_msg.c ---------------------------------------------------------------
 */

void sp_msg_put(struct sp_buf *out, const char *text)
{
    (void)sp_buf_append_str(out, text);
}

void sp_msg_put_number(struct sp_buf *out, const char *key, uint64_t value)
{
    sp_msg_put(out, key);
    (void)sp_buf_append_u64(out, value);
}

void sp_msg_put_raw(struct sp_buf *out, const char *key, struct sp_slice raw, const char *otherwise)
{
    sp_msg_put(out, key);
    (void)sp_buf_append_slice(out, raw.len ? raw : sp_slice_str(otherwise));
}

void sp_msg_put_string(struct sp_buf *out, const char *key, const char *value)
{
    sp_msg_put(out, key);
    if (value)
        (void)sp_buf_append_json_string(out, sp_slice_str(value));
    else
        sp_msg_put(out, "null");
}

void sp_msg_put_bool(struct sp_buf *out, const char *key, bool value)
{
    sp_msg_put(out, key);
    sp_msg_put(out, value ? "true" : "false");
}

void sp_msg_put_id(struct sp_buf *out, const char *key, const struct sp_id *id)
{
    char hex[SP_ID_HEX];

    if (id)
        sp_id_to_hex(id, hex);
    sp_msg_put_string(out, key, id ? hex : NULL);
}

void sp_msg_put_seconds(struct sp_buf *out, const char *key, int64_t us)
{
    char fraction[8];
    size_t len = 7;

    sp_msg_put(out, key);
    if (us < 0) {
        sp_msg_put(out, "null");
        return;
    }
    (void)sp_buf_append_u64(out, (uint64_t)us / 1000000);
    (void)snprintf(fraction, sizeof(fraction), ".%06u", (unsigned)((uint64_t)us % 1000000));
    while (len > 2 && fraction[len - 1] == '0') /* at least one decimal, as Python prints a float */
        len--;
    (void)sp_buf_append(out, fraction, len);
}

/* --- the frame of a message ------------------------------------------------------------------- */

static void begin(struct sp_buf *out, const struct sp_gradio_head *head, const char *msg)
{
    sp_msg_put_string(out, "{\"msg\":", msg);
    if (head->dialect != SP_GRADIO_WS)
        sp_msg_put_id(out, ",\"event_id\":", head->event_id);
}

static void end(struct sp_buf *out, const struct sp_gradio_head *head)
{
    if (head->dialect == SP_GRADIO_LIVE && head->seq)
        sp_msg_put_number(out, ",\"seq\":", head->seq);
    sp_msg_put(out, "}");
}

/* --- while waiting ---------------------------------------------------------------------------- */

void sp_gradio_put_estimation(struct sp_buf *out, const struct sp_gradio_head *head, int64_t rank,
                              uint32_t queue_size, int64_t eta_us)
{
    begin(out, head, "estimation");
    if (rank < 0)
        sp_msg_put(out, ",\"rank\":null");
    else
        sp_msg_put_number(out, ",\"rank\":", (uint64_t)rank);
    sp_msg_put_number(out, ",\"queue_size\":", queue_size);
    sp_msg_put_seconds(out, ",\"rank_eta\":", eta_us);
    end(out, head);
}

void sp_gradio_put_ws_estimation(struct sp_buf *out, const struct sp_gradio_ws_estimation *est)
{
    sp_msg_put_number(out, "{\"msg\":\"estimation\",\"rank\":", est->rank);
    sp_msg_put_number(out, ",\"queue_size\":", est->queue_size);
    sp_msg_put_seconds(out, ",\"avg_event_process_time\":", est->average_us);
    sp_msg_put_seconds(out, ",\"avg_event_concurrent_process_time\":", est->concurrent_us);
    sp_msg_put_seconds(out, ",\"rank_eta\":", est->rank_eta_us);
    sp_msg_put_seconds(out, ",\"queue_eta\":", est->queue_eta_us);
    sp_msg_put(out, "}");
}

void sp_gradio_put_ws_plain(struct sp_buf *out, const char *msg)
{
    sp_msg_put_string(out, "{\"msg\":", msg);
    sp_msg_put(out, "}");
}

/* --- while running ---------------------------------------------------------------------------- */

void sp_gradio_put_starts(struct sp_buf *out, const struct sp_gradio_head *head, int64_t eta_us)
{
    begin(out, head, "process_starts");
    if (head->dialect != SP_GRADIO_WS)
        sp_msg_put_seconds(out, ",\"eta\":", eta_us);
    end(out, head);
}

void sp_gradio_put_progress(struct sp_buf *out, const struct sp_gradio_head *head,
                            struct sp_slice progress_data)
{
    begin(out, head, "progress");
    sp_msg_put_raw(out, ",\"progress_data\":", progress_data, "[]");
    end(out, head);
}

void sp_gradio_put_log(struct sp_buf *out, const struct sp_gradio_head *head,
                       const struct sp_gradio_log *log)
{
    begin(out, head, "log");
    sp_msg_put_raw(out, ",\"log\":", log->log, "\"\"");
    sp_msg_put_string(out, ",\"level\":", log->level);
    if (head->dialect != SP_GRADIO_WS) {
        sp_msg_put_raw(out, ",\"duration\":", log->duration, "null");
        sp_msg_put_bool(out, ",\"visible\":", log->visible);
        sp_msg_put_raw(out, ",\"title\":", log->title, "\"\"");
    }
    end(out, head);
}

static void put_output(struct sp_buf *out, enum sp_gradio_dialect dialect,
                       const struct sp_gradio_output *output)
{
    sp_msg_put_raw(out, "{\"data\":", output->data, "[]");
    sp_msg_put_bool(out, ",\"is_generating\":", output->is_generating);
    sp_msg_put_seconds(out, ",\"duration\":", output->run_us);
    sp_msg_put_seconds(out, ",\"average_duration\":", output->average_us);
    if (dialect != SP_GRADIO_WS)
        sp_msg_put(out, ",\"render_config\":null,\"changed_state_ids\":[],\"used_cache\":null");
    sp_msg_put(out, "}");
}

void sp_gradio_put_generating(struct sp_buf *out, const struct sp_gradio_head *head,
                              const struct sp_gradio_output *output)
{
    begin(out, head, "process_generating");
    sp_msg_put(out, ",\"output\":");
    put_output(out, head->dialect, output);
    sp_msg_put(out, ",\"success\":true");
    if (head->dialect != SP_GRADIO_WS)
        sp_msg_put(out, ",\"time_limit\":null");
    end(out, head);
}

/* --- the end of an event ---------------------------------------------------------------------- */

/* From behind `output` to the end of the message; `title` is raw. */
static void end_completed(struct sp_buf *out, const struct sp_gradio_head *head, bool success,
                          struct sp_slice title, int64_t run_us, int64_t average_us,
                          const char *outcome)
{
    sp_msg_put_bool(out, ",\"success\":", success);
    if (head->dialect != SP_GRADIO_WS) {
        sp_msg_put_raw(out, ",\"title\":", title, "null");
        sp_msg_put_seconds(out, ",\"used_cache\":null,\"cache_duration\":", run_us);
        sp_msg_put_seconds(out, ",\"avg_time\":", average_us);
    }
    if (head->dialect == SP_GRADIO_LIVE)
        sp_msg_put_string(out, ",\"outcome\":", outcome);
    end(out, head);
}

void sp_gradio_put_completed(struct sp_buf *out, const struct sp_gradio_head *head,
                             const struct sp_gradio_output *output, const char *outcome)
{
    begin(out, head, "process_completed");
    sp_msg_put(out, ",\"output\":");
    put_output(out, head->dialect, output);
    end_completed(out, head, true, (struct sp_slice){0}, output->run_us, output->average_us,
                  outcome);
}

void sp_gradio_put_cancelled(struct sp_buf *out, const struct sp_gradio_head *head,
                             struct sp_slice last, size_t n_outputs)
{
    begin(out, head, "process_completed");
    sp_msg_put(out, ",\"output\":{\"data\":");
    if (last.len)
        (void)sp_buf_append_slice(out, last);
    else
        sp_gradio_put_nulls(out, n_outputs);
    sp_msg_put(out, "}");
    end_completed(out, head, true, (struct sp_slice){0}, -1, -1, "canceled");
}

static struct sp_slice title_of(const struct sp_gradio_failure *failure)
{
    return failure->title.len ? failure->title : SP_SLICE("\"Error\"");
}

void sp_gradio_put_failed(struct sp_buf *out, const struct sp_gradio_head *head,
                          const struct sp_gradio_failure *failure, const char *outcome)
{
    begin(out, head, "process_completed");
    sp_msg_put(out, ",\"output\":");
    if (head->dialect == SP_GRADIO_WS) {
        sp_msg_put_raw(out, "{\"error\":", failure->error, "null");
        sp_msg_put(out, "}");
    } else {
        sp_gradio_put_failure(out, failure);
    }
    end_completed(out, head, false, title_of(failure), -1, -1, outcome);
}

/* --- the stream ------------------------------------------------------------------------------- */

void sp_gradio_put_heartbeat(struct sp_buf *out)
{
    sp_msg_put(out, "{\"msg\":\"heartbeat\",\"event_id\":null}");
}

void sp_gradio_put_close_stream(struct sp_buf *out)
{
    sp_msg_put(out, "{\"msg\":\"close_stream\",\"event_id\":null}");
}

void sp_gradio_put_unexpected_error(struct sp_buf *out, const char *message, bool session_not_found)
{
    sp_msg_put_string(out, "{\"msg\":\"unexpected_error\",\"event_id\":null,\"message\":", message);
    sp_msg_put_bool(out, ",\"session_not_found\":", session_not_found);
    sp_msg_put(out, ",\"success\":false}");
}

/* --- bodies of plain answers ------------------------------------------------------------------ */

void sp_gradio_put_output(struct sp_buf *out, const struct sp_gradio_output *output)
{
    put_output(out, SP_GRADIO_SSE, output);
}

void sp_gradio_put_failure(struct sp_buf *out, const struct sp_gradio_failure *failure)
{
    sp_msg_put_raw(out, "{\"error\":", failure->error, "null");
    sp_msg_put_raw(out, ",\"duration\":", failure->duration, "10");
    sp_msg_put_bool(out, ",\"visible\":", failure->visible);
    sp_msg_put_raw(out, ",\"title\":", title_of(failure), "null");
    sp_msg_put(out, "}");
}

void sp_gradio_put_nulls(struct sp_buf *out, size_t n)
{
    sp_msg_put(out, "[");
    for (size_t i = 0; i < n; i++)
        sp_msg_put(out, i ? ",null" : "null");
    sp_msg_put(out, "]");
}

void sp_gradio_put_event_id(struct sp_buf *out, const struct sp_id *event_id)
{
    sp_msg_put_id(out, "{\"event_id\":", event_id);
    sp_msg_put(out, "}");
}

void sp_gradio_put_detail(struct sp_buf *out, const char *detail)
{
    sp_msg_put_string(out, "{\"detail\":", detail);
    sp_msg_put(out, "}");
}

void sp_gradio_put_queue_full(struct sp_buf *out, uint64_t max_size, uint64_t size)
{
    /* Clients show it as it is: Gradio's words. */
    sp_msg_put_number(out, "{\"detail\":\"Queue is full. Max size is ", max_size);
    sp_msg_put_number(out, " and size is ", size);
    sp_msg_put(out, ".\"}");
}
