/*
 * runtime/metrics.h - numbers for people who watch: GET /metrics in the text form of Prometheus.
 *
 * Nothing is counted twice: modules keep their own statistics, and a collector that they (or their
 * owner) register reads them when somebody asks. Only distributions need a place of their own, a
 * struct sp_histogram, which costs one array entry an observation.
 */
#ifndef SP_RUNTIME_METRICS_H
#define SP_RUNTIME_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct sp_metrics;
struct sp_exchange;

/* Writes its module's numbers with the functions below. */
typedef void sp_metrics_collect_fn(void *arg, struct sp_buf *out);

struct sp_metrics *sp_metrics_new(void);
void sp_metrics_free(struct sp_metrics *metrics);
/* `arg` outlives the registry, or is removed with sp_metrics_remove. Called in order of adding. */
void sp_metrics_add(struct sp_metrics *metrics, sp_metrics_collect_fn *collect, void *arg);
void sp_metrics_remove(struct sp_metrics *metrics, void *arg);
/* Everything, the process's own numbers (memory, CPU, descriptors, start time) first. */
void sp_metrics_write(struct sp_metrics *metrics, struct sp_buf *out);
/* Answers a GET /metrics. */
void sp_metrics_reply(struct sp_metrics *metrics, struct sp_exchange *ex);

/* --- for collectors --------------------------------------------------------------------------- */

/* Names are "spacesd_..."; counters end in "_total", and units are seconds and bytes. */
void sp_metrics_counter(struct sp_buf *out, const char *name, const char *help, uint64_t value);
void sp_metrics_gauge(struct sp_buf *out, const char *name, const char *help, double value);

/*
 * A family with labels: the head once, then a line each. `labels` is "space=\"a/b\"" as
 * sp_metrics_label writes it, or NULL.
 */
void sp_metrics_family(struct sp_buf *out, const char *name, const char *type, const char *help);
void sp_metrics_value(struct sp_buf *out, const char *name, const char *labels, double value);
/* Appends key="value" (after a comma when `labels` is not empty), escaped. */
void sp_metrics_label(struct sp_buf *labels, const char *key, const char *value);

/* --- distributions ---------------------------------------------------------------------------- */

#define SP_HISTOGRAM_BUCKETS 16

/* Buckets double from 0.25 ms to about 8 s: good for waits and durations alike. */
struct sp_histogram {
    uint64_t counts[SP_HISTOGRAM_BUCKETS + 1]; /* the last: above all bounds */
    uint64_t n;
    uint64_t sum_us;
    uint64_t max_us;
};

void sp_histogram_observe(struct sp_histogram *histogram, uint64_t us);
/* An upper bound of the p-th percentile (0 < p <= 100), in microseconds; 0 without observations. */
uint64_t sp_histogram_percentile(const struct sp_histogram *histogram, double p);
/* Written in seconds: `name` ends in "_seconds". */
void sp_metrics_histogram(struct sp_buf *out, const char *name, const char *help,
                          const struct sp_histogram *histogram);

#endif
