/*
 * runtime/spaces/space_gpu.h - whether a Space may start now, for its GPU's sake, and who makes
 * room for it.
 *
 * A GPU has one holder. Spaces that are frozen keep theirs until another one needs it: then those
 * that nobody has used for longest go to sleep, no more of them than it takes.
 */
#ifndef SP_RUNTIME_SPACES_SPACE_GPU_H
#define SP_RUNTIME_SPACES_SPACE_GPU_H

struct sp_space;

enum sp_space_gpu {
    SP_SPACE_GPU_MAY_START, /* or will be refused with the reason */
    SP_SPACE_GPU_WAITS,     /* space->waits says for what */
    SP_SPACE_GPU_IS_OURS,   /* as WAITS, but for what this Space serves with: that must go first */
};

enum sp_space_gpu sp_space_gpu_ask(struct sp_space *space);

#endif
