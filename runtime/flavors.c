#include "runtime/flavors.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

static const struct {
    const char *key;
    size_t offset;
    bool is_size; /* otherwise a number */
    uint64_t least, most;
} keys[] = {
    {"cpu", offsetof(struct sp_flavor, cpu_millis), false, 10, 1024000},
    {"memory", offsetof(struct sp_flavor, memory_bytes), true, 16u << 20, 1ull << 44},
    {"layer", offsetof(struct sp_flavor, layer_bytes), true, 1u << 20, 1ull << 40},
    {"shm", offsetof(struct sp_flavor, shm_bytes), true, 64u << 10, 1ull << 40},
    {"pids", offsetof(struct sp_flavor, pids), false, 8, 65536},
    {"gpus", offsetof(struct sp_flavor, gpus), false, 1, 8},
    {"gpu_memory", offsetof(struct sp_flavor, gpu_memory_bytes), true, 1u << 20, 1ull << 44},
};

static int fail(struct sp_slice word, struct sp_error *err)
{
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "'%.*s': expected NAME KEY=VALUE ..., divided by ';', with the keys cpu, "
                        "memory, layer, shm, pids, gpus, gpu, gpu_memory",
                        (int)(word.len < 64 ? word.len : 64), word.ptr);
}

static int take_pair(struct sp_slice word, struct sp_flavor *flavor, struct sp_error *err)
{
    struct sp_slice value = word, key;

    if (!sp_slice_split(&value, '=', &key) || !value.len)
        return fail(word, err);
    if (sp_slice_eq_str(key, "gpu") && sp_name_valid(value) && value.len < sizeof(flavor->gpu)) {
        (void)snprintf(flavor->gpu, sizeof(flavor->gpu), "%.*s", (int)value.len, value.ptr);
        return 0;
    }
    for (size_t i = 0; i < SP_LEN(keys); i++) {
        uint64_t n = 0;

        if (!sp_slice_eq_str(key, keys[i].key))
            continue;
        if (!(keys[i].is_size ? sp_parse_size(value, &n) : sp_parse_u64(value, keys[i].most, &n)) ||
            n < keys[i].least || n > keys[i].most)
            return fail(word, err);
        memcpy((char *)flavor + keys[i].offset, &n, sizeof(n));
        return 0;
    }
    return fail(word, err);
}

static int take_flavor(struct sp_slice text, struct sp_flavor *flavor, struct sp_error *err)
{
    struct sp_slice word;

    while (sp_slice_split(&text, ' ', &word)) {
        int r = 0;

        if (!word.len)
            continue;
        if (flavor->name[0])
            r = take_pair(word, flavor, err);
        else if (sp_name_valid(word) && word.len < sizeof(flavor->name))
            (void)snprintf(flavor->name, sizeof(flavor->name), "%.*s", (int)word.len, word.ptr);
        else
            r = fail(word, err);
        if (r < 0)
            return r;
    }
    if (flavor->gpus == 0 && (flavor->gpu[0] || flavor->gpu_memory_bytes))
        flavor->gpus = 1;
    return 0;
}

static bool is_known(const struct sp_flavor *all, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return true;
    return false;
}

int sp_flavors_parse(const char *text, struct sp_flavor ret[SP_FLAVORS_MAX], size_t *ret_n,
                     struct sp_error *err)
{
    struct sp_slice rest = sp_slice_str(text), piece;
    size_t n = 1;

    ret[0] = (struct sp_flavor){.name = SP_FLAVOR_BASIC};
    while (sp_slice_split(&rest, ';', &piece)) {
        struct sp_flavor flavor = {0};
        int r = take_flavor(sp_slice_trim(piece), &flavor, err);

        if (r < 0)
            return r;
        if (!flavor.name[0])
            continue;
        if (n == SP_FLAVORS_MAX || is_known(ret, n, flavor.name))
            return sp_error_set(err, SP_ERR_INVALID, 0, "'%s': %s", flavor.name,
                                n == SP_FLAVORS_MAX ? "too many flavours" : "named twice");
        ret[n++] = flavor;
    }
    *ret_n = n;
    return 0;
}
