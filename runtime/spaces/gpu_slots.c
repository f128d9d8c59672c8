#include "runtime/spaces/gpu_slots.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/spaces/launcher.h"

#define SLOTS_MAX 1024 /* more than any launcher has */

/* What one sandbox holds. */
struct lease {
    struct sp_list node;
    uint64_t sandbox, space;
    bool ending; /* soon it holds nothing */
    size_t n;
    struct {
        size_t slot;
        uint64_t bytes; /* of a shared one */
    } held[SP_LAUNCH_GPUS_MAX];
};

struct sp_gpu_slots {
    size_t n;
    struct sp_launch_gpu_info *all;
    struct sp_list leases;
    char why[sizeof(((struct sp_launch_host *)NULL)->gpus_why)];
    /* while they are being read */
    struct sp_launcher *launcher;
    size_t expected;
    void (*done)(void *arg, const struct sp_error *err);
    void *arg;
};

struct sp_gpu_slots *sp_gpu_slots_new(void)
{
    struct sp_gpu_slots *slots = sp_new0(struct sp_gpu_slots);

    sp_list_init(&slots->leases);
    return slots;
}

void sp_gpu_slots_free(struct sp_gpu_slots *slots)
{
    if (!slots)
        return;
    SP_LIST_EACH (lease, &slots->leases, struct lease, node) {
        sp_list_remove(&lease->node);
        free(lease);
    }
    free(slots->all);
    free(slots);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void ask_next(struct sp_gpu_slots *slots);

static void on_slot(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct sp_gpu_slots *slots = arg;

    if (err) {
        slots->done(slots->arg, err);
        return;
    }
    slots->all[slots->n++] = reply->gpu;
    if (slots->n == slots->expected)
        slots->done(slots->arg, NULL);
    else
        ask_next(slots);
}

static void ask_next(struct sp_gpu_slots *slots)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_GPUS);
    msg.gpus.index = (uint32_t)slots->n;
    sp_launcher_call(slots->launcher, &msg, NULL, 0, on_slot, slots);
}

void sp_gpu_slots_read(struct sp_gpu_slots *slots, struct sp_launcher *launcher,
                       const struct sp_launch_host *host,
                       void (*done)(void *arg, const struct sp_error *err), void *arg)
{
    assert(!slots->all); /* once */
    slots->launcher = launcher;
    slots->expected = host->n_gpus < SLOTS_MAX ? host->n_gpus : SLOTS_MAX;
    slots->all = sp_alloc0(slots->expected + 1, sizeof(*slots->all));
    slots->done = done;
    slots->arg = arg;
    (void)snprintf(slots->why, sizeof(slots->why), "%s", host->gpus_why);
    if (slots->expected)
        ask_next(slots);
    else
        done(arg, NULL);
}

size_t sp_gpu_slots_count(const struct sp_gpu_slots *slots)
{
    return slots->n;
}

const struct sp_launch_gpu_info *sp_gpu_slots_at(const struct sp_gpu_slots *slots, size_t i)
{
    return i < slots->n ? &slots->all[i] : NULL;
}

const char *sp_gpu_slots_why(const struct sp_gpu_slots *slots)
{
    return slots->why;
}

/* --- what a flavour means --------------------------------------------------------------------- */

/* "A100" and "a100-sxm4" are in "NVIDIA A100-SXM4-80GB"; '-' in a flavour stands for a space too.
 */
static bool is_in_model(const char *word, const char *model)
{
    for (; *model; model++) {
        size_t i = 0;

        while (word[i] && (tolower((unsigned char)word[i]) == tolower((unsigned char)model[i]) ||
                           (word[i] == '-' && model[i] == ' ')))
            i++;
        if (!word[i])
            return true;
    }
    return false;
}

static bool is_of_kind(const struct sp_launch_gpu_info *slot, const char *gpu)
{
    static const char *const kinds[] = {[SP_LAUNCH_GPU_WHOLE] = "whole",
                                        [SP_LAUNCH_GPU_MIG] = "mig",
                                        [SP_LAUNCH_GPU_SHARED] = "shared"};

    for (uint32_t kind = SP_LAUNCH_GPU_WHOLE; kind <= SP_LAUNCH_GPU_SHARED; kind++)
        if (strcmp(gpu, kinds[kind]) == 0)
            return slot->kind == kind;
    return !gpu[0] || is_in_model(gpu, slot->model);
}

