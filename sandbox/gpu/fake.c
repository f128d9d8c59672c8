/* Slots from a file that the operator wrote: for tests, and for trying out schedules. */
#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/gpu/provider.h"

static bool present(const struct sp_gpu_options *options)
{
    (void)options;
    return false; /* only when asked for by name */
}

/* From the start each time: a test changes the file while it is watched. */
static int read_file(const struct sp_gpu_options *options, char **ret, size_t *ret_len,
                     struct sp_error *err)
{
    SP_AUTO_FREE char *text = sp_alloc0(1, SP_GPU_TEXT_MAX + 1);
    ssize_t n;

    if (options->fake_fd < 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "gpu.fake_file is not set, or cannot be read");
    n = pread(options->fake_fd, text, SP_GPU_TEXT_MAX + 1, 0);
    if (n < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "read gpu.fake_file");
    if ((size_t)n > SP_GPU_TEXT_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "gpu.fake_file is over %zu bytes",
                            SP_GPU_TEXT_MAX);
    *ret_len = (size_t)n;
    *ret = SP_TAKE(text);
    return 0;
}

static int list(const struct sp_gpu_options *options, struct sp_gpu_list *ret, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    size_t len = 0;
    int r = read_file(options, &text, &len, err);

    if (r == 0)
        r = sp_gpu_list_parse(sp_slice(text, len), ret, err);
    for (size_t i = 0; r == 0 && i < ret->n; i++)
        if (ret->slots[i].kind == SP_GPU_WHOLE && ret->slots[i].memory_bytes > 0 &&
            sp_gpu_is_shared(options, &ret->slots[i]))
            ret->slots[i].kind = SP_GPU_SHARED;
    return r;
}

static int usage(const struct sp_gpu_options *options, const struct sp_gpu_list *slots,
                 struct sp_gpu_usage *ret, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    size_t len = 0;
    int r = read_file(options, &text, &len, err);

    (void)slots;
    return r < 0 ? r : sp_gpu_usage_parse(sp_slice(text, len), ret, err);
}

const struct sp_gpu_provider sp_gpu_fake = {"fake", present, list, usage};
