/*
 * sandbox/kin.h - who is below whom in a list of processes.
 *
 * The list is not of one moment: lines are read one after the other while processes end. A parent
 * may be missing, or have ended between its child's line and its own; parents may even form a
 * circle. Pure: sandbox/walk.c reads the list and kills.
 */
#ifndef SP_SANDBOX_KIN_H
#define SP_SANDBOX_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum sp_kin {
    SP_KIN_OPEN,
    SP_KIN_KEPT,    /* one of the keepers, or below one */
    SP_KIN_ORPHAN,  /* below the root, and no keeper between */
    SP_KIN_UNKNOWN, /* the way up has a gap: this time nothing can be said */
};

struct sp_kin_proc {
    pid_t pid;
    pid_t parent;
    bool is_tagged;
    bool is_zombie; /* all of its threads have ended */
    enum sp_kin kin;
};

/*
 * Sorts the list by pid and finds the kin of each, in n log n. The children of a zombie have
 * another parent by now, perhaps a keeper: they are UNKNOWN.
 */
void sp_kin_of_keepers(struct sp_kin_proc *list, size_t n, pid_t root, const pid_t *keepers,
                       size_t n_keepers);

/* The same for one keeper and all below it, zombies or not: KEPT, or UNKNOWN. */
void sp_kin_of_ancestor(struct sp_kin_proc *list, size_t n, pid_t ancestor);

#endif
