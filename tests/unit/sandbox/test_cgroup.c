/* Groups on a tree of plain files: what is written where, in which order, and what is read back. */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "tests/support/test.h"

static const char hybrid[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

static const struct sp_launch_limits limits = {
    .memory_bytes = 64 << 20, .cpu_millis = 1500, .pids = 40};

static char top[64];

static int make_top(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof(top), "/tmp/sp-cgroup-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
    (void)state;
    return sp_rmtree(AT_FDCWD, top, NULL);
}

static void put(const char *path, const char *text)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s/%s", top, path);
    SP_AUTO_FD int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect(const char *path, const char *text)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s/%s", top, path);
    SP_AUTO_FREE char *got = NULL;
    size_t len;

    assert_int_equal(sp_file_read(AT_FDCWD, full, 4096, &got, &len, NULL), 0);
    assert_string_equal(got, text);
}

static void folder(const char *path)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s/%s", top, path);

    assert_int_equal(sp_mkdir_p(AT_FDCWD, full, 0755, NULL), 0);
}

/* A group as the kernel would have made it when the folder appeared. */
static void fake_group(const char *tree, const char *const *files, size_t n)
{
    folder(tree);
    for (size_t i = 0; i < n; i++) {
        SP_AUTO_FREE char *path = sp_asprintf("%s/%s", tree, files[i]);

        put(path, "");
    }
}

static struct sp_cgroup_host fake_v1(void)
{
    static const char *const cpu[] = {"cgroup.procs", "cpu.cfs_period_us", "cpu.cfs_quota_us",
                                      "cpu.shares", "cpu.stat"};
    static const char *const memory[] = {
        "cgroup.procs",          "memory.limit_in_bytes",     "memory.memsw.limit_in_bytes",
        "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"};
    static const char *const pids[] = {"cgroup.procs", "pids.max", "pids.current"};
    static const char *const unified[] = {"cgroup.procs", "cgroup.kill", "cpu.stat"};
    struct sp_cgroup_host host;

    memset(&host, 0, sizeof(host));
    (void)snprintf(host.mount[SP_CGROUP_CPU], 256, "%s/cpu", top);
    (void)snprintf(host.mount[SP_CGROUP_MEMORY], 256, "%s/memory", top);
    (void)snprintf(host.mount[SP_CGROUP_PIDS], 256, "%s/pids", top);
    (void)snprintf(host.mount[SP_CGROUP_UNIFIED], 256, "%s/unified", top);
    host.has_memsw = true;
    fake_group("cpu/p/g", cpu, SP_LEN(cpu));
    fake_group("memory/p/g", memory, SP_LEN(memory));
    fake_group("pids/p/g", pids, SP_LEN(pids));
    fake_group("unified/p/g", unified, SP_LEN(unified));
    return host;
}

static void test_the_trees_are_found_in_mountinfo(void **state)
{
    struct sp_cgroup_host host;

    (void)state;
    sp_cgroup_parse_mountinfo(hybrid, &host);
    assert_string_equal(host.mount[SP_CGROUP_CPU], "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(host.mount[SP_CGROUP_CPUACCT], "/sys/fs/cgroup/cpu,cpuacct");
    assert_string_equal(host.mount[SP_CGROUP_MEMORY], "/sys/fs/cgroup/memory");
    assert_string_equal(host.mount[SP_CGROUP_PIDS], "/sys/fs/cgroup/pids");
    assert_string_equal(host.mount[SP_CGROUP_UNIFIED], "/sys/fs/cgroup/unified");
}

static void test_mountinfo_that_is_cut_or_strange_is_no_tree(void **state)
{
    static const char *const texts[] = {"",
                                        "\n\n",
                                        "1 2 3",
                                        "1 2 3 / /x rw - cgroup cgroup",
                                        "1 2 3 / /x rw -",
                                        "a b c d e f g h i j k l m n o p"};
    struct sp_cgroup_host host;

    (void)state;
    for (size_t i = 0; i < SP_LEN(texts); i++) {
        sp_cgroup_parse_mountinfo(texts[i], &host);
        for (int t = 0; t < SP_CGROUP_TREES; t++)
            assert_false(sp_cgroup_can(&host, t));
    }
}

static void test_memory_is_limited_before_memory_with_swap(void **state)
{
    struct sp_cgroup_host host;
    struct sp_cgroup_knob knobs[SP_CGROUP_KNOBS];
    size_t n, memory = 0, memsw = 0;

    (void)state;
    sp_cgroup_parse_mountinfo(hybrid, &host);
    host.has_memsw = true;
    n = sp_cgroup_knobs(&host, &limits, knobs);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(knobs[i].key, "memory.limit_in_bytes") == 0)
            memory = i + 1;
        if (strcmp(knobs[i].key, "memory.memsw.limit_in_bytes") == 0)
            memsw = i + 1;
    }
    assert_true(memory > 0 && memsw > memory);
    assert_string_equal(knobs[memsw - 1].value, knobs[memory - 1].value); /* swap is 0 */
}

