#include "sandbox/gpu/provider.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/gpu/cdi.h"

#define FILE_MAX ((size_t)64 << 10)

static const struct sp_gpu_provider *const providers[] = {&sp_gpu_nvml, &sp_gpu_drm, &sp_gpu_fake};

const struct sp_gpu_provider *sp_gpu_provider_pick(const struct sp_gpu_options *options,
                                                   struct sp_error *err)
{
    bool automatic = strcmp(options->provider, "auto") == 0;

    for (size_t i = 0; i < SP_LEN(providers); i++)
        if (automatic ? providers[i]->present(options)
                      : strcmp(options->provider, providers[i]->name) == 0)
            return providers[i];
    if (automatic)
        (void)sp_error_set(
            err, SP_ERR_NOT_FOUND, 0,
            "no GPU driver was found (neither /proc/driver/nvidia nor a render node)");
    else
        (void)sp_error_set(err, SP_ERR_NOT_FOUND, 0, "gpu.provider is '%.20s'", options->provider);
    return NULL;
}

/* A driver's odd word costs its own slot: the launcher would refuse the whole list for it. */
static void leave_out_odd(struct sp_gpu_list *list)
{
    for (size_t i = 0; i < list->n;) {
        const struct sp_gpu_slot *slot = &list->slots[i];
        bool is_plain = sp_gpu_id_may(slot->id) && (!slot->uuid[0] || sp_gpu_id_may(slot->uuid));

        if (is_plain && sp_gpu_list_find(list, slot->id) == slot) {
            i++;
            continue;
        }
        sp_gpu_list_note(list, "GPU '%.79s' is left out: %s", slot->id,
                         is_plain ? "another has its id" : "its id is not plain");
        sp_gpu_list_remove(list, i);
    }
}

int sp_gpu_provider_list(const struct sp_gpu_provider *provider,
                         const struct sp_gpu_options *options, struct sp_gpu_list *ret,
                         struct sp_error *err)
{
    int r = provider->list(options, ret, err);

    if (r == 0)
        leave_out_odd(ret);
    return r;
}

void sp_gpu_inventory(const struct sp_gpu_options *options, struct sp_gpu_list *ret)
{
    struct sp_error err = {0};
    const struct sp_gpu_provider *provider = sp_gpu_provider_pick(options, &err);

    if (!provider) {
        sp_gpu_list_note(ret, "%s", err.msg);
        return;
    }
    if (sp_gpu_provider_list(provider, options, ret, &err) < 0) {
        sp_gpu_list_done(ret);
        sp_gpu_list_note(ret, "%s: %s", provider->name, err.msg);
    }
    (void)snprintf(ret->provider, sizeof(ret->provider), "%s", provider->name);
    if (ret->n > 0)
        sp_cdi_apply(options, ret);
    else if (!ret->why[0])
        sp_gpu_list_note(ret, "%s: no GPU", provider->name);
}

bool sp_gpu_is_shared(const struct sp_gpu_options *options, const struct sp_gpu_slot *slot)
{
    struct sp_slice rest = sp_slice_str(options->shared), one;

    if (strcmp(options->shared, "all") == 0)
        return true;
    while (sp_slice_split(&rest, ',', &one)) {
        one = sp_slice_trim(one);
        if (one.len > 0 && (sp_slice_eq_str(one, slot->id) || sp_slice_eq_str(one, slot->uuid)))
            return true;
    }
    return false;
}

char *sp_gpu_read(const struct sp_gpu_options *options, const char *path)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s%s", options->root, path);
    char *text = NULL;
    size_t len;

    return sp_file_read(AT_FDCWD, full, FILE_MAX, &text, &len, NULL) < 0 ? NULL : text;
}
