/* `functions` of a worker's `ready`, decoded into one block (worker_msg.h). */
#include "ui-protocol/worker_msg.h"

#include <errno.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/scan.h"

enum field {
    F_FN,
    F_API_NAME,
    F_QUEUE,
    F_GROUP,
    F_LIMIT,
    F_INPUTS,
    F_OUTPUTS,
    F_STATE_INPUTS,
    F_GENERATOR,
    F_VISIBILITY,
    F_BACKEND,
    F_CANCELS,
    N_FIELDS,
};

static const char *const keys[N_FIELDS] = {
    [F_FN] = "fn",
    [F_API_NAME] = "api_name",
    [F_QUEUE] = "queue",
    [F_GROUP] = "group",
    [F_LIMIT] = "limit",
    [F_INPUTS] = "inputs",
    [F_OUTPUTS] = "outputs",
    [F_STATE_INPUTS] = "state_inputs",
    [F_GENERATOR] = "generator",
    [F_VISIBILITY] = "api_visibility",
    [F_BACKEND] = "backend",
    [F_CANCELS] = "cancels",
};

/* The numbers of all lists live behind the functions in the same block. */
struct pool {
    uint32_t *numbers;
    size_t used;
    size_t cap;
};

static int wrong(struct sp_error *err, enum field field, const char *expected)
{
    return sp_error_set(err, SP_ERR_INVALID, 0, "field '%s': expected %s", keys[field], expected);
}

static bool absent(const struct sp_scan_field *f)
{
    return f->kind == SP_SCAN_ABSENT || f->kind == SP_SCAN_NULL;
}

static bool number(const struct sp_scan_field *f, uint32_t max, uint32_t *ret)
{
    uint64_t value;

    if (!sp_scan_get_u64(f, max, &value))
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool flag(const struct sp_scan_field *f, bool otherwise, bool *ret)
{
    *ret = otherwise;
    return absent(f) || sp_scan_get_bool(f, ret);
}

/* A list of numbers below `below`, into the pool. */
static bool list(const struct sp_scan_field *f, uint32_t below, bool ascending, struct pool *pool,
                 const uint32_t **ret, size_t *ret_n)
{
    uint32_t *first = pool->numbers + pool->used;
    struct sp_slice item;
    size_t cursor = 0;
    size_t n = 0;

    if (!absent(f) && f->kind != SP_SCAN_ARRAY)
        return false;
    while (f->kind == SP_SCAN_ARRAY && sp_scan_next(f->value, &cursor, &item)) {
        uint64_t value;

        if (n == SP_WORKER_CANCELS_MAX || pool->used == pool->cap || below == 0 ||
            !sp_parse_u64(item, below - 1, &value))
            return false;
        if (ascending && n && value <= first[n - 1])
            return false;
        first[n++] = (uint32_t)value;
        pool->used++;
    }
    *ret = first;
    *ret_n = n;
    return true;
}

static const char *visibility(const struct sp_scan_field *f)
{
    static const char *const words[] = {"public", "undocumented", "private"};
    char text[16];

    if (absent(f))
        return words[0];
    if (!sp_scan_get_string(f, text, sizeof(text)))
        return NULL;
    for (size_t i = 0; i < SP_LEN(words); i++)
        if (strcmp(text, words[i]) == 0)
            return words[i];
    return NULL;
}

/* A name is a part of a path: /call/NAME. */
static bool api_name(const struct sp_scan_field *f, char *ret)
{
    ret[0] = '\0';
    if (absent(f))
        return true;
    return sp_scan_get_string(f, ret, SP_WORKER_API_NAME_MAX + 1) && ret[0] && !strchr(ret, '/');
}

static int read_numbers(const struct sp_scan_field *f, struct sp_worker_function *fn,
                        struct sp_error *err)
{
    if (!number(&f[F_FN], INT32_MAX, &fn->fn))
        return wrong(err, F_FN, "a number");
    if (!number(&f[F_GROUP], INT32_MAX, &fn->group))
        return wrong(err, F_GROUP, "a number");
    fn->limit = 0;
    if (!absent(&f[F_LIMIT]) && (!number(&f[F_LIMIT], INT32_MAX, &fn->limit) || fn->limit == 0))
        return wrong(err, F_LIMIT, "a number above 0, or null");
    if (!number(&f[F_INPUTS], SP_WORKER_OUTPUTS_MAX, &fn->inputs))
        return wrong(err, F_INPUTS, "a number up to 1000");
    if (!number(&f[F_OUTPUTS], SP_WORKER_OUTPUTS_MAX, &fn->outputs))
        return wrong(err, F_OUTPUTS, "a number up to 1000");
    return 0;
}

static int read_function(const struct sp_scan_field *f, struct sp_worker_function *fn,
                         struct pool *pool, struct sp_error *err)
{
    int r = read_numbers(f, fn, err);

    if (r < 0)
        return r;
    if (!api_name(&f[F_API_NAME], fn->api_name))
        return wrong(err, F_API_NAME, "null or a name of at most 128 bytes without '/'");
    if (!flag(&f[F_QUEUE], true, &fn->queue))
        return wrong(err, F_QUEUE, "true or false");
    if (!flag(&f[F_GENERATOR], false, &fn->generator))
        return wrong(err, F_GENERATOR, "true or false");
    if (!flag(&f[F_BACKEND], true, &fn->backend))
        return wrong(err, F_BACKEND, "true or false");
    fn->api_visibility = visibility(&f[F_VISIBILITY]);
    if (!fn->api_visibility)
        return wrong(err, F_VISIBILITY, "public, undocumented or private");
    if (!list(&f[F_STATE_INPUTS], fn->inputs, true, pool, &fn->state_inputs, &fn->n_state_inputs))
        return wrong(err, F_STATE_INPUTS, "ascending positions of inputs");
    if (!list(&f[F_CANCELS], INT32_MAX, false, pool, &fn->cancels, &fn->n_cancels))
        return wrong(err, F_CANCELS, "at most 1000 numbers of functions");
    return 0;
}

/* All numbers of all lists: bounds the pool before anything is allocated. */
static size_t count_commas(struct sp_slice text)
{
    size_t n = 1;

    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == ',' || text.ptr[i] == '[';
    return n;
}

static bool is_known(const struct sp_worker_function *all, size_t n, uint32_t fn)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].fn == fn)
            return true;
    return false;
}

