//! The host's allocator may promise less than Rust expects of `malloc`: Fluent Bit's official
//! builds link jemalloc with a quantum of 8 bytes. Here every block is aligned to 8 and not to 16.

use flb_sidecar_tests::build::odd_malloc;
use flb_sidecar_tests::{build::Check, Host, Pipeline, Version};

#[test]
fn blocks_aligned_to_eight_bytes_are_enough() {
    let preload = odd_malloc().display().to_string();
    for version in [Version(1, 9, 3), Version(5, 1, 0)] {
        let host = Host::test(version, Check::None);
        let mut pipeline = Pipeline::new(&host);
        let log = pipeline.file("app.log", "one\nmail a@example.com\nlast");
        let flag = pipeline.file("completion-flag", "");
        pipeline
            .env("LD_PRELOAD", &preload)
            .env("POD_NAME", "pod")
            .env("POD_NAMESPACE", "namespace")
            .input("sidecar_tail", &[("path", &log)])
            .filter("pii_redact", "*", &[("preset", "all")])
            .filter(
                "kube_metadata",
                "*",
                &[("namespace_labels", "on"), ("owner_references", "on")],
            )
            .print()
            .output("completion_exit", "*", &[("flag_file", &flag)]);
        let ended = pipeline.run();
        ended.check_status(0);
        assert_eq!(ended.records().len(), 3, "{}", ended.output());
    }
}
