/*
 * sandbox/launcher/network.h - what the launcher knows of networks: which modes may be chosen, and
 * where a sandbox stands with the process that makes them (sandbox/network/network.h).
 */
#ifndef SP_SANDBOX_LAUNCHER_NETWORK_H
#define SP_SANDBOX_LAUNCHER_NETWORK_H

#include <stdbool.h>

struct sp_box;
struct sp_error;
struct sp_launch_msg;
struct sp_launcher;

/* One --network-NAME option; false when it is wrong. */
bool sp_launcher_network_option(struct sp_launcher *l, int opt, const char *arg);
/* Their letters, for getopt_long. */
enum {
    SP_OPT_NETWORK_ALLOWED = 0x100,
    SP_OPT_NETWORK_RANGE,
    SP_OPT_NETWORK_DNS,
    SP_OPT_NETWORK_CONNECTIONS,
    SP_OPT_NETWORK_PROXY
};

/* Sweeps, and starts the process if any mode but none may be chosen. Before anything else lives. */
void sp_launcher_network_start(struct sp_launcher *l);
/* Waits until it is set up, or has said why not: the last step before requests are answered. */
void sp_launcher_network_wait(struct sp_launcher *l);
/* Its socket said something. */
void sp_launcher_network_read(struct sp_launcher *l);
/* All sandboxes are gone: takes everything away. Waits, but not for long. */
void sp_launcher_network_end(struct sp_launcher *l);

/* Whether a start may have what it asks for; checked here again, whoever asks. */
int sp_box_network_may(const struct sp_launcher *l, const struct sp_launch_msg *msg,
                       struct sp_error *err);
/* Asks for the network of a sandbox whose pid 1 lives. */
int sp_box_network_ask(struct sp_launcher *l, struct sp_box *box, struct sp_error *err);
/* True while a READY of pid 1 must wait for the network; it is kept, and comes back later. */
bool sp_box_network_holds(struct sp_box *box, const char *times);
/* True when nothing of a network is left; otherwise asks for its removal once. */
bool sp_box_network_gone(struct sp_launcher *l, struct sp_box *box);

#endif
