/* A CDI file; whatever it says, the launcher can read the list that comes of it. */
#include "sandbox/gpu/cdi.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "sandbox/gpu/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sp_gpu_options options = {"none", "", "/nonexistent", -1};
    SP_AUTO_BUF struct sp_buf out;
    struct sp_gpu_list list, again;
    struct sp_gpu_slot *slot;

    sp_buf_init(&out, SP_GPU_TEXT_MAX);
    sp_gpu_list_init(&list);
    sp_gpu_list_init(&again);
    slot = sp_gpu_list_add(&list);
    slot->id[0] = 'a';
    slot->kind = SP_GPU_WHOLE;
    (void)sp_cdi_read(sp_slice((const char *)data, size), "nvidia.com/gpu=0", &options, &list, slot,
                      NULL);
    sp_gpu_list_print(&list, &out);
    if (sp_gpu_list_parse(sp_buf_slice(&out), &again, NULL) < 0)
        abort();
    sp_gpu_list_done(&list);
    sp_gpu_list_done(&again);
    return 0;
}
