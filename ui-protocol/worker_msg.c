/* The daemon's side of worker_msg.h: lines that a worker sent, decoded. */
#include "ui-protocol/worker_msg.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/scan.h"

/* Every field that any message has, found in one pass over the line. */
enum field {
    F_TYPE,
    F_ID,
    F_ATTEMPT,
    F_N,
    F_SEQ,
    F_DATA,
    F_OPS,
    F_PROGRESS_DATA,
    F_LOG,
    F_LEVEL,
    F_ERROR,
    F_TITLE,
    F_DURATION,
    F_VISIBLE,
    F_GENERATOR,
    F_STAGE,
    F_MESSAGE,
    F_MISSING,
    F_VERSION,
    F_ENGINE,
    F_CONFIG,
    F_INFO,
    F_FUNCTIONS,
    F_MAX_SIZE,
    F_MAX_THREADS,
    N_FIELDS,
};

static const char *const keys[N_FIELDS] = {
    [F_TYPE] = "type",
    [F_ID] = "id",
    [F_ATTEMPT] = "attempt",
    [F_N] = "n",
    [F_SEQ] = "seq",
    [F_DATA] = "data",
    [F_OPS] = "ops",
    [F_PROGRESS_DATA] = "progress_data",
    [F_LOG] = "log",
    [F_LEVEL] = "level",
    [F_ERROR] = "error",
    [F_TITLE] = "title",
    [F_DURATION] = "duration",
    [F_VISIBLE] = "visible",
    [F_GENERATOR] = "generator",
    [F_STAGE] = "stage",
    [F_MESSAGE] = "message",
    [F_MISSING] = "missing",
    [F_VERSION] = "version",
    [F_ENGINE] = "engine",
    [F_CONFIG] = "config",
    [F_INFO] = "info",
    [F_FUNCTIONS] = "functions",
    [F_MAX_SIZE] = "max_size",
    [F_MAX_THREADS] = "max_threads",
};

/* The line at hand. A reader fails once and names the field; later calls do nothing. */
struct reader {
    struct sp_scan_field f[N_FIELDS];
    struct sp_error *err;
    bool failed;
};

static void wrong(struct reader *r, enum field field, const char *expected)
{
    if (!r->failed)
        (void)sp_error_set(r->err, SP_ERR_INVALID, 0, "field '%s': expected %s", keys[field],
                           expected);
    r->failed = true;
}

static bool absent(const struct reader *r, enum field field)
{
    return r->f[field].kind == SP_SCAN_ABSENT || r->f[field].kind == SP_SCAN_NULL;
}

static struct sp_slice raw(struct reader *r, enum field field, enum sp_scan_kind kind,
                           const char *expected)
{
    if (r->f[field].kind != kind)
        wrong(r, field, expected);
    return r->f[field].value;
}

/* As raw, but absent and null are `otherwise`. */
static struct sp_slice raw_or(struct reader *r, enum field field, enum sp_scan_kind kind,
                              const char *expected, struct sp_slice otherwise)
{
    return absent(r, field) ? otherwise : raw(r, field, kind, expected);
}

static uint64_t number(struct reader *r, enum field field, uint64_t max)
{
    uint64_t value = 0;

    if (!sp_scan_get_u64(&r->f[field], max, &value))
        wrong(r, field, "a number that is not negative");
    return value;
}

static bool flag_or(struct reader *r, enum field field, bool otherwise)
{
    bool value = otherwise;

    if (!absent(r, field) && !sp_scan_get_bool(&r->f[field], &value))
        wrong(r, field, "true or false");
    return value;
}

/* One of a table's words, as the table's own string; NULL when it is none of them. */
static const char *word(const struct sp_scan_field *field, const char *const *words, size_t n)
{
    char text[32];

    if (!sp_scan_get_string(field, text, sizeof(text)))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return words[i];
    return NULL;
}

/* Seconds as microseconds; -1 for what is negative, absurd (over ten years) or written too long. */
static int64_t to_us(struct sp_slice number)
{
    char text[40];
    double seconds;

    if (number.len >= sizeof(text))
        return -1;
    memcpy(text, number.ptr, number.len);
    text[number.len] = '\0';
    seconds = strtod(text, NULL);
    return seconds >= 0 && seconds < 3.2e8 ? (int64_t)(seconds * 1e6 + 0.5) : -1;
}

/* --- one function per type -------------------------------------------------------------------- */

static void read_request(struct reader *r, struct sp_worker_msg *msg)
{
    const struct sp_scan_field *id = &r->f[F_ID];

    if (id->kind != SP_SCAN_STRING ||
        !sp_id_from_hex(sp_slice(id->value.ptr + 1, id->value.len - 2), &msg->id))
        wrong(r, F_ID, "32 hexadecimal digits");
    msg->attempt = (uint32_t)number(r, F_ATTEMPT, UINT32_MAX);
}

static void read_ready(struct reader *r, struct sp_worker_msg *msg)
{
    if (number(r, F_VERSION, UINT32_MAX) != SP_WORKER_PROTOCOL)
        wrong(r, F_VERSION, "1");
    msg->engine = raw_or(r, F_ENGINE, SP_SCAN_STRING, "a string", SP_SLICE("null"));
    msg->config = raw(r, F_CONFIG, SP_SCAN_OBJECT, "an object");
    msg->info = raw(r, F_INFO, SP_SCAN_OBJECT, "an object");
    msg->functions = raw(r, F_FUNCTIONS, SP_SCAN_ARRAY, "an array");
    msg->max_size = absent(r, F_MAX_SIZE) ? -1 : (int64_t)number(r, F_MAX_SIZE, INT32_MAX);
    msg->max_threads = absent(r, F_MAX_THREADS) ? 40 : (uint32_t)number(r, F_MAX_THREADS, 100000);
}

