/* Another source of that program. */
struct flb_input_plugin;
struct flb_config_map;

#ifdef CONFLICT
struct flb_output_plugin { long something; char *name; };
struct flb_output_plugin *elsewhere;
#endif

/* Only declared here. */
extern void flb_log_print(int, const char *, int, const char *, ...);

int other_source(void)
{
    static struct flb_input_plugin *plugin;
    static struct flb_config_map *map;
    flb_log_print(0, 0, 0, "");
    return plugin != 0 || map != 0;
}