static void test_version_2_uses_its_own_names(void **state)
{
    struct sp_cgroup_host host;
    struct sp_cgroup_knob knobs[SP_CGROUP_KNOBS];
    size_t n;

    (void)state;
    memset(&host, 0, sizeof(host));
    host.v2 = true;
    for (int t = 0; t < SP_CGROUP_TREES; t++)
        (void)snprintf(host.mount[t], sizeof(host.mount[t]), "/sys/fs/cgroup");
    n = sp_cgroup_knobs(&host, &limits, knobs);
    assert_int_equal(n, 7);
    assert_string_equal(knobs[0].key, "cpu.max");
    assert_string_equal(knobs[0].value, "150000 100000");
    assert_string_equal(knobs[2].key, "memory.max");
    assert_string_equal(knobs[3].key, "memory.swap.max");
    assert_string_equal(knobs[3].value, "0");
    assert_string_equal(knobs[4].key, "pids.max");
    assert_string_equal(knobs[5].key, "io.weight");
    assert_string_equal(knobs[5].value, "100");
    assert_true(knobs[5].optional && knobs[6].optional);
}

static void test_a_group_gets_its_limits_and_a_process_enters_every_tree(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_cgroup group;

    (void)state;
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    assert_int_equal(sp_cgroup_limit(&host, &group, &limits, NULL), 0);
    expect("cpu/p/g/cpu.cfs_quota_us", "150000");
    expect("memory/p/g/memory.limit_in_bytes", "67108864");
    expect("memory/p/g/memory.memsw.limit_in_bytes", "67108864");
    expect("pids/p/g/pids.max", "40");
    assert_int_equal(sp_cgroup_enter(&group, false), 0);
    expect("cpu/p/g/cgroup.procs", "0");
    expect("memory/p/g/cgroup.procs", "0");
    expect("pids/p/g/cgroup.procs", "0");
    expect("unified/p/g/cgroup.procs", "0");
    sp_cgroup_done(&group);
}

static void test_who_is_born_in_a_group_of_version_2_is_not_moved_into_it(void **state)
{
    static const char *const files[] = {"cgroup.procs"};
    struct sp_cgroup_host host = fake_v1();
    struct sp_cgroup group;

    (void)state;
    for (int t = 0; t < SP_CGROUP_TREES; t++)
        (void)snprintf(host.mount[t], 256, "%s/v2", top);
    host.v2 = true;
    fake_group("v2/p/g", files, 1);
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    assert_int_equal(sp_cgroup_enter(&group, true), 0);
    expect("v2/p/g/cgroup.procs", "");
    assert_int_equal(sp_cgroup_enter(&group, false), 0);
    expect("v2/p/g/cgroup.procs", "0");
    sp_cgroup_done(&group);
}

