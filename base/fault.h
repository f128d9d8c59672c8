/*
 * base/fault.h - points where a test can make the code fail. Compiled away unless SP_FAULTS is
 * defined (`make build FAULTS=1`; the unit and e2e builds do).
 *
 *     if (sp_fault("store.commit")) return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSPC, ...);
 *
 * SP_FAULT="store.commit:3,journal.sync:1-" in the environment fails the third commit, and every
 * sync from the first on. "name:N" is the Nth call, "name:N-" is the Nth and all later ones.
 */
#ifndef SP_BASE_FAULT_H
#define SP_BASE_FAULT_H

#include <stdbool.h>

#ifdef SP_FAULTS
bool sp_fault(const char *name);
/* Replaces the plan that came from the environment; NULL clears it. For tests. */
void sp_fault_plan(const char *plan);
#else
#define sp_fault(name)      false
#define sp_fault_plan(plan) ((void)(plan))
#endif

#endif
