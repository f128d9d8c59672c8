/*
 * runtime/api/handlers.h - what routes.c points at. Each handler answers one row of docs/api.md;
 * the gate has checked access before.
 */
#ifndef SP_RUNTIME_API_HANDLERS_H
#define SP_RUNTIME_API_HANDLERS_H

#include <jansson.h>

#include "runtime/server/server.h"

struct sp_space;
struct sp_user;

extern const struct sp_route sp_routes[];

/* api_account.c */
sp_handler_fn sp_api_whoami, sp_api_session, sp_api_login, sp_api_logout, sp_api_user_add,
    sp_api_user_list, sp_api_login_link;

/* api_spaces.c */
sp_handler_fn sp_api_space_list, sp_api_space_show, sp_api_space_restart, sp_api_space_pause,
    sp_api_space_settings, sp_api_space_delete, sp_api_repo_delete, sp_api_space_duplicate,
    sp_api_space_queue;
/* The SPACE document of docs/api.md as `user` may see it. */
json_t *sp_space_to_json(struct sp_exchange *ex, struct sp_space *space);
json_t *sp_space_runtime_json(struct sp_exchange *ex, struct sp_space *space);

/* api_resources.c */
sp_handler_fn sp_api_hardware_list, sp_api_space_hardware, sp_api_space_sleeptime,
    sp_api_space_storage, sp_api_space_storage_delete, sp_api_space_network;
/* Adds hardware, limits, storage, gcTimeout and network to the runtime document. */
void sp_space_resources_to_json(struct sp_exchange *ex, const struct sp_space *space, json_t *doc);

/* api_bases.c */
sp_handler_fn sp_api_base_list, sp_api_base_show, sp_api_base_make, sp_api_base_remove;
/* Adds base to the runtime document. */
void sp_space_base_to_json(struct sp_exchange *ex, const struct sp_space *space, json_t *doc);

/* api_env.c */
sp_handler_fn sp_api_space_variables, sp_api_space_variable_set, sp_api_space_variable_delete,
    sp_api_space_secrets, sp_api_space_secret_set, sp_api_space_secret_delete;

/* api_deploy.c */
sp_handler_fn sp_api_space_deploy;

/* api_watch.c: answers that wait or go on */
sp_handler_fn sp_api_space_runtime, sp_api_space_events, sp_api_space_logs;
/* Queue counts changed: told to the watchers of /events, at most once a second each. */
void sp_api_queue_changed(struct sp_space *space);

/* api_host.c */
sp_handler_fn sp_api_doctor, sp_api_config, sp_probe_health, sp_probe_ready, sp_probe_metrics;

/* pages.c */
sp_handler_fn sp_page_hub, sp_page_space, sp_page_app, sp_page_asset, sp_page_app_rest;

#endif