/* With nobody else there. A share has a size; of the other kinds it is the least that will do. */
static bool will_do(const struct sp_launch_gpu_info *slot, const struct sp_flavor *flavor)
{
    if (!is_of_kind(slot, flavor->gpu))
        return false;
    if (slot->kind == SP_LAUNCH_GPU_SHARED)
        return flavor->gpu_memory_bytes && flavor->gpu_memory_bytes <= slot->memory_bytes;
    return slot->memory_bytes == 0 || flavor->gpu_memory_bytes <= slot->memory_bytes;
}

static size_t count_that_will_do(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor)
{
    size_t n = 0;

    for (size_t i = 0; i < slots->n; i++)
        n += will_do(&slots->all[i], flavor);
    return n;
}

/* Whose leases count. */
struct view {
    uint64_t without; /* not those of this Space */
    bool soon;        /* not those that are ending */
};

/* What is left of a slot, in bytes; of one that is not shared, 1 when nobody has it. */
static uint64_t left_of(const struct sp_gpu_slots *slots, size_t i, struct view view)
{
    bool is_shared = slots->all[i].kind == SP_LAUNCH_GPU_SHARED;
    uint64_t left = is_shared ? slots->all[i].memory_bytes : 1;

    SP_LIST_EACH (lease, &slots->leases, struct lease, node) {
        if (lease->space == view.without || (view.soon && lease->ending))
            continue;
        for (size_t k = 0; k < lease->n; k++)
            if (lease->held[k].slot == i)
                left -= is_shared ? lease->held[k].bytes : 1;
    }
    return left;
}

/* The first that fit, all or none of them. */
static bool pick(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor, struct view view,
                 struct lease *ret)
{
    *ret = (struct lease){.n = 0};
    for (size_t i = 0; i < slots->n && ret->n < flavor->gpus && ret->n < SP_LAUNCH_GPUS_MAX; i++) {
        bool is_shared = slots->all[i].kind == SP_LAUNCH_GPU_SHARED;
        uint64_t bytes = is_shared ? flavor->gpu_memory_bytes : 0;

        if (!will_do(&slots->all[i], flavor) || left_of(slots, i, view) < (is_shared ? bytes : 1))
            continue;
        ret->held[ret->n].slot = i;
        ret->held[ret->n++].bytes = bytes;
    }
    return ret->n == flavor->gpus;
}

/* --- sentences -------------------------------------------------------------------------------- */

/* "2 GPU slots of 'mig' with 10240 MiB each" */
static void put_want(const struct sp_flavor *flavor, char ret[128])
{
    char kind[64] = "", size[40] = "";

    if (flavor->gpu[0])
        (void)snprintf(kind, sizeof(kind), " of '%s'", flavor->gpu);
    if (flavor->gpu_memory_bytes)
        (void)snprintf(size, sizeof(size), " with %llu MiB%s",
                       (unsigned long long)flavor->gpu_memory_bytes >> 20,
                       flavor->gpus > 1 ? " each" : "");
    (void)snprintf(ret, 128, "%llu GPU slot%s%s%s", (unsigned long long)flavor->gpus,
                   flavor->gpus > 1 ? "s" : "", kind, size);
}

static enum sp_gpu_fit say_never(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                                 struct sp_error *why)
{
    char want[128];

    put_want(flavor, want);
    if (slots->n == 0)
        (void)sp_error_set(why, SP_ERR_INVALID, 0,
                           "hardware '%s' needs a GPU, and this host has no GPU slot: %s; choose "
                           "other hardware, or mend it as docs/gpu.md says",
                           flavor->name, slots->why[0] ? slots->why : "no reason was given");
    else if (!flavor->gpu_memory_bytes && strcmp(flavor->gpu, "shared") == 0)
        (void)sp_error_set(why, SP_ERR_INVALID, 0,
                           "hardware '%s' is a share of a GPU, and space.flavors does not say how "
                           "large: it needs gpu_memory",
                           flavor->name);
    else
        (void)sp_error_set(why, SP_ERR_INVALID, 0,
                           "hardware '%s' needs %s, and of the %zu of this host %zu will do: "
                           "choose other hardware, or change space.flavors or gpu.share",
                           flavor->name, want, slots->n, count_that_will_do(slots, flavor));
    return SP_GPU_NEVER;
}

/* Others' names are not told: their Spaces may be private. */
static enum sp_gpu_fit say_busy(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                                struct sp_error *why)
{
    size_t n = count_that_will_do(slots, flavor), n_free = 0;
    char want[128];
    uint64_t most = 0;

