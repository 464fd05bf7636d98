#ifndef FLB_SIDECAR_SINCE_3_2_3_H
#define FLB_SIDECAR_SINCE_3_2_3_H
#include "common.h"

struct input_plugin_3_2_3 {
    int type;
    void *proxy;
    int flags;
    char *name;
    char *description;
    void *config_map;
    host_input_cb cb_init;
    host_input_cb cb_pre_run;
    host_input_cb cb_collect;
    host_input_cb cb_notification;
    void *cb_flush_buf;
    void *cb_flush_end;
    host_state_cb cb_pause;
    host_state_cb cb_resume;
    void *cb_ingest;
    host_exit_cb cb_exit;
    void *cb_destroy;
    uint64_t test_formatter[6];
    void *instance;
    struct host_list node;
};

#endif
