#ifndef FLB_SIDECAR_SINCE_2_1_0_H
#define FLB_SIDECAR_SINCE_2_1_0_H
#include "common.h"

struct filter_plugin_2_1_0 {
    int event_type;
    int flags;
    char *name;
    char *description;
    void *config_map;
    host_filter_cb cb_init;
    void *cb_filter;
    host_exit_cb cb_exit;
    struct host_list node;
};

#endif
