/*
 * The structs of a layout with random places, so that the program's debug information has them as
 * a Fluent Bit's has: names, types and offsets. Nothing here is used by the code.
 */
#ifdef HOST_LAYOUT
#define HOST_LAYOUT_STRUCTS
#include HOST_LAYOUT

/* The index of debug information leads to structs by functions beside them. */
void flb_config_init(void);
void flb_config_init(void)
{
}
#else
typedef int nothing;
#endif
