/* sandbox/launcher/doctor.h - `spaces-launcher --doctor`: tries every protection and prints the
 * list. */
#ifndef SP_SANDBOX_LAUNCHER_DOCTOR_H
#define SP_SANDBOX_LAUNCHER_DOCTOR_H

/*
 * Prints [{"group","name","ok","required","why","fix"}] on stdout. `state_path`: the folder whose
 * mounts would get ids of their own, or NULL. Returns the exit code.
 */
int sp_launcher_doctor(const char *state_path);

#endif
