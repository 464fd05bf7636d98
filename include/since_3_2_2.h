#ifndef FLB_SIDECAR_SINCE_3_2_2_H
#define FLB_SIDECAR_SINCE_3_2_2_H
#include "common.h"

struct output_plugin_3_2_2 {
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
    uint64_t test_formatter[6];
    uint64_t test_response[6];
    struct host_list node;
};

#endif
