/*
 * Runs when the dynamic linker has mapped the library, before the host copies a registration
 * struct out of it. "hidden" keeps the Rust function out of the dynamic symbol table.
 */
__attribute__((visibility("hidden"))) extern void flb_sidecar_on_load(void);

__attribute__((constructor)) static void on_load(void)
{
    flb_sidecar_on_load();
}
