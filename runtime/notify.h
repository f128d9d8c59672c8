/*
 * runtime/notify.h - one word to the service manager that started us, as sd_notify(3) says it.
 *
 * Without NOTIFY_SOCKET in the environment, or when nobody listens, nothing happens.
 */
#ifndef SP_RUNTIME_NOTIFY_H
#define SP_RUNTIME_NOTIFY_H

/* "READY=1", "STOPPING=1". Never blocks. */
void sp_notify(const char *word);

#endif
