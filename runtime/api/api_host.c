/* What is asked about the host itself: probes, doctor, configuration. */
#include "runtime/api/handlers.h"

#include "base/clock.h"
#include "runtime/app/app.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/metrics.h"

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

void sp_api_doctor(struct sp_exchange *ex)
{
    const struct sp_daemon *daemon = sp_daemon_of(ex);
    json_t *checks = json_loads(daemon->doctor, 0, NULL);

    sp_reply_json(ex, 200,
                  json_pack("{s:s, s:b, s:b, s:s, s:o}", "version", SP_VERSION, "weak_sandbox",
                            !daemon->host.complete, "weak_allowed",
                            sp_config_bool(daemon->config, "sandbox.allow_weak"), "missing",
                            daemon->host.missing, "checks", checks ? checks : json_array()));
}

void sp_api_config(struct sp_exchange *ex)
{
    sp_reply_json(ex, 200, sp_config_to_json(sp_daemon_of(ex)->config));
}