static void test_another_share_of_the_processor_changes_nothing_else(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_cgroup group;

    (void)state;
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    assert_int_equal(sp_cgroup_limit(&host, &group, &limits, NULL), 0);
    put("cpu/p/g/cpu.shares", "");
    put("cpu/p/g/cpu.cfs_quota_us", "");
    assert_int_equal(sp_cgroup_limit_cpu(&host, &group, 50, NULL), 0);
    expect("cpu/p/g/cpu.cfs_quota_us", "5000");
    expect("cpu/p/g/cpu.shares", "");
    expect("pids/p/g/pids.max", "40");
    sp_cgroup_done(&group);
}

static void test_usage_and_out_of_memory_are_read_from_the_kept_files(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_launch_usage usage;
    struct sp_cgroup group;

    (void)state;
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    put("unified/p/g/cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
    put("cpu/p/g/cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 777\n");
    put("memory/p/g/memory.usage_in_bytes", "4096\n");
    put("memory/p/g/memory.max_usage_in_bytes", "8192\n");
    put("memory/p/g/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    put("pids/p/g/pids.current", "7\n");
    sp_cgroup_usage(&host, &group, &usage);
    assert_int_equal(usage.cpu_ns, 1500000);
    assert_int_equal(usage.throttled_ns, 777);
    assert_int_equal(usage.memory_bytes, 4096);
    assert_int_equal(usage.memory_peak_bytes, 8192);
    assert_int_equal(usage.oom_kills, 3); /* not oom_kill_disable */
    assert_int_equal(usage.pids, 7);
    assert_true(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_MEMORY));
    assert_false(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_MEMORY));
    put("memory/p/g/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    assert_true(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_MEMORY));
    sp_cgroup_done(&group);
}

static void test_kill_writes_the_kill_file(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_cgroup group;

    (void)state;
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    sp_cgroup_kill(&host, &group);
    expect("unified/p/g/cgroup.kill", "1");
    sp_cgroup_done(&group);
}

static void test_the_limits_that_were_hit_are_told_once(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_launch_usage usage;
    struct sp_cgroup group;

    (void)state;
    put("pids/p/g/pids.events", "max 0\n");
    put("unified/p/g/memory.pressure", "");
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    assert_false(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_PIDS));
    put("pids/p/g/pids.events", "max 12\n");
    assert_true(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_PIDS));
    assert_false(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_PIDS));
    put("cpu/p/g/cpu.stat", "nr_periods 20\nnr_throttled 10\nthrottled_time 1\n");
    assert_false(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_CPU)); /* half is not most */
    put("cpu/p/g/cpu.stat", "nr_periods 40\nnr_throttled 25\nthrottled_time 1\n");
    assert_true(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_CPU));
    put("cpu/p/g/cpu.stat", "nr_periods 45\nnr_throttled 30\nthrottled_time 1\n");
    assert_false(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_CPU)); /* five periods say nothing */
    assert_false(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_PRESSURE));
    put("unified/p/g/memory.pressure", "some avg10=61.50 avg60=9.10 avg300=2.00 total=1\n");
    assert_true(sp_cgroup_hit(&group, SP_LAUNCH_LIMIT_PRESSURE));
    sp_cgroup_usage(&host, &group, &usage);
    assert_int_equal(usage.memory_pressure, 6150);
    assert_int_equal(usage.pids_refused, 12);
    sp_cgroup_done(&group);
}

static void test_pressure_is_read_from_recorded_text(void **state)
{
    (void)state;
    assert_int_equal(sp_cgroup_pressure("some avg10=12.34 avg60=5.00 avg300=1.00 total=9\n"
                                        "full avg10=99.00 avg60=0.00 avg300=0.00 total=0\n"),
                     1234);
    assert_int_equal(sp_cgroup_pressure("some avg10=0.07 avg60=0.00 avg300=0.00 total=0\n"), 7);
    assert_int_equal(sp_cgroup_pressure("some avg10=100.00 avg60=0 avg300=0 total=0\n"), 10000);
    assert_int_equal(sp_cgroup_pressure("full avg10=50.00"), 0);
    assert_int_equal(sp_cgroup_pressure("some avg10="), 0);
    assert_int_equal(sp_cgroup_pressure(""), 0);
}

