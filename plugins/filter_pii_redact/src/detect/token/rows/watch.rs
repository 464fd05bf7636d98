//! Monitoring.

use super::{row, Row};
use crate::catalog::Id;
use crate::detect::token::form::Form::{AtLeast, Exactly, Own, Parts};
use crate::detect::token::form::Part::{Run, Sign};
use crate::detect::token::form::{is_alnum, is_base64, is_hex, is_upper, is_word_or_hyphen, UUID};
use crate::detect::token::vendor::sentry;

pub(super) const ROWS: &[Row] = &[
    row(
        "Grafana",
        "glsa_",
        Id::VendorToken,
        Exactly(41, is_word_or_hyphen),
        "glsa_{a32}_{h8}",
    ),
    row(
        "Grafana",
        "glc_",
        Id::VendorToken,
        AtLeast(32, is_base64),
        "glc_eyJ{b100}",
    ),
    row(
        "Grafana",
        "eyJrIjoi",
        Id::VendorToken,
        AtLeast(60, is_base64),
        "eyJrIjoi{b80}",
    ),
    row(
        "Sentry",
        "sntry",
        Id::VendorToken,
        Own(sentry),
        "sntryu_{h64}",
    ),
    row(
        "New Relic",
        "NRAK-",
        Id::VendorToken,
        AtLeast(19, is_word_or_hyphen),
        "NRAK-{u27}",
    ),
    row(
        "New Relic",
        "NRII-",
        Id::VendorToken,
        AtLeast(19, is_word_or_hyphen),
        "NRII-{u27}",
    ),
    row(
        "New Relic",
        "NRIQ-",
        Id::VendorToken,
        AtLeast(19, is_word_or_hyphen),
        "NRIQ-{u27}",
    ),
    row(
        "New Relic",
        "NRAA-",
        Id::VendorToken,
        AtLeast(19, is_word_or_hyphen),
        "NRAA-{u27}",
    ),
    row(
        "New Relic",
        "NRRA-",
        Id::VendorToken,
        AtLeast(19, is_word_or_hyphen),
        "NRRA-{u27}",
    ),
    row(
        "New Relic",
        "NRSP-",
        Id::VendorToken,
        AtLeast(19, is_word_or_hyphen),
        "NRSP-{u27}",
    ),
    row(
        "New Relic",
        "NRJS-",
        Id::VendorToken,
        Parts(&[Run(19, 19, is_hex)]),
        "NRJS-{h19}",
    ),
    row(
        "Dynatrace",
        "dt0c01.",
        Id::VendorToken,
        Parts(&[Run(24, 24, is_upper), Sign("."), Run(64, 64, is_upper)]),
        "dt0c01.{u24}.{u64}",
    ),
    row(
        "Dynatrace",
        "dt0s01.",
        Id::VendorToken,
        Parts(&[Run(6, 24, is_upper), Sign("."), Run(64, 64, is_upper)]),
        "dt0s01.{u8}.{u64}",
    ),
    row(
        "Datadog",
        "ddapp_",
        Id::VendorToken,
        AtLeast(32, is_alnum),
        "ddapp_{a34}",
    ),
    row(
        "Datadog",
        "ddpat_",
        Id::VendorToken,
        AtLeast(32, is_alnum),
        "ddpat_{a40}",
    ),
    row(
        "PostHog",
        "phx_",
        Id::VendorToken,
        AtLeast(40, is_alnum),
        "phx_{a43}",
    ),
    row(
        "Rootly",
        "rootly_",
        Id::VendorToken,
        AtLeast(60, is_hex),
        "rootly_{h64}",
    ),
    row(
        "Axiom",
        "xaat-",
        Id::VendorToken,
        Parts(UUID),
        "xaat-{h8}-{h4}-{h4}-{h4}-{h12}",
    ),
    row(
        "Axiom",
        "xapt-",
        Id::VendorToken,
        Parts(UUID),
        "xapt-{h8}-{h4}-{h4}-{h4}-{h12}",
    ),
    row(
        "Logfire",
        "pylf_v1_us_",
        Id::VendorToken,
        Exactly(43, is_alnum),
        "pylf_v1_us_{a43}",
    ),
    row(
        "Logfire",
        "pylf_v1_eu_",
        Id::VendorToken,
        Exactly(43, is_alnum),
        "pylf_v1_eu_{a43}",
    ),
    row(
        "Honeycomb",
        "hcaik_",
        Id::VendorToken,
        Exactly(58, is_alnum),
        "hcaik_{a58}",
    ),
];
