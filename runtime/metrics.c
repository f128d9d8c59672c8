#include "runtime/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/server/server.h"

#define FIRST_BOUND_US 250

struct collector {
    struct sp_list node;
    sp_metrics_collect_fn *collect;
    void *arg;
};

struct sp_metrics {
    struct sp_list collectors;
    double start_time_s;
};

/* --- the registry ----------------------------------------------------------------------------- */

struct sp_metrics *sp_metrics_new(void)
{
    struct sp_metrics *metrics = sp_new0(struct sp_metrics);

    sp_list_init(&metrics->collectors);
    metrics->start_time_s = (double)sp_clock_wall_ms() / 1000;
    return metrics;
}

static void remove_collector(struct collector *collector)
{
    sp_list_remove(&collector->node);
    free(collector);
}

void sp_metrics_free(struct sp_metrics *metrics)
{
    if (!metrics)
        return;
    SP_LIST_EACH (collector, &metrics->collectors, struct collector, node)
        remove_collector(collector);
    free(metrics);
}

void sp_metrics_add(struct sp_metrics *metrics, sp_metrics_collect_fn *collect, void *arg)
{
    struct collector *collector = sp_new0(struct collector);

    collector->collect = collect;
    collector->arg = arg;
    sp_list_append(&metrics->collectors, &collector->node);
}

void sp_metrics_remove(struct sp_metrics *metrics, void *arg)
{
    SP_LIST_EACH (collector, &metrics->collectors, struct collector, node)
        if (collector->arg == arg)
            remove_collector(collector);
}

/* --- the process ------------------------------------------------------------------------------ */

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128];

    if (!file)
        return 0;
    if (fgets(line, sizeof(line), file)) {
        const char *second = strchr(line, ' ');

        if (second)
            pages = strtoul(second, NULL, 10);
    }
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = -3; /* ".", ".." and the folder itself */

    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

static void write_process(const struct sp_metrics *metrics, struct sp_buf *out)
{
    struct rusage usage = {0};
    struct rlimit files = {0};

    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    sp_metrics_family(out, "process_cpu_seconds_total", "counter", "CPU time of the daemon");
    sp_metrics_value(out, "process_cpu_seconds_total", NULL,
                     (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    sp_metrics_gauge(out, "process_resident_memory_bytes", "Resident memory of the daemon",
                     resident_bytes());
    sp_metrics_gauge(out, "process_open_fds", "Open descriptors of the daemon", open_descriptors());
    sp_metrics_gauge(out, "process_max_fds", "Descriptors that the daemon may open",
                     (double)files.rlim_cur);
    sp_metrics_gauge(out, "process_start_time_seconds", "Start of the daemon, since 1970",
                     metrics->start_time_s);
    sp_metrics_family(out, "spacesd_build_info", "gauge", "Version of the daemon");
    sp_metrics_value(out, "spacesd_build_info", "version=\"" SP_VERSION "\"", 1);
}

void sp_metrics_write(struct sp_metrics *metrics, struct sp_buf *out)
{
    write_process(metrics, out);
    SP_LIST_EACH (collector, &metrics->collectors, struct collector, node)
        collector->collect(collector->arg, out);
}

void sp_metrics_reply(struct sp_metrics *metrics, struct sp_exchange *ex)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    sp_metrics_write(metrics, &text);
    sp_reply(ex, 200, "text/plain; version=0.0.4; charset=utf-8", sp_buf_slice(&text));
}

/* --- values ----------------------------------------------------------------------------------- */

void sp_metrics_family(struct sp_buf *out, const char *name, const char *type, const char *help)
{
    (void)sp_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void sp_metrics_value(struct sp_buf *out, const char *name, const char *labels, double value)
{
    bool has_labels = labels && *labels;

    (void)sp_buf_printf(out, "%s%s%s%s ", name, has_labels ? "{" : "", has_labels ? labels : "",
                        has_labels ? "}" : "");
    /* Whole numbers in full: %g would round a counter above a million. */
    if (value >= 0 && value < 9e15 && floor(value) == value)
        (void)sp_buf_append_u64(out, (uint64_t)value);
    else
        (void)sp_buf_printf(out, "%.9g", value);
    (void)sp_buf_append_char(out, '\n');
}

void sp_metrics_counter(struct sp_buf *out, const char *name, const char *help, uint64_t value)
{
    sp_metrics_family(out, name, "counter", help);
    sp_metrics_value(out, name, NULL, (double)value);
}

void sp_metrics_gauge(struct sp_buf *out, const char *name, const char *help, double value)
{
    sp_metrics_family(out, name, "gauge", help);
    sp_metrics_value(out, name, NULL, value);
}

void sp_metrics_label(struct sp_buf *labels, const char *key, const char *value)
{
    (void)sp_buf_printf(labels, "%s%s=\"", labels->len ? "," : "", key);
    for (; *value; value++) {
        if (*value == '\n') {
            (void)sp_buf_append_str(labels, "\\n");
            continue;
        }
        if (*value == '"' || *value == '\\')
            (void)sp_buf_append_char(labels, '\\');
        (void)sp_buf_append_char(labels, *value);
    }
    (void)sp_buf_append_char(labels, '"');
}

/* --- distributions ---------------------------------------------------------------------------- */

static uint64_t bound_us(unsigned bucket)
{
    return (uint64_t)FIRST_BOUND_US << bucket;
}

void sp_histogram_observe(struct sp_histogram *histogram, uint64_t us)
{
    unsigned bucket = 0;

    while (bucket < SP_HISTOGRAM_BUCKETS && us > bound_us(bucket))
        bucket++;
    histogram->counts[bucket]++;
    histogram->n++;
    histogram->sum_us += us;
    if (us > histogram->max_us)
        histogram->max_us = us;
}

uint64_t sp_histogram_percentile(const struct sp_histogram *histogram, double p)
{
    uint64_t wanted = (uint64_t)ceil((double)histogram->n * p / 100);
    uint64_t seen = 0;

    for (unsigned bucket = 0; bucket < SP_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (histogram->n && seen >= wanted)
            return bound_us(bucket) < histogram->max_us ? bound_us(bucket) : histogram->max_us;
    }
    return histogram->max_us;
}

void sp_metrics_histogram(struct sp_buf *out, const char *name, const char *help,
                          const struct sp_histogram *histogram)
{
    uint64_t seen = 0;

    sp_metrics_family(out, name, "histogram", help);
    for (unsigned bucket = 0; bucket < SP_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        (void)sp_buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                            (double)bound_us(bucket) / 1e6, seen);
    }
    (void)sp_buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, histogram->n);
    (void)sp_buf_printf(out, "%s_sum %.9g\n", name, (double)histogram->sum_us / 1e6);
    (void)sp_buf_printf(out, "%s_count %" PRIu64 "\n", name, histogram->n);
}
