/*
 * Checks every layout of include/ against the sizes and offsets of the releases, as compiled
 * from the host's public headers. Compiling this file is the test; it runs to say so.
 */
#if __STDC_HOSTED__
#include <stdio.h>
#endif

#include "abi.h"

#define SIZE(S, bytes) \
    _Static_assert(sizeof(struct S) == (bytes), "sizeof " #S)
#define AT(S, field, bytes) \
    _Static_assert(offsetof(struct S, field) == (bytes), #S "." #field)

/* input */
#define INPUT(S, size, f_flags, f_name, f_desc, f_map, f_init, f_collect, f_pause, f_resume, \
              f_exit, f_node) \
    SIZE(S, size); \
    AT(S, flags, f_flags); \
    AT(S, name, f_name); \
    AT(S, description, f_desc); \
    AT(S, config_map, f_map); \
    AT(S, cb_init, f_init); \
    AT(S, cb_collect, f_collect); \
    AT(S, cb_pause, f_pause); \
    AT(S, cb_resume, f_resume); \
    AT(S, cb_exit, f_exit); \
    AT(S, node, f_node)

INPUT(input_plugin_1_9_0, 128, 0, 8, 16, 24, 32, 48, 72, 80, 96, 112);
INPUT(input_plugin_2_0_0, 144, 16, 24, 32, 40, 48, 64, 88, 96, 112, 128);
INPUT(input_plugin_2_0_7, 152, 16, 24, 32, 40, 48, 64, 88, 96, 112, 136);
INPUT(input_plugin_3_2_0, 160, 16, 24, 32, 40, 48, 64, 96, 104, 120, 144);
INPUT(input_plugin_3_2_3, 208, 16, 24, 32, 40, 48, 64, 96, 104, 120, 192);
INPUT(input_plugin_5_1_0, 232, 16, 24, 32, 40, 48, 64, 96, 104, 144, 216);
AT(input_plugin_2_0_0, type, 0);
AT(input_plugin_2_0_0, event_type, 20);
AT(input_plugin_2_0_7, cb_destroy, 120);
AT(input_plugin_3_2_0, cb_notification, 72);
AT(input_plugin_5_1_0, cb_pause_checked, 112);
AT(input_plugin_5_1_0, cb_resume_checked, 120);
AT(input_plugin_5_1_0, cb_pre_exit, 136);

/* filter */
#define FILTER(S, size, f_name, f_desc, f_map, f_init, f_filter, f_exit, f_node) \
    SIZE(S, size); \
    AT(S, name, f_name); \
    AT(S, description, f_desc); \
    AT(S, config_map, f_map); \
    AT(S, cb_init, f_init); \
    AT(S, cb_filter, f_filter); \
    AT(S, cb_exit, f_exit); \
    AT(S, node, f_node)

FILTER(filter_plugin_1_9_0, 72, 8, 16, 24, 32, 40, 48, 56);
FILTER(filter_plugin_2_1_0, 72, 8, 16, 24, 32, 40, 48, 56);
FILTER(filter_plugin_2_2_0, 80, 8, 16, 24, 40, 48, 56, 64);
FILTER(filter_plugin_3_2_0, 88, 8, 16, 24, 40, 48, 56, 72);
AT(filter_plugin_2_1_0, event_type, 0);
AT(filter_plugin_2_1_0, flags, 4);
AT(filter_plugin_2_2_0, cb_pre_run, 32);
AT(filter_plugin_3_2_0, cb_notification, 64);

/* output */
#define OUTPUT(S, size, f_workers, f_formatter, f_node) \
    SIZE(S, size); \
    AT(S, event_type, 0); \
    AT(S, type, 4); \
    AT(S, proxy, 8); \
    AT(S, flags, 16); \
    AT(S, name, 24); \
    AT(S, description, 32); \
    AT(S, config_map, 40); \
    AT(S, host, 48); \
    AT(S, cb_init, 96); \
    AT(S, cb_pre_run, 104); \
    AT(S, cb_flush, 112); \
    AT(S, cb_exit, 120); \
    AT(S, workers, f_workers); \
    AT(S, test_formatter, f_formatter); \
    AT(S, node, f_node)

OUTPUT(output_plugin_1_9_0, 200, 128, 136, 184);
OUTPUT(output_plugin_2_0_7, 208, 136, 144, 192);
OUTPUT(output_plugin_3_2_0, 232, 136, 168, 216);
OUTPUT(output_plugin_3_2_2, 280, 136, 168, 264);
OUTPUT(output_plugin_5_1_0, 288, 136, 168, 272);
AT(output_plugin_3_2_2, test_response, 216);
AT(output_plugin_5_1_0, test_response, 224);

/* option table */
#define OPTION(S, size, f_node) \
    SIZE(S, size); \
    AT(S, type, 0); \
    AT(S, name, 8); \
    AT(S, default_value, 16); \
    AT(S, flags, 24); \
    AT(S, set_property, 28); \
    AT(S, offset, 32); \
    AT(S, description, 40); \
    AT(S, value, 48); \
    AT(S, node, f_node)

OPTION(config_map_1_9_0, 96, 80);
OPTION(config_map_5_0_3, 104, 88);

/* the rest */
AT(host_event_chunk, tag, 8);
AT(host_event_chunk, data, 16);
AT(host_event_chunk, size, 24);
AT(host_event_chunk, total_events, 32);
AT(host_property, key, 0);
AT(host_property, value, 8);
AT(host_property, node, 16);
AT(host_proxy_def, name, 16);
AT(host_proxy_def, description, 24);

#if __STDC_HOSTED__
int main(void)
{
    puts("every layout of include/ is as the releases have it");
    return 0;
}
#endif
