//! Where the fields of the host's instances are: what of them a release has moved.

use host_abi::layout::{FilterInstance, InputInstance, OutputInstance, Places};

pub(super) const INPUT_1_9: InputInstance = InputInstance {
    bytes: 0,
    log_level: Some(84),
    context: Some(144),
    plugin: Some(160),
    tag: Some(168),
    storage: Some(240),
    running: Some(280),
    storage_running: Some(284),
    node: Some(304),
    properties: Some(352),
    chunks: Some(384),
    tasks: Some(432),
    threaded: None,
    ring: None,
    metrics: Some(496),
};
pub(super) const INPUT_2_0_0: InputInstance = InputInstance {
    log_level: Some(136),
    threaded: Some(544),
    ring: Some(560),
    metrics: None,
    ..INPUT_1_9.grown(0, 48)
};
pub(super) const INPUT_2_0_1: InputInstance = INPUT_2_0_0.grown(0, -8);
pub(super) const INPUT_2_1: InputInstance = INPUT_2_0_1.grown(0, 8).grown(144, 8);
pub(super) const INPUT_3_2_3: InputInstance = INPUT_2_1.grown(200, 8).grown(504, 48);
pub(super) const INPUT_5_1: InputInstance = INPUT_3_2_3.grown(240, 8);
pub(super) const FILTER_1_9: FilterInstance = FilterInstance {
    bytes: 0,
    log_level: Some(4),
    plugin: Some(80),
    properties: Some(88),
    node: Some(112),
    metrics: Some(128),
};
pub(super) const FILTER_2_1_0: FilterInstance = FilterInstance {
    log_level: Some(8),
    ..FILTER_1_9.grown(8, 8)
};
pub(super) const FILTER_2_1_4: FilterInstance = FILTER_2_1_0.grown(16, 8);

pub(super) const OUTPUT_1_9: OutputInstance = OutputInstance {
    bytes: 0,
    log_level: Some(80),
    plugin: Some(144),
    properties: Some(312),
    retry_limit: Some(160),
    node: Places::at(&[432]),
    metrics: Some(448),
};
pub(super) const OUTPUT_2_0: OutputInstance = OutputInstance {
    node: Places::at(&[440]),
    metrics: None,
    ..OUTPUT_1_9
};

pub(super) const fn output_2_1(properties: usize, node: &[usize]) -> OutputInstance {
    OutputInstance {
        properties: Some(properties),
        node: Places::at(node),
        ..OUTPUT_2_0.grown(0, 8)
    }
}
