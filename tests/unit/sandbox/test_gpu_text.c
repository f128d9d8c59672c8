#include "sandbox/gpu/cdi.h"
#include "sandbox/gpu/fdinfo.h"
#include "sandbox/gpu/slot.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "sandbox/gpu/provider.h"
#include "tests/support/test.h"

/* --- fdinfo: the formats of the kernel's drm-usage-stats --- */

static void test_fdinfo_counts_the_gpus_own_memory_once(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t7\ndrm-pdev:\t0000:03:00.0\n"
         "drm-memory-vram:\t2048 KiB\ndrm-resident-vram:\t2048 KiB\ndrm-memory-gtt: \t9 MiB\n",
         2048 << 10},
        {"drm-driver: i915\ndrm-client-id: 7\ndrm-pdev: 0000:03:00.0\ndrm-total-local0: 9 MiB\n"
         "drm-resident-local0: 3 MiB\ndrm-resident-system0: 5 MiB\n",
         3 << 20},
        {"drm-driver:\txe\ndrm-client-id:\t7\ndrm-pdev:\t0000:03:00.0\ndrm-resident-vram0:\t512\n"
         "drm-resident-vram1:\t1 KiB\n",
         1536},
    };
    struct sp_fdinfo info;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(sp_fdinfo_parse(sp_slice_str(good[i].text), &info));
        assert_string_equal(info.pdev, "0000:03:00.0");
        assert_int_equal(info.client, 7);
        assert_int_equal(info.vram_bytes, good[i].bytes);
    }
}

static void test_fdinfo_that_is_no_client_counts_nothing(void **state)
{
    static const char *const wrong[] = {
        "",
        "pos:\t0\nflags:\t02\n",
        "drm-pdev: 0000:03:00.0\n",
        "drm-client-id: 7\n",
        "drm-client-id: x\ndrm-pdev: 0000:03:00.0\n",
        "drm-client-id: 7\ndrm-pdev: 0000000000000000000000000000000000000:00.0\n",
    };
    struct sp_fdinfo info;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(sp_fdinfo_parse(sp_slice_str(wrong[i]), &info));
    assert_true(sp_fdinfo_parse(sp_slice_str("drm-client-id: 7\ndrm-pdev: a\ndrm-memory-vram: "
                                             "18446744073709551615 MiB\ndrm-memory-vram2: 1 MiB"),
                                &info));
    assert_true(info.vram_bytes == UINT64_MAX);
}

/* --- CDI --- */

#define CDI_HEAD                                                                                   \
    "{\"cdiVersion\": \"0.5.0\", \"kind\": \"nvidia.com/gpu\", \"devices\": [{\"name\": "

static int read_cdi(const char *text, struct sp_gpu_list *list, struct sp_gpu_slot *slot)
{
    const struct sp_gpu_options options = {"none", "", "/nonexistent", -1};

    memset(slot, 0, sizeof(*slot));
    sp_gpu_list_init(list);
    return sp_cdi_read(sp_slice_str(text), "nvidia.com/gpu=0", &options, list, slot, NULL);
}

static void test_cdi_adds_files_and_variables_but_no_hooks(void **state)
{
    struct sp_gpu_list list;
    struct sp_gpu_slot slot;

    (void)state;
    assert_int_equal(
        read_cdi(CDI_HEAD "\"0\", \"containerEdits\": {\"deviceNodes\": [{\"path\": "
                          "\"/dev/nvidia0\"}]}}], \"containerEdits\": {\"env\": [\"A_B=void\"], "
                          "\"hooks\": [{\"hookName\": \"createContainer\", \"path\": \"/bin/sh\"}],"
                          "\"mounts\": [{\"hostPath\": \"/opt/libcuda.so.1.2\", "
                          "\"containerPath\": \"/opt/libcuda.so.1.2\"}]}}",
                 &list, &slot),
        1);
    assert_int_equal(slot.n_env, 1);
    assert_string_equal(slot.env[0], "A_B=void");
    assert_int_equal(list.n_mounts, 1);
    assert_int_equal(slot.n_nodes, 0); /* which GPU is the provider's word */
    sp_gpu_list_done(&list);
    assert_int_equal(read_cdi(CDI_HEAD "\"1\"}]}", &list, &slot), 0);
}

