/* What spaces-gpu says, as the launcher reads it; what comes out is written and read again. */
#include "sandbox/gpu/slot.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "sandbox/gpu/fdinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sp_gpu_usage usage;
    struct sp_slice text = sp_slice((const char *)data, size);
    SP_AUTO_BUF struct sp_buf out;
    struct sp_gpu_list list, again;
    struct sp_fdinfo info;

    sp_buf_init(&out, SP_GPU_TEXT_MAX * 8);
    sp_gpu_list_init(&list);
    sp_gpu_list_init(&again);
    (void)sp_fdinfo_parse(text, &info);
    (void)sp_gpu_usage_parse(text, &usage, NULL);
    if (sp_gpu_list_parse(text, &list, NULL) == 0) {
        sp_gpu_list_print(&list, &out);
        if (sp_gpu_list_parse(sp_buf_slice(&out), &again, NULL) < 0 || again.n != list.n)
            abort();
    }
    sp_gpu_list_done(&list);
    sp_gpu_list_done(&again);
    return 0;
}
