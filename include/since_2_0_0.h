#ifndef FLB_SIDECAR_SINCE_2_0_0_H
#define FLB_SIDECAR_SINCE_2_0_0_H
#include "common.h"

/* 2.0.0 still had event_type behind flags; 2.0.1 left the hole. Both read it as 0: logs. */
struct input_plugin_2_0_0 {
    int type;
    void *proxy;
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

#endif