/* One line of a vendor's file that the launcher would refuse must not cost all slots. */
static void test_hostile_cdi_leaves_a_list_that_the_launcher_reads(void **state)
{
    SP_AUTO_BUF struct sp_buf out;
    struct sp_gpu_list list, again;
    struct sp_gpu_slot slot;

    (void)state;
    assert_int_equal(
        read_cdi(
            CDI_HEAD
            "\"0\", \"containerEdits\": {\"env\": [\"LD_PRELOAD=/x\", \"PATH=/x\", \"A=b c\", "
            "\"1A=x\", \"a=x\", \"=x\", 7, null], \"deviceNodes\": [{\"path\": \"/dev/mem\"}, "
            "{\"path\": \"/dev/../dev/mem\"}, {\"path\": 7}, {\"path\": \"/dev/nvidiactl\", "
            "\"hostPath\": \"/dev/mem\"}, 3], \"mounts\": [{\"hostPath\": \"/a/../etc/shadow\", "
            "\"containerPath\": \"/a\"}, {\"hostPath\": \"/a b\", \"containerPath\": \"/a\"}, "
            "{\"hostPath\": \"/a\", \"containerPath\": \"/a/\"}, {\"hostPath\": \"a\", "
            "\"containerPath\": \"/a\"}, {\"hostPath\": 7}, []]}}]}",
            &list, &slot),
        1);
    assert_int_equal(slot.n_env + slot.n_nodes + list.n_mounts, 0);
    sp_buf_init(&out, SP_GPU_TEXT_MAX);
    sp_gpu_list_print(&list, &out);
    sp_gpu_list_init(&again);
    assert_int_equal(sp_gpu_list_parse(sp_buf_slice(&out), &again, NULL), 0);
    sp_gpu_list_done(&list);
    sp_gpu_list_done(&again);
    assert_true(read_cdi("[]", &list, &slot) < 0);
    assert_true(read_cdi("{\"kind\": 7, \"cdiVersion\": \"1\"}", &list, &slot) < 0);
    assert_true(read_cdi("{\"kind\": \"nvidia.com/gpu\"}", &list, &slot) < 0);
}

/* --- readings --- */

static void test_a_reading_is_understood_whole_or_not_at_all(void **state)
{
    static const char *const wrong[] = {
        "",
        "{\"usage\": 3}",
        "{\"usage\": [{\"pid\": 0, \"slot\": \"a\", \"bytes\": 1}]}",
        "{\"usage\": [{\"pid\": -1, \"slot\": \"a\", \"bytes\": 1}]}",
        "{\"usage\": [{\"pid\": 1, \"slot\": \"\", \"bytes\": 1}]}",
        "{\"usage\": [{\"pid\": 1, \"slot\": \"a\\n\", \"bytes\": 1}]}",
        "{\"usage\": [{\"pid\": 1, \"slot\": \"a\", \"bytes\": -1}]}",
        "{\"usage\": [{\"pid\": 1, \"slot\": \"a\", \"bytes\": 1, \"more\": 1}]}",
    };
    static struct sp_gpu_usage usage;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(sp_gpu_usage_parse(sp_slice_str(wrong[i]), &usage, NULL) < 0);
    assert_int_equal(sp_gpu_usage_parse(
                         sp_slice_str("{\"usage\": [{\"pid\": 3, \"slot\": \"a\", \"bytes\": 9}]}"),
                         &usage, NULL),
                     0);
    assert_int_equal(usage.n, 1);
    assert_int_equal(usage.uses[0].bytes, 9);
}

static void test_an_odd_size_is_the_most_there_is_and_costs_no_line(void **state)
{
    static const struct sp_gpu_usage odd = {.n = 2, .uses = {{3, "a", UINT64_MAX}, {4, "a", 9}}};
    static struct sp_gpu_usage usage;
    SP_AUTO_BUF struct sp_buf out;
    struct sp_gpu_list list, again;

    (void)state;
    sp_buf_init(&out, SP_GPU_TEXT_MAX);
    sp_gpu_usage_print(&odd, &out);
    assert_int_equal(sp_gpu_usage_parse(sp_buf_slice(&out), &usage, NULL), 0);
    assert_int_equal(usage.n, 2);
    assert_true(usage.uses[0].bytes == SP_GPU_BYTES_MAX);
    assert_int_equal(usage.uses[1].bytes, 9);
    assert_int_equal(
        sp_gpu_usage_parse(sp_slice_str("{\"usage\": [{\"pid\": 3, \"slot\": \"a\", \"bytes\": "
                                        "1125899906842625}]}"),
                           &usage, NULL),
        0);
    assert_true(usage.uses[0].bytes == SP_GPU_BYTES_MAX);

    sp_gpu_list_init(&list);
    sp_gpu_list_init(&again);
    sp_gpu_list_add(&list)->memory_bytes = UINT64_MAX;
    list.slots[0].id[0] = 'a';
    list.slots[0].kind = SP_GPU_WHOLE;
    out.len = 0;
    sp_gpu_list_print(&list, &out);
    assert_int_equal(sp_gpu_list_parse(sp_buf_slice(&out), &again, NULL), 0);
    assert_true(again.slots[0].memory_bytes == SP_GPU_BYTES_MAX);
    sp_gpu_list_done(&list);
    sp_gpu_list_done(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fdinfo_counts_the_gpus_own_memory_once),
        cmocka_unit_test(test_fdinfo_that_is_no_client_counts_nothing),
        cmocka_unit_test(test_cdi_adds_files_and_variables_but_no_hooks),
        cmocka_unit_test(test_hostile_cdi_leaves_a_list_that_the_launcher_reads),
        cmocka_unit_test(test_a_reading_is_understood_whole_or_not_at_all),
        cmocka_unit_test(test_an_odd_size_is_the_most_there_is_and_costs_no_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
