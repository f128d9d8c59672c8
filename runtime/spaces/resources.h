/*
 * runtime/spaces/resources.h - what one Space is given: the settings, its hardware flavour, and
 * what its owner chose. The only place where limits, network and GPUs of a sandbox come from; the
 * page and the API show what this says.
 */
#ifndef SP_RUNTIME_SPACES_RESOURCES_H
#define SP_RUNTIME_SPACES_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "runtime/flavors.h"
#include "runtime/spaces/gpu_slots.h"
#include "sandbox/launch.h"

struct sp_config;
struct sp_error;

/* Stored with the Space. All zero: cpu-basic, no storage, no network. */
struct sp_resources {
    char hardware[40]; /* a flavour's name; "" = cpu-basic */
    char storage[8];   /* "small", "medium", "large"; "" = no /data */
    uint32_t network;  /* enum sp_launch_network */
    char allow[1024];  /* ALLOW_LIST: names, divided by commas */
    int64_t sleep_s;   /* idle time until it is frozen; 0 = space.freeze_after, -1 = never */
};

/* --- what it gets --- */

void sp_resources_limits(const struct sp_config *config, const struct sp_resources *resources,
                         struct sp_launch_limits *ret);
/*
 * The parts of SANDBOX_START that are resources; an error when the host's settings changed since.
 * GPU slots are taken for msg->sandbox: give them back with sp_gpu_slots_release.
 */
int sp_resources_fill(const struct sp_config *config, struct sp_gpu_slots *gpus,
                      const struct sp_resources *resources, struct sp_launch_msg *msg,
                      struct sp_error *err);
/* Whether its GPU slots can be had now; see sp_gpu_slots_fit. */
enum sp_gpu_fit sp_resources_gpu_fit(const struct sp_config *config,
                                     const struct sp_gpu_slots *gpus,
                                     const struct sp_resources *resources, uint64_t without,
                                     struct sp_error *why);
/* What a GPU of its promises: a hard limit, or cooperation; "" without one. */
const char *sp_resources_promise(const struct sp_config *config, const struct sp_gpu_slots *gpus,
                                 const struct sp_resources *resources);
const char *sp_resources_hardware(const struct sp_resources *resources);
/* 0 = it is never frozen. */
uint64_t sp_resources_freeze_ms(const struct sp_config *config,
                                const struct sp_resources *resources);

/* --- what it may get: each refuses with a sentence and then changes nothing --- */

/*
 * "http_proxy=http://10.1.2.3:3128" when the site has a proxy and the app may use it, or NULL;
 * yours. It is for those who may reach all that is public: behind a proxy there is no allow-list.
 */
char *sp_resources_proxy(const struct sp_config *config, uint32_t network, const char *variable);

/* Hardware that is taken just now is fine: the Space will wait for it. */
int sp_resources_set_hardware(const struct sp_config *config, const struct sp_gpu_slots *gpus,
                              struct sp_resources *resources, const char *flavor,
                              struct sp_error *err);
/* `image_bytes`: what its image has now, whatever was chosen for it; 0 = there is none. */
int sp_resources_set_storage(const struct sp_config *config, struct sp_resources *resources,
                             const char *tier, uint64_t image_bytes, struct sp_error *err);
/* `allow`: names, divided by commas. */
int sp_resources_set_network(const struct sp_config *config, struct sp_resources *resources,
                             const char *mode, const char *allow, struct sp_error *err);
int sp_resources_set_sleep(struct sp_resources *resources, int64_t seconds, struct sp_error *err);
/* A running sandbox has other ones. */
bool sp_resources_differ(const struct sp_resources *a, const struct sp_resources *b);
/*
 * `next` gives less of anything than `old`: what runs must not serve on with more than its owner
 * left it, for example by not starting under the new limits.
 */
bool sp_resources_tighten(const struct sp_config *config, const struct sp_resources *old,
                          const struct sp_resources *next);

/* --- forms --- */

const char *sp_resources_network_to_string(uint32_t network);
json_t *sp_resources_allow_json(const struct sp_resources *resources);
/* All flavours of this host, as GET /api/spaces/hardware has them. */
json_t *sp_resources_flavors_json(const struct sp_config *config, const struct sp_gpu_slots *gpus);
json_t *sp_resources_to_record(const struct sp_resources *resources);
/* Null or absent: all zero. False for what cannot be read. */
bool sp_resources_from_record(const json_t *obj, struct sp_resources *ret);

#endif