static void read_failed(struct reader *r, struct sp_worker_msg *msg)
{
    static const char *const stages[] = {"BUILD_ERROR", "CONFIG_ERROR", "RUNTIME_ERROR"};

    msg->stage = word(&r->f[F_STAGE], stages, SP_LEN(stages));
    if (!msg->stage)
        wrong(r, F_STAGE, "BUILD_ERROR, CONFIG_ERROR or RUNTIME_ERROR");
    msg->message = raw(r, F_MESSAGE, SP_SCAN_STRING, "a string");
    msg->missing = raw_or(r, F_MISSING, SP_SCAN_ARRAY, "an array", (struct sp_slice){0});
}

static void read_progress(struct reader *r, struct sp_worker_msg *msg)
{
    read_request(r, msg);
    msg->progress_data = raw(r, F_PROGRESS_DATA, SP_SCAN_ARRAY, "an array");
}

/* What a toast and an error are shown with. */
static void read_notice(struct reader *r, struct sp_worker_msg *msg, struct sp_slice title)
{
    msg->title = raw_or(r, F_TITLE, SP_SCAN_STRING, "a string", title);
    msg->duration = SP_SLICE("10");
    if (r->f[F_DURATION].kind == SP_SCAN_NULL)
        msg->duration = SP_SLICE("null"); /* until it is clicked away */
    else if (!absent(r, F_DURATION))
        msg->duration = raw(r, F_DURATION, SP_SCAN_NUMBER, "a number or null");
    msg->visible = flag_or(r, F_VISIBLE, true);
}

static void read_log(struct reader *r, struct sp_worker_msg *msg)
{
    static const char *const levels[] = {"info", "warning", "success", "error"};
    static const struct sp_slice titles[] = {
        SP_SLICE("\"Info\""),
        SP_SLICE("\"Warning\""),
        SP_SLICE("\"Success\""),
        SP_SLICE("\"Error\""),
    };

    read_request(r, msg);
    msg->log = raw(r, F_LOG, SP_SCAN_STRING, "a string");
    msg->level = word(&r->f[F_LEVEL], levels, SP_LEN(levels));
    if (!msg->level)
        wrong(r, F_LEVEL, "info, warning, success or error");
    for (size_t i = 0; i < SP_LEN(levels); i++)
        if (msg->level == levels[i])
            read_notice(r, msg, titles[i]);
}

static void read_yield(struct reader *r, struct sp_worker_msg *msg)
{
    read_request(r, msg);
    msg->seq = number(r, F_SEQ, UINT64_MAX);
    if (absent(r, F_DATA) == absent(r, F_OPS))
        wrong(r, F_DATA, "either this or 'ops'");
    msg->data = raw_or(r, F_DATA, SP_SCAN_ARRAY, "an array", (struct sp_slice){0});
    msg->ops = raw_or(r, F_OPS, SP_SCAN_ARRAY, "an array", (struct sp_slice){0});
}

static void read_return(struct reader *r, struct sp_worker_msg *msg)
{
    read_request(r, msg);
    msg->data = raw(r, F_DATA, SP_SCAN_ARRAY, "an array");
    msg->generator = flag_or(r, F_GENERATOR, false);
    msg->run_us =
        absent(r, F_DURATION) ? -1 : to_us(raw(r, F_DURATION, SP_SCAN_NUMBER, "a number"));
}

static void read_error(struct reader *r, struct sp_worker_msg *msg)
{
    read_request(r, msg);
    msg->error = raw_or(r, F_ERROR, SP_SCAN_STRING, "a string or null", SP_SLICE("null"));
    read_notice(r, msg, SP_SLICE("\"Error\""));
}

static void read_pong(struct reader *r, struct sp_worker_msg *msg)
{
    msg->n = number(r, F_N, UINT64_MAX);
}

static const struct {
    const char *name;
    void (*read)(struct reader *r, struct sp_worker_msg *msg);
} types[] = {
    [SP_WORKER_READY] = {"ready", read_ready},
    [SP_WORKER_FAILED] = {"failed", read_failed},
    [SP_WORKER_PROGRESS] = {"progress", read_progress},
    [SP_WORKER_LOG] = {"log", read_log},
    [SP_WORKER_YIELD] = {"yield", read_yield},
    [SP_WORKER_RETURN] = {"return", read_return},
    [SP_WORKER_ERROR] = {"error", read_error},
    [SP_WORKER_CANCELLED] = {"cancelled", read_request},
    [SP_WORKER_PONG] = {"pong", read_pong},
};

const char *sp_worker_msg_type_to_string(enum sp_worker_msg_type type)
{
    return types[type].name;
}

int sp_worker_msg_decode(struct sp_slice line, struct sp_worker_msg *ret, struct sp_error *err)
{
    struct reader r = {.err = err};
    char type[16];
    int bad;

    for (size_t i = 0; i < N_FIELDS; i++)
        r.f[i].key = keys[i];
    bad = sp_scan_object(line, r.f, N_FIELDS, err);
    if (bad < 0)
        return bad;
    if (!sp_scan_get_string(&r.f[F_TYPE], type, sizeof(type)))
        return sp_error_set(err, SP_ERR_INVALID, 0, "field 'type': expected a known type");

    for (size_t i = 0; i < SP_LEN(types); i++) {
        if (strcmp(type, types[i].name) != 0)
            continue;
        *ret = (struct sp_worker_msg){.type = (enum sp_worker_msg_type)i, .run_us = -1};
        types[i].read(&r, ret);
        if (r.failed)
            return sp_error_wrap(err, "message '%s'", types[i].name);
        return 0;
    }
    return sp_error_set(err, SP_ERR_INVALID, 0, "field 'type': '%s' is not known", type);
}
