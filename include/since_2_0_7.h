#ifndef FLB_SIDECAR_SINCE_2_0_7_H
#define FLB_SIDECAR_SINCE_2_0_7_H
#include "common.h"

struct input_plugin_2_0_7 {
    int type;
    void *proxy;
    int flags;
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
    void *cb_destroy;
    void *instance;
    struct host_list node;
};

struct output_plugin_2_0_7 {
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
    void *cb_destroy;
    int workers;
    uint64_t test_formatter[6];
    struct host_list node;
};

#endif
