#ifndef FLB_SIDECAR_SINCE_5_1_0_H
#define FLB_SIDECAR_SINCE_5_1_0_H
#include "common.h"

struct input_plugin_5_1_0 {
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
    host_exit_cb cb_pause_checked;
    host_exit_cb cb_resume_checked;
    void *cb_ingest;
    host_state_cb cb_pre_exit;
    host_exit_cb cb_exit;
    void *cb_destroy;
    uint64_t test_formatter[6];
    void *instance;
    struct host_list node;
};

struct output_plugin_5_1_0 {
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
    host_exit_cb cb_worker_init;
    host_exit_cb cb_worker_exit;
    host_output_cb cb_notification;
    uint64_t test_formatter[7];
    uint64_t test_response[6];
    struct host_list node;
};

#endif
