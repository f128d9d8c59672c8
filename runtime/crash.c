#include "runtime/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Only async-signal-safe calls: write and backtrace_symbols_fd (after one call that loads libgcc).
 */
static void on_crash(int signal)
{
    static const char text[] = "fatal: spacesd " SP_VERSION " crashed; backtrace:\n";
    void *frames[48];
    int n = backtrace(frames, 48);

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
    (void)raise(signal); /* SA_RESETHAND: now it is fatal */
}

void sp_crash_install(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
    void *frame[1];

    (void)backtrace(frame, 1); /* the first call allocates: not in a handler */
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
}
