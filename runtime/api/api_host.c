/* What is asked about the host itself: probes, doctor, configuration. */
#include "runtime/api/handlers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/app/app.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/metrics.h"
#include "runtime/spaces/gpu_slots.h"

void sp_probe_health(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain; charset=utf-8", SP_SLICE("ok\n"));
}

void sp_probe_ready(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain; charset=utf-8",
             SP_SLICE("ready\n")); /* before that the gate says 503 */
}

void sp_probe_metrics(struct sp_exchange *ex)
{
    sp_metrics_reply(sp_daemon_of(ex)->metrics, ex);
}

/* The launcher finds slots once, when it starts: this is what it said then. */
static json_t *gpu_check(const struct sp_gpu_slots *gpus)
{
    size_t n = sp_gpu_slots_count(gpus), counts[SP_LAUNCH_GPU_SHARED + 1] = {0};
    const char *note = sp_gpu_slots_why(gpus);
    SP_AUTO_FREE char *why = NULL;

    for (size_t i = 0; i < n; i++)
        if (sp_gpu_slots_at(gpus, i)->kind <= SP_LAUNCH_GPU_SHARED)
            counts[sp_gpu_slots_at(gpus, i)->kind]++;
    if (n)
        why = sp_asprintf("%s: %zu whole, %zu MIG (hard limits), %zu shared (cooperative)%s%s",
                          sp_gpu_slots_at(gpus, 0)->model, counts[SP_LAUNCH_GPU_WHOLE],
                          counts[SP_LAUNCH_GPU_MIG], counts[SP_LAUNCH_GPU_SHARED],
                          note[0] ? "; " : "", note);
    return json_pack("{s:s, s:s, s:b, s:b, s:s, s:s}", "group", "GPU", "name", "GPU slots", "ok",
                     n > 0, "required", false, "why", why ? why : note, "fix",
                     n ? ""
                       : "install the GPU's driver, set gpu.provider if it is not auto, start "
                         "spacesd again (docs/gpu.md). Without it GPU hardware is refused");
}

/* Whether bases can be made here; those that there are need nothing of it. */
static json_t *base_check(void)
{
    static const char *const programs[] = {"/usr/sbin/debootstrap", "/usr/bin/fakechroot",
                                           "/usr/bin/fakeroot", "/usr/bin/skopeo"};
    SP_AUTO_FREE char *why = sp_strdup("");

    for (size_t i = 0; i < SP_LEN(programs); i++) {
        char *before = why;

        if (access(programs[i], X_OK) == 0)
            continue;
        why =
            sp_asprintf("%s%s%s", before, before[0] ? ", " : "no ", strrchr(programs[i], '/') + 1);
        free(before);
    }
    return json_pack(
        "{s:s, s:s, s:b, s:b, s:s, s:s}", "group", "files", "name", "making of bases", "ok",
        !why[0], "required", false, "why", why, "fix",
        why[0] ? "install debootstrap, fakechroot, fakeroot (spaces base create) and skopeo "
                 "(spaces base import)"
               : "");
}

void sp_api_doctor(struct sp_exchange *ex)
{
    const struct sp_daemon *daemon = sp_daemon_of(ex);
    json_t *checks = json_loads(daemon->doctor, 0, NULL);

    if (!checks)
        checks = json_array();
    (void)json_array_append_new(checks, base_check());
    (void)json_array_append_new(checks, gpu_check(daemon->spaces.instances.gpus));
    sp_reply_json(ex, 200,
                  json_pack("{s:s, s:b, s:b, s:s, s:o}", "version", SP_VERSION, "weak_sandbox",
                            !daemon->host.complete, "weak_allowed",
                            sp_config_bool(daemon->config, "sandbox.allow_weak"), "missing",
                            daemon->host.missing, "checks", checks));
}

void sp_api_config(struct sp_exchange *ex)
{
    sp_reply_json(ex, 200, sp_config_to_json(sp_daemon_of(ex)->config));
}
