/* What is asked about the host itself: probes, doctor, configuration. */
#include "runtime/handlers.h"

#include "base/clock.h"
#include "runtime/app.h"
#include "runtime/config.h"
#include "runtime/daemon.h"

void sp_probe_health(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain; charset=utf-8", SP_SLICE("ok\n"));
}

void sp_probe_ready(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain; charset=utf-8", SP_SLICE("ready\n")); /* before that the gate says 503 */
}

void sp_api_config(struct sp_exchange *ex)
{
    sp_reply_json(ex, 200, sp_config_to_json(sp_daemon_of(ex)->config));
}