static void test_freezing_writes_the_file_of_the_tree_that_is_there(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_cgroup group;

    (void)state;
    put("unified/p/g/cgroup.freeze", "");
    put("unified/p/g/cgroup.events", "populated 1\nfrozen 0\n");
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, NULL), 0);
    assert_int_equal(sp_cgroup_freeze(&host, &group, true), 0);
    expect("unified/p/g/cgroup.freeze", "1");
    assert_false(sp_cgroup_is_frozen(&host, &group));
    put("unified/p/g/cgroup.events", "populated 1\nfrozen 1\n");
    assert_true(sp_cgroup_is_frozen(&host, &group));
    host.mount[SP_CGROUP_UNIFIED][0] = '\0';
    assert_int_equal(sp_cgroup_freeze(&host, &group, true), -ENOENT);
    (void)snprintf(host.mount[SP_CGROUP_FREEZER], 256, "%s/freezer", top);
    folder("freezer/p/g");
    put("freezer/p/g/freezer.state", "");
    assert_int_equal(sp_cgroup_freeze(&host, &group, true), 0);
    assert_true(sp_cgroup_is_frozen(&host, &group));
    sp_cgroup_done(&group);
}

static void test_in_a_delegated_unit_our_processes_go_to_a_leaf_beside_the_spaces(void **state)
{
    static const char *const files[] = {"cgroup.subtree_control", "cpu.weight", "memory.max",
                                        "pids.max"};
    struct sp_cgroup_host host;

    (void)state;
    memset(&host, 0, sizeof(host));
    for (int t = 0; t <= SP_CGROUP_PIDS; t++)
        (void)snprintf(host.mount[t], sizeof(host.mount[t]), "%s/v2", top);
    (void)snprintf(host.mount[SP_CGROUP_UNIFIED], sizeof(host.mount[0]), "%s/v2", top);
    (void)snprintf(host.prefix, sizeof(host.prefix), "system.slice/spacesd.service");
    host.v2 = true;
    fake_group("v2/system.slice/spacesd.service", files, 1);
    put("v2/system.slice/spacesd.service/cgroup.procs", "4711\n");
    folder("v2/system.slice/spacesd.service/supervisor");
    put("v2/system.slice/spacesd.service/supervisor/cgroup.procs", "");
    fake_group("v2/system.slice/spacesd.service/spacesd-1", files, SP_LEN(files));
    assert_int_equal(sp_cgroup_parent(&host, "spacesd-1", 1 << 20, 777, NULL), 0);
    expect("v2/system.slice/spacesd.service/supervisor/cgroup.procs", "4711");
    expect("v2/system.slice/spacesd.service/cgroup.subtree_control",
           "+pidsry"); /* over "+memory" */
    expect("v2/system.slice/spacesd.service/spacesd-1/memory.max", "1048576");
    expect("v2/system.slice/spacesd.service/spacesd-1/pids.max", "777");
}

static void test_a_limit_that_cannot_be_written_fails_the_group(void **state)
{
    struct sp_cgroup_host host = fake_v1();
    struct sp_cgroup group;
    SP_AUTO_FREE char *path = sp_asprintf("%s/pids/p/g/pids.max", top);
    struct sp_error err = {0};

    (void)state;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sp_cgroup_create(&host, "p/g", &group, &err), 0);
    assert_int_equal(sp_cgroup_limit(&host, &group, &limits, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "pids.max"));
    sp_cgroup_done(&group);
}

static void test_removing_what_is_full_is_busy_and_what_is_gone_is_done(void **state)
{
    struct sp_cgroup_host host;
    struct sp_cgroup group;

    (void)state;
    memset(&host, 0, sizeof(host));
    (void)snprintf(host.mount[SP_CGROUP_PIDS], 256, "%s/pids", top);
    folder("pids/p/g/child");
    sp_cgroup_init(&group);
    (void)snprintf(group.name, sizeof(group.name), "p/g");
    group.exists = true;
    assert_true(sp_cgroup_remove(&host, &group) < 0);
    assert_true(group.exists);
    {
        SP_AUTO_FREE char *child = sp_asprintf("%s/pids/p/g/child", top);

        assert_int_equal(rmdir(child), 0);
    }
    assert_int_equal(sp_cgroup_remove(&host, &group), 0);
    assert_false(group.exists);
    assert_int_equal(sp_cgroup_remove(&host, &group), 0);
}

