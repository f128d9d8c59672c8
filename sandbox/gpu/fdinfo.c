#include "sandbox/gpu/fdinfo.h"

#include <stdio.h>

/* "1234 KiB" -> bytes; a value that does not fit is the most there is. */
static uint64_t parse_memory(struct sp_slice value)
{
    struct sp_slice number;
    uint64_t n, unit = 1;

    if (!sp_slice_split(&value, ' ', &number) || !sp_parse_u64(number, UINT64_MAX, &n))
        return 0;
    value = sp_slice_trim(value);
    if (sp_slice_eq_str(value, "KiB"))
        unit = 1ull << 10;
    else if (sp_slice_eq_str(value, "MiB"))
        unit = 1ull << 20;
    else if (value.len > 0)
        return 0;
    return n > UINT64_MAX / unit ? UINT64_MAX : n * unit;
}

/* "vram" (amdgpu), "vram0" (xe), "local0" (i915): the regions that are the GPU's own memory. */
static bool is_own_memory(struct sp_slice region)
{
    return sp_slice_starts(region, "vram") || sp_slice_starts(region, "local");
}

static bool take_key(struct sp_slice *key, const char *prefix)
{
    if (!sp_slice_starts(*key, prefix))
        return false;
    *key = sp_slice(key->ptr + strlen(prefix), key->len - strlen(prefix));
    return true;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

bool sp_fdinfo_parse(struct sp_slice text, struct sp_fdinfo *ret)
{
    uint64_t memory = 0, resident = 0;
    bool has_pdev = false, has_resident = false, has_client = false;
    struct sp_slice line;

    memset(ret, 0, sizeof(*ret));
    while (sp_slice_split(&text, '\n', &line)) {
        struct sp_slice key;

        if (!sp_slice_split(&line, ':', &key))
            continue;
        line = sp_slice_trim(line);
        if (sp_slice_eq_str(key, "drm-pdev") && line.len < sizeof(ret->pdev)) {
            (void)snprintf(ret->pdev, sizeof(ret->pdev), "%.*s", (int)line.len, line.ptr);
            has_pdev = true;
        } else if (sp_slice_eq_str(key, "drm-client-id")) {
            has_client = sp_parse_u64(line, UINT64_MAX, &ret->client);
        } else if (take_key(&key, "drm-resident-") && is_own_memory(key)) {
            resident = add(resident, parse_memory(line));
            has_resident = true;
        } else if (take_key(&key, "drm-memory-") && is_own_memory(key)) {
            memory = add(memory, parse_memory(line)); /* the older name of the same */
        }
    }
    ret->vram_bytes = has_resident && resident > memory ? resident : memory;
    return has_pdev && has_client;
}
