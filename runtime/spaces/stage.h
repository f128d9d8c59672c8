/*
 * runtime/spaces/stage.h - the stages of a Space, named as the Hub names them.
 */
#ifndef SP_RUNTIME_SPACES_STAGE_H
#define SP_RUNTIME_SPACES_STAGE_H

#include <stdbool.h>

enum sp_stage {
    SP_STAGE_NO_APP_FILE,
    SP_STAGE_CONFIG_ERROR,
    SP_STAGE_BUILDING,
    SP_STAGE_BUILD_ERROR,
    SP_STAGE_APP_STARTING,
    SP_STAGE_RUNNING,
    SP_STAGE_RUNNING_BUILDING,
    SP_STAGE_RUNNING_APP_STARTING,
    SP_STAGE_SLEEPING,
    SP_STAGE_STOPPED,
    SP_STAGE_PAUSED,
    SP_STAGE_RUNTIME_ERROR,
    SP_STAGE_DELETING,
    SP_STAGE_COUNT
};

const char *sp_stage_to_string(enum sp_stage stage); /* "RUNNING_APP_STARTING" */
/* Exact, upper case; false for anything else. */
bool sp_stage_from_string(const char *name, enum sp_stage *ret);
bool sp_stage_is_serving(enum sp_stage stage); /* some version answers calls */
bool sp_stage_is_final(enum sp_stage stage);   /* stays until somebody acts */

#endif