static void test_a_sweep_removes_the_parent_and_all_in_it(void **state)
{
    struct sp_cgroup_host host;
    SP_AUTO_FREE char *parent = sp_asprintf("%s/pids/spacesd-1", top);
    SP_AUTO_FREE char *other = sp_asprintf("%s/pids/spacesd-2/a", top);

    (void)state;
    memset(&host, 0, sizeof(host));
    (void)snprintf(host.mount[SP_CGROUP_PIDS], 256, "%s/pids", top);
    folder("pids/spacesd-1/a");
    folder("pids/spacesd-1/b");
    folder("pids/spacesd-2/a");
    assert_int_equal(sp_cgroup_sweep(&host, "spacesd-1", 0, NULL), 0);
    assert_int_equal(access(parent, F_OK), -1);
    assert_int_equal(access(other, F_OK), 0); /* another daemon's */
}

static void test_the_rate_of_writes_goes_to_a_disk_and_not_to_what_is_on_none(void **state)
{
    static const struct sp_cgroup group = {.name = "spacesd-1/a", .exists = true};
    struct sp_cgroup_host host;
    char disk[24] = "";

    (void)state;
    memset(&host, 0, sizeof(host));
    assert_int_equal(sp_cgroup_disk_of("/proc", disk, sizeof(disk)), -ENODEV);
    assert_int_equal(sp_cgroup_disk_of("/nowhere", disk, sizeof(disk)), -ENOENT);

    (void)snprintf(host.mount[SP_CGROUP_IO], 256, "%s/blkio", top);
    assert_int_equal(sp_cgroup_limit_writes(&host, &group, 1 << 20, NULL),
                     0); /* no disk: nothing */
    (void)snprintf(host.disk, sizeof(host.disk), "8:0");
    folder("blkio/spacesd-1/a");
    put("blkio/spacesd-1/a/blkio.throttle.write_bps_device", "");
    assert_int_equal(sp_cgroup_limit_writes(&host, &group, 1 << 20, NULL), 0);
    expect("blkio/spacesd-1/a/blkio.throttle.write_bps_device", "8:0 1048576");
}

#define ON_TREE(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_trees_are_found_in_mountinfo),
        cmocka_unit_test(test_mountinfo_that_is_cut_or_strange_is_no_tree),
        cmocka_unit_test(test_memory_is_limited_before_memory_with_swap),
        cmocka_unit_test(test_version_2_uses_its_own_names),
        ON_TREE(test_a_group_gets_its_limits_and_a_process_enters_every_tree),
        ON_TREE(test_who_is_born_in_a_group_of_version_2_is_not_moved_into_it),
        ON_TREE(test_another_share_of_the_processor_changes_nothing_else),
        ON_TREE(test_usage_and_out_of_memory_are_read_from_the_kept_files),
        ON_TREE(test_kill_writes_the_kill_file),
        ON_TREE(test_the_limits_that_were_hit_are_told_once),
        cmocka_unit_test(test_pressure_is_read_from_recorded_text),
        ON_TREE(test_freezing_writes_the_file_of_the_tree_that_is_there),
        ON_TREE(test_in_a_delegated_unit_our_processes_go_to_a_leaf_beside_the_spaces),
        ON_TREE(test_a_limit_that_cannot_be_written_fails_the_group),
        ON_TREE(test_removing_what_is_full_is_busy_and_what_is_gone_is_done),
        ON_TREE(test_the_rate_of_writes_goes_to_a_disk_and_not_to_what_is_on_none),
        ON_TREE(test_a_sweep_removes_the_parent_and_all_in_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
