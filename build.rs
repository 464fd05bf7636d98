//! Turns include/ into Rust and gives the cdylib, and only it, its constructor.

use std::env;
use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rerun-if-changed=src/constructor.c");

    bindgen::Builder::default()
        .header("include/abi.h")
        .clang_arg("-Iinclude")
        .use_core()
        .layout_tests(true)
        .derive_debug(false)
        .generate_comments(false)
        .allowlist_type("(input|filter|output)_plugin_.*")
        .allowlist_type("config_map_.*")
        .allowlist_type("host_.*")
        .generate()
        .expect("bindgen reads include/abi.h (it needs libclang: apt install libclang-dev)")
        .write_to_file(out.join("abi.rs"))
        .expect("OUT_DIR is writable");

    // An .init_array entry in Rust would be in the rlib too, and run in every test program.
    let objects = cc::Build::new()
        .file("src/constructor.c")
        .flag("-std=c11")
        .warnings_into_errors(true)
        .compile_intermediates();
    for object in objects {
        println!("cargo:rustc-cdylib-link-arg={}", object.display());
    }
    // The host unloads a library that a reload no longer names; threads, thread-local
    // destructors and the panic hook must not lose their code then.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libflb_sidecar.so");
}
