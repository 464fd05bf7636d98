#ifndef FLB_SIDECAR_SINCE_5_0_3_H
#define FLB_SIDECAR_SINCE_5_0_3_H
#include "common.h"

struct config_map_5_0_3 {
    int type;
    char *name;
    char *default_value;
    int flags;
    int set_property;
    uintptr_t offset;
    char *description;
    uint64_t value[5];
    struct host_list node;
};

#endif
