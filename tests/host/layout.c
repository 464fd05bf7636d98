/*
 * The structs of a layout with random places, so that the program's debug information has them as
 * a Fluent Bit's has: names, types and offsets. Nothing here is used by the code.
 */
#ifdef HOST_LAYOUT
#define HOST_LAYOUT_STRUCTS
#include HOST_LAYOUT
#else
typedef int nothing;
#endif