static int read_entries(struct sp_slice functions, struct sp_worker_function *all,
                        struct pool *pool, size_t *ret_n, struct sp_error *err)
{
    struct sp_scan_field f[N_FIELDS];
    struct sp_slice entry;
    size_t cursor = 0;
    size_t n = 0;

    for (size_t i = 0; i < N_FIELDS; i++)
        f[i].key = keys[i];
    for (; sp_scan_next(functions, &cursor, &entry); n++) {
        int r = sp_scan_object(entry, f, N_FIELDS, err);

        if (r == 0)
            r = read_function(f, &all[n], pool, err);
        if (r == 0 && is_known(all, n, all[n].fn))
            r = wrong(err, F_FN, "a number that no other function has");
        if (r < 0)
            return sp_error_wrap(err, "function %zu", n);
    }
    *ret_n = n;
    return 0;
}

int sp_worker_functions_decode(struct sp_slice functions, struct sp_worker_function **ret,
                               size_t *ret_n, struct sp_error *err)
{
    SP_AUTO_FREE struct sp_worker_function *block = NULL;
    size_t n = sp_scan_count(functions);
    struct pool pool = {.cap = count_commas(functions)};
    int r;

    if (n > SP_WORKER_FUNCTIONS_MAX)
        return sp_error_set(err, SP_ERR_INVALID, 0, "%zu functions: at most %d", n,
                            SP_WORKER_FUNCTIONS_MAX);

    block = calloc(1, (n + 1) * sizeof(*block) + pool.cap * sizeof(uint32_t));
    if (!block)
        return sp_error_set(err, SP_ERR_INTERNAL, -ENOMEM, "decode functions");
    pool.numbers = (uint32_t *)(block + n + 1);
    r = read_entries(functions, block, &pool, ret_n, err);
    if (r < 0)
        return r;
    *ret = SP_TAKE(block);
    return 0;
}