    for (size_t i = 0; i < slots->n; i++) {
        uint64_t left = left_of(slots, i, (struct view){0});

        if (!will_do(&slots->all[i], flavor))
            continue;
        if (slots->all[i].kind != SP_LAUNCH_GPU_SHARED)
            n_free += left;
        else if (left > most)
            most = left;
        n_free += slots->all[i].kind == SP_LAUNCH_GPU_SHARED && left >= flavor->gpu_memory_bytes;
    }
    put_want(flavor, want);
    if (n_free == 0 && most > 0)
        (void)sp_error_set(
            why, SP_ERR_LIMIT, 0,
            "waits for GPU memory: hardware '%s' needs %s, and no more than %llu MiB "
            "are left; pause a Space that has some, or choose other hardware",
            flavor->name, want, (unsigned long long)most >> 20);
    else
        (void)sp_error_set(why, SP_ERR_LIMIT, 0,
                           "waits for a GPU: hardware '%s' needs %s, and %zu of the %zu that will "
                           "do are free; pause a Space that has one, or choose other hardware",
                           flavor->name, want, n_free, n);
    return SP_GPU_BUSY;
}

/* --- leases ----------------------------------------------------------------------------------- */

enum sp_gpu_fit sp_gpu_slots_fit(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                                 uint64_t without, struct sp_error *why)
{
    struct lease lease;

    if (!flavor->gpus)
        return SP_GPU_FITS;
    if (count_that_will_do(slots, flavor) < flavor->gpus)
        return say_never(slots, flavor, why);
    if (pick(slots, flavor, (struct view){without, false}, &lease))
        return SP_GPU_FITS;
    if (!pick(slots, flavor, (struct view){without, true}, &lease))
        return say_busy(slots, flavor, why);
    (void)sp_error_set(why, SP_ERR_LIMIT, 0, "waits for its GPU: what had it before is ending");
    return SP_GPU_SOON;
}

int sp_gpu_slots_take(struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                      struct sp_launch_msg *msg, struct sp_error *err)
{
    struct lease *lease;

    if (!flavor->gpus)
        return 0;
    if (sp_gpu_slots_fit(slots, flavor, 0, err) != SP_GPU_FITS)
        return -EBUSY;
    lease = sp_new0(struct lease);
    (void)pick(slots, flavor, (struct view){0}, lease);
    lease->sandbox = msg->sandbox;
    lease->space = msg->sandbox_start.space;
    sp_list_append(&slots->leases, &lease->node);
    msg->sandbox_start.n_gpus = (uint32_t)lease->n;
    for (size_t k = 0; k < lease->n; k++) {
        (void)snprintf(msg->sandbox_start.gpus[k].id, sizeof(msg->sandbox_start.gpus[k].id), "%s",
                       slots->all[lease->held[k].slot].id);
        msg->sandbox_start.gpus[k].memory_bytes = lease->held[k].bytes;
    }
    return 0;
}

static struct lease *lease_of(const struct sp_gpu_slots *slots, uint64_t sandbox)
{
    SP_LIST_EACH (lease, &slots->leases, struct lease, node)
        if (lease->sandbox == sandbox)
            return lease;
    return NULL;
}

bool sp_gpu_slots_held(const struct sp_gpu_slots *slots, uint64_t sandbox, uint64_t *ret_bytes)
{
    const struct lease *lease = lease_of(slots, sandbox);
    uint64_t bytes = 0;

    if (!lease)
        return false;
    for (size_t k = 0; k < lease->n; k++)
        bytes += lease->held[k].bytes;
    if (ret_bytes)
        *ret_bytes = bytes;
    return true;
}

void sp_gpu_slots_ending(struct sp_gpu_slots *slots, uint64_t sandbox, bool ending)
{
    struct lease *lease = lease_of(slots, sandbox);

    if (lease)
        lease->ending = ending;
}

void sp_gpu_slots_release(struct sp_gpu_slots *slots, uint64_t sandbox)
{
    struct lease *lease = lease_of(slots, sandbox);

    if (!lease)
        return;
    sp_list_remove(&lease->node);
    free(lease);
}

void sp_gpu_slots_offer(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                        struct sp_gpu_offer *ret)
{
    *ret = (struct sp_gpu_offer){.promise = ""};
    for (size_t i = 0; i < slots->n; i++) {
        const struct sp_launch_gpu_info *slot = &slots->all[i];

        if (!will_do(slot, flavor))
            continue;
        if (!ret->model[0]) {
            (void)snprintf(ret->model, sizeof(ret->model), "%s", slot->model);
            ret->memory_bytes =
                flavor->gpus * (slot->kind == SP_LAUNCH_GPU_SHARED ? flavor->gpu_memory_bytes
                                                                   : slot->memory_bytes);
        }
        if (!ret->promise[0] || slot->kind == SP_LAUNCH_GPU_SHARED)
            ret->promise = slot->promise;
    }
}
