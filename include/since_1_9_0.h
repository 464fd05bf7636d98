#ifndef FLB_SIDECAR_SINCE_1_9_0_H
#define FLB_SIDECAR_SINCE_1_9_0_H
#include "common.h"

struct input_plugin_1_9_0 {
    int flags;
    int event_type;
    char *name;
    char *description;
    void *config_map;
    host_input_cb cb_init;
    host_input_cb cb_pre_run;
    host_input_cb cb_collect;
    void *cb_flush_buf;
    void *cb_flush_end;
    host_state_cb cb_pause;
    host_state_cb cb_resume;
    void *cb_ingest;
    host_exit_cb cb_exit;
    void *instance;
    struct host_list node;
};

struct filter_plugin_1_9_0 {
    int flags;
    char *name;
    char *description;
    void *config_map;
    host_filter_cb cb_init;
    void *cb_filter;
    host_exit_cb cb_exit;
    struct host_list node;
};

struct output_plugin_1_9_0 {
    int event_type;
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    uint64_t host[6];
    host_output_cb cb_init;
    host_exit_cb cb_pre_run;
    host_flush_cb cb_flush;
    host_exit_cb cb_exit;
    int workers;
    uint64_t test_formatter[6];
    struct host_list node;
};

struct config_map_1_9_0 {
    int type;
    char *name;
    char *default_value;
    int flags;
    int set_property;
    uintptr_t offset;
    char *description;
    uint64_t value[4];
    struct host_list node;
};

#endif
