/* runtime/crash.h - a crash says what, where and which version before it dies. */
#ifndef SP_RUNTIME_CRASH_H
#define SP_RUNTIME_CRASH_H

/* Handlers for SEGV, BUS, ILL, FPE and ABRT that print a backtrace and let the signal go on. */
void sp_crash_install(void);

#endif
