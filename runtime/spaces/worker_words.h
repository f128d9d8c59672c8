/*
 * runtime/spaces/worker_words.h - what a worker of a Space is born with: its environment, and the
 * two channels to it.
 */
#ifndef SP_RUNTIME_SPACES_WORKER_WORDS_H
#define SP_RUNTIME_SPACES_WORKER_WORDS_H

#include <stdint.h>

struct sp_config;
struct sp_error;
struct sp_instance_plan;
struct sp_launch_msg;
struct sp_secrets;

/*
 * `argv` and the environment, into a WORKER_START. `network`: enum sp_launch_network. Fails when a
 * secret cannot be opened. What an owner has set goes before what we would.
 */
int sp_worker_words_pack(const struct sp_config *config, const struct sp_secrets *secrets,
                         const struct sp_instance_plan *plan, uint32_t network,
                         const char *const *argv, struct sp_launch_msg *msg, struct sp_error *err);
/* The protocol's socket pair and the log's pipe: [0] is ours, [1] the worker's. */
int sp_worker_channels_open(int socks[2], int pipes[2], struct sp_error *err);

#endif
