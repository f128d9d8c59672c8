#include "runtime/spaces/stage.h"

#include <string.h>

static const struct {
    const char *name;
    bool serving;
    bool final;
} stages[SP_STAGE_COUNT] = {
    [SP_STAGE_NO_APP_FILE] = {"NO_APP_FILE", false, true},
    [SP_STAGE_CONFIG_ERROR] = {"CONFIG_ERROR", false, true},
    [SP_STAGE_BUILDING] = {"BUILDING", false, false},
    [SP_STAGE_BUILD_ERROR] = {"BUILD_ERROR", false, true},
    [SP_STAGE_APP_STARTING] = {"APP_STARTING", false, false},
    [SP_STAGE_RUNNING] = {"RUNNING", true, true},
    [SP_STAGE_RUNNING_BUILDING] = {"RUNNING_BUILDING", true, false},
    [SP_STAGE_RUNNING_APP_STARTING] = {"RUNNING_APP_STARTING", true, false},
    [SP_STAGE_SLEEPING] = {"SLEEPING", false, true},
    [SP_STAGE_STOPPED] = {"STOPPED", false, true},
    [SP_STAGE_PAUSED] = {"PAUSED", false, true},
    [SP_STAGE_RUNTIME_ERROR] = {"RUNTIME_ERROR", false, true},
    [SP_STAGE_DELETING] = {"DELETING", false, false},
};

const char *sp_stage_to_string(enum sp_stage stage)
{
    return stages[stage].name;
}

bool sp_stage_from_string(const char *name, enum sp_stage *ret)
{
    for (int i = 0; i < SP_STAGE_COUNT; i++) {
        if (strcmp(stages[i].name, name) != 0)
            continue;
        *ret = (enum sp_stage)i;
        return true;
    }
    return false;
}

bool sp_stage_is_serving(enum sp_stage stage)
{
    return stages[stage].serving;
}

bool sp_stage_is_final(enum sp_stage stage)
{
    return stages[stage].final;
}
