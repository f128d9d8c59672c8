#include "sandbox/kin.h"

#include <stdlib.h>

struct rules {
    pid_t root;
    const pid_t *keepers;
    size_t n_keepers;
    bool through_zombies;
};

static int by_pid(const void *a, const void *b)
{
    const struct sp_kin_proc *x = a, *y = b;

    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static struct sp_kin_proc *find(struct sp_kin_proc *list, size_t n, pid_t pid)
{
    const struct sp_kin_proc key = {.pid = pid};

    return n > 0 ? bsearch(&key, list, n, sizeof(*list), by_pid) : NULL;
}

static bool is_keeper(const struct rules *rules, pid_t pid)
{
    for (size_t i = 0; i < rules->n_keepers; i++)
        if (rules->keepers[i] == pid)
            return true;
    return false;
}

/* What is known without looking further up; OPEN: it is as its parent, *ret_parent. */
static enum sp_kin look(struct sp_kin_proc *list, size_t n, const struct rules *rules,
                        const struct sp_kin_proc *proc, struct sp_kin_proc **ret_parent)
{
    if (is_keeper(rules, proc->pid))
        return SP_KIN_KEPT;
    if (proc->parent == rules->root || proc->parent == 0)
        return SP_KIN_ORPHAN;
    *ret_parent = find(list, n, proc->parent);
    if (!*ret_parent || ((*ret_parent)->is_zombie && !rules->through_zombies))
        return SP_KIN_UNKNOWN;
    return (*ret_parent)->kin;
}

/*
 * Up until something is known, then up the same way to write it down: each process is passed twice
 * in all. A circle is passed once: all on the way are UNKNOWN until told otherwise.
 */
static void settle(struct sp_kin_proc *list, size_t n, const struct rules *rules,
                   struct sp_kin_proc *first)
{
    struct sp_kin_proc *proc = first, *parent = NULL;
    enum sp_kin kin;

    while ((kin = look(list, n, rules, proc, &parent)) == SP_KIN_OPEN) {
        proc->kin = SP_KIN_UNKNOWN;
        proc = parent;
    }
    for (struct sp_kin_proc *p = first; p != proc; p = find(list, n, p->parent))
        p->kin = kin;
    proc->kin = kin;
}

static void settle_all(struct sp_kin_proc *list, size_t n, const struct rules *rules)
{
    if (n > 0)
        qsort(list, n, sizeof(*list), by_pid);
    for (size_t i = 0; i < n; i++)
        list[i].kin = SP_KIN_OPEN;
    for (size_t i = 0; i < n; i++)
        if (list[i].kin == SP_KIN_OPEN)
            settle(list, n, rules, &list[i]);
}

void sp_kin_of_keepers(struct sp_kin_proc *list, size_t n, pid_t root, const pid_t *keepers,
                       size_t n_keepers)
{
    const struct rules rules = {.root = root, .keepers = keepers, .n_keepers = n_keepers};

    settle_all(list, n, &rules);
}

void sp_kin_of_ancestor(struct sp_kin_proc *list, size_t n, pid_t ancestor)
{
    const struct rules rules = {.keepers = &ancestor, .n_keepers = 1, .through_zombies = true};

    settle_all(list, n, &rules);
}
