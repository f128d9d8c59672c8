#include "base/fault.h"

#ifdef SP_FAULTS

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct point {
    char name[48];
    uint64_t first;
    bool and_later;
    uint64_t calls;
};

static struct point points[16];
static size_t count;
static bool loaded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* store and journal threads ask too */

static bool parse_point(struct sp_slice item, struct point *ret)
{
    struct sp_slice name;
    struct sp_slice rest = item;

    if (!sp_slice_split(&rest, ':', &name) || !rest.ptr || name.len >= sizeof(ret->name))
        return false;
    *ret = (struct point){.and_later = sp_slice_ends(rest, "-")};
    if (ret->and_later)
        rest.len--;
    memcpy(ret->name, name.ptr, name.len);
    return sp_parse_u64(rest, UINT64_MAX, &ret->first);
}

static void load(const char *plan)
{
    struct sp_slice rest = sp_slice_str(plan);
    struct sp_slice item;

    loaded = true;
    count = 0;
    while (plan && count < SP_LEN(points) && sp_slice_split(&rest, ',', &item))
        if (parse_point(item, &points[count]))
            count++;
}

void sp_fault_plan(const char *plan)
{
    (void)pthread_mutex_lock(&lock);
    load(plan);
    (void)pthread_mutex_unlock(&lock);
}

bool sp_fault(const char *name)
{
    bool hit = false;

    (void)pthread_mutex_lock(&lock);
    if (!loaded)
        load(getenv("SP_FAULT"));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(points[i].name, name) != 0)
            continue;
        points[i].calls++;
        if (points[i].calls == points[i].first ||
            (points[i].and_later && points[i].calls > points[i].first))
            hit = true;
    }
    (void)pthread_mutex_unlock(&lock);
    return hit;
}

#endif
