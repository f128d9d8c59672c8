/* Two lines, values and edits: folding stays in its bounds and its result is JSON again. */
#include "ui-protocol/diff.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_slice ops = sp_slice((const char *)data, size);
    struct sp_buf out = {0};
    struct sp_buf again = {0};
    struct sp_error err = {0};
    struct sp_slice values;

    if (size == 0 || !sp_slice_split(&ops, '\n', &values) || !ops.ptr)
        return 0;
    if (sp_diff_fold(values, ops, &out, &err) < 0) {
        CHECK(out.len == 0 && err.msg[0]);
    } else {
        CHECK(sp_scan_valid(sp_buf_slice(&out), NULL) == 0);
        while (strchr(" \t\r\n", *ops.ptr)) /* elements are counted from the bracket on */
            ops = sp_slice(ops.ptr + 1, ops.len - 1);
        CHECK(sp_scan_count(sp_buf_slice(&out)) == sp_scan_count(ops));
        /* The next yield folds into it: it must be taken as a value, whatever the edits say. */
        if (sp_diff_fold(sp_buf_slice(&out), ops, &again, &err) == 0)
            CHECK(sp_scan_valid(sp_buf_slice(&again), NULL) == 0);
    }
    sp_buf_done(&out);
    sp_buf_done(&again);
    return 0;
}
